//! Logarithms of the power in mel bands of one frame of 16-bit samples, as the streaming wake word benchmark has them.
//!
//! ```text
//! y[n] = 32 · samples[n + 1] − 31 · samples[n]
//! X = Fourier transform of 1024 of  y[n] · window[n]
//! out[b] = truncate(scale · log₂(Σₖ weight[b, k] · |X[k]|²) + offset)
//! ```
//!
//! Between two centres of bands, a bin belongs to the upper band by a weight and to the lower one by the rest. Fixed point
//! throughout, see [`crate::spectrum`].

use core::ops::Range;

use super::{Effort, Kernel, Need};
use crate::isa::Isa;
use crate::memory::{Memory, Operand, View};
use crate::spectrum::{
    Complex, LOGARITHMS, POINTS, TWIDDLES, add, begin, finish, get, halved, high, log2, power, set, sub, turned,
};

/// Samples of a frame.
pub const FRAME: u32 = 1024;
/// Bits behind the point of [`LogMel::scale`] together with those of the logarithm.
pub const FRACTION: u32 = 40;

crate::params! {
    /// One frame's logarithms of the power in mel bands.
    pub struct LogMel {
        /// First bin of the transform that a band has a part of; at least 1.
        pub first: u32,
        /// Number of bins.
        pub bins: u32,
        /// Bands: the elements of the output.
        pub bands: u32,
        /// Output for a doubling of the power, in Q24.
        pub scale: i32,
        /// Output for a power of 1, in Q16.
        pub offset: i32,
    }
}

impl Kernel for LogMel {
    const OPCODE: u16 = 42;
    /// Samples, window, tables (twiddles of the transforms of 256, `[cos, sin]` of 256 points of 512 and then of 256 of
    /// 1024, logarithms, weights), bins between centres, working memory, output.
    type Operands = [Operand; 6];

    fn valid(&self) -> bool {
        let last = u64::from(self.first) + u64::from(self.bins);
        self.first > 0 && last <= 2 * POINTS as u64 && self.bands < 256
    }

    fn rows(&self) -> u32 {
        1
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.bins.into(), self.bands.into()])
    }

    fn needs(&self) -> [Need; 6] {
        [
            Need::read::<i16>(&[FRAME + 1]),
            Need::constant::<i16>(&[FRAME]),
            Need::constant::<i32>(&[(TWIDDLES + 4 * POINTS + LOGARITHMS) as u32 + self.bins]),
            Need::constant::<u8>(&[self.bands + 1]),
            Need::write::<i32>(&[4 * POINTS as u32]),
            Need::write::<i8>(&[self.bands]),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 6]) {
        let &[samples, window, tables, counts, points, out] = operands;
        if rows.is_empty() {
            return;
        }
        let points = memory.view_mut::<i32>(points).cells().as_chunks::<2>().0;
        let Some((even, rest)) = points.split_first_chunk::<POINTS>() else { return };
        let Some(odd) = rest.first_chunk::<POINTS>() else { return };
        let Some(window) = memory.constants::<i16>(window).as_chunks::<2>().0.first_chunk::<{ 2 * POINTS }>() else {
            return;
        };
        let Some((twiddles, rest)) = memory.constants::<i32>(tables).split_at_checked(TWIDDLES) else { return };
        let Some((turns, rest)) = rest.split_at_checked(4 * POINTS) else { return };
        let Some((logarithms, weights)) = rest.split_first_chunk::<LOGARITHMS>() else { return };
        let (halves, _) = turns.as_chunks::<2>().0.as_chunks::<POINTS>();
        let [to_complex, to_real] = halves else { return };
        let samples = memory.view::<i16>(samples);
        let (windows, _) = window.as_chunks::<2>();
        windowed(samples, windows, 0, even);
        windowed(samples, windows, 1, odd);
        finish::<I>(even, twiddles);
        finish::<I>(odd, twiddles);
        join(even, odd, to_complex);
        real(points, to_real);
        let mut outs = memory.view_mut::<i8>(out).iter();
        self.bands(points, weights, memory.constants(counts), |power| {
            if let Some(out) = outs.next() {
                let offset = i64::from(self.offset) << (FRACTION - 16);
                let sum = offset.wrapping_add(i64::from(log2(power, logarithms)) * i64::from(self.scale));
                // Towards zero.
                let rounded = sum.wrapping_add(sum >> 63 & ((1 << FRACTION) - 1)) >> FRACTION;
                out.set(rounded.clamp(-128, 127) as i8);
            }
        });
    }
}

