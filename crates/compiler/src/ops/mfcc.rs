//! Mel-frequency cepstral coefficients of a clip, divided by its peak, as the keyword benchmark computes them.
//!
//! Frames of `window` samples, one each `stride`, under a Hann window; magnitudes of a transform of 512; `bands` mel bands
//! from `low` to `high` Hz; `ln(x + 10⁻⁶)`; the first `coefficients` of the DCT-II, all scaled by `√(2 / bands)`; and
//! `trunc(x / scale + zero point)` in the output's quantisation.

use std::f64::consts::{LN_2, PI};

use rasbora_device::cepstrum::FRACTION;
use rasbora_device::ops as kernels;
use rasbora_device::ops::mfcc::FRAME;
use rasbora_device::spectrum::POINTS;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::mel::{Bands, fixed, logarithms, roots, turn, twiddles};
use super::quantised::{affine, expect_dtype};
use crate::graph::{DType, Shape, Tensor, bytes_of};
use crate::lower::{LowerError, Site, Value};

/// `samples [n], peak [1] → [frames, coefficients]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Mfcc {
    /// Samples a second.
    pub rate: u32,
    /// Samples of a frame; at most 512.
    pub window: usize,
    /// Samples from one frame to the next.
    pub stride: usize,
    /// Mel bands.
    pub bands: usize,
    /// Lower edge of the first band in Hz.
    pub low: f32,
    /// Upper edge of the last band in Hz.
    pub high: f32,
    /// Coefficients that are kept.
    pub coefficients: usize,
}

impl Mfcc {
    fn frames(&self, samples: usize) -> Option<usize> {
        let frames = samples.checked_sub(self.window)?.checked_div(self.stride)?.checked_add(1)?;
        // The transform reads past the window.
        let end = (frames - 1).checked_mul(self.stride)?.checked_add(FRAME as usize)?;
        (end <= samples && (1..=FRAME as usize).contains(&self.window)).then_some(frames)
    }

    fn mel_bands(&self) -> Result<Bands, String> {
        Bands::new(self.bands, [self.low, self.high], self.rate, FRAME)
    }

    /// The DCT-II times what a doubling of a band's energy is in the output.
    fn cosines(&self, scale: f32) -> Vec<i32> {
        let of_coefficient = |c: usize| {
            // The reference scales the first coefficient as the others.
            let norm = (2.0 / self.bands as f64).sqrt();
            // The kernel has sums in the lower bands' places, and differences in the upper ones'.
            let first = if c.is_multiple_of(2) { 0 } else { self.bands / 2 };
            (first..first + self.bands / 2).map(move |b| {
                let cosine = (PI * c as f64 * (b as f64 + 0.5) / self.bands as f64).cos();
                fixed(norm * cosine * LN_2 / f64::from(scale), FRACTION as i32 - 16)
            })
        };
        (0..self.coefficients).flat_map(of_coefficient).collect()
    }

    /// A periodic Hann window in Q13, filled up with zeros.
    fn hann(&self) -> Vec<i16> {
        let value = |n: usize| 0.5 - 0.5 * (2.0 * PI * n as f64 / self.window as f64).cos();
        let mut window: Vec<i16> = (0..self.window).map(|n| fixed(value(n), 13) as i16).collect();
        window.resize(FRAME as usize, 0);
        window
    }
}

impl Operation for Mfcc {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [samples, _] = inputs else {
            return Err(format!("needs samples and their peak, but has {} inputs", inputs.len()));
        };
        match (samples.shape.as_slice(), samples.shape.first().and_then(|&count| self.frames(count))) {
            ([_], Some(frames)) if self.coefficients <= self.bands => Ok(vec![vec![frames, self.coefficients]]),
            (shape, _) => {
                Err(format!("takes no frames of {} every {} from samples of shape {shape:?}", self.window, self.stride))
            }
        }
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([samples, peak], [output]) = (inputs, outputs) else {
            return Err("needs two inputs and one output".into());
        };
        if !self.bands.is_multiple_of(2) {
            return Err(format!("has {} bands, but needs an even number", self.bands));
        }
        expect_dtype("samples", samples, DType::I16)?;
        expect_dtype("a peak", peak, DType::I32)?;
        if peak.elements() != 1 {
            return Err(format!("needs one peak, but '{}' has {}", peak.name, peak.elements()));
        }
        expect_dtype("an output", output, DType::I8)?;
        let (scale, _) = affine(output)?;
        if scale < 0.05 {
            return Err(format!("has output scale {scale}, but 0.05 is the least that it computes with"));
        }
        self.mel_bands().map(|_| ())
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let refuse = |site: &Site<'_>, reason| site.refuse(reason);
        let bands = self.mel_bands().map_err(|reason| refuse(site, reason))?;
        let (scale, zero_point) = affine(site.output(0)).map_err(|reason| refuse(site, reason))?;
        let (samples, frames) = (site.input(0).elements(), site.output(0).shape.first().copied().unwrap_or(0));
        let kernel = kernels::Mfcc {
            frames: frames as u32,
            samples: samples as u32,
            stride: self.stride as u32,
            first: bands.first,
            bins: bands.weights.len() as u32,
            bands: self.bands as u32,
            coefficients: self.coefficients as u32,
            zero_point,
        };
        let turns = (bands.first as usize..).map(|bin| turn(bin, FRAME as usize));
        let bins = turns.zip(&bands.weights).flat_map(|([cos, sin], &weight)| [cos, sin, weight]);
        let tables = twiddles().into_iter().chain(roots()).chain(logarithms()).chain(bins).chain(self.cosines(scale));
        let operands = [
            site.read(0),
            site.read(1),
            site.constant(bytes_of(self.hann())),
            site.constant(bytes_of(tables)),
            site.constant(bands.counts),
            Value::Scratch { bytes: 8 * POINTS + 4 * (self.bands + 1) },
            site.write(0),
        ];
        site.step(kernel, &operands)
    }
}
