//! TFLite's rules of quantisation that the ops share: multipliers from scales, and activations as ranges.

use rasbora_device::arithmetic::Requantise;
use rasbora_device::memory::Multiplier;
use serde::{Deserialize, Serialize};

use crate::graph::{DType, Tensor, dtype_name};

/// A function that a file may fuse to the end of an op.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `clamp(x, 0, 6)`.
    Relu6,
    /// `clamp(x, −1, 1)`.
    ReluN1To1,
}

impl Activation {
    /// The range of the function in real numbers.
    pub fn range(self) -> (f32, f32) {
        match self {
            Self::None => (f32::MIN, f32::MAX),
            Self::Relu => (0.0, f32::MAX),
            Self::Relu6 => (0.0, 6.0),
            Self::ReluN1To1 => (-1.0, 1.0),
        }
    }

    /// The range in the integers of a tensor (TFLite's `CalculateActivationRangeQuantized`).
    pub fn quantised_range(self, dtype: DType, scale: f32, zero_point: i32) -> (i32, i32) {
        let (least, most) = match dtype {
            DType::U8 => (0, 255),
            DType::I16 => (i16::MIN.into(), i16::MAX.into()),
            DType::I32 => (i32::MIN, i32::MAX),
            DType::I8 | DType::F32 => (-128, 127),
        };
        let (low, high) = self.range();
        let quantise = |x: f32| zero_point.saturating_add((x / scale).round() as i32);
        let low = if low == f32::MIN { least } else { quantise(low).max(least) };
        let high = if high == f32::MAX { most } else { quantise(high).min(most) };
        // A zero point at the end of the range leaves an empty intersection only for broken files; clamp to one value.
        (low.min(most), high.max(low.min(most)))
    }

    /// The range in the integers of an int16 output.
    ///
    /// # Errors
    /// Where the tensor has no single scale, or a zero point that is not 0.
    pub fn range_i16(self, output: &Tensor) -> Result<(i16, i16), String> {
        let (scale, zero_point) = affine(output)?;
        let (min, max) = self.quantised_range(DType::I16, scale, zero_point);
        Ok((min as i16, max as i16))
    }

    /// Zero point and range of an int8 output.
    ///
    /// # Errors
    /// Where the tensor has no single scale.
    pub fn requantise(self, output: &Tensor) -> Result<Requantise, String> {
        let (scale, zero_point) = affine(output)?;
        let (min, max) = self.quantised_range(output.dtype, scale, zero_point);
        Ok(Requantise { zero_point, min: min as i8, max: max as i8 })
    }
}

/// Whether a bias has 64 bits: then it is of pairs of int32 along a last axis, low words first.
pub fn is_wide(bias: &Tensor) -> bool {
    bias.shape.len() > 1
}

/// The numbers of a constant bias of 32 or 64 bits.
///
/// # Errors
/// Where it is of another type.
pub fn biases(bias: &Tensor) -> Result<Vec<i64>, String> {
    let words =
        bias.values::<i32>().ok_or_else(|| format!("needs a constant bias of integers, not '{}'", bias.name))?;
    Ok(match is_wide(bias) {
        true => words.as_chunks().0.iter().map(|&[low, high]| i64::from(high) << 32 | i64::from(low as u32)).collect(),
        false => words.into_iter().map(i64::from).collect(),
    })
}

/// Scale and zero point of a tensor that must have one of each.
///
/// # Errors
/// Where it has none or several, a scale that is not a positive number, or 16 bits and a zero point that is not 0.
pub fn affine(tensor: &Tensor) -> Result<(f32, i32), String> {
    let (scale, zero_point) = tensor
        .affine()
        .ok_or_else(|| format!("needs one scale and zero point for the whole of tensor '{}'", tensor.name))?;
    if !(scale.is_finite() && scale > 0.0) {
        return Err(format!("needs a positive scale for tensor '{}', but it is {scale}", tensor.name));
    }
    if tensor.dtype == DType::I16 && zero_point != 0 {
        return Err(format!("needs the zero point 0 for int16 tensor '{}', but it is {zero_point}", tensor.name));
    }
    Ok((scale, zero_point))
}

/// Whether `tensor` has the type `dtype`.
///
/// # Errors
/// Where it has another.
pub fn expect_dtype(what: &str, tensor: &Tensor, dtype: DType) -> Result<(), String> {
    if tensor.dtype == dtype {
        Ok(())
    } else {
        Err(format!(
            "needs {what} of type {}, but '{}' is {}",
            dtype_name(dtype),
            tensor.name,
            dtype_name(tensor.dtype)
        ))
    }
}

/// TFLite's `QuantizeMultiplier`: the mantissa in Q0.31 and the exponent of `real`.
pub fn quantise_multiplier(real: f64) -> Multiplier {
    if real == 0.0 || !real.is_finite() {
        return Multiplier { value: 0, shift: 0 };
    }
    let (fraction, mut shift) = libm::frexp(real);
    // Rust's `round` is half away from zero, as TFLite's is.
    let mut value = (fraction * 2f64.powi(31)).round() as i64;
    if value == 1 << 31 {
        value /= 2;
        shift += 1;
    }
    if shift < -31 {
        return Multiplier { value: 0, shift: 0 };
    }
    if shift > 30 {
        return Multiplier { value: i32::MAX, shift: 30 };
    }
    Multiplier { value: value as i32, shift }
}

/// The multipliers `input scale · weight scale / output scale`, one a channel or one for all, computed in f64 from f32
/// scales as TFLite does.
///
/// # Errors
/// Where a tensor has no scale, or the weights have a number of scales that is neither 1 nor `channels`.
pub fn channel_multipliers(
    input: &Tensor,
    weights: &Tensor,
    output: &Tensor,
    channels: usize,
) -> Result<Vec<Multiplier>, String> {
    let (input_scale, _) = affine(input)?;
    let (output_scale, _) = affine(output)?;
    let quantisation =
        weights.quantisation.as_ref().ok_or_else(|| format!("needs scales for its weights '{}'", weights.name))?;
    let scales = &quantisation.scales;
    if scales.len() != 1 && scales.len() != channels {
        return Err(format!("has {} scales for {channels} channels of weights '{}'", scales.len(), weights.name));
    }
    if quantisation.zero_points.iter().any(|&zero_point| zero_point != 0) {
        return Err(format!("needs symmetric weights, but '{}' has a zero point that is not 0", weights.name));
    }
    let multiplier =
        |scale: f32| quantise_multiplier(f64::from(input_scale) * f64::from(scale) / f64::from(output_scale));
    Ok(scales.iter().map(|&scale| multiplier(scale)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_are_mantissa_and_exponent() {
        for (real, value, shift) in
            [(1.0, 1 << 30, 1), (0.5, 1 << 30, 0), (0.75, 3 << 29, 0), (0.0, 0, 0), (1e-12, 0, 0)]
        {
            assert_eq!(quantise_multiplier(real), Multiplier { value, shift }, "{real}");
        }
    }

    #[test]
    fn activations_clamp_in_the_integers_of_the_output() {
        assert_eq!(Activation::Relu.quantised_range(DType::I8, 0.1, -128), (-128, 127));
        assert_eq!(Activation::Relu6.quantised_range(DType::I8, 0.1, -10), (-10, 50));
        assert_eq!(Activation::ReluN1To1.quantised_range(DType::U8, 0.02, 128), (78, 178));
    }
}
