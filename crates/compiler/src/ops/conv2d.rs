//! Convolution: `[n, h, w, g·i] ∗ [o, kh, kw, i] + [o] → [n, h′, w′, o]`.

use rasbora_device::arithmetic::Requantise;
use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::paired::{Streams, plane_stream, streams};
use super::quantised::{channel_multipliers, expect_dtype, is_wide};
use super::{Activation, Operation, Sliding, winograd};
use crate::graph::{DType, Shape, Tensor, bytes_of};
use crate::lower::{LowerError, Site, Value};
use crate::optimise::Optimise;
use crate::target::InstructionSet;

/// `out = activation(bias + Σ (input + input_offset) · weights)`, where the input outside the image is `padding_value`.
///
/// Inputs: `[n, h, w, g·i]`, weights `[o, kh, kw, i]`, bias `[o]`. An importer sets the offset to minus the zero point
/// and the padding value to the zero point; `fold_zero_points` moves the offset into the bias.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Conv2d {
    /// How the window slides.
    pub sliding: Sliding,
    /// The fused activation.
    pub activation: Activation,
    /// What is added to each input before it is multiplied.
    pub input_offset: i32,
    /// The input outside the image.
    pub padding_value: i32,
}

/// The shape of a tensor that must have rank `N`.
///
/// # Errors
/// Where it has another.
pub fn of_rank<const N: usize>(what: &str, tensor: &Tensor) -> Result<[usize; N], String> {
    <[usize; N]>::try_from(tensor.shape.as_slice())
        .map_err(|_| format!("needs {what} of rank {N}, but '{}' has shape {:?}", tensor.name, tensor.shape))
}

/// Types that a layer with weights may have: all float, int8 with int32 bias, or int16 with int8 weights and a bias of 32 or
/// 64 bits (see [`is_wide`]); weights and bias constant.
///
/// # Errors
/// Where they are others.
pub fn check_weighted(
    inputs: &[&Tensor],
    outputs: &[&Tensor],
    input_offset: i32,
    channels: usize,
) -> Result<(), String> {
    let ([input, weights, bias], [output]) = (inputs, outputs) else {
        return Err(format!("needs input, weights and bias, but has {} inputs", inputs.len()));
    };
    if weights.constant.is_none() || bias.constant.is_none() {
        return Err(format!("needs constant weights and bias, but '{}' is computed", weights.name));
    }
    let wide = input.dtype == DType::I16 && is_wide(bias);
    if bias.elements() != if wide { 2 * channels } else { channels } {
        return Err(format!("needs a bias of {channels} elements, but '{}' has {:?}", bias.name, bias.shape));
    }
    match input.dtype {
        DType::F32 => {
            expect_dtype("weights", weights, DType::F32)?;
            expect_dtype("a bias", bias, DType::F32)?;
            expect_dtype("an output", output, DType::F32)
        }
        DType::I8 => {
            expect_dtype("weights", weights, DType::I8)?;
            expect_dtype("a bias", bias, DType::I32)?;
            expect_dtype("an output", output, DType::I8)?;
            if !(-128..=128).contains(&input_offset) {
                return Err(format!("needs an input offset in -128..=128, but has {input_offset}"));
            }
            channel_multipliers(input, weights, output, channels).map(|_| ())
        }
        DType::I16 => {
            expect_dtype("weights", weights, DType::I8)?;
            expect_dtype("a bias", bias, DType::I32)?;
            expect_dtype("an output", output, DType::I16)?;
            let multipliers = channel_multipliers(input, weights, output, channels)?;
            match multipliers.iter().find(|multiplier| wide && multiplier.shift > MAX_WIDE_SHIFT) {
                Some(_) => Err(format!("needs scales whose quotient is below 2^{MAX_WIDE_SHIFT}")),
                None => Ok(()),
            }
        }
        _ => expect_dtype("an input", input, DType::I8),
    }
}

/// Largest exponent of a multiplier for sums of 64 bits: TFLite's `MultiplyByQuantizedMultiplier` takes no larger one.
const MAX_WIDE_SHIFT: i32 = 7;

