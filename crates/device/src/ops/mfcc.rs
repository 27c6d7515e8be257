//! Mel-frequency cepstral coefficients of a clip of 16-bit samples, as the keyword benchmark has them.
//!
//! ```text
//! X = Fourier transform of 512 of  samples[stride · r + n] · window[n]
//! mel[b] = Σₖ weight[b, k] · |X[k]|
//! out[r, c] = truncate(Σ_b cosines[c, b] · (log₂(mel[b] + peak · 10⁻⁶) − log₂ peak) + zero point)
//! ```
//!
//! Between two centres of bands, a bin belongs to the upper band by a weight and to the lower one by the rest. The scale of
//! the output is in the cosines. Fixed point throughout, see [`crate::spectrum`].

use core::ops::Range;

use super::window::count;
use super::{Effort, Kernel, Need};
use crate::isa::Isa;
use crate::memory::{Memory, Operand, View, ViewMut};
use crate::spectrum::{
    Complex, LOGARITHMS, POINTS, ROOTS, TWIDDLES, begin, finish, half_root, high, log2, power, short_log2, turned,
};

/// Samples of a transform: a shorter window is filled up with zeros.
pub const FRAME: u32 = 512;
/// Bits behind the point of the sums over cosines.
pub const FRACTION: u32 = 44;
/// `10⁻⁶ · 2²³` in Q16: what is added to each band, for a peak of 1.
const FLOOR: u64 = 549_756;

crate::params! {
    /// Cepstral coefficients, one row a frame.
    pub struct Mfcc {
        /// Frames, each an output row.
        pub frames: u32,
        /// Number of samples.
        pub samples: u32,
        /// Samples from one frame to the next.
        pub stride: u32,
        /// First bin of the transform that a band has a part of; at least 1.
        pub first: u32,
        /// Number of bins.
        pub bins: u32,
        /// Bands.
        pub bands: u32,
        /// Coefficients: the elements of an output row.
        pub coefficients: u32,
        /// Zero point of the output.
        pub zero_point: i32,
    }
}

impl Kernel for Mfcc {
    const OPCODE: u16 = 41;
    /// Samples, peak, window, tables (twiddles, roots, logarithms, `[cos, sin, weight]` of each bin, cosines), bins between
    /// centres, working memory (points, logarithms), output.
    type Operands = [Operand; 7];

    fn valid(&self) -> bool {
        let end = u64::from(self.frames.max(1) - 1) * u64::from(self.stride) + u64::from(FRAME);
        let last = u64::from(self.first) + u64::from(self.bins);
        end <= u64::from(self.samples) && self.first > 0 && last <= POINTS as u64 && self.bands < 256
    }

    fn rows(&self) -> u32 {
        self.frames
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.bins.into(), self.bands.into(), u64::from(self.coefficients) * u64::from(self.bands)])
    }

    fn needs(&self) -> [Need; 7] {
        [
            Need::read::<i16>(&[self.samples]),
            Need::read::<i32>(&[1]),
            Need::constant::<i16>(&[FRAME]),
            Need::constant::<i32>(&[count(&[self.coefficients, self.bands])
                .saturating_add((TWIDDLES + ROOTS + LOGARITHMS) as u32 + 3 * self.bins)]),
            Need::constant::<u8>(&[self.bands + 1]),
            Need::write::<i32>(&[2 * POINTS as u32 + self.bands]),
            Need::write::<i8>(&[self.frames, self.coefficients]),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 7]) {
        let &[samples, peak, window, tables, counts, work, out] = operands;
        let samples = memory.view::<i16>(samples);
        let (out, work) = (memory.view_mut::<i8>(out), memory.view_mut::<i32>(work));
        let Some((twiddles, rest)) = memory.constants::<i32>(tables).split_at_checked(TWIDDLES) else { return };
        let Some((roots, rest)) = rest.split_first_chunk::<ROOTS>() else { return };
        let Some((logarithms, rest)) = rest.split_first_chunk::<LOGARITHMS>() else { return };
        let Some((bins, cosines)) = rest.split_at_checked((self.bins as usize).wrapping_mul(3)) else { return };
        let Some(points) = work.cells().as_chunks::<2>().0.first_chunk::<POINTS>() else { return };
        let logs = work.slice(2 * POINTS, self.bands as usize);
        let Some(window) = memory.constants::<i16>(window).as_chunks::<2>().0.first_chunk::<POINTS>() else { return };
        let (bins, _) = bins.as_chunks::<3>();
        let counts = memory.constants::<u8>(counts);
        let peak = u64::from(memory.view::<i32>(peak).at(0).max(1).cast_unsigned());
        // A floor below 2⁴ does not tell beside energies of 2¹⁶, which so need 32 bits.
        let (floor, reference) = (((peak * FLOOR) >> 16) as u32, log2(peak << 23, logarithms));
        for row in rows {
            let start = row.wrapping_mul(self.stride) as usize;
            windowed(samples.slice(start, FRAME as usize), window, points);
            finish::<I>(points, twiddles);
            moduli(points, self.first as usize, bins, roots);
            let modulus = points.iter().skip(self.first as usize).map(|point| point[0].get().cast_unsigned());
            mel(modulus.zip(bins), counts, logs, |mel| {
                let short = mel >> 16 == 0;
                let energy =
                    if short { mel << 16 } else { mel }.saturating_add(if short { floor } else { floor >> 16 });
                let log = short_log2(energy.max(1), logarithms);
                log.wrapping_add(if short { 0 } else { 16 << 16 }).wrapping_sub(reference)
            });
            let width = self.coefficients as usize;
            coefficients(logs, cosines, self.zero_point, out.slice(row as usize * width, width));
        }
    }
}

