//! Armv7E-M, and Armv8-M with the DSP extension: Cortex-M4, M7, M33.
//!
//! The bound of the paired kernel is one `SMLAD` for two products and the loads that feed it. A block of three outputs and
//! two columns takes 24 cycles by the M4 model for the 24 products of a step: 12 `SMLAD`, 3 `SXTB16`, and 7 loads in two
//! groups (6 + 3 cycles). A fourth output needs two more registers than there are.

#[cfg(target_arch = "arm")]
mod paired_column;
#[cfg(target_arch = "arm")]
mod quads;

use super::paired::{self, Paired};
use super::{Isa, PairedColumn, Portable, Quads};
use crate::memory::{View, ViewMut};

/// Armv7E-M.
#[derive(Clone, Copy, Debug)]
pub struct Armv7em;

impl Isa for Armv7em {
    #[inline(always)]
    fn dot(input: View<'_, i8>, weights: &[i8]) -> i32 {
        Portable::dot(input, weights)
    }

    #[inline(always)]
    fn dot4(input: View<'_, i8>, weights: [&[i8]; 4]) -> [i32; 4] {
        Portable::dot4(input, weights)
    }

    #[inline(always)]
    fn paired(paired: Paired, x: View<'_, u32>, filters: &[u32], out: [ViewMut<'_, i8>; 2]) {
        if !paired.fits(x, filters, &out) {
            return;
        }
        #[cfg(target_arch = "arm")]
        {
            let (threes, twos) = Paired::blocks(paired.outputs);
            let mut call = assembly::Call {
                x: x.as_ptr(),
                x_end: x.as_ptr().wrapping_add(x.len()),
                filters: filters.as_ptr(),
                out: out.map(ViewMut::as_mut_ptr),
                threes,
                twos,
                steps: paired.steps,
                signed: paired.signed.into(),
                zero: paired.zero,
            };
            // SAFETY: `fits` has checked that the streams have the lengths that the blocks and steps read, and the outputs
            // those that they write.
            unsafe {
                match paired.shift {
                    paired::FINE_SHIFT => assembly::paired::<{ paired::FINE_SHIFT }>(&mut call),
                    _ => assembly::paired::<{ paired::SHIFT }>(&mut call),
                }
            }
        }
        #[cfg(not(target_arch = "arm"))]
        paired::portable(paired, x, filters, out);
    }

    #[inline(always)]
    fn paired_column(column: PairedColumn, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) {
        if !column.fits(x, filters, out) {
            return;
        }
        #[cfg(target_arch = "arm")]
        {
            let (fives, ones) = PairedColumn::blocks(column.outputs);
            let mut call = paired_column::Call {
                x: x.as_ptr(),
                x_end: x.as_ptr().wrapping_add(x.len()),
                filters: filters.as_ptr(),
                out: out.as_mut_ptr(),
                fives,
                ones,
                steps: column.steps,
                multiplier: column.multiplier,
                correction: column.correction,
                zero: column.zero,
            };
            // SAFETY: `fits` has checked that the streams have the lengths that the blocks and steps read, the outputs those
            // that they write, and that there is a step.
            unsafe { paired_column::paired_column::<0>(&mut call) }
        }
        #[cfg(not(target_arch = "arm"))]
        super::paired_column::portable(column, x, filters, out);
    }

    #[inline(always)]
    fn quads(quads: Quads, x: View<'_, i8>, filters: &[u32], out: ViewMut<'_, i8>) {
        if !quads.fits(x, filters, out) {
            return;
        }
        #[cfg(target_arch = "arm")]
        {
            let mut call = quads::Call::new(quads, x.as_ptr(), filters.as_ptr(), out.as_mut_ptr());
            // SAFETY: `fits` has checked that the input reaches to the last tap of the last cell, and that stream and
            // output have the lengths that the sizes want.
            unsafe {
                match quads.shift {
                    paired::FINE_SHIFT => quads::quads::<{ paired::FINE_SHIFT }>(&mut call),
                    _ => quads::quads::<{ paired::SHIFT }>(&mut call),
                }
            }
        }
        #[cfg(not(target_arch = "arm"))]
        super::quads::portable(quads, x, filters, out);
    }
}

#[cfg(target_arch = "arm")]
mod assembly {
    use core::arch::naked_asm;

