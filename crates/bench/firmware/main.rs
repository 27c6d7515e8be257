//! The firmware that runs one network under emulation: reads inputs, runs, writes outputs, all by semihosting.
//!
//! The files lie in the emulator's working directory; all numbers are little-endian words of 32 bits.
//! `input`: the number of calls, then for each call and each network input its bytes, preceded by their number.
//! `output`: for each call and each network output the same. `stack`: the deepest stack of an inference in bytes.
//! `ranges`, read when each kernel is counted: `step, offset, bytes` of parts of the arena, ordered by step; `trace` gets
//! these bytes as they are after that step of the first call. `budget`, read when yielding: instructions of a step.
//!
//! Nothing in here panics, so that an image shows whether the network does.
#![no_std]
#![no_main]

mod files;
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod machine;
mod region;
mod semihosting;
mod stack;

// Written for each image: `Arena`, `Model`, and `COUNTED`, what is counted apart.
mod selected;

use core::cell::UnsafeCell;

use files::{Reader, Writer};
use rasbora_device::network::{Network, Position, Progress};
use region::{Counted, measure};
use selected::{Arena, COUNTED, Model};

struct Owned(UnsafeCell<Arena>);

// SAFETY: there is one thread, and `rasbora_main` takes the arena once.
unsafe impl Sync for Owned {}

static ARENA: Owned = Owned(UnsafeCell::new(Arena::new()));

type Selected = Model<'static>;

/// Called by the start-up code once memory is set up.
#[unsafe(no_mangle)]
extern "C" fn rasbora_main() -> ! {
    // SAFETY: this runs once, and nothing else refers to the arena.
    let arena = unsafe { &mut *ARENA.0.get() };
    let mut model = Selected::new(arena);
    let mut input = Reader::open(c"input");
    let mut output = Writer::create(c"output");
    let calls = input.word();
    let budget = if let Counted::Yielding = COUNTED { Reader::open(c"budget").word() } else { 0 };
    let mut deepest = 0;
    for call in 0..calls {
        read_inputs(&mut model, &mut input);
        let stack = match COUNTED {
            Counted::Total => measure(&mut model, infer),
            Counted::Steps => step_through(&mut model, call == 0),
            Counted::Yielding => yield_through(&mut model, budget),
        };
        deepest = deepest.max(stack);
        for index in 0..Selected::OUTPUTS {
            output.sized(model.output_bytes(index));
        }
    }
    Writer::create(c"stack").word(deepest);
    semihosting::exit(0)
}

fn read_inputs(model: &mut Selected, input: &mut Reader) {
    for index in 0..Selected::INPUTS {
        input.fill_sized(model.input_bytes(index));
    }
}

// Apart and never inlined, so that all of an inference's stack lies below the frame that paints.
#[inline(never)]
fn infer(model: &mut Selected) {
    model.run();
}

#[inline(never)]
fn step_through(model: &mut Selected, traced: bool) -> u32 {
    let mut trace = if traced { Trace::open() } else { None };
    let mut deepest = 0;
    for index in 0..Selected::STEPS {
        deepest = deepest.max(measure(model, |model| step(model, index)));
        if let Some(trace) = &mut trace {
            trace.after(index as u32, model.arena_bytes());
        }
    }
    deepest
}

#[inline(never)]
fn step(model: &mut Selected, index: usize) {
    model.run_kernel(index);
}

#[inline(never)]
fn yield_through(model: &mut Selected, budget: u32) -> u32 {
    let (mut deepest, mut pending, mut position) = (0, true, Position::START);
    while pending {
        let part = |model: &mut Selected| pending = part(model, &mut position, budget) == Progress::Pending;
        deepest = deepest.max(measure(model, part));
    }
    deepest
}

#[inline(never)]
fn part(model: &mut Selected, position: &mut Position, budget: u32) -> Progress {
    model.step(position, budget)
}

/// The parts of the arena that are still to be written.
struct Trace {
    ranges: Reader,
    out: Writer,
    remaining: u32,
    step: u32,
}

impl Trace {
    fn open() -> Option<Self> {
        let mut ranges = Reader::open(c"ranges");
        let remaining = ranges.word();
        if remaining == 0 {
            return None;
        }
        let step = ranges.word();
        Some(Self { ranges, out: Writer::create(c"trace"), remaining, step })
    }

    fn after(&mut self, index: u32, arena: &[u8]) {
        while self.remaining > 0 && self.step == index {
            let (offset, bytes) = (self.ranges.word() as usize, self.ranges.word() as usize);
            let Some(part) = arena.get(offset..).and_then(|rest| rest.get(..bytes)) else {
                semihosting::print(c"a range to trace lies outside of the arena");
                semihosting::exit(2)
            };
            self.out.bytes(part);
            self.remaining -= 1;
            if self.remaining > 0 {
                self.step = self.ranges.word();
            }
        }
    }
}
