//! Layers of 16-bit inputs and 8-bit weights, as instruction sets see them.
//!
//! A product has at most 2^22, so that [`CHUNK`] of them have a sum of 32 bits: however wide the sums of a layer are, the
//! inner loops add in one register. Where the compiler has proven that whole sums have 32 bits, there are no chunks.

use core::ops::Range;

use crate::memory::{Channel, View, ViewMut};
use crate::ops::{Rounding16, Scaling16};

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

/// Filters that are summed at once.
pub(super) const BLOCK: usize = 4;

/// Taps of filters that follow each other.
#[derive(Clone, Copy)]
pub(super) struct Taps<'a> {
    pub(super) x: View<'a, i16>,
    /// From the first tap of the first filter on.
    pub(super) weights: &'a [i8],
    /// Weights from a filter to the next.
    pub(super) step: usize,
}

impl<'a> Taps<'a> {
    /// The weights of filter `filter`; none where they are not all there.
    #[inline(always)]
    pub(super) fn filter(&self, filter: usize) -> &'a [i8] {
        self.weights.get(filter * self.step..).and_then(|rest| rest.get(..self.x.len())).unwrap_or_default()
    }

    /// The taps from `start` on.
    #[inline(always)]
    fn from(self, start: usize) -> Self {
        Self { x: self.x.from(start), weights: self.weights.get(start..).unwrap_or_default(), ..self }
    }

    /// The sums of `N` filters over all taps, where `sums` makes those over [`CHUNK`] or fewer.
    #[inline(always)]
    fn in_chunks<const N: usize>(self, sums: impl Fn(Self) -> [i32; N]) -> [i64; N] {
        let (mut all, mut start) = ([0; N], 0);
        while start < self.x.len() {
            let rest = self.from(start);
            let some = Self { x: rest.x.slice(0, rest.x.len().min(CHUNK)), ..rest };
            all.iter_mut().zip(sums(some)).for_each(|(all, sum)| *all += i64::from(sum));
            start += CHUNK;
        }
        all
    }

    /// The sum of the first filter.
    #[inline(never)]
    fn sum(&self) -> i32 {
        let products = self.x.iter().zip(self.filter(0));
        products.fold(0, |sum, (x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
    }
}

/// Channels of a window that have taps of their own.
#[derive(Clone, Copy, Debug)]
pub struct Channels16<'a> {
    pub(super) taps: usize,
    /// `[tap, channel]`, in 16 bits: a word has those of two channels, as it has their inputs.
    pub(super) weights: &'a [i16],
    pub(super) channels: &'a [Channel],
    pub(super) scaling: &'a Scaling16,
}

impl<'a> Channels16<'a> {
    /// Most taps of a window.
    pub(crate) const TAPS: usize = CHUNK;

    /// `None` where there are fewer than four channels, no taps or too many, or the weights have another length than they want.
    pub(crate) fn new(
        taps: usize,
        weights: &'a [i16],
        channels: &'a [Channel],
        scaling: &'a Scaling16,
    ) -> Option<Self> {
        let fits = channels.len() >= BLOCK && channels.len().checked_mul(taps) == Some(weights.len());
        (fits && (1..=Self::TAPS).contains(&taps)).then_some(Self { taps, weights, channels, scaling })
    }
}

/// All channels of windows, in plain Rust.
#[inline(always)]
pub(super) fn windows(channels: &Channels16<'_>, line: Line16<'_>) {
    for cell in 0..line.cells {
        let x = line.x.slice(cell * line.step, channels.weights.len());
        window(channels, x, line.out.slice(cell * line.out_step, channels.channels.len()));
    }
}

