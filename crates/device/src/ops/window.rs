//! The window that convolutions and poolings slide over an image.

use core::hint::black_box;
use core::ops::Range;

use super::Overlap;

/// Products of sizes, which cannot overflow: each factor is below 2^16 or the product saturates.
#[inline]
pub(crate) fn product(factors: &[u32]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(u64::from(factor)))
}

/// Product of sizes, `u32::MAX` where it is larger. In one copy for all checks, which are worth little flash.
#[inline(never)]
pub(crate) fn count(factors: &[u32]) -> u32 {
    // The black boxes keep the compiler from unrolling the loop.
    black_box(factors).iter().fold(1, |product: u32, &factor| {
        black_box(());
        product.saturating_mul(factor)
    })
}

crate::params! {
    /// Sizes of a sliding window. Image `[n, h, w, _]` in, `[n, h, w, _]` out; the channels are the op's.
    pub struct Window {
        /// Images, `n`.
        pub batch: u32,
        /// Input `[h, w]`.
        pub input: [u32; 2],
        /// Output `[h, w]`.
        pub output: [u32; 2],
        /// Window `[kh, kw]`.
        pub kernel: [u32; 2],
        /// Step `[h, w]` between windows.
        pub stride: [u32; 2],
        /// Distance `[h, w]` between the taps of a window.
        pub dilation: [u32; 2],
        /// Cells `[top, left]` by which the first window starts outside the image.
        pub padding: [u32; 2],
    }
}

/// When a kernel reads what is under the rows that it writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// All of it, before it writes the first byte of them.
    Before,
    /// Until so many rows are written.
    Along(u32),
}

/// The parts of `rows` in the order in which they are computed: all at once where `band` is 0; else rows are counted from the
/// last of `window` on, and computed `band` at a time.
pub(crate) fn bands(rows: Range<u32>, window: &Window, band: u32) -> impl Iterator<Item = Range<u32>> {
    // A layer's rows fit: its output has as many elements at least.
    let height = window.batch.wrapping_mul(window.output[0]);
    let mut rest = match band {
        0 => rows,
        _ => height.saturating_sub(rows.end)..height.saturating_sub(rows.start),
    };
    core::iter::from_fn(move || {
        // No band at all is one of 2^32 rows.
        let start = rest.end.wrapping_sub(1).saturating_sub(band.wrapping_sub(1)).max(rest.start);
        let part = start..rest.end;
        rest.end = start;
        (!part.is_empty()).then_some(part)
    })
}

impl Window {
    /// What sizes along one axis are below, a power of two: sums and products of two stay inside 32 and 64 bits.
    const LIMIT: u32 = 1 << 24;

    /// Whether the sizes are in range, and the output is not empty. Any such window is harmless: taps outside the image are
    /// padding.
    #[inline(never)]
    pub fn valid(&self) -> bool {
        let Self { batch, input, output, kernel, stride, dilation, padding } = *self;
        let (mut bits, mut products) = (batch.wrapping_sub(1), 0);
        for axis in 0..2 {
            bits |= input[axis] | padding[axis];
            // What must be positive is 2^32 − 1 or so where it is zero.
            for size in [output[axis], kernel[axis], stride[axis], dilation[axis]] {
                bits |= size.wrapping_sub(1);
            }
            products |= u64::from(output[axis]) * u64::from(stride[axis]);
            products |= u64::from(kernel[axis]) * u64::from(dilation[axis]);
        }
        products | u64::from(bits) < Self::LIMIT.into()
    }

    /// Rows of output, over all images: row `r` is row `r % output h` of image `r / output h`.
    pub fn rows(&self) -> u32 {
        self.batch.saturating_mul(self.output[0])
    }

    /// Shape of the input, of so many channels.
    #[inline(always)]
    pub fn input_shape(&self, channels: u32) -> [u32; 4] {
        [self.batch, self.input[0], self.input[1], channels]
    }

    /// Shape of the output, of so many channels.
    #[inline(always)]
    pub fn output_shape(&self, channels: u32) -> [u32; 4] {
        [self.batch, self.output[0], self.output[1], channels]
    }

    /// Image and row in it of output row `row`.
    #[inline(always)]
    pub fn split_row(&self, row: u32) -> (u32, u32) {
        match row.checked_div(self.output[0]) {
            Some(image) => (image, row - image * self.output[0]),
            None => (0, 0),
        }
    }