/// Adds the step of a layer of 16-bit inputs with weights `[o, kh, kw, i]`.
///
/// # Errors
/// Where scales are missing or sizes out of range.
pub fn lower_i16(
    site: &mut Site<'_>,
    kernel: impl FnOnce(kernels::Scaling16) -> kernels::Conv2dI16,
    weights: &[i8],
    activation: Activation,
) -> Result<(), LowerError> {
    let (channels, scaling) = site.channels(weights, activation)?;
    let kernel = kernel(scaling);
    let weights = site.constant(bytes_of(by_columns(weights, kernel.window.kernel, kernel.inputs as usize)));
    let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
    let (input, out) = (site.read(0), site.write(0));
    site.step(kernel, &[input, weights, channels, scratch, out])
}

/// Scratch memory that a strip of input may take: the rows that two strips share are copied twice.
const STRIP_BYTES: u32 = 3328;

/// Scratch memory that a strip of planes may take: the rows that two strips share are spread twice.
pub const PLANE_BYTES: [u32; 4] = [1 << 16, 1 << 15, 1 << 14, 1 << 13];

/// A convolution of one group, for the kernels with paired weights or a plane.
pub struct Paired<'a> {
    /// The window's sizes.
    pub window: kernels::Window,
    /// Input channels.
    pub inputs: u32,
    /// Output channels.
    pub outputs: u32,
    /// The input outside the image.
    pub padding_value: i8,
    /// Weights `[o, kh, kw, i]`.
    pub weights: &'a [i8],
    /// Zero point and range of the output.
    pub requantise: Requantise,
}

impl Paired<'_> {
    /// Offers the kernels whose bytes are proven to be TFLite's.
    ///
    /// # Errors
    /// Where scales are missing or sizes out of range.
    pub fn offer(self, site: &mut Site<'_>) -> Result<(), LowerError> {
        if self.inputs == 1 {
            self.offer_plane(site)?;
        }
        if self.window.dilation[1] == 1 || self.window.kernel[1] == 1 {
            self.offer_blocks(site)?;
        }
        Ok(())
    }

    fn offer_plane(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let &Self { window, outputs, padding_value, weights, requantise, .. } = self;
        if kernels::PlaneConv2d::takes(&window)
            && let Some((Streams { filters, signed, zero, .. }, factor)) =
                site.fitted(weights, requantise, plane_stream)?
        {
            let kernel = kernels::PlaneConv2d { window, outputs, strip: 1, padding_value, signed, zero, factor };
            let (input, filters, out) = (site.read(0), site.constant(filters), site.write(0));
            for kernel in PLANE_BYTES.map(|bytes| kernel.in_strips(bytes)) {
                let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
                site.offer(kernel, &[input, filters, scratch, out])?;
            }
        }
        Ok(())
    }

    fn offer_blocks(self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let Self { window, inputs, outputs, padding_value, weights, requantise } = self;
        let kernel = |signed, zero, shift| kernels::PairedConv2d {
            window,
            inputs,
            outputs,
            strip: 1,
            band: 0,
            padding_value,
            signed,
            zero,
            shift,
        };
        let unit = kernel(false, 0, 0).unit().max(1) as usize;
        let padded = |unit: &[i8]| {
            let zeros = unit.len().next_multiple_of(4) - unit.len();
            unit.iter().copied().chain(std::iter::repeat_n(0, zeros)).collect::<Vec<i8>>()
        };
        let weights: Vec<i8> = weights.chunks(unit).flat_map(padded).collect();
        let Some(Streams { filters, signed, zero, shift }) = site.fitted(&weights, requantise, streams)? else {
            return Ok(());
        };
        let strip_bytes = if site.optimise() == Optimise::Ram { 0 } else { STRIP_BYTES };
        let kernel = kernel(signed, zero, shift).in_strips(strip_bytes);
        let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
        let operands = [site.read(0), site.constant(filters), scratch, site.write(0)];
        site.offer(kernel, &operands)?;
        kernel.backward().map_or(Ok(()), |backward| site.offer(backward, &operands))
    }
}

/// A convolution for the portable kernel.
pub struct Columns<'a> {
    /// The window's sizes.
    pub window: kernels::Window,
    /// Input channels of a group.
    pub inputs: u32,
    /// Output channels.
    pub outputs: u32,
    /// Groups of channels.
    pub groups: u32,
    /// The input outside the image.
    pub padding_value: i8,
    /// Weights `[o, kh, kw, i]`.
    pub weights: &'a [i8],
    /// Zero point and range of the output.
    pub requantise: Requantise,
}

