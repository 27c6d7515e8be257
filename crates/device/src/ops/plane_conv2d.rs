//! 3×3 convolution of one input channel over its plane: `out[n, y, x, o] = requantise(bias[o] + Σ input[n, …] · weights[…, o])`.
//!
//! A strip of input is spread to 16-bit halves in scratch memory, with the padding around it, once for all outputs, so the sums
//! have no borders and the weights of an output stay in registers. [`isa::planes`](crate::isa::planes) says how planes,
//! weights and requantisation look; the compiler chooses this kernel where it has proven that it gives the same bytes.

use core::ops::Range;

use super::plane_strip::{Part, PlaneStrip};
use super::window::product;
use super::{Effort, Kernel, Need, Overlap, Window};
use crate::isa::planes::both;
use crate::isa::{Isa, Planes, Spread};
use crate::memory::{Memory, Operand, View, ViewMut};

crate::params! {
    /// 8-bit 3×3 convolution of one channel.
    pub struct PlaneConv2d {
        /// The window's sizes: a kernel of 3×3, stride 1 or 2 on both axes, no dilation.
        pub window: Window,
        /// Output channels.
        pub outputs: u32,
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

impl PlaneConv2d {
    /// Whether the kernel is made for `window`.
    pub fn takes(window: &Window) -> bool {
        PlaneStrip::takes(window)
    }

    fn strip(&self) -> PlaneStrip<'_> {
        let Self { window, strip, padding_value, .. } = self;
        PlaneStrip { window, channels: 1, pitch: 1, rows: *strip, padding_value: *padding_value }
    }

    /// The kernel with the longest strips that take no more than `bytes` of scratch memory, and two rows at least.
    pub fn in_strips(self, bytes: u32) -> Self {
        Self { strip: self.strip().longest(bytes), ..self }
    }

    /// Bytes of scratch memory: the plane of a strip.
    pub fn scratch_bytes(&self) -> u32 {
        self.strip().bytes()
    }
}

/// Spreads the cells of one channel.
#[inline(never)]
fn spread(spread: Spread, x: View<'_, i8>, planes: ViewMut<'_, u32>) {
    let Spread { cells, odd, padding_value, .. } = spread;
    let (cells, odd) = (cells as usize, usize::from(odd));
    for row in 0..spread.rows as usize {
        let x = x.slice(row * spread.row_step as usize, cells);
        let planes = planes.from(row * spread.plane_row as usize);
        if odd == 1 {
            planes.set(0, both(padding_value, x.at(0)));
        }
        let pairs = x.strided::<2>(odd, 2, (cells - odd) / 2);
        let last = odd + pairs.len();
        let words = planes.slice(odd, pairs.len());
        words.iter().zip(pairs).for_each(|(word, [low, high])| word.set(both(low, high)));
        if (cells - odd) % 2 == 1 {
            planes.set(last, both(x.at(cells - 1), padding_value));
        }
    }
}

impl Kernel for PlaneConv2d {
    const OPCODE: u16 = 31;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        let w = &self.window;
        w.valid()
            && Self::takes(w)
            && w.input[1] > 0
            && self.outputs.wrapping_sub(1) | self.strip.wrapping_sub(1) < 1 << 24
            && self.factor <= 16
            && (self.signed || self.zero == 0)
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let w = &self.window;
        let row = [
            self.outputs.into(),
            product(&[self.outputs, w.output[1].next_multiple_of(2)]),
            w.input[1].into(),
            self.strip().plane_row().into(),
        ];
        Effort { call: self.scratch_bytes().into(), ..Effort::of_row(&row) }
    }

    fn needs(&self) -> [Need; 4] {
        [
            Need::read::<i8>(&self.window.input_shape(1)),
            Need::constant::<u32>(&[self.outputs, Planes::channel_words(self.signed) as u32]),
            Need::write::<u32>(&[self.scratch_bytes() / 4]),
            Need::write::<i8>(&self.window.output_shape(self.outputs)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        if read == 0 { self.strip().overlap(self.outputs) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, filters, scratch, out] = *operands;
        let filters = memory.constants::<u32>(filters);
        let planes = memory.view_mut::<u32>(scratch);
        let strip = self.strip();
        let tensors = (memory.view::<i8>(input), planes, memory.view_mut::<i8>(out));
        strip.for_each(rows, tensors, self.outputs, |part: Part<'_>| {
            let sums = Planes {
                channels: self.outputs,
                output: [part.rows, self.window.output[1]],
                stride: self.window.stride[0],
                cell_step: self.outputs,
                plane_row: part.spread.plane_row,
                signed: self.signed,
                zero: self.zero,
                factor: self.factor,
            };
            spread(part.spread, part.input, part.to);
            I::planes::<1>(sums, planes.view(), filters, part.out);
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
        let mut random = Random(11);
        for _ in 0..300 {
            let kernel = PlaneConv2d::draw(&mut random);
            let window = kernel.window;
            let channels = kernel.outputs as usize;
            let input = random.i8s(product(&window.input_shape(1)) as usize);
            let weights = random.i8s(9 * channels);
            let mut numbers =
                |least: i32, most: i32| -> Vec<i32> { (0..channels).map(|_| random.between(least, most)).collect() };
            let (biases, multipliers) = (numbers(-1 << 24, 1 << 24), numbers(1 << 16, 1 << 22));
            let corrections = if kernel.signed { numbers(-4096, 1024) } else { vec![0; channels] };
            let mut filters: Vec<u32> = Vec::new();
            for o in 0..channels {
                let row = |row: usize| taps([0, 1, 2].map(|tap| weights[(3 * row + tap) * channels + o]));
                filters.extend((0..3).map(row));
                filters.extend([biases[o], multipliers[o]].map(i32::cast_unsigned));
                filters.extend(kernel.signed.then_some(corrections[o].cast_unsigned()));
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
