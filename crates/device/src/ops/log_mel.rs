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
use crate::memory::{Memory, Operand};
use crate::spectrum::{Complex, LOGARITHMS, POINTS, TWIDDLES, add, finish, get, halved, high, log2, set, sub, turned};

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
        I::emphasised(samples, window, false, even);
        I::emphasised(samples, window, true, odd);
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
    /// Calls `each` with the power of each band, in order; a sample is 2⁵, and so its square 2¹⁰. All bins of a frame
    /// together have less than 2⁶¹.
    #[inline(never)]
    fn bands(&self, points: &[Complex], weights: &[i32], counts: &[u8], mut each: impl FnMut(u64)) {
        let mut bins = points.iter().skip(self.first as usize).zip(weights);
        let mut all = 0i64;
        for (segment, &count) in counts.iter().enumerate() {
            let mut above = 0i64;
            for (point, &weight) in bins.by_ref().take(count.into()) {
                for part in get(point) {
                    all = all.wrapping_add(i64::from(part) * i64::from(part));
                    above = above.wrapping_add(i64::from(part) * i64::from(high(part, weight)));
                }
            }
            if segment > 0 {
                each(all.wrapping_sub(above << 1).cast_unsigned());
            }
            all = above << 1;
        }
    }
}
