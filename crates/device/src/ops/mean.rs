//! Mean over any axes: `out = zero_point + multiplier · (offset + Σ input)`, where the multiplier holds both scales and
//! the division by the number of summands.
//!
//! Any choice of axes of a tensor of rank 6 is, after neighbouring axes are joined, an alternation of at most seven
//! kept and summed axes: so there is one loop nest for all.

use core::ops::Range;

use super::window::{count, product};
use super::{Effort, Kernel, Need};
use crate::arithmetic::multiply;
use crate::isa::Isa;
use crate::memory::{Element, Memory, Multiplier, Operand, View, ViewMut};

crate::params! {
    /// 8-bit mean (TFLite's `QuantizedMeanOrSum`).
    pub struct Mean {
        /// Axes of the input: kept, summed, kept, summed, kept, summed, kept.
        pub sizes: [u32; 7],
        /// What is added to each sum: minus the input's zero point, as often as there are summands.
        pub offset: i32,
        /// From a sum to the output.
        pub multiplier: Multiplier,
        /// Zero point of the output.
        pub zero_point: i32,
    }

    /// 16-bit mean, of zero points 0.
    pub struct MeanI16 {
        /// Axes of the input, as in [`Mean`].
        pub sizes: [u32; 7],
        /// From a sum to the output.
        pub multiplier: Multiplier,
    }

    /// Float mean.
    pub struct MeanF32 {
        /// Axes of the input, as in [`Mean`].
        pub sizes: [u32; 7],
    }
}

/// Channels that are summed at once, in registers.
const BLOCK: usize = 4;

fn sizes_valid(sizes: &[u32; 7]) -> bool {
    sizes.iter().all(|&size| size > 0)
}

/// Output rows: all kept axes but the last.
fn rows_of(sizes: &[u32; 7]) -> u32 {
    sizes[0].saturating_mul(sizes[2]).saturating_mul(sizes[4])
}

fn effort(sizes: &[u32; 7]) -> Effort {
    let [_, outer, _, between, _, innermost, last] = *sizes;
    let sums = [product(&[last, outer, between]), product(&[last, outer, between, innermost])];
    Effort::of_row(&[last.into(), sums[0], sums[1]])
}

fn needs<T>(sizes: &[u32; 7]) -> [Need; 2] {
    [Need::read::<T>(&[count(sizes)]), Need::write::<T>(&[sizes[0], sizes[2], sizes[4], sizes[6]])]
}

/// Computes the output rows `rows`: `store(i, sum)` for each element `i`.
#[inline(always)]
fn sum_rows<T: Element, S: Copy + Default>(
    sizes: &[u32; 7],
    rows: Range<u32>,
    input: View<'_, T>,
    add: impl Fn(S, T) -> S + Copy,
    store: impl Fn(usize, S),
) {
    let [_, _, middle, _, inner, _, last] = sizes.map(|size| size as usize);
    for row in rows {
        // The indices on the kept axes; divisors are not zero, by `valid`.
        let row = row as usize;
        let rest = row.checked_div(inner).unwrap_or_default();
        let index = [rest.checked_div(middle).unwrap_or_default(), 0, row - rest * inner];
        let index = [index[0], rest - index[0] * middle, index[2]];
        let mut c = 0;
        while c + BLOCK <= last {
            let sums = sums::<T, S, BLOCK>(sizes, index, c, input, add);
            for (n, sum) in (0..).zip(sums) {
                store(row * last + c + n, sum);
            }
            c += BLOCK;
        }
        while c < last {
            let [sum] = sums::<T, S, 1>(sizes, index, c, input, add);
            store(row * last + c, sum);
            c += 1;
        }
    }
}

/// The sums at `index` on the kept axes but the last, and `N` neighbours from `c` on the last.
#[inline(always)]
fn sums<T: Element, S: Copy + Default, const N: usize>(
    sizes: &[u32; 7],
    index: [usize; 3],
    c: usize,
    input: View<'_, T>,
    add: impl Fn(S, T) -> S,
) -> [S; N] {
    let [_, outer, middle, between, inner, innermost, last] = sizes.map(|size| size as usize);
    let inner_step = innermost * last;
    let between_step = inner * inner_step;
    let middle_step = between * between_step;
    let outer_step = middle * middle_step;
    let mut sums = [S::default(); N];
    let start = index[0] * outer * outer_step + index[1] * middle_step + index[2] * inner_step + c;
    for i in 0..outer {
        for j in 0..between {
            for xs in input.strided::<N>(start + i * outer_step + j * between_step, last, innermost) {
                for (sum, x) in sums.iter_mut().zip(xs) {
                    *sum = add(*sum, x);
                }
            }
        }
    }
    sums
}

macro_rules! mean_kernels {
    ($($opcode:literal => $name:ident of $element:ty;)*) => {$(
        impl Kernel for $name {
            const OPCODE: u16 = $opcode;
            type Operands = [Operand; 2];

            fn valid(&self) -> bool {
                sizes_valid(&self.sizes)
            }

            fn rows(&self) -> u32 {
                rows_of(&self.sizes)
            }

            fn effort(&self) -> Effort {
                effort(&self.sizes)
            }

            fn needs(&self) -> [Need; 2] {
                needs::<$element>(&self.sizes)
            }

            #[inline(never)]
            fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, out]: &[Operand; 2]) {
                self.compute(rows, memory.view(input), memory.view_mut(out));
            }
        }
    )*};
}

