//! The firmware that runs a packed program by the interpreter: the files of `main.rs`, and `program`, its length and bytes.
//!
//! Nothing in here panics, so that an image shows whether the interpreter does.
#![no_std]
#![no_main]

mod files;
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod machine;
mod region;
mod semihosting;
mod stack;

// Written for each image: `Kernels` and `Isa`, what is linked, and `COUNTED`, what is counted apart.
mod selected;

use files::{Reader, Writer};
use rasbora_device::interpreter::Interpreter;
use rasbora_device::network::Progress;
use region::{Counted, cut, measure};
use selected::{COUNTED, Isa, Kernels};

type Selected = Interpreter<'static, Kernels, Isa>;

/// Bytes at the end of memory that are the stack's.
const STACK_BYTES: usize = 256 * 1024;

unsafe extern "C" {
    static mut __stack_limit: u8;
    static __stack_top: u8;
}

/// All memory between the variables and the stack, from a multiple of 16 on.
fn free_memory() -> &'static mut [u8] {
    let start = (&raw mut __stack_limit as usize).next_multiple_of(16);
    let bytes = (&raw const __stack_top as usize).saturating_sub(STACK_BYTES).saturating_sub(start);
    // SAFETY: the linker script leaves this memory to whoever takes it, and this is called once.
    unsafe { core::slice::from_raw_parts_mut(start as *mut u8, bytes) }
}

/// Called by the start-up code once memory is set up.
#[unsafe(no_mangle)]
extern "C" fn rasbora_main() -> ! {
    let mut file = Reader::open(c"program");
    let bytes = file.word() as usize;
    let Some((program, arena)) = free_memory().split_at_mut_checked(bytes.next_multiple_of(16)) else {
        semihosting::print(c"the program does not fit into the board's memory");
        semihosting::exit(2)
    };
    let Some(program) = program.get_mut(..bytes) else { semihosting::exit(2) };
    file.fill(program);
    let Ok(mut model) = Selected::new(program, arena) else {
        semihosting::print(c"the interpreter refuses the program");
        semihosting::exit(2)
    };
    let mut input = Reader::open(c"input");
    let mut output = Writer::create(c"output");
    let calls = input.word();
    let budget = if let Counted::Yielding = COUNTED { Reader::open(c"budget").word() } else { 0 };
    let mut deepest = 0;
    for _ in 0..calls {
        for index in 0..model.program().inputs() {
            input.fill_sized(model.input_mut(index));
        }
        deepest = deepest.max(infer(&mut model, budget));
        for index in 0..model.program().outputs() {
            output.sized(model.output(index));
        }
    }
    Writer::create(c"stack").word(deepest);
    semihosting::exit(0)
}

fn infer(model: &mut Selected, budget: u32) -> u32 {
    match COUNTED {
        Counted::Total => measure(model, run),
        Counted::Steps => {
            let mut left = model.program().step_count();
            measure(model, |model| {
                model.run_traced(|_, _| {
                    left = left.saturating_sub(1);
                    if left > 0 {
                        cut();
                    }
                });
            })
        }
        Counted::Yielding => {
            let (mut deepest, mut pending) = (0, true);
            while pending {
                deepest = deepest.max(measure(model, |model| pending = step(model, budget) == Progress::Pending));
            }
            deepest
        }
    }
}

// Apart and never inlined, so that all of an inference's stack lies below the frame that paints.
#[inline(never)]
fn run(model: &mut Selected) {
    model.run();
}

#[inline(never)]
fn step(model: &mut Selected, budget: u32) -> Progress {
    model.step(budget)
}
