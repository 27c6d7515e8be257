//! Depthwise sums of four neighbouring channels, for instruction sets that multiply 16-bit halves.
//!
//! A word of input holds one cell of four channels, and a word of weights is `[w₁, w₀, w₃, w₂]`. One instruction makes of each
//! word the bytes 0 and 2 as 16-bit halves (`SXTB16`), and one 256 times the bytes 1 and 3 (a mask): products of the one
//! word's low bytes and the other's high ones therefore come out scaled by 256, as in [`paired`](super::paired), and are
//! requantised as there.
//!
//! Where the channels are no multiple of four, the last four overlap those before: both give the same bytes. Then words
//! of input do not lie at multiples of 4, which single loads of Armv7E-M allow.
//!
//! **Stream.** `filters` is for each four channels: four biases, a word a tap, four corrections where there are any, four
//! multipliers.

use core::ops::Range;

use super::paired::{Rounding, requantise, widen};
use crate::memory::{View, ViewMut};
use crate::ops::Corrections;

/// All that a layer may be shifted by; [`FINE_SHIFT`](super::paired::FINE_SHIFT) is the fastest.
pub const SHIFTS: Range<u32> = 5..19;

/// What corrections of a byte are multiples of.
pub const GRAIN: i32 = 1 << GRAIN_BITS;
pub(super) const GRAIN_BITS: u32 = 3;

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
    /// Corrections for negative sums, see [`Paired::signed`](super::Paired::signed).
    pub corrections: Corrections,
    /// See [`Paired::zero`](super::Paired::zero).
    pub zero: i32,
    /// One of [`SHIFTS`].
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
        let around = 8 + self.corrections.words() as u64;
        taps.saturating_add(around).saturating_mul(self.quads() as u64)
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

/// The word of a tap's weights, for four channels.
pub const fn lanes([w0, w1, w2, w3]: [i8; 4]) -> u32 {
    u32::from_le_bytes([w1 as u8, w0 as u8, w3 as u8, w2 as u8])
}

/// 256 times the bytes 1 and 3, as halves.
const fn upper(word: u32) -> u32 {
    word & 0xff00_ff00
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
                    let [even, odd] = [(upper(word(at)), widen(x)), (widen(word(at)), upper(x))];
                    let products = [low(even), low(odd), high(even), high(odd)];
                    for (sum, product) in sums.iter_mut().zip(products) {
                        *sum = sum.wrapping_add(product);
                    }
                    at += 1;
                }
            }
            for (o, &sum) in sums.iter().enumerate() {
                let correction = match quads.corrections {
                    Corrections::None => 0,
                    Corrections::Bytes => GRAIN * i32::from(word(at).to_le_bytes()[o].cast_signed()),
                    Corrections::Words => word(at + o).cast_signed(),
                };
                let multiplier = word(at + quads.corrections.words() + o).cast_signed();
                out.set(cell * channels + first + o, requantise(sum, multiplier, correction, rounding));
            }
        }
    }
}

/// The product of the low halves (`SMLABB`).
const fn low((a, b): (u32, u32)) -> i32 {
    a as i16 as i32 * b as i16 as i32
}

/// The product of the high halves (`SMLATT`).
const fn high((a, b): (u32, u32)) -> i32 {
    low((a >> 16, b >> 16))
}
