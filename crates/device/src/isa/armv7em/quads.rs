//! Depthwise sums of four channels.
//!
//! A tap takes 11 cycles by the M4 model for its 4 products: 2 loads in a group (3), 2 `SXTB16`, 2 masks, 4 `SMLAxy`. Three taps
//! are one turn of the loop. Pairs of taps for `SMLAD` need as many halves joined as they save products, and weights of 16
//! bits save one cycle a tap for as many bytes.

use core::arch::naked_asm;

use super::Quads;
use crate::isa::paired::FINE_SHIFT;
use crate::isa::quads::GRAIN_BITS;
use crate::ops::Corrections;

/// Arguments of [`quads`], which changes them. Distances are in bytes.
#[repr(C)]
pub struct Call {
    x_cell: *const i8,
    filters: *const u32,
    out: *mut i8,
    cells: u32,
    quads: u32,
    cell_step: u32,
    tap_step: u32,
    /// Turns of the loop over three taps, in a row of taps.
    threes: u32,
    three_step: u32,
    /// Taps after them, in a row of taps.
    ones: u32,
    rows: u32,
    /// From the end of a row of taps to the next.
    row_step: u32,
    /// 0 where there are no corrections and the shift is the fine one; bit 0: corrections are bytes; bit 1: they are words;
    /// bit 2: another shift.
    mode: u32,
    zero: i32,
    /// Working memory: input, quads and rows that are left.
    x: *const i8,
    quads_left: u32,
    rows_left: u32,
    /// Bytes by which the last four channels overlap those before.
    overlap: u32,
    shift: u32,
}

impl Call {
    /// A window of width 3 is one row of turns, and so is one of width 1 on its side.
    pub fn new(quads: Quads, x: *const i8, filters: *const u32, out: *mut i8) -> Self {
        let [down, right] = quads.steps;
        let (rows, threes, three_step, ones, tap_step) = match quads.kernel {
            [height, 3] => (1, height, down, 0, right),
            [height, 1] => (1, height / 3, down.wrapping_mul(3), height % 3, down),
            [height, width] => (height, width / 3, right.wrapping_mul(3), width % 3, right),
        };
        let row = threes.wrapping_mul(three_step).wrapping_add(ones.wrapping_mul(tap_step));
        Self {
            x_cell: x,
            filters,
            out,
            cells: quads.cells,
            quads: quads.quads(),
            cell_step: quads.cell_step,
            tap_step,
            threes,
            three_step,
            ones,
            rows,
            row_step: down.wrapping_sub(row),
            mode: u32::from(quads.shift != FINE_SHIFT) << 2
                | match quads.corrections {
                    Corrections::None => 0,
                    Corrections::Bytes => 1,
                    Corrections::Words => 2,
                },
            zero: quads.zero,
            x,
            quads_left: 0,
            rows_left: 0,
            overlap: quads.channels.wrapping_neg() & 3,
            shift: quads.shift,
        }
    }
}

