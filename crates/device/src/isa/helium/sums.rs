//! Sums of products of bytes, rounded once.
//!
//! Sixteen taps of four filters take 10 instructions; a tap of eight channels takes 9, as two vectors of products. Biases and
//! multipliers of a block stay in registers for all cells of a line; the eight outputs of a cell then take 23.

use core::arch::naked_asm;

use crate::isa::layer::Call;

/// Saves registers and what is below; r12 taps.
///
/// At `sp`: the call; where the outputs end that the first block starts at; elements from a cell's inputs to the next, and from
/// its outputs; `zero` and `−shift`; the bits that negative sums have mirrored.
macro_rules! enter {
    () => {
        ".cpu cortex-m55
         push {{r4-r11, lr}}
         vpush {{d8-d15}}
         sub sp, #32
         str r0, [sp]
         strd r2, r3, [sp, #8]
         ldr r2, [r0, #16]
         ldr r12, [r0, #24]
         mla r2, r1, r3, r2
         str r2, [sp, #4]
         ldrd r4, r6, [r0, #32]
         rsbs r6, r6, #0
         strd r4, r6, [sp, #16]
         ldr r4, [r0, #44]
         str r4, [sp, #24]"
    };
}

/// Starts a block of eight outputs: q4 and q5 biases, q6 and q7 multipliers of even and odd ones, r2 the output, r11 the input.
/// The last of outputs that are no multiple of eight goes back by `r3` to overlap the one before.
macro_rules! block {
    ($($own:literal),*) => {
        concat!(
            "10:
             ldr r0, [sp]
             ldr r2, [r0, #16]
             ldrd r8, r10, [r0, #8]
             ldr r4, [r0, #40]
             ldr r1, [r0, #20]
             rsbs r3, r1, #8
             ble 11f
             sub r8, r8, r3, lsl #2
             sub r2, r2, r3
             ldr r1, [sp, #4]
             subs r1, r1, r3
             str r1, [sp, #4]
             mls r10, r3, r4, r10
             movs r1, #8
             str r1, [r0, #20]
            ",
            $($own, "\n",)*
            "11:
             ldr r11, [r0]
             vld20.32 {{q4, q5}}, [r8]
             vld21.32 {{q4, q5}}, [r8]!
             cbz r4, 12f
             vld20.32 {{q6, q7}}, [r10]
             vld21.32 {{q6, q7}}, [r10]!
             b 13f
             12:
             ldr r1, [r10]
             vdup.32 q6, r1
             vmov q7, q6
             13:
             strd r8, r10, [r0, #8]"
        )
    };
}

/// Rounds the sums of even outputs in q0 and of odd ones in q1, goes on with the next cell, the next block, and returns.
macro_rules! round {
    () => {
        "vshl.i32 q0, q0, #8
         vshl.i32 q1, q1, #8
         vadd.i32 q0, q0, q4
         vadd.i32 q1, q1, q5
         ldr r1, [sp, #24]
         cbz r1, 31f
         vdup.32 q2, r1
         vptt.s32 lt, q0, zr
         veort q0, q0, q2
         vsubt.i32 q0, q0, q2
         vptt.s32 lt, q1, zr
         veort q1, q1, q2
         vsubt.i32 q1, q1, q2
         31:
         ldrd r4, r6, [sp, #16]
         ldrd r8, r10, [sp, #8]
         vmulh.s32 q0, q0, q6
         vmulh.s32 q1, q1, q7
         vadd.i32 q0, q0, r4
         vadd.i32 q1, q1, r4
         vshl.s32 q0, r6
         vshl.s32 q1, r6
         vqmovnb.s32 q0, q0
         vqmovnt.s32 q0, q1
         vqmovnb.s16 q0, q0
         vstrb.16 q0, [r2]
         ldr r1, [sp, #4]
         add r11, r11, r8
         add r2, r2, r10
         cmp r2, r1
         bne 16b
         adds r1, r1, #8
         str r1, [sp, #4]
         ldr r0, [sp]
         ldrd r2, r1, [r0, #16]
         adds r2, r2, #8
         subs r1, r1, #8
         strd r2, r1, [r0, #16]
         bne 10b
         add sp, #32
         vpop {{d8-d15}}
         pop {{r4-r11, pc}}"
    };
}

/// All outputs of columns. The parameter does nothing: it keeps the function out of objects that do not use it.
///
/// r0 the block's filters, r1 the column, r3, r5, r7 and r9 filters, r4, r6, r8 and r10 their sums.
///
/// # Safety
/// There must be `cells` columns, one at least, with so many elements from the inputs of one to those of the next, and of the
/// outputs. Each must have an input for each tap, and an element of the output for each output. There must be a weight for each
/// tap of each output, a bias for each, and multipliers as their step says; at least eight outputs, and a tap.
#[unsafe(naked)]
pub unsafe extern "C" fn columns<const UNUSED: u32>(call: *mut Call, cells: usize, x_step: usize, out_step: usize) {
    naked_asm!(
        // Outputs 0, 4, 1 and 5 of eight, or 2, 6, 3 and 7: lanes are written by pairs, one apart.
        ".macro products",
        "add r7, r3, r12",
        "add r5, r3, r12, lsl #2",
        "add r9, r5, r12",
        "movs r4, #0",
        "movs r6, #0",
        "mov r8, r4",
        "mov r10, r4",
        "mov r1, r11",
        "dlstp.8 lr, r12",
        "20:",
        "vldrb.u8 q2, [r1], #16",
        "vldrb.u8 q3, [r3], #16",
        "vmladava.s8 r4, q2, q3",
        "vldrb.u8 q3, [r5], #16",
        "vmladava.s8 r6, q2, q3",
        "vldrb.u8 q3, [r7], #16",
        "vmladava.s8 r8, q2, q3",
        "vldrb.u8 q3, [r9], #16",
        "vmladava.s8 r10, q2, q3",
        "letp lr, 20b",
        ".endm",
        enter!(),
        block!("ldr r1, [r0, #4]", "mls r1, r3, r12, r1", "str r1, [r0, #4]"),
        "ldr r1, [r0, #4]",
        "add r3, r1, r12, lsl #3",
        "str r3, [r0, #4]",
        "mov r0, r1",
        "16:",
        "mov r3, r0",
        "products",
        "vmov q0[2], q0[0], r4, r6",
        "vmov q1[2], q1[0], r8, r10",
        "add r3, r0, r12, lsl #1",
        "products",
        "vmov q0[3], q0[1], r4, r6",
        "vmov q1[3], q1[1], r8, r10",
        ".purgem products",
        round!(),
    )
}

/// All channels of windows. The parameter does nothing: it keeps the function out of objects that do not use it.
///
/// r0 the block's weights, r1 the input, r3 the weights, r5 from tap to tap, q2 inputs, q3 weights and
/// products.
///
/// # Safety
/// There must be `cells` windows, one at least, with so many elements from the inputs of one to those of the next, and of the
/// outputs. Each must have an input for each tap of each channel, and an element of the output for each channel. There must be
/// a weight for each tap of each channel, a bias for each, and multipliers as their step says; at least eight channels, and a
/// tap.
#[unsafe(naked)]
pub unsafe extern "C" fn windows<const UNUSED: u32>(call: *mut Call, cells: usize, x_step: usize, out_step: usize) {
    naked_asm!(
        enter!(),
        "ldr r5, [r0, #28]",
        block!("ldrd r1, r7, [r0]", "subs r1, r1, r3", "subs r7, r7, r3", "strd r1, r7, [r0]"),
        "ldrd r1, r3, [r0]",
        "mov r11, r1",
        "mov r7, r3",
        "adds r1, r1, #8",
        "adds r3, r3, #8",
        "strd r1, r3, [r0]",
        "mov r0, r7",
        "16:",
        "mov r1, r11",
        "mov r3, r0",
        "vmov.i32 q0, #0",
        "vmov.i32 q1, #0",
        "dls lr, r12",
        "20:",
        "vldrb.s16 q2, [r1]",
        "vldrb.s16 q3, [r3]",
        "add r1, r1, r5",
        "add r3, r3, r5",
        "vmul.i16 q2, q2, q3",
        "vmovlb.s16 q3, q2",
        "vmovlt.s16 q2, q2",
        "vadd.i32 q0, q0, q3",
        "vadd.i32 q1, q1, q2",
        "le lr, 20b",
        round!(),
    )
}
