//! The attributes that convolutions and poolings share: how a window slides over an image.

use rasbora_device::ops::Window;
use serde::{Deserialize, Serialize};

/// How a window slides. Axes are `[h, w]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sliding {
    /// Step between windows.
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Cells outside the image: `[[top, bottom], [left, right]]`.
    pub padding: [[usize; 2]; 2],
}

impl Sliding {
    /// Stride 1, dense, no padding.
    pub const PLAIN: Self = Self { stride: [1, 1], dilation: [1, 1], padding: [[0, 0], [0, 0]] };

    /// Largest stride, dilation, window or padding: the kernels' own limit.
    const LIMIT: usize = 1 << 24;

    /// The padding by which TFLite's and TensorFlow's `SAME` gives `ceil(input / stride)` windows of `kernel` taps;
    /// an odd cell goes to the end.
    pub fn same(mut self, input: [usize; 2], kernel: [usize; 2]) -> Self {
        for axis in 0..2 {
            let output = input[axis].div_ceil(self.stride[axis].max(1));
            let span = kernel[axis].saturating_sub(1) * self.dilation[axis] + 1;
            let total = (output.saturating_sub(1) * self.stride[axis] + span).saturating_sub(input[axis]);
            self.padding[axis] = [total / 2, total - total / 2];
        }
        self
    }

    /// Number of windows `[h, w]` of `kernel` taps over `input` cells.
    ///
    /// # Errors
    /// Where a size is zero or the window is larger than the padded image.
    pub fn output(&self, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], String> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
            if stride == 0 || dilation == 0 || kernel[axis] == 0 {
                return Err(format!("needs positive stride, dilation and window, but has {self:?}"));
            }
            let sizes = [stride, dilation, kernel[axis], self.padding[axis][0], self.padding[axis][1]];
            if sizes.iter().any(|&size| size > Self::LIMIT) {
                return Err(format!("needs stride, dilation, window and padding of at most 2^24, but has {self:?}"));
            }
            let padded = input[axis]
                .checked_add(self.padding[axis][0])
                .and_then(|sum| sum.checked_add(self.padding[axis][1]))
                .ok_or("has a padding beyond all memory")?;
            let span = (kernel[axis] - 1).checked_mul(dilation).ok_or("has a dilation beyond all memory")?;
            let free = padded.checked_sub(span).and_then(|free| free.checked_sub(1)).ok_or_else(|| {
                format!("has a window of {} cells over an image of {padded}, padding included", span + 1)
            })?;
            output[axis] = free / stride + 1;
        }
        Ok(output)
    }

    /// The kernel's parameters, for `[n, h, w, c]` shapes.
    pub fn window(&self, input: &[usize], kernel: [usize; 2], output: &[usize]) -> Window {
        let pair = |pair: [usize; 2]| pair.map(|size| size as u32);
        Window {
            batch: input[0] as u32,
            input: pair([input[1], input[2]]),
            output: pair([output[1], output[2]]),
            kernel: pair(kernel),
            stride: pair(self.stride),
            dilation: pair(self.dilation),
            padding: pair([self.padding[0][0], self.padding[1][0]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_gives_the_ceiling() {
        for (input, kernel, stride, dilation) in
            [(49, 10, 2, 1), (10, 4, 2, 1), (5, 3, 3, 2), (1, 3, 1, 1), (8, 1, 3, 1)]
        {
            let sliding = Sliding { stride: [stride; 2], dilation: [dilation; 2], ..Sliding::PLAIN }
                .same([input; 2], [kernel; 2]);
            assert_eq!(sliding.output([input; 2], [kernel; 2]), Ok([input.div_ceil(stride); 2]));
        }
    }

    #[test]
    fn a_window_larger_than_the_image_is_refused() {
        assert!(Sliding::PLAIN.output([2, 2], [3, 1]).is_err());
    }
}
