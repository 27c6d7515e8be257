//! Depthwise sums of four neighbouring channels, for instruction sets that multiply 16-bit halves.
//!
//! A word of input holds one cell of four channels. Two widenings (`SXTB16`) make it `[x₀, x₂]` and `[x₁, x₃]`, and the
//! weights of a tap are two words of 16-bit halves in the same order, each 256 times its int8 weight. The accumulators
//! therefore come out scaled by 256, as in [`paired`](super::paired), and are requantised as there.
//!
//! Where the channels are no multiple of four, the last four overlap those before: both give the same bytes. Then words
//! of input do not lie at multiples of 4, which single loads of Armv7E-M allow.
//!
//! **Stream.** `filters` is for each four channels: four biases, two words a tap, four corrections where there are any,
//! four multipliers.

use super::paired::{Rounding, requantise, widen};
use crate::memory::{View, ViewMut};

/// Sizes and constants of one call: a row of output cells. Distances are in bytes of the input.
#[derive(Clone, Copy, Debug)]
pub struct Quads {
    /// Output cells, one after the other.
    pub cells: u32,
    /// Channels, at least 4.
    pub channels: u32,
    /// Taps `[kh, kw]`.
    pub kernel: [u32; 2],
    /// Distance `[h, w]` between taps.
    pub steps: [u32; 2],
    /// Distance between the windows of neighbouring output cells.
    pub cell_step: u32,
    /// See [`Paired::signed`](super::Paired::signed).
    pub signed: bool,
    /// See [`Paired::zero`](super::Paired::zero).
    pub zero: i32,
    /// See [`Paired::shift`](super::Paired::shift).
    pub shift: u32,
}

impl Quads {
    /// Blocks of four channels.
    pub const fn quads(&self) -> u32 {
        self.channels.div_ceil(4)
    }

    /// Words of `filters`.
    pub const fn filter_words(&self) -> u64 {
        let taps = self.kernel[0] as u64 * self.kernel[1] as u64;
        let around = 8 + 4 * self.signed as u64;
        taps.saturating_mul(2).saturating_add(around).saturating_mul(self.quads() as u64)
    }

    /// Whether input, stream and output have the lengths that these sizes want.
    pub fn fits(&self, x: View<'_, i8>, filters: &[u32], out: ViewMut<'_, i8>) -> bool {
        let last = |count: u32, step: u32| u64::from(count.saturating_sub(1)) * u64::from(step);
        let last = [
            last(self.kernel[0], self.steps[0]),
            last(self.kernel[1], self.steps[1]),
            last(self.cells, self.cell_step),
            self.channels.into(),
        ];
        let end = last.into_iter().fold(0, u64::saturating_add);
        [self.cells, self.kernel[0], self.kernel[1]].iter().all(|&count| count > 0)
            && self.channels >= 4
            && end <= x.len() as u64
            && filters.len() as u64 == self.filter_words()
            && out.len() as u64 == u64::from(self.cells) * u64::from(self.channels)
    }
}

/// The two words of a tap's weights, for four channels.
pub const fn lanes([w0, w1, w2, w3]: [i8; 4]) -> [u32; 2] {
    [both(w0, w2), both(w1, w3)]
}

/// 256 times both, as halves.
const fn both(low: i8, high: i8) -> u32 {
    (low as u8 as u32) << 8 | (high as u8 as u32) << 24
}

/// The formula, in plain Rust.
pub fn portable(quads: Quads, x: View<'_, i8>, filters: &[u32], out: ViewMut<'_, i8>) {
    if !quads.fits(x, filters, out) {
        return;
    }
    let rounding = Rounding { zero: quads.zero, shift: quads.shift };
    let channels = quads.channels as usize;
    let stream = filters.len() / quads.quads() as usize;
    for cell in 0..quads.cells as usize {
        for (quad, stream) in filters.chunks_exact(stream).enumerate() {
            let first = (4 * quad).min(channels - 4);
            let word = |i: usize| stream.get(i).copied().unwrap_or_default();
            let mut sums = [0, 1, 2, 3].map(|o| word(o).cast_signed());
            let mut at = 4;
            for tap_y in 0..quads.kernel[0] as usize {
                for tap_x in 0..quads.kernel[1] as usize {
                    let tap = tap_y * quads.steps[0] as usize + tap_x * quads.steps[1] as usize;
                    let start = cell * quads.cell_step as usize + tap + first;
                    let x = u32::from_le_bytes([0, 1, 2, 3].map(|o| x.at(start + o).cast_unsigned()));
                    let [x_even, x_odd] = [widen(x), widen(x.rotate_right(8))];
                    let [even, odd] = [word(at), word(at + 1)];
                    let products = [low(even, x_even), low(odd, x_odd), high(even, x_even), high(odd, x_odd)];
                    for (sum, product) in sums.iter_mut().zip(products) {
                        *sum = sum.wrapping_add(product);
                    }
                    at += 2;
                }
            }
            for (o, &sum) in sums.iter().enumerate() {
                let correction = if quads.signed { word(at + o).cast_signed() } else { 0 };
                let multiplier = word(at + 4 * usize::from(quads.signed) + o).cast_signed();
                out.set(cell * channels + first + o, requantise(sum, multiplier, correction, rounding));
            }
        }
    }
}

/// The product of the low halves (`SMLABB`).
const fn low(a: u32, b: u32) -> i32 {
    a as i16 as i32 * b as i16 as i32
}

/// The product of the high halves (`SMLATT`).
const fn high(a: u32, b: u32) -> i32 {
    low(a >> 16, b >> 16)
}
