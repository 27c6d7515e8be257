//! Convolution with paired weights: `out[n, y, x, o] = requantise(bias[o] + Σ input[…] · weights[o, …])`, two columns at once.
//!
//! The patch of input under the window becomes a column of expanded inputs in scratch memory, where the padding is filled
//! in, so the product over it is one loop without borders. [`isa::paired`](crate::isa::paired) says how weights, inputs and
//! requantisation look; the compiler chooses this kernel where it has proven that it gives the same bytes.

use core::cell::Cell;
use core::ops::Range;

use super::window::{count, product};
use super::{Effort, Kernel, Need, Window};
use crate::isa::paired::expand;
use crate::isa::{Isa, Paired};
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
        /// Value of the input outside the image.
        pub padding_value: i8,
        /// See [`Paired::signed`].
        pub signed: bool,
        /// See [`Paired::zero`].
        pub zero: i32,
        /// See [`Paired::shift`].
        pub shift: u32,
    }
}

/// Where the patch of one output cell lies.
struct Patch {
    /// First input cell of the image.
    image: u32,
    /// Input row of tap row 0, and the tap rows inside.
    y: (i32, Range<u32>),
    /// Input column of tap column 0, and the tap columns inside.
    x: (i32, Range<u32>),
}

impl PairedConv2d {
    fn paired(&self) -> Paired {
        let taps = product(&[self.window.kernel[0], self.window.kernel[1], self.inputs]);
        let steps = taps.div_ceil(4).min(1 << 24) as u32;
        Paired { steps, outputs: self.outputs, signed: self.signed, zero: self.zero, shift: self.shift }
    }

    /// Bytes of scratch memory: two columns of expanded inputs, and one of plain inputs.
    pub fn scratch_bytes(&self) -> u64 {
        u64::from(self.paired().steps) * (16 + 4)
    }

    /// Whether the cells of the input are whole words: rows of taps are then expanded from where they lie.
    fn in_words(&self) -> bool {
        self.inputs & 3 == 0 && self.window.dilation[1] == 1
    }

    /// The patch of output cell `cell`, counted over all images.
    #[inline(always)]
    fn patch(&self, cell: u32) -> Patch {
        let w = &self.window;
        let row = cell.checked_div(w.output[1]).unwrap_or(0);
        let (image, y) = w.split_row(row);
        let x = cell - row * w.output[1];
        Patch { image: image * w.input[0] * w.input[1], y: w.taps(0, y), x: w.taps(1, x) }
    }

    /// Expands the patch into column `C` of `x`.
    #[inline(always)]
    fn expand_words<const C: usize>(&self, patch: &Patch, input: View<'_, u32>, x: ViewMut<'_, u32>) {
        let w = &self.window;
        let cell = self.inputs as usize / 4;
        let padding = u32::from_le_bytes([self.padding_value.cast_unsigned(); 4]);
        let row = 4 * w.kernel[1] as usize * cell;
        for tap_y in 0..w.kernel[0] {
            let x = x.slice(tap_y as usize * row, row);
            if !patch.y.1.contains(&tap_y) {
                fill::<C>(x, padding);
                continue;
            }
            let y = (patch.y.0 + (tap_y * w.dilation[0]) as i32) as u32;
            let (first, end) = (patch.x.1.start as usize, patch.x.1.end as usize);
            let start = (patch.image + y * w.input[1]).wrapping_add_signed(patch.x.0 + first as i32);
            if first > 0 {
                fill::<C>(x.slice(0, 4 * first * cell), padding);
            }
            let inside = (end - first) * cell;
            expand_run::<C>(x.slice(4 * first * cell, 4 * inside), input.slice(start as usize * cell, inside));
            if end < w.kernel[1] as usize {
                fill::<C>(x.slice(4 * end * cell, row - 4 * end * cell), padding);
            }
        }
    }

    /// Collects the patch in `bytes`, which end in zeros, and expands it into column `C` of `x`.
    #[inline(never)]
    fn expand_bytes<const C: usize>(
        &self,
        patch: &Patch,
        input: View<'_, i8>,
        x: ViewMut<'_, u32>,
        bytes: ViewMut<'_, i8>,
        words: View<'_, u32>,
    ) {
        let w = &self.window;
        let cell = self.inputs as usize;
        let row = w.kernel[1] as usize * cell;
        for tap_y in 0..w.kernel[0] {
            let to = bytes.slice(tap_y as usize * row, row);
            let inside = if patch.y.1.contains(&tap_y) { patch.x.1.clone() } else { 0..0 };
            if inside.len() < w.kernel[1] as usize {
                to.iter().for_each(|to| to.set(self.padding_value));
            }
            if inside.is_empty() {
                continue;
            }
            let y = (patch.y.0 + (tap_y * w.dilation[0]) as i32) as u32;
            let cells = (patch.image + y * w.input[1]) as i32 + patch.x.0;
            let copy = |tap_x: u32, taps: u32| {
                let from = (cells + (tap_x * w.dilation[1]) as i32) as usize * cell;
                let len = taps as usize * cell;
                to.slice(tap_x as usize * cell, len).copy_from(input.slice(from, len));
            };
            if w.dilation[1] == 1 {
                copy(inside.start, inside.end - inside.start);
            } else {
                inside.for_each(|tap_x| copy(tap_x, 1));
            }
        }
        expand_run::<C>(x, words);
    }
}

