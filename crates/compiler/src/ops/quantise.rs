//! Floats to integers, and integers to others: `out = clamp(round(real(input) / scale) + zero_point)`.

use rasbora_device::arithmetic::multiply;
use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::axes::rows;
use super::movement::only;
use super::quantised::{Activation, affine, expect_dtype};
use super::{Operation, quantise_multiplier};
use crate::graph::{DType, Shape, Tensor};
use crate::lower::{LowerError, Site};

/// TFLite's `QUANTIZE` from float or integers to integers; floats become int8, uint8 or int16.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quantise {}

/// The bytes of an 8-bit function, in the order of the input's bytes: −128 follows 127. `function` maps the integers.
pub fn table(dtype: DType, function: impl Fn(i32) -> i32) -> Vec<u8> {
    let integer = |byte: u8| if dtype == DType::U8 { i32::from(byte) } else { i32::from(byte as i8) };
    (0..=255).map(|byte| function(integer(byte)) as u8).collect()
}

/// TFLite's `Requantize` of all 256 integers of `input`.
fn requantisation(input: &Tensor, output: &Tensor) -> Result<Vec<u8>, String> {
    let ((input_scale, input_zero), (output_scale, output_zero)) = (affine(input)?, affine(output)?);
    let multiplier = quantise_multiplier(f64::from(input_scale) / f64::from(output_scale));
    let (least, most) = Activation::None.quantised_range(output.dtype, output_scale, output_zero);
    Ok(table(input.dtype, |x| {
        multiply(x.wrapping_sub(input_zero), multiplier).wrapping_add(output_zero).max(least).min(most)
    }))
}

/// Adds the step that gives the integers of input 0 the scale and the zero point of output 0, and clamps them by `activation`.
///
/// # Errors
/// Where a tensor has no single scale.
pub fn rescale(site: &mut Site<'_>, activation: Activation) -> Result<(), LowerError> {
    let (input, output, (rows, row)) = (site.input(0), site.output(0), rows(site.output(0)));
    let refuse = |reason| site.refuse(reason);
    let ((input_scale, input_zero), (scale, zero_point)) =
        (affine(input).map_err(refuse)?, affine(output).map_err(refuse)?);
    let multiplier = quantise_multiplier(f64::from(input_scale) / f64::from(scale));
    let (min, max) = activation.quantised_range(output.dtype, scale, zero_point);
    let (input, output, operands) = (input.dtype, output.dtype, [site.read(0), site.write(0)]);
    site.step(kernels::Rescale { rows, row, input, output, input_zero, multiplier, zero_point, min, max }, &operands)
}

impl Operation for Quantise {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        Ok(vec![only(inputs)?.shape.clone()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([input], [output]) = (inputs, outputs) else { return Err("needs one input and one output".into()) };
        affine(output)?;
        match (input.dtype, output.dtype) {
            (_, DType::F32) | (DType::F32, DType::I32) => expect_dtype("an output", output, DType::I8),
            (DType::F32, _) => Ok(()),
            _ => affine(input).map(|_| ()),
        }
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let (input, output, (rows, row)) = (site.input(0), site.output(0), rows(site.output(0)));
        let (read, write) = (site.read(0), site.write(0));
        let (scale, zero_point) = affine(output).map_err(|reason| site.refuse(reason))?;
        if input.dtype != DType::F32 {
            if input.dtype.bytes() > 1 || output.dtype.bytes() > 1 {
                return rescale(site, Activation::None);
            }
            let table = requantisation(input, output).map_err(|reason| site.refuse(reason))?;
            let table = site.constant(table);
            return site.step(kernels::Table { rows, row }, &[read, table, write]);
        }
        if output.dtype == DType::I16 {
            return site.step(kernels::QuantiseI16 { rows, row, scale }, &[read, write]);
        }
        let (min, max) = Activation::None.quantised_range(output.dtype, scale, zero_point);
        site.step(kernels::Quantise { rows, row, scale, zero_point, min, max }, &[read, write])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tensor;
    use super::*;
    use crate::graph::Quantisation;

    fn quantised(dtype: DType, scale: f32, zero_point: i32) -> Tensor {
        Tensor { dtype, quantisation: Some(Quantisation::per_tensor(scale, zero_point)), ..tensor(&[4]) }
    }

    #[test]
    fn equal_scales_change_nothing() {
        let input = quantised(DType::I8, 0.3, 7);
        assert_eq!(requantisation(&input, &input), Ok((0..=255).collect()));
        let shifted = requantisation(&quantised(DType::U8, 0.3, 128), &quantised(DType::I8, 0.3, 0));
        assert_eq!(shifted, Ok((0..=255).map(|byte| byte ^ 0x80).collect()));
    }

    #[test]
    fn tables_hold_what_tflm_computes() {
        // tflite-micro, every 17th input from the least on.
        let table = requantisation(&quantised(DType::I8, 0.047, -9), &quantised(DType::I8, 0.031, 20)).unwrap();
        let found: Vec<i8> = (-128..128).step_by(17).map(|x: i32| table[usize::from(x as u8)] as i8).collect();
        assert_eq!(found, [-128, -128, -109, -83, -57, -32, -6, 20, 46, 72, 97, 123, 127, 127, 127, 127]);
        let table = requantisation(&quantised(DType::U8, 0.047, 100), &quantised(DType::I8, 0.061, -20)).unwrap();
        let found: Vec<i8> = table.iter().step_by(17).map(|&byte| byte as i8).collect();
        assert_eq!(found, [-97, -84, -71, -58, -45, -32, -18, -5, 8, 21, 34, 47, 60, 73, 86, 99]);
    }

    #[test]
    fn types_without_a_kernel_are_refused() {
        let (bytes, floats) = (quantised(DType::I8, 0.5, 0), Tensor { dtype: DType::F32, ..tensor(&[4]) });
        assert_eq!(Quantise {}.check(&[&floats], &[&bytes]), Ok(()));
        assert!(Quantise {}.check(&[&bytes], &[&floats]).is_err());
        assert!(Quantise {}.check(&[&floats], &[&quantised(DType::I32, 0.5, 0)]).is_err());
        assert_eq!(Quantise {}.check(&[&quantised(DType::I32, 0.5, 0)], &[&quantised(DType::I16, 0.25, 0)]), Ok(()));
        assert!(Quantise {}.check(&[&floats], &[&quantised(DType::I8, 0.0, 0)]).is_err());
    }
}
