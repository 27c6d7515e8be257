//! Channels of 16-bit windows, two at once in three cells: a word is an input of two channels, another their weights, and
//! a tap takes 12 cycles for its 6 products by the M4 model, of which five load.
//!
//! What is not needed within a window is in the registers of the floating-point unit.

use core::arch::naked_asm;

use crate::isa::{Channels16, Line16};
use crate::memory::{Channel, Multiplier};
use crate::ops::{Rounding16, Scaling16};

/// How sums leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// As words are rounded, in any 16 bits.
    Signed = 0,
    /// As words are rounded, in the 15 bits that are not negative.
    Positive = 1,
    /// As they are.
    Sums = 2,
}

impl Leave {
    fn of(scaling: &Scaling16) -> Self {
        match (scaling.rounding, scaling.min, scaling.max) {
            (Rounding16::Word, i16::MIN, i16::MAX) => Self::Signed,
            (Rounding16::Word, 0, i16::MAX) => Self::Positive,
            _ => Self::Sums,
        }
    }
}

/// Most cells at once.
const CELLS: usize = 3;

/// Taps that the loop has one after the other.
const UNROLLED: u32 = 9;

/// Channels that add nothing.
static NONE: [Channel; 2] = [Channel::new(0, Multiplier { value: 0, shift: 0 }); 2];

/// Arguments of [`windows`]. Distances are in bytes.
#[repr(C)]
struct Call {
    channels: *const Channel,
    /// Where outputs go, or sums.
    out: *mut i16,
    /// Where `out` is after the last two channels.
    end: *mut i16,
    /// From behind the taps of two channels to the next two.
    back: usize,
    out_step: usize,
    /// How sums leave, and four times the turns of the loop over [`UNROLLED`] taps after the first.
    leave: u32,
    x: *const i16,
    /// From a cell to the next.
    step: usize,
    weights: *const i16,
    /// From a tap to the next.
    tap: usize,
    /// Taps that the first turn does not have.
    skipped: u32,
}

/// All channels of windows: three cells at once, or two where these are left; a single one is both of two.
#[inline(never)]
pub fn all(of: &Channels16<'_>, line: Line16<'_>) {
    let Channels16 { taps, weights, channels, scaling } = *of;
    let count = channels.len();
    let last = line.cells.saturating_sub(1);
    let (x, out) = (line.x.slice(last * line.step, weights.len()), line.out.slice(last * line.out_step, count));
    if line.cells == 0 || x.len() != weights.len() || out.len() != count {
        return;
    }
    let leave = Leave::of(scaling);
    let (tap, turns) = (2 * count, (taps as u32).div_ceil(UNROLLED).max(1));
    let mut sums = [[0; 2]; CELLS];
    let mut first = 0;
    while first < count {
        // The last two end with the last channel.
        first = first.min(count - 2);
        let pairs = if leave == Leave::Sums { 1 } else { (count - first) / 2 };
        let channels = channels.get(first..).unwrap_or_default();
        let mut call = Call {
            channels: if leave == Leave::Sums { NONE.as_ptr() } else { channels.as_ptr() },
            out: sums.as_mut_ptr().cast(),
            end: sums.as_mut_ptr().cast(),
            back: (taps * tap).wrapping_sub(4),
            out_step: 2 * line.out_step,
            leave: leave as u32 + 4 * (turns - 1),
            x: line.x.as_ptr().wrapping_add(first),
            step: 2 * line.step,
            weights: weights.as_ptr().wrapping_add(first),
            tap,
            skipped: (turns * UNROLLED).wrapping_sub(taps as u32),
        };
        let mut out = line.out.as_mut_ptr().wrapping_add(first);
        let mut left = line.cells;
        while left > 0 {
            let cells = if matches!(left, 1 | 2 | 4) { 2 } else { CELLS };
            if left == 1 {
                (call.step, call.out_step) = (0, 0);
            }
            if leave != Leave::Sums {
                (call.out, call.end) = (out, out.wrapping_add(2 * pairs));
            }
            // SAFETY: there is a pair of channels, whose taps are inside in all windows up to the last, as are their outputs or
            // the places for sums.
            unsafe {
                match cells {
                    CELLS => windows::<CELLS>(&call),
                    _ => windows::<2>(&call),
                }
            }
            if leave == Leave::Sums {
                for (cell, sums) in (line.cells - left..line.cells).zip(sums).take(cells) {
                    scaling.store(&sums.map(i64::from), channels, line.out.slice(cell * line.out_step + first, 2));
                }
            }
            call.x = call.x.wrapping_add(cells * line.step);
            out = out.wrapping_add(cells * line.out_step);
            left = left.saturating_sub(cells);
        }
        first += 2 * pairs;
    }
}

