//! Depthwise 3×3 sums over planes, and the spreading of input to planes.
//!
//! Four outputs, two on each axis, take 73 cycles by the M4 model with stride 1: 24 multiplications, 16 to load and walk, 14
//! to store, 12 to requantise. With stride 2 they take 89. A column adds some 30. Spreading takes 18 cycles for eight
//! elements.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{Planes, Spread};
use crate::isa::paired::FINE_SHIFT;

/// Arguments of [`spread`]. Distances are in bytes.
#[repr(C)]
pub struct Cells {
    x: *const i8,
    planes: *mut u32,
    cell_step: u32,
    rows: u32,
    cells: u32,
    /// Four times.
    padding: u32,
    odd: u32,
    row_step: u32,
    plane_row: u32,
}

impl Cells {
    pub fn new(spread: Spread, x: *const i8, planes: *mut u32) -> Self {
        let Spread { rows, cells, cell_step, row_step, odd, padding_value, plane_row } = spread;
        let padding = u32::from_le_bytes([padding_value.cast_unsigned(); 4]);
        Self { x, planes, cell_step, rows, cells, padding, odd: odd.into(), row_step, plane_row: 4 * plane_row }
    }
}

/// Spreads all rows. The parameter does nothing: it keeps the function out of the objects of targets that lack the
/// instructions, which only emit what is used.
///
/// r0 and lr where a row starts, in the input and in the planes, r12 and r1 where it goes on, r2 the distance of cells, r3
/// rows that are left, r8 padding, r9 a mask, r10 cells that are left, r11 the call.
///
/// # Safety
/// Input and planes must have the lengths that the sizes want.
#[unsafe(naked)]
pub unsafe extern "C" fn spread<const UNUSED: u32>(cells: &Cells) {
    naked_asm!(
        // LLVM gathers the symbols of assembly with no more than the triple, and that of Armv8-M lacks the DSP extension.
        ".cpu cortex-m4",
        // Two cells of four channels in r4 and r5 to two halves of four words.
        ".macro spread_2",
        "pkhbt r6, r4, r5, lsl #16",
        "pkhtb r7, r5, r4, asr #16",
        "and r4, r9, r6, lsl #8",
        "and r5, r9, r6",
        "and r6, r9, r7, lsl #8",
        "and r7, r9, r7",
        "stm r1!, {{r4-r7}}",
        ".endm",
        "push {{r4-r11, lr}}",
        "mov r11, r0",
        "ldr r0, [r11]",
        "ldr lr, [r11, #4]",
        "ldr r2, [r11, #8]",
        "ldr r3, [r11, #12]",
        "ldr r8, [r11, #20]",
        "mov r9, #0xff00ff00",
        "10:",
        "ldr r10, [r11, #16]",
        "ldr r4, [r11, #24]",
        "mov r12, r0",
        "mov r1, lr",
        "cmp r4, #0",
        "beq 11f",
        "mov r4, r8",
        "ldr r5, [r12]",
        "add r12, r12, r2",
        "sub r10, r10, #1",
        "b 13f",
        "11:",
        "subs r10, r10, #2",
        "blo 14f",
        "12:",
        "ldr r4, [r12]",
        "ldr r5, [r12, r2]",
        "add r12, r12, r2, lsl #1",
        "spread_2",
        "subs r10, r10, #2",
        "blo 14f",
        "ldr r4, [r12]",
        "ldr r5, [r12, r2]",
        "add r12, r12, r2, lsl #1",
        "13:",
        "spread_2",
        "subs r10, r10, #2",
        "bhs 12b",
        "14:",
        "cmn r10, #1",
        "bne 15f",
        "ldr r4, [r12]",
        "mov r5, r8",
        "spread_2",
        "15:",
        "ldr r4, [r11, #28]",
        "ldr r5, [r11, #32]",
        "add r0, r0, r4",
        "add lr, lr, r5",
        "subs r3, r3, #1",
        "bne 10b",
        "pop {{r4-r11, pc}}",
        ".purgem spread_2",
    )
}

/// Arguments of [`planes`], which moves the pointers on. Distances are in bytes.
#[repr(C)]
pub struct Call {
    x: *const u32,
    filters: *const u32,
    out: *mut i8,
    plane_row: u32,
    cell_step: u32,
    /// A row of the output.
    out_row: u32,
    width: u32,
    /// From the first row of planes to the end of the whole pairs of rows, and to the end of a last single row.
    pairs: u32,
    all: u32,
    /// From two columns of outputs to the next, in the planes.
    two_columns: u32,
    signed: u32,
    zero: i32,
    factor: u32,
    channels: u32,
}

impl Call {
    pub fn new(planes: Planes, x: *const u32, filters: *const u32, out: *mut i8) -> Self {
        let Planes { output: [height, width], stride, cell_step, plane_row, signed, zero, factor } = planes;
        let two_rows = 4 * plane_row * 2 * stride;
        Self {
            x,
            filters,
            out,
            plane_row: 4 * plane_row,
            cell_step,
            out_row: width * cell_step,
            width,
            pairs: height / 2 * two_rows,
            all: height.div_ceil(2) * two_rows,
            two_columns: 16 * stride,
            signed: signed.into(),
            zero,
            factor: factor.into(),
            channels: 4,
        }
    }
}

