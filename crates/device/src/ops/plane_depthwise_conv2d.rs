//! Depthwise 3×3 convolution over planes, one output channel for each input channel, and four at least:
//! `out[n, y, x, o] = requantise(bias[o] + Σ input[n, …, o] · weights[…, o])`.
//!
//! A strip of input is spread to planes of four channels in scratch memory, with the padding around it, so the sums have no
//! borders and the weights of a channel stay in registers. [`isa::planes`](crate::isa::planes) says how planes, weights and
//! requantisation look; the compiler chooses this kernel where it has proven that it gives the same bytes.

use core::ops::Range;

use super::plane_strip::PlaneStrip;
use super::window::product;
use super::{Effort, Kernel, Need, Overlap, Window};
use crate::isa::planes::CHANNELS;
use crate::isa::{Isa, Planes};
use crate::memory::{Memory, Operand};

crate::params! {
    /// 8-bit depthwise 3×3 convolution over planes.
    pub struct PlaneDepthwiseConv2d {
        /// The window's sizes: a kernel of 3×3, stride 1 or 2 on both axes, no dilation.
        pub window: Window,
        /// Channels, at least 4.
        pub channels: u32,
        /// Rows of output that are computed from one strip.
        pub strip: u32,
        /// Value of the input outside the image.
        pub padding_value: i8,
        /// See [`Planes::signed`].
        pub signed: bool,
        /// See [`Planes::factor`].
        pub factor: u8,
        /// See [`Planes::zero`].
        pub zero: i32,
    }
}

impl PlaneDepthwiseConv2d {
    /// Whether the kernel is made for `window`.
    pub fn takes(window: &Window) -> bool {
        PlaneStrip::takes(window)
    }

    fn strip(&self) -> PlaneStrip<'_> {
        let Self { window, channels, strip, padding_value, .. } = self;
        PlaneStrip { window, channels: *channels, pitch: CHANNELS as u32, rows: *strip, padding_value: *padding_value }
    }

    /// The kernel with the longest strips that take no more than `bytes` of scratch memory, and two rows at least.
    pub fn in_strips(self, bytes: u32) -> Self {
        Self { strip: self.strip().longest(bytes), ..self }
    }

    /// The kernel with strips of no more than half of the rows, so that the output may lie over some of the input.
    pub fn halved(self) -> Self {
        Self { strip: self.strip.min(self.window.output[0].div_ceil(2).next_multiple_of(2)), ..self }
    }

    /// Bytes of scratch memory: the planes of a strip.
    pub fn scratch_bytes(&self) -> u32 {
        self.strip().bytes()
    }
}

impl Kernel for PlaneDepthwiseConv2d {
    const OPCODE: u16 = 28;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        let w = &self.window;
        w.valid()
            && Self::takes(w)
            && self.channels.wrapping_sub(4) | self.strip.wrapping_sub(1) < 1 << 24
            && self.factor <= 16
            && (self.signed || self.zero == 0)
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let (quads, w) = (self.channels.div_ceil(4), &self.window);
        let row = [
            quads.into(),
            product(&[quads, w.output[1].next_multiple_of(2)]),
            product(&[quads, w.input[1]]),
            self.strip().plane_row().into(),
        ];
        Effort { call: self.scratch_bytes().into(), ..Effort::of_row(&row) }
    }

    fn needs(&self) -> [Need; 4] {
        let quads = self.channels.div_ceil(CHANNELS as u32);
        [
            Need::read::<i8>(&self.window.input_shape(self.channels)),
            Need::constant::<u32>(&[quads, (CHANNELS * Planes::channel_words(self.signed)) as u32]),
            Need::write::<u32>(&[self.scratch_bytes() / 4]),
            Need::write::<i8>(&self.window.output_shape(self.channels)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        if read == 0 { self.strip().overlap(self.channels) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, filters, scratch, out] = *operands;
        let filters = memory.constants::<u32>(filters);
        let planes = memory.view_mut::<u32>(scratch);
        let (strip, channels) = (self.strip(), self.channels as usize);
        let tensors = (memory.view::<i8>(input), planes, memory.view_mut::<i8>(out));
        strip.for_each(rows, tensors, self.channels, |part| {
            let sums = Planes {
                channels: CHANNELS as u32,
                output: [part.rows, self.window.output[1]],
                stride: self.window.stride[0],
                cell_step: self.channels,
                plane_row: part.spread.plane_row,
                signed: self.signed,
                zero: self.zero,
                factor: self.factor,
            };
            for (quad, filters) in filters.chunks_exact(CHANNELS * Planes::channel_words(self.signed)).enumerate() {
                let first = (CHANNELS * quad).min(channels.saturating_sub(CHANNELS));
                I::spread(part.spread, part.input.from(first), part.to);
                I::planes::<CHANNELS>(sums, planes.view(), filters, part.out.slice(first, sums.reach() as usize));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::isa::paired::{FINE_SHIFT, Rounding};
    use crate::isa::planes::taps;
    use crate::ops::plane_strip::testing::{Numbers, outputs};
    use crate::ops::testing::{Draw, Random, bytes, run, values};

    #[test]
    fn is_the_formula() {
        let mut random = Random(7);
        for _ in 0..300 {
            let kernel = PlaneDepthwiseConv2d::draw(&mut random);
            let window = kernel.window;
            let channels = kernel.channels as usize;
            let input = random.i8s(product(&window.input_shape(1)) as usize * channels);
            let weights = random.i8s(9 * channels);
            let mut numbers =
                |least: i32, most: i32| -> Vec<i32> { (0..channels).map(|_| random.between(least, most)).collect() };
            let (biases, multipliers) = (numbers(-1 << 24, 1 << 24), numbers(1 << 16, 1 << 22));
            let corrections = if kernel.signed { numbers(-4096, 1024) } else { vec![0; channels] };
            let mut filters: Vec<u32> = Vec::new();
            for first in (0..channels).step_by(4) {
                let first = first.min(channels - 4);
                for o in first..first + 4 {
                    let row = |row: usize| taps([0, 1, 2].map(|tap| weights[(3 * row + tap) * channels + o]));
                    filters.extend((0..3).map(row));
                    filters.extend([biases[o], multipliers[o]].map(i32::cast_unsigned));
                    filters.extend(kernel.signed.then_some(corrections[o].cast_unsigned()));
                }
            }
            let rounding = Rounding { zero: kernel.zero, shift: FINE_SHIFT };
            let numbers =
                Numbers { weights: &weights, biases: &biases, multipliers: &multipliers, corrections: &corrections };
            let expected = outputs(&window, &input, &numbers, (kernel.padding_value, kernel.factor, rounding));
            let found = run(&kernel, &[bytes(&input), bytes(&filters)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }
}
