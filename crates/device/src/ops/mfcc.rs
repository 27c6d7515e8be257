//! Mel-frequency cepstral coefficients of a clip of 16-bit samples, as the keyword benchmark has them.
//!
//! ```text
//! X = Fourier transform of 512 of  samples[stride · r + n] · window[n]
//! mel[b] = Σₖ weight[b, k] · |X[k]|
//! out[r, c] = truncate(Σ_b cosines[c, b] · (log₂(mel[b] + peak · 10⁻⁶) − log₂ peak) + zero point)
//! ```
//!
//! Between two centres of bands, a bin belongs to the upper band by a weight and to the lower one by the rest. The scale of
//! the output is in the cosines. Fixed point throughout, see [`crate::spectrum`] and [`crate::cepstrum`].

use core::ops::Range;

use super::window::count;
use super::{Effort, Kernel, Need};
use crate::cepstrum::Cepstrum;
use crate::isa::Isa;
use crate::memory::{Memory, Operand};
use crate::spectrum::{Bins, LOGARITHMS, POINTS, ROOTS, TWIDDLES, finish, log2};

/// Samples of a transform: a shorter window is filled up with zeros.
pub const FRAME: u32 = 512;
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
        /// Bands; an even number.
        pub bands: u32,
        /// Coefficients: the elements of an output row.
        pub coefficients: u32,
        /// Zero point of the output.
        pub zero_point: i32,
    }
}

impl Kernel for Mfcc {
    const OPCODE: u16 = 41;
    /// Samples, peak, window in Q13, tables (twiddles, roots, logarithms, `[cos, sin, weight]` of each bin, cosines), bins
    /// between centres, working memory (points, sums of bands), output.
    type Operands = [Operand; 7];

    fn valid(&self) -> bool {
        let end = u64::from(self.frames.max(1) - 1) * u64::from(self.stride) + u64::from(FRAME);
        let last = u64::from(self.first) + u64::from(self.bins);
        end <= u64::from(self.samples)
            && self.first > 0
            && last <= POINTS as u64
            && self.bands > 0
            && self.bands.is_multiple_of(2)
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
            Need::constant::<i32>(&[count(&[self.coefficients, self.bands / 2])
                .saturating_add((TWIDDLES + ROOTS + LOGARITHMS) as u32 + 3 * self.bins)]),
            Need::constant::<u8>(&[self.bands.saturating_add(1)]),
            Need::write::<i32>(&[(2 * POINTS as u32 + 1).saturating_add(self.bands)]),
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
        let sums = work.slice(2 * POINTS, self.bands as usize + 1);
        let Some(window) = memory.constants::<i16>(window).as_chunks::<2>().0.first_chunk::<POINTS>() else { return };
        let (bins, _) = bins.as_chunks::<3>();
        let Some(bins) = Bins::new(points, self.first as usize, bins, memory.constants(counts), roots) else {
            return out.iter().for_each(|out| out.set(0));
        };
        let peak = u64::from(memory.view::<i32>(peak).at(0).max(1).cast_unsigned());
        // A floor below 2⁴ does not tell beside energies of 2¹⁶, which so need 32 bits. Of the others there are 2¹⁶ times as
        // much.
        let (floor, reference) = (((peak * FLOOR) >> 16) as u32, log2(peak << 23, logarithms));
        let cepstrum = Cepstrum {
            logarithms,
            short: (floor, 0i32.wrapping_sub(reference)),
            long: (floor >> 16, (16i32 << 16).wrapping_sub(reference)),
            cosines,
            zero_point: self.zero_point,
        };
        let width = self.coefficients as usize;
        for row in rows {
            let start = row.wrapping_mul(self.stride) as usize;
            I::windowed(samples.slice(start, FRAME as usize), window, points);
            finish::<I>(points, twiddles);
            // A sample is 2⁷ in half of a modulus.
            I::band_sums(&bins, sums);
            I::cepstrum(&cepstrum, sums.from(1), out.slice(row as usize * width, width));
        }
    }
}
