//! Code and stack that a program will need, before any firmware is built: upper estimates, the only ones here.
//!
//! `flash = constants + base + steps · step + Σ code(kernel)` over the different kernels of the program;
//! `RAM = arena + stack`. The rows are the largest sizes found in firmware (portable kernels, optimised for speed) of eight
//! models that together have every kernel, on Cortex-M0, Cortex-M4 and RV32IMAC, with a quarter added. A test holds them
//! against what `rasbora profile` counts.

use std::collections::BTreeSet;

use rasbora_compiler::program::Program;
use rasbora_compiler::target::Target;

/// What reports call the estimate of the code.
pub const CODE_MODEL: &str = "constants as they are, code by an upper estimate per kernel";

/// What reports call the estimate of the stack.
pub const STACK_MODEL: &str = "arena as planned, stack by an upper estimate";

/// What kernels share: above all the arithmetic of floats on cores that have none.
const BASE_CODE_BYTES: u64 = 3_072;

/// The call of a step.
const STEP_CODE_BYTES: u64 = 48;

/// Code of a kernel that has no row.
const OTHER_KERNEL: (u64, u64) = (10_240, 10_240);

/// Deepest stack of one inference.
pub const STACK_BYTES: u64 = 1_536;

/// Kernels with the bytes of their code on Arm and on RISC-V.
const KERNELS: &[(&str, u64, u64)] = &[
    ("AddI8", 3_456, 2_432),
    ("AveragePool", 3_072, 1_920),
    ("AveragePoolF32", 2_304, 2_176),
    ("BinaryF32", 10_368, 2_304),
    ("Conv2d", 6_912, 5_632),
    ("Conv2dF32", 3_456, 2_560),
    ("Copy", 5_248, 2_816),
    ("DepthwiseConv2d", 5_760, 22_528),
    ("DepthwiseConv2dF32", 2_816, 2_176),
    ("Dequantise", 128, 256),
    ("FullyConnected", 3_328, 2_432),
    ("FullyConnectedF32", 2_816, 1_920),
    ("MaxPool", 3_456, 1_792),
    ("MaxPoolF32", 6_400, 2_048),
    ("Mean", 3_200, 1_920),
    ("MeanF32", 1_408, 2_304),
    ("MulI8", 4_608, 1_664),
    ("Pad", 2_432, 2_048),
    ("Quantise", 512, 512),
    ("Softmax", 2_560, 3_328),
    ("SoftmaxF32", 2_816, 1_408),
    ("Table", 512, 384),
    ("UnaryF32", 896, 1_152),
];

/// Code and constants of programs that share one copy of the kernels; for the worse architecture where no target is known.
pub fn flash_bytes(programs: &[&Program], target: Option<&Target>) -> u64 {
    let steps = || programs.iter().flat_map(|program| &program.steps);
    let kernels: BTreeSet<&str> = steps().map(|step| step.kernel.name()).collect();
    let code: u64 = kernels.into_iter().map(|kernel| kernel_bytes(kernel, target)).sum();
    let constants: usize = programs.iter().map(|program| program.constants_bytes()).sum();
    constants as u64 + BASE_CODE_BYTES + steps().count() as u64 * STEP_CODE_BYTES + code
}

fn kernel_bytes(name: &str, target: Option<&Target>) -> u64 {
    let row = KERNELS.iter().find(|(kernel, _, _)| *kernel == name);
    let (arm, riscv) = row.map_or(OTHER_KERNEL, |&(_, arm, riscv)| (arm, riscv));
    match target {
        Some(target) if target.triple.starts_with("riscv") => riscv,
        Some(_) => arm,
        None => arm.max(riscv),
    }
}

/// Arenas, each its own, and one stack.
pub fn ram_bytes(programs: &[&Program]) -> u64 {
    programs.iter().map(|program| program.arena_bytes as u64).sum::<u64>() + STACK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_unlike() {
        assert!(KERNELS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn without_a_target_the_worse_architecture_counts() {
        let riscv = rasbora_compiler::target::TARGETS.iter().find(|target| target.name == "rv32imac");
        let arm = rasbora_compiler::target::TARGETS.iter().find(|target| target.name == "cortex-m0");
        let of = |target| kernel_bytes("DepthwiseConv2d", target);
        assert_eq!(of(None), of(arm).max(of(riscv)));
        assert_eq!(kernel_bytes("Unheard", None), OTHER_KERNEL.0);
    }
}
