//! Sum, difference and product of two tensors, elementwise, each broadcast to the output's shape.
//!
//! 8-bit sums follow TFLite: both inputs are scaled to a common fixed point, `2^20` finer than twice the larger scale,
//! and the sum is scaled to the output: `out = requantise(m₀ · ((a + o₀) · 2^20) ± m₁ · ((b + o₁) · 2^20))`.
//! 8-bit products: `out = requantise((a + o₀) · (b + o₁))`.
//! 16-bit ones have zero points of 0, and the fixed point of sums is `2^15` finer.

use core::ops::Range;

use super::axes::{AXES, for_each_run};
use super::window::{count, product};
use super::{Effort, Kernel, Need, Overlap};
use crate::arithmetic::{Requantise, multiply};
use crate::isa::Isa;
use crate::memory::{Element, Memory, Multiplier, Operand, View, ViewMut};

/// Bits by which TFLite refines 8-bit inputs before it adds them.
pub const ADD_LEFT_SHIFT: u32 = 20;
/// Bits by which it refines 16-bit inputs.
pub const ADD_LEFT_SHIFT_I16: u32 = 15;

crate::params! {
    /// How two inputs are repeated to the shape of the output, which is dense.
    pub struct Broadcast {
        /// Sizes of the output's axes, at least 1. Rows are the first axis.
        pub dims: [u32; 6],
        /// Of each input: elements between neighbours along each axis, 0 where it is repeated. Along the last axis 0 or
        /// 1, and not 0 for both.
        pub strides: [[u32; 6]; 2],
    }

    /// 8-bit sum or difference.
    pub struct AddI8 {
        /// The shapes.
        pub broadcast: Broadcast,
        /// What is added to each input: minus its zero point.
        pub offsets: [i32; 2],
        /// Each input's scale over the common one.
        pub multipliers: [Multiplier; 2],
        /// The common scale over the output's.
        pub multiplier: Multiplier,
        /// Whether the second input is subtracted.
        pub subtract: bool,
        /// Zero point and range of the output.
        pub requantise: Requantise,
    }

    /// 8-bit product.
    pub struct MulI8 {
        /// The shapes.
        pub broadcast: Broadcast,
        /// What is added to each input: minus its zero point.
        pub offsets: [i32; 2],
        /// The product of the inputs' scales over the output's.
        pub multiplier: Multiplier,
        /// Zero point and range of the output.
        pub requantise: Requantise,
    }

    /// 16-bit sum or difference.
    pub struct AddI16 {
        /// The shapes.
        pub broadcast: Broadcast,
        /// Each input's scale over the common one.
        pub multipliers: [Multiplier; 2],
        /// The common scale over the output's.
        pub multiplier: Multiplier,
        /// Whether the second input is subtracted.
        pub subtract: bool,
        /// Smallest output; the fused activation.
        pub min: i16,
        /// Largest output; the fused activation.
        pub max: i16,
    }

    /// 16-bit product.
    pub struct MulI16 {
        /// The shapes.
        pub broadcast: Broadcast,
        /// The product of the inputs' scales over the output's.
        pub multiplier: Multiplier,
        /// Smallest output; the fused activation.
        pub min: i16,
        /// Largest output; the fused activation.
        pub max: i16,
    }

    /// What two floats become.
    pub enum FloatBinary {
        /// `a + b`.
        Add = 0,
        /// `a − b`.
        Sub = 1,
        /// `a · b`.
        Mul = 2,
    }

    /// Float sum, difference or product.
    pub struct BinaryF32 {
        /// The shapes.
        pub broadcast: Broadcast,
        /// What is computed.
        pub function: FloatBinary,
        /// Smallest output; the fused activation.
        pub min: f32,
        /// Largest output; the fused activation.
        pub max: f32,
    }
}

impl Broadcast {
    fn valid(&self) -> bool {
        let [[.., a], [.., b]] = self.strides;
        self.dims.iter().all(|&size| size > 0) && a <= 1 && b <= 1 && a + b > 0
    }

