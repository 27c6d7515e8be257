//! Convolution: `out[n, y, x, o] = requantise(bias[o] + Σ input[n, y·s + kh·d − p, x·s + kw·d − p, i] · weights[o, kh, kw, i])`.
//!
//! The compiler folds the input's zero point into `bias`, and lays the taps of the weights in the order of a
//! strip: the inner loop is a bare dot product without borders. 16-bit inputs have the zero point 0, and their strips are
//! of bytes too.

use core::ops::Range;

use super::strip::Strip;
use super::window::{Reading, bands, count, product};
use super::{Effort, Kernel, Need, Overlap, Scaling, Scaling16, Window};
use crate::isa::{Filters, Filters16, Isa, Line, Line16};
use crate::memory::{Channel, Memory, Operand};

crate::params! {
    /// 8-bit convolution.
    pub struct Conv2d {
        /// The window's sizes.
        pub window: Window,
        /// Input channels of a group: the `i` of the weights.
        pub inputs: u32,
        /// Output channels, `o`.
        pub outputs: u32,
        /// Groups of channels: input has `inputs · groups`, and output `o` reads group `o / (outputs / groups)`.
        pub groups: u32,
        /// Value of the input outside the image: its zero point.
        pub padding_value: i8,
        /// Rows that are computed at a time, from the last on; 0 where all are, from the first on.
        pub band: u32,
        /// Sums to int8.
        pub scaling: Scaling,
    }

    /// Convolution of 16-bit inputs with 8-bit weights.
    pub struct Conv2dI16 {
        /// The window's sizes.
        pub window: Window,
        /// Input channels of a group: the `i` of the weights.
        pub inputs: u32,
        /// Output channels, `o`.
        pub outputs: u32,
        /// Groups of channels: input has `inputs · groups`, and output `o` reads group `o / (outputs / groups)`.
        pub groups: u32,
        /// Sums to int16.
        pub scaling: Scaling16,
    }

    /// Float convolution.
    pub struct Conv2dF32 {
        /// The window's sizes.
        pub window: Window,
        /// Input channels of a group.
        pub inputs: u32,
        /// Output channels.
        pub outputs: u32,
        /// Groups of channels.
        pub groups: u32,
        /// Smallest output; the fused activation.
        pub min: f32,
        /// Largest output; the fused activation.
        pub max: f32,
    }
}

/// Whether there are channels, `groups` divides `outputs`, and products stay in range.
fn channels_valid(inputs: u32, outputs: u32, groups: u32) -> bool {
    inputs > 0
        && outputs > 0
        && groups > 0
        && outputs.checked_rem(groups) == Some(0)
        && count(&[inputs, groups]) <= 1 << 24
        && outputs <= 1 << 24
}

impl Conv2d {
    fn strip(&self) -> Strip<'_> {
        Strip::new(&self.window, self.inputs, self.groups, self.padding_value)
    }

    /// Bytes of scratch memory: a strip, where one is copied.
    pub fn scratch_bytes(&self) -> u32 {
        self.strip().scratch_bytes()
    }

    /// The kernel that computes its rows from the last on, so that the output may lie behind the input; `None` where it may
    /// not then either.
    pub fn backward(self) -> Option<Self> {
        self.window.is_pointwise().then(|| Self { band: self.window.band(), ..self })
    }

    /// Computes the output rows `rows` from the first on.
    #[inline(never)]
    fn part<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 6]) {
        let [input, weights, bias, multipliers, scratch, out] = *operands;
        let weights = memory.constants::<i8>(weights);
        let of_layer = self.scaling.of(memory, bias, multipliers);
        let out = memory.view_mut::<i8>(out);
        let strip = self.strip();
        let (outputs, taps, step) = (self.outputs as usize, strip.taps as usize, strip.step as usize);
        let group_len = strip.len as usize;
        let of_group = outputs.checked_div(self.groups as usize).unwrap_or(0);
        strip.for_each_line::<I>(rows, memory.view(input), memory.view_mut(scratch), |first, cells, line| {
            for group in 0..self.groups as usize {
                let range = group * of_group..(group + 1) * of_group;
                let Some(filters) = Filters::new(taps, weights, of_layer, range) else { return };
                let (x, out) = (line.from(group * group_len), out.from(first * outputs + group * of_group));
                I::columns(&filters, Line { x, step, out, out_step: outputs, cells });
            }
        });
    }
}

impl Kernel for Conv2d {
    const OPCODE: u16 = 1;
    type Operands = [Operand; 6];

    fn valid(&self) -> bool {
        self.window.valid()
            && channels_valid(self.inputs, self.outputs, self.groups)
            && self.scaling.valid(self.outputs)
    }

    fn layout_known(&self) -> bool {
        self.scaling.layout_known()
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let (w, strip) = (&self.window, self.strip());
        let sums = product(&[w.output[1], self.outputs]);
        Effort::of_row(&[
            w.output[1].into(),
            sums,
            sums.saturating_mul(strip.taps),
            strip.pieces(),
            strip.scratch_bytes().into(),
        ])
    }

