//! Softmax over the last axis: `out[n, i] = exp(β · (input[n, i] − max)) / Σⱼ exp(β · (input[n, j] − max))`.
//!
//! The int8 kernel is TFLite's `reference_ops::Softmax` in fixed point, to the bit: differences in Q5.26, their sum in
//! Q12.19, and an output of scale 1/256 and zero point −128. Exponentials are computed twice instead of being kept: no
//! scratch memory, and the output may lie over the input.

use core::ops::Range;

use super::{Effort, Kernel, Need, Overlap};
use crate::arithmetic::{exp_on_negative, high_mul, one_over_one_plus, rounding_shift_right};
use crate::isa::Isa;
use crate::memory::{Memory, Operand, View, ViewMut};

crate::params! {
    /// 8-bit softmax.
    pub struct Softmax {
        /// Rows, `n`.
        pub batch: u32,
        /// Elements of a row.
        pub depth: u32,
        /// `β · input scale · 2^26`, as a mantissa in Q0.31.
        pub multiplier: i32,
        /// Exponent of the multiplier, `0..=31`.
        pub left_shift: u32,
        /// Differences below this one count as minus infinity.
        pub least_difference: i32,
    }

    /// Float softmax.
    pub struct SoftmaxF32 {
        /// Rows, `n`.
        pub batch: u32,
        /// Elements of a row.
        pub depth: u32,
        /// Factor of the exponent, `β`.
        pub beta: f32,
    }
}

/// Bits before the point of a difference.
const DIFFERENCE_INTEGER_BITS: u32 = 5;
/// Bits before the point of the sum of the exponentials.
const SUM_INTEGER_BITS: u32 = 12;

impl Softmax {
    /// `exp` of the difference `x − most` in Q0.31; `None` where it counts as zero.
    #[inline(always)]
    fn exponential(&self, x: i8, most: i8) -> Option<i32> {
        let difference = i32::from(x) - i32::from(most);
        (difference >= self.least_difference).then(|| {
            let scaled = high_mul(difference.wrapping_shl(self.left_shift), self.multiplier);
            exp_on_negative::<DIFFERENCE_INTEGER_BITS>(scaled)
        })
    }

    fn run_row(&self, input: View<'_, i8>, out: ViewMut<'_, i8>) {
        let most = input.iter().fold(i8::MIN, i8::max);
        let exponentials = input.iter().filter_map(|x| self.exponential(x, most));
        let sum = exponentials.fold(0i32, |sum, e| sum.wrapping_add(rounding_shift_right(e, SUM_INTEGER_BITS)));
        // `sum = 2^(12 − headroom) · (1 + fraction)`
        let headroom = sum.leading_zeros();
        let fraction = (sum as u32).wrapping_shl(headroom).wrapping_sub(1 << 31) as i32;
        let scale = one_over_one_plus(fraction);
        // From Q0.31, over the sum's power of two, to 8 bits after the point.
        let shift = SUM_INTEGER_BITS.wrapping_sub(headroom).wrapping_add(31 - 8);
        for (x, out) in input.iter().zip(out.iter()) {
            let share = self.exponential(x, most).map_or(0, |e| rounding_shift_right(high_mul(scale, e), shift));
            out.set(share.wrapping_sub(128).max(i8::MIN.into()).min(i8::MAX.into()) as i8);
        }
    }
}

impl Kernel for Softmax {
    const OPCODE: u16 = 18;
    type Operands = [Operand; 2];

    fn valid(&self) -> bool {
        self.batch > 0 && self.depth > 0 && self.left_shift <= 31
    }

    fn rows(&self) -> u32 {
        self.batch
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.depth.into()])
    }

    fn needs(&self) -> [Need; 2] {
        let shape = &[self.batch, self.depth];
        [Need::read::<i8>(shape), Need::write::<i8>(shape)]
    }

    fn overlap(&self, _: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 2]) {
        let (input, out) = (memory.view::<i8>(operands[0]), memory.view_mut::<i8>(operands[1]));
        let depth = self.depth as usize;
        for row in rows {
            let start = row as usize * depth;
            self.run_row(input.slice(start, depth), out.slice(start, depth));
        }
    }
}

impl Kernel for SoftmaxF32 {
    const OPCODE: u16 = 19;
    type Operands = [Operand; 2];

    fn valid(&self) -> bool {
        self.batch > 0 && self.depth > 0
    }

    fn rows(&self) -> u32 {
        self.batch
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.depth.into()])
    }

    fn needs(&self) -> [Need; 2] {
        let shape = &[self.batch, self.depth];
        [Need::read::<f32>(shape), Need::write::<f32>(shape)]
    }

    fn overlap(&self, _: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 2]) {
        let (input, out) = (memory.view::<f32>(operands[0]), memory.view_mut::<f32>(operands[1]));
        let depth = self.depth as usize;
        for row in rows {
            let start = row as usize * depth;
            let (input, out) = (input.slice(start, depth), out.slice(start, depth));
            let most = input.iter().fold(f32::MIN, f32::max);
            for (x, out) in input.iter().zip(out.iter()) {
                out.set(libm::expf((x - most) * self.beta));
            }
            let sum = out.view().iter().fold(0.0, |sum, e| sum + e);
            for out in out.iter() {
                out.set(out.get() / sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::ops::testing::{Random, bytes, run, values};

    fn softmax(row: &[f64]) -> Vec<f64> {
        let most = row.iter().copied().fold(f64::MIN, f64::max);
        let exponentials: Vec<f64> = row.iter().map(|x| (x - most).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        exponentials.into_iter().map(|e| e / sum).collect()
    }

    #[test]
    fn int8_is_the_formula_within_rounding() {
        let mut random = Random(1);
        for _ in 0..200 {
            let (batch, depth) = (random.in_range(1..4), random.in_range(1..40));
            // Scales 2^-8 … 2^0: the mantissa of 2^(26 − k) is 2^30, its exponent 27 − k.
            let k = random.below(9);
            let left_shift = 27 - k;
            let least_difference = -((31i64 << 26) >> left_shift) as i32;
            let kernel = Softmax { batch, depth, multiplier: 1 << 30, left_shift, least_difference };
            let input = random.i8s((batch * depth) as usize);
            let found = values::<i8>(&run(&kernel, &[bytes(&input)]));
            let reals: Vec<f64> = input.iter().map(|&x| f64::from(x) / f64::from(1 << k)).collect();
            let expected = reals.chunks(depth as usize).flat_map(softmax);
            for (expected, found) in expected.zip(found) {
                let exact = (expected * 256.0 - 128.0).min(127.0);
                assert!((f64::from(found) - exact).abs() < 0.51, "{kernel:?}: {found} against {exact}");
            }
        }
    }

    #[test]
    fn float_is_the_formula() {
        let mut random = Random(2);
        for _ in 0..100 {
            let (batch, depth) = (random.in_range(1..4), random.in_range(1..40));
            let beta = 1.5;
            let input: Vec<f32> = random.f32s((batch * depth) as usize).iter().map(|x| x * 8.0).collect();
            let found = values::<f32>(&run(&SoftmaxF32 { batch, depth, beta }, &[bytes(&input)]));
            let reals: Vec<f64> = input.iter().map(|&x| f64::from(x) * 1.5).collect();
            let expected = reals.chunks(depth as usize).flat_map(softmax);
            for (expected, found) in expected.zip(found) {
                assert!((f64::from(found) - expected).abs() < 1e-6, "{found} against {expected}");
            }
        }
    }
}