/// All cells of a row. The parameter does nothing: it keeps the function out of the objects of targets that lack the
/// instructions, which only emit what is used.
///
/// r0–r3 the sums, r4 input, r5 distance of taps, r6 stream, r7 the call, r8 and r9 inputs, r10 and r11 weights,
/// r12 distance of turns, lr turns that are left.
///
/// # Safety
/// Input, stream and output must have the lengths that the sizes want.
#[unsafe(naked)]
pub unsafe extern "C" fn quads<const UNUSED: u32>(call: *mut Call) {
    naked_asm!(
        // LLVM gathers the symbols of assembly with no more than the triple, and that of Armv8-M lacks the DSP extension.
        ".cpu cortex-m4",
        ".macro products",
        "sxtb16 r9, r8",
        "and r11, r10, #0xff00ff00",
        "sxtb16 r10, r10",
        "and r8, r8, #0xff00ff00",
        "smlabb r0, r11, r9, r0",
        "smlatt r2, r11, r9, r2",
        "smlabb r1, r10, r8, r1",
        "smlatt r3, r10, r8, r3",
        ".endm",
        // Adds byte `byte` of r8, times the grain, where the sum is negative.
        ".macro correct sum, byte",
        "sxtb r10, r8, ror #8*\\byte",
        "and r10, r10, \\sum, asr #31",
        "add \\sum, \\sum, r10, lsl #{grain_bits}",
        ".endm",
        // Adds `word` where the sum is negative.
        ".macro correct_by sum, word",
        "and \\word, \\word, \\sum, asr #31",
        "add \\sum, \\sum, \\word",
        ".endm",
        ".macro multiply",
        "ldm r6!, {{r8, r9, r12, lr}}",
        "smmla r0, r0, r8, r11",
        "smmla r1, r1, r9, r11",
        "smmla r2, r2, r12, r11",
        "smmla r3, r3, lr, r11",
        ".endm",
        "push {{r4-r11, lr}}",
        "mov r7, r0",
        "ldr r5, [r7, #24]",
        // A cell.
        "10:",
        "ldr r4, [r7]",
        "ldr r6, [r7, #4]",
        "ldr r9, [r7, #16]",
        "str r4, [r7, #56]",
        "str r9, [r7, #60]",
        // Four channels.
        "20:",
        "ldr r8, [r7, #40]",
        "ldr lr, [r7, #28]",
        "ldr r12, [r7, #32]",
        "ldm r6!, {{r0-r3}}",
        "str r8, [r7, #64]",
        // A row of taps.
        "30:",
        "cmp lr, #0",
        "beq 35f",
        "31:",
        "ldr r8, [r4]",
        "ldr r10, [r6]",
        "products",
        "ldr r8, [r4, r5]",
        "ldr r10, [r6, #4]",
        "products",
        "ldr r8, [r4, r5, lsl #1]",
        "ldr r10, [r6, #8]",
        "products",
        "add r4, r4, r12",
        "add r6, r6, #12",
        "subs lr, lr, #1",
        "bne 31b",
        "35:",
        "ldr lr, [r7, #36]",
        "ldr r8, [r7, #64]",
        "cmp lr, #0",
        "beq 37f",
        "36:",
        "ldr r8, [r4]",
        "ldr r10, [r6]",
        "products",
        "add r4, r4, r5",
        "add r6, r6, #4",
        "subs lr, lr, #1",
        "bne 36b",
        "ldr r8, [r7, #64]",
        "37:",
        "subs r8, r8, #1",
        "beq 40f",
        "ldr r9, [r7, #44]",
        "ldr lr, [r7, #28]",
        "str r8, [r7, #64]",
        "add r4, r4, r9",
        "b 30b",
        // Requantisation.
        "40:",
        "ldr r10, [r7, #48]",
        "ldr r11, [r7, #52]",
        "cmp r10, #0",
        "bne 44f",
        "41:",
        "multiply",
        "ssat r0, #8, r0, asr #{fine}",
        "ssat r1, #8, r1, asr #{fine}",
        "ssat r2, #8, r2, asr #{fine}",
        "ssat r3, #8, r3, asr #{fine}",
        "42:",
        "ldr r8, [r7, #8]",
        "ldr r4, [r7, #56]",
        "ldr r9, [r7, #60]",
        "ldr r10, [r7, #68]",
        "strb r0, [r8]",
        "strb r1, [r8, #1]",
        "strb r2, [r8, #2]",
        "strb r3, [r8, #3]",
        "add r8, r8, #4",
        "add r4, r4, #4",
        "sub r9, r9, #1",
        "cmp r9, #1",
        "itt eq",
        "subeq r8, r8, r10",
        "subeq r4, r4, r10",
        "str r8, [r7, #8]",
        "str r4, [r7, #56]",
        "str r9, [r7, #60]",
        "bhs 20b",
        "ldr r4, [r7]",
        "ldr r8, [r7, #20]",
        "ldr r9, [r7, #12]",
        "add r4, r4, r8",
        "subs r9, r9, #1",
        "str r4, [r7]",
        "str r9, [r7, #12]",
        "bne 10b",
        "pop {{r4-r11, pc}}",
        // Corrections: the mode goes bit by bit, until none is left. No instruction of a correction changes the flags.
        "44:",
        "lsrs r12, r10, #1",
        "bcc 45f",
        "ldr r8, [r6], #4",
        "correct r0, 0",
        "correct r1, 1",
        "correct r2, 2",
        "correct r3, 3",
        "beq 41b",
        "45:",
        "lsrs r12, r12, #1",
        "bcc 46f",
        "ldm r6!, {{r8-r10, lr}}",
        "correct_by r0, r8",
        "correct_by r1, r9",
        "correct_by r2, r10",
        "correct_by r3, lr",
        "beq 41b",
        // Another shift.
        "46:",
        "ldr r10, [r7, #72]",
        "multiply",
        "asr r0, r0, r10",
        "asr r1, r1, r10",
        "asr r2, r2, r10",
        "asr r3, r3, r10",
        "ssat r0, #8, r0",
        "ssat r1, #8, r1",
        "ssat r2, #8, r2",
        "ssat r3, #8, r3",
        "b 42b",
        ".purgem products",
        ".purgem correct",
        ".purgem correct_by",
        ".purgem multiply",
        fine = const FINE_SHIFT,
        grain_bits = const GRAIN_BITS,
    )
}
