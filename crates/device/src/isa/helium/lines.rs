//! Columns of a line, and their sums with four filters at a time: filters and all that rounds their sums stay in registers.
//!
//! Up to 64 taps are written out: sixteen of them take 9 instructions, the last sixteen 6, as their weights stay in
//! registers, and four outputs 13 more. Columns with more taps are summed three at a time with two filters, 12 instructions
//! for sixteen taps of six sums.

use core::arch::naked_asm;

use crate::isa::layer::{Filters, Line};

/// Outputs of a block.
const BLOCK: usize = 4;
/// The most taps that are written out.
const SHORT: usize = 64;
/// Columns that are summed at a time where there are more taps.
const COLUMNS: usize = 3;

/// What the assembly is called with; it changes the first of them.
#[repr(C)]
#[allow(dead_code, reason = "assembly reads the fields")]
pub struct Call {
    x: *const i8,
    weights: *const i8,
    bias: *const i32,
    multipliers: *const i32,
    out: *mut i8,
    /// Outputs that are left.
    left: u32,
    taps: u32,
    /// Elements from a column to the next.
    step: u32,
    out_step: u32,
    cells: u32,
    zero: i32,
    /// Bytes from a multiplier to the next.
    multiplier_step: u32,
    signed: u32,
    /// Taps of the last vector.
    tail: u32,
    /// Working memory: biases and multipliers of a block, its filters, its outputs, columns that are left.
    block: [[i32; BLOCK]; 2],
    filters: *const i8,
    block_out: *mut i8,
    cells_left: u32,
}

impl Call {
    /// `None` where a column or its outputs do not fit, or there is no assembly for such a layer.
    #[inline(always)]
    pub fn new(filters: &Filters<'_>, line: Line<'_>) -> Option<Self> {
        let Filters { taps, weights, outputs } = *filters;
        let (x, out) = line.cell(line.cells.checked_sub(1)?, taps, outputs.len());
        let columns = if taps > SHORT { COLUMNS } else { 2 };
        let known = outputs.scaling.once && outputs.len() >= BLOCK && line.cells >= columns;
        (known && filters.fit(x, out)).then_some(Self {
            x: line.x.as_ptr(),
            weights: weights.as_ptr(),
            bias: outputs.bias.as_ptr(),
            multipliers: outputs.multipliers.as_ptr(),
            out: line.out.as_mut_ptr(),
            left: outputs.len() as u32,
            taps: taps as u32,
            step: line.step as u32,
            out_step: line.out_step as u32,
            cells: line.cells as u32,
            zero: outputs.scaling.zero,
            multiplier_step: 4 * outputs.step as u32,
            signed: outputs.scaling.signed.into(),
            tail: ((taps as u32).wrapping_sub(1) & 15) + 1,
            block: [[0; BLOCK]; 2],
            filters: weights.as_ptr(),
            block_out: line.out.as_mut_ptr(),
            cells_left: 0,
        })
    }

    /// Computes the outputs.
    ///
    /// # Safety
    /// The call must be as [`Call::new`] made it, of filters whose sums are shifted by `SHIFT`.
    #[inline(always)]
    pub unsafe fn run<const SHIFT: u32>(&mut self) {
        // SAFETY: columns, weights, biases and outputs have the lengths that the sizes want, and multipliers are as their step
        // says.
        unsafe { if self.taps as usize > SHORT { long::<SHIFT>(self) } else { short::<SHIFT>(self) } }
    }
}

/// Saves registers, and the call 64 bytes above `sp`.
macro_rules! enter {
    () => {
        ".cpu cortex-m55
         push {{r0, r4-r11, lr}}
         vpush {{d8-d15}}"
    };
}

/// Restores them and returns.
macro_rules! leave {
    () => {
        "vpop {{d8-d15}}
         pop {{r0, r4-r11, pc}}"
    };
}

