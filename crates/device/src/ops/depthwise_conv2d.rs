//! Depthwise convolution:
//! `out[n, y, x, o] = requantise(bias[o] + Σ input[n, y·s + kh·d − p, x·s + kw·d − p, o / m] · weights[kh, kw, o])`.
//!
//! Each output channel reads one input channel, so there is no long dot product: a block of neighbouring channels is
//! summed tap by tap, its sums in registers. The weights are packed for that: `[o / block, kh, kw, block]`, and the
//! channels that fill no block follow one by one, `[kh, kw]` each. The compiler folds the input's zero point into
//! `bias`, and a tap outside the image has the value `padding_value`.

use core::ops::Range;

use super::conv2d::per_channel;
use super::window::{count, product};
use super::{Effort, Kernel, Need, Window};
use crate::arithmetic::Requantise;
use crate::isa::Isa;
use crate::memory::{Element, Memory, Multiplier, Operand, View};

/// Channels that are summed at once.
pub const BLOCK: usize = 4;

crate::params! {
    /// 8-bit depthwise convolution.
    pub struct DepthwiseConv2d {
        /// The window's sizes.
        pub window: Window,
        /// Input channels, `c`.
        pub inputs: u32,
        /// Output channels of each input channel, `m`; there are `c · m` in all.
        pub depth: u32,
        /// Channels that lie together in the weights: 1, or [`BLOCK`] where `m` is 1 or a multiple of it.
        pub block: u32,
        /// Value of the input outside the image: its zero point.
        pub padding_value: i8,
        /// Accumulator to int8; one multiplier a channel, or one for all.
        pub requantise: Requantise,
        /// Number of multipliers: the output channels or 1.
        pub multipliers: u32,
    }

    /// Float depthwise convolution.
    pub struct DepthwiseConv2dF32 {
        /// The window's sizes.
        pub window: Window,
        /// Input channels, `c`.
        pub inputs: u32,
        /// Output channels of each input channel, `m`. The weights are `[o, kh, kw]`: the block is 1.
        pub depth: u32,
        /// Smallest output; the fused activation.
        pub min: f32,
        /// Largest output; the fused activation.
        pub max: f32,
    }
}

/// The block in which weights are packed for `depth` output channels of each input channel.
pub const fn block_of(depth: u32) -> u32 {
    if depth == 1 || depth.is_multiple_of(BLOCK as u32) { BLOCK as u32 } else { 1 }
}

/// A number with the sum of its products.
trait Number: Element {
    type Sum: Copy + Default;
    /// Whether taps outside the image add to the sum.
    const PADS: bool;
    fn add_product(sum: Self::Sum, x: Self, w: Self) -> Self::Sum;
}

impl Number for i8 {
    type Sum = i32;
    const PADS: bool = true;
    #[inline(always)]
    fn add_product(sum: i32, x: i8, w: i8) -> i32 {
        sum.wrapping_add(i32::from(x) * i32::from(w))
    }
}

impl Number for f32 {
    type Sum = f32;
    const PADS: bool = false;
    #[inline(always)]
    fn add_product(sum: f32, x: f32, w: f32) -> f32 {
        sum + x * w
    }
}

/// The sizes that both kernels share.
struct Sizes<'a> {
    window: &'a Window,
    inputs: u32,
    depth: u32,
    block: u32,
}

/// One output cell's place in the input.
struct Place {
    /// Offset of channel 0 under the first tap inside the image.
    first: usize,
    /// Tap rows inside the image.
    y: Range<u32>,
    /// Tap columns inside the image.
    x: Range<u32>,
    /// Whether there are taps outside.
    border: bool,
}

