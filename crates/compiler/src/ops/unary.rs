//! Functions of one element: `out[i] = f(input[i])`. In 8 bits they are a table, computed here as TFLM computes it; in 16
//! bits the logistic and the hyperbolic tangent interpolate one.

use rasbora_device::arithmetic::{Multiplier, logistic_q4, multiply, rounding_shift_right, tanh_q4};
use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::axes::rows;
use super::movement::only;
use super::quantise::{rescale, table};
use super::quantised::{Activation, affine, expect_dtype};
use super::{Operation, quantise_multiplier};
use crate::graph::{DType, Shape, Tensor, bytes_of};
use crate::lower::{LowerError, Site};

/// Which function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum UnaryFunction {
    /// `1 / (1 + e^−x)`.
    Logistic,
    /// `tanh x`.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `clamp(x, 0, 6)`.
    Relu6,
    /// `clamp(x, −1, 1)`.
    ReluN1To1,
}

/// TFLite's `LOGISTIC`, `TANH`, `RELU`, `RELU6` and `RELU_N1_TO_1`.
///
/// An int8 logistic has the output scale 1/256 and zero point −128, a hyperbolic tangent 1/128 and 0, and in int16 both have
/// 1/32768: their fixed-point results have no others. The others requantise. TFLM's `RELU6` does not: where input and output are quantised
/// differently, its bytes are no clamped values, and LiteRT's are followed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Unary {
    /// Which function.
    pub function: UnaryFunction,
}

impl UnaryFunction {
    /// The function as the activation that clamps.
    fn clamp(self) -> Option<Activation> {
        match self {
            Self::Logistic | Self::Tanh => None,
            Self::Relu => Some(Activation::Relu),
            Self::Relu6 => Some(Activation::Relu6),
            Self::ReluN1To1 => Some(Activation::ReluN1To1),
        }
    }

    /// The table of the int8 function between two scales and zero points.
    fn table(self, input: (f32, i32), output: (f32, i32)) -> Vec<u8> {
        // TFLM rounds the result to 8 bits for the logistic, and to 7 and a sign for the hyperbolic tangent.
        match self {
            Self::Logistic => saturating(input, |a| rounding_shift_right(logistic_q4(a), 23) - 128),
            Self::Tanh => saturating(input, |a| rounding_shift_right(tanh_q4(a), 24)),
            Self::Relu | Self::Relu6 | Self::ReluN1To1 => {
                let activation = self.clamp().unwrap_or_default();
                let (least, most) = activation.quantised_range(DType::I8, output.0, output.1);
                let multiplier = quantise_multiplier(f64::from(input.0) / f64::from(output.0));
                table(DType::I8, |x| {
                    multiply(x.wrapping_sub(input.1), multiplier).wrapping_add(output.1).max(least).min(most)
                })
            }
        }
    }
}

/// The table of a function of Q4.27 that has reached its ends, −128 and 127, where the argument leaves −16..16.
fn saturating((scale, zero_point): (f32, i32), function: impl Fn(i32) -> i32) -> Vec<u8> {
    let (fraction, shift) = libm::frexp(f64::from(scale) * f64::from(1 << 27));
    let multiplier = Multiplier { value: (fraction * 2f64.powi(31)) as i32, shift };
    // TFLite's `CalculateInputRadius` for 4 integer bits.
    let radius = (15.0 * 2f64.powi(27 - shift)).floor() as i32;
    table(DType::I8, |x| match x.wrapping_sub(zero_point) {
        x if x <= -radius => -128,
        x if x >= radius => 127,
        x => function(multiply(x, multiplier)).clamp(-128, 127),
    })
}

/// The logistic function as [`kernels::sigmoid`] wants it (TFLite's `sigmoid_table_uint16`): each entry is moved by half of
/// what interpolation errs by in the middle before the next.
fn logistic_table() -> Vec<u8> {
    let last = kernels::sigmoid::ENTRIES - 1;
    let value = |entry: f64| 65536.0 / (1.0 + libm::exp(-entry / 24.0));
    let moved = |entry: f64| {
        let error = value(entry + 0.5) - (value(entry) + value(entry + 1.0)) / 2.0;
        (value(entry) + error / 2.0).round() as u16
    };
    bytes_of((0..last).map(|entry| moved(entry as f64)).chain([u16::MAX]))
}

/// What brings an input of `scale` to the steps of [`logistic_table`], of which there are 3 · 2^12 to one (TFLite's
/// `LogisticPrepare` and `TanhPrepare`): a factor, and a shift to the right.
fn steps(scale: f32, function: UnaryFunction) -> (i32, u32) {
    const STEPS: f64 = 3.0 * 4096.0;
    // What is a power of two in the file may be off by this much.
    const TOLERANCE: f32 = 1e-3;
    let exact = scale.log2();
    let exponent = exact.round() as i32 + 12;
    let largest = if function == UnaryFunction::Tanh { 1 } else { 0 };
    if (exact - exact.round()).abs() < TOLERANCE && (0..=largest).contains(&exponent) {
        return (3 << exponent, 0);
    }
    let (mut factor, mut shift) = (f64::from(scale) * STEPS, 0);
    while factor <= 32767.0 / 2.0 && shift <= 30 {
        factor *= 2.0;
        shift += 1;
    }
    // `as` saturates.
    (factor as i32, shift)
}