/// Starts a block: the call in r11, outputs in r12, taps in r9, filters in r1, r3, r5 and r7, biases in q2, multipliers in q3.
/// The last block goes back to overlap the one before.
macro_rules! block {
    () => {
        "10:
         ldr r11, [sp, #64]
         ldr r0, [r11, #20]
         ldrd r1, r2, [r11, #4]
         ldrd r3, r12, [r11, #12]
         ldr r9, [r11, #24]
         ldr r10, [r11, #44]
         rsbs r4, r0, #4
         ble 11f
         mls r1, r4, r9, r1
         sub r2, r2, r4, lsl #2
         mls r3, r4, r10, r3
         sub r12, r12, r4
         movs r0, #4
         11:
         subs r0, r0, #4
         str r0, [r11, #20]
         add r4, r12, #4
         str r4, [r11, #16]
         vldrw.u32 q2, [r2], #16
         str r2, [r11, #8]
         movs r4, #0
         vidup.u32 q1, r4, #1
         vmul.i32 q1, q1, r10
         vldrw.u32 q3, [r3, q1]
         add r3, r3, r10, lsl #2
         str r3, [r11, #12]
         adds r3, r1, r9
         adds r5, r3, r9
         adds r7, r5, r9
         add r4, r7, r9
         str r4, [r11, #4]"
    };
}

/// Goes on with the next block, if there is one.
macro_rules! next_block {
    () => {
        "ldr r11, [sp, #64]
         ldr r0, [r11, #20]
         cmp r0, #0
         bne 10b"
    };
}

/// All columns, which have some whole vectors and a last one, which may be shorter. Mirroring takes the predicate of the
/// last one.
macro_rules! columns {
    ($label:literal, $round:literal, $($whole:expr),*; $last:expr) => {
        concat!(
            "cmp r4, #0\n dls lr, r6\n ", $label, ":\n",
            $($whole, "\n",)*
            $last, "\n",
            "add r9, r9, r12
             vmov q0[2], q0[0], r4, r8
             vmov q0[3], q0[1], r6, r10
             vshl.i32 q0, q0, #8
             vadd.i32 q0, q0, q2
             bne ", $round, "1f
             ", $round, "0:
             vmulh.s32 q0, q0, q3
             vadd.i32 q0, q0, r11
             vqshrnb.s32 q0, q0, {shift}
             vqmovnb.s16 q0, q0
             vstrb.32 q0, [r0]
             add r0, r0, r2
             le lr, ", $label, "b
             b 50f
             ", $round, "1:
             vmov.i32 q1, #255
             vptt.s32 lt, q0, zr
             veort q0, q0, q1
             vsubt.i32 q0, q0, q1
             ldr r4, [sp, #64]
             ldr r4, [r4, #52]
             vctp.8 r4
             b ", $round, "0b
            "
        )
    };
}

/// Sixteen taps of a column with four filters.
macro_rules! whole {
    ($multiply:literal, $at:literal) => {
        concat!(
            "vldrb.u8 q0, [r9, #",
            $at,
            "]
             vldrb.u8 q1, [r1, #",
            $at,
            "]
             ",
            $multiply,
            " r4, q0, q1
             vldrb.u8 q1, [r3, #",
            $at,
            "]
             ",
            $multiply,
            " r6, q0, q1
             vldrb.u8 q1, [r5, #",
            $at,
            "]
             ",
            $multiply,
            " r8, q0, q1
             vldrb.u8 q1, [r7, #",
            $at,
            "]
             ",
            $multiply,
            " r10, q0, q1"
        )
    };
}

/// The last taps, whose weights are in q4 to q7.
macro_rules! last {
    ($multiply:literal, $at:literal) => {
        concat!(
            "vpst
             vldrbt.u8 q0, [r9, #",
            $at,
            "]
             ",
            $multiply,
            " r4, q0, q4
             ",
            $multiply,
            " r6, q0, q5
             ",
            $multiply,
            " r8, q0, q6
             ",
            $multiply,
            " r10, q0, q7"
        )
    };
}

/// Columns of at most 64 taps.
///
/// In the loops: r1, r3, r5 and r7 filters, r4, r6, r8 and r10 their sums, r9 the column, r0 its outputs, r12 and r2 from one
/// to the next, r11 `zero`, q0 inputs, then sums, q1 weights, q2 biases, q3 multipliers, q4 to q7 the last weights. The flags
/// say whether negative sums are mirrored.
///
/// # Safety
/// See [`Call::run`].
#[unsafe(naked)]
unsafe extern "C" fn short<const SHIFT: u32>(call: *mut Call) {
    naked_asm!(
        enter!(),
        block!(),
        "ldr r4, [r11, #52]",
        "vctp.8 r4",
        "subs r9, r9, r4",
        "add r0, r1, r9",
        "add r2, r3, r9",
        "add r4, r5, r9",
        "add r6, r7, r9",
        "vpstttt",
        "vldrbt.u8 q4, [r0]",
        "vldrbt.u8 q5, [r2]",
        "vldrbt.u8 q6, [r4]",
        "vldrbt.u8 q7, [r6]",
        "mov r8, r9",
        "mov r0, r12",
        "ldr r4, [r11, #48]",
        "ldr r6, [r11, #36]",
        "ldrd r12, r2, [r11, #28]",
        "ldr r9, [r11]",
        "ldr r11, [r11, #40]",
        "cmp r8, #16",
        "beq 22f",
        "cmp r8, #32",
        "beq 23f",
        "bhi 24f",
        columns!("21", "6", ; last!("vmladav.s8", "0")),
        "22:",
        columns!("32", "7", whole!("vmladav.s8", "0"); last!("vmladava.s8", "16")),
        "23:",
        columns!("33", "8", whole!("vmladav.s8", "0"), whole!("vmladava.s8", "16"); last!("vmladava.s8", "32")),
        "24:",
        columns!(
            "34", "9",
            whole!("vmladav.s8", "0"), whole!("vmladava.s8", "16"), whole!("vmladava.s8", "32");
            last!("vmladava.s8", "48")
        ),
        "50:",
        next_block!(),
        leave!(),
        shift = const SHIFT,
    )
}

/// Sums of three columns with two filters for sixteen taps.
macro_rules! sixteen {
    ($multiply:literal) => {
        concat!(
            "vldrb.u8 q0, [r7], #16
             vldrb.u8 q1, [r9], #16
             vldrb.u8 q2, [r1], #16
             ",
            $multiply,
            " r0, q2, q0
             ",
            $multiply,
            " r2, q2, q1
             vldrb.u8 q3, [r3], #16
             ",
            $multiply,
            " r4, q3, q0
             ",
            $multiply,
            " r6, q3, q1
             vldrb.u8 q4, [r5], #16
             ",
            $multiply,
            " r8, q4, q0
             ",
            $multiply,
            " r10, q4, q1
            "
        )
    };
}

/// Sums of three columns with two filters, of which r7 is the first, in lanes of q5 to q7. Sixteen taps start them; there are
/// more than 64.
macro_rules! products {
    ($label:literal, $to:literal, $and_to:literal) => {
        concat!(
            "ldrd r4, r8, [r11, #24]
             mov r1, r12
             add r3, r12, r8
             add r5, r3, r8
             add r9, r7, r4, lsl #1
             subs r4, r4, #16
             dlstp.8 lr, r4
            ",
            sixteen!("vmladav.s8"),
            $label,
            ":
            ",
            sixteen!("vmladava.s8"),
            "letp lr, ",
            $label,
            "b
             vmov q5[",
            $to,
            "], q5[",
            $and_to,
            "], r0, r2
             vmov q6[",
            $to,
            "], q6[",
            $and_to,
            "], r4, r6
             vmov q7[",
            $to,
            "], q7[",
            $and_to,
            "], r8, r10"
        )
    };
}

/// At least three columns of any number of taps. The last three go back to overlap those before.
///
/// In the loops: r0, r2, r4, r6, r8 and r10 sums, r1, r3 and r5 columns, r7 and r9 filters, r11 the call, r12 the first column.
///
/// # Safety
/// See [`Call::run`].
#[unsafe(naked)]
unsafe extern "C" fn long<const SHIFT: u32>(call: *mut Call) {
    naked_asm!(
        enter!(),
        block!(),
        "vstrw.32 q2, [r11, #56]",
        "vstrw.32 q3, [r11, #72]",
        "ldr r0, [r11, #36]",
        "strd r1, r12, [r11, #88]",
        "str r0, [r11, #96]",
        "ldr r12, [r11]",
        "20:",
        "ldr r7, [r11, #88]",
        products!("21", "2", "0"),
        "ldr r7, [r11, #88]",
        "ldr r0, [r11, #24]",
        "add r7, r7, r0",
        products!("22", "3", "1"),
        "vldrw.u32 q0, [r11, #56]",
        "vldrw.u32 q1, [r11, #72]",
        "vshl.i32 q5, q5, #8",
        "vshl.i32 q6, q6, #8",
        "vshl.i32 q7, q7, #8",
        "vadd.i32 q5, q5, q0",
        "vadd.i32 q6, q6, q0",
        "vadd.i32 q7, q7, q0",
        "ldr r0, [r11, #40]",
        "ldr r2, [r11, #48]",
        "cbz r2, 23f",
        "vmov.i32 q2, #255",
        "vptt.s32 lt, q5, zr",
        "veort q5, q5, q2",
        "vsubt.i32 q5, q5, q2",
        "vptt.s32 lt, q6, zr",
        "veort q6, q6, q2",
        "vsubt.i32 q6, q6, q2",
        "vptt.s32 lt, q7, zr",
        "veort q7, q7, q2",
        "vsubt.i32 q7, q7, q2",
        "23:",
        "vmulh.s32 q5, q5, q1",
        "vmulh.s32 q6, q6, q1",
        "vmulh.s32 q7, q7, q1",
        "vadd.i32 q5, q5, r0",
        "vadd.i32 q6, q6, r0",
        "vadd.i32 q7, q7, r0",
        "vqshrnb.s32 q5, q5, {shift}",
        "vqshrnb.s32 q6, q6, {shift}",
        "vqshrnb.s32 q7, q7, {shift}",
        "vqmovnb.s16 q5, q5",
        "vqmovnb.s16 q6, q6",
        "vqmovnb.s16 q7, q7",
        "ldrd r3, r5, [r11, #92]",
        "ldrd r8, r4, [r11, #28]",
        "add r0, r3, r4",
        "add r2, r0, r4",
        "vstrb.32 q5, [r3]",
        "vstrb.32 q6, [r0]",
        "vstrb.32 q7, [r2]",
        "subs r5, r5, #3",
        "beq 50f",
        "movs r6, #3",
        "cmp r5, #3",
        "it lt",
        "movlt r6, r5",
        "mla r12, r6, r8, r12",
        "mla r3, r6, r4, r3",
        "subs r6, r5, r6",
        "add r5, r6, #3",
        "strd r3, r5, [r11, #92]",
        "b 20b",
        "50:",
        next_block!(),
        leave!(),
        shift = const SHIFT,
    )
}
