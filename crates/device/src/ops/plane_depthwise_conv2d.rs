//! Depthwise 3×3 convolution over planes, one output channel for each input channel, and four at least:
//! `out[n, y, x, o] = requantise(bias[o] + Σ input[n, …, o] · weights[…, o])`.
//!
//! A strip of input is spread to planes of four channels in scratch memory, with the padding around it, so the sums have no
//! borders and the weights of a channel stay in registers. [`isa::planes`](crate::isa::planes) says how planes, weights and
//! requantisation look; the compiler chooses this kernel where it has proven that it gives the same bytes.

use core::ops::Range;

use super::window::{Reading, product};
use super::{Effort, Kernel, Need, Overlap, Window};
use crate::isa::planes::{CHANNELS, both};
use crate::isa::{Isa, Planes, Spread};
use crate::memory::{Memory, Operand, View, ViewMut};

crate::params! {
    /// 8-bit depthwise 3×3 convolution over planes.
    pub struct PlaneDepthwiseConv2d {
        /// The window's sizes: a kernel of 3×3, stride 1 or 2 on both axes, no dilation.
        pub window: Window,
        /// Output channels; at least 4 where each has an input channel of its own.
        pub channels: u32,
        /// Whether the input has one channel, which all output channels read.
        pub shared: bool,
        /// Rows of output that are computed from one strip.
        pub strip: u32,
        /// Value of the input outside the image.
        pub padding_value: i8,
        /// See [`Planes::signed`].
        pub signed: bool,
        /// See [`Planes::zero`].
        pub zero: i32,
        /// See [`Planes::factor`].
        pub factor: u8,
    }
}

impl PlaneDepthwiseConv2d {
    /// Whether the kernel is made for `window`.
    pub fn takes(window: &Window) -> bool {
        window.kernel == [3, 3] && window.dilation == [1, 1] && matches!(window.stride, [1, 1] | [2, 2])
    }

    /// The kernel with the longest strips that take no more than `bytes` of scratch memory, and two rows at least.
    pub fn in_strips(self, bytes: u32) -> Self {
        let height = self.window.output[0];
        let of = |strip: u32| Self { strip: strip.min(height), ..self };
        let most = (2..=height.next_multiple_of(2)).step_by(2).take_while(|&rows| of(rows).scratch_bytes() <= bytes);
        of(most.last().unwrap_or(2))
    }

    /// The kernel with strips of no more than half of the rows, so that the output may lie over some of the input.
    pub fn halved(self) -> Self {
        Self { strip: self.strip.min(self.window.output[0].div_ceil(2).next_multiple_of(2)), ..self }
    }

    /// Input rows, or columns, under `outputs` of the output.
    fn span(&self, outputs: u32) -> u32 {
        outputs.saturating_sub(1) * self.window.stride[0] + 3
    }

    /// Words of a row of planes: a window may go on in the padding at the next row's start.
    fn plane_row(&self) -> u32 {
        let w = &self.window;
        let left = w.padding[1];
        let cells = (left + w.input[1]).max(self.span(w.output[1]).saturating_sub(left));
        cells.div_ceil(2) * CHANNELS as u32
    }

    /// Channels of the input.
    fn inputs(&self) -> u32 {
        if self.shared { 1 } else { self.channels }
    }

    fn planes(&self, rows: u32) -> Planes {
        Planes {
            channels: if self.shared { self.channels } else { CHANNELS as u32 },
            shared: self.shared,
            output: [rows, self.window.output[1]],
            stride: self.window.stride[0],
            cell_step: self.channels,
            plane_row: self.plane_row(),
            signed: self.signed,
            zero: self.zero,
            factor: self.factor,
        }
    }

    /// Bytes of scratch memory: the planes of a strip.
    pub fn scratch_bytes(&self) -> u32 {
        self.scratch_words().saturating_mul(4)
    }

    #[inline(never)]
    fn scratch_words(&self) -> u32 {
        self.planes(self.strip).words()
    }

    /// How rows of an image are spread.
    fn spread(&self, rows: u32) -> Spread {
        let w = &self.window;
        Spread {
            rows,
            cells: w.input[1],
            cell_step: self.inputs(),
            row_step: w.input[1] * self.inputs(),
            odd: w.padding[1] & 1 == 1,
            padding_value: self.padding_value,
            plane_row: self.plane_row(),
        }
    }

