//! Convolution with paired weights: `out[n, y, x, o] = requantise(bias[o] + Σ input[…] · weights[o, …])`, two columns at once.
//!
//! The rows of a window are runs of neighbours, which are read where they lie. Where windows leave the image, the rows under
//! a row of output are first copied to scratch memory with their padding, so that the product is one loop without borders.
//! [`isa::paired`](crate::isa::paired) says how weights, inputs and requantisation look; the compiler chooses this kernel
//! where it has proven that it gives the same bytes.

use core::ops::Range;

use super::window::{Reading, bands, product};
use super::{Effort, Kernel, Need, Overlap, Window};
use crate::isa::paired::{CHUNK, SHIFTS};
use crate::isa::{Columns, Isa, Paired};
use crate::memory::{Memory, Operand, View, ViewMut};

crate::params! {
    /// 8-bit convolution with paired weights.
    pub struct PairedConv2d {
        /// The window's sizes.
        pub window: Window,
        /// Input channels.
        pub inputs: u32,
        /// Output channels, at least 2.
        pub outputs: u32,
        /// Rows of output that are computed from one strip, where strips are needed.
        pub strip: u16,
        /// Rows that are computed at a time, from the last on; 0 where all are, from the first on.
        pub band: u16,
        /// Value of the input outside the image.
        pub padding_value: i8,
        /// See [`Paired::signed`].
        pub signed: bool,
        /// See [`Paired::shift`].
        pub shift: u8,
        /// See [`Paired::zero`].
        pub zero: i32,
    }
}

impl PairedConv2d {
    /// See [`Paired::unit`].
    pub fn unit(&self) -> u32 {
        self.paired().unit()
    }

    /// Bytes of a run: the taps of a row, which are neighbours.
    fn run_bytes(&self) -> u32 {
        self.window.kernel[1].saturating_mul(self.inputs)
    }

    /// Input columns that a row of output reads, padding included.
    fn span(&self) -> u32 {
        let w = &self.window;
        w.output[1].saturating_sub(1) * w.stride[1] + w.kernel[1]
    }

    /// What is read beyond the last run.
    fn spare(&self) -> u32 {
        self.run_bytes().wrapping_neg() & 3
    }

    /// Whether every row is computed from a strip: windows leave the image, or the last of several runs its end.
    fn padded(&self) -> bool {
        let w = &self.window;
        let outside = w.padding != [0; 2] || self.strip_rows(w.output[0]) > w.input[0] || self.span() > w.input[1];
        outside || (self.spare() != 0 && w.kernel[0] > 1)
    }

    /// Input rows under `outputs` rows of output.
    fn strip_rows(&self, outputs: u32) -> u32 {
        let w = &self.window;
        let taps = w.kernel[0].saturating_sub(1) * w.dilation[0] + 1;
        outputs.saturating_sub(1).saturating_mul(w.stride[0]).saturating_add(taps)
    }

    /// Rows of input that are copied to strips, padding included.
    pub fn copied_rows(&self) -> u32 {
        let (height, strip) = (self.window.output[0], u32::from(self.strip).max(1));
        let [whole, left] = [height / strip, height % strip];
        let rows =
            whole.saturating_mul(self.strip_rows(strip)).saturating_add(self.strip_rows(left) * (left > 0) as u32);
        if self.padded() { rows.saturating_mul(self.window.batch) } else { 0 }
    }

    /// The kernel with the longest strips that take no more than `bytes` of scratch memory, and one row at least.
    pub fn in_strips(self, bytes: u32) -> Self {
        let of = |strip: u16| Self { strip, ..self };
        let most = (1..=self.window.output[0].min(256) as u16).take_while(|&rows| of(rows).strip_bytes() <= bytes);
        of(if self.padded() { most.last().unwrap_or(1) } else { 1 })
    }

    /// The kernel that computes its rows from the last on, so that the output may lie behind the input; `None` where it may
    /// not then either.
    pub fn backward(self) -> Option<Self> {
        let band = u16::try_from(self.window.band()).ok();
        band.filter(|_| self.window.is_pointwise()).map(|band| Self { band, ..self })
    }

