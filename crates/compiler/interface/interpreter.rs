//! The C functions of the interpreter: `Kernels` and `Isa`, what is linked, stand at the end.
//!
//! The caller owns all memory: the interpreter's own, the arena, and the program, which is read where it lies.
#![no_std]

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::null_mut;

use model::rasbora_device::interpreter;
use model::rasbora_device::network::Progress;
use model::rasbora_device::program::{Io, Program};

type Interpreter = interpreter::Interpreter<'static, Kernels, Isa>;

/// `rasbora_interpreter` of the header: the caller's memory.
#[repr(C, align(8))]
pub struct State {
    /// [`READY`] once `interpreter` holds one.
    ready: u32,
    /// What a refused program lacks.
    detail: u32,
    interpreter: MaybeUninit<Interpreter>,
}

/// Bytes of `rasbora_interpreter`.
const STATE_BYTES: usize = 32 * size_of::<*const ()>();
const _: () = assert!(size_of::<State>() <= STATE_BYTES);

/// A number that memory which was never initialised hardly holds.
const READY: u32 = 0x5241_5342;

/// `rasbora_tensor` of the header.
#[repr(C)]
pub struct Tensor {
    dtype: u32,
    rank: u32,
    shape: [u32; 6],
    bytes: u32,
    scale: f32,
    zero_point: i32,
}

// Beside these, the codes of `rasbora_device::ops::Fault`.
const DONE: c_int = 0;
const PENDING: c_int = 1;
const NO_MEMORY: c_int = -1;
const ARENA_MISALIGNED: c_int = -2;
const NOT_READY: c_int = -4;
const NO_TENSOR: c_int = -5;

/// # Safety
/// `state` is null or points to memory that `rasbora_init` was called with or that is zero.
// One copy for all functions.
#[inline(never)]
unsafe fn ready<'a>(state: *mut State) -> Option<&'a mut Interpreter> {
    // SAFETY: as this function's; where the mark is set, `rasbora_init` has written the interpreter.
    unsafe {
        let state = state.as_mut().filter(|state| state.ready == READY)?;
        Some(state.interpreter.assume_init_mut())
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_init(
    state: *mut State,
    program: *const c_void,
    program_bytes: usize,
    arena: *mut c_void,
    arena_bytes: usize,
) -> c_int {
    if state.is_null() || program.is_null() || arena.is_null() {
        return NO_MEMORY;
    }
    // SAFETY: the caller lends `state`, and number fields hold any bytes.
    let (ready, detail) = unsafe { (&mut (*state).ready, &mut (*state).detail) };
    *ready = 0;
    *detail = 0;
    if arena.addr() & 15 != 0 {
        return ARENA_MISALIGNED;
    }
    // SAFETY: the caller lends both for as long as the interpreter is used, and the arena to nobody else.
    let memory = unsafe {
        let program = core::slice::from_raw_parts(program.cast(), program_bytes);
        (program, core::slice::from_raw_parts_mut(arena.cast(), arena_bytes))
    };
    match Interpreter::new(memory.0, memory.1) {
        Ok(interpreter) => {
            // SAFETY: the caller lends `state`.
            unsafe { (&raw mut (*state).interpreter).write(MaybeUninit::new(interpreter)) };
            *ready = READY;
            DONE
        }
        Err(fault) => {
            *detail = fault.detail();
            fault.code()
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_detail(state: *const State) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { state.as_ref() }.map_or(0, |state| state.detail)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_arena_bytes(program: *const c_void, program_bytes: usize) -> usize {
    if program.is_null() {
        return 0;
    }
    // SAFETY: the caller lends the program.
    let program = unsafe { core::slice::from_raw_parts(program.cast(), program_bytes) };
    Program::arena_bytes_of(program).unwrap_or(0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_input(state: *mut State, index: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { place(state, index, false) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_output(state: *mut State, index: usize) -> *const c_void {
    // SAFETY: the caller's promise.
    unsafe { place(state, index, true) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_input_tensor(state: *mut State, index: usize, tensor: *mut Tensor) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { describe(state, index, false, tensor) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_output_tensor(state: *mut State, index: usize, tensor: *mut Tensor) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { describe(state, index, true, tensor) }
}

/// Input `index`, or output `index`, in the arena; null where there is none.
///
/// # Safety
/// As [`ready`].
// One copy for inputs and outputs, here and in `describe`.
#[inline(never)]
unsafe fn place(state: *mut State, index: usize, outputs: bool) -> *mut c_void {
    // SAFETY: as this function's.
    let Some(interpreter) = (unsafe { ready(state) }) else { return null_mut() };
    match interpreter.program().port(outputs, index) {
        Some(io) => interpreter.bytes_mut(io).as_mut_ptr().cast(),
        None => null_mut(),
    }
}

/// # Safety
/// As [`ready`]; `tensor` is null or may be written.
#[inline(never)]
unsafe fn describe(state: *mut State, index: usize, outputs: bool, tensor: *mut Tensor) -> c_int {
    // SAFETY: as this function's.
    let (Some(interpreter), false) = (unsafe { ready(state) }, tensor.is_null()) else { return NOT_READY };
    let Some(&Io { dtype, rank, shape, bytes, scale, zero_point, .. }) = interpreter.program().port(outputs, index)
    else {
        return NO_TENSOR;
    };
    // SAFETY: as this function's.
    unsafe { tensor.write(Tensor { dtype: dtype as u32, rank: rank.into(), shape, bytes, scale, zero_point }) };
    DONE
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_run(state: *mut State) -> c_int {
    // SAFETY: the caller's promise.
    let Some(interpreter) = (unsafe { ready(state) }) else { return NOT_READY };
    interpreter.run();
    DONE
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_step(state: *mut State, budget: u32) -> c_int {
    // SAFETY: the caller's promise.
    let Some(interpreter) = (unsafe { ready(state) }) else { return NOT_READY };
    match interpreter.step(budget) {
        Progress::Done => DONE,
        Progress::Pending => PENDING,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rasbora_reset(state: *mut State) -> c_int {
    // SAFETY: the caller's promise.
    let Some(interpreter) = (unsafe { ready(state) }) else { return NOT_READY };
    interpreter.reset();
    DONE
}
