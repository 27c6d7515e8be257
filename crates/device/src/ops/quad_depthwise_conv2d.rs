//! Depthwise convolution by four channels at once, one output channel for each input channel, and four at least:
//! `out[n, y, x, o] = requantise(bias[o] + Σ input[n, …, o] · weights[…, o])`.
//!
//! Where windows leave the image, the rows under a row of output are copied to scratch memory with their padding, so the
//! product is one loop without borders. [`isa::quads`](crate::isa::quads) says how weights and requantisation look; the
//! compiler chooses this kernel where it has proven that it gives the same bytes.

use core::ops::Range;

use super::window::{Reading, product};
use super::{Effort, Kernel, Need, Overlap, Window};
use crate::isa::quads::SHIFTS;
use crate::isa::{Isa, Quads};
use crate::memory::{Memory, Operand, View, ViewMut};

crate::params! {
    /// How corrections of negative sums lie in a stream.
    pub enum Corrections {
        /// There are none.
        None = 0,
        /// As four bytes, each a multiple of [`GRAIN`](crate::isa::quads::GRAIN).
        Bytes = 1,
        /// As four words.
        Words = 2,
    }
}

impl Corrections {
    /// Words of the corrections of four channels.
    pub const fn words(self) -> usize {
        match self {
            Self::None => 0,
            Self::Bytes => 1,
            Self::Words => 4,
        }
    }
}

crate::params! {
    /// 8-bit depthwise convolution, four channels at once.
    pub struct QuadDepthwiseConv2d {
        /// The window's sizes.
        pub window: Window,
        /// Channels, at least 4.
        pub channels: u32,
        /// Value of the input outside the image.
        pub padding_value: i8,
        /// Corrections for negative sums, see [`Paired::signed`](crate::isa::Paired::signed).
        pub corrections: Corrections,
        /// See [`Paired::shift`](crate::isa::Paired::shift).
        pub shift: u8,
        /// See [`Paired::zero`](crate::isa::Paired::zero).
        pub zero: i32,
    }
}

impl QuadDepthwiseConv2d {
    /// Input cells `[h, w]` that a row of output reads, padding included.
    fn span(&self) -> [u64; 2] {
        let w = &self.window;
        let taps = |axis: usize| (u64::from(w.kernel[axis]).saturating_sub(1)) * u64::from(w.dilation[axis]) + 1;
        [taps(0), (u64::from(w.output[1]).saturating_sub(1)) * u64::from(w.stride[1]) + taps(1)]
    }

    /// Whether windows leave the image.
    fn padded(&self) -> bool {
        let w = &self.window;
        let [height, width] = self.span();
        let height = (u64::from(w.output[0]).saturating_sub(1)) * u64::from(w.stride[0]) + height;
        w.padding != [0; 2] || height > w.input[0].into() || width > w.input[1].into()
    }

    /// Bytes of scratch memory: the rows of input under a row of output, where windows leave the image.
    pub fn scratch_bytes(&self) -> u64 {
        if self.padded() { self.span()[1].saturating_mul(product(&[self.window.kernel[0], self.channels])) } else { 0 }
    }

    fn row(&self) -> Quads {
        let w = &self.window;
        let row = if self.padded() { self.span()[1] as u32 } else { w.input[1].wrapping_mul(w.dilation[0]) };
        Quads {
            cells: w.output[1],
            channels: self.channels,
            kernel: w.kernel,
            steps: [row.wrapping_mul(self.channels), w.dilation[1].wrapping_mul(self.channels)],
            cell_step: w.stride[1].wrapping_mul(self.channels),
            corrections: self.corrections,
            zero: self.zero,
            shift: self.shift.into(),
        }
    }

    /// Copies row `y` of `image` to `to`, which starts and ends in padding where the window does.
    fn pad_row<I: Isa>(&self, image: View<'_, i8>, y: i32, to: ViewMut<'_, i8>) {
        let w = &self.window;
        let channels = self.channels as usize;
        let left = (w.padding[1] as usize * channels).min(to.len());
        let inside = (w.input[1] as usize * channels).min(to.len() - left);
        let to = to.slice(left, inside);
        if y < 0 || y >= w.input[0] as i32 {
            fill(to, self.padding_value);
        } else {
            I::copy(image.slice(y as usize * w.input[1] as usize * channels, inside), to);
        }
    }
}

fn fill(to: ViewMut<'_, i8>, value: i8) {
    to.iter().for_each(|to| to.set(value));
}

