//! The C functions of compiled networks: a `network!` for each stands at the end.
//!
//! A network keeps its arena's address and how far an inference has come, nothing else; the header says what the
//! functions do.
#![no_std]

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicPtr, AtomicU32};

use model::{Network, Position, Progress};

/// `NAME_memory` of the headers.
#[repr(C)]
pub struct Memory {
    arena: *mut c_void,
    arena_bytes: usize,
}

const DONE: c_int = 0;
const PENDING: c_int = 1;
const NO_MEMORY: c_int = -1;
const MISALIGNED: c_int = -2;
const SMALL: c_int = -3;
const NOT_READY: c_int = -4;

/// The arena, if it can hold an `A`.
///
/// # Safety
/// `memory` is null or points to a [`Memory`].
unsafe fn arena<A>(memory: *const Memory) -> Result<*mut A, c_int> {
    // SAFETY: as this function's.
    let Some(memory) = (unsafe { memory.as_ref() }) else { return Err(NO_MEMORY) };
    let arena: *mut A = memory.arena.cast();
    if arena.is_null() {
        Err(NO_MEMORY)
    } else if !arena.is_aligned() {
        Err(MISALIGNED)
    } else if memory.arena_bytes < size_of::<A>() {
        Err(SMALL)
    } else {
        Ok(arena)
    }
}

macro_rules! network {
    ($network:ident, $init:ident, $input:ident, $run:ident, $step:ident, $output:ident, $model_hash:ident, $hash:literal) => {
        const _: () = {
            use ::model::$network::{Arena, Model};

            static ARENA: AtomicPtr<Arena> = AtomicPtr::new(null_mut());
            static POSITION: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

            fn go_to(position: Position) {
                POSITION[0].store(position.kernel, Relaxed);
                POSITION[1].store(position.row, Relaxed);
            }

            fn network() -> Option<Model<'static>> {
                // SAFETY: `init` stored an arena of the right size and alignment, which its caller lends from then on.
                unsafe { ARENA.load(Relaxed).as_mut() }.map(Model::attach)
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $init(memory: *const Memory) -> c_int {
                go_to(Position::START);
                // SAFETY: the caller's promise.
                let (arena, code) = match unsafe { arena(memory) } {
                    Ok(arena) => (arena, DONE),
                    Err(code) => (null_mut(), code),
                };
                ARENA.store(arena, Relaxed);
                if let Some(mut network) = network() {
                    network.reset();
                }
                code
            }

            #[unsafe(no_mangle)]
            extern "C" fn $input(index: usize) -> *mut c_void {
                match network() {
                    Some(mut network) if index < Model::INPUTS => network.input_bytes(index).as_mut_ptr().cast(),
                    _ => null_mut(),
                }
            }

            #[unsafe(no_mangle)]
            extern "C" fn $output(index: usize) -> *const c_void {
                match network() {
                    Some(network) if index < Model::OUTPUTS => network.output_bytes(index).as_ptr().cast(),
                    _ => null_mut(),
                }
            }

            #[unsafe(no_mangle)]
            extern "C" fn $run() -> c_int {
                let Some(mut network) = network() else { return NOT_READY };
                go_to(Position::START);
                network.run();
                DONE
            }

            #[unsafe(no_mangle)]
            extern "C" fn $step(budget: u32) -> c_int {
                let Some(mut network) = network() else { return NOT_READY };
                let [kernel, row] = POSITION.each_ref().map(|number| number.load(Relaxed));
                let mut position = Position { kernel, row };
                let progress = network.step(&mut position, budget);
                go_to(position);
                match progress {
                    Progress::Done => DONE,
                    Progress::Pending => PENDING,
                }
            }

            #[unsafe(no_mangle)]
            extern "C" fn $model_hash() -> *const c_char {
                static HASH: &core::ffi::CStr = $hash;
                HASH.as_ptr()
            }
        };
    };
}
