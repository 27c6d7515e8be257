//! Depthwise convolution over stacks of rows, one output channel for each input channel, and four at least:
//! `out[n, y, x, o] = requantise(bias[o] + Σ input[n, …, o] · weights[…, o])`.
//!
//! The rows under a row of output are stacked in scratch memory, with the padding around them, so that the window of a channel
//! is a few words; see [`isa::stacks`](crate::isa::stacks). The compiler folds the input's zero point into the biases.

use core::ops::Range;

use super::window::{Reading, count, product};
use super::{Effort, Kernel, Need, Overlap, Scaling, Window};
use crate::isa::stacks::{COLUMNS, ROWS};
use crate::isa::{Isa, Stacks};
use crate::memory::{Memory, Operand, View};

crate::params! {
    /// 8-bit depthwise convolution over stacks of rows.
    pub struct StackDepthwiseConv2d {
        /// The window's sizes.
        pub window: Window,
        /// Channels, at least 4.
        pub channels: u32,
        /// Value of the input outside the image: its zero point.
        pub padding_value: i8,
        /// Sums to int8, which are rounded once.
        pub scaling: Scaling,
    }
}

impl StackDepthwiseConv2d {
    /// Whether there is a kernel for such windows.
    pub fn takes(window: &Window) -> bool {
        (1..=ROWS as u32).contains(&window.kernel[0]) && (1..=COLUMNS as u32).contains(&window.kernel[1])
    }

    /// Columns of the input that a row of output reads, padding included, each with its channels.
    fn columns(&self) -> [u32; 2] {
        let w = &self.window;
        let reach = |count: u32, step: u32| count.saturating_sub(1).saturating_mul(step);
        let columns = reach(w.output[1], w.stride[1]).saturating_add(reach(w.kernel[1], w.dilation[1]));
        [columns.saturating_add(1), self.channels]
    }

    /// Bytes of scratch memory: a word for each channel of each column.
    pub fn scratch_bytes(&self) -> u32 {
        count(&self.columns()).saturating_mul(4)
    }

    /// The rows of `image` under row `y` of output; those outside are empty.
    fn rows_under<'a>(&self, image: View<'a, i8>, y: u32) -> [View<'a, i8>; ROWS] {
        let (w, len) = (&self.window, self.window.input[1] as usize * self.channels as usize);
        let (start, taps) = w.taps(0, y);
        let row = |tap: u32| (start + (tap * w.dilation[0]) as i32) as usize;
        [0, 1, 2].map(|tap| if taps.contains(&tap) { image.slice(row(tap) * len, len) } else { View::EMPTY })
    }
}

impl Kernel for StackDepthwiseConv2d {
    const OPCODE: u16 = 29;
    type Operands = [Operand; 6];

    fn valid(&self) -> bool {
        self.window.valid()
            && Self::takes(&self.window)
            && (4..=1 << 24).contains(&self.channels)
            && self.scratch_bytes() <= 1 << 24
            && self.scaling.once
            && self.scaling.valid(self.channels)
    }

    fn layout_known(&self) -> bool {
        self.scaling.layout_known()
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let sums = product(&[self.window.output[1], self.channels]);
        let stacks = product(&self.columns());
        Effort { call: stacks, ..Effort::of_row(&[self.channels.into(), stacks, sums]) }
    }

    fn needs(&self) -> [Need; 6] {
        let w = &self.window;
        let [bias, multipliers] = self.scaling.needs(self.channels);
        [
            Need::read::<i8>(&w.input_shape(self.channels)),
            Need::constant::<i8>(&[self.channels, w.kernel[1], ROWS as u32]),
            bias,
            multipliers,
            Need::write::<u32>(&self.columns()),
            Need::write::<i8>(&w.output_shape(self.channels)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        let cells = [self.channels; 2];
        if read == 0 { self.window.overlap_forward(cells, Reading::Before) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 6]) {
        let [input, weights, bias, multipliers, scratch, out] = *operands;
        let (input, out) = (memory.view::<i8>(input), memory.view_mut::<i8>(out));
        let scratch = memory.view_mut::<u32>(scratch);
        let (w, channels) = (&self.window, self.channels as usize);
        let stacks = Stacks {
            cells: w.output[1] as usize,
            columns: w.kernel[1] as usize,
            column_step: w.dilation[1] as usize * channels,
            cell_step: w.stride[1] as usize * channels,
            weights: memory.constants::<i8>(weights),
            outputs: self.scaling.of(memory, bias, multipliers),
        };
        let image_len = w.input[0] as usize * w.input[1] as usize * channels;
        let left = (w.padding[1] as usize * channels).min(scratch.len());
        let inside = (w.input[1] as usize * channels).min(scratch.len() - left);
        I::stack([View::EMPTY; ROWS], self.padding_value, scratch);
        for row in rows {
            let (image, y) = w.split_row(row);
            let under = self.rows_under(input.slice(image as usize * image_len, image_len), y);
            I::stack(under, self.padding_value, scratch.slice(left, inside));
            let len = stacks.cells * channels;
            I::stacks(&stacks, scratch.view(), out.slice(row as usize * len, len));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::ops::testing::{Random, bytes, run, values};

    #[test]
    fn is_the_formula() {
        let mut random = Random(3);
        for _ in 0..600 {
            let mut window = random.window();
            window.batch = random.in_range(1..3);
            if !StackDepthwiseConv2d::takes(&window) {
                continue;
            }
            let channels = random.in_range(4..14);
            let scales = random.scales(channels);
            if !scales.scaling.once {
                continue;
            }
            let padding_value = random.below(256) as u8 as i8;
            let kernel = StackDepthwiseConv2d { window, channels, padding_value, scaling: scales.scaling };
            let input = random.i8s(window.input_shape(channels).iter().product::<u32>() as usize);
            let [height, width] = window.kernel.map(|size| size as usize);
            let mut weights = vec![[0; ROWS]; channels as usize * width];
            for column in &mut weights {
                column[..height].fill_with(|| random.i8s(1)[0]);
            }
            let mut expected = Vec::new();
            for cell in 0..window.output_shape(1).iter().product() {
                let (row, column) = (cell / window.output[1], cell % window.output[1]);
                let (image, y) = (row / window.output[0], row % window.output[0]);
                for o in 0..channels as usize {
                    let mut sum = 0;
                    for tap in 0..window.kernel[0] * window.kernel[1] {
                        let taps = [tap / window.kernel[1], tap % window.kernel[1]];
                        let [y, x] = [(0, y), (1, column)].map(|(axis, at)| {
                            let at = at * window.stride[axis] + taps[axis] * window.dilation[axis];
                            at.checked_sub(window.padding[axis]).filter(|&at| at < window.input[axis])
                        });
                        let value = y.zip(x).map_or(padding_value, |(y, x)| {
                            let cell = (image * window.input[0] + y) * window.input[1] + x;
                            input[(cell * channels) as usize + o]
                        });
                        sum += i32::from(value) * i32::from(weights[o * width + taps[1] as usize][taps[0] as usize]);
                    }
                    expected.push(scales.output(sum, o));
                }
            }
            let found = run(
                &kernel,
                &[bytes(&input), bytes(weights.as_flattened()), bytes(&scales.bias), bytes(&scales.multipliers)],
            );
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }
}