/// The first stage of a frame's transform. The window is in Q15, and a sample is 2¹¹ before the transform, 2⁸ after it.
#[inline(never)]
fn windowed(samples: View<'_, i16>, window: &[[i16; 2]; POINTS], points: &[Complex; POINTS]) {
    let quarters = window.as_chunks::<{ POINTS / 4 }>().0;
    let [w0, w1, w2, w3] = quarters else { return };
    let pairs = |quarter: usize| samples.strided::<2>(quarter * FRAME as usize / 4, 2, POINTS / 4);
    let term = |(x, w): ([i16; 2], [i16; 2])| {
        [(i32::from(x[0]) * i32::from(w[0])) >> 4, (i32::from(x[1]) * i32::from(w[1])) >> 4]
    };
    let first = pairs(0).zip(w0.iter().copied()).zip(pairs(1).zip(w1.iter().copied()));
    let last = pairs(2).zip(w2.iter().copied()).zip(pairs(3).zip(w3.iter().copied()));
    begin(points, first.zip(last).map(|((a, b), (c, d))| [term(a), term(b), term(c), term(d)]));
}

/// Puts half the modulus of each bin from `first` on into the real part of its point; a sample is 2⁷.
#[inline(never)]
fn moduli(points: &[Complex; POINTS], first: usize, bins: &[[i32; 3]], roots: &[i32; ROOTS]) {
    let (Some(upper), Some(lower)) = (points.get(first..), points.get(..POINTS - first + 1)) else { return };
    for ((z, mirrored), &[cos, sin, _]) in upper.iter().zip(lower.iter().rev()).zip(bins) {
        let modulus = half_root(power(bin(z, mirrored, [cos, sin])), roots);
        z[0].set(modulus.cast_signed());
    }
}

/// The logarithms of all bands.
#[inline(never)]
fn mel<'a>(
    mut bins: impl Iterator<Item = (u32, &'a [i32; 3])>,
    counts: &[u8],
    logs: ViewMut<'_, i32>,
    log: impl Fn(u32) -> i32,
) {
    let mut logs = logs.iter();
    let mut below = None;
    for &count in counts {
        let (mut all, mut above) = (0u32, 0u32);
        for _ in 0..count {
            let Some((modulus, &[_, _, weight])) = bins.next() else { break };
            all = all.wrapping_add(modulus);
            above = above.wrapping_add((high(modulus.cast_signed(), weight) << 1).cast_unsigned());
        }
        if let Some(below) = below
            && let Some(out) = logs.next()
        {
            out.set(log(all.wrapping_sub(above).wrapping_add(below)));
        }
        below = Some(above);
    }
}

/// A row of the output.
#[inline(never)]
fn coefficients(logs: ViewMut<'_, i32>, cosines: &[i32], zero_point: i32, out: ViewMut<'_, i8>) {
    for (out, cosines) in out.iter().zip(cosines.chunks_exact(logs.len().max(1))) {
        let start = i64::from(zero_point) << FRACTION;
        let sum = logs
            .iter()
            .zip(cosines)
            .fold(start, |sum, (log, &cosine)| sum.wrapping_add(i64::from(log.get()) * i64::from(cosine)));
        // Towards zero.
        let rounded = sum.wrapping_add(sum >> 63 & ((1 << FRACTION) - 1)) >> FRACTION;
        out.set(rounded.clamp(-128, 127) as i8);
    }
}

/// Bin `k` of the real frame, from the points `k` and `256 − k`.
#[inline(always)]
fn bin(z: &Complex, mirrored: &Complex, turn: [i32; 2]) -> [i32; 2] {
    let [[a, b], [c, d]] = [z, mirrored].map(|[re, im]| [re.get(), im.get()]);
    let odd = turned([b.wrapping_add(d), c.wrapping_sub(a)], turn);
    [(a.wrapping_add(c) >> 1).wrapping_add(odd[0]), (b.wrapping_sub(d) >> 1).wrapping_add(odd[1])]
}
