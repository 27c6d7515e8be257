//! Softmax over the last axis.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::quantised::{affine, expect_dtype, quantise_multiplier};
use crate::graph::{DType, Shape, Tensor};
use crate::lower::{LowerError, Site};

/// `out[.., i] = exp(β · input[.., i]) / Σⱼ exp(β · input[.., j])`. An int8 output has scale 1/256 and zero point −128.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Softmax {
    /// Factor of the exponent, `β`.
    pub beta: f32,
}

/// Bits before the point of a difference in the kernel.
const DIFFERENCE_INTEGER_BITS: i32 = 5;
/// The quantisation of every int8 output.
const OUTPUT: (f32, i32) = (1.0 / 256.0, -128);

impl Softmax {
    /// The factor from a difference of integers to Q5.26 (TFLite's `PreprocessSoftmaxScaling`).
    fn factor(&self, input: &Tensor) -> Result<f64, String> {
        let (scale, _) = affine(input)?;
        let factor = f64::from(self.beta) * f64::from(scale) * f64::from(1 << (31 - DIFFERENCE_INTEGER_BITS));
        if factor > 1.0 {
            Ok(factor.min(f64::from(i32::MAX)))
        } else {
            Err(format!(
                "needs beta · input scale above 2^-26, but '{}' has the scale {scale} and beta is {}",
                input.name, self.beta
            ))
        }
    }
}

impl Operation for Softmax {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [input] = inputs else { return Err(format!("needs one input, but has {}", inputs.len())) };
        if input.shape.is_empty() || input.elements() == 0 {
            return Err(format!("needs an axis with elements, but '{}' has shape {:?}", input.name, input.shape));
        }
        Ok(vec![input.shape.clone()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([input], [output]) = (inputs, outputs) else {
            return Err(format!("needs one input, but has {}", inputs.len()));
        };
        expect_dtype("an output", output, input.dtype)?;
        match input.dtype {
            DType::F32 => Ok(()),
            DType::I8 => {
                self.factor(input)?;
                let (scale, zero_point) = affine(output)?;
                if (scale, zero_point) == OUTPUT {
                    Ok(())
                } else {
                    Err(format!(
                        "needs an output of scale 1/256 and zero point -128, but '{}' has ({scale}, {zero_point})",
                        output.name
                    ))
                }
            }
            _ => expect_dtype("an input", input, DType::I8),
        }
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let input = site.input(0);
        let depth = input.shape.last().copied().unwrap_or(1);
        let batch = (input.elements() / depth.max(1)) as u32;
        let depth = depth as u32;
        let operands = [site.read(0), site.write(0)];
        if input.dtype == DType::F32 {
            return site.step(kernels::SoftmaxF32 { batch, depth, beta: self.beta }, &operands);
        }
        let multiplier = quantise_multiplier(self.factor(input).map_err(|reason| site.refuse(reason))?);
        let left_shift = multiplier.shift.max(0) as u32;
        let range = ((1i64 << DIFFERENCE_INTEGER_BITS) - 1) << (31 - DIFFERENCE_INTEGER_BITS);
        let least_difference = -(range >> left_shift) as i32;
        let kernel = kernels::Softmax { batch, depth, multiplier: multiplier.value, left_shift, least_difference };
        site.step(kernel, &operands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Quantisation;
    use crate::ops::testing::tensor;

    const SOFTMAX: Softmax = Softmax { beta: 1.0 };

    #[test]
    fn shape_stays() {
        assert_eq!(SOFTMAX.infer(&[&tensor(&[2, 3, 4])]), Ok(vec![vec![2, 3, 4]]));
        assert!(SOFTMAX.infer(&[&tensor(&[])]).is_err());
        assert!(SOFTMAX.infer(&[&tensor(&[2, 0])]).is_err());
    }

    #[test]
    fn another_output_scale_is_refused() {
        let (input, out) = (tensor(&[1, 4]), tensor(&[1, 4]));
        assert!(SOFTMAX.check(&[&input], &[&out]).is_err_and(|text| text.contains("1/256")));
        let out = Tensor { quantisation: Some(Quantisation::per_tensor(1.0 / 256.0, -128)), ..out };
        assert_eq!(SOFTMAX.check(&[&input], &[&out]), Ok(()));
        let beta = Softmax { beta: 1e-9 }.check(&[&input], &[&out]);
        assert!(beta.is_err_and(|text| text.contains("2^-26")));
    }
}
