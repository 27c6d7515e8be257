//! Convolution: `out[n, y, x, o] = requantise(bias[o] + Σ input[n, y·s + kh·d − p, x·s + kw·d − p, i] · weights[o, kh, kw, i])`.
//!
//! The compiler folds the input's zero point into `bias`, so the inner loop is a bare dot product, and a tap outside
//! the image has the value `padding_value`.

use core::ops::Range;

use super::window::{count, product};
use super::{Effort, Kernel, Need, Window};
use crate::arithmetic::Requantise;
use crate::isa::Isa;
use crate::memory::{Memory, Multiplier, Operand, View};

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
        /// Accumulator to int8; one multiplier a channel, or one for all.
        pub requantise: Requantise,
        /// Number of multipliers: `outputs` or 1.
        pub multipliers: u32,
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

/// The taps of a row are walked over together where they are `joined`.
fn conv_effort(w: &Window, inputs: u32, outputs: u32, joined: bool) -> Effort {
    let [kh, kw] = w.kernel;
    let (cells, runs) = (w.output[1], if joined { 1 } else { kw });
    let sums = [product(&[cells, outputs, kh, runs]), product(&[cells, outputs, kh, kw, inputs])];
    // Columns of the border add what lies outside.
    let border = if w.padding == [0; 2] { 0 } else { sums[1] };
    Effort::of_row(&[cells.into(), product(&[cells, outputs]), sums[0], sums[1], border])
}

/// One output cell's place in the input.
struct Cell {
    /// Offset of the image's first element.
    image: usize,
    /// Input row of tap row 0, and the tap rows inside.
    y: (i32, Range<u32>),
    /// Input column of tap column 0, and the tap columns inside.
    x: (i32, Range<u32>),
}

impl Conv2d {
    /// Sums of `N` neighbouring outputs from `output` on, at `cell`.
    #[inline(always)]
    fn sums<const N: usize>(
        &self,
        cell: &Cell,
        output: u32,
        input: View<'_, i8>,
        weights: &[i8],
        dot: impl Fn(View<'_, i8>, [&[i8]; N]) -> [i32; N],
    ) -> [i32; N] {
        let w = &self.window;
        let inputs = self.inputs as usize;
        let cell_len = inputs * self.groups as usize;
        let tap_row_len = w.kernel[1] as usize * inputs;
        let filter_len = w.kernel[0] as usize * tap_row_len;
        // With one group and no dilation the taps of a row are neighbours in the input too.
        let joined = self.groups == 1 && w.dilation[1] == 1;
        let group = if joined { 0 } else { output / (self.outputs / self.groups.max(1)).max(1) };
        let mut sums = [0i32; N];
        let add = |sums: &mut [i32; N], part: [i32; N]| {
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum = sum.wrapping_add(part);
            }
        };
        let rows = |start: usize, len: usize| -> [&[i8]; N] {
            core::array::from_fn(|n| {
                let start = (output as usize + n) * filter_len + start;
                weights.get(start..start + len).unwrap_or(&[])
            })
        };
        let padding = |rows: [&[i8]; N]| rows.map(|row| padding_sum(row, self.padding_value));
        for tap_y in 0..w.kernel[0] {
            let row_start = tap_y as usize * tap_row_len;
            if !cell.y.1.contains(&tap_y) {
                add(&mut sums, padding(rows(row_start, tap_row_len)));
                continue;
            }
            let y = (cell.y.0 + (tap_y * w.dilation[0]) as i32) as usize;
            let line = cell.image + y * w.input[1] as usize * cell_len;
            let (first, end) = (cell.x.1.start as usize, cell.x.1.end as usize);
            if first > 0 {
                add(&mut sums, padding(rows(row_start, first * inputs)));
            }
            if (end as u32) < w.kernel[1] {
                add(&mut sums, padding(rows(row_start + end * inputs, tap_row_len - end * inputs)));
            }
            let x_of = |tap: usize| (cell.x.0 + (tap as u32 * w.dilation[1]) as i32) as usize;
            if joined {
                let len = (end - first) * inputs;
                // A window beside the image starts outside of it, and has no taps inside.
                let start = line.wrapping_add(x_of(first).wrapping_mul(inputs));
                add(&mut sums, dot(input.slice(start, len), rows(row_start + first * inputs, len)));
            } else {
                for tap in first..end {
                    let start = line + x_of(tap) * cell_len + group as usize * inputs;
                    add(&mut sums, dot(input.slice(start, inputs), rows(row_start + tap * inputs, inputs)));
                }
            }
        }
        sums
    }
}