/// The first stage of the transform of every second point of a frame, from `parity` on. A sample is 2¹¹ before the
/// transform, 2⁶ after it.
#[inline(never)]
fn windowed(samples: View<'_, i16>, windows: &[[[i16; 2]; 2]], parity: usize, points: &[Complex; POINTS]) {
    let [w0, w1, w2, w3] = windows.as_chunks::<{ POINTS / 4 }>().0 else { return };
    let triples = |quarter: usize| samples.strided::<3>(quarter * FRAME as usize / 4 + 2 * parity, 4, POINTS / 4);
    let term = |(x, w): ([i16; 3], &[[i16; 2]; 2])| {
        let window = if parity == 0 { w[0] } else { w[1] };
        let of = |before: i16, sample: i16, window: i16| {
            high((32 * i32::from(sample) - 31 * i32::from(before)) << 7, i32::from(window) << 16)
        };
        [of(x[0], x[1], window[0]), of(x[1], x[2], window[1])]
    };
    let first = triples(0).zip(w0).zip(triples(1).zip(w1));
    let last = triples(2).zip(w2).zip(triples(3).zip(w3));
    begin(points, first.zip(last).map(|((a, b), (c, d))| [term(a), term(b), term(c), term(d)]));
}

/// The transform of 512 points from those of the even and the odd ones, scaled by 1/2.
#[inline(never)]
fn join(even: &[Complex; POINTS], odd: &[Complex; POINTS], turns: &[[i32; 2]; POINTS]) {
    for ((even, odd), &turn) in even.iter().zip(odd).zip(turns) {
        let (sum, term) = (halved(get(even)), turned(get(odd), turn));
        set(even, add(sum, term));
        set(odd, sub(sum, term));
    }
}

/// From the transform of the complex points to bins 1 to 511 of the real ones, each in the place of its point.
#[inline(never)]
fn real(points: &[Complex], turns: &[[i32; 2]; POINTS]) {
    let (Some(lower), Some(upper)) = (points.get(1..POINTS), points.get(POINTS + 1..)) else { return };
    for ((low, high), &turn) in lower.iter().zip(upper.iter().rev()).zip(turns.iter().skip(1)) {
        let ([a, b], [c, d]) = (get(low), get(high));
        let even = halved([a.wrapping_add(c), b.wrapping_sub(d)]);
        let odd = turned([b.wrapping_add(d), c.wrapping_sub(a)], turn);
        // The upper bin is conjugated, of which its modulus does not tell.
        set(low, add(even, odd));
        set(high, sub(even, odd));
    }
}

impl LogMel {
    /// Calls `each` with the power of each band, in order; a sample is 2⁵, and so its square 2¹⁰.
    #[inline(never)]
    fn bands(&self, points: &[Complex], weights: &[i32], counts: &[u8], mut each: impl FnMut(u64)) {
        let mut points = points.get(self.first as usize..).unwrap_or_default();
        let mut weights = weights;
        let mut below = 0u64;
        for (segment, &count) in counts.iter().enumerate() {
            let count = usize::from(count).min(points.len()).min(weights.len());
            let (bins, other_points) = points.split_at_checked(count).unwrap_or_default();
            let (of_bins, other_weights) = weights.split_at_checked(count).unwrap_or_default();
            (points, weights) = (other_points, other_weights);
            let (mut all, mut half) = (0u64, 0u64);
            for (bin, &weight) in bins.iter().zip(of_bins) {
                // Up to 63 bins of 2⁶² each have room.
                let power = power(get(bin)) >> 6;
                let weight = u64::from(weight.cast_unsigned());
                let lower = ((power & 0xFFFF_FFFF) * weight) >> 32;
                all = all.wrapping_add(power);
                half = half.wrapping_add(lower).wrapping_add((power >> 32).wrapping_mul(weight));
            }
            let above = half.wrapping_mul(2);
            if segment > 0 {
                each(below.wrapping_add(all.wrapping_sub(above)));
            }
            below = above;
        }
    }
}
