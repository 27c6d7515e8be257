//! Sums of 16-bit inputs with 8-bit weights: four taps of four filters take 59 instructions, and no memory but theirs.

use core::arch::naked_asm;

/// Adds the products of a tap, `$tap` inputs and weights on.
macro_rules! tap {
    ($input:literal, $tap:literal) => {
        concat!(
            "lh t4, ",
            $input,
            "(a0)\n",
            "lb t5, ",
            $tap,
            "(a1)\n",
            "lb t6, ",
            $tap,
            "(a5)\n",
            "mul t5, t5, t4\n",
            "mul t6, t6, t4\n",
            "add t0, t0, t5\n",
            "add t1, t1, t6\n",
            "lb t5, ",
            $tap,
            "(a6)\n",
            "lb t6, ",
            $tap,
            "(a7)\n",
            "mul t5, t5, t4\n",
            "mul t6, t6, t4\n",
            "add t2, t2, t5\n",
            "add t3, t3, t6",
        )
    };
}

/// Goes on by `$taps` taps.
macro_rules! forward {
    ($inputs:literal, $taps:literal) => {
        concat!(
            "addi a0, a0, ",
            $inputs,
            "\n",
            "addi a1, a1, ",
            $taps,
            "\n",
            "addi a5, a5, ",
            $taps,
            "\n",
            "addi a6, a6, ",
            $taps,
            "\n",
            "addi a7, a7, ",
            $taps,
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
        ".option push",
        ".option arch, +m",
        "add a5, a1, a2",
        "add a6, a5, a2",
        "add a7, a6, a2",
        "li t0, 0",
        "li t1, 0",
        "li t2, 0",
        "li t3, 0",
        "srli a2, a3, 2",
        "andi a3, a3, 3",
        "beqz a2, 3f",
        "2:",
        tap!("0", "0"),
        tap!("2", "1"),
        tap!("4", "2"),
        tap!("6", "3"),
        forward!("8", "4"),
        "addi a2, a2, -1",
        "bnez a2, 2b",
        "3:",
        "beqz a3, 5f",
        "4:",
        tap!("0", "0"),
        forward!("2", "1"),
        "addi a3, a3, -1",
        "bnez a3, 4b",
        "5:",
        "sw t0, 0(a4)",
        "sw t1, 4(a4)",
        "sw t2, 8(a4)",
        "sw t3, 12(a4)",
        "ret",
        ".option pop",
    )
}
