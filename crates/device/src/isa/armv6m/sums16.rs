//! Sums of 16-bit inputs with 8-bit weights: a tap of four filters takes 24 cycles by the M0 model, of which ten load.

use core::arch::naked_asm;

/// Adds the product of the input in r6 with a weight.
macro_rules! product {
    ($offset:literal, $sum:literal) => {
        concat!("ldrsb r7, [r1, ", $offset, "]\n muls r7, r6, r7\n add ", $sum, ", r7")
    };
}

/// Writes the sums of four filters, whose weights start `step` apart, with `taps` inputs. The parameter does nothing: it keeps
/// the function out of the objects that do not call it.
///
/// # Safety
/// There must be `taps` inputs, one at least, and as many weights of each filter.
#[unsafe(naked)]
pub unsafe extern "C" fn sums<const UNUSED: u32>(
    x: *const i16,
    weights: *const i8,
    step: usize,
    taps: usize,
    sums: &mut [i32; 4],
) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4-r7}}",
        "lsls r3, r3, #1",
        "adds r3, r0, r3",
        "mov r12, r3",
        "lsls r4, r2, #1",
        "adds r5, r4, r2",
        "movs r3, #0",
        "mov r8, r3",
        "mov r9, r3",
        "mov r10, r3",
        "mov r11, r3",
        "2:",
        "ldrsh r6, [r0, r3]",
        product!("r3", "r8"),
        product!("r2", "r9"),
        product!("r4", "r10"),
        product!("r5", "r11"),
        "adds r0, #2",
        "adds r1, #1",
        "cmp r0, r12",
        "bne 2b",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "ldr r0, [sp, #36]",
        "stm r0!, {{r4-r7}}",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4-r7, pc}}",
    )
}
