//! Sum, difference and product of two tensors, elementwise, broadcast as NumPy does.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::axes::{Axis, loop_over, row_major, rows};
use super::linear_add::linear_add;
use super::quantised::{affine, expect_dtype};
use super::{Activation, Operation, quantise_multiplier};
use crate::graph::{DType, Shape, Tensor};
use crate::lower::{LowerError, Site};

/// Which function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BinaryFunction {
    /// `a + b`.
    Add,
    /// `a − b`.
    Sub,
    /// `a · b`.
    Mul,
}

/// `activation(a ∘ b)`: TFLite's `ADD`, `SUB` and `MUL`. Either input may be constant.
///
/// Shapes are aligned at their last axes; an axis of size 1, or that one input lacks, is repeated.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Binary {
    /// Which function.
    pub function: BinaryFunction,
    /// The fused activation.
    pub activation: Activation,
}

/// The shape to which `a` and `b` are broadcast.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| match axis.checked_sub(rank - shape.len()) {
        Some(axis) => shape[axis],
        None => 1,
    };
    let join = |axis: usize| match (size(a, axis), size(b, axis)) {
        (1, b) => Some(b),
        (a, 1) => Some(a),
        (a, b) => (a == b).then_some(a),
    };
    (0..rank).map(join).collect()
}

/// Distances in elements between neighbours along each axis of `out` in a tensor of shape `input`: 0 where repeated.
fn broadcast_strides(input: &[usize], out: &[usize]) -> Vec<i64> {
    let missing = out.len() - input.len();
    let strides = row_major(input).into_iter().zip(input).map(|(stride, &size)| if size == 1 { 0 } else { stride });
    std::iter::repeat_n(0, missing).chain(strides).collect()
}

impl Binary {
    fn kernel_shapes(&self, site: &Site<'_>) -> Result<kernels::Broadcast, LowerError> {
        let shape = &site.output(0).shape;
        let [a, b] = [0, 1].map(|input| broadcast_strides(&site.input(input).shape, shape));
        let axes: Vec<_> =
            shape.iter().zip(a.into_iter().zip(b)).map(|(&size, (a, b))| Axis { size, strides: [a, b] }).collect();
        let (mut dims, strides) = loop_over(&axes).map_err(|reason| site.refuse(reason))?;
        let mut strides = strides.map(|strides| strides.map(|stride| stride as u32));
        // One long run is cut into the lines of the image, so that an inference can yield between them.
        let (lines, line) = rows(site.output(0));
        if lines.checked_mul(line) == Some(dims[5]) && line > 0 {
            (dims[0], dims[5]) = (lines, line);
            strides.iter_mut().for_each(|strides| strides[0] = line * strides[5]);
        }
        Ok(kernels::Broadcast { dims, strides })
    }

    /// Multiplies as TFLite: one multiplier, the product of the inputs' scales over the output's.
    fn lower_product(&self, site: &mut Site<'_>, quantised: &Quantised) -> Result<(), LowerError> {
        let [a, b, out] = quantised.scales;
        let (broadcast, multiplier) = (self.kernel_shapes(site)?, quantise_multiplier(a * b / out));
        let operands = [site.read(0), site.read(1), site.write(0)];
        if site.output(0).dtype == DType::I16 {
            let (min, max) = self.activation.range_i16(site.output(0)).map_err(|reason| site.refuse(reason))?;
            return site.step(kernels::MulI16 { broadcast, multiplier, min, max }, &operands);
        }
        let requantise = self.activation.requantise(site.output(0)).map_err(|reason| site.refuse(reason))?;
        let offsets = quantised.offsets;
        site.step(kernels::MulI8 { broadcast, offsets, multiplier, requantise }, &operands)
    }

    /// Adds as TFLite: both inputs are scaled to `2^-20` of twice the larger scale, of 16 bits to `2^-15`.
    fn lower_sum(&self, site: &mut Site<'_>, quantised: &Quantised) -> Result<(), LowerError> {
        let [a, b, out] = quantised.scales;
        let common = 2.0 * a.max(b);
        let multiplier = |left_shift: u32| quantise_multiplier(common / (f64::from(1u32 << left_shift) * out));
        let broadcast = self.kernel_shapes(site)?;
        let multipliers = [a / common, b / common].map(quantise_multiplier);
        let subtract = self.function == BinaryFunction::Sub;
        let operands = [site.read(0), site.read(1), site.write(0)];
        if site.output(0).dtype == DType::I16 {
            let multiplier = multiplier(kernels::binary::ADD_LEFT_SHIFT_I16);
            let (min, max) = self.activation.range_i16(site.output(0)).map_err(|reason| site.refuse(reason))?;
            return site.step(kernels::AddI16 { broadcast, multipliers, multiplier, subtract, min, max }, &operands);
        }
        let kernel = kernels::AddI8 {
            broadcast,
            offsets: quantised.offsets,
            multipliers,
            multiplier: multiplier(kernels::binary::ADD_LEFT_SHIFT),
            subtract,
            requantise: self.activation.requantise(site.output(0)).map_err(|reason| site.refuse(reason))?,
        };
        let shape = &site.output(0).shape;
        if [0, 1].iter().all(|&input| site.input(input).shape == *shape)
            && let Ok(elements) = u32::try_from(site.output(0).elements())
        {
            let sign = if kernel.subtract { -1.0 } else { 1.0 };
            if let Some(linear) = linear_add(elements, [a / out, sign * b / out], |a, b| kernel.sum(a, b)) {
                return site.step(linear, &operands);
            }
        }
        site.step(kernel, &operands)
    }
}

/// Scales of both inputs and the output, and what is added to the inputs.
struct Quantised {
    scales: [f64; 3],
    offsets: [i32; 2],
}

