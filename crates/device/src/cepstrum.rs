//! From the sums of mel bands to cepstral coefficients: logarithms, and a cosine transform of them.
//!
//! A cosine is the same for both of two bands that are as far from the ends, or of the other sign: so the even coefficients
//! are of their sums, and the odd ones of their differences.

use core::cell::Cell;

use crate::memory::ViewMut;
use crate::spectrum::{LOGARITHMS, short_log2};

/// Bits behind the point of the sums over cosines.
pub const FRACTION: u32 = 44;

/// What makes coefficients of sums.
pub struct Cepstrum<'a> {
    /// Table of [`short_log2`].
    pub logarithms: &'a [i32; LOGARITHMS],
    /// What is added to a sum below 2¹⁶ times 2¹⁶, and to its logarithm.
    pub short: (u32, i32),
    /// What is added to any other sum, and to its logarithm.
    pub long: (u32, i32),
    /// For each coefficient, the cosines of half of the bands: the lower half for an even one, else the upper half.
    pub cosines: &'a [i32],
    /// Zero point of the coefficients.
    pub zero_point: i32,
}

impl Cepstrum<'_> {
    /// Half of the bands; none where there are not as many cosines as `out` wants.
    pub fn half(&self, sums: ViewMut<'_, i32>, out: ViewMut<'_, i8>) -> usize {
        let half = sums.len() / 2;
        let wanted = half.checked_mul(out.len());
        if sums.len().is_multiple_of(2) && wanted.is_some_and(|wanted| wanted <= self.cosines.len()) { half } else { 0 }
    }

    /// Writes the coefficients, and leaves sums and differences of logarithms in the place of `sums`; nothing where there are
    /// no bands.
    #[inline(never)]
    pub fn run(&self, sums: ViewMut<'_, i32>, out: ViewMut<'_, i8>) {
        let half = self.half(sums, out);
        let Some((low, high)) = sums.cells().split_at_checked(half) else { return };
        if half == 0 {
            return;
        }
        for log in low.iter().chain(high) {
            let sum = log.get().cast_unsigned();
            let (energy, (floor, scale)) = if sum >> 16 == 0 { (sum << 16, self.short) } else { (sum, self.long) };
            log.set(short_log2(energy.wrapping_add(floor), self.logarithms).wrapping_add(scale));
        }
        for (low, high) in low.iter().rev().zip(high) {
            let (a, b) = (low.get(), high.get());
            low.set(a.wrapping_add(b));
            high.set(b.wrapping_sub(a));
        }
        for (c, (out, cosines)) in out.iter().zip(self.cosines.chunks_exact(half)).enumerate() {
            let sum = dot(if c % 2 == 0 { low } else { high }, cosines, i64::from(self.zero_point) << FRACTION);
            // Towards zero.
            let rounded = sum.wrapping_add(sum >> 63 & ((1 << FRACTION) - 1)) >> FRACTION;
            out.set(rounded.clamp(-128, 127) as i8);
        }
    }
}

/// `start` and the products of `a` and `b`.
#[inline(always)]
fn dot(a: &[Cell<i32>], b: &[i32], start: i64) -> i64 {
    a.iter().zip(b).fold(start, |sum, (a, &b)| sum.wrapping_add(i64::from(a.get()) * i64::from(b)))
}
