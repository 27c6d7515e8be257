//! Softmax over the last axis.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::quantised::{affine, expect_dtype, quantise_multiplier};
use crate::graph::{DType, Shape, Tensor, bytes_of};
use crate::lower::{LowerError, Site};

/// `out[.., i] = exp(β · input[.., i]) / Σⱼ exp(β · input[.., j])`. An int8 output has scale 1/256 and zero point −128, an
/// int16 one 1/32768 and 0.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Softmax {
    /// Factor of the exponent, `β`.
    pub beta: f32,
}

/// Bits before the point of a difference in the kernel.
const DIFFERENCE_INTEGER_BITS: i32 = 5;

/// The quantisation of every output of type `dtype`.
fn output_of(dtype: DType) -> (f32, i32) {
    if dtype == DType::I16 { (1.0 / 32768.0, 0) } else { (1.0 / 256.0, -128) }
}

/// The table of a function of int16 by scales of input and output, and the input's zero point (TFLite's
/// `LUTPopulateInt16`): each entry is moved by half of what interpolation errs by in the middle.
fn table(input: (f32, i32), output_scale: f32, function: fn(f32) -> f32) -> Vec<i16> {
    let real = |x: i16| input.0 * (i32::from(x) - input.1) as f32;
    let (first, last) = (real(i16::MIN), real(i16::MAX));
    let step = (last - first) / (kernels::softmax::ENTRIES - 1) as f32;
    let range = output_scale * f32::from(i16::MAX) - output_scale * f32::from(i16::MIN);
    let factor = 65536.0 / range;
    let entry = |i: usize| {
        let at = |halves: f32| function(first + i as f32 * step + halves) * factor;
        let (value, middle) = (at(0.0).round(), at(step / 2.0).round());
        let next = function(first + (i + 1) as f32 * step) * factor;
        let interpolated = ((next + value) / 2.0).round();
        // `as` saturates.
        (value - ((interpolated - middle) / 2.0).round()) as i16
    };
    let end = (function(last) * factor).round() as i16;
    (0..kernels::softmax::ENTRIES - 1).map(entry).chain([end]).collect()
}

/// The tables of the 16-bit kernel: `exp` over −10..0, then `1 / (1 + x)` over 0..1.
fn tables() -> Vec<u8> {
    let exponential = table((10.0 / 65535.0, i16::MAX.into()), 2.0 / 65535.0, libm::expf);
    let reciprocal = table((1.0 / 65535.0, i16::MIN.into()), 2.0 / 65535.0, |x| 1.0 / (1.0 + x));
    bytes_of([exponential, reciprocal].concat())
}

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
            DType::I8 | DType::I16 => {
                self.factor(input)?;
                let (scale, zero_point) = affine(output)?;
                if (scale, zero_point) == output_of(output.dtype) {
                    return Ok(());
                }
                let wanted =
                    if output.dtype == DType::I16 { "1/32768 and zero point 0" } else { "1/256 and zero point -128" };
                Err(format!("needs an output of scale {wanted}, but '{}' has ({scale}, {zero_point})", output.name))
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
        if input.dtype == DType::I16 {
            let (scale, _) = affine(input).map_err(|reason| site.refuse(reason))?;
            let multiplier = quantise_multiplier(f64::from(scale) * f64::from(self.beta) / (10.0 / 65535.0));
            let tables = site.constant(tables());
            return site.step(kernels::SoftmaxI16 { batch, depth, multiplier }, &[operands[0], tables, operands[1]]);
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