/// Pairs of channels of two or three cells.
///
/// r0 input, r1 distance of cells, r2 from inputs to weights, r3 distance of taps, r4–r9 the sums, r10 weights, r11, r12 and lr
/// inputs; s0 channels, s1 where outputs go, s2 its end, s3 from behind the taps to the next pair, s4 distance of outputs, s5
/// how sums leave and the turns, s6 those that are left, s7 where the first begins.
///
/// # Safety
/// There must be a pair; and taps and outputs of each, in all cells, have to be inside. Sums are those of one pair.
#[unsafe(naked)]
unsafe extern "C" fn windows<const CELLS: usize>(call: *const Call) {
    naked_asm!(
        // LLVM gathers the symbols of assembly with no more than the triple, and that of Armv8-M lacks the DSP extension.
        ".cpu cortex-m4",
        ".macro tap",
        "ldr r10, [r0, r2]",
        "ldr r11, [r0]",
        "ldr r12, [r0, r1]",
        ".if {cells} == 3",
        "ldr lr, [r0, r1, lsl #1]",
        "smlabb r8, r10, lr, r8",
        "smlatt r9, r10, lr, r9",
        ".endif",
        "smlabb r4, r10, r11, r4",
        "smlatt r5, r10, r11, r5",
        "smlabb r6, r10, r12, r6",
        "smlatt r7, r10, r12, r7",
        "add.w r0, r0, r3",
        ".endm",
        // Multiplies the sums of a cell to outputs, and joins these.
        ".macro round even, odd",
        "smmulr \\even, \\even, r10",
        "smmulr \\odd, \\odd, r11",
        "ssat \\even, #16, \\even",
        "ssat \\odd, #16, \\odd",
        "pkhbt \\even, \\even, \\odd, lsl #16",
        ".endm",
        "push {{r4-r11, lr}}",
        "vldmia r0!, {{s0-s5}}",
        "ldm r0, {{r0-r4}}",
        "sub r2, r2, r0",
        // Bytes of a tap's code.
        "mov r5, #(30f - 20f) / {unrolled}",
        "adr r6, 20f",
        "mla r6, r4, r5, r6",
        "add r6, r6, #1",
        "vmov s7, r6",
        "vmov r12, s0",
        "b 10f",
        ".p2align 2",
        "20:",
        ".rept {unrolled}",
        "tap",
        ".endr",
        "30:",
        "vmov r10, s6",
        "vmov lr, s1",
        "cmp r10, #1",
        "bhi 40f",
        "vmov r12, s0",
        "ldr r10, [r12, #8]",
        "ldr r11, [r12, #24]",
        "add r12, r12, #32",
        "vmov s0, r12",
        "round r4, r5",
        "round r6, r7",
        ".if {cells} == 3",
        "round r8, r9",
        "ittt eq",
        "usat16eq r8, #15, r8",
        ".else",
        "itt eq",
        ".endif",
        "usat16eq r4, #15, r4",
        "usat16eq r6, #15, r6",
        "vmov r11, s4",
        "vmov r10, s2",
        "str r4, [lr]",
        "str r6, [lr, r11]",
        ".if {cells} == 3",
        "str r8, [lr, r11, lsl #1]",
        ".endif",
        "add lr, lr, #4",
        "cmp lr, r10",
        "beq 50f",
        "vmov r10, s3",
        "vmov s1, lr",
        "sub r0, r0, r10",
        // A pair, whose channels are in r12.
        "10:",
        "ldr r4, [r12]",
        "ldr r5, [r12, #16]",
        "vmov lr, s7",
        "vmov.f32 s6, s5",
        "mov r6, r4",
        "mov r7, r5",
        ".if {cells} == 3",
        "mov r8, r4",
        "mov r9, r5",
        ".endif",
        "bx lr",
        // Another turn, or sums.
        "40:",
        "subs r10, r10, #4",
        "vmov s6, r10",
        "bhs 20b",
        ".if {cells} == 3",
        "stm lr, {{r4-r9}}",
        ".else",
        "stm lr, {{r4-r7}}",
        ".endif",
        "50:",
        "pop {{r4-r11, pc}}",
        ".purgem tap",
        ".purgem round",
        cells = const CELLS,
        unrolled = const UNROLLED,
    )
}
