//! Depthwise sums of one channel each, for instruction sets that sum the products of many bytes at once.
//!
//! A stack is the bytes of up to three rows in one column and channel, in a word whose highest byte is padding: stacks lie
//! `[column, channel]`. The window of a channel is then up to four words, a column apart, and its weights are three bytes for
//! each: `[channel][column][row]`, of which those without a tap are 0.

use crate::memory::{View, ViewMut};
use crate::ops::outputs::Outputs;

/// Rows of a stack that may have taps.
pub const ROWS: usize = 3;
/// Columns of a window.
pub const COLUMNS: usize = 4;

/// Sizes, weights and outputs of a line of cells. Distances are in words of stacks.
#[derive(Clone, Copy, Debug)]
pub struct Stacks<'a> {
    /// Output cells, one after the other.
    pub(crate) cells: usize,
    /// Columns of the window that have taps: 1 to 4.
    pub(crate) columns: usize,
    /// Distance between them.
    pub(crate) column_step: usize,
    /// Distance between the windows of neighbouring cells.
    pub(crate) cell_step: usize,
    /// `[channel][column][row]`.
    pub(crate) weights: &'a [i8],
    pub(crate) outputs: Outputs<'a>,
}

impl Stacks<'_> {
    /// Whether weights, stacks and outputs have the lengths that these sizes want, there are four channels at least, and sums are
    /// rounded once.
    #[inline(always)]
    pub(super) fn fit(&self, x: View<'_, u32>, out: ViewMut<'_, i8>) -> bool {
        let channels = self.outputs.len();
        let last = |count: usize, step: usize| count.checked_sub(1)?.checked_mul(step);
        let reach = || {
            let (cell, column) = (last(self.cells, self.cell_step)?, last(self.columns, self.column_step)?);
            cell.checked_add(column)?.checked_add(channels)
        };
        channels >= 4
            && (1..=COLUMNS).contains(&self.columns)
            && self.outputs.scaling.once
            && self.outputs.complete()
            && channels.checked_mul(self.columns * ROWS) == Some(self.weights.len())
            && channels.checked_mul(self.cells) == Some(out.len())
            && reach().is_some_and(|reach| reach <= x.len())
    }
}

/// Whether all rows that are not empty reach to the last stack.
#[inline(always)]
pub(super) fn stackable(rows: [View<'_, i8>; ROWS], to: ViewMut<'_, u32>) -> bool {
    rows.iter().all(|row| row.is_empty() || row.len() >= to.len())
}

/// [`Isa::stack`](super::Isa::stack), in plain Rust.
pub(super) fn stack(rows: [View<'_, i8>; ROWS], padding: i8, to: ViewMut<'_, u32>) {
    if !stackable(rows, to) {
        return;
    }
    for (i, to) in to.iter().enumerate() {
        let byte = |row: View<'_, i8>| if row.is_empty() { padding } else { row.at(i) };
        let [a, b, c] = rows.map(|row| byte(row).cast_unsigned());
        to.set(u32::from_le_bytes([a, b, c, padding.cast_unsigned()]));
    }
}

/// [`Isa::stacks`](super::Isa::stacks), in plain Rust.
pub(super) fn stacks(stacks: &Stacks<'_>, x: View<'_, u32>, out: ViewMut<'_, i8>) {
    if !stacks.fit(x, out) {
        return;
    }
    let channels = stacks.outputs.len();
    for cell in 0..stacks.cells {
        for (channel, weights) in stacks.weights.chunks_exact(stacks.columns * ROWS).enumerate() {
            let first = cell * stacks.cell_step + channel;
            let columns = weights.as_chunks::<ROWS>().0.iter().enumerate();
            let sum = columns.fold(0i32, |sum, (column, weights)| {
                let bytes = x.at(first + column * stacks.column_step).to_le_bytes();
                let products = bytes.iter().zip(weights).map(|(&x, &w)| i32::from(x.cast_signed()) * i32::from(w));
                sum.wrapping_add(products.sum::<i32>())
            });
            stacks.outputs.store(channel, &[sum], out.slice(cell * channels + channel, 1));
        }
    }
}