impl Kernel for Conv2d {
    const OPCODE: u16 = 1;
    type Operands = [Operand; 5];

    fn valid(&self) -> bool {
        self.window.valid()
            && channels_valid(self.inputs, self.outputs, self.groups)
            && self.requantise.valid()
            && (self.multipliers == self.outputs || self.multipliers == 1)
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let w = &self.window;
        let joined = self.groups == 1 && w.dilation[1] == 1;
        conv_effort(w, self.inputs, self.outputs, joined)
    }

    fn needs(&self) -> [Need; 5] {
        let w = &self.window;
        [
            Need::read::<i8>(&w.input_shape(self.inputs.saturating_mul(self.groups))),
            Need::constant::<i8>(&[self.outputs, w.kernel[0], w.kernel[1], self.inputs]),
            Need::constant::<i32>(&[self.outputs]),
            Need::constant::<Multiplier>(&[self.multipliers]),
            Need::write::<i8>(&w.output_shape(self.outputs)),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 5]) {
        let [input, weights, bias, multipliers, out] = *operands;
        let input = memory.view::<i8>(input);
        let weights = memory.constants::<i8>(weights);
        let bias = memory.constants::<i32>(bias);
        let multipliers = memory.constants::<Multiplier>(multipliers);
        let out = memory.view_mut::<i8>(out);
        let w = &self.window;
        let image_len = (w.input[0] * w.input[1] * self.inputs * self.groups) as usize;
        for row in rows {
            let (image, y) = w.split_row(row);
            for x in 0..w.output[1] {
                let cell = Cell { image: image as usize * image_len, y: w.taps(0, y), x: w.taps(1, x) };
                let at = (row * w.output[1] + x) as usize * self.outputs as usize;
                let store = |o: u32, sum: i32| {
                    let multiplier = per_channel(multipliers, o as usize);
                    let sum = sum.wrapping_add(bias.get(o as usize).copied().unwrap_or_default());
                    out.set(at + o as usize, self.requantise.apply(sum, multiplier));
                };
                let mut o = 0;
                while self.groups == 1 && o + 4 <= self.outputs {
                    let sums = self.sums(&cell, o, input, weights, I::dot4);
                    for (n, sum) in (0..).zip(sums) {
                        store(o + n, sum);
                    }
                    o += 4;
                }
                while o < self.outputs {
                    let [sum] = self.sums(&cell, o, input, weights, |x, [w]| [I::dot(x, w)]);
                    store(o, sum);
                    o += 1;
                }
            }
        }
    }
}

/// What taps outside the image add. Not inlined: it runs for the cells of the border alone, and would stand eight times in
/// the kernel.
#[inline(never)]
fn padding_sum(weights: &[i8], padding_value: i8) -> i32 {
    weights.iter().fold(0, |sum: i32, &w| sum.wrapping_add(w.into())).wrapping_mul(padding_value.into())
}

/// Multiplier of channel `o`: its own, or the only one.
#[inline(always)]
pub(crate) fn per_channel(multipliers: &[Multiplier], o: usize) -> Multiplier {
    multipliers.get(o).or(multipliers.first()).copied().unwrap_or_default()
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
        let joined = self.groups == 1 && w.dilation[1] == 1;
        conv_effort(w, self.inputs, self.outputs, joined)
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
