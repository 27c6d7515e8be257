//! Sums of 16-bit inputs with 8-bit weights, two products an instruction: 30 cycles for four taps of four filters by the M4
//! model.
//!
//! `SXTB16` makes halves of every other byte, so the inputs are put in the same order: even taps, then odd ones.

use core::arch::naked_asm;

/// Expands a word of weights and adds its four products: `$word` is lost.
macro_rules! products {
    ($word:literal, $sum:literal) => {
        concat!(
            "sxtb16 r8, ",
            $word,
            "\n",
            "sxtb16 ",
            $word,
            ", ",
            $word,
            ", ror #8\n",
            "smlad ",
            $sum,
            ", r8, lr, ",
            $sum,
            "\n",
            "smlad ",
            $sum,
            ", ",
            $word,
            ", r9, ",
            $sum,
            "\n",
        )
    };
}

/// Writes the sums of four filters, whose weights start `step` apart, with `taps` inputs. The parameter does nothing: it keeps
/// the function out of the objects that do not call it.
///
/// # Safety
/// There must be `taps` inputs, and as many weights of each filter.
#[unsafe(naked)]
pub unsafe extern "C" fn sums<const UNUSED: u32>(
    x: *const i16,
    weights: *const i8,
    step: usize,
    taps: usize,
    sums: &mut [i32; 4],
) {
    naked_asm!(
        "push {{r3-r11, lr}}",
        "add r12, r2, r2, lsl #1",
        "mov r4, #0",
        "mov r5, #0",
        "mov r6, #0",
        "mov r7, #0",
        "lsrs r3, r3, #2",
        "beq 3f",
        "2:",
        "ldr r8, [r0], #4",
        "ldr r9, [r0], #4",
        "ldr r10, [r1, r12]",
        "ldr r11, [r1, r2, lsl #1]",
        "pkhbt lr, r8, r9, lsl #16",
        "pkhtb r9, r9, r8, asr #16",
        products!("r10", "r7"),
        products!("r11", "r6"),
        "ldr r10, [r1, r2]",
        "ldr r11, [r1], #4",
        products!("r10", "r5"),
        products!("r11", "r4"),
        "subs r3, r3, #1",
        "bne 2b",
        "3:",
        "ldr r3, [sp]",
        "ands r3, r3, #3",
        "beq 5f",
        "4:",
        "ldrsh r8, [r0], #2",
        "ldrsb r9, [r1, r12]",
        "ldrsb r10, [r1, r2, lsl #1]",
        "ldrsb r11, [r1, r2]",
        "ldrsb lr, [r1], #1",
        "mla r7, r8, r9, r7",
        "mla r6, r8, r10, r6",
        "mla r5, r8, r11, r5",
        "mla r4, r8, lr, r4",
        "subs r3, r3, #1",
        "bne 4b",
        "5:",
        "ldr r0, [sp, #40]",
        "stm r0, {{r4-r7}}",
        "pop {{r3-r11, pc}}",
    )
}