impl Sizes<'_> {
    fn valid(&self) -> bool {
        let positive = self.inputs > 0 && self.depth > 0;
        let block = self.block == 1 || self.block == block_of(self.depth);
        self.window.valid() && positive && block && count(&[self.inputs, self.depth]) <= 1 << 24
    }

    fn effort(&self) -> Effort {
        let [kh, kw] = self.window.kernel;
        let (cells, outputs) = (self.window.output[1], self.outputs());
        let taps = product(&[cells, outputs, kh, kw]);
        // Cells of the border add what lies outside.
        let border = if self.window.padding == [0; 2] { [0; 2] } else { [product(&[cells, outputs]), taps] };
        Effort::of_row(&[
            cells.into(),
            product(&[cells, outputs]),
            product(&[cells, outputs, kh]),
            taps,
            border[0],
            border[1],
        ])
    }

    fn outputs(&self) -> u32 {
        self.inputs.saturating_mul(self.depth)
    }

    fn weights_shape(&self) -> [u32; 4] {
        let [kh, kw] = self.window.kernel;
        [kh, kw, self.inputs, self.depth]
    }

    /// The place of output cell `[image, y, x]`.
    #[inline(always)]
    fn place(&self, image: u32, y: u32, x: u32) -> Place {
        let w = self.window;
        let (y_start, taps_y) = w.taps(0, y);
        let (x_start, taps_x) = w.taps(1, x);
        // Negative only where no tap is inside, and then nothing is read.
        let y = (y_start + (taps_y.start * w.dilation[0]) as i32).max(0) as usize;
        let x = (x_start + (taps_x.start * w.dilation[1]) as i32).max(0) as usize;
        let cell = (image as usize * w.input[0] as usize + y) * w.input[1] as usize + x;
        let border = taps_y.len() != w.kernel[0] as usize || taps_x.len() != w.kernel[1] as usize;
        Place { first: cell * self.inputs as usize, y: taps_y, x: taps_x, border }
    }

    /// Sums at `place` of the `N` output channels that `filter` (`[kh · kw]`) is of. They read the `N` input channels
    /// from `channel` on where `X = N`, and `channel` alone where `X = 1`.
    #[inline(always)]
    fn sums<T: Number, const X: usize, const N: usize>(
        &self,
        place: &Place,
        channel: usize,
        input: View<'_, T>,
        filter: &[[T; N]],
        padding_value: T,
    ) -> [T::Sum; N] {
        let w = self.window;
        let cell_len = self.inputs as usize;
        let step = cell_len * w.dilation[1] as usize;
        let row_step = (cell_len * w.input[1] as usize).wrapping_mul(w.dilation[0] as usize);
        let columns = w.kernel[1] as usize;
        let mut sums = [T::Sum::default(); N];
        if T::PADS && place.border {
            sums = self.padding_sums(place, filter, padding_value);
        }
        let mut start = place.first + channel;
        for tap_y in place.y.clone() {
            let row = tap_y as usize * columns;
            let row = filter.get(row + place.x.start as usize..row + place.x.end as usize).unwrap_or_default();
            for (xs, ws) in input.strided::<X>(start, step, row.len()).zip(row) {
                for ((sum, &w), n) in sums.iter_mut().zip(ws).zip(0..) {
                    // `X` is `N` or 1: the minimum is decided at compile time.
                    *sum = T::add_product(*sum, xs.get(n.min(X - 1)).copied().unwrap_or_default(), w);
                }
            }
            start = start.wrapping_add(row_step);
        }
        sums
    }

    /// The part of [`Sizes::sums`] that lies outside the image.
    #[inline(never)]
    fn padding_sums<T: Number, const N: usize>(
        &self,
        place: &Place,
        filter: &[[T; N]],
        padding_value: T,
    ) -> [T::Sum; N] {
        let mut sums = [T::Sum::default(); N];
        let mut taps = filter.iter();
        for tap_y in 0..self.window.kernel[0] {
            for tap_x in 0..self.window.kernel[1] {
                let Some(tap) = taps.next() else { return sums };
                if !place.y.contains(&tap_y) || !place.x.contains(&tap_x) {
                    for (sum, &w) in sums.iter_mut().zip(tap) {
                        *sum = T::add_product(*sum, padding_value, w);
                    }
                }
            }
        }
        sums
    }

    /// Computes the output rows `rows`: `store(i, o, sum)` for each element `i` of the output, of channel `o`.
    #[inline(always)]
    fn run<T: Number>(
        &self,
        rows: Range<u32>,
        input: View<'_, T>,
        weights: &[T],
        padding_value: T,
        store: impl Fn(usize, usize, T::Sum),
    ) {
        let w = self.window;
        let (inputs, depth) = (self.inputs as usize, self.depth as usize);
        let outputs = inputs * depth;
        let taps = w.kernel[0] as usize * w.kernel[1] as usize;
        for row in rows {
            let (image, y) = w.split_row(row);
            for x in 0..w.output[1] {
                let place = self.place(image, y, x);
                let at = (row as usize * w.output[1] as usize + x as usize) * outputs;
                // Output `o` is number `within` of input `channel`.
                let (mut o, mut channel, mut within) = (0, 0, 0);
                while o < outputs {
                    let block = if self.block as usize == BLOCK && o + BLOCK <= outputs { BLOCK } else { 1 };
                    let filter = weights.get(o * taps..(o + block) * taps).unwrap_or_default();
                    if block == BLOCK {
                        let filter = filter.as_chunks::<BLOCK>().0;
                        let sums = if depth == 1 {
                            self.sums::<T, BLOCK, BLOCK>(&place, channel, input, filter, padding_value)
                        } else {
                            self.sums::<T, 1, BLOCK>(&place, channel, input, filter, padding_value)
                        };
                        for (n, sum) in (0..).zip(sums) {
                            store(at + o + n, o + n, sum);
                        }
                    } else {
                        let filter = filter.as_chunks::<1>().0;
                        let [sum] = self.sums::<T, 1, 1>(&place, channel, input, filter, padding_value);
                        store(at + o, o, sum);
                    }
                    o += block;
                    within += block;
                    if depth == 1 {
                        channel += block;
                    } else if within == depth {
                        (channel, within) = (channel + 1, 0);
                    }
                }
            }
        }
    }
}

