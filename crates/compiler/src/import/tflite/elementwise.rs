//! Operators on elements one by one, and those that sum along axes.

use half::f16;

use super::layers::activation;
use super::movement::axis_of;
use super::names::ElementType;
use super::schema::tflite::BuiltinOptionsRef;
use super::site::{Refusal, Site};
use super::source::Contents;
use crate::ops::{Activation, Binary, BinaryFunction, Dequantise, Mean, Quantise, Softmax, Unary, UnaryFunction};

/// `ADD`.
pub(super) fn add(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    binary(site, BinaryFunction::Add)
}

/// `SUB`.
pub(super) fn sub(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    binary(site, BinaryFunction::Sub)
}

/// `MUL`.
pub(super) fn mul(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    binary(site, BinaryFunction::Mul)
}

fn binary(site: &mut Site<'_, '_>, function: BinaryFunction) -> Result<(), Refusal> {
    use BuiltinOptionsRef::{Add, Mul, Sub};
    let activation = match site.options()? {
        Some(Add(options) | Sub(options) | Mul(options)) => activation(options.fused_activation_function()?)?,
        _ => Activation::None,
    };
    let inputs = vec![site.input(0)?, site.input(1)?];
    site.node(Binary { function, activation }, inputs)
}

/// `LOGISTIC`.
pub(super) fn logistic(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    unary(site, UnaryFunction::Logistic)
}

/// `TANH`.
pub(super) fn tanh(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    unary(site, UnaryFunction::Tanh)
}

/// `RELU`.
pub(super) fn relu(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    unary(site, UnaryFunction::Relu)
}

/// `RELU6`.
pub(super) fn relu6(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    unary(site, UnaryFunction::Relu6)
}

/// `RELU_N1_TO_1`.
pub(super) fn relu_n1_to_1(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    unary(site, UnaryFunction::ReluN1To1)
}

fn unary(site: &mut Site<'_, '_>, function: UnaryFunction) -> Result<(), Refusal> {
    let input = site.input(0)?;
    site.node(Unary { function }, vec![input])
}

/// `SOFTMAX`, along the last axis.
pub(super) fn softmax(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let Some(BuiltinOptionsRef::Softmax(options)) = site.options()? else { return site.without_options() };
    let input = site.input(0)?;
    site.node(Softmax { beta: options.beta()? }, vec![input])
}

/// `MEAN`: the axes are input 1.
pub(super) fn mean(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let keep_dims = match site.options()? {
        Some(BuiltinOptionsRef::Reducer(options)) => options.keep_dims()?,
        _ => false,
    };
    let input = site.input(0)?;
    let rank = site.shape(input).len();
    let axes = site.integers(1)?;
    let mut axes = axes.into_iter().map(|axis| axis_of(site, axis, rank)).collect::<Result<Vec<usize>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    site.node(Mean { axes, keep_dims }, vec![input])
}

/// `QUANTIZE`.
pub(super) fn quantize(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let input = site.input(0)?;
    site.node(Quantise {}, vec![input])
}

/// `DEQUANTIZE`; of constants, which exporters use to make the file smaller, nothing is left to do at run time.
pub(super) fn dequantize(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let file = site.file_input(0)?;
    if let (ElementType::F16, Contents::Constant { bytes, .. }) = (file.element, file.contents) {
        let halves = bytes.as_chunks::<2>().0;
        return site.write_floats(halves.iter().map(|&half| f16::from_le_bytes(half).to_f32()), halves.len());
    }
    let input = site.input(0)?;
    if let Some(reals) = site.constant_reals(input) {
        let count = reals.len();
        return site.write_floats(reals.into_iter(), count);
    }
    site.node(Dequantise {}, vec![input])
}
