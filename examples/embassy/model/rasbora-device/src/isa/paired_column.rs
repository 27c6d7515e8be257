//! Paired weights for one column of plain int8 inputs: what fully connected layers are made of.
//!
//! Lanes, expansion and requantisation are those of [`paired`](super::paired). An input meets each block of outputs just
//! once, so it is expanded where it is loaded: two instructions for a whole block, and no scratch memory. The shift is [`SHIFT`].
//!
//! **Streams.** `x` has the inputs themselves, four in a word. `filters` is a block for five outputs after the other, then
//! blocks for one: biases, for each step one word of lanes an output, then corrections and multipliers, where these are not
//! the same for the whole layer.

use super::paired::{Rounding, SHIFT, accumulate, requantise};
use crate::memory::{View, ViewMut};

/// Outputs that are computed together.
pub const BLOCK: u32 = 5;

/// Sizes and constants of one call.
#[derive(Clone, Copy, Debug)]
pub struct PairedColumn {
    /// Words of lanes for one output: inputs / 4. At least 1.
    pub steps: u32,
    /// Number of outputs.
    pub outputs: u32,
    /// The multiplier of all outputs; 0 where `filters` holds multiplier and correction for each.
    pub multiplier: i32,
    /// What is added to a negative accumulator; nothing where `filters` holds it.
    pub correction: i32,
    /// See [`Paired::zero`](super::Paired::zero).
    pub zero: i32,
}

impl PairedColumn {
    /// Blocks of [`BLOCK`] outputs, and of one.
    pub const fn blocks(outputs: u32) -> (u32, u32) {
        (outputs / BLOCK, outputs % BLOCK)
    }

    /// Words of `filters` that belong to one output.
    pub const fn output_words(&self) -> u64 {
        self.steps as u64 + if self.multiplier == 0 { 3 } else { 1 }
    }

    /// Words of `filters`.
    pub const fn filter_words(&self) -> u64 {
        self.outputs as u64 * self.output_words()
    }

    /// Whether the streams and outputs have the lengths that these sizes want.
    pub fn fits(&self, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) -> bool {
        self.steps > 0
            && x.len() == self.steps as usize
            && filters.len() as u64 == self.filter_words()
            && out.len() == self.outputs as usize
    }
}

/// The formula, in plain Rust.
pub fn portable(column: PairedColumn, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) {
    if !column.fits(x, filters, out) {
        return;
    }
    let (blocks, singles) = PairedColumn::blocks(column.outputs);
    let steps = column.steps as usize;
    let (mut at, mut output) = (0, 0);
    for width in core::iter::repeat_n(BLOCK as usize, blocks as usize).chain(core::iter::repeat_n(1, singles as usize))
    {
        for o in 0..width {
            let word = |i: usize| filters.get(at + i).copied().unwrap_or_default();
            let lanes = (0..steps).map(|step| word((1 + step) * width + o));
            let sum = lanes.zip(x.iter()).fold(word(o) as i32, |sum, (lanes, inputs)| accumulate(sum, lanes, inputs));
            let (multiplier, correction) = match column.multiplier {
                0 => (word((2 + steps) * width + o) as i32, word((1 + steps) * width + o) as i32),
                multiplier => (multiplier, column.correction),
            };
            out.set(output + o, requantise(sum, multiplier, correction, Rounding { zero: column.zero, shift: SHIFT }));
        }
        at += width * column.output_words() as usize;
        output += width;
    }
}
