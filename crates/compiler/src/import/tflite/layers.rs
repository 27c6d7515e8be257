//! Operators that slide a window or multiply by weights.

use super::schema::tflite::BuiltinOptionsRef;
use super::site::{Refusal, Site, unsupported};
use crate::graph::{DType, TensorId};
use crate::ops::{Activation, Conv2d, DepthwiseConv2d, FullyConnected, Pool2d, PoolFunction, Sliding};

/// The fused activation that the schema numbers `code`.
pub(super) fn activation(code: i8) -> Result<Activation, Refusal> {
    let name = match code {
        0 => return Ok(Activation::None),
        1 => return Ok(Activation::Relu),
        2 => return Ok(Activation::ReluN1To1),
        3 => return Ok(Activation::Relu6),
        4 => "TANH",
        5 => "SIGN_BIT",
        _ => "unknown",
    };
    unsupported(format!(
        "has fused activation {name} (number {code}); supported are NONE, RELU, RELU_N1_TO_1 and RELU6"
    ))
}

/// A size from the options, which must be positive.
fn positive(site: &Site<'_, '_>, what: &str, value: i32) -> Result<usize, Refusal> {
    match usize::try_from(value) {
        Ok(size) if size > 0 => Ok(size),
        _ => site.malformed(format!("has {what} {value}")),
    }
}