/// All channels of one window; nothing where a length does not fit.
#[inline(never)]
fn window(of: &Channels16<'_>, x: View<'_, i16>, out: ViewMut<'_, i16>) {
    let Channels16 { taps, weights, channels, scaling } = *of;
    let count = channels.len();
    // The last block ends with the last channel.
    for first in (0..count).step_by(BLOCK).map(|first| first.min(count - BLOCK)) {
        let weights = View::of(weights).strided::<BLOCK>(first, count, taps);
        let taps = x.strided::<BLOCK>(first, count, taps).zip(weights);
        let sums = taps.fold([0i32; BLOCK], |mut sums, (xs, ws)| {
            for ((sum, x), w) in sums.iter_mut().zip(xs).zip(ws) {
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
            sums
        });
        let channels = channels.get(first..).unwrap_or_default();
        let out = out.slice(first, BLOCK);
        if scaling.rounding == Rounding16::Word {
            scaling.store_words(&sums, channels, out);
        } else {
            scaling.store(&sums.map(i64::from), channels, out);
        }
    }
}

/// All outputs of columns, where `sums` makes the sums of a block.
#[inline(always)]
pub(super) fn columns(filters: &Filters16<'_>, line: Line16<'_>, sums: impl Fn(Taps<'_>) -> [i32; BLOCK] + Copy) {
    for cell in 0..line.cells {
        let x = line.x.slice(cell * line.step, filters.taps);
        column(filters, x, line.out.slice(cell * line.out_step, filters.channels.len()), sums);
    }
}

/// All outputs of one column.
#[inline(never)]
fn column(
    filters: &Filters16<'_>,
    x: View<'_, i16>,
    out: ViewMut<'_, i16>,
    sums: impl Fn(Taps<'_>) -> [i32; BLOCK] + Copy,
) {
    let Filters16 { taps, weights, channels, scaling } = *filters;
    if !filters.fit(x, out) {
        return;
    }
    let mut all = Taps { x, weights, step: taps };
    let blocks = channels.len() & !(BLOCK - 1);
    for first in (0..blocks).step_by(BLOCK) {
        let (channels, out) = (channels.get(first..).unwrap_or_default(), out.slice(first, BLOCK));
        if scaling.rounding == Rounding16::Word {
            scaling.store_words(&sums(all), channels, out);
        } else {
            scaling.store(&all.in_chunks(sums), channels, out);
        }
        all.weights = all.weights.get(BLOCK * taps..).unwrap_or_default();
    }
    for first in blocks..channels.len() {
        let sum = all.in_chunks(|taps| [taps.sum()]);
        scaling.store(&sum, channels.get(first..).unwrap_or_default(), out.slice(first, 1));
        all.weights = all.weights.get(taps..).unwrap_or_default();
    }
}

/// The sums of a block by `sums`, which is called where all weights are there.
///
/// # Safety
/// `sums` must make the sums of four filters, whose weights start so far apart, with so many inputs.
#[cfg(any(all(target_arch = "arm", target_os = "none"), target_arch = "riscv32"))]
#[inline(always)]
pub(super) unsafe fn by(sums: Sums, taps: Taps<'_>) -> [i32; BLOCK] {
    let mut of_block = [0; BLOCK];
    if !taps.filter(BLOCK - 1).is_empty() {
        // SAFETY: the last filter has all taps, hence each has.
        unsafe { sums(taps.x.as_ptr(), taps.weights.as_ptr(), taps.step, taps.x.len(), &mut of_block) }
    }
    of_block
}

/// Assembly that writes the sums of four filters: inputs, weights, from a filter to the next, and number of taps.
#[cfg(any(all(target_arch = "arm", target_os = "none"), target_arch = "riscv32"))]
type Sums = unsafe extern "C" fn(*const i16, *const i8, usize, usize, &mut [i32; BLOCK]);

/// The sums of a block, in plain Rust.
#[inline(always)]
pub(super) fn sums(taps: Taps<'_>) -> [i32; BLOCK] {
    let [w0, w1, w2, w3] = [0, 1, 2, 3].map(|filter| taps.filter(filter));
    let weights = w0.iter().zip(w1).zip(w2).zip(w3);
    taps.x.iter().zip(weights).fold([0i32; BLOCK], |[s0, s1, s2, s3], (x, (((w0, w1), w2), w3))| {
        let x = i32::from(x);
        let [w0, w1, w2, w3] = [*w0, *w1, *w2, *w3].map(i32::from);
        [s0.wrapping_add(x * w0), s1.wrapping_add(x * w1), s2.wrapping_add(x * w2), s3.wrapping_add(x * w3)]
    })
}