    /// Bytes of a strip, the rows under some rows of output, and what is read beyond them; 0 where none is needed. There are
    /// two of them, where a pair of cells may lie in two rows.
    #[inline(never)]
    fn strip_bytes(&self) -> u32 {
        let rows = self.strip_rows(self.strip.into()).saturating_mul(self.inputs).saturating_mul(self.span());
        let bytes = rows.saturating_add(self.spare()).min(1 << 30).next_multiple_of(4);
        if self.padded() || self.spare() != 0 { bytes } else { 0 }
    }

    /// The layer for [`Isa::paired`].
    pub fn paired(&self) -> Paired {
        let w = &self.window;
        let line = if self.padded() { self.span() } else { w.input[1] };
        Paired {
            runs: w.kernel[0],
            run_bytes: self.run_bytes().min(1 << 26),
            stride: line.saturating_mul(w.dilation[0]).saturating_mul(self.inputs).min(1 << 31),
            input_step: (2 * w.stride[1]).saturating_mul(self.inputs).min(1 << 31),
            outputs: self.outputs,
            signed: self.signed,
            zero: self.zero,
            shift: self.shift.into(),
        }
    }

    /// Bytes of scratch memory: sums of two columns, see [`Paired::sums`], and the strips.
    #[inline(never)]
    pub fn scratch_bytes(&self) -> u32 {
        let strips = 1 + (self.window.output[1] & 1);
        let sums = self.paired().sums().saturating_mul(4);
        sums.saturating_add(self.strip_bytes().saturating_mul(strips))
    }

    /// Copies `rows` rows of an image from row `y` on to `to`, where the padding beside them is already.
    #[inline(never)]
    fn fill_strip<I: Isa>(&self, (image, y, rows): (u32, i32, u32), input: View<'_, i8>, to: ViewMut<'_, i8>) {
        let w = &self.window;
        let cell = self.inputs as usize;
        let line = self.span() as usize * cell;
        let left = w.padding[1] as usize * cell;
        let inside = (w.input[1] as usize * cell).min(line.saturating_sub(left));
        for row in 0..rows {
            let y = y + row as i32;
            let to = to.slice(row as usize * line + left, inside);
            if y >= 0 && y < w.input[0] as i32 {
                let from = (image * w.input[0] + y as u32) as usize * w.input[1] as usize * cell;
                I::copy(input.slice(from, inside), to);
            } else {
                to.iter().for_each(|to| to.set(self.padding_value));
            }
        }
    }

