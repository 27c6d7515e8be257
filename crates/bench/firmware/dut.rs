//! The firmware that is MLPerf Tiny's device under test: the serial protocol over the board's first serial port.
//!
//! Its clock is the counting plugin: the marker `rasbora_clock` has the plugin append the cycles so far to the file
//! `counts`, which lies open here.
//!
//! Nothing in here panics, so that an image shows whether the network does.
#![no_std]
#![no_main]

mod ear;
mod files;
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod machine;
mod protocol;
#[allow(dead_code)]
mod region;
mod semihosting;
mod stack;
mod tensors;
mod uart;

// Written for each image: `Arena`, `Model`, and the benchmark that they are run for.
mod selected;

use core::cell::UnsafeCell;

use ear::Ear;
use files::Reader;
use protocol::{BUFFER_BYTES, Device, Protocol};
use rasbora_device::network::Network;
use selected::{Arena, BENCHMARK, CLOCK_HZ, LISTENS, Model, NAME, SENT, TOLD};
use uart::Uart;

struct Owned<T>(UnsafeCell<T>);

// SAFETY: there is one thread, and `rasbora_main` takes the content once.
unsafe impl<T> Sync for Owned<T> {}

static ARENA: Owned<Arena> = Owned(UnsafeCell::new(Arena::new()));
static PROTOCOL: Owned<Protocol> = Owned(UnsafeCell::new(Protocol::new()));
static EAR: Owned<Ear> = Owned(UnsafeCell::new(Ear::new()));
static PREPARED: Owned<Prepared> = Owned(UnsafeCell::new(Prepared([0; BUFFER_BYTES])));

/// The input as the network takes it, kept because an inference works over its input.
#[repr(align(16))]
struct Prepared([u8; BUFFER_BYTES]);

unsafe extern "C" {
    fn rasbora_run_begin();
    fn rasbora_clock();
}

/// Called by the start-up code once memory is set up.
#[unsafe(no_mangle)]
extern "C" fn rasbora_main() -> ! {
    // SAFETY: this runs once, and nothing else refers to any of them.
    let (arena, protocol, prepared) = unsafe { (&mut *ARENA.0.get(), &mut *PROTOCOL.0.get(), &mut *PREPARED.0.get()) };
    // SAFETY: as above.
    let ear = unsafe { &mut *EAR.0.get() };
    let mut board = Board { uart: Uart::start(), clock: Reader::open(c"counts"), model: Model::new(arena), prepared, ear };
    // SAFETY: the marker only returns.
    unsafe { rasbora_run_begin() };
    protocol.start(&mut board);
    loop {
        let byte = board.uart.receive();
        protocol.receive(byte, &mut board);
    }
}

struct Board {
    uart: Uart,
    clock: Reader,
    model: Model<'static>,
    prepared: &'static mut Prepared,
    ear: &'static mut Ear,
}

impl Board {
    /// The ticks so far.
    fn ticks(&mut self) -> u64 {
        // SAFETY: the marker only returns.
        unsafe { rasbora_clock() };
        let mut bytes = [0; 8];
        self.clock.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

impl Device for Board {
    const NAME: &'static str = NAME;
    const BENCHMARK: &'static str = BENCHMARK;

    fn send(&mut self, bytes: &[u8]) {
        self.uart.send(bytes);
    }

    fn microseconds(&mut self) -> u64 {
        const MICROSECONDS: u64 = 1_000_000;
        let ticks = self.ticks();
        ticks / CLOCK_HZ * MICROSECONDS + ticks % CLOCK_HZ * MICROSECONDS / CLOCK_HZ
    }

    fn load(&mut self, sent: &[u8]) -> bool {
        let bytes = self.model.input_bytes(0).len();
        self.prepared.0.get_mut(..bytes).is_some_and(|input| SENT.fill(sent, input))
    }

    #[inline(never)]
    fn infer(&mut self) {
        let input = self.model.input_bytes(0);
        if let Some(prepared) = self.prepared.0.get(..input.len()) {
            input.copy_from_slice(prepared);
        }
        self.model.run();
    }

    fn result(&self, sent: &[u8], index: usize) -> Option<f32> {
        TOLD.value(sent, self.model.output_bytes(0), index)
    }

    fn listen(&mut self) -> bool {
        self.model.reset();
        LISTENS && self.ear.listen()
    }

    fn hear(&mut self) -> bool {
        loop {
            let Some(half) = self.ear.next() else { return self.ear.stop() };
            let half = *half;
            self.ticks();
            if let Some(input) = self.model.input_bytes(0).get_mut(..half.len()) {
                input.copy_from_slice(&half);
            }
            self.model.run();
            let activation = self.model.output_bytes(0).first().copied().unwrap_or_default();
            self.ticks();
            self.ear.remember(activation.cast_signed());
        }
    }

    fn activation(&self, frame: usize) -> Option<i8> {
        self.ear.activation(frame)
    }
}
