//! Depthwise convolution: `[n, h, w, c] ∗ [1, kh, kw, c·m] + [c·m] → [n, h′, w′, c·m]`.

use rasbora_device::arithmetic::Requantise;
use rasbora_device::isa::stacks::ROWS;
use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::conv2d::{Columns, PLANE_BYTES, Paired, check_weighted, lower_i16, of_rank};
use super::paired::{Streams, plane_streams, quad_streams};
use super::quantised::is_wide;
use super::{Activation, Operation, Sliding};
use crate::graph::{DType, Shape, Tensor, bytes_of};
use crate::lower::{LowerError, Site, Value};
use crate::target::InstructionSet;

/// `out[o] = activation(bias[o] + Σ (input[o / m] + input_offset) · weights[o])`, where the input outside the image is
/// `padding_value`.
///
/// Inputs: `[n, h, w, c]`, weights `[1, kh, kw, c·m]` (output channels last, as in the file; so is the axis of their
/// scales), bias `[c·m]`. An importer sets the offset to minus the zero point and the padding value to the zero point;
/// `fold_zero_points` moves the offset into the bias.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DepthwiseConv2d {
    /// How the window slides.
    pub sliding: Sliding,
    /// The fused activation.
    pub activation: Activation,
    /// What is added to each input before it is multiplied.
    pub input_offset: i32,
    /// The input outside the image.
    pub padding_value: i32,
}

