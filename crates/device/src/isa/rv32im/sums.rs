//! Sums of products of bytes, rounded once.
//!
//! A tap of four filters takes 13 instructions for the 4 products of a column, and 22 for the 8 of two columns. A tap of four
//! channels takes 18: no two products have an input in common. An output then takes 12, or 14 by itself.

use core::arch::naked_asm;

use crate::isa::layer::Call;

/// Saves registers, makes room for the addresses that go on from block to block, and loads what stays:
///
/// a0 the call, a3 the inputs, a4 taps, a5 the output, a6 biases, a7 multipliers, s3 where the next block's weights are.
macro_rules! enter {
    () => {
        ".option push
         .option arch, +m
         addi sp, sp, -64
         sw ra, 0(sp)
         sw s0, 4(sp)
         sw s1, 8(sp)
         sw s2, 12(sp)
         sw s3, 16(sp)
         sw s4, 20(sp)
         sw s5, 24(sp)
         sw s6, 28(sp)
         sw s7, 32(sp)
         sw s8, 36(sp)
         sw s9, 40(sp)
         sw s10, 44(sp)
         sw s11, 48(sp)
         lw a3, 0(a0)
         lw s3, 4(a0)
         lw a6, 8(a0)
         lw a7, 12(a0)
         lw a5, 16(a0)
         lw a4, 24(a0)"
    };
}

/// Starts a block. The last of outputs that are no multiple of four goes back by `t0` to overlap the one before.
macro_rules! block {
    ($($own:literal),*) => {
        concat!(
            "10:
             lw t1, 20(a0)
             li t0, 4
             sub t0, t0, t1
             blez t0, 11f
             slli t1, t0, 2
             sub a6, a6, t1
             lw t1, 40(a0)
             mul t1, t1, t0
             sub a7, a7, t1
             sub a5, a5, t0
             li t1, 4
             sw t1, 20(a0)
            ",
            $($own, "\n",)*
            "11:
             mv s0, s3
             li s4, 0
             li s5, 0
             li s6, 0
             li s7, 0"
        )
    };
}

/// Does `tap` for all taps, where `advance` moves `at` from tap to tap; `until` makes `ra` of their number in `t6`.
macro_rules! taps {
    ($at:literal) => {
        concat!(
            "andi t6, a4, -4
             until
             bgeu ",
            $at,
            ", ra, 21f
             20:
             tap 0
             tap 1
             tap 2
             tap 3
             advance 4
             bltu ",
            $at,
            ", ra, 20b
             21:
             mv t6, a4
             until
             bgeu ",
            $at,
            ", ra, 23f
             22:
             tap 0
             advance 1
             bltu ",
            $at,
            ", ra, 22b
             23:
             .purgem tap
             .purgem until
             .purgem advance"
        )
    };
}

/// Rounds sums, goes on with the next block, and returns.
///
/// t0 `zero`, t1 `shift`, t2 and t3 the range, t4 a bias, t5 a multiplier, s0 from a multiplier to the next, s1 the bits that
/// negative sums have mirrored.
macro_rules! round {
    ($($outputs:literal),*; $($own:literal),*) => {
        concat!(
            ".macro start at
             lw t4, 4*\\at(a6)
             lw t5, (a7)
             add a7, a7, s0
             .endm
             .macro output sum, to, at
             slli \\sum, \\sum, 8
             add \\sum, \\sum, t4
             bgez \\sum, 31f
             xor \\sum, \\sum, s1
             sub \\sum, \\sum, s1
             31:
             mulh \\sum, \\sum, t5
             add \\sum, \\sum, t0
             sra \\sum, \\sum, t1
             bge \\sum, t2, 32f
             mv \\sum, t2
             32:
             ble \\sum, t3, 33f
             mv \\sum, t3
             33:
             sb \\sum, \\at(\\to)
             .endm
             lw t0, 32(a0)
             lw t1, 36(a0)
             li t2, -128
             li t3, 127
             lw s0, 40(a0)
             lw s1, 44(a0)
            ",
            $($outputs, "\n",)*
            ".purgem start
             .purgem output
             addi a6, a6, 16
             addi a5, a5, 4
            ",
            $($own, "\n",)*
            "lw t0, 20(a0)
             addi t0, t0, -4
             sw t0, 20(a0)
             bnez t0, 10b
             lw ra, 0(sp)
             lw s0, 4(sp)
             lw s1, 8(sp)
             lw s2, 12(sp)
             lw s3, 16(sp)
             lw s4, 20(sp)
             lw s5, 24(sp)
             lw s6, 28(sp)
             lw s7, 32(sp)
             lw s8, 36(sp)
             lw s9, 40(sp)
             lw s10, 44(sp)
             lw s11, 48(sp)
             addi sp, sp, 64
             ret
             .option pop"
        )
    };
}