    /// Arguments of [`paired`], which moves the pointers on.
    #[repr(C)]
    pub struct Call {
        pub x: *const u32,
        pub x_end: *const u32,
        pub filters: *const u32,
        pub out: [*mut i8; 2],
        pub threes: u32,
        pub twos: u32,
        pub steps: u32,
        pub signed: u32,
        pub zero: i32,
    }

    /// All blocks of one pair of columns. A generic function stays out of the objects of targets that lack the instructions:
    /// these only emit what is used.
    ///
    /// Inside a block: r0–r5 the sums (three outputs of column 0, then of column 1), r6–r8 lanes, r9 and r10 inputs, r11 the
    /// end of `x`, r12 `x`, lr `filters`; the stack holds the call. The loop over steps is four times unrolled and entered in
    /// its middle, with both pointers set back, where the steps are no multiple of four.
    ///
    /// # Safety
    /// The streams must have the lengths that `threes`, `twos` and `steps` want.
    #[unsafe(naked)]
    pub unsafe extern "C" fn paired<const SHIFT: u32>(call: *mut Call) {
        naked_asm!(
            // LLVM gathers the symbols of assembly with no more than the triple, and that of Armv8-M lacks the DSP extension.
            ".cpu cortex-m4",
            ".macro sums_3 at",
            "ldr r9, [r12, #16*\\at]",
            "ldr r10, [r12, #16*\\at+4]",
            "ldr r6, [lr, #12*\\at]",
            "ldr r7, [lr, #12*\\at+4]",
            "ldr r8, [lr, #12*\\at+8]",
            "smlad r0, r6, r9, r0",
            "smlad r3, r6, r10, r3",
            "smlad r1, r7, r9, r1",
            "smlad r4, r7, r10, r4",
            "smlad r2, r8, r9, r2",
            "smlad r5, r8, r10, r5",
            "ldr r9, [r12, #16*\\at+8]",
            "ldr r10, [r12, #16*\\at+12]",
            "sxtb16 r6, r6",
            "sxtb16 r7, r7",
            "sxtb16 r8, r8",
            "smlad r0, r6, r9, r0",
            "smlad r3, r6, r10, r3",
            "smlad r1, r7, r9, r1",
            "smlad r4, r7, r10, r4",
            "smlad r2, r8, r9, r2",
            "smlad r5, r8, r10, r5",
            ".endm",
            ".macro sums_2 at",
            "ldr r9, [r12, #16*\\at]",
            "ldr r10, [r12, #16*\\at+4]",
            "ldr r2, [r12, #16*\\at+8]",
            "ldr r5, [r12, #16*\\at+12]",
            "ldr r6, [lr, #8*\\at]",
            "ldr r7, [lr, #8*\\at+4]",
            "smlad r0, r6, r9, r0",
            "smlad r3, r6, r10, r3",
            "smlad r1, r7, r9, r1",
            "smlad r4, r7, r10, r4",
            "sxtb16 r6, r6",
            "sxtb16 r7, r7",
            "smlad r0, r6, r2, r0",
            "smlad r3, r6, r5, r3",
            "smlad r1, r7, r2, r1",
            "smlad r4, r7, r5, r4",
            ".endm",
            // Adds `correction` to the sums of one output where they are negative.
            ".macro correct first, second, correction",
            "and r9, \\correction, \\first, asr #31",
            "add \\first, \\first, r9",
            "and r9, \\correction, \\second, asr #31",
            "add \\second, \\second, r9",
            ".endm",
            "push {{r4-r11, lr}}",
            "sub sp, sp, #4",
            "str r0, [sp]",
            "mov r12, r0",
            "ldr lr, [r12, #8]",
            "ldr r11, [r12, #4]",
            "ldr r6, [r12, #20]",
            "cmp r6, #0",
            "beq 30f",
            // Blocks of three.
            "20:",
            "ldm lr!, {{r0-r2}}",
            "ldr r9, [sp]",
            "mov r3, r0",
            "mov r4, r1",
            "ldr r6, [r9, #28]",
            "ldr r12, [r9]",
            "mov r5, r2",
            "ands r6, r6, #3",
            "beq 24f",
            "rsb r6, r6, #4",
            "sub r12, r12, r6, lsl #4",
            "sub lr, lr, r6, lsl #3",
            "sub lr, lr, r6, lsl #2",
            "cmp r6, #2",
            "bhi 21f",
            "beq 22f",
            "b 23f",
            "24:",
            "sums_3 0",
            "23:",
            "sums_3 1",
            "22:",
            "sums_3 2",
            "21:",
            "sums_3 3",
            "add r12, r12, #64",
            "add lr, lr, #48",
            "cmp r12, r11",
            "bne 24b",
            "ldr r12, [sp]",
            "ldr r10, [r12, #32]",
            "ldr r11, [r12, #36]",
            "ldm lr!, {{r6-r8}}",
            "cmp r10, #0",
            "beq 25f",
            "correct r0, r3, r6",
            "correct r1, r4, r7",
            "correct r2, r5, r8",
            "ldm lr!, {{r6-r8}}",
            "25:",
            "ldr r9, [r12, #12]",
            "ldr r10, [r12, #16]",
            "smmla r0, r0, r6, r11",
            "smmla r1, r1, r7, r11",
            "smmla r2, r2, r8, r11",
            "smmla r3, r3, r6, r11",
            "smmla r4, r4, r7, r11",
            "smmla r5, r5, r8, r11",
            "ssat r0, #8, r0, asr #{shift}",
            "ssat r1, #8, r1, asr #{shift}",
            "ssat r2, #8, r2, asr #{shift}",
            "ssat r3, #8, r3, asr #{shift}",
            "ssat r4, #8, r4, asr #{shift}",
            "ssat r5, #8, r5, asr #{shift}",
            "strb r1, [r9, #1]",
            "strb r2, [r9, #2]",
            "strb r0, [r9], #3",
            "strb r4, [r10, #1]",
            "strb r5, [r10, #2]",
            "strb r3, [r10], #3",
            "str r9, [r12, #12]",
            "str r10, [r12, #16]",
            "ldr r6, [r12, #20]",
            "ldr r11, [r12, #4]",
            "subs r6, r6, #1",
            "str r6, [r12, #20]",
            "bne 20b",
            // Blocks of two.
            "30:",
            "ldr r12, [sp]",
            "ldr r6, [r12, #24]",
            "cmp r6, #0",
            "beq 39f",
            "31:",
            "ldm lr!, {{r0-r1}}",
            "ldr r9, [sp]",
            "mov r3, r0",
            "mov r4, r1",
            "ldr r6, [r9, #28]",
            "ldr r12, [r9]",
            "ands r6, r6, #3",
            "beq 35f",
            "rsb r6, r6, #4",
            "sub r12, r12, r6, lsl #4",
            "sub lr, lr, r6, lsl #3",
            "cmp r6, #2",
            "bhi 32f",
            "beq 33f",
            "b 34f",
            "35:",
            "sums_2 0",
            "34:",
            "sums_2 1",
            "33:",
            "sums_2 2",
            "32:",
            "sums_2 3",
            "add r12, r12, #64",
            "add lr, lr, #32",
            "cmp r12, r11",
            "bne 35b",
            "ldr r12, [sp]",
            "ldr r10, [r12, #32]",
            "ldr r11, [r12, #36]",
            "ldm lr!, {{r6-r7}}",
            "cmp r10, #0",
            "beq 36f",
            "correct r0, r3, r6",
            "correct r1, r4, r7",
            "ldm lr!, {{r6-r7}}",
            "36:",
            "ldr r9, [r12, #12]",
            "ldr r10, [r12, #16]",
            "smmla r0, r0, r6, r11",
            "smmla r1, r1, r7, r11",
            "smmla r3, r3, r6, r11",
            "smmla r4, r4, r7, r11",
            "ssat r0, #8, r0, asr #{shift}",
            "ssat r1, #8, r1, asr #{shift}",
            "ssat r3, #8, r3, asr #{shift}",
            "ssat r4, #8, r4, asr #{shift}",
            "strb r1, [r9, #1]",
            "strb r0, [r9], #2",
            "strb r4, [r10, #1]",
            "strb r3, [r10], #2",
            "str r9, [r12, #12]",
            "str r10, [r12, #16]",
            "ldr r6, [r12, #24]",
            "ldr r11, [r12, #4]",
            "subs r6, r6, #1",
            "str r6, [r12, #24]",
            "bne 31b",
            "39:",
            "add sp, sp, #4",
            "pop {{r4-r11, pc}}",
            ".purgem sums_3",
            ".purgem sums_2",
            ".purgem correct",
            shift = const SHIFT,
        )
    }
}
