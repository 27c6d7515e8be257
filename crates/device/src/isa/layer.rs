//! Layers as instruction sets see them: weights with all that makes outputs of sums, of one length each, checked once.

use core::ops::Range;

use crate::memory::{View, ViewMut, rolled};
use crate::ops::outputs::Outputs;

/// Filters that lie one after the other, each as long as a column of inputs.
#[derive(Clone, Copy, Debug)]
pub struct Filters<'a> {
    pub(super) taps: usize,
    pub(super) weights: &'a [i8],
    pub(super) outputs: Outputs<'a>,
}

impl<'a> Filters<'a> {
    /// Those of some outputs; `None` where there are no taps, or a length is not what taps and outputs want.
    #[inline(never)]
    pub(crate) fn new(taps: usize, weights: &'a [i8], outputs: Outputs<'a>, range: Range<usize>) -> Option<Self> {
        let weights = weights.get(range.start.checked_mul(taps)?..range.end.checked_mul(taps)?)?;
        let outputs = outputs.part(range)?;
        (taps > 0).then_some(Self { taps, weights, outputs })
    }

    /// Whether a column and its outputs have the lengths that the filters want.
    #[inline(always)]
    pub(super) fn fit(&self, x: View<'_, i8>, out: ViewMut<'_, i8>) -> bool {
        x.len() == self.taps && out.len() == self.outputs.len()
    }
}