/// How the window of `kernel` taps slides over `input`, `[n, h, w, c]`. All pairs are `[h, w]`.
fn sliding(
    site: &Site<'_, '_>,
    input: TensorId,
    kernel: [usize; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    padding: i8,
) -> Result<Sliding, Refusal> {
    let &[_, h, w, _] = site.shape(input).as_slice() else {
        return unsupported(format!("has an input of shape {:?}, but rank 4 is wanted", site.shape(input)));
    };
    let pair = |what, [h, w]: [i32; 2]| Ok::<_, Refusal>([positive(site, what, h)?, positive(site, what, w)?]);
    let plain = Sliding { stride: pair("stride", stride)?, dilation: pair("dilation", dilation)?, ..Sliding::PLAIN };
    match padding {
        0 => Ok(plain.same([h, w], kernel)),
        1 => Ok(plain),
        _ => site.malformed(format!("has padding number {padding}, but 0 (SAME) and 1 (VALID) are all")),
    }
}

/// Weights (input 1) and bias (input 2); a missing bias is zeros, of 64 bits for inputs of int16 as in TFLM. Output channels
/// are along `axis` of the weights.
fn weights_and_bias(site: &mut Site<'_, '_>, input: TensorId, axis: usize) -> Result<[TensorId; 2], Refusal> {
    let weights = site.input(1)?;
    let wide = site.importer.graph[input].dtype == DType::I16;
    let tensor = &site.importer.graph[weights];
    if tensor.constant.is_none() {
        return unsupported(format!("has computed weights '{}'; constant ones are supported", tensor.name));
    }
    if let Some(quantisation) = &tensor.quantisation
        && quantisation.scales.len() > 1
        && quantisation.axis != axis
    {
        let (name, found) = (&tensor.name, quantisation.axis);
        return unsupported(format!("has weights '{name}' quantised along axis {found}; axis {axis} is supported"));
    }
    let (channels, dtype) = (tensor.shape.get(axis).copied().unwrap_or(0), tensor.dtype);
    let shape = if wide { vec![channels, 2] } else { vec![channels] };
    let bias = match site.optional(2) {
        Some(_) => site.words(2)?,
        None => site.zeros(shape, if dtype == DType::F32 { DType::F32 } else { DType::I32 })?,
    };
    Ok([weights, bias])
}

/// Zero point of the input, where it has one: what stands for zero outside the image.
fn zero_point(site: &Site<'_, '_>, input: TensorId) -> i32 {
    site.importer.graph[input].affine().map_or(0, |(_, zero_point)| zero_point)
}

/// The taps `[kh, kw]` of weights of rank 4.
fn taps(site: &Site<'_, '_>, weights: TensorId) -> Result<[usize; 2], Refusal> {
    match site.shape(weights).as_slice() {
        &[_, kh, kw, _] => Ok([kh, kw]),
        shape => unsupported(format!("has weights of shape {shape:?}, but rank 4 is wanted")),
    }
}

/// `CONV_2D`: weights `[o, kh, kw, i]`.
pub(super) fn conv_2d(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let Some(BuiltinOptionsRef::Conv2D(options)) = site.options()? else { return site.without_options() };
    let input = site.input(0)?;
    let [weights, bias] = weights_and_bias(site, input, 0)?;
    let kernel = taps(site, weights)?;
    let stride = [options.stride_h()?, options.stride_w()?];
    let dilation = [options.dilation_h_factor()?, options.dilation_w_factor()?];
    let sliding = sliding(site, input, kernel, stride, dilation, options.padding()?)?;
    let zero_point = zero_point(site, input);
    let activation = activation(options.fused_activation_function()?)?;
    let op = Conv2d { sliding, activation, input_offset: -zero_point, padding_value: zero_point };
    site.node(op, vec![input, weights, bias])
}

/// `DEPTHWISE_CONV_2D`: weights `[1, kh, kw, o]`, where `o` is the multiplier times the input's channels.
pub(super) fn depthwise_conv_2d(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let Some(BuiltinOptionsRef::DepthwiseConv2D(options)) = site.options()? else { return site.without_options() };
    let input = site.input(0)?;
    let [weights, bias] = weights_and_bias(site, input, 3)?;
    let kernel = taps(site, weights)?;
    let multiplier = options.depth_multiplier()?;
    if let (Some(&channels), Some(&outputs)) = (site.shape(input).get(3), site.shape(weights).get(3)) {
        let wanted = usize::try_from(multiplier).ok().and_then(|multiplier| channels.checked_mul(multiplier));
        if wanted != Some(outputs) {
            let reason = format!("has {channels} channels, depth multiplier {multiplier} and weights for {outputs}");
            return site.malformed(reason);
        }
    }
    let stride = [options.stride_h()?, options.stride_w()?];
    let dilation = [options.dilation_h_factor()?, options.dilation_w_factor()?];
    let sliding = sliding(site, input, kernel, stride, dilation, options.padding()?)?;
    let zero_point = zero_point(site, input);
    let activation = activation(options.fused_activation_function()?)?;
    let op = DepthwiseConv2d { sliding, activation, input_offset: -zero_point, padding_value: zero_point };
    site.node(op, vec![input, weights, bias])
}

/// `FULLY_CONNECTED`: weights `[o, i]`.
pub(super) fn fully_connected(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let Some(BuiltinOptionsRef::FullyConnected(options)) = site.options()? else { return site.without_options() };
    if options.weights_format()? != 0 {
        return unsupported("has weights in a shuffled format; only the default one is supported");
    }
    let input = site.input(0)?;
    let [weights, bias] = weights_and_bias(site, input, 0)?;
    let op = FullyConnected {
        activation: activation(options.fused_activation_function()?)?,
        input_offset: -zero_point(site, input),
        keep_num_dims: options.keep_num_dims()?,
    };
    site.node(op, vec![input, weights, bias])
}

/// `AVERAGE_POOL_2D`.
pub(super) fn average_pool_2d(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    pool_2d(site, PoolFunction::Average)
}

/// `MAX_POOL_2D`.
pub(super) fn max_pool_2d(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    pool_2d(site, PoolFunction::Max)
}

fn pool_2d(site: &mut Site<'_, '_>, function: PoolFunction) -> Result<(), Refusal> {
    let Some(BuiltinOptionsRef::Pool2D(options)) = site.options()? else { return site.without_options() };
    let input = site.input(0)?;
    let kernel = [
        positive(site, "window height", options.filter_height()?)?,
        positive(site, "window width", options.filter_width()?)?,
    ];
    let stride = [options.stride_h()?, options.stride_w()?];
    let sliding = sliding(site, input, kernel, stride, [1, 1], options.padding()?)?;
    let activation = activation(options.fused_activation_function()?)?;
    site.node(Pool2d { function, kernel, sliding, activation }, vec![input])
}