impl Operation for DepthwiseConv2d {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [input, weights, _] = inputs else {
            return Err(format!("needs input, weights and bias, but has {} inputs", inputs.len()));
        };
        let [n, h, w, c] = of_rank::<4>("an input", input)?;
        let [one, kh, kw, o] = of_rank::<4>("weights", weights)?;
        if one != 1 {
            return Err(format!("needs weights [1, kh, kw, o], but '{}' has shape {:?}", weights.name, weights.shape));
        }
        if c == 0 || o == 0 || o % c != 0 {
            return Err(format!("has {c} input channels and weights for {o} outputs: these do not divide"));
        }
        let [h, w] = self.sliding.output([h, w], [kh, kw])?;
        Ok(vec![vec![n, h, w, o]])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let channels = outputs.first().and_then(|output| output.shape.last()).copied().unwrap_or(0);
        check_weighted(inputs, outputs, self.input_offset, channels)?;
        match inputs {
            [input, _, bias] if input.dtype == DType::I16 && !is_wide(bias) => {
                Err(format!("needs a bias of type int64 with int16 inputs, but '{}' is int32", bias.name))
            }
            _ => Ok(()),
        }
    }

    fn macs(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> u64 {
        let [_, kh, kw, _] = inputs[1].shape[..] else { return 0 };
        outputs[0].elements() as u64 * (kh * kw) as u64
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let [_, kh, kw, o] = of_rank::<4>("weights", site.input(1)).map_err(|reason| site.refuse(reason))?;
        let window = self.sliding.window(&site.input(0).shape, [kh, kw], &site.output(0).shape);
        let inputs = site.input(0).shape[3];
        let (inputs, depth) = (inputs as u32, (o / inputs.max(1)) as u32);
        let bias = site.constant_input(2)?;
        let (input, out) = (site.read(0), site.write(0));
        if site.input(0).dtype == DType::F32 {
            let weights =
                site.input(1).values::<f32>().ok_or_else(|| site.refuse("has weights of another type".into()))?;
            let weights = site.constant(bytes_of(by_output(&weights, o)));
            let (min, max) = self.activation.range();
            let kernel = kernels::DepthwiseConv2dF32 { window, inputs, depth, min, max };
            return site.step(kernel, &[input, weights, bias, out]);
        }
        site.expect_folded(self.input_offset)?;
        if site.input(0).dtype == DType::I16 {
            site.expect_zero_padding(self.padding_value)?;
            let weights = site.input(1).values().ok_or_else(|| site.refuse("has weights of another type".into()))?;
            let filters = by_output(&weights, o);
            if depth == 1 && kernels::DepthwiseConv2dI16::takes(window.kernel, inputs) {
                let (channels, scaling) = site.channels(&filters, self.activation)?;
                let kernel = kernels::DepthwiseConv2dI16 { window, channels: inputs, scaling };
                let weights = by_columns(&weights, [kh, kw]).into_iter().map(i16::from);
                let weights = site.constant(bytes_of(weights));
                let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
                return site.step(kernel, &[input, weights, channels, scratch, out]);
            }
            let (outputs, groups) = (o as u32, inputs);
            let kernel = |scaling| kernels::Conv2dI16 { window, inputs: 1, outputs, groups, scaling };
            return lower_i16(site, kernel, &filters, self.activation);
        }
        let requantise = self.activation.requantise(site.output(0)).map_err(|reason| site.refuse(reason))?;
        let padding_value = self.padding_value as i8;
        let weights = site.input(1).values::<i8>().ok_or_else(|| site.refuse("has weights of another type".into()))?;
        let filters = by_output(&weights, o);
        if site.isa() == InstructionSet::Armv7em {
            let (outputs, weights) = (o as u32, &filters[..]);
            if depth == 1 && inputs >= 4 {
                offer_lanes(site, window, padding_value, weights, requantise)?;
            }
            // With one input channel this is a convolution.
            if inputs == 1 {
                Paired { window, inputs, outputs, padding_value, weights, requantise }.offer(site)?;
            }
        }
        if depth != 1 || inputs < 4 {
            let (outputs, weights) = (o as u32, &filters[..]);
            let (inputs, groups) = (1, inputs);
            return Columns { window, inputs, outputs, groups, padding_value, weights, requantise }.offer(site);
        }
        let (bias, multipliers, scaling) = site.scales(&filters, requantise)?;
        let (channels, stacked) = (inputs, site.isa() == InstructionSet::Helium && scaling.once);
        if stacked && kernels::StackDepthwiseConv2d::takes(&window) && window.output[1] > 1 {
            let weights = site.constant(bytes_of(by_stacks(&filters, [kh, kw])));
            let kernel = kernels::StackDepthwiseConv2d { window, channels, padding_value, scaling };
            let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
            return site.offer(kernel, &[input, weights, bias, multipliers, scratch, out]);
        }
        let weights = site.constant(bytes_of(by_columns(&weights, [kh, kw])));
        let kernel = kernels::DepthwiseConv2d { window, channels, padding_value, scaling };
        let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
        site.offer(kernel, &[input, weights, bias, multipliers, scratch, out])
    }
}

/// Offers the kernels that compute four channels of `weights`, `[c, kh, kw]`, at a time, where their bytes are proven to be TFLite's.
///
/// # Errors
/// Where scales are missing or sizes out of range.
fn offer_lanes(
    site: &mut Site<'_>,
    window: kernels::Window,
    padding_value: i8,
    weights: &[i8],
    requantise: Requantise,
) -> Result<(), LowerError> {
    let (input, out, channels) = (site.read(0), site.write(0), site.input(0).shape[3] as u32);
    if kernels::PlaneDepthwiseConv2d::takes(&window)
        && let Some((Streams { filters, signed, zero, .. }, factor)) =
            site.fitted(weights, requantise, plane_streams)?
    {
        let kernel = kernels::PlaneDepthwiseConv2d { window, channels, strip: 1, padding_value, signed, zero, factor };
        let filters = site.constant(filters);
        let shortest = kernel.in_strips(PLANE_BYTES[PLANE_BYTES.len() - 1]).halved();
        for kernel in PLANE_BYTES.map(|bytes| kernel.in_strips(bytes)).into_iter().chain([shortest]) {
            let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
            site.offer(kernel, &[input, filters, scratch, out])?;
        }
    }
    if let Some((Streams { filters, zero, shift, .. }, corrections)) = site.fitted(weights, requantise, quad_streams)? {
        let kernel = kernels::QuadDepthwiseConv2d { window, channels, padding_value, corrections, shift, zero };
        let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
        let filters = site.constant(filters);
        site.offer(kernel, &[input, filters, scratch, out])?;
    }
    Ok(())
}