    /// Rows of a band: few calls of a kernel, of some cells each, and little that lies between output and input.
    pub(crate) fn band(&self) -> u32 {
        const BANDS: u32 = 16;
        const CELLS: u32 = 16;
        self.rows().div_ceil(BANDS).max(CELLS.div_ceil(self.output[1].max(1)))
    }

    /// Whether windows are cells, each under the one that it gives.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0] && self.input == self.output
    }

    /// Where the output may lie over the input, if rows are computed from the first on. `cells` are the bytes of a cell of
    /// input and of output.
    ///
    /// With `w(r)` the rows that are written when row `g(r)` of the input may still be read, the lead is
    /// `maxᵣ(w(r) · out row − g(r) · in row)`; both are linear in the row, but for where the padding and the image end.
    pub(crate) fn overlap_forward(&self, cells: [u32; 2], reading: Reading) -> Overlap {
        let row = |cell: u32, width: u32| i128::from(cell) * i128::from(width);
        let (input, output) = (row(cells[0], self.input[1]), row(cells[1], self.output[1]));
        let [height, stride, padding] = [self.output[0], self.stride[0], self.padding[0]].map(i128::from);
        let at_once = match reading {
            Reading::Before => 0,
            Reading::Along(rows) => rows.into(),
        };
        let turn = padding / stride.max(1);
        let mut lead = 0;
        for image in [0, i128::from(self.batch) - 1] {
            for y in [0, turn, turn + 1, height - at_once, height - 1] {
                let y = y.min(height - 1).max(0);
                let written = image * height + (y + at_once).min(height);
                let read = image * i128::from(self.input[0]) + (y * stride - padding).max(0);
                lead = lead.max(written * output - read * input);
            }
        }
        Overlap::Forward { lead: u32::try_from(lead).unwrap_or(u32::MAX) }
    }

    /// Where the output may lie over the input, if rows are computed `band` at a time from the last on: a pointwise layer's
    /// anywhere far enough behind it. With rows up to `r` left to be read, those behind `r − band` may be written, so the lead
    /// is `maxᵣ((rows − r + band − 1) · out row − (rows − 1 − r) · in row)`.
    pub(crate) fn overlap_backward(&self, cells: [u32; 2], band: u32) -> Overlap {
        if !self.is_pointwise() {
            return Overlap::None;
        }
        let [input, output] = cells.map(|cell| i128::from(cell) * i128::from(self.output[1]));
        let (rows, band) = (i128::from(self.rows()), i128::from(band.min(self.rows())));
        let lead = (band * output).max(rows * output - (rows - band) * input);
        Overlap::Backward { lead: u32::try_from(lead).unwrap_or(u32::MAX) }
    }

    /// Along axis `axis` (0 = h, 1 = w), for output position `at`: where tap 0 lies (negative in the padding), and the
    /// taps that lie inside the image.
    #[inline(always)]
    pub fn taps(&self, axis: usize, at: u32) -> (i32, Range<u32>) {
        let [input, stride, dilation, kernel, padding] = match axis {
            0 => [self.input[0], self.stride[0], self.dilation[0], self.kernel[0], self.padding[0]],
            _ => [self.input[1], self.stride[1], self.dilation[1], self.kernel[1], self.padding[1]],
        };
        let start = (at * stride) as i32 - padding as i32;
        // Dilation is 1 in nearly every network: the division is worth a branch.
        let divide = |x: i32| -> u32 {
            let x = x.max(0) as u32;
            if dilation == 1 { x } else { x.div_ceil(dilation.max(1)) }
        };
        let first = divide(-start);
        let end = divide(input as i32 - start).min(kernel);
        (start, first.min(end)..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_those_inside() {
        let window = Window {
            batch: 1,
            input: [5, 5],
            output: [3, 3],
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 2],
            padding: [1, 2],
        };
        assert_eq!(window.taps(0, 0), (-1, 1..3));
        assert_eq!(window.taps(0, 2), (3, 0..2));
        assert_eq!(window.taps(1, 0), (-2, 1..3));
        assert_eq!(window.taps(1, 2), (2, 0..2));
    }
}
