//! Reads the test digits on a micro:bit, in its 16 KB of RAM.
#![no_std]
#![no_main]

use cortex_m::singleton;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprint, hprintln};
use model::digits::{Arena, INPUTS, Model};

include!(concat!(env!("OUT_DIR"), "/samples.rs"));

#[entry]
fn main() -> ! {
    let arena = singleton!(: Arena = Arena::new()).expect("taken once");
    let mut digits = Model::new(arena);
    for sample in &SAMPLES {
        for (input, &ink) in digits.input_mut().iter_mut().zip(sample) {
            *input = INPUTS[0].quantise(ink) as i8;
        }
        digits.run();
        hprint!("{}", (0..10).max_by_key(|&digit| digits.output()[digit]).unwrap_or_default());
    }
    hprintln!();
    loop {
        debug::exit(debug::EXIT_SUCCESS);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}
