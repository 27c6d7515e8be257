//! Softmax over the last axis: `out[n, i] = exp(β · (input[n, i] − max)) / Σⱼ exp(β · (input[n, j] − max))`.
//!
//! The int8 kernel is TFLite's `reference_ops::Softmax` in fixed point, to the bit: differences in Q5.26, their sum in
//! Q12.19, and an output of scale 1/256 and zero point −128. Exponentials are computed twice instead of being kept: no
//! scratch memory, and the output may lie over the input.
//!
//! The int16 kernel is `SoftmaxInt16`: both functions are tables of 513 entries, interpolated, and the exponentials lie in
//! the output until they are scaled, in Q0.15.

use core::ops::Range;

use super::{Effort, Kernel, Need, Overlap};
use crate::arithmetic::{exp_on_negative, high_mul, multiply, one_over_one_plus, rounding_shift_right};
use crate::isa::Isa;
use crate::memory::{Memory, Multiplier, Operand, View, ViewMut};

/// Entries of a table of a function of int16: one for every 128th, and the end.
pub const ENTRIES: usize = 513;

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

    /// 16-bit softmax.
    pub struct SoftmaxI16 {
        /// Rows, `n`.
        pub batch: u32,
        /// Elements of a row.
        pub depth: u32,
        /// From a difference of inputs to steps of the exponential's table, of which 65,535 are 10.
        pub multiplier: Multiplier,
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

/// A function of int16 by its table (TFLite's `LUTLookup`); arguments outside int16 have the value at its end.
#[inline(always)]
fn looked_up(table: &[i16; ENTRIES], x: i32) -> i32 {
    let x = x.max(i16::MIN.into()).min(i16::MAX.into());
    let entry = (256 + (x >> 7)) as usize;
    let [low, high] = [entry, entry + 1].map(|entry| i32::from(table.get(entry).copied().unwrap_or_default()));
    // TFLite's slope has 16 bits.
    let slope = i32::from(high.wrapping_sub(low) as i16);
    i32::from((low + ((slope * (x & 127) + 64) >> 7)) as i16)
}

impl SoftmaxI16 {
    fn run_row(
        &self,
        exponential: &[i16; ENTRIES],
        reciprocal: &[i16; ENTRIES],
        input: View<'_, i16>,
        out: ViewMut<'_, i16>,
    ) {
        let most = i32::from(input.iter().fold(i16::MIN, i16::max));
        let mut sum = 0i32;
        for (x, out) in input.iter().zip(out.iter()) {
            let steps = multiply(i32::from(x) - most, self.multiplier).wrapping_add(32767);
            let value = looked_up(exponential, steps);
            sum = sum.wrapping_add(value);
            out.set(value as i16);
        }
        // `sum = 2^(16 − headroom) · (1 + fraction)`, in Q16.15.
        let headroom = sum.leading_zeros();
        let scaled = (i64::from(sum).wrapping_shl(headroom.wrapping_sub(1)).wrapping_add(1 << 13)) as i32 >> 14;
        let scale = looked_up(reciprocal, scaled.wrapping_sub((1 << 15) + (1 << 16)));
        let shift = 31u32.wrapping_sub(headroom);
        for out in out.iter() {
            let product = i64::from(i32::from(out.get()).wrapping_mul(scale));
            let share = product.wrapping_add(1i64.wrapping_shl(shift.wrapping_sub(1))).wrapping_shr(shift);
            out.set((share as i32).max(0).min(i16::MAX.into()) as i16);
        }
    }
}

impl Kernel for SoftmaxI16 {
    const OPCODE: u16 = 57;
    type Operands = [Operand; 3];

    fn valid(&self) -> bool {
        self.batch > 0 && self.depth > 0
    }

    fn rows(&self) -> u32 {
        self.batch
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.depth.into()])
    }

    fn needs(&self) -> [Need; 3] {
        let shape = &[self.batch, self.depth];
        [Need::read::<i16>(shape), Need::constant::<i16>(&[2, ENTRIES as u32]), Need::write::<i16>(shape)]
    }

    fn overlap(&self, _: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, tables, out]: &[Operand; 3]) {
        let (input, out) = (memory.view::<i16>(input), memory.view_mut::<i16>(out));
        let &[exponential, reciprocal] = &memory.constants::<i16>(tables).as_chunks::<ENTRIES>().0 else { return };
        let depth = self.depth as usize;
        for row in rows {
            let start = row as usize * depth;
            self.run_row(exponential, reciprocal, input.slice(start, depth), out.slice(start, depth));
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
    use crate::ops::testing::{Random, bytes, run, run_in_place, values};

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
    fn int16_is_the_formula_within_a_few_steps() {
        let mut random = Random(3);
        let table = |function: &dyn Fn(f64) -> f64| -> Vec<i16> {
            (0..ENTRIES).map(|i| (function(i as f64 / 512.0) * 32767.5) as i16).collect()
        };
        let tables = [table(&|x| (10.0 * (x - 1.0)).exp()), table(&|x| 1.0 / (1.0 + x))].concat();
        for _ in 0..100 {
            let (batch, depth) = (random.in_range(1..4), random.in_range(1..40));
            // A step of the input is 2^-12; 65,535 steps of the table are 10.
            let multiplier = Multiplier { value: ((65535.0 / 40960.0) * f64::from(1 << 30)) as i32, shift: 1 };
            let kernel = SoftmaxI16 { batch, depth, multiplier };
            let input: Vec<i16> = (0..batch * depth).map(|_| random.word() as i16).collect();
            let reads = [bytes(&input), bytes(&tables)];
            let found = run(&kernel, &reads);
            assert_eq!(run_in_place(&kernel, &reads), found);
            let reals: Vec<f64> = input.iter().map(|&x| f64::from(x) / 4096.0).collect();
            let expected = reals.chunks(depth as usize).flat_map(softmax);
            for (expected, found) in expected.zip(values::<i16>(&found)) {
                assert!((f64::from(found) - expected * 32768.0).abs() < 40.0, "{kernel:?}: {found} of {expected}");
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