    fn needs(&self) -> [Need; 6] {
        let w = &self.window;
        let [bias, multipliers] = self.scaling.needs(self.outputs);
        [
            Need::read::<i8>(&w.input_shape(self.inputs.saturating_mul(self.groups))),
            Need::constant::<i8>(&[self.outputs, w.kernel[0], w.kernel[1], self.inputs]),
            bias,
            multipliers,
            Need::write::<i8>(&[self.scratch_bytes()]),
            Need::write::<i8>(&w.output_shape(self.outputs)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        match (read, self.band) {
            (0, 0) => self.strip().overlap(self.outputs),
            (0, band) => self.window.overlap_backward([self.inputs.saturating_mul(self.groups), self.outputs], band),
            _ => Overlap::None,
        }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 6]) {
        for rows in bands(rows, &self.window, self.band) {
            self.part::<I>(rows, memory, operands);
        }
    }
}

impl Conv2dI16 {
    /// Strips of bytes: two to a channel.
    fn strip(&self) -> Strip<'_> {
        Strip::new(&self.window, self.inputs.saturating_mul(2), self.groups, 0)
    }

    /// Bytes of scratch memory: a strip, where one is copied.
    pub fn scratch_bytes(&self) -> u32 {
        self.strip().scratch_bytes()
    }
}

impl Kernel for Conv2dI16 {
    const OPCODE: u16 = 50;
    type Operands = [Operand; 5];

    fn valid(&self) -> bool {
        self.window.valid() && channels_valid(self.inputs, self.outputs, self.groups) && self.scaling.valid()
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let (w, strip) = (&self.window, self.strip());
        let sums = product(&[w.output[1], self.outputs]);
        let products = sums.saturating_mul(strip.taps / 2);
        let groups = product(&[w.output[1], self.groups]);
        Effort::of_row(&[groups, sums, products, strip.pieces(), strip.scratch_bytes().into()])
    }

