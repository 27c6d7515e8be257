//! Convolution with paired weights: `out[n, y, x, o] = requantise(bias[o] + Σ input[…] · weights[o, …])`, two columns at once.
//!
//! The patch of input under the window becomes a column of expanded inputs in scratch memory, where the padding is filled
//! in, so the product over it is one loop without borders. [`isa::paired`](crate::isa::paired) says how weights, inputs and
//! requantisation look; the compiler chooses this kernel where it has proven that it gives the same bytes.

use core::cell::Cell;
use core::ops::Range;

use super::window::product;
use super::{Kernel, Need, Window};
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
        /// See [`Paired::correction`].
        pub correction: i32,
        /// See [`Paired::zero`].
        pub zero: i32,
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
        Paired { steps, outputs: self.outputs, correction: self.correction, zero: self.zero }
    }

    /// Bytes of scratch memory: two columns of expanded inputs, and one of plain inputs.
    pub fn scratch_bytes(&self) -> u64 {
        u64::from(self.paired().steps) * (16 + 4)
    }

    /// Whether the cells of the input are whole words: rows of taps are then expanded from where they lie.
    fn in_words(&self) -> bool {
        self.inputs & 3 == 0 && self.window.dilation[1] == 1
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
            let start = patch.image + y * w.input[1] + (patch.x.0 + first as i32) as u32;
            fill::<C>(x.slice(0, 4 * first * cell), padding);
            let inside = (end - first) * cell;
            expand_run::<C>(x.slice(4 * first * cell, 4 * inside), input.slice(start as usize * cell, inside));
            fill::<C>(x.slice(4 * end * cell, row - 4 * end * cell), padding);
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
        let mut to = bytes.iter();
        for tap_y in 0..w.kernel[0] {
            let inside = patch.y.1.contains(&tap_y);
            for tap_x in 0..w.kernel[1] {
                if inside && patch.x.1.contains(&tap_x) {
                    let y = (patch.y.0 + (tap_y * w.dilation[0]) as i32) as u32;
                    let x = (patch.x.0 + (tap_x * w.dilation[1]) as i32) as u32;
                    let from = input.slice((patch.image + y * w.input[1] + x) as usize * cell, cell);
                    from.iter().zip(&mut to).for_each(|(value, to)| to.set(value));
                } else {
                    to.by_ref().take(cell).for_each(|to| to.set(self.padding_value));
                }
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
        let taps = product(&[self.window.kernel[0], self.window.kernel[1], self.inputs]);
        self.window.valid()
            && self.window.output_cells() > 0
            && self.inputs > 0
            && (2..=1 << 24).contains(&self.outputs)
            && taps <= 1 << 24
    }

    fn rows(&self) -> u32 {
        self.window.rows()
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
        for row in rows {
            let (image, y) = w.split_row(row);
            let image = image * w.input[0] * w.input[1];
            let y = w.taps(0, y);
            let patch = |column: u32| Patch { image, y: y.clone(), x: w.taps(1, column) };
            let at = |column: u32| out.slice((row * w.output[1] + column) as usize * outputs, outputs);
            let mut column = 0;
            while column < w.output[1] {
                // The last of an odd number of columns is computed twice.
                let next = (column + 1).min(w.output[1] - 1);
                if self.in_words() {
                    self.expand_words::<0>(&patch(column), words, x);
                    self.expand_words::<1>(&patch(next), words, x);
                } else {
                    self.expand_bytes::<0>(&patch(column), bytes, x, patch_bytes, patch_words);
                    self.expand_bytes::<1>(&patch(next), bytes, x, patch_bytes, patch_words);
                }
                I::paired(paired, x.view(), filters, [at(column), at(next)]);
                column += 2;
            }
        }
    }
}