/// All cells of four channels. The parameter does nothing, as in [`spread`].
///
/// Two columns of outputs are computed downwards, two rows at once. Beyond an odd number of rows or columns a second output
/// is computed and stored first, where the right one then follows: the distance between them is set to 0.
///
/// r0–r5 weights, r6 and r7 inputs, r8–r11 the sums (two columns of a row, then of the next), r12 the planes, lr their row.
/// s0 bias, s1 multiplier, s2 output, s3 distance of columns, s4 of rows, s5 where the rows end for now, s6 correction, s7
/// saves r12, s8 whether there are corrections, s9 where all rows end, s10 zero, s11 and s12 where the columns start in the
/// planes and in the output, s13 columns that are left, s14 the call, s15 a row of the output.
///
/// # Safety
/// Planes, stream and output must have the lengths that the sizes want.
#[unsafe(naked)]
pub unsafe extern "C" fn planes<const UNUSED: u32>(call: &mut Call) {
    naked_asm!(
        ".cpu cortex-m4",
        ".fpu fpv4-sp-d16",
        // Two bytes of `word` as halves, multiplied by r10.
        ".macro taps to, word, rotate",
        "sxtb16 \\to, \\word, ror #\\rotate",
        "smultb r11, \\to, r10",
        "smulbb \\to, \\to, r10",
        "pkhbt \\to, \\to, r11, lsl #16",
        ".endm",
        ".macro load_2",
        "ldr r6, [r12]",
        "ldr r7, [r12, #16]",
        ".endm",
        // Two neighbouring outputs from the words of four cells; the first sum holds the bias of both where they start.
        ".macro near_2 sum, next, w01, w12, from",
        "smlad \\next, r7, \\w12, \\from",
        "smlatb \\next, r6, \\w01, \\next",
        "smlad \\sum, r6, \\w01, \\sum",
        "smlabt \\sum, r7, \\w12, \\sum",
        ".endm",
        // An output from the words of four cells.
        ".macro far sum, first, second, w01, w12",
        "smlad \\sum, \\first, \\w01, \\sum",
        "smlabt \\sum, \\second, \\w12, \\sum",
        ".endm",
        // The four sums to bytes, and the next turn of `loop`.
        ".macro finish loop",
        "vmov r7, s8",
        "vmov r6, s1",
        "cmp r7, #0",
        "bne 63f",
        "smmul r8, r8, r6",
        "smmul r9, r9, r6",
        "smmul r10, r10, r6",
        "smmul r11, r11, r6",
        "61:",
        "vmov s7, r12",
        "vmov r12, s3",
        "vmov r6, s2",
        "vmov r7, s4",
        "ssat r8, #8, r8, asr #{shift}",
        "ssat r9, #8, r9, asr #{shift}",
        "ssat r10, #8, r10, asr #{shift}",
        "ssat r11, #8, r11, asr #{shift}",
        "add r7, r6, r7",
        "strb r11, [r7, r12]",
        "strb r10, [r7]",
        "strb r9, [r6, r12]",
        "strb r8, [r6]",
        "rsb r6, r6, r7, lsl #1",
        "vmov s2, r6",
        "vmov r12, s7",
        "62:",
        "vmov r6, s5",
        "cmp r12, r6",
        "bne \\loop",
        "vmov r7, s9",
        "cmp r12, r7",
        "beq 70f",
        "mov r6, #0",
        "vmov s5, r7",
        "vmov s4, r6",
        "b \\loop",
        "63:",
        "vmov r6, s6",
        "and r7, r6, r8, asr #31",
        "add r8, r8, r7",
        "and r7, r6, r9, asr #31",
        "add r9, r9, r7",
        "and r7, r6, r10, asr #31",
        "add r10, r10, r7",
        "and r7, r6, r11, asr #31",
        "add r11, r11, r7",
        "vmov r6, s1",
        "vmov r7, s10",
        "smmla r8, r8, r6, r7",
        "smmla r9, r9, r6, r7",
        "smmla r10, r10, r6, r7",
        "smmla r11, r11, r6, r7",
        "b 61b",
        ".endm",
        "push {{r4-r11, lr}}",
        "vmov s14, r0",
        "ldr r1, [r0]",
        "ldr r2, [r0, #{out}]",
        "vmov s11, r1",
        "vmov s12, r2",
        "ldr lr, [r0, #{plane_row}]",
        "vldr s15, [r0, #{out_row}]",
        "vldr s8, [r0, #{signed}]",
        "vldr s10, [r0, #{zero}]",
        // A channel.
        "20:",
        "vmov r6, s14",
        "ldr r12, [r6, #{filters}]",
        "ldm r12!, {{r7-r9}}",
        "vldr s0, [r12]",
        "vldr s1, [r12, #4]",
        "ldr r10, [r6, #{signed}]",
        "add r12, r12, #8",
        "cmp r10, #0",
        "beq 21f",
        "vldmia r12!, {{s6}}",
        "21:",
        "str r12, [r6, #{filters}]",
        "ldr r10, [r6, #{factor}]",
        "taps r0, r7, 0",
        "taps r1, r7, 8",
        "taps r2, r8, 0",
        "taps r3, r8, 8",
        "taps r4, r9, 0",
        "taps r5, r9, 8",
        "ldr r7, [r6]",
        "ldr r8, [r6, #{out}]",
        "vldr s13, [r6, #{width}]",
        "vmov s11, r7",
        "vmov s12, r8",
        "add r7, r7, #4",
        "add r8, r8, #1",
        "str r7, [r6]",
        "str r8, [r6, #{out}]",
        // Two columns.
        "30:",
        "vmov r6, s14",
        "vmov r12, s11",
        "vmov r10, s13",
        "ldr r7, [r6, #{cell_step}]",
        "ldr r8, [r6, #{pairs}]",
        "ldr r9, [r6, #{all}]",
        "ldr r11, [r6, #{two_columns}]",
        "cmp r10, #1",
        "it eq",
        "moveq r7, #0",
        "vmov s3, r7",
        "add r8, r8, r12",
        "add r9, r9, r12",
        "vmov s5, r8",
        "vmov s9, r9",
        "vmov.f32 s4, s15",
        "vmov.f32 s2, s12",
        "cmp r11, #16",
        "bne 50f",
        "b 62f",
        "40:",
        "vmov r8, s0",
        "load_2",
        "add r12, r12, lr",
        "near_2 r8, r9, r0, r1, r8",
        "vmov r10, s0",
        "load_2",
        "add r12, r12, lr",
        "near_2 r8, r9, r2, r3, r9",
        "near_2 r10, r11, r0, r1, r10",
        "load_2",
        "add r12, r12, lr",
        "near_2 r8, r9, r4, r5, r9",
        "near_2 r10, r11, r2, r3, r11",
        "load_2",
        "sub r12, r12, lr",
        "near_2 r10, r11, r4, r5, r11",
        "finish 40b",
        "50:",
        "b 62f",
        "51:",
        "vmov r8, s0",
        "vmov r9, s0",
        "vmov r10, s0",
        "vmov r11, s0",
        "load_2",
        "far r8, r6, r7, r0, r1",
        "ldr r6, [r12, #32]",
        "far r9, r7, r6, r0, r1",
        "add r12, r12, lr",
        "load_2",
        "far r8, r6, r7, r2, r3",
        "ldr r6, [r12, #32]",
        "far r9, r7, r6, r2, r3",
        "add r12, r12, lr",
        "load_2",
        "far r8, r6, r7, r4, r5",
        "far r10, r6, r7, r0, r1",
        "ldr r6, [r12, #32]",
        "far r9, r7, r6, r4, r5",
        "far r11, r7, r6, r0, r1",
        "add r12, r12, lr",
        "load_2",
        "far r10, r6, r7, r2, r3",
        "ldr r6, [r12, #32]",
        "far r11, r7, r6, r2, r3",
        "add r12, r12, lr",
        "load_2",
        "far r10, r6, r7, r4, r5",
        "ldr r6, [r12, #32]",
        "far r11, r7, r6, r4, r5",
        "finish 51b",
        // The next two columns.
        "70:",
        "vmov r6, s13",
        "subs r6, r6, #2",
        "bls 80f",
        "vmov r7, s14",
        "vmov r8, s11",
        "vmov r9, s12",
        "ldr r10, [r7, #{two_columns}]",
        "ldr r11, [r7, #{cell_step}]",
        "add r8, r8, r10",
        "add r9, r9, r11, lsl #1",
        "vmov s13, r6",
        "vmov s11, r8",
        "vmov s12, r9",
        "b 30b",
        // The next channel.
        "80:",
        "vmov r6, s14",
        "ldr r7, [r6, #{channels}]",
        "subs r7, r7, #1",
        "str r7, [r6, #{channels}]",
        "bne 20b",
        "pop {{r4-r11, pc}}",
        ".purgem taps",
        ".purgem load_2",
        ".purgem near_2",
        ".purgem far",
        ".purgem finish",
        shift = const FINE_SHIFT,
        filters = const offset_of!(Call, filters),
        out = const offset_of!(Call, out),
        plane_row = const offset_of!(Call, plane_row),
        cell_step = const offset_of!(Call, cell_step),
        out_row = const offset_of!(Call, out_row),
        width = const offset_of!(Call, width),
        pairs = const offset_of!(Call, pairs),
        all = const offset_of!(Call, all),
        two_columns = const offset_of!(Call, two_columns),
        signed = const offset_of!(Call, signed),
        zero = const offset_of!(Call, zero),
        factor = const offset_of!(Call, factor),
        channels = const offset_of!(Call, channels),
    )
}
