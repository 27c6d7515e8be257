//! Pooling: `out[n, y, x, c] = f(input[n, y·s + kh − p, x·s + kw − p, c])` over the taps inside the image, where `f` is
//! the average or the maximum.
//!
//! Input and output have one scale and zero point, so nothing is rescaled: the integer average is the rounded quotient of
//! the sum (TFLite's `reference_integer_ops::AveragePool`, half away from zero).

use core::ops::Range;

use super::window::{Reading, product};
use super::{Effort, Kernel, Need, Overlap, Window};
use crate::isa::Isa;
use crate::memory::{Element, Memory, Operand, View};

crate::params! {
    /// 8-bit average.
    pub struct AveragePool {
        /// The window's sizes.
        pub window: Window,
        /// Channels, `c`.
        pub channels: u32,
        /// Smallest output; the fused activation.
        pub min: i8,
        /// Largest output; the fused activation.
        pub max: i8,
    }

    /// 16-bit average.
    pub struct AveragePoolI16 {
        /// The window's sizes.
        pub window: Window,
        /// Channels, `c`.
        pub channels: u32,
        /// Smallest output; the fused activation.
        pub min: i16,
        /// Largest output; the fused activation.
        pub max: i16,
    }

    /// Float average.
    pub struct AveragePoolF32 {
        /// The window's sizes.
        pub window: Window,
        /// Channels, `c`.
        pub channels: u32,
        /// Smallest output; the fused activation.
        pub min: f32,
        /// Largest output; the fused activation.
        pub max: f32,
    }

    /// 8-bit maximum.
    pub struct MaxPool {
        /// The window's sizes.
        pub window: Window,
        /// Channels, `c`.
        pub channels: u32,
        /// Smallest output; the fused activation.
        pub min: i8,
        /// Largest output; the fused activation.
        pub max: i8,
    }

    /// 16-bit maximum.
    pub struct MaxPoolI16 {
        /// The window's sizes.
        pub window: Window,
        /// Channels, `c`.
        pub channels: u32,
        /// Smallest output; the fused activation.
        pub min: i16,
        /// Largest output; the fused activation.
        pub max: i16,
    }

    /// Float maximum.
    pub struct MaxPoolF32 {
        /// The window's sizes.
        pub window: Window,
        /// Channels, `c`.
        pub channels: u32,
        /// Smallest output; the fused activation.
        pub min: f32,
        /// Largest output; the fused activation.
        pub max: f32,
    }
}

/// Channels that are pooled at once, in registers.
const BLOCK: usize = 4;