impl Columns<'_> {
    /// Offers the kernel.
    ///
    /// # Errors
    /// Where scales are missing or sizes out of range.
    pub fn offer(self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let Self { window, inputs, outputs, groups, padding_value, weights, requantise } = self;
        let (bias, multipliers, scaling) = site.scales(weights, requantise)?;
        let weights = site.constant(bytes_of(by_columns(weights, window.kernel, inputs as usize)));
        let kernel = kernels::Conv2d { window, inputs, outputs, groups, padding_value, band: 0, scaling };
        let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
        let (input, out) = (site.read(0), site.write(0));
        let operands = [input, weights, bias, multipliers, scratch, out];
        site.offer(kernel, &operands)?;
        kernel.backward().map_or(Ok(()), |backward| site.offer(backward, &operands))
    }
}

/// Weights `[.., kh, kw, i]` as `[.., kw, kh, i]`.
fn by_columns(weights: &[i8], [height, width]: [u32; 2], inputs: usize) -> Vec<i8> {
    let (height, width) = (height as usize, width as usize);
    let filters = weights.chunks_exact((height * width * inputs).max(1));
    let columns = filters.flat_map(|filter| {
        let taps = (0..width).flat_map(move |x| (0..height).map(move |y| y * width + x));
        taps.flat_map(move |tap| &filter[tap * inputs..][..inputs])
    });
    columns.copied().collect()
}

impl Operation for Conv2d {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [input, weights, _] = inputs else {
            return Err(format!("needs input, weights and bias, but has {} inputs", inputs.len()));
        };
        let [n, h, w, c] = of_rank::<4>("an input", input)?;
        let [o, kh, kw, i] = of_rank::<4>("weights", weights)?;
        let groups = c.checked_div(i).unwrap_or(0);
        if groups * i != c || groups == 0 || o % groups != 0 {
            return Err(format!("has {c} input channels and weights for {i}, with {o} outputs: these do not divide"));
        }
        let [h, w] = self.sliding.output([h, w], [kh, kw])?;
        Ok(vec![vec![n, h, w, o]])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        check_weighted(inputs, outputs, self.input_offset, outputs.first().map_or(0, |output| output.shape[3]))
    }

    fn macs(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> u64 {
        let cells = outputs[0].elements() as u64;
        let [_, kernel @ ..] = inputs[1].shape.as_slice() else { return 0 };
        cells * kernel.iter().product::<usize>() as u64
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let [o, kh, kw, i] = of_rank::<4>("weights", site.input(1)).map_err(|reason| site.refuse(reason))?;
        let window = self.sliding.window(&site.input(0).shape, [kh, kw], &site.output(0).shape);
        let groups = (site.input(0).shape[3] / i) as u32;
        let (inputs, outputs) = (i as u32, o as u32);
        if site.input(0).dtype == DType::F32 {
            let (input, out) = (site.read(0), site.write(0));
            let (weights, bias) = (site.constant_input(1)?, site.constant_input(2)?);
            let (min, max) = self.activation.range();
            let kernel = kernels::Conv2dF32 { window, inputs, outputs, groups, min, max };
            return site.step(kernel, &[input, weights, bias, out]);
        }
        site.expect_folded(self.input_offset)?;
        if site.input(0).dtype == DType::I16 {
            site.expect_zero_padding(self.padding_value)?;
            let weights = site.input(1).values().ok_or_else(|| site.refuse("has weights of another type".into()))?;
            let kernel = |scaling| kernels::Conv2dI16 { window, inputs, outputs, groups, scaling };
            return lower_i16(site, kernel, &weights, self.activation);
        }
        let requantise = self.activation.requantise(site.output(0)).map_err(|reason| site.refuse(reason))?;
        let padding_value = self.padding_value as i8;
        if let Some(kernel) = site.choice()
            && winograd::lower(self, kernel, site)?
        {
            return Ok(());
        }
        let weights = site.input(1).values::<i8>().ok_or_else(|| site.refuse("has weights of another type".into()))?;
        if site.isa() == InstructionSet::Armv7em && groups == 1 {
            Paired { window, inputs, outputs, padding_value, weights: &weights, requantise }.offer(site)?;
        }
        let layer = Columns { window, inputs, outputs, groups, padding_value, weights: &weights, requantise };
        layer.offer(site)
    }
}