/// All outputs of `C` columns, where `make` makes the sums of at most `CHUNK` filters.
#[inline(always)]
pub(super) fn in_chunks<const C: usize, const CHUNK: usize>(
    filters: &Filters<'_>,
    x: [View<'_, i8>; C],
    out: [ViewMut<'_, i8>; C],
    make: impl Fn([View<'_, i8>; C], &[i8], [&mut [i32]; C]),
) {
    if !x.iter().zip(&out).all(|(&x, &out)| filters.fit(x, out)) {
        return;
    }
    let mut rest = filters.weights;
    for first in (0..filters.outputs.len()).step_by(CHUNK) {
        let count = (filters.outputs.len() - first).min(CHUNK);
        let (weights, others) = rest.split_at_checked(count * filters.taps).unwrap_or_default();
        rest = others;
        let mut sums = [[0; CHUNK]; C];
        make(x, weights, sums.each_mut().map(|sums| sums.get_mut(..count).unwrap_or_default()));
        for (sums, out) in sums.iter().zip(&out) {
            filters.outputs.store(first, sums.get(..count).unwrap_or_default(), out.slice(first, count));
        }
    }
}

/// Columns or windows, with their outputs: runs of elements that start at multiples of a step.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Where the inputs of the first start.
    pub x: View<'a, i8>,
    /// Elements from one to the next.
    pub step: usize,
    /// Where the outputs of the first start.
    pub out: ViewMut<'a, i8>,
    /// Elements from one's outputs to the next.
    pub out_step: usize,
    /// How many there are.
    pub cells: usize,
}

impl<'a> Line<'a> {
    /// One of `taps` inputs and its `outputs`.
    #[inline(always)]
    pub(super) fn cell(&self, cell: usize, taps: usize, outputs: usize) -> (View<'a, i8>, ViewMut<'a, i8>) {
        (self.x.slice(cell * self.step, taps), self.out.slice(cell * self.out_step, outputs))
    }

    /// Calls `pair` with two neighbours as long as there are two, and `last` with the one that is left.
    #[inline(always)]
    pub(super) fn by_twos(
        &self,
        filters: &Filters<'_>,
        mut pair: impl FnMut([View<'a, i8>; 2], [ViewMut<'a, i8>; 2]),
        mut last: impl FnMut(View<'a, i8>, ViewMut<'a, i8>),
    ) {
        let cell = |cell: usize| self.cell(cell, filters.taps, filters.outputs.len());
        let even = self.cells & !1;
        for first in (0..even).step_by(2) {
            let ((x, out), (other, other_out)) = (cell(first), cell(first + 1));
            pair([x, other], [out, other_out]);
        }
        if self.cells > even {
            let (x, out) = cell(even);
            last(x, out);
        }
    }
}

/// [`Isa::column`](super::Isa::column) for the cores whose assembly does nearly all layers: short.
#[inline(never)]
pub(super) fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
    if !filters.fit(x, out) {
        return;
    }
    let mut rest = filters.weights;
    for output in 0..filters.outputs.len() {
        let Some((filter, others)) = rest.split_at_checked(filters.taps) else { return };
        rest = others;
        filters.outputs.store(output, &[short_dot(x, filter)], out.slice(output, 1));
    }
}

/// [`dot`], in one place and not unrolled.
#[inline(never)]
fn short_dot(x: View<'_, i8>, filter: &[i8]) -> i32 {
    x.iter().zip(filter).fold(0, |sum, (x, &w)| {
        rolled();
        sum.wrapping_add(i32::from(x) * i32::from(w))
    })
}

/// The sum of a column with a filter.
#[inline(always)]
pub(super) fn dot(x: View<'_, i8>, filter: &[i8]) -> i32 {
    x.iter().zip(filter).fold(0, |sum, (x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
}

/// Channels of a window that have taps of their own.
#[derive(Clone, Copy, Debug)]
pub struct Channels<'a> {
    /// Channels, and elements from a tap to the next.
    pub(super) count: usize,
    pub(super) taps: usize,
    /// `[tap, channel]`.
    pub(super) weights: &'a [i8],
    pub(super) outputs: Outputs<'a>,
}

impl<'a> Channels<'a> {
    /// `None` where there are fewer than four channels or no taps, or the weights have another length than they want.
    pub(crate) fn new(taps: usize, weights: &'a [i8], outputs: Outputs<'a>) -> Option<Self> {
        let count = outputs.len();
        let fits = taps > 0 && count >= 4 && outputs.complete() && count.checked_mul(taps) == Some(weights.len());
        fits.then_some(Self { count, taps, weights, outputs })
    }

    /// Whether a window and its outputs have the lengths that the channels want.
    #[inline(always)]
    pub(super) fn fit(&self, x: View<'_, i8>, out: ViewMut<'_, i8>) -> bool {
        x.len() == self.weights.len() && out.len() == self.count
    }
}

/// What assembly for sums that are rounded once is called with: lengths that fit, some outputs, and a tap.
#[cfg(any(all(target_arch = "arm", target_os = "none"), target_arch = "riscv32"))]
#[repr(C)]
#[allow(dead_code, reason = "assembly reads the fields")]
pub struct Call {
    x: *const i8,
    weights: *const i8,
    bias: *const i32,
    multipliers: *const i32,
    out: *mut i8,
    /// Outputs that are left.
    left: u32,
    taps: u32,
    /// Elements from a tap to the next.
    step: u32,
    zero: i32,
    shift: u32,
    /// Bytes from a multiplier to the next.
    multiplier_step: u32,
    /// Bits of negative sums that are mirrored, see [`mirrored`](super::paired::mirrored): 255 or 0.
    mirrored: u32,
    /// Working memory.
    sums: [i32; 4],
}

#[cfg(any(all(target_arch = "arm", target_os = "none"), target_arch = "riscv32"))]
impl Call {
    #[inline(always)]
    fn new(x: View<'_, i8>, weights: *const i8, outputs: &Outputs<'_>, out: ViewMut<'_, i8>) -> Self {
        Self {
            x: x.as_ptr(),
            weights,
            bias: outputs.bias.as_ptr(),
            multipliers: outputs.multipliers.as_ptr(),
            out: out.as_mut_ptr(),
            left: outputs.len() as u32,
            taps: 0,
            step: 0,
            zero: outputs.scaling.zero,
            shift: outputs.scaling.shift & 31,
            multiplier_step: 4 * outputs.step as u32,
            mirrored: if outputs.scaling.signed { 255 } else { 0 },
            sums: [0; 4],
        }
    }

    /// A column with `least` outputs or more; `None` where it does not fit, or sums are not rounded once.
    #[inline(always)]
    pub fn of_column(least: usize, filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) -> Option<Self> {
        let known = filters.outputs.scaling.once && filters.outputs.len() >= least;
        let call = Self::new(x, filters.weights.as_ptr(), &filters.outputs, out);
        (known && filters.fit(x, out)).then_some(Self { taps: filters.taps as u32, ..call })
    }

    /// The first of columns; `None` where it or the last is none for [`Call::of_column`].
    #[cfg(target_abi = "eabihf")]
    #[inline(always)]
    pub fn of_columns(least: usize, filters: &Filters<'_>, line: Line<'_>) -> Option<Self> {
        let cell = |cell: usize| line.cell(cell, filters.taps, filters.outputs.len());
        let ((x, out), (last_x, last_out)) = (cell(0), cell(line.cells.checked_sub(1)?));
        Self::of_column(least, filters, x, out).filter(|_| filters.fit(last_x, last_out))
    }

    /// The first of windows; `None` where it or the last is none for [`Call::of_window`].
    #[cfg(target_abi = "eabihf")]
    #[inline(always)]
    pub fn of_windows(least: usize, channels: &Channels<'_>, line: Line<'_>) -> Option<Self> {
        let cell = |cell: usize| line.cell(cell, channels.weights.len(), channels.count);
        let ((x, out), (last_x, last_out)) = (cell(0), cell(line.cells.checked_sub(1)?));
        Self::of_window(least, channels, x, out).filter(|_| channels.fit(last_x, last_out))
    }

    /// A window with `least` channels or more; `None` where it does not fit, or sums are not rounded once.
    #[inline(always)]
    pub fn of_window(least: usize, channels: &Channels<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) -> Option<Self> {
        let known = channels.outputs.scaling.once && channels.count >= least;
        let call = Self::new(x, channels.weights.as_ptr(), &channels.outputs, out);
        let call = Self { taps: channels.taps as u32, step: channels.count as u32, ..call };
        (known && channels.fit(x, out)).then_some(call)
    }
}

/// Does `with` for each column.
#[inline(always)]
pub(super) fn columns<'a>(
    filters: &Filters<'_>,
    line: Line<'a>,
    with: impl Fn(&Filters<'_>, View<'a, i8>, ViewMut<'a, i8>),
) {
    for cell in 0..line.cells {
        let (x, out) = line.cell(cell, filters.taps, filters.outputs.len());
        with(filters, x, out);
    }
}

/// Does `with` for each window.
#[inline(always)]
pub(super) fn windows<'a>(
    channels: &Channels<'_>,
    line: Line<'a>,
    with: impl Fn(&Channels<'_>, View<'a, i8>, ViewMut<'a, i8>),
) {
    for cell in 0..line.cells {
        let (x, out) = line.cell(cell, channels.weights.len(), channels.count);
        with(channels, x, out);
    }
}

/// All channels of a window, in plain Rust.
#[inline(never)]
pub(super) fn channels(channels: &Channels<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
    let Channels { count, taps, weights, outputs, .. } = *channels;
    if !channels.fit(x, out) {
        return;
    }
    // The last block ends with the last channel.
    for first in (0..count).step_by(4).map(|first| first.min(count - 4)) {
        let taps = x.strided::<4>(first, count, taps).zip(View::of(weights).strided::<4>(first, count, taps));
        let sums = taps.fold([0i32; 4], |mut sums, (xs, ws)| {
            for ((sum, x), w) in sums.iter_mut().zip(xs).zip(ws) {
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
            sums
        });
        outputs.store(first, &sums, out.slice(first, 4));
    }
}

/// [`Isa::copy_pieces`](super::Isa::copy_pieces), in plain Rust.
#[inline(never)]
pub(super) fn copy_pieces(
    [count, len]: [usize; 2],
    (from, from_step): (View<'_, i8>, usize),
    (to, to_step): (ViewMut<'_, i8>, usize),
) {
    let (from_words, to_words) = (from.words(), to.words());
    if (from_step | to_step | len).is_multiple_of(4) && !from_words.is_empty() && !to_words.is_empty() {
        to_words.copy_pieces([count, len / 4], (from_words, from_step / 4), to_step / 4);
    } else {
        to.copy_pieces([count, len], (from, from_step), to_step);
    }
}

/// The largest of samples and 1.
#[inline(always)]
pub(super) fn peak(samples: View<'_, i16>) -> i16 {
    let whole = samples.len() / 8;
    let of_rest = samples.slice(8 * whole, samples.len() % 8).iter().fold(1, i16::max);
    samples.strided::<8>(0, 8, whole).fold(of_rest, |peak, samples| samples.into_iter().fold(peak, i16::max))
}