/// Where windows lie: rows of taps.
#[derive(Clone, Copy)]
struct Taps {
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

/// How elements are folded at `[first, step, count]`: four neighbours, or one.
struct Folding<S, F4, F1> {
    start: S,
    fold4: F4,
    fold1: F1,
}

/// Computes the output rows `rows`: `store(i, folded, taps)` for each element `i`, folded over that many taps.
#[inline(always)]
fn pool<S: Copy>(
    w: &Window,
    channels: u32,
    rows: Range<u32>,
    folding: Folding<S, impl Fn([S; BLOCK], [usize; 3]) -> [S; BLOCK], impl Fn(S, [usize; 3]) -> S>,
    store: impl Fn(usize, S, u32),
) {
    let channels = channels as usize;
    for row in rows {
        let (image, y) = w.split_row(row);
        let (y_start, taps_y) = w.taps(0, y);
        // Negative only where no tap is inside, and then nothing is read.
        let y = (y_start + (taps_y.start * w.dilation[0]) as i32).max(0) as usize;
        let line = (image as usize * w.input[0] as usize + y) * w.input[1] as usize;
        for x in 0..w.output[1] {
            let (x_start, taps_x) = w.taps(1, x);
            let column = (x_start + (taps_x.start * w.dilation[1]) as i32).max(0) as usize;
            let mut taps = Taps {
                rows: taps_y.len(),
                columns: taps_x.len(),
                row_step: (channels * w.input[1] as usize).wrapping_mul(w.dilation[0] as usize),
                column_step: channels * w.dilation[1] as usize,
            };
            let count = (taps.rows * taps.columns) as u32;
            // Rows that follow each other are one.
            if taps.row_step == taps.columns * taps.column_step {
                (taps.rows, taps.columns) = (1, taps.rows * taps.columns);
            }
            let first = (line + column) * channels;
            let at = (row as usize * w.output[1] as usize + x as usize) * channels;
            let mut c = 0;
            while c + BLOCK <= channels {
                let mut values = [folding.start; BLOCK];
                for row in 0..taps.rows {
                    let first = (first + c).wrapping_add(row.wrapping_mul(taps.row_step));
                    values = (folding.fold4)(values, [first, taps.column_step, taps.columns]);
                }
                for (n, value) in (0..).zip(values) {
                    store(at + c + n, value, count);
                }
                c += BLOCK;
            }
            while c < channels {
                let mut value = folding.start;
                for row in 0..taps.rows {
                    let first = (first + c).wrapping_add(row.wrapping_mul(taps.row_step));
                    value = (folding.fold1)(value, [first, taps.column_step, taps.columns]);
                }
                store(at + c, value, count);
                c += 1;
            }
        }
    }
}

/// Folds `N` neighbours by `fold`. A function of its own, since it is unrolled.
#[inline(never)]
fn fold<T: Element, S: Copy, const N: usize>(
    input: View<'_, T>,
    mut values: [S; N],
    [first, step, count]: [usize; 3],
    fold: impl Fn(S, T) -> S,
) -> [S; N] {
    for xs in input.strided::<N>(first, step, count) {
        values.iter_mut().zip(xs).for_each(|(value, x)| *value = fold(*value, x));
    }
    values
}

/// `sum / count`, rounded half away from zero.
#[inline(always)]
fn average(sum: i32, count: u32) -> i32 {
    let magnitude = sum.unsigned_abs().wrapping_add(count / 2) / count.max(1);
    if sum > 0 { magnitude as i32 } else { (magnitude as i32).wrapping_neg() }
}

macro_rules! pool_kernels {
    ($($opcode:literal => $name:ident of $element:ty: $start:expr, $fold4:expr, $step:expr, $finish:expr;)*) => {$(
        impl Kernel for $name {
            const OPCODE: u16 = $opcode;
            type Operands = [Operand; 2];

            fn valid(&self) -> bool {
                self.window.valid() && self.channels > 0 && self.min <= self.max
            }

            fn rows(&self) -> u32 {
                self.window.rows()
            }

            fn effort(&self) -> Effort {
                let [kh, kw] = self.window.kernel;
                let (cells, channels) = (self.window.output[1], self.channels);
                let taps = [product(&[cells, channels, kh]), product(&[cells, channels, kh, kw])];
                Effort::of_row(&[cells.into(), product(&[cells, channels]), taps[0], taps[1]])
            }

            fn needs(&self) -> [Need; 2] {
                [
                    Need::read::<$element>(&self.window.input_shape(self.channels)),
                    Need::write::<$element>(&self.window.output_shape(self.channels)),
                ]
            }

            fn overlap(&self, _: usize) -> Overlap {
                let cell = self.channels.saturating_mul(size_of::<$element>() as u32);
                self.window.overlap_forward([cell; 2], Reading::Along(1))
            }

            #[inline(never)]
            fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 2]) {
                let input = memory.view::<$element>(operands[0]);
                let out = memory.view_mut::<$element>(operands[1]);
                let fold4 = |values, places| ($fold4)(input, values, places);
                let fold1 = |value, places| {
                    let [value] = fold(input, [value], places, $step);
                    value
                };
                let folding = Folding { start: $start, fold4, fold1 };
                pool(&self.window, self.channels, rows, folding, |i, value, taps| {
                    out.set(i, ($finish)(value, taps).max(self.min.into()).min(self.max.into()) as $element);
                });
            }
        }
    )*};
}

pool_kernels! {
    10 => AveragePool of i8: 0i32, add_sums::<I>, add, average;
    11 => AveragePoolF32 of f32:
        0f32, |input, sums, at| fold(input, sums, at, |sum, x| sum + x), |sum, x| sum + x,
        |sum: f32, taps: u32| sum / taps as f32;
    12 => MaxPool of i8:
        i32::from(i8::MIN), |input, most, at| fold(input, most, at, larger), larger, |most: i32, _| most;
    13 => MaxPoolF32 of f32:
        f32::MIN, |input, most, at| fold(input, most, at, f32::max), f32::max, |most: f32, _| most;
    54 => AveragePoolI16 of i16:
        0i32, |input, sums, at| fold(input, sums, at, add::<i16>), add, average;
    55 => MaxPoolI16 of i16:
        i32::from(i16::MIN), |input, most, at| fold(input, most, at, larger::<i16>), larger, |most: i32, _| most;
}

fn add<T: Into<i32>>(sum: i32, x: T) -> i32 {
    sum.wrapping_add(x.into())
}

#[inline(never)]
fn add_sums<I: Isa>(input: View<'_, i8>, sums: [i32; BLOCK], at: [usize; 3]) -> [i32; BLOCK] {
    let [a, b, c, d] = I::sum4(input, at);
    let [s0, s1, s2, s3] = sums;
    [s0.wrapping_add(a), s1.wrapping_add(b), s2.wrapping_add(c), s3.wrapping_add(d)]
}

