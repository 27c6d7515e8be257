//! Depthwise convolution:
//! `out[n, y, x, o] = requantise(bias[o] + Σ input[n, y·s + kh·d − p, x·s + kw·d − p, o / m] · weights[kh, kw, o])`,
//! with `m = 1` in 8 bits: with more it is a convolution in groups.
//!
//! Each output channel reads one input channel, so there is no long dot product: a block of four neighbouring channels is
//! summed tap by tap, its sums in registers. The weights are `[kw, kh, o]`, in the order of a strip. The compiler folds the
//! input's zero point into the biases.

use core::ops::Range;

use super::strip::Strip;
use super::window::{Reading, count, product};
use super::{Effort, Kernel, Need, Overlap, Scaling, Scaling16, Window};
use crate::isa::{Channels, Channels16, Isa, Line, Line16};
use crate::memory::{Channel, Memory, Operand};

crate::params! {
    /// 8-bit depthwise convolution with one output channel for each input channel.
    pub struct DepthwiseConv2d {
        /// The window's sizes.
        pub window: Window,
        /// Channels, at least 4.
        pub channels: u32,
        /// Value of the input outside the image: its zero point.
        pub padding_value: i8,
        /// Sums to int8.
        pub scaling: Scaling,
    }

    /// Depthwise convolution of 16-bit inputs with 8-bit weights, one output channel for each input channel. The weights are
    /// stored in 16 bits, so that a word has those of two channels.
    pub struct DepthwiseConv2dI16 {
        /// The window's sizes: at most 496 taps.
        pub window: Window,
        /// Channels, at least 4.
        pub channels: u32,
        /// Sums to int16.
        pub scaling: Scaling16,
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

/// Whether sizes are in range.
fn sizes_valid(window: &Window, inputs: u32, depth: u32) -> bool {
    window.valid() && inputs > 0 && depth > 0 && count(&[inputs, depth]) <= 1 << 24
}

impl DepthwiseConv2d {
    fn strip(&self) -> Strip<'_> {
        Strip::new(&self.window, self.channels, 1, self.padding_value)
    }

    /// Bytes of scratch memory: a strip, where one is copied.
    pub fn scratch_bytes(&self) -> u32 {
        self.strip().scratch_bytes()
    }
}

impl Kernel for DepthwiseConv2d {
    const OPCODE: u16 = 3;
    type Operands = [Operand; 6];

    fn valid(&self) -> bool {
        sizes_valid(&self.window, self.channels, 1) && self.channels >= 4 && self.scaling.valid(self.channels)
    }

    fn layout_known(&self) -> bool {
        self.scaling.layout_known()
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let (cells, [kh, kw], strip) = (self.window.output[1], self.window.kernel, self.strip());
        let channels = self.channels.next_multiple_of(4);
        let sums = product(&[cells, channels]);
        let taps = product(&[cells, channels, kh, kw]);
        Effort::of_row(&[cells.into(), sums, taps, strip.pieces(), strip.scratch_bytes().into()])
    }

    fn needs(&self) -> [Need; 6] {
        let w = &self.window;
        let [bias, multipliers] = self.scaling.needs(self.channels);
        [
            Need::read::<i8>(&w.input_shape(self.channels)),
            Need::constant::<i8>(&[w.kernel[0], w.kernel[1], self.channels]),
            bias,
            multipliers,
            Need::write::<i8>(&[self.scratch_bytes()]),
            Need::write::<i8>(&w.output_shape(self.channels)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        if read == 0 { self.strip().overlap(self.channels) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 6]) {
        let [input, weights, bias, multipliers, scratch, out] = *operands;
        let weights = memory.constants::<i8>(weights);
        let out = memory.view_mut::<i8>(out);
        let strip = self.strip();
        let (count, step) = (self.channels as usize, strip.step as usize);
        let taps = (self.window.kernel[0] * self.window.kernel[1]) as usize;
        let outputs = self.scaling.of(memory, bias, multipliers);
        let Some(channels) = Channels::new(taps, weights, outputs) else { return };
        strip.for_each_line::<I>(rows, memory.view(input), memory.view_mut(scratch), |first, cells, line| {
            I::windows(&channels, Line { x: line, step, out: out.from(first * count), out_step: count, cells });
        });
    }
}

impl DepthwiseConv2dI16 {
    /// Whether there is a kernel for a window of `kernel` cells over so many channels.
    pub fn takes(kernel: [u32; 2], channels: u32) -> bool {
        channels >= 4 && product(&kernel) <= Channels16::TAPS as u64
    }

    /// Strips of bytes: two to a channel.
    fn strip(&self) -> Strip<'_> {
        Strip::new(&self.window, self.channels.saturating_mul(2), 1, 0)
    }

    /// Bytes of scratch memory: a strip, where one is copied.
    pub fn scratch_bytes(&self) -> u32 {
        self.strip().scratch_bytes()
    }
}

impl Kernel for DepthwiseConv2dI16 {
    const OPCODE: u16 = 62;
    type Operands = [Operand; 5];

    fn valid(&self) -> bool {
        sizes_valid(&self.window, self.channels, 1)
            && Self::takes(self.window.kernel, self.channels)
            && self.scaling.valid()
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let (cells, [kh, kw], strip) = (self.window.output[1], self.window.kernel, self.strip());
        let channels = self.channels.next_multiple_of(4);
        let taps = product(&[cells, channels, kh, kw]);
        Effort::of_row(&[cells.into(), product(&[cells, channels]), taps, strip.pieces(), strip.scratch_bytes().into()])
    }

    fn needs(&self) -> [Need; 5] {
        let w = &self.window;
        [
            Need::read::<i16>(&w.input_shape(self.channels)),
            Need::constant::<i16>(&[w.kernel[0], w.kernel[1], self.channels]),
            Need::constant::<Channel>(&[self.channels]),
            Need::write::<i16>(&[self.scratch_bytes() / 2]),
            Need::write::<i16>(&w.output_shape(self.channels)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        if read == 0 { self.strip().overlap(self.channels.saturating_mul(2)) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 5]) {
        let [input, weights, channels, scratch, out] = *operands;
        let (weights, channels) = (memory.constants::<i16>(weights), memory.constants::<Channel>(channels));
        let out = memory.view_mut::<i16>(out);
        let strip = self.strip();
        let (count, step) = (self.channels as usize, strip.step as usize / 2);
        let taps = (self.window.kernel[0] * self.window.kernel[1]) as usize;
        let Some(channels) = Channels16::new(taps, weights, channels, &self.scaling) else { return };
        strip.for_each_line::<I>(rows, memory.view(input), memory.view_mut(scratch), |first, cells, line| {
            let (x, out) = (line.halves(), out.from(first * count));
            I::windows16(&channels, Line16 { x, step, out, out_step: count, cells });
        });
    }
}

impl DepthwiseConv2dF32 {
    fn outputs(&self) -> u32 {
        self.inputs.saturating_mul(self.depth)
    }
}

impl Kernel for DepthwiseConv2dF32 {
    const OPCODE: u16 = 4;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        sizes_valid(&self.window, self.inputs, self.depth)
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let ([kh, kw], cells, outputs) = (self.window.kernel, self.window.output[1], self.outputs());
        let [sums, rows, taps] =
            [&[][..], &[kh], &[kh, kw]].map(|taps| product(taps).saturating_mul(product(&[cells, outputs])));
        Effort::of_row(&[cells.into(), sums, rows, taps])
    }

    fn needs(&self) -> [Need; 4] {
        let (w, outputs) = (&self.window, self.outputs());
        [
            Need::read::<f32>(&w.input_shape(self.inputs)),
            Need::constant::<f32>(&[w.kernel[0], w.kernel[1], outputs]),
            Need::constant::<f32>(&[outputs]),
            Need::write::<f32>(&w.output_shape(outputs)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        let cells = [self.inputs, self.outputs()].map(|channels| channels.saturating_mul(4));
        if read == 0 { self.window.overlap_forward(cells, Reading::Along(1)) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, weights, bias, out] = *operands;
        let input = memory.view::<f32>(input);
        let weights = memory.constants::<f32>(weights);
        let bias = memory.constants::<f32>(bias);
        let out = memory.view_mut::<f32>(out);
        let w = &self.window;
        let (inputs, depth, outputs) = (self.inputs as usize, self.depth.max(1) as usize, self.outputs() as usize);
        let (columns, taps) = (w.kernel[1] as usize, (w.kernel[0] * w.kernel[1]) as usize);
        for row in rows {
            let (image, y) = w.split_row(row);
            let (y_start, taps_y) = w.taps(0, y);
            for x in 0..w.output[1] {
                let (x_start, taps_x) = w.taps(1, x);
                let at = (row * w.output[1] + x) as usize * outputs;
                // Negative only where no tap is inside, and then nothing is read.
                let x = (x_start + (taps_x.start * w.dilation[1]) as i32).max(0) as u32;
                for o in 0..outputs {
                    let mut sum = 0f32;
                    for tap_y in taps_y.clone() {
                        let y = (y_start + (tap_y * w.dilation[0]) as i32).max(0) as u32;
                        let cell = (image * w.input[0] + y) * w.input[1] + x;
                        let first = o * taps + tap_y as usize * columns;
                        let filter = weights.get(first + taps_x.start as usize..first + taps_x.end as usize);
                        let filter = filter.unwrap_or_default();
                        let step = inputs * w.dilation[1] as usize;
                        let values = input.strided::<1>(cell as usize * inputs + o / depth, step, filter.len());
                        sum = values.zip(filter).fold(sum, |sum, ([x], w)| sum + x * w);
                    }
                    let sum = sum + bias.get(o).copied().unwrap_or_default();
                    out.set(at + o, sum.max(self.min).min(self.max));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::ops::testing::{Draw, Random, bytes, reads, run, values};

    /// A window that keeps at least one tap of one cell inside.
    fn sizes(random: &mut Random) -> (Window, u32, u32) {
        let mut window = random.window();
        window.batch = random.in_range(1..3);
        let depth = if random.below(2) == 0 { 1 } else { random.in_range(1..9) };
        (window, random.in_range(1..11), depth)
    }

    /// `weights [o, kh, kw]` as the kernel wants them.
    fn pack(weights: &[i8], [height, width]: [usize; 2]) -> Vec<i8> {
        let channels = weights.len() / (height * width);
        let mut packed = Vec::new();
        for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
            packed.extend((0..channels).map(|o| weights[(o * height + y) * width + x]));
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
            let (window, channels, _) = sizes(&mut random);
            let channels = channels + 3;
            let taps = (window.kernel[0] * window.kernel[1]) as usize;
            let (scales, padding_value) = (random.scales(channels), random.below(256) as u8 as i8);
            let kernel = DepthwiseConv2d { window, channels, padding_value, scaling: scales.scaling };
            let input = random.i8s(product(&window.input_shape(channels)) as usize);
            let weights = random.i8s(channels as usize * taps);
            let sums = by_formula(
                (&window, channels, 1),
                &input,
                &weights,
                || 0i64,
                |sum, x, w| *sum += i64::from(x.unwrap_or(padding_value)) * i64::from(w),
            );
            let expected: Vec<i8> =
                sums.iter().zip((0..channels as usize).cycle()).map(|(&sum, o)| scales.output(sum as i32, o)).collect();
            let packed = bytes(&pack(&weights, window.kernel.map(|size| size as usize)));
            let found = run(&kernel, &[bytes(&input), packed, bytes(&scales.bias), bytes(&scales.multipliers)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }

    #[test]
    fn int16_is_the_formula() {
        let mut random = Random(3);
        for _ in 0..200 {
            let kernel = DepthwiseConv2dI16::draw(&mut random);
            let DepthwiseConv2dI16 { window, channels, scaling } = kernel;
            let reads = reads(&kernel, &mut random);
            let (input, packed) = (values::<i16>(&reads[0]), values::<i16>(&reads[1]));
            let [height, width] = window.kernel.map(|size| size as usize);
            let taps = (0..height).flat_map(|y| (0..width).map(move |x| x * height + y));
            let count = channels as usize;
            let weights: Vec<i16> =
                (0..count).flat_map(|o| taps.clone().map(move |tap| tap * count + o)).map(|at| packed[at]).collect();
            let sums = by_formula(
                (&window, channels, 1),
                &input,
                &weights,
                || 0i64,
                |sum, x, w| *sum += i64::from(x.unwrap_or(0)) * i64::from(w),
            );
            let of_channels = values::<Channel>(&reads[2]);
            let expected: Vec<i16> =
                sums.iter().zip(of_channels.iter().cycle()).map(|(&sum, c)| scaling.output(sum, c)).collect();
            assert_eq!(values::<i16>(&run(&kernel, &reads)), expected, "{kernel:?}");
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
            let input = random.f32s(product(&window.input_shape(inputs)) as usize);
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