impl Operation for Unary {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        Ok(vec![only(inputs)?.shape.clone()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([input], [output]) = (inputs, outputs) else { return Err("needs one input and one output".into()) };
        expect_dtype("an output", output, input.dtype)?;
        if input.dtype == DType::F32 {
            return Ok(());
        }
        if input.dtype != DType::I16 {
            expect_dtype("an input", input, DType::I8)?;
        }
        affine(input)?;
        let found = affine(output)?;
        let wanted = match self.function {
            UnaryFunction::Logistic | UnaryFunction::Tanh if input.dtype == DType::I16 => (1.0 / 32768.0, 0),
            UnaryFunction::Logistic => (1.0 / 256.0, -128),
            UnaryFunction::Tanh => (1.0 / 128.0, 0),
            UnaryFunction::Relu | UnaryFunction::Relu6 | UnaryFunction::ReluN1To1 => found,
        };
        if found == wanted {
            Ok(())
        } else {
            Err(format!(
                "needs the scale {} and zero point {} for '{}', but has {found:?}",
                wanted.0, wanted.1, output.name
            ))
        }
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let (input, output, (rows, row)) = (site.input(0), site.output(0), rows(site.output(0)));
        let (read, write) = (site.read(0), site.write(0));
        if input.dtype == DType::F32 {
            let function = match self.function {
                UnaryFunction::Logistic => kernels::FloatUnary::Logistic,
                UnaryFunction::Tanh => kernels::FloatUnary::Tanh,
                UnaryFunction::Relu | UnaryFunction::Relu6 | UnaryFunction::ReluN1To1 => kernels::FloatUnary::Clamp,
            };
            let (min, max) = self.function.clamp().unwrap_or_default().range();
            return site.step(kernels::UnaryF32 { rows, row, function, min, max }, &[read, write]);
        }
        if input.dtype == DType::I16 {
            if let Some(activation) = self.function.clamp() {
                return rescale(site, activation);
            }
            let (scale, _) = affine(input).map_err(|reason| site.refuse(reason))?;
            let (multiplier, shift) = steps(scale, self.function);
            let (table, tanh) = (site.constant(logistic_table()), self.function == UnaryFunction::Tanh);
            return site.step(kernels::SigmoidI16 { rows, row, multiplier, shift, tanh }, &[read, table, write]);
        }
        let refuse = |reason| site.refuse(reason);
        let table = self.function.table(affine(input).map_err(refuse)?, affine(output).map_err(refuse)?);
        let table = site.constant(table);
        site.step(kernels::Table { rows, row }, &[read, table, write])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tensor;
    use super::*;
    use crate::graph::Quantisation;

    #[test]
    fn tables_hold_what_tflm_computes() {
        // tflite-micro, every 17th input from −128 on.
        let input = (0.047, -9);
        for (function, input, output, wanted) in [
            (
                UnaryFunction::Logistic,
                input,
                (1.0 / 256.0, -128),
                [-127, -126, -123, -118, -107, -85, -49, 0, 49, 85, 107, 118, 123, 126, 127, 127],
            ),
            (
                UnaryFunction::Tanh,
                (0.021, 12),
                (1.0 / 128.0, 0),
                [-127, -127, -125, -122, -116, -105, -85, -53, -11, 34, 71, 97, 112, 120, 124, 126],
            ),
            (
                UnaryFunction::Relu,
                input,
                (0.031, -100),
                [-100, -100, -100, -100, -100, -100, -100, -100, -74, -48, -23, 3, 29, 55, 80, 106],
            ),
            (UnaryFunction::Relu6, input, input, [-9, -9, -9, -9, -9, -9, -9, -9, 8, 25, 42, 59, 76, 93, 110, 119]),
        ] {
            let table = function.table(input, output);
            let found: Vec<i8> = (-128..128).step_by(17).map(|x: i32| table[usize::from(x as u8)] as i8).collect();
            assert_eq!(found, wanted, "{function:?}");
        }
    }

    #[test]
    fn fixed_point_functions_have_one_output_scale() {
        let input = tensor(&[4]);
        let output = |scale, zero_point| Tensor {
            quantisation: Some(Quantisation::per_tensor(scale, zero_point)),
            ..tensor(&[4])
        };
        let check = |function, output: Tensor| Unary { function }.check(&[&input], &[&output]).is_ok();
        assert!(check(UnaryFunction::Logistic, output(1.0 / 256.0, -128)));
        assert!(!check(UnaryFunction::Logistic, output(1.0 / 256.0, 0)));
        assert!(!check(UnaryFunction::Logistic, output(1.0 / 128.0, -128)));
        assert!(check(UnaryFunction::Tanh, output(1.0 / 128.0, 0)));
        assert!(!check(UnaryFunction::Tanh, output(1.0 / 256.0, -128)));
        assert!(check(UnaryFunction::Relu, output(0.3, -128)));
        assert!(!check(UnaryFunction::Relu, Tensor { dtype: DType::U8, ..tensor(&[4]) }));
    }
}
