//! The rows under a row of output, laid out so that every window is a run of neighbours.
//!
//! A strip is the columns of the input that windows of one row of output see, one after the other, each from its first tap to
//! its last, with the padding around the image: sums have no borders then, and take their taps in the order `[kw, kh]`. Where
//! the image itself lies so, nothing is copied.

use core::ops::Range;

use super::window::{Reading, count};
use super::{Overlap, Window};
use crate::isa::Isa;
use crate::memory::{View, ViewMut};

/// A layer's strips.
#[derive(Clone, Copy)]
pub struct Strip<'a> {
    window: &'a Window,
    channels: u32,
    groups: u32,
    padding_value: i8,
    /// Whether neighbouring windows share columns; else each has columns of its own.
    shared: bool,
    /// Whether all taps lie inside the image.
    inside: bool,
    /// Whether the image lies as a strip does.
    lies: bool,
    columns: u64,
    /// Elements of a window, in one group.
    pub taps: u64,
    /// Elements from a window to the next.
    pub step: u64,
    /// Elements of a group's strip.
    pub len: u64,
}

impl<'a> Strip<'a> {
    /// Strips of `groups` groups of `channels` channels, which follow each other; outside the image is `padding_value`.
    #[inline(never)]
    pub fn new(window: &'a Window, channels: u32, groups: u32, padding_value: i8) -> Self {
        let w = window;
        let shared = w.dilation[1] == 1 || w.kernel[1] == 1;
        let stride = if shared { w.stride[1] } else { w.kernel[1] };
        let columns = u64::from(w.output[1]).saturating_sub(1) * u64::from(stride) + u64::from(w.kernel[1]);
        let column = u64::from(count(&[w.kernel[0], channels]));
        let [taps, step, len] =
            [w.kernel[1].into(), stride.into(), columns].map(|columns| column.saturating_mul(columns));
        let reach = |axis: usize| {
            let taps = u64::from(w.kernel[axis]).saturating_sub(1) * u64::from(w.dilation[axis]);
            u64::from(w.output[axis]).saturating_sub(1) * u64::from(w.stride[axis]) + taps < w.input[axis].into()
        };
        let inside = w.padding == [0; 2] && reach(0) && reach(1);
        let rows_lie = w.kernel[0] == 1 && shared;
        let columns_lie = w.input[1] == 1 && w.dilation[0] == 1;
        let lies = groups == 1 && inside && (rows_lie || columns_lie);
        // In a single column the rows of an image are one line.
        let step = if lies && w.input[1] == 1 { count(&[w.stride[0], channels]).into() } else { step };
        Self { window, channels, groups, padding_value, shared, inside, lies, columns, taps, step, len }
    }

    /// Bytes of scratch memory.
    pub fn scratch_bytes(&self) -> u32 {
        let bytes = if self.lies { 0 } else { self.len.saturating_mul(self.groups.into()) };
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Where an output of `channels` may lie over the input: strips that are copied hold all that is under a row.
    pub fn overlap(&self, channels: u32) -> Overlap {
        let one_line = self.window.is_pointwise() || self.window.input[1] == 1;
        let reading = if self.lies { Reading::Along(1) } else { Reading::Before };
        let cells = [self.channels.saturating_mul(self.groups), channels];
        if self.lies && one_line { Overlap::None } else { self.window.overlap_forward(cells, reading) }
    }

    /// Copies that fill a strip.
    pub fn pieces(&self) -> u64 {
        if self.lies { 0 } else { u64::from(count(&[self.groups, self.window.kernel[0]])).saturating_mul(self.columns) }
    }

    /// Calls `with(cell, cells, strip)` for each line of `rows`: its first output cell, how many there are, and what is
    /// under them.
    #[inline(always)]
    pub fn for_each_line<I: Isa>(
        &self,
        rows: Range<u32>,
        input: View<'_, i8>,
        scratch: ViewMut<'_, i8>,
        mut with: impl FnMut(usize, usize, View<'_, i8>),
    ) {
        let mut row = rows.start;
        while row < rows.end {
            let (count, line) = self.line::<I>(row..rows.end, input, scratch, row == rows.start);
            let width = self.window.output[1] as usize;
            with(row as usize * width, count as usize * width, line);
            row += count;
        }
    }

    /// The next line of `rows`: how many there are in it, and what is under them. `fresh` where none was before.
    #[inline(never)]
    fn line<'m, I: Isa>(
        &self,
        rows: Range<u32>,
        input: View<'m, i8>,
        scratch: ViewMut<'m, i8>,
        fresh: bool,
    ) -> (u32, View<'m, i8>) {
        let w = self.window;
        let row_len = (w.input[1] * self.channels) as usize;
        // Where windows are cells, all rows are one line.
        if self.lies && w.kernel == [1, 1] && w.stride == [1, 1] && w.input == w.output {
            let count = rows.end - rows.start;
            return (count, input.slice(rows.start as usize * row_len, count as usize * row_len));
        }
        let (image, y) = w.split_row(rows.start);
        if self.lies {
            let count = if w.input[1] == 1 { (rows.end - rows.start).min(w.output[0] - y) } else { 1 };
            let start = (image * w.input[0] + y * w.stride[0]) as usize * row_len;
            return (count, input.slice(start, (count - 1) as usize * self.step as usize + self.len as usize));
        }
        self.fill::<I>([image, y], input, scratch, fresh);
        (1, scratch.view())
    }

    /// Copies what is under row `y` of the output of `image`; `fresh` where there is no row before in the strip.
    fn fill<I: Isa>(&self, [image, y]: [u32; 2], input: View<'_, i8>, to: ViewMut<'_, i8>, fresh: bool) {
        let w = self.window;
        let channels = self.channels as usize;
        let cell = channels * self.groups as usize;
        let top = (y * w.stride[0]) as i32 - w.padding[0] as i32;
        let column = w.kernel[0] as usize * channels;
        // Columns with one step: all, or one of each window.
        let (runs, step, columns) = match self.shared {
            true => (1, 1, self.columns as u32),
            false => (w.kernel[1], w.stride[1], w.output[1]),
        };
        let to_step = runs as usize * column;
        // What is left and right of the image stays from row to row.
        let bottom = top + (w.kernel[0].saturating_sub(1) * w.dilation[0]) as i32;
        if !self.inside && (fresh || top < 0 || bottom >= w.input[0] as i32) {
            to.iter().for_each(|to| to.set(self.padding_value));
        }
        for (group, run) in (0..self.groups).flat_map(|group| (0..runs).map(move |run| (group, run))) {
            let left = (run * w.dilation[1]) as i32 - w.padding[1] as i32;
            let until = |x: i32| if step == 1 { x as u32 } else { (x as u32).div_ceil(step.max(1)) };
            let [start, end] = [-left, w.input[1] as i32 - left].map(|x| until(x.max(0)).min(columns));
            for tap in 0..w.kernel[0] {
                let y = top + (tap * w.dilation[0]) as i32;
                if start >= end || y < 0 || y >= w.input[0] as i32 {
                    continue;
                }
                let row = (image * w.input[0]) as i32 + y;
                let first = (row * w.input[1] as i32 + left + (start * step) as i32) as usize;
                let from = input.from(first * cell + group as usize * channels);
                let at = group as usize * self.len as usize + run as usize * column + tap as usize * channels;
                let to = to.from(at + start as usize * to_step);
                I::copy_pieces([(end - start) as usize, channels], (from, step as usize * cell), (to, to_step));
            }
        }
    }
}