    /// Words before the first cell of a row.
    fn left(&self) -> usize {
        self.window.padding[1] as usize / 2 * CHANNELS
    }

    /// Writes the padding beside rows that no row of input is spread over.
    fn pad(&self, planes: ViewMut<'_, u32>) {
        let padding = both(self.padding_value, self.padding_value);
        let spread = self.spread(self.span(self.strip));
        let row = spread.plane_row as usize;
        // From the end of a row's cells to those of the next row.
        let between = row.saturating_sub(spread.row_words() as usize);
        if between > 0 {
            fill(planes.slice(0, self.left()), padding);
            let mut end = self.left() + spread.row_words() as usize;
            for _ in 0..spread.rows {
                fill(planes.slice(end, between.min(planes.len().saturating_sub(end))), padding);
                end += row;
            }
        }
    }

    /// Computes `rows` of `image`'s output from row `y` on.
    fn strip<I: Isa>(&self, [y, rows]: [u32; 2], image: View<'_, i8>, planes: ViewMut<'_, u32>, call: Call<'_>) {
        let (w, channels) = (&self.window, self.channels as usize);
        let top = (y * w.stride[0]) as i32 - w.padding[0] as i32;
        let span = self.span(rows) as i32;
        // `clamp` would hold a check that panics.
        let within = |row: i32| row.max(0).min(span);
        let inside = within(-top)..within(w.input[0] as i32 - top);
        let plane_row = self.plane_row() as usize;
        let padding = both(self.padding_value, self.padding_value);
        for row in (0..inside.start).chain(inside.end.max(inside.start)..span) {
            fill(planes.slice(row as usize * plane_row, plane_row), padding);
        }
        // The last window may go on in the start of a row that has no cells.
        let end = (span as usize * plane_row).min(planes.len());
        fill(planes.slice(end, (self.left() + CHANNELS).min(planes.len() - end)), padding);
        let spread = self.spread(inside.len() as u32);
        let from = (top + inside.start).max(0) as usize * spread.row_step as usize;
        let to = inside.start as usize * plane_row + self.left();
        let target = planes.slice(to, planes.len().saturating_sub(to));
        let sums = self.planes(rows);
        if self.shared {
            spread_one(spread, image.from(from), target);
            return I::planes(sums, planes.view(), call.filters, call.out);
        }
        for (quad, filters) in call.filters.chunks_exact(CHANNELS * Planes::channel_words(self.signed)).enumerate() {
            let first = (CHANNELS * quad).min(channels.saturating_sub(CHANNELS));
            let start = from + first;
            I::spread(spread, image.slice(start, image.len().saturating_sub(start)), target);
            I::planes(sums, planes.view(), filters, call.out.slice(first, sums.reach() as usize));
        }
    }
}

/// Spreads the cells of one channel as [`Isa::spread`] does those of the first of four.
#[inline(never)]
fn spread_one(spread: Spread, x: View<'_, i8>, planes: ViewMut<'_, u32>) {
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
        pairs.zip(odd..).for_each(|([low, high], pair)| planes.set(CHANNELS * pair, both(low, high)));
        if (cells - odd) % 2 == 1 {
            planes.set(CHANNELS * last, both(x.at(cells - 1), padding_value));
        }
    }
}

/// A function of its own, since it is unrolled.
#[inline(never)]
fn fill(words: ViewMut<'_, u32>, value: u32) {
    words.iter().for_each(|word| word.set(value));
}

/// Stream and output of a strip.
struct Call<'a> {
    filters: &'a [u32],
    out: ViewMut<'a, i8>,
}

