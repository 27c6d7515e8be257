//! Stacks of rows, and depthwise sums over them.
//!
//! Four outputs take 21 instructions: a window of one channel is gathered by one and multiplied by another, and weights, biases
//! and multipliers of four channels stay in registers for a row of cells. Sixteen stacks take 11.

use core::arch::naked_asm;

use super::super::Stacks;
use super::super::stacks::{COLUMNS, ROWS};
use crate::memory::{View, ViewMut};

/// What [`stack`] is called with.
#[repr(C)]
#[allow(dead_code, reason = "assembly reads the fields")]
pub struct Rows {
    rows: [*const i8; ROWS],
    to: *mut u32,
    /// Stacks in whole vectors of sixteen, and those after them.
    vectors: u32,
    rest: u32,
    /// Bytes from a vector of a row to the next.
    steps: [u32; ROWS],
    padding: [i8; 16],
}

impl Rows {
    #[inline(always)]
    pub fn new(rows: [View<'_, i8>; ROWS], padding: i8, to: ViewMut<'_, u32>) -> Self {
        Self {
            rows: rows.map(|row| if row.is_empty() { core::ptr::null() } else { row.as_ptr() }),
            to: to.as_mut_ptr(),
            vectors: to.len() as u32 / 16,
            rest: to.len() as u32 % 16,
            steps: rows.map(|row| if row.is_empty() { 0 } else { 16 }),
            padding: [padding; 16],
        }
    }
}

/// Writes stacks. The parameter does nothing: it keeps the function out of objects that do not use it.
///
/// r1, r2 and r3 the rows, r4 stacks, r5, r6 and r7 steps of the rows, r8 what is left, q0 to q2 rows, q3 padding.
///
/// # Safety
/// Rows that are not null and `to` must have as many elements as the vectors and the rest.
#[unsafe(naked)]
pub unsafe extern "C" fn stack<const UNUSED: u32>(rows: *const Rows) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r8, lr}}",
        "ldrd r1, r2, [r0]",
        "ldrd r3, r4, [r0, #8]",
        "ldrd r12, r8, [r0, #16]",
        "ldrd r5, r6, [r0, #24]",
        "ldr r7, [r0, #32]",
        "adds r0, r0, #36",
        "vldrb.u8 q3, [r0]",
        "cmp r1, #0",
        "it eq",
        "moveq r1, r0",
        "cmp r2, #0",
        "it eq",
        "moveq r2, r0",
        "cmp r3, #0",
        "it eq",
        "moveq r3, r0",
        "wls lr, r12, 2f",
        "20:",
        "vldrb.u8 q0, [r1]",
        "vldrb.u8 q1, [r2]",
        "vldrb.u8 q2, [r3]",
        "vst40.8 {{q0, q1, q2, q3}}, [r4]",
        "vst41.8 {{q0, q1, q2, q3}}, [r4]",
        "vst42.8 {{q0, q1, q2, q3}}, [r4]",
        "vst43.8 {{q0, q1, q2, q3}}, [r4]!",
        "add r1, r1, r5",
        "add r2, r2, r6",
        "add r3, r3, r7",
        "le lr, 20b",
        "2:",
        // The rest by four, from the padding on.
        "lsrs r5, r5, #2",
        "lsrs r6, r6, #2",
        "lsrs r7, r7, #2",
        "wlstp.32 lr, r8, 4f",
        "3:",
        "vldrb.u32 q0, [r1]",
        "vldrb.u32 q1, [r2]",
        "vldrb.u32 q2, [r3]",
        "vsli.32 q0, q1, #8",
        "vsli.32 q0, q2, #16",
        "vsli.32 q0, q3, #24",
        "vstrw.32 q0, [r4], #16",
        "add r1, r1, r5",
        "add r2, r2, r6",
        "add r3, r3, r7",
        "letp lr, 3b",
        "4:",
        "pop {{r4-r8, pc}}",
    )
}

/// What [`stacks`] is called with; it changes the first two.
#[repr(C)]
#[allow(dead_code, reason = "assembly reads the fields")]
pub struct Call {
    weights: *const i8,
    out: *mut i8,
    x: *const u32,
    bias: *const i32,
    multipliers: *const i32,
    channels: u32,
    cells: u32,
    /// Bytes from a cell to the next.
    cell_step: u32,
    /// Bytes from a cell's outputs to the next.
    out_step: u32,
    zero: i32,
    /// Bytes of a channel's weights, and which bytes of its columns they are.
    taps: u32,
    places: u32,
    /// Bytes from a multiplier to the next.
    multiplier_step: u32,
    signed: u32,
    /// Bytes to each column.
    columns: [u32; COLUMNS],
    /// Working memory: multipliers of four channels.
    block: [i32; 4],
}