mean_kernels! {
    16 => Mean of i8;
    17 => MeanF32 of f32;
    56 => MeanI16 of i16;
}

impl Mean {
    #[inline(always)]
    fn compute(&self, rows: Range<u32>, input: View<'_, i8>, out: ViewMut<'_, i8>) {
        let add = |sum: i32, x: i8| sum.wrapping_add(x.into());
        sum_rows(&self.sizes, rows, input, add, |i, sum| {
            let mean = multiply(sum.wrapping_add(self.offset), self.multiplier).wrapping_add(self.zero_point);
            out.set(i, mean.max(i8::MIN.into()).min(i8::MAX.into()) as i8);
        });
    }
}

impl MeanI16 {
    #[inline(always)]
    fn compute(&self, rows: Range<u32>, input: View<'_, i16>, out: ViewMut<'_, i16>) {
        let add = |sum: i32, x: i16| sum.wrapping_add(x.into());
        sum_rows(&self.sizes, rows, input, add, |i, sum| {
            let mean = multiply(sum, self.multiplier);
            out.set(i, mean.max(i16::MIN.into()).min(i16::MAX.into()) as i16);
        });
    }
}

impl MeanF32 {
    #[inline(always)]
    fn compute(&self, rows: Range<u32>, input: View<'_, f32>, out: ViewMut<'_, f32>) {
        let count = product(&[self.sizes[1], self.sizes[3], self.sizes[5]]) as f32;
        sum_rows(&self.sizes, rows, input, |sum: f32, x| sum + x, |i, sum| out.set(i, sum / count));
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::ops::testing::{Random, bytes, run, values};

    fn sizes(random: &mut Random) -> [u32; 7] {
        [0; 7].map(|_: u32| if random.below(2) == 0 { 1 } else { random.in_range(1..6) })
    }

    /// Each output element's sum, by the formula.
    fn sums_of(sizes: &[u32; 7], input: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; (sizes[0] * sizes[2] * sizes[4] * sizes[6]) as usize];
        for (i, x) in input.iter().enumerate() {
            let (mut rest, mut out, mut step) = (i, 0, 1);
            for axis in (0..7).rev() {
                let index = rest % sizes[axis] as usize;
                rest /= sizes[axis] as usize;
                if axis % 2 == 0 {
                    out += index * step;
                    step *= sizes[axis] as usize;
                }
            }
            sums[out] += x;
        }
        sums
    }

    #[test]
    fn int8_is_the_formula() {
        let mut random = Random(1);
        for _ in 0..200 {
            let sizes = sizes(&mut random);
            let input = random.i8s(product(&sizes) as usize);
            let summands = f64::from(sizes[1] * sizes[3] * sizes[5]);
            let (input_zero, zero_point) = (random.below(256) as i32 - 128, random.below(256) as i32 - 128);
            let multiplier = Multiplier { value: (f64::from(3 << 29) / summands) as i32, shift: 0 };
            let offset = -input_zero * summands as i32;
            let kernel = Mean { sizes, offset, multiplier, zero_point };
            let found = values::<i8>(&run(&kernel, &[bytes(&input)]));
            let input: Vec<f64> = input.into_iter().map(|x| f64::from(i32::from(x) - input_zero)).collect();
            for (sum, found) in sums_of(&sizes, &input).into_iter().zip(found) {
                let exact = (0.75 * sum / summands + f64::from(zero_point)).clamp(-128.0, 127.0);
                assert!((f64::from(found) - exact).abs() < 0.501, "{kernel:?}: {found} against {exact}");
            }
        }
    }

    #[test]
    fn int16_is_the_formula() {
        let mut random = Random(3);
        for _ in 0..100 {
            let sizes = sizes(&mut random);
            let input: Vec<i16> = (0..product(&sizes)).map(|_| random.word() as i16).collect();
            let summands = f64::from(sizes[1] * sizes[3] * sizes[5]);
            let multiplier = Multiplier { value: (f64::from(3 << 29) / summands) as i32, shift: 0 };
            let found = values::<i16>(&run(&MeanI16 { sizes, multiplier }, &[bytes(&input)]));
            let input: Vec<f64> = input.into_iter().map(f64::from).collect();
            for (sum, found) in sums_of(&sizes, &input).into_iter().zip(found) {
                let exact = 0.75 * sum / summands;
                assert!((f64::from(found) - exact).abs() < 0.501, "{sizes:?}: {found} against {exact}");
            }
        }
    }

    #[test]
    fn float_is_the_formula() {
        let mut random = Random(2);
        for _ in 0..100 {
            let sizes = sizes(&mut random);
            let input = random.f32s(product(&sizes) as usize);
            let found = values::<f32>(&run(&MeanF32 { sizes }, &[bytes(&input)]));
            let input: Vec<f64> = input.into_iter().map(f64::from).collect();
            for (sum, found) in sums_of(&sizes, &input).into_iter().zip(found) {
                let exact = sum / f64::from(sizes[1] * sizes[3] * sizes[5]);
                assert!((f64::from(found) - exact).abs() < 1e-5, "{sizes:?}: {found} against {exact}");
            }
        }
    }
}
