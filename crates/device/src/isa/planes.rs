//! Depthwise 3×3 sums over planes of one channel, for instruction sets that multiply 16-bit halves.
//!
//! Four channels of the input are first spread to planes: a word holds two neighbouring cells of one channel as 16-bit
//! halves, `256 · x` each, and four words in a row are the four channels of these cells. With the weights of a row of taps as
//! `[w₀, w₁]` and `[w₁, w₂]`, `factor` times each, four dual multiplications give two outputs. The accumulators come out scaled
//! by `256 · factor`: 16 leaves room for any real multiplier below 2⁻² with the shift [`FINE_SHIFT`], and lesser factors are
//! for sums that are too large for it.
//!
//! **Stream.** `filters` is for each channel a word for each row of taps, its bytes `[w₀, w₁, w₁, w₂]`, then bias and
//! multiplier, and the correction where there are any.

use super::paired::{FINE_SHIFT, Rounding, requantise};
use crate::memory::{View, ViewMut};

/// The factors that weights may have, the finest first.
pub const FACTORS: [u8; 5] = [16, 8, 4, 2, 1];
/// Channels of a plane's word group.
pub const CHANNELS: usize = 4;

/// Cells of whole rows that are spread to planes.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Rows, at least 1.
    pub rows: u32,
    /// Cells of a row, at least 1.
    pub cells: u32,
    /// Bytes from a cell to the next.
    pub cell_step: u32,
    /// Bytes from a row to the next.
    pub row_step: u32,
    /// Whether the first cell is the second half of its word.
    pub odd: bool,
    /// The other half of a word that holds just one cell.
    pub padding_value: i8,
    /// Words of a pair of cells.
    pub pitch: u32,
    /// Words from a row of planes to the next.
    pub plane_row: u32,
}

impl Spread {
    /// Words that a row of cells writes.
    pub const fn row_words(&self) -> u64 {
        self.pitch as u64 * (self.cells as u64 + self.odd as u64).div_ceil(2)
    }

    /// Whether there are four channels, and input and planes have the lengths that these sizes want.
    pub fn fits(&self, x: View<'_, i8>, planes: ViewMut<'_, u32>) -> bool {
        let last = |count: u32, step: u32| u64::from(count.saturating_sub(1)) * u64::from(step);
        let read = last(self.rows, self.row_step) + last(self.cells, self.cell_step) + 4;
        self.rows > 0
            && self.cells > 0
            && self.pitch as usize == CHANNELS
            && read <= x.len() as u64
            && last(self.rows, self.plane_row) + self.row_words() <= planes.len() as u64
    }
}

/// [`Isa::spread`](super::Isa::spread), in plain Rust.
pub fn spread_portably(spread: Spread, x: View<'_, i8>, planes: ViewMut<'_, u32>) {
    if !spread.fits(x, planes) {
        return;
    }
    for row in 0..spread.rows as usize {
        for pair in 0..(spread.row_words() / 4) as usize {
            for channel in 0..CHANNELS {
                let half = |half: usize| {
                    let cell = (2 * pair + half).checked_sub(usize::from(spread.odd));
                    let cell = cell.filter(|&cell| cell < spread.cells as usize);
                    let at = |cell| x.at(row * spread.row_step as usize + cell * spread.cell_step as usize + channel);
                    cell.map_or(spread.padding_value, at)
                };
                planes.set(row * spread.plane_row as usize + CHANNELS * pair + channel, both(half(0), half(1)));
            }
        }
    }
}

/// 256 times both, as halves.
pub const fn both(low: i8, high: i8) -> u32 {
    (low as u8 as u32) << 8 | (high as u8 as u32) << 24
}

