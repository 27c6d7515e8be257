//! Two tasks of Embassy: a sensor feeds a channel, and an inference yields between its steps.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use cortex_m_semihosting::{debug, hprint, hprintln};
use embassy_executor::Spawner;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::ThreadModeRawMutex;
use embassy_sync::channel::Channel;
use model::digits::{Arena, INPUTS, Model};
use model::{Position, Progress};
use static_cell::StaticCell;

include!(concat!(env!("OUT_DIR"), "/samples.rs"));

/// Instructions between two yields: about a millisecond at 25 MHz.
const BUDGET: u32 = 20_000;

static ARENA: StaticCell<Arena> = StaticCell::new();
static READINGS: Channel<ThreadModeRawMutex, &[f32; 64], 2> = Channel::new();
static INFERRING: AtomicBool = AtomicBool::new(false);
static TURNS_BETWEEN_STEPS: AtomicU32 = AtomicU32::new(0);

#[embassy_executor::task]
async fn sense() {
    for reading in SAMPLES.iter().cycle() {
        while READINGS.try_send(reading).is_err() {
            TURNS_BETWEEN_STEPS.fetch_add(INFERRING.load(Relaxed).into(), Relaxed);
            yield_now().await;
        }
    }
}

async fn infer(digits: &mut Model<'_>, reading: &[f32; 64]) -> usize {
    for (input, &ink) in digits.input_mut().iter_mut().zip(reading) {
        *input = INPUTS[0].quantise(ink) as i8;
    }
    INFERRING.store(true, Relaxed);
    let mut position = Position::START;
    while digits.step(&mut position, BUDGET) == Progress::Pending {
        yield_now().await;
    }
    INFERRING.store(false, Relaxed);
    (0..10).max_by_key(|&digit| digits.output()[digit]).unwrap_or_default()
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let mut digits = Model::new(ARENA.init(Arena::new()));
    spawner.spawn(sense().expect("one task of its kind"));
    for _ in 0..SAMPLES.len() {
        let reading = READINGS.receive().await;
        hprint!("{}", infer(&mut digits, reading).await);
    }
    let turns = TURNS_BETWEEN_STEPS.load(Relaxed) as usize;
    hprintln!(
        "\nthe sensor ran between the steps of an inference: {}",
        if turns > SAMPLES.len() { "yes" } else { "no" }
    );
    debug::exit(debug::EXIT_SUCCESS);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
