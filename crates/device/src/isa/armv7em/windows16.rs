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

/// All channels of windows.
#[inline(never)]
pub fn all(of: &Channels16<'_>, line: Line16<'_>) {
    let count = of.channels.len();
    let last = line.cells.saturating_sub(1);
    let (x, out) = (line.x.slice(last * line.step, of.weights.len()), line.out.slice(last * line.out_step, count));
    if line.cells == 0 || x.len() != of.weights.len() || out.len() != count {
        return;
    }
    let leave = Leave::of(of.scaling);
    if leave == Leave::Sums {
        // The last two end with the last channel.
        return (0..count).step_by(2).for_each(|first| sums(of, line, first.min(count - 2)));
    }
    outputs(Call::new(of, line, leave, 0), line, count / 2);
    if count & 1 > 0 {
        outputs(Call::new(of, line, leave, count - 2), line, 1);
    }
}

/// Pairs of channels whose sums are rounded as words.
#[inline(never)]
fn outputs(mut call: Call, line: Line16<'_>, pairs: usize) {
    let mut left = line.cells;
    while let Some(cells) = at_once(left) {
        call.end = call.out.wrapping_add(2 * pairs);
        // SAFETY: the taps of these channels are inside in all windows up to the last, as are their outputs.
        unsafe { call.run(cells) };
        (call.x, call.out) = (call.x.wrapping_add(cells * line.step), call.out.wrapping_add(cells * line.out_step));
        left -= cells;
    }
}

/// Two channels, whose sums are rounded in plain Rust.
#[inline(never)]
fn sums(of: &Channels16<'_>, line: Line16<'_>, first: usize) {
    let mut call = Call { channels: NONE.as_ptr(), ..Call::new(of, line, Leave::Sums, first) };
    let channels = of.channels.get(first..).unwrap_or_default();
    let mut cell = 0;
    while let Some(cells) = at_once(line.cells - cell) {
        let mut sums = [[0i32; 2]; CELLS];
        (call.out, call.end) = (sums.as_mut_ptr().cast(), sums.as_mut_ptr().cast());
        // SAFETY: the taps of two channels are inside in all windows up to the last, and there are places for sums.
        unsafe { call.run(cells) };
        for sums in sums.iter().take(cells) {
            of.scaling.store(&sums.map(i64::from), channels, line.out.slice(cell * line.out_step + first, 2));
            cell += 1;
        }
        call.x = call.x.wrapping_add(cells * line.step);
    }
}

/// Cells that are summed at once where so many are left.
#[inline(always)]
fn at_once(left: usize) -> Option<usize> {
    match left {
        0 => None,
        1 => Some(1),
        2 | 4 => Some(2),
        _ => Some(CELLS),
    }
}

impl Call {
    /// The channels from `first` on.
    #[inline(always)]
    fn new(of: &Channels16<'_>, line: Line16<'_>, leave: Leave, first: usize) -> Self {
        let out = line.out.as_mut_ptr().wrapping_add(first);
        let (taps, tap) = (of.taps as u32, 2 * of.channels.len());
        let turns = taps.saturating_sub(1) / UNROLLED;
        Self {
            channels: of.channels.as_ptr().wrapping_add(first),
            out,
            end: out,
            back: (of.taps * tap).wrapping_sub(4),
            out_step: 2 * line.out_step,
            leave: leave as u32 + 4 * turns,
            x: line.x.as_ptr().wrapping_add(first),
            step: 2 * line.step,
            weights: of.weights.as_ptr().wrapping_add(first),
            tap,
            skipped: (turns + 1) * UNROLLED - taps,
        }
    }

    /// Sums `cells` cells: a single one as both of two.
    ///
    /// # Safety
    /// See [`windows`].
    #[inline(always)]
    unsafe fn run(&mut self, cells: usize) {
        if cells == 1 {
            (self.step, self.out_step) = (0, 0);
        }
        // SAFETY: the caller's.
        unsafe {
            match cells {
                CELLS => windows::<CELLS>(self),
                _ => windows::<2>(self),
            }
        }
    }
}