/// Sizes and constants of one call: rows of output cells. `PITCH` is the number of planes that lie beside each other: four, of
/// an output channel each, or one, which all output channels read.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    /// Output channels.
    pub channels: u32,
    /// Output cells `[h, w]`.
    pub output: [u32; 2],
    /// Distance between windows on both axes, 1 or 2.
    pub stride: u32,
    /// Bytes from an output cell to the next.
    pub cell_step: u32,
    /// Words from a row of planes to the next.
    pub plane_row: u32,
    /// Whether there are corrections, see [`Paired::signed`](super::Paired::signed).
    pub signed: bool,
    /// See [`Paired::zero`](super::Paired::zero); there is none without corrections.
    pub zero: i32,
    /// What the weights are multiplied by, at most 16.
    pub factor: u8,
}

impl Planes {
    /// Words of `filters` for a channel.
    pub const fn channel_words(signed: bool) -> usize {
        5 + signed as usize
    }

    /// Words of planes that are read. Outputs are computed by two on both axes, so there is a row, or two, too much below an
    /// odd number of them.
    pub const fn words<const PITCH: usize>(&self) -> u32 {
        let [rows, columns] = [self.output[0].div_ceil(2), self.output[1].div_ceil(2)];
        let pairs = if self.stride == 1 { columns } else { 2 * columns } + 1;
        let rows = (2 * rows).saturating_sub(1) * self.stride + 2;
        rows.saturating_mul(self.plane_row).saturating_add(PITCH as u32 * pairs)
    }

    /// Bytes of output from the first that is written to the last.
    pub const fn reach(&self) -> u64 {
        (self.output[0] as u64 * self.output[1] as u64).saturating_sub(1) * self.cell_step as u64 + self.channels as u64
    }

    /// Whether planes, stream and output have the lengths that these sizes want.
    pub fn fits<const PITCH: usize>(&self, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) -> bool {
        self.output.iter().all(|&count| count > 0)
            && matches!(self.stride, 1 | 2)
            && self.words::<PITCH>() as usize <= x.len()
            && self.factor <= 16
            && self.channels > 0
            && (PITCH == 1 || self.channels as usize == PITCH)
            && filters.len() as u64 == u64::from(self.channels) * Self::channel_words(self.signed) as u64
            && self.reach() <= out.len() as u64
    }
}

/// The words of a channel's taps, row by row.
pub const fn taps([w0, w1, w2]: [i8; 3]) -> u32 {
    u32::from_le_bytes([w0 as u8, w1 as u8, w1 as u8, w2 as u8])
}

/// The formula, in plain Rust.
pub fn portable<const PITCH: usize>(planes: Planes, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) {
    if !planes.fits::<PITCH>(x, filters, out) {
        return;
    }
    let rounding = Rounding { zero: planes.zero, shift: FINE_SHIFT };
    let factor = i32::from(planes.factor);
    let ([height, width], stride) = (planes.output.map(|count| count as usize), planes.stride as usize);
    for (channel, stream) in filters.chunks_exact(Planes::channel_words(planes.signed)).enumerate() {
        let &[first, second, third, bias, multiplier, ref correction @ ..] = stream else { return };
        let weights = [first, second, third].map(u32::to_le_bytes);
        let plane = channel % PITCH;
        let correction = correction.first().copied().unwrap_or_default().cast_signed();
        for (y, column) in (0..height).flat_map(|y| (0..width).map(move |column| (y, column))) {
            let mut sum = bias.cast_signed();
            for (row, [w0, w1, _, w2]) in weights.into_iter().enumerate() {
                for (tap, weight) in [w0, w1, w2].into_iter().enumerate() {
                    let cell = column * stride + tap;
                    let word = x.at((y * stride + row) * planes.plane_row as usize + PITCH * (cell / 2) + plane);
                    let half = if cell & 1 == 0 { word as i16 } else { (word >> 16) as i16 };
                    sum = sum.wrapping_add(i32::from(half) * factor * i32::from(weight.cast_signed()));
                }
            }
            let at = (y * width + column) * planes.cell_step as usize + channel;
            out.set(at, requantise(sum, multiplier.cast_signed(), correction, rounding));
        }
    }
}
