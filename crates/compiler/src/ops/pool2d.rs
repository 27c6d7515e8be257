//! Pooling: the average or the maximum of a window that slides over `[n, h, w, c]`, `→ [n, h′, w′, c]`.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::conv2d::of_rank;
use super::quantised::{affine, expect_dtype};
use super::{Activation, Operation, Sliding};
use crate::graph::{DType, Shape, Tensor};
use crate::lower::{LowerError, Site};

/// What a window is reduced to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PoolFunction {
    /// The average of the cells inside the image.
    Average,
    /// The largest of the cells inside the image.
    Max,
}

/// `out = activation(function of the window's cells inside the image)`, with one quantisation for input and output.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pool2d {
    /// What a window is reduced to.
    pub function: PoolFunction,
    /// The window, `[h, w]`.
    pub kernel: [usize; 2],
    /// How the window slides.
    pub sliding: Sliding,
    /// The fused activation.
    pub activation: Activation,
}

/// How far apart input and output scale may lie (TFLite's `AveragePool` demands no more).
const SCALE_TOLERANCE: f32 = 1e-6;

impl Operation for Pool2d {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [input] = inputs else { return Err(format!("needs one input, but has {}", inputs.len())) };
        let [n, h, w, c] = of_rank::<4>("an input", input)?;
        let [h, w] = self.sliding.output([h, w], self.kernel)?;
        Ok(vec![vec![n, h, w, c]])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([input], [output]) = (inputs, outputs) else {
            return Err(format!("needs one input, but has {}", inputs.len()));
        };
        expect_dtype("an output", output, input.dtype)?;
        match input.dtype {
            DType::F32 => Ok(()),
            DType::I8 | DType::I16 => {
                let ((scale, zero_point), (out_scale, out_zero_point)) = (affine(input)?, affine(output)?);
                if (scale - out_scale).abs() <= SCALE_TOLERANCE && zero_point == out_zero_point {
                    Ok(())
                } else {
                    Err(format!(
                        "needs one scale and zero point for input and output, but '{}' has ({scale}, {zero_point}) and \
                         '{}' has ({out_scale}, {out_zero_point})",
                        input.name, output.name
                    ))
                }
            }
            _ => expect_dtype("an input", input, DType::I8),
        }
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let [_, _, _, c] = of_rank::<4>("an input", site.input(0)).map_err(|reason| site.refuse(reason))?;
        let window = self.sliding.window(&site.input(0).shape, self.kernel, &site.output(0).shape);
        let channels = c as u32;
        let operands = [site.read(0), site.write(0)];
        if site.input(0).dtype == DType::F32 {
            let (min, max) = self.activation.range();
            return match self.function {
                PoolFunction::Average => site.step(kernels::AveragePoolF32 { window, channels, min, max }, &operands),
                PoolFunction::Max => site.step(kernels::MaxPoolF32 { window, channels, min, max }, &operands),
            };
        }
        if site.input(0).dtype == DType::I16 {
            let (min, max) = self.activation.range_i16(site.output(0)).map_err(|reason| site.refuse(reason))?;
            return match self.function {
                PoolFunction::Average => site.step(kernels::AveragePoolI16 { window, channels, min, max }, &operands),
                PoolFunction::Max => site.step(kernels::MaxPoolI16 { window, channels, min, max }, &operands),
            };
        }
        let requantise = self.activation.requantise(site.output(0)).map_err(|reason| site.refuse(reason))?;
        let (min, max) = (requantise.min, requantise.max);
        match self.function {
            PoolFunction::Average => site.step(kernels::AveragePool { window, channels, min, max }, &operands),
            PoolFunction::Max => site.step(kernels::MaxPool { window, channels, min, max }, &operands),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Quantisation;
    use crate::ops::testing::tensor;

    const POOL: Pool2d = Pool2d {
        function: PoolFunction::Average,
        kernel: [2, 3],
        sliding: Sliding { stride: [2, 1], ..Sliding::PLAIN },
        activation: Activation::None,
    };

    #[test]
    fn channels_stay() {
        assert_eq!(POOL.infer(&[&tensor(&[2, 6, 5, 7])]), Ok(vec![vec![2, 3, 3, 7]]));
        assert!(POOL.infer(&[&tensor(&[6, 5, 7])]).is_err_and(|text| text.contains("rank 4")));
        assert!(POOL.infer(&[&tensor(&[1, 1, 5, 7])]).is_err_and(|text| text.contains("window of 2")));
    }

    #[test]
    fn another_quantisation_is_refused() {
        let (input, out) = (tensor(&[1, 6, 5, 7]), tensor(&[1, 3, 3, 7]));
        assert_eq!(POOL.check(&[&input], &[&out]), Ok(()));
        let out = Tensor { quantisation: Some(Quantisation::per_tensor(0.25, 3)), ..out };
        assert!(POOL.check(&[&input], &[&out]).is_err_and(|text| text.contains("(0.25, 3)")));
        let out = Tensor { dtype: DType::F32, ..out };
        assert!(POOL.check(&[&input], &[&out]).is_err_and(|text| text.contains("float32")));
    }
}