    fn needs(&self) -> [Need; 5] {
        let w = &self.window;
        [
            Need::read::<i16>(&w.input_shape(self.inputs.saturating_mul(self.groups))),
            Need::constant::<i8>(&[self.outputs, w.kernel[0], w.kernel[1], self.inputs]),
            Need::constant::<Channel>(&[self.outputs]),
            Need::write::<i16>(&[self.scratch_bytes() / 2]),
            Need::write::<i16>(&w.output_shape(self.outputs)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        if read == 0 { self.strip().overlap(self.outputs.saturating_mul(2)) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 5]) {
        let [input, weights, channels, scratch, out] = *operands;
        let (weights, channels) = (memory.constants::<i8>(weights), memory.constants::<Channel>(channels));
        let out = memory.view_mut::<i16>(out);
        let strip = self.strip();
        let (outputs, taps, step) = (self.outputs as usize, strip.taps as usize / 2, strip.step as usize / 2);
        let group_len = strip.len as usize / 2;
        let of_group = outputs.checked_div(self.groups as usize).unwrap_or(0);
        strip.for_each_line::<I>(rows, memory.view(input), memory.view_mut(scratch), |first, cells, line| {
            let line = line.halves();
            for group in 0..self.groups as usize {
                let range = group * of_group..(group + 1) * of_group;
                let Some(filters) = Filters16::new(taps, weights, channels, &self.scaling, range) else { return };
                let (x, out) = (line.from(group * group_len), out.from(first * outputs + group * of_group));
                I::columns16(&filters, Line16 { x, step, out, out_step: outputs, cells });
            }
        });
    }
}

impl Kernel for Conv2dF32 {
    const OPCODE: u16 = 2;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        self.window.valid() && channels_valid(self.inputs, self.outputs, self.groups)
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let w = &self.window;
        let ([kh, kw], cells) = (w.kernel, w.output[1]);
        let runs = if self.groups == 1 && w.dilation[1] == 1 { 1 } else { kw };
        let sums = [product(&[cells, self.outputs, kh, runs]), product(&[cells, self.outputs, kh, kw, self.inputs])];
        Effort::of_row(&[cells.into(), product(&[cells, self.outputs]), sums[0], sums[1]])
    }

    fn needs(&self) -> [Need; 4] {
        let w = &self.window;
        [
            Need::read::<f32>(&w.input_shape(self.inputs.saturating_mul(self.groups))),
            Need::constant::<f32>(&[self.outputs, w.kernel[0], w.kernel[1], self.inputs]),
            Need::constant::<f32>(&[self.outputs]),
            Need::write::<f32>(&w.output_shape(self.outputs)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        let cells = [4 * self.inputs.saturating_mul(self.groups), 4 * self.outputs];
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
        let inputs = self.inputs as usize;
        let cell_len = inputs * self.groups as usize;
        let per_group = (self.outputs / self.groups.max(1)).max(1);
        for row in rows {
            let (image, y) = w.split_row(row);
            let (y_start, taps_y) = w.taps(0, y);
            for x in 0..w.output[1] {
                let (x_start, taps_x) = w.taps(1, x);
                for o in 0..self.outputs {
                    let mut sum = 0f32;
                    for tap_y in taps_y.clone() {
                        let y = y_start + (tap_y * w.dilation[0]) as i32;
                        for tap_x in taps_x.clone() {
                            let x = x_start + (tap_x * w.dilation[1]) as i32;
                            let cell = (image * w.input[0] + y as u32) * w.input[1] + x as u32;
                            let at = cell as usize * cell_len + (o / per_group) as usize * inputs;
                            let tap = ((o * w.kernel[0] + tap_y) * w.kernel[1] + tap_x) as usize * inputs;
                            let filter = weights.get(tap..tap + inputs).unwrap_or(&[]);
                            sum = input.slice(at, inputs).iter().zip(filter).fold(sum, |sum, (x, w)| sum + x * w);
                        }
                    }
                    let sum = sum + bias.get(o as usize).copied().unwrap_or_default();
                    let at = (row * w.output[1] + x) as usize * self.outputs as usize + o as usize;
                    out.set(at, sum.max(self.min).min(self.max));
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

    /// The sums of each output, by the formula: `[n, y, x, o]`.
    fn sums<T: Copy + Into<i64>>(
        w: &Window,
        [inputs, outputs, groups]: [u32; 3],
        padding_value: T,
        input: &[T],
        weights: &[i8],
    ) -> Vec<i64> {
        let [kh, kw] = w.kernel;
        let mut sums = Vec::new();
        for cell in 0..product(&w.output_shape(1)) as u32 {
            let (row, column) = (cell / w.output[1], cell % w.output[1]);
            let (image, y) = (row / w.output[0], row % w.output[0]);
            for o in 0..outputs {
                let group = o / (outputs / groups);
                let mut sum = 0;
                for tap in 0..kh * kw {
                    let taps = [tap % kh, tap / kh];
                    let [y, x] = [(0, y), (1, column)].map(|(axis, at)| {
                        let at = at * w.stride[axis] + taps[axis] * w.dilation[axis];
                        at.checked_sub(w.padding[axis]).filter(|&at| at < w.input[axis])
                    });
                    for i in 0..inputs {
                        let value = y.zip(x).map_or(padding_value, |(y, x)| {
                            let cell = (image * w.input[0] + y) * w.input[1] + x;
                            input[((cell * groups + group) * inputs + i) as usize]
                        });
                        sum += value.into() * i64::from(weights[((o * kh * kw + tap) * inputs + i) as usize]);
                    }
                }
                sums.push(sum);
            }
        }
        sums
    }

    #[test]
    fn int8_is_the_formula() {
        let mut random = Random(3);
        for _ in 0..300 {
            let mut window = random.window();
            window.batch = random.in_range(1..3);
            let w = &window;
            let (inputs, groups) = (random.in_range(1..7), random.in_range(1..4));
            let outputs = groups * random.in_range(1..7);
            let (scales, padding_value) = (random.scales(outputs), random.below(256) as u8 as i8);
            let scaling = scales.scaling;
            let kernel = Conv2d { window, inputs, outputs, groups, padding_value, band: random.below(3), scaling };
            let input = random.i8s(product(&w.input_shape(inputs * groups)) as usize);
            let [kh, kw] = w.kernel;
            let weights = random.i8s((outputs * kh * kw * inputs) as usize);
            let sums = sums(w, [inputs, outputs, groups], padding_value, &input, &weights);
            let outputs = (0..outputs as usize).cycle();
            let expected: Vec<i8> = sums.iter().zip(outputs).map(|(&sum, o)| scales.output(sum as i32, o)).collect();
            let found =
                run(&kernel, &[bytes(&input), bytes(&weights), bytes(&scales.bias), bytes(&scales.multipliers)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }

    #[test]
    fn int16_is_the_formula() {
        let mut random = Random(4);
        for _ in 0..300 {
            let kernel = Conv2dI16::draw(&mut random);
            let Conv2dI16 { window, inputs, outputs, groups, scaling } = kernel;
            let reads = reads(&kernel, &mut random);
            let (input, weights) = (values::<i16>(&reads[0]), values::<i8>(&reads[1]));
            let channels = values::<Channel>(&reads[2]);
            let sums = sums(&window, [inputs, outputs, groups], 0, &input, &weights);
            let expected: Vec<i16> =
                sums.iter().zip(channels.iter().cycle()).map(|(&sum, channel)| scaling.output(sum, channel)).collect();
            assert_eq!(values::<i16>(&run(&kernel, &reads)), expected, "{kernel:?}");
        }
    }
}
