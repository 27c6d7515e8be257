//! Layers of 16-bit inputs and 8-bit weights, as instruction sets see them.
//!
//! A product has at most 2^22, so that [`CHUNK`] of them have a sum of 32 bits: however wide the sums of a layer are, the
//! inner loops add in one register.

use core::ops::Range;

use crate::memory::{Channel, View, ViewMut, rolled};
use crate::ops::Scaling16;

/// Products whose sum fits 32 bits, a multiple of 16.
pub(super) const CHUNK: usize = 496;

/// Filters that lie one after the other, each as long as a column of 16-bit inputs.
#[derive(Clone, Copy, Debug)]
pub struct Filters16<'a> {
    pub(super) taps: usize,
    pub(super) weights: &'a [i8],
    pub(super) channels: &'a [Channel],
    pub(super) scaling: &'a Scaling16,
}

impl<'a> Filters16<'a> {
    /// Those of some outputs of a layer; `None` where there are no taps, or a length is not what taps and outputs want.
    #[inline(never)]
    pub(crate) fn new(
        taps: usize,
        weights: &'a [i8],
        channels: &'a [Channel],
        scaling: &'a Scaling16,
        range: Range<usize>,
    ) -> Option<Self> {
        let weights = weights.get(range.start.checked_mul(taps)?..range.end.checked_mul(taps)?)?;
        (taps > 0).then_some(Self { taps, weights, channels: channels.get(range)?, scaling })
    }

    /// Whether a column and its outputs have the lengths that the filters want.
    #[inline(always)]
    pub(super) fn fit(&self, x: View<'_, i16>, out: ViewMut<'_, i16>) -> bool {
        x.len() == self.taps && out.len() == self.channels.len()
    }
}

/// Columns, with their outputs: runs of elements that start at multiples of a step.
#[derive(Clone, Copy)]
pub struct Line16<'a> {
    /// Where the inputs of the first start.
    pub x: View<'a, i16>,
    /// Elements from one to the next.
    pub step: usize,
    /// Where the outputs of the first start.
    pub out: ViewMut<'a, i16>,
    /// Elements from one's outputs to the next.
    pub out_step: usize,
    /// How many there are.
    pub cells: usize,
}

/// All outputs of columns, in plain Rust.
#[inline(always)]
pub(super) fn columns(filters: &Filters16<'_>, line: Line16<'_>) {
    for cell in 0..line.cells {
        let x = line.x.slice(cell * line.step, filters.taps);
        column(filters, x, line.out.slice(cell * line.out_step, filters.channels.len()));
    }
}

/// All outputs of one column.
#[inline(never)]
fn column(filters: &Filters16<'_>, x: View<'_, i16>, out: ViewMut<'_, i16>) {
    if !filters.fit(x, out) {
        return;
    }
    let weights = filters.weights.chunks_exact(filters.taps.max(1));
    for ((filter, channel), out) in weights.zip(filters.channels).zip(out.iter()) {
        let chunks = filter.chunks(CHUNK).enumerate();
        let sums = chunks.map(|(i, chunk)| i64::from(dot(x.slice(i * CHUNK, chunk.len()), chunk)));
        out.set(filters.scaling.output(sums.sum(), channel));
        rolled();
    }
}

/// The sum of at most [`CHUNK`] products.
#[inline(always)]
fn dot(x: View<'_, i16>, filter: &[i8]) -> i32 {
    x.iter().zip(filter).fold(0, |sum, (x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
}