impl Quantised {
    fn of(a: &Tensor, b: &Tensor, out: &Tensor) -> Result<Self, String> {
        let ((a, a_zero), (b, b_zero), (out, _)) = (affine(a)?, affine(b)?, affine(out)?);
        Ok(Self { scales: [a, b, out].map(f64::from), offsets: [a_zero, b_zero].map(i32::wrapping_neg) })
    }
}

impl Operation for Binary {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [a, b] = inputs else { return Err(format!("needs two inputs, but has {}", inputs.len())) };
        let shape = broadcast(&a.shape, &b.shape).ok_or_else(|| {
            format!("cannot broadcast '{}' of shape {:?} with '{}' of shape {:?}", a.name, a.shape, b.name, b.shape)
        })?;
        Ok(vec![shape])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([a, b], [out]) = (inputs, outputs) else { return Err("needs two inputs and one output".into()) };
        expect_dtype("a second input", b, a.dtype)?;
        expect_dtype("an output", out, a.dtype)?;
        if a.dtype == DType::F32 {
            return Ok(());
        }
        if a.dtype != DType::I16 {
            expect_dtype("inputs", a, DType::I8)?;
        }
        Quantised::of(a, b, out).map(|_| ())
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let (a, b, out) = (site.input(0), site.input(1), site.output(0));
        if out.elements() == 0 {
            return Ok(());
        }
        if out.dtype == DType::F32 {
            let function = match self.function {
                BinaryFunction::Add => kernels::FloatBinary::Add,
                BinaryFunction::Sub => kernels::FloatBinary::Sub,
                BinaryFunction::Mul => kernels::FloatBinary::Mul,
            };
            let (min, max) = self.activation.range();
            let kernel = kernels::BinaryF32 { broadcast: self.kernel_shapes(site)?, function, min, max };
            let operands = [site.read(0), site.read(1), site.write(0)];
            return site.step(kernel, &operands);
        }
        let quantised = Quantised::of(a, b, out).map_err(|reason| site.refuse(reason))?;
        match self.function {
            BinaryFunction::Mul => self.lower_product(site, &quantised),
            BinaryFunction::Add | BinaryFunction::Sub => self.lower_sum(site, &quantised),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, evaluate_tensors, tensor};
    use super::*;
    use crate::graph::{Quantisation, bytes_of};

    const ADD: Binary = Binary { function: BinaryFunction::Add, activation: Activation::None };

    #[test]
    fn shapes_broadcast_from_the_last_axis() {
        let infer = |a: &[usize], b: &[usize]| ADD.infer(&[&tensor(a), &tensor(b)]);
        assert_eq!(infer(&[2, 3, 4], &[3, 1]), Ok(vec![vec![2, 3, 4]]));
        assert_eq!(infer(&[2, 1], &[5, 1, 7]), Ok(vec![vec![5, 2, 7]]));
        assert_eq!(infer(&[], &[0, 1]), Ok(vec![vec![0, 1]]));
        assert!(infer(&[2, 3], &[2]).is_err());
        assert!(ADD.infer(&[&tensor(&[2])]).is_err());
    }

    #[test]
    fn floats_are_broadcast_and_clamped() {
        let (a, b) = (bytes_of([1f32, 2.0, 3.0]), bytes_of([10f32, -2.0]));
        let op = Binary { function: BinaryFunction::Mul, activation: Activation::Relu6 };
        let out = evaluate(op, &[(&[3], &a), (&[2, 1], &b)], DType::F32);
        assert_eq!(out, bytes_of([6f32, 6.0, 6.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn bytes_are_those_of_tflm() {
        // tflite-micro, for these bytes and scales.
        let a = [-128, -77, -30, -1, 0, 45, 99, 127].map(|x: i8| x as u8);
        let b = [127, -50, 33, -128, 1, -2, 64, 100].map(|x: i8| x as u8);
        let quantised = |bytes: &[u8], scale, zero_point| Tensor {
            quantisation: Some(Quantisation::per_tensor(scale, zero_point)),
            constant: Some(bytes.into()),
            ..tensor(&[8])
        };
        let (a, b) = (quantised(&a, 0.047, -9), quantised(&b, 0.031, 20));
        for (function, activation, scale, wanted) in [
            (BinaryFunction::Add, Activation::Relu6, 0.0625, [-5, -5, -5, -5, -5, 25, 91, 91]),
            (BinaryFunction::Sub, Activation::None, 0.0625, [-128, -21, -27, 74, 11, 47, 54, 58]),
            (BinaryFunction::Mul, Activation::None, 0.125, [-128, 50, -8, -19, -7, -19, 50, 122]),
        ] {
            let out = Tensor { constant: None, ..quantised(&[], scale, -5) };
            let found = evaluate_tensors(Binary { function, activation }, &[&a, &b], &out);
            assert_eq!(found, bytes_of(wanted.map(|x| x as i8)), "{function:?}");
        }
    }

    #[test]
    fn types_and_scales_are_checked() {
        let a = tensor(&[4]);
        assert_eq!(ADD.check(&[&a, &a], &[&a]), Ok(()));
        let per_channel = Quantisation { scales: vec![0.5; 4], zero_points: vec![0; 4], axis: 0 };
        assert!(ADD.check(&[&a, &Tensor { quantisation: Some(per_channel), ..tensor(&[4]) }], &[&a]).is_err());
        for dtype in [DType::F32, DType::U8] {
            assert!(ADD.check(&[&a, &Tensor { dtype, ..tensor(&[4]) }], &[&a]).is_err());
        }
        let bytes = Tensor { dtype: DType::U8, ..tensor(&[4]) };
        assert!(ADD.check(&[&bytes, &bytes], &[&bytes]).is_err());
    }
}