/// Pairs of channels of two or three cells.
///
/// r0 input, r1 distance of cells, r2 from inputs to weights, r3 distance of taps, r4 weights, r5, r6 and r7 inputs, r8–lr the
/// sums; s0 channels, s1 where outputs go, s2 its end, s3 from behind the taps to the next pair, s4 distance of outputs, s5
/// how sums leave and the turns, s6 those that are left, s7 where the first begins. With two cells r12, lr and r7 are s0, s1
/// and s7.
///
/// # Safety
/// There must be a pair; and taps and outputs of each, in all cells, have to be inside. Sums are those of one pair.
#[unsafe(naked)]
unsafe extern "C" fn windows<const CELLS: usize>(call: *const Call) {
    naked_asm!(
        // LLVM gathers the symbols of assembly with no more than the triple, and that of Armv8-M lacks the DSP extension.
        ".cpu cortex-m4",
        ".if {cells} == 3",
        "channels .req r6",
        "out .req r7",
        ".else",
        "channels .req r12",
        "out .req lr",
        ".endif",
        // What there is for the third cell alone.
        ".macro third instruction:vararg",
        ".if {cells} == 3",
        "\\instruction",
        ".endif",
        ".endm",
        ".macro tap",
        "ldr r4, [r0, r2]",
        "ldr r5, [r0]",
        "ldr r6, [r0, r1]",
        "third ldr r7, [r0, r1, lsl #1]",
        "third smlabb r12, r4, r7, r12",
        "third smlatt lr, r4, r7, lr",
        "smlabb r8, r4, r5, r8",
        "smlatt r9, r4, r5, r9",
        "smlabb r10, r4, r6, r10",
        "smlatt r11, r4, r6, r11",
        "add r0, r0, r3",
        ".endm",
        "push {{r4-r11, lr}}",
        "vldmia r0!, {{s0-s5}}",
        "ldm r0, {{r0-r4}}",
        "sub r2, r2, r0",
        // Bytes of a tap's code.
        "mov r5, #(30f - 20f) / {unrolled}",
        "adr r6, 20f",
        "mla r7, r4, r5, r6",
        "add r7, r7, #1",
        "vmov s7, r7",
        "vmov channels, s0",
        ".if {cells} == 2",
        "vmov out, s1",
        ".endif",
        "b 10f",
        ".p2align 2",
        "20:",
        ".rept {unrolled}",
        "tap",
        ".endr",
        "30:",
        "vmov r4, s6",
        "cmp r4, #1",
        "bhi 40f",
        "third vmov out, s1",
        "third vmov channels, s0",
        "ldr r4, [channels, #8]",
        "ldr r5, [channels, #24]",
        "add channels, channels, #32",
        "third vmov s0, channels",
        "smmulr r8, r8, r4",
        "smmulr r9, r9, r5",
        "smmulr r10, r10, r4",
        "smmulr r11, r11, r5",
        "third smmulr r12, r12, r4",
        "third smmulr lr, lr, r5",
        "bne 60f",
        "usat r8, #15, r8",
        "usat r9, #15, r9",
        "usat r10, #15, r10",
        "usat r11, #15, r11",
        "third usat r12, #15, r12",
        "third usat lr, #15, lr",
        "31:",
        "pkhbt r8, r8, r9, lsl #16",
        "pkhbt r10, r10, r11, lsl #16",
        "third pkhbt r12, r12, lr, lsl #16",
        "vmov r5, s4",
        "vmov r4, s2",
        "str r8, [out]",
        "str r10, [out, r5]",
        "third str r12, [out, r5, lsl #1]",
        "add out, out, #4",
        "cmp out, r4",
        "beq 50f",
        "vmov r4, s3",
        "third vmov s1, out",
        "sub r0, r0, r4",
        // A pair.
        "10:",
        "ldr r8, [channels]",
        "ldr r9, [channels, #16]",
        "third vmov r7, s7",
        "vmov.f32 s6, s5",
        "mov r10, r8",
        "mov r11, r9",
        "third mov r12, r8",
        "third mov lr, r9",
        "bx r7",
        // Another turn, or sums.
        "40:",
        "subs r4, r4, #4",
        "vmov s6, r4",
        "bhs 20b",
        "third vmov out, s1",
        "stm out, {{r8-r11}}",
        "third strd r12, lr, [out, #16]",
        "50:",
        "pop {{r4-r11, pc}}",
        "60:",
        "ssat r8, #16, r8",
        "ssat r9, #16, r9",
        "ssat r10, #16, r10",
        "ssat r11, #16, r11",
        "third ssat r12, #16, r12",
        "third ssat lr, #16, lr",
        "b 31b",
        ".unreq channels",
        ".unreq out",
        ".purgem third",
        ".purgem tap",
        cells = const CELLS,
        unrolled = const UNROLLED,
    )
}