/// Expands `words` into column `C` of `x`.
#[inline(always)]
fn expand_run<const C: usize>(x: ViewMut<'_, u32>, words: View<'_, u32>) {
    for (step, word) in steps(x).zip(words.iter()) {
        let [first, second] = expand(word);
        step[C].set(first);
        step[2 + C].set(second);
    }
}

/// Expands one word into every step of column `C` of `x`.
#[inline(never)]
fn fill<const C: usize>(x: ViewMut<'_, u32>, word: u32) {
    let [first, second] = expand(word);
    for step in steps(x) {
        step[C].set(first);
        step[2 + C].set(second);
    }
}

#[inline(always)]
fn steps(x: ViewMut<'_, u32>) -> impl Iterator<Item = &[Cell<u32>; 4]> {
    x.cells().as_chunks().0.iter()
}

impl Kernel for PairedConv2d {
    const OPCODE: u16 = 24;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        let taps = count(&[self.window.kernel[0], self.window.kernel[1], self.inputs]);
        self.window.valid()
            && self.window.output_cells() > 0
            && self.inputs > 0
            && (2..=1 << 24).contains(&self.outputs)
            && taps <= 1 << 24
            && self.paired().shift_valid()
    }

    fn layout_known(&self) -> bool {
        self.paired().shift_valid()
    }

    fn rows(&self) -> u32 {
        self.window.rows()
    }

    fn effort(&self) -> Effort {
        let [kh, kw] = self.window.kernel;
        let (pairs, steps) = (self.window.output[1].div_ceil(2), self.paired().steps);
        // Cells that are no whole words are collected byte by byte.
        let collected = if self.in_words() { 0 } else { pairs };
        let row = [
            pairs.into(),
            product(&[pairs, kh]),
            product(&[pairs, steps]),
            product(&[pairs, self.outputs]),
            product(&[pairs, self.outputs, steps]),
            collected.into(),
            product(&[collected, kh, kw]),
            product(&[collected, kh, kw, self.inputs]),
        ];
        Effort { call: steps.into(), row }
    }

    fn needs(&self) -> [Need; 4] {
        let w = &self.window;
        [
            Need::read::<i8>(w.input_cells().saturating_mul(self.inputs.into())),
            Need::constant::<u32>(self.paired().filter_words()),
            Need::write::<u32>(self.scratch_bytes() / 4),
            Need::write::<i8>(w.output_cells().saturating_mul(self.outputs.into())),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, filters, scratch, out] = *operands;
        let bytes = memory.view::<i8>(input);
        let words = memory.view::<u32>(input);
        let filters = memory.constants::<u32>(filters);
        let paired = self.paired();
        let columns = 16 * paired.steps;
        let x = memory.view_mut::<u32>(Operand { bytes: columns, ..scratch });
        let patch_at = Operand { offset: scratch.offset.wrapping_add(columns), bytes: 4 * paired.steps, ..scratch };
        let patch_bytes = memory.view_mut::<i8>(patch_at);
        let patch_words = memory.view::<u32>(patch_at);
        patch_bytes.iter().for_each(|byte| byte.set(0));
        let out = memory.view_mut::<i8>(out);
        let w = &self.window;
        let outputs = self.outputs as usize;
        let width = w.output[1];
        // Pairs of cells go on over the ends of rows. The last of an odd number of cells is computed twice.
        let mut cell = rows.start * width;
        let end = rows.end * width;
        while cell < end {
            let cells = [cell, (cell + 1).min(end - 1)];
            let [first, second] = cells.map(|cell| self.patch(cell));
            if self.in_words() {
                self.expand_words::<0>(&first, words, x);
                self.expand_words::<1>(&second, words, x);
            } else {
                self.expand_bytes::<0>(&first, bytes, x, patch_bytes, patch_words);
                self.expand_bytes::<1>(&second, bytes, x, patch_bytes, patch_words);
            }
            let out = cells.map(|cell| out.slice(cell as usize * outputs, outputs));
            I::paired(paired, x.view(), filters, out);
            cell += 2;
        }
    }
}