/// Weights `[kh, kw, o]` as `[kw, kh, o]`.
fn by_columns(weights: &[i8], [height, width]: [usize; 2]) -> Vec<i8> {
    let taps: Vec<&[i8]> = weights.chunks_exact((weights.len() / (height * width).max(1)).max(1)).collect();
    (0..width).flat_map(|x| taps.iter().skip(x).step_by(width)).copied().flatten().copied().collect()
}

/// Weights `[o, kh, kw]` as `[o, kw, 3]`, with zeros after their taps; see [`rasbora_device::isa::stacks`].
fn by_stacks(weights: &[i8], [height, width]: [usize; 2]) -> Vec<i8> {
    let filters = weights.chunks_exact((height * width).max(1));
    let columns = filters.flat_map(|filter| (0..width).map(|x| filter.iter().skip(x).step_by(width)));
    columns.flat_map(|column| column.copied().chain(std::iter::repeat(0)).take(ROWS)).collect()
}

/// `weights` of shape `[taps, o]` as `[o, taps]`.
fn by_output<T: Copy>(weights: &[T], outputs: usize) -> Vec<T> {
    (0..outputs).flat_map(|output| weights.iter().skip(output).step_by(outputs).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{constant, tensor};

    const PLAIN: DepthwiseConv2d =
        DepthwiseConv2d { sliding: Sliding::PLAIN, activation: Activation::None, input_offset: 0, padding_value: 0 };

    #[test]
    fn output_has_the_channels_of_the_weights() {
        let [input, weights] = [tensor(&[2, 5, 6, 3]), tensor(&[1, 3, 2, 6])];
        assert_eq!(PLAIN.infer(&[&input, &weights, &tensor(&[6])]), Ok(vec![vec![2, 3, 5, 6]]));
        assert_eq!(PLAIN.macs(&[&input, &weights], &[&tensor(&[2, 3, 5, 6])]), 180 * 6);
    }

    #[test]
    fn channels_that_do_not_divide_are_refused() {
        let refused = |weights: &[usize]| PLAIN.infer(&[&tensor(&[1, 5, 5, 4]), &tensor(weights), &tensor(&[6])]);
        assert!(refused(&[1, 3, 3, 6]).is_err_and(|text| text.contains("4 input channels")));
        assert!(refused(&[1, 3, 3, 0]).is_err());
        assert!(refused(&[2, 3, 3, 4]).is_err_and(|text| text.contains("[1, kh, kw, o]")));
        assert!(refused(&[1, 6, 3, 4]).is_err_and(|text| text.contains("window of 6")));
    }

    #[test]
    fn computed_weights_are_refused() {
        let (input, bias, out) = (tensor(&[1, 3, 3, 4]), constant(&[4], DType::I32), tensor(&[1, 1, 1, 4]));
        let weights = constant(&[1, 3, 3, 4], DType::I8);
        assert_eq!(PLAIN.check(&[&input, &weights, &bias], &[&out]), Ok(()));
        let computed = tensor(&[1, 3, 3, 4]);
        assert!(PLAIN.check(&[&input, &computed, &bias], &[&out]).is_err_and(|text| text.contains("constant")));
    }

    #[test]
    fn weights_are_stacked() {
        let weights: Vec<i8> = (1..=6).collect();
        assert_eq!(by_stacks(&weights, [3, 2]), [1, 3, 5, 2, 4, 6]);
        assert_eq!(by_stacks(&weights, [1, 3]), [1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0, 6, 0, 0]);
    }

    #[test]
    fn weights_lie_by_columns() {
        let weights: Vec<i8> = (0..12).collect();
        assert_eq!(by_columns(&weights, [2, 3]), [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
    }
}