fn larger<T: Into<i32>>(most: i32, x: T) -> i32 {
    most.max(x.into())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::ops::testing::{Draw, Random, bytes, run, values};

    /// The values under each output element's taps, by the formula.
    fn taps<T: Copy>(w: &Window, channels: u32, input: &[T]) -> Vec<Vec<T>> {
        let mut all = Vec::new();
        for n in 0..w.batch {
            for y in 0..w.output[0] {
                for x in 0..w.output[1] {
                    for c in 0..channels {
                        let at = |axis: usize, at: u32, tap: u32| {
                            let at = (at * w.stride[axis] + tap * w.dilation[axis]).checked_sub(w.padding[axis]);
                            at.filter(|&at| at < w.input[axis])
                        };
                        let mut inside = Vec::new();
                        for y in (0..w.kernel[0]).filter_map(|tap| at(0, y, tap)) {
                            for x in (0..w.kernel[1]).filter_map(|tap| at(1, x, tap)) {
                                let cell = (n * w.input[0] + y) * w.input[1] + x;
                                inside.push(input[(cell * channels + c) as usize]);
                            }
                        }
                        all.push(inside);
                    }
                }
            }
        }
        all
    }

    #[test]
    fn int8_is_the_formula() {
        let mut random = Random(1);
        for _ in 0..200 {
            let average = AveragePool::draw(&mut random);
            let AveragePool { window, channels, min, max } = average;
            let input = random.i8s(product(&window.input_shape(1)) as usize * channels as usize);
            let averages = values::<i8>(&run(&average, &[bytes(&input)]));
            let maxima = values::<i8>(&run(&MaxPool { window, channels, min, max }, &[bytes(&input)]));
            for ((taps, average), most) in taps(&window, channels, &input).iter().zip(averages).zip(maxima) {
                let sum: f64 = taps.iter().map(|&x| f64::from(x)).sum();
                let expected = (sum / taps.len().max(1) as f64).round().clamp(min.into(), max.into());
                assert_eq!(f64::from(average), expected, "{window:?}");
                let expected: i8 = taps.iter().copied().max().unwrap_or(min).clamp(min, max);
                assert_eq!(most, expected, "{window:?}");
            }
        }
    }

    #[test]
    fn int16_is_the_formula() {
        let mut random = Random(3);
        for _ in 0..200 {
            let AveragePool { window, channels, .. } = AveragePool::draw(&mut random);
            let (min, max) = (-30_000, 29_000);
            let input: Vec<i16> = (0..product(&window.input_shape(channels))).map(|_| random.word() as i16).collect();
            let averages = values::<i16>(&run(&AveragePoolI16 { window, channels, min, max }, &[bytes(&input)]));
            let maxima = values::<i16>(&run(&MaxPoolI16 { window, channels, min, max }, &[bytes(&input)]));
            for ((taps, average), most) in taps(&window, channels, &input).iter().zip(averages).zip(maxima) {
                let sum: f64 = taps.iter().map(|&x| f64::from(x)).sum();
                let expected = (sum / taps.len().max(1) as f64).round().clamp(min.into(), max.into());
                assert_eq!(f64::from(average), expected, "{window:?}");
                let expected: i16 = taps.iter().copied().max().unwrap_or(min).clamp(min, max);
                assert_eq!(most, expected, "{window:?}");
            }
        }
    }

    #[test]
    fn float_is_the_formula() {
        let mut random = Random(2);
        for _ in 0..100 {
            let (window, channels) = (random.window(), random.in_range(1..11));
            let (min, max) = (-0.5, 0.5);
            let input = random.f32s(product(&window.input_shape(1)) as usize * channels as usize);
            let averages = values::<f32>(&run(&AveragePoolF32 { window, channels, min, max }, &[bytes(&input)]));
            let maxima = values::<f32>(&run(&MaxPoolF32 { window, channels, min, max }, &[bytes(&input)]));
            for ((taps, average), most) in taps(&window, channels, &input).iter().zip(averages).zip(maxima) {
                if taps.is_empty() {
                    continue;
                }
                let sum: f64 = taps.iter().map(|&x| f64::from(x)).sum();
                let expected = (sum / taps.len() as f64).clamp(-0.5, 0.5);
                assert!((f64::from(average) - expected).abs() < 1e-5, "{window:?}");
                let expected: f32 = taps.iter().copied().fold(f32::MIN, f32::max).clamp(min, max);
                assert_eq!(most, expected, "{window:?}");
            }
        }
    }
}
