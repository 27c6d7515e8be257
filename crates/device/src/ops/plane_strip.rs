//! Strips of planes: the input under some rows of output of a 3×3 window, spread to 16-bit halves with the padding around it,
//! so that sums have no borders. [`isa::planes`](crate::isa::planes) says how planes lie.

use core::ops::Range;

use super::window::{Reading, product};
use super::{Overlap, Window};
use crate::isa::Spread;
use crate::isa::planes::both;
use crate::memory::{View, ViewMut};

/// A layer's strips.
#[derive(Clone, Copy)]
pub struct PlaneStrip<'a> {
    pub window: &'a Window,
    /// Input channels.
    pub channels: u32,
    /// Planes that lie beside each other: words of a pair of cells.
    pub pitch: u32,
    /// Rows of output that are computed from one strip.
    pub rows: u32,
    /// Value of the input outside the image.
    pub padding_value: i8,
}

/// Rows of output, and what they are computed from.
pub struct Part<'a> {
    /// How many there are.
    pub rows: u32,
    /// How the input is spread.
    pub spread: Spread,
    /// Input, from the first row that is spread on.
    pub input: View<'a, i8>,
    /// Where it is spread to.
    pub to: ViewMut<'a, u32>,
    /// The rows of output.
    pub out: ViewMut<'a, i8>,
}

impl<'a> PlaneStrip<'a> {
    /// Whether there are planes for `window`.
    pub fn takes(window: &Window) -> bool {
        let Window { kernel: [kh, kw], stride: [down, right], dilation: [rows, columns], .. } = *window;
        // One comparison takes less flash than one for each size.
        (kh ^ 3) | (kw ^ 3) | (rows ^ 1) | (columns ^ 1) | (down ^ right) | (down.wrapping_sub(1) >> 1) == 0
    }

    /// Rows of the longest strips that take no more than `bytes` of scratch memory, two at least.
    pub fn longest(self, bytes: u32) -> u32 {
        let height = self.window.output[0];
        let fits = |&rows: &u32| Self { rows: rows.min(height), ..self }.bytes() <= bytes;
        let most = (2..=height.next_multiple_of(2)).step_by(2).take_while(fits).last();
        most.unwrap_or(2).min(height)
    }

    /// Input rows, or columns, under `outputs` of the output.
    fn span(&self, outputs: u32) -> u32 {
        outputs.saturating_sub(1) * self.window.stride[0] + 3
    }

    /// Words of a row of planes: a window may go on in the padding at the next row's start.
    #[inline(never)]
    pub fn plane_row(&self) -> u32 {
        let w = &self.window;
        let left = w.padding[1];
        let cells = (left + w.input[1]).max(self.span(w.output[1]).saturating_sub(left));
        cells.div_ceil(2) * self.pitch
    }

    /// Bytes of a strip. Outputs are computed by two on both axes, so there is a row, or two, too much below an odd number of
    /// them.
    #[inline(never)]
    pub fn bytes(&self) -> u32 {
        let [rows, columns] = [self.rows.div_ceil(2), self.window.output[1].div_ceil(2)];
        let stride = self.window.stride[0];
        let pairs = if stride == 1 { columns } else { 2 * columns } + 1;
        let rows = (2 * rows).saturating_sub(1) * stride + 2;
        rows.saturating_mul(self.plane_row()).saturating_add(self.pitch * pairs).saturating_mul(4)
    }

    /// Where the output, of `outputs` channels, may lie over the input.
    pub fn overlap(&self, outputs: u32) -> Overlap {
        self.window.overlap_forward([self.channels, outputs], Reading::Along(self.rows))
    }

    /// How rows of an image are spread.
    fn spread(&self, rows: u32) -> Spread {
        let w = &self.window;
        Spread {
            rows,
            cells: w.input[1],
            cell_step: self.channels,
            row_step: w.input[1] * self.channels,
            odd: w.padding[1] & 1 == 1,
            padding_value: self.padding_value,
            pitch: self.pitch,
            plane_row: self.plane_row(),
        }
    }

    /// Words before the first cell of a row.
    fn left(&self) -> usize {
        (self.window.padding[1] / 2 * self.pitch) as usize
    }

    /// Writes the padding beside rows that no row of input is spread over.
    fn pad(&self, planes: ViewMut<'_, u32>) {
        let padding = both(self.padding_value, self.padding_value);
        let spread = self.spread(self.span(self.rows));
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

    /// Calls `with` for each part of the output rows `rows`, of `outputs` channels, with padding in `planes`.
    #[inline(always)]
    pub fn for_each(
        &self,
        rows: Range<u32>,
        (input, planes, out): (View<'_, i8>, ViewMut<'_, u32>, ViewMut<'_, i8>),
        outputs: u32,
        with: impl Fn(Part<'_>),
    ) {
        let w = &self.window;
        let image_len = product(&[w.input[0], w.input[1], self.channels]) as usize;
        let out_row = product(&[w.output[1], outputs]) as usize;
        self.pad(planes);
        let mut row = rows.start;
        while row < rows.end {
            let (image, y) = w.split_row(row);
            let count = self.rows.min(rows.end - row).min(w.output[0] - y).max(1);
            let image = input.slice(image as usize * image_len, image_len);
            let out = out.slice(row as usize * out_row, count as usize * out_row);
            with(self.part([y, count], image, planes, out));
            row += count;
        }
    }

    /// The part of `rows` of `image`'s output from row `y` on.
    fn part<'m>(
        &self,
        [y, rows]: [u32; 2],
        image: View<'m, i8>,
        planes: ViewMut<'m, u32>,
        out: ViewMut<'m, i8>,
    ) -> Part<'m> {
        let w = &self.window;
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
        fill(planes.slice(end, (self.left() + self.pitch as usize).min(planes.len() - end)), padding);
        let spread = self.spread(inside.len() as u32);
        let input = image.from((top + inside.start).max(0) as usize * spread.row_step as usize);
        Part { rows, spread, input, to: planes.from(inside.start as usize * plane_row + self.left()), out }
    }
}

/// A function of its own, since it is unrolled.
#[inline(never)]
fn fill(words: ViewMut<'_, u32>, value: u32) {
    words.iter().for_each(|word| word.set(value));
}

#[cfg(test)]
pub(super) mod testing {
    use std::vec::Vec;

    use super::{Window, product};
    use crate::isa::paired::{Rounding, requantise};

    /// Weights `[3, 3, o]`, and biases, multipliers and corrections of each output.
    pub struct Numbers<'a> {
        pub weights: &'a [i8],
        pub biases: &'a [i32],
        pub multipliers: &'a [i32],
        pub corrections: &'a [i32],
    }

    /// The outputs, by the formula, of as many input channels as the input has.
    pub fn outputs(window: &Window, input: &[i8], numbers: &Numbers<'_>, how: (i8, u8, Rounding)) -> Vec<i8> {
        let (channels, (padding_value, factor, rounding)) = (numbers.biases.len(), how);
        let inputs = input.len() / product(&window.input_shape(1)) as usize;
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
                    let value = y.zip(x).map_or(padding_value, |(y, x)| {
                        let cell = (image * window.input[0] + y) * window.input[1] + x;
                        input[cell as usize * inputs + o % inputs]
                    });
                    sum += i32::from(value) * i32::from(numbers.weights[tap as usize * channels + o]);
                }
                let sum = 256 * i32::from(factor) * sum;
                expected.push(requantise(
                    sum + numbers.biases[o],
                    numbers.multipliers[o],
                    numbers.corrections[o],
                    rounding,
                ));
            }
        }
        expected
    }
}