impl Kernel for PlaneDepthwiseConv2d {
    const OPCODE: u16 = 28;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        let w = &self.window;
        w.valid()
            && Self::takes(w)
            && (self.channels >= 4 || (self.shared && self.channels > 0))
            && self.channels <= 1 << 24
            && self.strip.wrapping_sub(1) < 1 << 24
            && self.factor <= 16
            && (self.signed || self.zero == 0)
            && self.scratch_words() <= 1 << 24
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
            self.plane_row().into(),
        ];
        Effort { call: self.scratch_bytes().into(), ..Effort::of_row(&row) }
    }

    fn needs(&self) -> [Need; 4] {
        let channels = if self.shared { self.channels } else { self.channels.next_multiple_of(CHANNELS as u32) };
        [
            Need::read::<i8>(&self.window.input_shape(self.inputs())),
            Need::constant::<u32>(&[channels, Planes::channel_words(self.signed) as u32]),
            Need::write::<u32>(&[self.scratch_words()]),
            Need::write::<i8>(&self.window.output_shape(self.channels)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        let cells = [self.inputs(), self.channels];
        if read == 0 { self.window.overlap_forward(cells, Reading::Along(self.strip)) } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, filters, scratch, out] = *operands;
        let input = memory.view::<i8>(input);
        let filters = memory.constants::<u32>(filters);
        let planes = memory.view_mut::<u32>(scratch);
        let out = memory.view_mut::<i8>(out);
        let (w, channels) = (&self.window, self.channels as usize);
        let image_len = product(&[w.input[0], w.input[1], self.inputs()]) as usize;
        let out_row = w.output[1] as usize * channels;
        self.pad(planes);
        let mut row = rows.start;
        while row < rows.end {
            let (image, y) = w.split_row(row);
            let count = self.strip.min(rows.end - row).min(w.output[0] - y).max(1);
            let image = input.slice(image as usize * image_len, image_len);
            let out = out.slice(row as usize * out_row, count as usize * out_row);
            self.strip::<I>([y, count], image, planes, Call { filters, out });
            row += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::isa::paired::{FINE_SHIFT, Rounding, requantise};
    use crate::isa::planes::taps;
    use crate::ops::testing::{Draw, Random, bytes, run, values};

    #[test]
    fn is_the_formula() {
        let mut random = Random(7);
        for _ in 0..300 {
            let kernel = PlaneDepthwiseConv2d::draw(&mut random);
            let window = kernel.window;
            let channels = kernel.channels as usize;
            let inputs = kernel.inputs() as usize;
            let input = random.i8s(product(&window.input_shape(1)) as usize * inputs);
            let weights = random.i8s(9 * channels);
            let mut numbers =
                |least: i32, most: i32| -> Vec<i32> { (0..channels).map(|_| random.between(least, most)).collect() };
            let (biases, multipliers) = (numbers(-1 << 24, 1 << 24), numbers(1 << 16, 1 << 22));
            let corrections = if kernel.signed { numbers(-4096, 1024) } else { vec![0; channels] };
            let mut filters: Vec<u32> = Vec::new();
            let width = if kernel.shared { channels } else { 4 };
            for first in (0..channels).step_by(width) {
                let first = first.min(channels - width);
                for o in first..first + width {
                    let row = |row: usize| taps([0, 1, 2].map(|tap| weights[(3 * row + tap) * channels + o]));
                    filters.extend((0..3).map(row));
                    filters.extend([biases[o], multipliers[o]].map(i32::cast_unsigned));
                    filters.extend(kernel.signed.then_some(corrections[o].cast_unsigned()));
                }
            }
            let rounding = Rounding { zero: kernel.zero, shift: FINE_SHIFT };
            let mut expected = Vec::new();
            for cell in 0..product(&window.output_shape(1)) as u32 {
                let (row, column) = (cell / window.output[1], cell % window.output[1]);
                let (image, y) = (row / window.output[0], row % window.output[0]);
                for o in 0..channels {
                    let mut sum = 0;
                    for tap in 0..9 {
                        let [y, x] = [(0, y, tap / 3), (1, column, tap % 3)].map(|(axis, at, tap)| {
                            let at = at * window.stride[axis] + tap;
                            at.checked_sub(window.padding[axis]).filter(|&at| at < window.input[axis])
                        });
                        let value = y.zip(x).map_or(kernel.padding_value, |(y, x)| {
                            let cell = (image * window.input[0] + y) * window.input[1] + x;
                            input[cell as usize * inputs + o % inputs]
                        });
                        sum += i32::from(value) * i32::from(weights[tap as usize * channels + o]);
                    }
                    let sum = 256 * i32::from(kernel.factor) * sum;
                    expected.push(requantise(sum + biases[o], multipliers[o], corrections[o], rounding));
                }
            }
            let found = run(&kernel, &[bytes(&input), bytes(&filters)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }
}