impl Kernel for QuadDepthwiseConv2d {
    const OPCODE: u16 = 25;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        self.window.valid() && self.channels.wrapping_sub(4) < 1 << 24 && self.scratch_bytes() <= 1 << 24
    }

    fn layout_known(&self) -> bool {
        SHIFTS.contains(&self.shift.into())
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let [kh, kw] = self.window.kernel;
        let (cells, quads) = (self.window.output[1], self.channels.div_ceil(4));
        let padded_rows = if self.padded() { kh } else { 0 };
        let row = [
            quads.into(),
            padded_rows.into(),
            self.scratch_bytes(),
            product(&[cells, quads]),
            product(&[cells, quads, kh]),
            product(&[cells, quads, kh, kw]),
        ];
        Effort { call: self.scratch_bytes(), ..Effort::of_row(&row) }
    }

    fn needs(&self) -> [Need; 4] {
        [
            Need::read::<i8>(&self.window.input_shape(self.channels)),
            Need::constant::<u32>(&[self.row().filter_words().min(u32::MAX.into()) as u32]),
            Need::write::<i8>(&[self.scratch_bytes() as u32]),
            Need::write::<i8>(&self.window.output_shape(self.channels)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        let reading = if self.padded() { Reading::Before } else { Reading::Along(1) };
        let cells = [self.channels; 2];
        if read == 0 { self.window.overlap_forward(cells, reading) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, filters, scratch, out] = *operands;
        let input = memory.view::<i8>(input);
        let filters = memory.constants::<u32>(filters);
        let scratch = memory.view_mut::<i8>(scratch);
        let out = memory.view_mut::<i8>(out);
        let (w, channels, call) = (&self.window, self.channels as usize, self.row());
        let image_len = w.input[0] as usize * w.input[1] as usize * channels;
        let out_row = w.output[1] as usize * channels;
        let padded_row = self.span()[1] as usize * channels;
        let padded = self.padded();
        fill(scratch, self.padding_value);
        for row in rows {
            let (image, y) = w.split_row(row);
            let image = input.slice(image as usize * image_len, image_len);
            let (y, _) = w.taps(0, y);
            let out = out.slice(row as usize * out_row, out_row);
            if padded {
                for tap in 0..w.kernel[0] {
                    let to = scratch.slice(tap as usize * padded_row, padded_row);
                    self.pad_row::<I>(image, y + (tap * w.dilation[0]) as i32, to);
                }
                I::quads(call, scratch.view(), filters, out);
            } else {
                let start = y as usize * w.input[1] as usize * channels;
                I::quads(call, image.slice(start, image.len().saturating_sub(start)), filters, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::isa::paired::{Rounding, requantise};
    use crate::isa::quads::{GRAIN, lanes};
    use crate::ops::testing::{Draw, Random, bytes, run, values};

    #[test]
    fn is_the_formula() {
        let mut random = Random(3);
        for _ in 0..200 {
            let kernel = QuadDepthwiseConv2d::draw(&mut random);
            let window = kernel.window;
            let (channels, taps) = (kernel.channels as usize, (window.kernel[0] * window.kernel[1]) as usize);
            let input = random.i8s(product(&window.input_shape(1)) as usize * channels);
            let weights = random.i8s(taps * channels);
            let mut numbers =
                |least: i32, most: i32| -> Vec<i32> { (0..channels).map(|_| random.between(least, most)).collect() };
            let (biases, multipliers) = (numbers(-1 << 20, 1 << 20), numbers(1 << 20, 1 << 26));
            let corrections = match kernel.corrections {
                Corrections::None => vec![0; channels],
                Corrections::Bytes => numbers(-128, 127).iter().map(|&byte| GRAIN * byte).collect(),
                Corrections::Words => numbers(-4096, 4096),
            };
            let mut filters: Vec<u32> = Vec::new();
            for first in (0..channels).step_by(4) {
                let first = first.min(channels - 4);
                let words =
                    |of: &[i32]| -> Vec<u32> { of[first..][..4].iter().map(|word| word.cast_unsigned()).collect() };
                filters.extend(words(&biases));
                for tap in 0..taps {
                    filters.push(lanes([0, 1, 2, 3].map(|o| weights[tap * channels + first + o])));
                }
                match kernel.corrections {
                    Corrections::None => {}
                    Corrections::Bytes => {
                        let bytes = [0, 1, 2, 3].map(|o| (corrections[first + o] / GRAIN) as u8);
                        filters.push(u32::from_le_bytes(bytes));
                    }
                    Corrections::Words => filters.extend(words(&corrections)),
                }
                filters.extend(words(&multipliers));
            }
            let rounding = Rounding { zero: kernel.zero, shift: kernel.shift.into() };
            let mut expected = Vec::new();
            for cell in 0..product(&window.output_shape(1)) as u32 {
                let (row, column) = (cell / window.output[1], cell % window.output[1]);
                let (image, y) = (row / window.output[0], row % window.output[0]);
                for o in 0..channels {
                    let mut sum = 0;
                    for tap in 0..taps as u32 {
                        let taps = [tap / window.kernel[1], tap % window.kernel[1]];
                        let [y, x] = [(0, y), (1, column)].map(|(axis, at)| {
                            let at = at * window.stride[axis] + taps[axis] * window.dilation[axis];
                            at.checked_sub(window.padding[axis]).filter(|&at| at < window.input[axis])
                        });
                        let value = y.zip(x).map_or(kernel.padding_value, |(y, x)| {
                            let cell = (image * window.input[0] + y) * window.input[1] + x;
                            input[cell as usize * channels + o]
                        });
                        sum += i32::from(value) * i32::from(weights[tap as usize * channels + o]);
                    }
                    expected.push(requantise(256 * sum + biases[o], multipliers[o], corrections[o], rounding));
                }
            }
            let found = run(&kernel, &[bytes(&input), bytes(&filters)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }
}