impl DepthwiseConv2d {
    #[inline(always)]
    fn sizes(&self) -> Sizes<'_> {
        Sizes { window: &self.window, inputs: self.inputs, depth: self.depth, block: self.block }
    }
}

impl Kernel for DepthwiseConv2d {
    const OPCODE: u16 = 3;
    type Operands = [Operand; 5];

    fn valid(&self) -> bool {
        self.sizes().valid()
            && self.requantise.valid()
            && (self.multipliers == self.sizes().outputs() || self.multipliers == 1)
    }

    fn layout_known(&self) -> bool {
        self.block == 1 || self.block as usize == BLOCK
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        self.sizes().effort()
    }

    fn needs(&self) -> [Need; 5] {
        let sizes = self.sizes();
        [
            Need::read::<i8>(&self.window.input_shape(self.inputs)),
            Need::constant::<i8>(&sizes.weights_shape()),
            Need::constant::<i32>(&[sizes.outputs()]),
            Need::constant::<Multiplier>(&[self.multipliers]),
            Need::write::<i8>(&self.window.output_shape(sizes.outputs())),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 5]) {
        let [input, weights, bias, multipliers, out] = *operands;
        let bias = memory.constants::<i32>(bias);
        let multipliers = memory.constants::<Multiplier>(multipliers);
        let out = memory.view_mut::<i8>(out);
        let (input, weights) = (memory.view(input), memory.constants(weights));
        self.sizes().run::<i8>(rows, input, weights, self.padding_value, |i, o, sum| {
            let sum = sum.wrapping_add(bias.get(o).copied().unwrap_or_default());
            out.set(i, self.requantise.apply(sum, per_channel(multipliers, o)));
        });
    }
}

impl DepthwiseConv2dF32 {
    #[inline(always)]
    fn sizes(&self) -> Sizes<'_> {
        Sizes { window: &self.window, inputs: self.inputs, depth: self.depth, block: 1 }
    }
}