    /// Elements of input `input`, up to the last that is read.
    #[inline(never)]
    fn count(&self, input: usize) -> u32 {
        let strides = self.strides.get(input).unwrap_or(&[0; AXES]);
        self.dims
            .iter()
            .zip(strides)
            .fold(1, |count: u32, (&size, &stride)| count.saturating_add(size.saturating_sub(1).saturating_mul(stride)))
    }

    fn effort(&self) -> Effort {
        let [_, d1, d2, d3, d4, len] = self.dims;
        Effort::of_row(&[product(&[d1, d2, d3, d4]), product(&[d1, d2, d3, d4, len])])
    }

    fn needs<T>(&self) -> [Need; 3] {
        [Need::read::<T>(&[self.count(0)]), Need::read::<T>(&[self.count(1)]), Need::write::<T>(&[count(&self.dims)])]
    }

    /// An input that is not repeated is read where the output is written.
    fn overlap(&self, input: usize) -> Overlap {
        let Some(strides) = self.strides.get(input) else { return Overlap::None };
        let mut dense = 1u64;
        for (&size, &stride) in self.dims.iter().zip(strides).rev() {
            if size > 1 && u64::from(stride) != dense {
                return Overlap::None;
            }
            dense = dense.saturating_mul(size.into());
        }
        Overlap::SameOffset
    }

    /// Sets the output rows `rows` to `combine` of both inputs.
    #[inline(always)]
    fn apply<T: Element>(
        &self,
        rows: Range<u32>,
        [a, b]: [View<'_, T>; 2],
        out: ViewMut<'_, T>,
        combine: impl Fn(T, T) -> T,
    ) {
        let [_, d1, d2, d3, d4, len] = self.dims;
        let row = [d1, d2, d3, d4, len].into_iter().fold(1, u32::wrapping_mul);
        let len = len as usize;
        let mut next = rows.start.wrapping_mul(row) as usize;
        let [[.., a_stride], [.., b_stride]] = self.strides;
        for_each_run(rows, &self.dims, [0, 0], self.strides, |[a_at, b_at]| {
            let out = out.slice(next, len);
            next = next.wrapping_add(len);
            let (a_at, b_at) = (a_at as usize, b_at as usize);
            if b_stride == 0 {
                let y = b.at(b_at);
                for (out, x) in out.iter().zip(a.slice(a_at, len).iter()) {
                    out.set(combine(x, y));
                }
            } else if a_stride == 0 {
                let x = a.at(a_at);
                for (out, y) in out.iter().zip(b.slice(b_at, len).iter()) {
                    out.set(combine(x, y));
                }
            } else {
                for ((out, x), y) in out.iter().zip(a.slice(a_at, len).iter()).zip(b.slice(b_at, len).iter()) {
                    out.set(combine(x, y));
                }
            }
        });
    }
}

/// The sum or difference of two elements, each scaled to the common fixed point.
#[inline(always)]
fn scaled_sum([x, y]: [i32; 2], [x_multiplier, y_multiplier]: [Multiplier; 2], subtract: bool) -> i32 {
    let (x, y) = (multiply(x, x_multiplier), multiply(y, y_multiplier));
    // All ones negates: `(y ^ -1) + 1`.
    let negate = -(subtract as i32);
    x.wrapping_add((y ^ negate).wrapping_sub(negate))
}

impl AddI8 {
    /// The sum or difference of two elements.
    #[inline(always)]
    pub fn sum(&self, x: i8, y: i8) -> i8 {
        let [x_offset, y_offset] = self.offsets;
        let x = (x as i32).wrapping_add(x_offset).wrapping_shl(ADD_LEFT_SHIFT);
        let y = (y as i32).wrapping_add(y_offset).wrapping_shl(ADD_LEFT_SHIFT);
        self.requantise.apply(scaled_sum([x, y], self.multipliers, self.subtract), self.multiplier)
    }
}

macro_rules! binary_kernels {
    ($($opcode:literal => $name:ident of $element:ty: $valid:expr, $run:expr;)*) => {$(
        impl Kernel for $name {
            const OPCODE: u16 = $opcode;
            type Operands = [Operand; 3];

            fn valid(&self) -> bool {
                self.broadcast.valid() && $valid(self)
            }

            fn rows(&self) -> u32 {
                let [rows, ..] = self.broadcast.dims;
                rows
            }

            fn effort(&self) -> Effort {
                self.broadcast.effort()
            }

            fn needs(&self) -> [Need; 3] {
                self.broadcast.needs::<$element>()
            }

            fn overlap(&self, read: usize) -> Overlap {
                self.broadcast.overlap(read)
            }

            #[inline(never)]
            fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[a, b, out]: &[Operand; 3]) {
                $run(self, rows, [memory.view(a), memory.view(b)], memory.view_mut(out));
            }
        }
    )*};
}