/// All outputs of a column. The parameter does nothing: it keeps the function out of objects that do not use it.
///
/// t0 the input, s0–s3 the filters, s4–s7 the sums, ra where a loop ends.
///
/// # Safety
/// There must be an input for each tap, a weight for each tap of each output, a bias and an element of the output for each, and
/// multipliers as their step says; at least four outputs, and a tap.
#[unsafe(naked)]
pub unsafe extern "C" fn column<const UNUSED: u32>(call: *mut Call) {
    naked_asm!(
        enter!(),
        block!("mul t1, t0, a4", "sub s3, s3, t1"),
        ".macro tap at",
        "lb t2, \\at(t0)",
        "lb t3, \\at(s0)",
        "lb t4, \\at(s1)",
        "lb t5, \\at(s2)",
        "lb t6, \\at(s3)",
        "mul t3, t3, t2",
        "mul t4, t4, t2",
        "mul t5, t5, t2",
        "mul t6, t6, t2",
        "add s4, s4, t3",
        "add s5, s5, t4",
        "add s6, s6, t5",
        "add s7, s7, t6",
        ".endm",
        ".macro until",
        "add ra, a3, t6",
        ".endm",
        ".macro advance by",
        "addi t0, t0, \\by",
        "addi s0, s0, \\by",
        "addi s1, s1, \\by",
        "addi s2, s2, \\by",
        "addi s3, s3, \\by",
        ".endm",
        "mv t0, a3",
        "add s1, s0, a4",
        "add s2, s1, a4",
        "add s3, s2, a4",
        taps!("t0"),
        round!(
            "start 0", "output s4, a5, 0", "start 1", "output s5, a5, 1", "start 2", "output s6, a5, 2", "start 3",
            "output s7, a5, 3";
        ),
    )
}

/// All outputs of two columns, as those of [`column`].
///
/// a1 the other inputs, a2 the other output, t0 and t1 an input of both, s8–s11 the other sums.
///
/// # Safety
/// As for [`column`], with so many inputs and so many elements of the output in both.
#[unsafe(naked)]
pub unsafe extern "C" fn columns<const UNUSED: u32>(call: *mut Call, other_x: *const i8, other_out: *mut i8) {
    naked_asm!(
        enter!(),
        block!("sub a2, a2, t0", "mul t1, t0, a4", "sub s3, s3, t1"),
        "li s8, 0",
        "li s9, 0",
        "li s10, 0",
        "li s11, 0",
        ".macro tap at",
        "lb t2, \\at(t0)",
        "lb t3, \\at(t1)",
        "lb t4, \\at(s0)",
        "lb t5, \\at(s1)",
        "mul t6, t4, t2",
        "mul t4, t4, t3",
        "add s4, s4, t6",
        "add s8, s8, t4",
        "mul t6, t5, t2",
        "mul t5, t5, t3",
        "add s5, s5, t6",
        "add s9, s9, t5",
        "lb t4, \\at(s2)",
        "lb t5, \\at(s3)",
        "mul t6, t4, t2",
        "mul t4, t4, t3",
        "add s6, s6, t6",
        "add s10, s10, t4",
        "mul t6, t5, t2",
        "mul t5, t5, t3",
        "add s7, s7, t6",
        "add s11, s11, t5",
        ".endm",
        ".macro until",
        "add ra, a3, t6",
        ".endm",
        ".macro advance by",
        "addi t0, t0, \\by",
        "addi t1, t1, \\by",
        "addi s0, s0, \\by",
        "addi s1, s1, \\by",
        "addi s2, s2, \\by",
        "addi s3, s3, \\by",
        ".endm",
        "mv t0, a3",
        "mv t1, a1",
        "add s1, s0, a4",
        "add s2, s1, a4",
        "add s3, s2, a4",
        taps!("t0"),
        round!(
            "start 0", "output s4, a5, 0", "output s8, a2, 0", "start 1", "output s5, a5, 1", "output s9, a2, 1",
            "start 2", "output s6, a5, 2", "output s10, a2, 2", "start 3", "output s7, a5, 3", "output s11, a2, 3";
            "addi a2, a2, 4"
        ),
    )
}

/// All channels of a window. The parameter does nothing: it keeps the function out of objects that do not use it.
///
/// s3 the weights, t1 the first of them, a1 the input, a2 from tap to tap, s4–s7 the sums.
///
/// # Safety
/// There must be an input and a weight for each tap of each channel, a bias and an element of the output
/// for each channel, and multipliers as their step says; at least four channels, and a tap.
#[unsafe(naked)]
pub unsafe extern "C" fn channels<const UNUSED: u32>(call: *mut Call) {
    naked_asm!(
        enter!(),
        "lw a2, 28(a0)",
        block!("sub a3, a3, t0", "sub s3, s3, t0"),
        ".macro tap at",
        "lb s0, 0(a1)",
        "lb s1, 1(a1)",
        "lb s2, 2(a1)",
        "lb t0, 3(a1)",
        "lb t2, 0(s3)",
        "lb t3, 1(s3)",
        "lb t4, 2(s3)",
        "lb t5, 3(s3)",
        "add a1, a1, a2",
        "add s3, s3, a2",
        "mul t2, t2, s0",
        "mul t3, t3, s1",
        "mul t4, t4, s2",
        "mul t5, t5, t0",
        "add s4, s4, t2",
        "add s5, s5, t3",
        "add s6, s6, t4",
        "add s7, s7, t5",
        ".endm",
        ".macro until",
        "mul t6, t6, a2",
        "add ra, t1, t6",
        ".endm",
        ".macro advance by",
        ".endm",
        "mv a1, a3",
        "mv t1, s3",
        taps!("s3"),
        "addi s3, t1, 4",
        round!(
            "start 0", "output s4, a5, 0", "start 1", "output s5, a5, 1", "start 2", "output s6, a5, 2", "start 3",
            "output s7, a5, 3";
            "addi a3, a3, 4"
        ),
    )
}