    /// Computes the output rows `rows` from the first on.
    #[inline(never)]
    fn part<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, filters, scratch, out] = *operands;
        let input = memory.view::<i8>(input);
        let filters = memory.constants::<u32>(filters);
        let out = memory.view_mut::<i8>(out);
        let w = &self.window;
        let sums = Operand::arena(scratch.offset(), 4 * self.paired().sums());
        let Some(columns) = Columns::new(self.paired(), filters, memory.view_mut(sums)) else { return };
        let strip = |number: u32| {
            let bytes = self.strip_bytes();
            let offset = scratch.offset().wrapping_add(sums.bytes).wrapping_add(number * bytes);
            memory.view_mut::<i8>(Operand::arena(offset, bytes))
        };
        let mut strips = [strip(0), strip(w.output[1] & 1)];
        let mut filled = 0..0;
        let strip_step = self.span() as usize * (w.stride[0] * self.inputs) as usize;
        strips.iter().for_each(|strip| strip.iter().for_each(|to| to.set(self.padding_value)));
        let (outputs, cell_step) = (self.outputs as usize, (w.stride[1] * self.inputs) as usize);
        let (padded, reach) = (self.padded(), columns.reach());
        // Where cells follow each other over the ends of rows, all of them are one row.
        let flat = !padded && self.spare() == 0 && w.kernel == [1, 1] && w.stride == [1, 1] && w.input == w.output;
        let width = if flat { rows.len() * w.output[1] as usize } else { w.output[1] as usize };
        let row_reach = (width - 1) * cell_step + reach;
        // Pairs of cells go on over the ends of rows. The last of an odd number of cells is computed twice.
        let mut waiting: Option<View<'_, i8>> = None;
        let mut cell = (rows.start * w.output[1]) as usize;
        let of_cell = |cell: usize| out.slice(cell * outputs, out.len().saturating_sub(cell * outputs));
        let end = rows.end;
        for row in if flat { rows.start..rows.start + 1 } else { rows } {
            let (image, y) = w.split_row(row);
            let (top, _) = w.taps(0, y);
            let mut line = View::EMPTY;
            if !padded {
                let start = (image * w.input[0] + top as u32) * w.input[1] * self.inputs;
                line = input.slice(start as usize, row_reach);
            }
            if line.is_empty() {
                if !filled.contains(&row) {
                    // A column that waits lies in the other strip.
                    strips.reverse();
                    filled = row..row.saturating_add(self.strip.into()).min(row - y + w.output[0]).min(end);
                    let count = self.strip_rows(filled.end - row);
                    self.fill_strip::<I>((image, top, count), input, strips[0]);
                }
                line = strips[0].view().slice((row - filled.start) as usize * strip_step, row_reach);
            }
            let column = |at: usize| line.slice(at * cell_step, line.len().saturating_sub(at * cell_step));
            let mut at = 0;
            if let Some(first) = waiting.take() {
                I::paired(&columns, [first, column(0)], [of_cell(cell - 1), of_cell(cell)], 1);
                at = 1;
            }
            let pairs = (width - at) / 2;
            let out = [of_cell(cell + at), of_cell(cell + at + 1)];
            I::paired(&columns, [column(at), column(at + 1)], out, pairs);
            at += 2 * pairs;
            if at < width {
                waiting = Some(column(at));
            }
            cell += width;
        }
        if let Some(last) = waiting {
            I::paired(&columns, [last, last], [of_cell(cell - 1); 2], 1);
        }
    }
}

