//! Logarithms of the power in mel bands of a frame of 1024 samples, as the streaming wake word benchmark computes them.
//!
//! Pre-emphasis `x[n] − 31/32 · x[n − 1]` of samples in `[−1, 1)`, a symmetric Hamming window, `|X|² / 1024`, `bands` mel
//! bands from `low` to `high` Hz, `(10 · log₁₀ x + 52) / 64` in `[0, 1]`, and `trunc(x / scale + zero point)` in the
//! output's quantisation.

use std::f64::consts::PI;

use rasbora_device::ops as kernels;
use rasbora_device::ops::log_mel::{FRACTION, FRAME};
use rasbora_device::spectrum::POINTS;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::mel::{Bands, fixed, logarithms, turn, twiddles};
use super::movement::only;
use super::quantised::{affine, expect_dtype};
use crate::graph::{DType, Shape, Tensor, bytes_of};
use crate::lower::{LowerError, Site, Value};

/// What is added to decibels, and by what they are divided then.
const DECIBELS: [f64; 2] = [52.0, 64.0];
/// Bits of a power of 1 in what the kernel takes the logarithm of: `2¹⁰` for a sample's square, which is `2³⁰` for full
/// scale, and 1024 for the frame.
const POWER_BITS: f64 = 10.0 + 30.0 + 10.0;

/// `[1025] → [bands]`: the sample before the frame, and the frame.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LogMel {
    /// Samples a second.
    pub rate: u32,
    /// Mel bands.
    pub bands: usize,
    /// Lower edge of the first band in Hz.
    pub low: f32,
    /// Upper edge of the last band in Hz.
    pub high: f32,
}

impl LogMel {
    fn mel_bands(&self) -> Result<Bands, String> {
        Bands::new(self.bands, [self.low, self.high], self.rate, FRAME)
    }
}

fn hamming() -> impl Iterator<Item = i16> {
    let value = |n: u32| 0.54 - 0.46 * (2.0 * PI * f64::from(n) / f64::from(FRAME - 1)).cos();
    (0..FRAME).map(move |n| fixed(value(n), 15).min(32767) as i16)
}

impl Operation for LogMel {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let samples = only(inputs)?;
        let wanted = FRAME as usize + 1;
        if samples.shape != [wanted] {
            return Err(format!("takes {wanted} samples, but '{}' has shape {:?}", samples.name, samples.shape));
        }
        Ok(vec![vec![self.bands]])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([samples], [output]) = (inputs, outputs) else { return Err("needs one input and one output".into()) };
        expect_dtype("samples", samples, DType::I16)?;
        expect_dtype("an output", output, DType::I8)?;
        let (scale, _) = affine(output)?;
        if scale < 0.001 {
            return Err(format!("has output scale {scale}, but 0.001 is the least that it computes with"));
        }
        self.mel_bands().map(|_| ())
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let bands = self.mel_bands().map_err(|reason| site.refuse(reason))?;
        let (scale, zero_point) = affine(site.output(0)).map_err(|reason| site.refuse(reason))?;
        let [added, divisor] = DECIBELS;
        let doubling = 10.0 * 2f64.log10();
        let unit = divisor * f64::from(scale);
        let kernel = kernels::LogMel {
            first: bands.first,
            bins: bands.weights.len() as u32,
            bands: self.bands as u32,
            scale: fixed(doubling / unit, FRACTION as i32 - 16),
            offset: fixed((added - POWER_BITS * doubling) / unit + f64::from(zero_point), 16),
        };
        let turns = [512, 1024].into_iter().flat_map(|points| (0..POINTS).map(move |j| turn(j, points)));
        let tables = twiddles().into_iter().chain(turns.flatten()).chain(logarithms()).chain(bands.weights);
        let operands = [
            site.read(0),
            site.constant(bytes_of(hamming())),
            site.constant(bytes_of(tables)),
            site.constant(bands.counts),
            Value::Scratch { bytes: 16 * POINTS },
            site.write(0),
        ];
        site.step(kernel, &operands)
    }
}