impl Call {
    /// `None` where there is no cell, or the lengths or outputs are others than those of the sizes.
    #[inline(always)]
    pub fn new(stacks: &Stacks<'_>, x: View<'_, u32>, out: ViewMut<'_, i8>) -> Option<Self> {
        let Stacks { cells, columns, column_step, cell_step, weights, outputs } = *stacks;
        (cells > 0 && stacks.fit(x, out)).then_some(Self {
            weights: weights.as_ptr(),
            out: out.as_mut_ptr(),
            x: x.as_ptr(),
            bias: outputs.bias.as_ptr(),
            multipliers: outputs.multipliers.as_ptr(),
            channels: outputs.len() as u32,
            cells: cells as u32,
            cell_step: 4 * cell_step as u32,
            out_step: outputs.len() as u32,
            zero: outputs.scaling.zero,
            taps: (ROWS * columns) as u32,
            places: 0x7777u32.wrapping_shr(4 * COLUMNS.wrapping_sub(columns) as u32),
            multiplier_step: 4 * outputs.step as u32,
            signed: outputs.scaling.signed.into(),
            // Columns without taps, whose weights are 0, are the last one again.
            columns: [0, 1, 2, 3].map(|column| 4 * (column.min(columns.wrapping_sub(1)) * column_step) as u32),
            block: [0; 4],
        })
    }
}

/// All cells of a row. The last four channels go back to overlap those before.
///
/// r1 the stacks, r3 biases, r5 channels that are left, r7 multipliers. In the loop: r0 the outputs, r2 from one to the next,
/// r4, r6, r8 and r10 sums, r9 from a cell to the next, r11 `zero`, q0 to q3 weights, q4 biases, q5 multipliers, q6 inputs, then
/// sums, q7 the addresses of the columns. The flags say whether negative sums are mirrored.
///
/// # Safety
/// Stacks, weights and outputs must have the lengths that the sizes want; there must be a cell, four channels at least, and
/// multipliers as their step says.
#[unsafe(naked)]
pub unsafe extern "C" fn stacks<const SHIFT: u32>(call: *mut Call) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r0, r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r12, r0",
        "ldrd r1, r3, [r12, #8]",
        "ldrd r7, r5, [r12, #16]",
        "10:",
        "ldrd r2, r0, [r12]",
        "ldrd r8, r10, [r12, #40]",
        "rsbs r4, r5, #4",
        "ble 11f",
        "sub r1, r1, r4, lsl #2",
        "mls r2, r4, r8, r2",
        "sub r3, r3, r4, lsl #2",
        "ldr r6, [r12, #48]",
        "mls r7, r4, r6, r7",
        "subs r0, r0, r4",
        "movs r5, #4",
        "11:",
        // Weights go where the bytes of their columns are, the others are 0.
        "vmsr p0, r10",
        "adr r4, 40f",
        "vldrw.u32 q6, [r4]",
        "add r4, r2, r8",
        "add r6, r4, r8",
        "add r10, r6, r8",
        "vpstttt",
        "vldrbt.u8 q0, [r2, q6]",
        "vldrbt.u8 q1, [r4, q6]",
        "vldrbt.u8 q2, [r6, q6]",
        "vldrbt.u8 q3, [r10, q6]",
        "add r8, r8, r10",
        "adds r4, r0, #4",
        "strd r8, r4, [r12]",
        "vldrw.u32 q7, [r12, #56]",
        "vadd.i32 q7, q7, r1",
        "adds r1, r1, #16",
        "subs r5, r5, #4",
        "vldrw.u32 q4, [r3], #16",
        "ldrd r4, r6, [r12, #48]",
        "cbz r4, 12f",
        "vldrw.u32 q5, [r7], #16",
        "b 13f",
        "12:",
        "ldr r4, [r7]",
        "vdup.32 q5, r4",
        "13:",
        "vstrw.32 q5, [r12, #72]",
        "ldrd r8, r9, [r12, #24]",
        "ldrd r2, r11, [r12, #32]",
        "cmp r6, #0",
        "dls lr, r8",
        "20:",
        "vldrw.u32 q6, [q7]",
        "vmladav.s8 r4, q6, q0",
        "vldrw.u32 q6, [q7, #4]",
        "vmladav.s8 r6, q6, q1",
        "vldrw.u32 q6, [q7, #8]",
        "vmladav.s8 r8, q6, q2",
        "vldrw.u32 q6, [q7, #12]",
        "vmladav.s8 r10, q6, q3",
        "vadd.i32 q7, q7, r9",
        "vmov q6[2], q6[0], r4, r8",
        "vmov q6[3], q6[1], r6, r10",
        "vshl.i32 q6, q6, #8",
        "vadd.i32 q6, q6, q4",
        "bne 22f",
        "21:",
        "vmulh.s32 q6, q6, q5",
        "vadd.i32 q6, q6, r11",
        "vqshrnb.s32 q6, q6, {shift}",
        "vqmovnb.s16 q6, q6",
        "vstrb.32 q6, [r0]",
        "add r0, r0, r2",
        "le lr, 20b",
        "cmp r5, #0",
        "bne 10b",
        "vpop {{d8-d15}}",
        "pop {{r0, r4-r11, pc}}",
        "22:",
        "vmov.i32 q5, #255",
        "vptt.s32 lt, q6, zr",
        "veort q6, q6, q5",
        "vsubt.i32 q6, q6, q5",
        "vldrw.u32 q5, [r12, #72]",
        "b 21b",
        ".balign 4",
        "40:",
        ".byte 0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0",
        shift = const SHIFT,
    )
}
