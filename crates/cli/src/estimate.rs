//! Code and stack that a program will need, before any firmware is built: upper estimates, the only ones here.
//!
//! `flash = constants + Σ code(kernel) + base`, over the different kernels of the program; `RAM = arena + stack`.
//! `rasbora profile` counts both on the firmware itself.

use std::collections::BTreeSet;

use rasbora_compiler::program::Program;

/// What reports call the estimate of the code.
pub const CODE_MODEL: &str = "constants as they are, code by an upper estimate per kernel";

/// What reports call the estimate of the stack.
pub const STACK_MODEL: &str = "arena as planned, stack by an upper estimate";

/// Start-up, the interface of the network and what all kernels share.
const BASE_CODE_BYTES: u64 = 2048;

/// Code of a kernel that has no row of its own.
const KERNEL_CODE_BYTES: u64 = 2048;

/// Deepest stack of one inference.
pub const STACK_BYTES: u64 = 1024;

/// Code and constants.
pub fn flash_bytes(program: &Program) -> u64 {
    let kernels: BTreeSet<u16> = program.steps.iter().map(|step| step.kernel.opcode()).collect();
    program.constants_bytes() as u64 + BASE_CODE_BYTES + kernels.len() as u64 * KERNEL_CODE_BYTES
}

/// Arena and stack.
pub fn ram_bytes(program: &Program) -> u64 {
    program.arena_bytes as u64 + STACK_BYTES
}
