//! The functions of the WebAssembly interpreter: `Kernels`, what is linked, stands at the end.
//!
//! An instance of the module runs one program. The wrapper in JavaScript puts it where `reserve` says, calls `start`, and
//! reads and writes the tensors in the module's memory. No function traps, whatever the program's bytes are.
#![no_std]

use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::UnsafeCell;

use model::rasbora_device::interpreter;
use model::rasbora_device::isa::Portable;
use model::rasbora_device::network::Progress;
use model::rasbora_device::program::{Io, Program};

type Interpreter = interpreter::Interpreter<'static, Kernels, Portable>;

/// All that an instance keeps: the place of its program, and its interpreter.
struct State {
    program: usize,
    interpreter: Option<Interpreter>,
    detail: u32,
}

struct Owned(UnsafeCell<State>);

// SAFETY: the module has no threads, and its functions do not call each other.
unsafe impl Sync for Owned {}

static STATE: Owned = Owned(UnsafeCell::new(State { program: 0, interpreter: None, detail: 0 }));

fn state() -> &'static mut State {
    // SAFETY: as above: each function of the module takes it once.
    unsafe { &mut *STATE.0.get() }
}

const DONE: i32 = 0;
const PENDING: i32 = 1;
const NO_MEMORY: i32 = -1;
const NOT_READY: i32 = -4;

const PAGE: usize = 1 << 16;

/// The address of `bytes` bytes of new memory, a multiple of 16; 0 where there are none.
fn new_memory(bytes: usize) -> usize {
    let pages = bytes.div_ceil(PAGE);
    let end = memory_size::<0>();
    if memory_grow::<0>(pages) == usize::MAX { 0 } else { end.wrapping_mul(PAGE) }
}

/// Where a program of `bytes` bytes is to be put; 0 where there is no memory.
#[unsafe(no_mangle)]
extern "C" fn reserve(bytes: usize) -> usize {
    let state = state();
    state.interpreter = None;
    state.program = new_memory(bytes);
    state.program
}

/// Checks the program of `bytes` bytes, takes an arena for it and sets its state. Returns 0 or what is wrong.
#[unsafe(no_mangle)]
extern "C" fn start(bytes: usize) -> i32 {
    let state = state();
    state.detail = 0;
    if state.program == 0 {
        return NO_MEMORY;
    }
    // SAFETY: `reserve` has taken this memory, and the wrapper leaves it alone from here on.
    let program = unsafe { core::slice::from_raw_parts(state.program as *const u8, bytes) };
    // A program that is refused for another reason must not ask for memory first.
    let needed = match Interpreter::new(program, &mut []) {
        Err(model::rasbora_device::ops::Fault::Arena { needed }) => needed as usize,
        Ok(interpreter) => {
            state.interpreter = Some(interpreter);
            return DONE;
        }
        Err(fault) => {
            state.detail = fault.detail();
            return fault.code();
        }
    };
    let arena = new_memory(needed);
    if arena == 0 {
        state.detail = needed as u32;
        return NO_MEMORY;
    }
    // SAFETY: new memory, which is zero and nobody else's.
    let arena = unsafe { core::slice::from_raw_parts_mut(arena as *mut u8, needed) };
    match Interpreter::new(program, arena) {
        Ok(interpreter) => {
            state.interpreter = Some(interpreter);
            DONE
        }
        Err(fault) => {
            state.detail = fault.detail();
            fault.code()
        }
    }
}

/// What the error of `start` is about.
#[unsafe(no_mangle)]
extern "C" fn detail() -> u32 {
    state().detail
}

fn program() -> Option<&'static Program<'static>> {
    state().interpreter.as_ref().map(|interpreter| interpreter.program())
}

/// Number of inputs.
#[unsafe(no_mangle)]
extern "C" fn inputs() -> usize {
    program().map_or(0, Program::inputs)
}

/// Number of outputs.
#[unsafe(no_mangle)]
extern "C" fn outputs() -> usize {
    program().map_or(0, Program::outputs)
}

/// Where input `index` lies; 0 where there is none.
#[unsafe(no_mangle)]
extern "C" fn input(index: usize) -> usize {
    match &mut state().interpreter {
        Some(interpreter) if index < interpreter.program().inputs() => interpreter.input_mut(index).as_ptr() as usize,
        _ => 0,
    }
}

/// Where output `index` lies; 0 where there is none.
#[unsafe(no_mangle)]
extern "C" fn output(index: usize) -> usize {
    match &state().interpreter {
        Some(interpreter) if index < interpreter.program().outputs() => interpreter.output(index).as_ptr() as usize,
        _ => 0,
    }
}

/// Field `field` of input `index`: type, rank, six sizes, bytes, the scale's bits, the zero point.
#[unsafe(no_mangle)]
extern "C" fn input_field(index: usize, field: usize) -> u32 {
    field_of(program().and_then(|program| program.input(index)), field)
}

/// Field `field` of output `index`.
#[unsafe(no_mangle)]
extern "C" fn output_field(index: usize, field: usize) -> u32 {
    field_of(program().and_then(|program| program.output(index)), field)
}

fn field_of(io: Option<&Io>, field: usize) -> u32 {
    let Some(&Io { dtype, rank, shape: [a, b, c, d, e, f], bytes, scale, zero_point, .. }) = io else { return 0 };
    let fields =
        [dtype as u32, rank.into(), a, b, c, d, e, f, bytes, scale.to_bits(), zero_point.cast_unsigned()];
    fields.get(field).copied().unwrap_or_default()
}

/// One inference. Returns 0, or that no program is started.
#[unsafe(no_mangle)]
extern "C" fn run() -> i32 {
    let Some(interpreter) = &mut state().interpreter else { return NOT_READY };
    interpreter.run();
    DONE
}

/// A part of an inference: 1 where there is more to do.
#[unsafe(no_mangle)]
extern "C" fn step(budget: u32) -> i32 {
    let Some(interpreter) = &mut state().interpreter else { return NOT_READY };
    match interpreter.step(budget) {
        Progress::Done => DONE,
        Progress::Pending => PENDING,
    }
}

/// Sets the network's state to its initial values.
#[unsafe(no_mangle)]
extern "C" fn reset() -> i32 {
    let Some(interpreter) = &mut state().interpreter else { return NOT_READY };
    interpreter.reset();
    DONE
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