impl Kernel for DepthwiseConv2dF32 {
    const OPCODE: u16 = 4;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        self.sizes().valid()
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        self.sizes().effort()
    }

    fn needs(&self) -> [Need; 4] {
        let sizes = self.sizes();
        [
            Need::read::<f32>(&self.window.input_shape(self.inputs)),
            Need::constant::<f32>(&sizes.weights_shape()),
            Need::constant::<f32>(&[sizes.outputs()]),
            Need::write::<f32>(&self.window.output_shape(sizes.outputs())),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, weights, bias, out] = *operands;
        let bias = memory.constants::<f32>(bias);
        let out = memory.view_mut::<f32>(out);
        let (input, weights) = (memory.view(input), memory.constants(weights));
        self.sizes().run::<f32>(rows, input, weights, 0.0, |i, o, sum| {
            let sum = sum + bias.get(o).copied().unwrap_or_default();
            out.set(i, sum.max(self.min).min(self.max));
        });
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::ops::testing::{Random, bytes, run, values};

    /// A window that keeps at least one tap of one cell inside.
    fn sizes(random: &mut Random) -> (Window, u32, u32) {
        let mut window = random.window();
        window.batch = random.in_range(1..3);
        let depth = if random.below(2) == 0 { 1 } else { random.in_range(1..9) };
        (window, random.in_range(1..11), depth)
    }

    /// `weights [o, kh · kw]` as the kernel wants them.
    fn pack<T: Copy>(weights: &[T], taps: usize, block: usize) -> Vec<T> {
        let outputs = weights.len() / taps;
        let blocked = outputs / block * block;
        let cell = |o: usize| {
            let (first, len) = if o < blocked { (o / block * block, block) } else { (o, 1) };
            (first, len)
        };
        let mut packed = weights.to_vec();
        for o in 0..outputs {
            let (first, len) = cell(o);
            for tap in 0..taps {
                packed[first * taps + tap * len + o - first] = weights[o * taps + tap];
            }
        }
        packed
    }

    /// Calls `add(input value or None outside, weight)` for every tap of every output element, by the formula.
    fn by_formula<T: Copy, W: Copy, S>(
        (w, inputs, depth): (&Window, u32, u32),
        input: &[T],
        weights: &[W],
        mut start: impl FnMut() -> S,
        add: impl Fn(&mut S, Option<T>, W),
    ) -> Vec<S> {
        let mut sums = Vec::new();
        for n in 0..w.batch {
            for y in 0..w.output[0] {
                for x in 0..w.output[1] {
                    for o in 0..inputs * depth {
                        let mut sum = start();
                        for tap_y in 0..w.kernel[0] {
                            for tap_x in 0..w.kernel[1] {
                                let at = |at: u32, axis: usize, tap: u32| {
                                    (at * w.stride[axis] + tap * w.dilation[axis]).checked_sub(w.padding[axis])
                                };
                                let value = match (at(y, 0, tap_y), at(x, 1, tap_x)) {
                                    (Some(y), Some(x)) if y < w.input[0] && x < w.input[1] => {
                                        let cell = (n * w.input[0] + y) * w.input[1] + x;
                                        Some(input[(cell * inputs + o / depth) as usize])
                                    }
                                    _ => None,
                                };
                                add(
                                    &mut sum,
                                    value,
                                    weights[((o * w.kernel[0] + tap_y) * w.kernel[1] + tap_x) as usize],
                                );
                            }
                        }
                        sums.push(sum);
                    }
                }
            }
        }
        sums
    }

    #[test]
    fn int8_is_the_formula() {
        let mut random = Random(1);
        for _ in 0..200 {
            let (window, inputs, depth) = sizes(&mut random);
            let outputs = inputs * depth;
            let taps = (window.kernel[0] * window.kernel[1]) as usize;
            let block = if random.below(4) == 0 { 1 } else { block_of(depth) };
            let requantise = random.requantise();
            let padding_value = random.below(256) as u8 as i8;
            let count = if random.below(2) == 0 { 1 } else { outputs as usize };
            let multipliers = random.multipliers(count);
            let kernel = DepthwiseConv2d {
                window,
                inputs,
                depth,
                block,
                padding_value,
                requantise,
                multipliers: multipliers.len() as u32,
            };
            let input = random.i8s(product(&kernel.window.input_shape(kernel.inputs)) as usize);
            let weights = random.i8s(outputs as usize * taps);
            let bias: Vec<i32> = (0..outputs).map(|_| random.below(20_000) as i32 - 10_000).collect();
            let sums = by_formula(
                (&window, inputs, depth),
                &input,
                &weights,
                || 0i64,
                |sum, x, w| *sum += i64::from(x.unwrap_or(padding_value)) * i64::from(w),
            );
            let expected: Vec<i8> = sums
                .iter()
                .zip((0..outputs as usize).cycle())
                .map(|(&sum, o)| requantise.apply(sum as i32 + bias[o], per_channel(&multipliers, o)))
                .collect();
            let packed = bytes(&pack(&weights, taps, block as usize));
            let found = run(&kernel, &[bytes(&input), packed, bytes(&bias), bytes(&multipliers)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }

    #[test]
    fn float_is_the_formula() {
        let mut random = Random(2);
        for _ in 0..100 {
            let (window, inputs, depth) = sizes(&mut random);
            let outputs = inputs * depth;
            let taps = (window.kernel[0] * window.kernel[1]) as usize;
            let kernel = DepthwiseConv2dF32 { window, inputs, depth, min: -4.0, max: 4.0 };
            let input = random.f32s(product(&kernel.window.input_shape(kernel.inputs)) as usize);
            let weights = random.f32s(outputs as usize * taps);
            let bias = random.f32s(outputs as usize);
            let sums = by_formula(
                (&window, inputs, depth),
                &input,
                &weights,
                || 0f64,
                |sum, x, w| *sum += f64::from(x.unwrap_or(0.0)) * f64::from(w),
            );
            let found = run(&kernel, &[bytes(&input), bytes(&weights), bytes(&bias)]);
            for (i, (sum, found)) in sums.iter().zip(values::<f32>(&found)).enumerate() {
                let expected = (sum + f64::from(bias[i % outputs as usize])).clamp(-4.0, 4.0);
                assert!((f64::from(found) - expected).abs() < 1e-5 * taps as f64, "{kernel:?}");
            }
        }
    }
}