impl Kernel for PairedConv2d {
    const OPCODE: u16 = 24;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        let w = &self.window;
        w.valid()
            && (w.dilation[1] == 1 || w.kernel[1] == 1)
            && self.inputs.wrapping_sub(1) < 1 << 24
            && self.outputs.wrapping_sub(2) < 1 << 24
            && self.strip > 0
            && self.scratch_bytes() <= 1 << 26
    }

    fn layout_known(&self) -> bool {
        SHIFTS.contains(&self.shift.into())
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let (paired, lanes) = (self.paired(), Paired::lanes(self.outputs));
        let pairs = self.window.output[1] / 2 + 1;
        let copied = if self.padded() { product(&[self.strip_rows(1), self.span(), self.inputs]) } else { 0 };
        let row = [
            pairs.into(),
            product(&[pairs, paired.runs]),
            product(&[pairs, paired.steps()]),
            product(&[pairs, lanes, paired.steps().div_ceil(CHUNK)]),
            product(&[pairs, lanes, paired.steps()]),
            if self.padded() { self.strip_rows(1).into() } else { 0 },
            copied,
        ];
        Effort { call: u64::from(self.strip_bytes()) * 2, ..Effort::of_row(&row) }
    }

    fn needs(&self) -> [Need; 4] {
        let w = &self.window;
        [
            Need::read::<i8>(&w.input_shape(self.inputs)),
            Need::constant::<u32>(&[self.paired().output_words(), Paired::lanes(self.outputs)]),
            Need::write::<u32>(&[self.scratch_bytes() / 4]),
            Need::write::<i8>(&w.output_shape(self.outputs)),
        ]
    }

    fn overlap(&self, read: usize) -> Overlap {
        let cells = [self.inputs, self.outputs];
        match (read, self.band) {
            (0, 0) if self.padded() => self.window.overlap_forward(cells, Reading::Before),
            // A last column waits for the next row's first.
            (0, 0) => self.window.overlap_forward(cells, Reading::Along(2)),
            (0, band) => self.window.overlap_backward(cells, band.into()),
            _ => Overlap::None,
        }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        for rows in bands(rows, &self.window, self.band.into()) {
            self.part::<I>(rows, memory, operands);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::isa::paired::{OFFSET, Rounding, pair, requantise};
    use crate::ops::drawing::{Word, paired_words};
    use crate::ops::testing::{Draw, Random, bytes, run, values};

    /// The stream of a layer.
    fn stream(weights: &[Vec<i8>], numbers: [&[i32]; 3], paired: Paired) -> Vec<i32> {
        let lanes = Paired::lanes(paired.outputs) as usize;
        let mut weights = weights.to_vec();
        weights.resize(lanes, vec![0; weights[0].len()]);
        let numbers = numbers.map(|numbers| [numbers, &[0][..lanes - numbers.len()]].concat());
        let word = |word: Word| match word {
            Word::Bias(o) => {
                numbers[0][o] - OFFSET * weights[o].iter().skip(1).step_by(2).map(|&w| i32::from(w)).sum::<i32>()
            }
            Word::Lanes(o, step) => pair(core::array::from_fn(|i| weights[o][4 * step as usize + i])).cast_signed(),
            Word::Correction(o) => numbers[1][o],
            Word::Multiplier(o) => numbers[2][o],
        };
        paired_words(paired).map(word).collect()
    }

    #[test]
    fn is_the_formula() {
        let mut random = Random(5);
        for _ in 0..400 {
            let kernel = PairedConv2d::draw(&mut random);
            let PairedConv2d { window, inputs, outputs, .. } = kernel;
            let taps = (window.kernel[0] * window.kernel[1] * inputs) as usize;
            let input = random.i8s(product(&window.input_shape(1)) as usize * inputs as usize);
            let mut weights = |_| random.i8s(taps).into_iter().map(|w| w.max(-127)).collect::<Vec<i8>>();
            let weights: Vec<Vec<i8>> = (0..outputs).map(&mut weights).collect();
            let mut numbers =
                |least: i32, most: i32| -> Vec<i32> { (0..outputs).map(|_| random.between(least, most)).collect() };
            let (biases, multipliers) = (numbers(-1 << 20, 1 << 20), numbers(1 << 20, 1 << 26));
            let corrections = if kernel.signed { numbers(-1024, 256) } else { vec![0; outputs as usize] };
            let padded: Vec<Vec<i8>> = weights
                .iter()
                .map(|w| {
                    let run = |run: &[i8]| {
                        let mut run = run.to_vec();
                        run.resize(run.len().next_multiple_of(4), 0);
                        run
                    };
                    w.chunks(kernel.unit() as usize).flat_map(run).collect()
                })
                .collect();
            let filters = stream(&padded, [&biases, &corrections, &multipliers], kernel.paired());

            let rounding = Rounding { zero: kernel.zero, shift: kernel.shift.into() };
            let mut expected = Vec::new();
            for cell in 0..product(&window.output_shape(1)) as u32 {
                let (row, column) = (cell / window.output[1], cell % window.output[1]);
                let (image, y) = (row / window.output[0], row % window.output[0]);
                for o in 0..outputs as usize {
                    let mut sum = 0;
                    for (i, &weight) in weights[o].iter().enumerate() {
                        let (tap, channel) = (i as u32 / inputs, i % inputs as usize);
                        let taps = [tap / window.kernel[1], tap % window.kernel[1]];
                        let [y, x] = [(0, y), (1, column)].map(|(axis, at)| {
                            let at = at * window.stride[axis] + taps[axis] * window.dilation[axis];
                            at.checked_sub(window.padding[axis]).filter(|&at| at < window.input[axis])
                        });
                        let value = y.zip(x).map_or(kernel.padding_value, |(y, x)| {
                            let cell = (image * window.input[0] + y) * window.input[1] + x;
                            input[cell as usize * inputs as usize + channel]
                        });
                        sum += i32::from(value) * i32::from(weight);
                    }
                    expected.push(requantise(256 * sum + biases[o], multipliers[o], corrections[o], rounding));
                }
            }
            let found = run(&kernel, &[bytes(&input), bytes(&filters)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }
}