binary_kernels! {
    7 => AddI8 of i8: |kernel: &Self| kernel.requantise.valid(), AddI8::compute;
    8 => MulI8 of i8: |kernel: &Self| kernel.requantise.valid(), MulI8::compute;
    9 => BinaryF32 of f32: |_: &Self| true, BinaryF32::compute;
    52 => AddI16 of i16: |kernel: &Self| kernel.min <= kernel.max, AddI16::compute;
    53 => MulI16 of i16: |kernel: &Self| kernel.min <= kernel.max, MulI16::compute;
}

impl AddI8 {
    #[inline(always)]
    fn compute(&self, rows: Range<u32>, inputs: [View<'_, i8>; 2], out: ViewMut<'_, i8>) {
        self.broadcast.apply(rows, inputs, out, |x, y| self.sum(x, y));
    }
}

impl MulI8 {
    #[inline(always)]
    fn compute(&self, rows: Range<u32>, inputs: [View<'_, i8>; 2], out: ViewMut<'_, i8>) {
        let [a_offset, b_offset] = self.offsets;
        self.broadcast.apply(rows, inputs, out, |x, y| {
            let (x, y) = (i32::from(x).wrapping_add(a_offset), i32::from(y).wrapping_add(b_offset));
            self.requantise.apply(x.wrapping_mul(y), self.multiplier)
        });
    }
}

impl AddI16 {
    #[inline(always)]
    fn compute(&self, rows: Range<u32>, inputs: [View<'_, i16>; 2], out: ViewMut<'_, i16>) {
        self.broadcast.apply(rows, inputs, out, |x, y| {
            let inputs = [x, y].map(|x| i32::from(x) << ADD_LEFT_SHIFT_I16);
            let sum = multiply(scaled_sum(inputs, self.multipliers, self.subtract), self.multiplier);
            sum.max(self.min.into()).min(self.max.into()) as i16
        });
    }
}

impl MulI16 {
    #[inline(always)]
    fn compute(&self, rows: Range<u32>, inputs: [View<'_, i16>; 2], out: ViewMut<'_, i16>) {
        self.broadcast.apply(rows, inputs, out, |x, y| {
            let product = multiply(i32::from(x).wrapping_mul(i32::from(y)), self.multiplier);
            product.max(self.min.into()).min(self.max.into()) as i16
        });
    }
}

impl BinaryF32 {
    #[inline(always)]
    fn compute(&self, rows: Range<u32>, inputs: [View<'_, f32>; 2], out: ViewMut<'_, f32>) {
        let clamp = |x: f32| x.max(self.min).min(self.max);
        match self.function {
            FloatBinary::Add => self.broadcast.apply(rows, inputs, out, |x, y| clamp(x + y)),
            FloatBinary::Sub => self.broadcast.apply(rows, inputs, out, |x, y| clamp(x - y)),
            FloatBinary::Mul => self.broadcast.apply(rows, inputs, out, |x, y| clamp(x * y)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, bytes, run, run_in_place, values};
    use super::*;
    use std::vec::Vec;

    /// A multiplier by mantissa and exponent of `real < 1`.
    fn multiplier(real: f64) -> Multiplier {
        let (fraction, shift) = libm::frexp(real);
        Multiplier { value: (fraction * 2147483648.0) as i32, shift }
    }

    /// Random axes, each input repeated along some of them.
    fn broadcast(random: &mut Random) -> Broadcast {
        let dims: [u32; 6] = core::array::from_fn(|_| random.between(1, 4) as u32);
        let mut strides = [[0; 6]; 2];
        for (input, strides) in strides.iter_mut().enumerate() {
            let mut dense = 1;
            for axis in (0..6).rev() {
                let repeated = if axis == 5 { random.between(0, 1) == input as i32 } else { random.between(0, 3) == 0 };
                if !repeated {
                    strides[axis] = dense;
                    dense *= dims[axis];
                }
            }
        }
        if strides[0][5] + strides[1][5] == 0 {
            return self::broadcast(random);
        }
        Broadcast { dims, strides }
    }

    /// The elements of both inputs for each output.
    fn pairs(broadcast: &Broadcast) -> Vec<[usize; 2]> {
        let total: u32 = broadcast.dims.iter().product();
        let index = |mut flat: u32, strides: &[u32; 6]| {
            let mut at = 0;
            for (size, stride) in broadcast.dims.iter().zip(strides).rev() {
                at += flat % size * stride;
                flat /= size;
            }
            at as usize
        };
        (0..total).map(|flat| [index(flat, &broadcast.strides[0]), index(flat, &broadcast.strides[1])]).collect()
    }

    const WHOLE: Requantise = Requantise { zero_point: 0, min: -128, max: 127 };

    #[test]
    fn sums_and_differences_are_real_ones_rounded() {
        let mut random = Random(7);
        for case in 0..200 {
            let broadcast = broadcast(&mut random);
            let scales = [random.real(0.01, 0.1), random.real(0.01, 0.1)];
            let out_scale = random.real(0.02, 0.2);
            let common = 2.0 * scales[0].max(scales[1]);
            let kernel = AddI8 {
                broadcast,
                offsets: [random.between(-127, 128), random.between(-127, 128)],
                multipliers: scales.map(|scale| multiplier(scale / common)),
                multiplier: multiplier(common / (1 << ADD_LEFT_SHIFT) as f64 / out_scale),
                subtract: case % 2 == 1,
                requantise: Requantise { zero_point: random.between(-128, 127), min: -100, max: 120 },
            };
            let inputs = [0, 1].map(|input| random.bytes(broadcast.count(input) as usize));
            let out = run(&kernel, &inputs);
            for (found, at) in out.iter().zip(pairs(&broadcast)) {
                let real =
                    |n: usize| scales[n] * f64::from(i32::from(inputs[n][at[n]] as i8) + kernel.offsets[n]) / out_scale;
                let sum = if kernel.subtract { real(0) - real(1) } else { real(0) + real(1) };
                let wanted = (sum + f64::from(kernel.requantise.zero_point)).clamp(-100.0, 120.0);
                assert!((f64::from(*found as i8) - wanted).abs() <= 0.501, "{found} for {wanted}: {kernel:?}");
            }
        }
    }

    #[test]
    fn int16_results_are_real_ones_rounded() {
        let mut random = Random(11);
        for case in 0..200 {
            let broadcast = broadcast(&mut random);
            let scales = [random.real(0.01, 0.1), random.real(0.01, 0.1)];
            let (out_scale, factor) = (random.real(0.02, 0.2), random.real(0.00002, 0.0009));
            let common = 2.0 * scales[0].max(scales[1]);
            let (subtract, min, max) = (case % 2 == 1, -30_000, 31_000);
            let sum = AddI16 {
                broadcast,
                multipliers: scales.map(|scale| multiplier(scale / common)),
                multiplier: multiplier(common / (1 << ADD_LEFT_SHIFT_I16) as f64 / out_scale),
                subtract,
                min,
                max,
            };
            let product = MulI16 { broadcast, multiplier: multiplier(factor), min, max };
            let inputs = [0, 1].map(|input| random.bytes(2 * broadcast.count(input) as usize));
            let [sums, products] = [run(&sum, &inputs), run(&product, &inputs)].map(|out| values::<i16>(&out));
            let inputs = inputs.map(|input| values::<i16>(&input));
            for ((sum, product), at) in sums.into_iter().zip(products).zip(pairs(&broadcast)) {
                let [x, y] = [0, 1].map(|n| f64::from(inputs[n][at[n]]));
                let real = (x * scales[0] + if subtract { -y } else { y } * scales[1]) / out_scale;
                for (found, real) in [(sum, real), (product, x * y * factor)] {
                    let wanted = real.clamp(min.into(), max.into());
                    assert!((f64::from(found) - wanted).abs() <= 0.76, "{found} for {wanted}");
                }
            }
        }
    }

    #[test]
    fn products_are_real_ones_rounded() {
        let mut random = Random(8);
        for _ in 0..200 {
            let broadcast = broadcast(&mut random);
            let factor = random.real(0.0001, 0.9);
            let kernel = MulI8 {
                broadcast,
                offsets: [random.between(-127, 128), random.between(-127, 128)],
                multiplier: multiplier(factor),
                requantise: Requantise { zero_point: random.between(-128, 127), min: -128, max: 101 },
            };
            let inputs = [0, 1].map(|input| random.bytes(broadcast.count(input) as usize));
            let out = run(&kernel, &inputs);
            for (found, at) in out.iter().zip(pairs(&broadcast)) {
                let real = |n: usize| f64::from(i32::from(inputs[n][at[n]] as i8) + kernel.offsets[n]);
                let wanted =
                    (real(0) * real(1) * factor + f64::from(kernel.requantise.zero_point)).clamp(-128.0, 101.0);
                // Rounded twice: to half a step, and before that to half of 2^shift steps.
                assert!((f64::from(*found as i8) - wanted).abs() <= 0.751, "{found} for {wanted}: {kernel:?}");
            }
        }
    }

    #[test]
    fn float_functions_are_those_of_f32() {
        let mut random = Random(9);
        for _ in 0..100 {
            let broadcast = broadcast(&mut random);
            let inputs = [0, 1].map(|input| bytes(&random.f32s(broadcast.count(input) as usize)));
            let [a, b] = [0, 1].map(|input| values::<f32>(&inputs[input]));
            for function in [FloatBinary::Add, FloatBinary::Sub, FloatBinary::Mul] {
                let formula = |x: f32, y: f32| match function {
                    FloatBinary::Add => x + y,
                    FloatBinary::Sub => x - y,
                    FloatBinary::Mul => x * y,
                };
                let kernel = BinaryF32 { broadcast, function, min: -0.5, max: 0.6 };
                let out: Vec<f32> = values(&run(&kernel, &inputs));
                let wanted: Vec<f32> =
                    pairs(&broadcast).iter().map(|&[i, j]| formula(a[i], b[j]).clamp(-0.5, 0.6)).collect();
                assert_eq!(out, wanted);
            }
        }
    }

    #[test]
    fn the_output_may_lie_over_an_input_of_its_shape() {
        let mut random = Random(10);
        let broadcast = Broadcast { dims: [3, 1, 1, 2, 1, 5], strides: [[10, 0, 0, 5, 0, 1], [0, 0, 0, 5, 0, 1]] };
        let kernel = MulI8 {
            broadcast,
            offsets: [3, -4],
            multiplier: Multiplier { value: 1 << 30, shift: -6 },
            requantise: WHOLE,
        };
        assert_eq!([0, 1].map(|read| kernel.overlap(read)), [Overlap::SameOffset, Overlap::None]);
        let inputs = [random.bytes(30), random.bytes(10)];
        assert_eq!(run_in_place(&kernel, &inputs), run(&kernel, &inputs));
    }

    #[test]
    fn shapes_that_no_broadcast_has_are_refused() {
        let plain = Broadcast { dims: [1, 1, 1, 1, 1, 4], strides: [[0, 0, 0, 0, 0, 1]; 2] };
        assert!(plain.valid());
        assert!(!Broadcast { dims: [0, 1, 1, 1, 1, 4], ..plain }.valid());
        assert!(!Broadcast { strides: [[0; 6]; 2], ..plain }.valid());
        assert!(!Broadcast { strides: [[2; 6]; 2], ..plain }.valid());
        let huge = Broadcast { dims: [u32::MAX; 6], strides: [[u32::MAX; 6], [1; 6]] };
        assert_eq!(huge.needs::<i8>().map(|need| need.bytes()), [u32::MAX; 3]);
    }
}
