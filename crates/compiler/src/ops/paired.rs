//! Requantisation in three instructions, proven equal to TFLite's double rounding, and the streams of paired weights.
//!
//! The kernels of [`rasbora_device::isa::paired`] compute `y = saturate((hi(a · m) + zero) >> shift)` with
//! `a = scale·sum + β`.
//! TFLite's output is a monotone step function of the sum, so it is known by its thresholds `Tⱼ`, the least sum whose output
//! is at least `j`. With `Cⱼ = ⌈(2ˢʰⁱᶠᵗ·j − zero)·2³² / m⌉` the kernel's output is at least `j` just where `a ≥ Cⱼ`: both are equal
//! for every sum in the layer's range exactly if `max(Cⱼ − scale·Tⱼ) ≤ β ≤ min(Cⱼ − scale·Tⱼ) + scale − 1`. The search tries `m` near
//! its nominal value; equal thresholds are the proof.
//!
//! TFLite rounds half away from zero, which moves the thresholds of negative sums. Where the activation does not cut them
//! off, `β` is another for negative sums, by a correction of each output: about `−2·β`, as what is rounded half away from zero
//! is symmetric.

use std::cell::Cell;
use std::ops::Range;

use rasbora_device::arithmetic::{Requantise, multiply};
use rasbora_device::isa::Paired;
use rasbora_device::isa::paired::{self, FINE_SHIFT, OFFSET, SCALE, SHIFT, pair};
use rasbora_device::isa::planes;
use rasbora_device::isa::quads::{self, GRAIN, lanes};
use rasbora_device::memory::Multiplier;
use rasbora_device::ops::{Corrections, Scaling};

use super::paired_column;

use crate::graph::bytes_of;

/// How far from the nominal multiplier the search goes.
pub(super) const REACH: usize = 200;

/// Most outputs of a layer. Their thresholds take 4 KB each, which a hostile file shall not fill the memory with.
const MAX_OUTPUTS: usize = 1 << 13;

/// A layer's outputs: weights `[o][taps]`, biases, multipliers (one an output or one for all).
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Weights of all outputs, one after the other.
    pub weights: &'a [i8],
    /// Biases, zero points folded in.
    pub bias: &'a [i32],
    /// Multipliers.
    pub multipliers: &'a [Multiplier],
    /// Zero point and range of the output.
    pub requantise: Requantise,
    /// What the kernel's accumulators are scaled by.
    pub scale: i64,
    /// What corrections may be.
    pub corrections: Correcting,
}

/// What corrections may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correcting {
    /// Any words.
    Words,
    /// Bytes, times [`GRAIN`].
    Bytes,
    /// `−2·β`: see [`mirrored`](rasbora_device::isa::paired::mirrored).
    Mirrored,
}

/// Constants of a layer for the kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct Streams {
    /// The `filters` of [`rasbora_device::isa::paired`], [`rasbora_device::isa::quads`] or
    /// [`rasbora_device::isa::planes`].
    pub filters: Vec<u8>,
    /// See [`Paired::signed`].
    pub signed: bool,
    /// See [`Paired::zero`].
    pub zero: i32,
    /// See [`Paired::shift`].
    pub shift: u8,
}

/// How the sums of a layer become its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Scales {
    /// The kernel's parameters.
    pub scaling: Scaling,
    /// The kernel's biases.
    pub bias: Vec<i32>,
    /// The words of the kernel's multipliers.
    pub multipliers: Vec<i32>,
}

/// A multiplier of one output, with what `β` may be for sums that are not negative and for those that are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    pub(super) multiplier: i32,
    pub(super) beta: Bounds,
    pub(super) negative: Bounds,
}

/// What one output's constants are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) multiplier: i32,
    /// The layer's bias, scaled, and `β`.
    pub(super) bias: i32,
    pub(super) correction: i32,
}

/// An interval of integers, empty where `least > most`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Bounds {
    pub(super) const ALL: Self = Self { least: -(1 << 40), most: 1 << 40 };

    pub(super) fn is_empty(self) -> bool {
        self.least > self.most
    }
}

/// The thresholds of one output: pairs `(j, Tⱼ)` for sums in `range`; `range.most + 1` where `j` is never reached.
pub(super) struct Steps {
    thresholds: Vec<(i64, i64)>,
    pub(super) range: Bounds,
    /// The output, where there is just one sum: all weights are 0.
    constant: Option<i64>,
    scale: i64,
}

impl Steps {
    /// `None` where a sum times a left shift leaves 32 bits: then TFLite's arithmetic is not monotone.
    fn new(range: Bounds, multiplier: Multiplier, layer: Layer<'_>) -> Option<Self> {
        let left = multiplier.shift.max(0);
        let fits = |sum: i64| sum.checked_mul(1 << left).is_some_and(|sum| i32::try_from(sum).is_ok());
        if left > 30 || !fits(range.least) || !fits(range.most) || multiplier.value < 0 {
            return None;
        }
        let output = |sum: i64| i64::from(layer.requantise.clamp(multiply(sum as i32, multiplier)));
        let constant = (range.least == range.most).then(|| output(range.least));
        let mut thresholds = Vec::with_capacity(255);
        let (mut from, end) = (range.least, range.most + 1);
        for j in -127..=127 {
            let real = (j - i64::from(layer.requantise.zero_point)) as f64 - 0.5;
            from = match j {
                _ if j <= layer.requantise.min.into() => from,
                _ if j > layer.requantise.max.into() => end,
                _ => first((real / real_of(multiplier)).round() as i64, from..end, |sum| output(sum) >= j),
            };
            thresholds.push((j, from));
        }
        Some(Self { thresholds, range, constant, scale: layer.scale })
    }

    /// What `β` may be with multiplier `m` and [`Paired::zero`], if there is any. Without `split` one `β` must serve sums
    /// that are negative and those that are not.
    pub(super) fn fit(&self, m: i64, zero: i64, shift: u32, split: bool) -> Option<Fit> {
        let Bounds { least, most } = self.range;
        // With `split`, the sign of the biased sum must be that of the sum.
        let mut beta = if split { Bounds { least: 0, most: self.scale - 1 } } else { Bounds::ALL };
        let mut negative = Bounds::ALL;
        let first = if split { least.max(0) } else { least };
        for &(j, threshold) in &self.thresholds {
            let reached = reach(j, m, zero, shift);
            // On each side the least sum at the threshold reaches `j`, and the largest before it does not: the clamp of an
            // activation may have left a side without any threshold.
            for (side, from, to) in [(&mut beta, first, most), (&mut negative, least, most.min(first - 1))] {
                let (at, before) = (threshold.max(from), (threshold - 1).min(to));
                if at <= to {
                    side.least = side.least.max(reached - self.scale * at);
                }
                if before >= from {
                    side.most = side.most.min(reached - self.scale * before - 1);
                }
            }
            if beta.is_empty() || negative.is_empty() {
                return None;
            }
        }
        // The scaled sums must not leave 32 bits.
        let room =
            Bounds { least: i64::from(i32::MIN) - self.scale * least, most: i64::from(i32::MAX) - self.scale * most };
        let possible = |bounds: Bounds| bounds.least <= room.most && room.least <= bounds.most;
        (possible(beta) && possible(negative)).then_some(Fit { multiplier: m as i32, beta, negative })
    }
}

/// `Cⱼ`, the least `a` whose output is at least `j`.
fn reach(j: i64, m: i64, zero: i64, shift: u32) -> i64 {
    (((j << shift) - zero) << 32).div_ceil_exact(m)
}

impl Chosen {
    /// Constants that give `value` where there is no sum, whatever the bias was: it may be too large to be scaled.
    fn constant(value: i64, zero: i64, shift: u32) -> Self {
        const MULTIPLIER: i32 = 1 << 24;
        let [least, most] = [value, value + 1].map(|j| reach(j, MULTIPLIER.into(), zero, shift));
        Self { multiplier: MULTIPLIER, bias: ((least + most) / 2) as i32, correction: 0 }
    }
}

/// The least of `range` where `holds`, which from there on does; else its end. Looks around `guess` in growing steps.
fn first(guess: i64, range: Range<i64>, holds: impl Fn(i64) -> bool) -> i64 {
    let (mut below, mut above) = (range.start - 1, range.end);
    let (mut at, mut step) = (guess, 1);
    while above - below > 1 {
        if !(below < at && at < above) {
            at = below + (above - below) / 2;
        }
        (below, above, at) = if holds(at) { (below, at, at - step) } else { (at, above, at + step) };
        step *= 2;
    }
    above
}

/// The multiplier as a real number.
fn real_of(multiplier: Multiplier) -> f64 {
    f64::from(multiplier.value) * 2f64.powi(multiplier.shift - 31)
}

trait DivCeil {
    /// `⌈self / divisor⌉` for a positive divisor.
    fn div_ceil_exact(self, divisor: Self) -> Self;
}

impl DivCeil for i64 {
    fn div_ceil_exact(self, divisor: i64) -> i64 {
        -(-self).div_euclid(divisor)
    }
}

/// How the outputs of a layer are requantised.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) outputs: Vec<Chosen>,
    pub(super) signed: bool,
    pub(super) zero: i32,
    pub(super) shift: u32,
}

/// The streams of paired weights for a layer; `None` where no proof is found or the sums leave 32 bits.
pub fn streams(layer: Layer<'_>) -> Option<Streams> {
    let filters =
        filters(layer).filter(|filters| filters.len() >= 2 && filters.iter().all(|filter| pairable(filter)))?;
    let mut fitted = fit(layer, &filters, &shifts(paired::SHIFTS))?;
    let words = encode(&filters, &mut fitted);
    Some(fitted.streams(words))
}

/// Biases and multipliers of a layer's outputs, and how the kernels that compute plain sums use them: rounded once where
/// that is proven to give the same bytes.
pub fn scales(layer: Layer<'_>) -> Scales {
    let multipliers = layer.multipliers.len() as u32;
    let layer = Layer { corrections: Correcting::Mirrored, ..layer };
    let fitted = filters(layer).and_then(|filters| match layer.multipliers {
        [_] => paired_column::one_scale(layer, &filters),
        _ => fit(layer, &filters, &[FINE_SHIFT, SHIFT]),
    });
    let Some(Fitted { outputs, signed, zero, shift }) = fitted else {
        let scaling = Scaling::twice(layer.requantise, multipliers);
        let words = layer.multipliers.iter().flat_map(|&Multiplier { value, shift }| [value, shift]);
        return Scales { scaling, bias: layer.bias.to_vec(), multipliers: words.collect() };
    };
    let scaling = Scaling { once: true, signed, multipliers, zero, shift, ..Scaling::twice(layer.requantise, 1) };
    let (bias, mut words): (_, Vec<i32>) = outputs.iter().map(|chosen| (chosen.bias, chosen.multiplier)).unzip();
    words.truncate(multipliers as usize);
    Scales { scaling, bias, multipliers: words }
}

/// The streams of [`rasbora_device::isa::quads`] for a depthwise layer of at least four outputs; `None` where no proof is
/// found or the sums leave 32 bits.
pub fn quad_streams(layer: Layer<'_>) -> Option<(Streams, Corrections)> {
    let filters = filters(layer)?;
    let last = filters.len().checked_sub(4)?;
    let with = |corrections| fit(Layer { corrections, ..layer }, &filters, &shifts(quads::SHIFTS));
    let (fitted, corrections) = match with(Correcting::Bytes) {
        Some(fitted) if fitted.signed => (fitted, Corrections::Bytes),
        Some(fitted) => (fitted, Corrections::None),
        None => (with(Correcting::Words)?, Corrections::Words),
    };
    let mut words: Vec<u32> = Vec::new();
    for first in (0..filters.len()).step_by(4) {
        let first = first.min(last);
        words.extend(fitted.outputs[first..][..4].iter().map(|chosen| chosen.bias.cast_unsigned()));
        let taps = filters[first].len();
        words.extend((0..taps).map(|tap| lanes([0, 1, 2, 3].map(|o| filters[first + o][tap]))));
        let of_quad = [0, 1, 2, 3].map(|o| fitted.outputs[first + o].correction);
        match corrections {
            Corrections::None => {}
            Corrections::Bytes => words.push(u32::from_le_bytes(of_quad.map(|correction| (correction / GRAIN) as u8))),
            Corrections::Words => words.extend(of_quad.map(i32::cast_unsigned)),
        }
        words.extend(fitted.outputs[first..][..4].iter().map(|chosen| chosen.multiplier.cast_unsigned()));
    }
    Some((fitted.streams(words), corrections))
}

/// Whether the lanes of `filter` have 16 bits: `256·w₀ + w₁ ≥ −2¹⁵`.
pub(super) fn pairable(filter: &[i8]) -> bool {
    !filter.chunks_exact(2).any(|pair| pair[0] == i8::MIN && pair[1] < 0)
}

/// The streams of [`rasbora_device::isa::planes`] for a depthwise 3×3 layer of at least four outputs, and
/// [`Planes::factor`](rasbora_device::isa::Planes::factor); `None` where no proof is found or the sums leave 32 bits.
pub fn plane_streams(layer: Layer<'_>) -> Option<(Streams, u8)> {
    let last = layer.bias.len().checked_sub(4)?;
    plane_words(layer, (0..layer.bias.len()).step_by(4).flat_map(|first| first.min(last)..first.min(last) + 4))
}

/// As [`plane_streams`], of a layer whose outputs all read one input channel.
pub fn plane_stream(layer: Layer<'_>) -> Option<(Streams, u8)> {
    plane_words(layer, 0..layer.bias.len())
}

/// The words of `outputs`.
fn plane_words(layer: Layer<'_>, outputs: impl Iterator<Item = usize>) -> Option<(Streams, u8)> {
    let filters = filters(layer)?;
    let (fitted, factor) = planes::FACTORS.into_iter().find_map(|factor| {
        let scale = SCALE * i64::from(factor);
        Some((fit(Layer { scale, ..layer }, &filters, &[FINE_SHIFT])?, factor))
    })?;
    let mut words: Vec<u32> = Vec::new();
    for o in outputs {
        words.extend(filters[o].as_chunks().0.iter().map(|&row| planes::taps(row)));
        let Chosen { multiplier, bias, correction } = fitted.outputs[o];
        words.extend([bias, multiplier].map(i32::cast_unsigned));
        words.extend(fitted.signed.then_some(correction.cast_unsigned()));
    }
    Some((fitted.streams(words), factor))
}

/// The multiplier of accumulators that are scaled by `scale`, as a real number: `hi()` divides by 2³².
pub(super) fn nominal(real: f64, scale: i64, shift: u32) -> f64 {
    real * 2f64.powi(32 + shift as i32) / scale as f64
}

/// The weights of each output.
pub(super) fn filters(layer: Layer<'_>) -> Option<Vec<&[i8]>> {
    let taps = layer.weights.len().checked_div(layer.bias.len()).filter(|&taps| taps > 0)?;
    if layer.bias.len() > MAX_OUTPUTS {
        return None;
    }
    Some(layer.weights.chunks_exact(taps).collect())
}

pub(super) fn fit(layer: Layer<'_>, filters: &[&[i8]], shifts: &[u32]) -> Option<Fitted> {
    let outputs = thresholds(layer, filters)?;
    let hardest = Cell::new(0);
    // Corrections take cycles and constants: they come last.
    [false, true]
        .into_iter()
        .find_map(|split| shifts.iter().find_map(|&shift| fit_shift(layer, &outputs, (shift, split), &hardest)))
}

/// The thresholds of each output and its multiplier as a real number.
pub(super) fn thresholds(layer: Layer<'_>, filters: &[&[i8]]) -> Option<Vec<(Steps, f64)>> {
    let output = |(o, (filter, &bias)): (usize, (&&[i8], &i32))| {
        let multiplier = *layer.multipliers.get(o).or(layer.multipliers.first())?;
        let steps = Steps::new(sum_range(filter, bias), multiplier, layer)?;
        Some((steps, real_of(multiplier)))
    };
    filters.iter().zip(layer.bias).enumerate().map(output).collect()
}

/// `outputs` are the thresholds of each output and its multiplier as a real number. The output without a proof is likely
/// to be the same for the next shift: it is tried first.
fn fit_shift(
    layer: Layer<'_>,
    outputs: &[(Steps, f64)],
    (shift, split): (u32, bool),
    hardest: &Cell<usize>,
) -> Option<Fitted> {
    let choose = |zero: i32| {
        let output = |o: usize| {
            let ((steps, real), &bias) = (outputs.get(o)?, layer.bias.get(o)?);
            if let Some(value) = steps.constant {
                return Some(Chosen::constant(value, zero.into(), shift));
            }
            let fit =
                |m| steps.fit(m, zero.into(), shift, split)?.choose(steps, bias, split.then_some(layer.corrections));
            near(nominal(*real, layer.scale, shift), REACH).find_map(fit)
        };
        output(hardest.get())?;
        let chosen = |o: usize| {
            output(o).or_else(|| {
                hardest.set(o);
                None
            })
        };
        let outputs = (0..outputs.len()).map(chosen).collect::<Option<Vec<_>>>()?;
        Some(Fitted { outputs, signed: split, zero, shift })
    };
    if split { zeros(layer.requantise, shift).find_map(choose) } else { choose(0) }
}

impl Fit {
    /// `None` where a sum leaves 32 bits, or corrections, where there are any, do not fit.
    pub(super) fn choose(self, steps: &Steps, bias: i32, corrections: Option<Correcting>) -> Option<Chosen> {
        let (middle, grain) = (self.beta.middle(), i64::from(GRAIN));
        let wanted = self.negative.middle() - middle;
        let byte = (wanted + grain / 2).div_euclid(grain);
        let shifted = |correction: i64| (self.negative.least - correction, self.negative.most - correction, correction);
        // What β may be that is also right for negative sums, with the correction.
        let (least, most, correction) = match corrections {
            None => (middle, middle, 0),
            Some(Correcting::Words) => shifted(wanted),
            Some(Correcting::Bytes) => shifted(grain * i64::from(i8::try_from(byte).ok()?)),
            Some(Correcting::Mirrored) => (-self.negative.most, -self.negative.least, 0),
        };
        let (least, most) = (least.max(self.beta.least), most.min(self.beta.most));
        if least > most {
            return None;
        }
        let beta = middle.max(least).min(most);
        let correction = if corrections == Some(Correcting::Mirrored) { -2 * beta } else { correction };
        let scaled = |sum: i64| i32::try_from(steps.scale * sum + beta).ok();
        let correction = i32::try_from(correction).ok()?;
        let corrected = |sum: i64| scaled(sum)?.checked_add(correction);
        corrected(steps.range.least).and(corrected(steps.range.most))?;
        Some(Chosen { multiplier: self.multiplier, bias: scaled(bias.into())?, correction })
    }
}

impl Fitted {
    /// What follows the weights of a block: corrections where there are any, multipliers.
    fn tail(&self, outputs: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let outputs = self.outputs.get(outputs).unwrap_or_default().iter();
        let signed = outputs.clone().filter(|_| self.signed).map(|chosen| chosen.correction.cast_unsigned());
        signed.chain(outputs.map(|chosen| chosen.multiplier.cast_unsigned()))
    }

    fn streams(&self, words: Vec<u32>) -> Streams {
        Streams {
            filters: bytes_of(words.into_iter().map(u32::cast_signed)),
            signed: self.signed,
            zero: self.zero,
            shift: self.shift as u8,
        }
    }
}

impl Bounds {
    /// The middle, which is farthest from both ends; where an end is open, what is nearest to 0.
    pub(super) fn middle(self) -> i64 {
        if self.least == Self::ALL.least || self.most == Self::ALL.most {
            return 0.max(self.least).min(self.most);
        }
        self.least + (self.most - self.least) / 2
    }
}

/// All that a layer may be shifted by, the fastest first.
fn shifts(known: Range<u32>) -> Vec<u32> {
    let fastest = [FINE_SHIFT, SHIFT];
    fastest.into_iter().chain(known.filter(|shift| !fastest.contains(shift))).collect()
}

/// What [`Paired::zero`] may be where negative sums are corrected.
///
/// Half a step for rounding cannot be in the biases, which must leave the sign of a sum as it is: 0 ≤ β ≤ 255. A little more
/// moves every β down, where one is too large.
pub(super) fn zeros(requantise: Requantise, shift: u32) -> impl Iterator<Item = i32> {
    let zero = (requantise.zero_point << shift) + (1 << (shift - 1));
    [0, 1, 2, 3, 4, 6, 8, 12, 16].into_iter().map(move |more| zero + more)
}

/// The interval of sums that int8 inputs can make.
fn sum_range(filter: &[i8], bias: i32) -> Bounds {
    let mut range = Bounds { least: bias.into(), most: bias.into() };
    for &weight in filter {
        let (low, high) = (-128 * i64::from(weight), 127 * i64::from(weight));
        range.least += low.min(high);
        range.most += low.max(high);
    }
    range
}

/// The multiplier nearest to `nominal` for which there is a `β`.
pub(super) fn fits(steps: &Steps, nominal: f64, zero: i64, shift: u32, split: bool) -> Option<Fit> {
    near(nominal, REACH).find_map(|m| steps.fit(m, zero, shift, split))
}

/// Multipliers at most `reach` from `nominal`, the nearest first.
pub(super) fn near(nominal: f64, reach: usize) -> impl Iterator<Item = i64> {
    let nominal = nominal.round() as i64;
    let near = (0..=reach as i64).flat_map(move |distance| [nominal - distance, nominal + distance]);
    near.filter(|m| (1..=i64::from(i32::MAX)).contains(m))
}

/// The biases of a block of outputs, without what its lanes add.
pub(super) fn biases(block: &[&[i8]], chosen: &[Chosen]) -> impl Iterator<Item = u32> {
    block.iter().zip(chosen).map(|(filter, chosen)| {
        let odd: i32 = filter.iter().skip(1).step_by(2).map(|&weight| i32::from(weight)).sum();
        chosen.bias.wrapping_sub(OFFSET * odd).cast_unsigned()
    })
}

/// The lanes of a block of outputs, step by step.
pub(super) fn lanes_of(block: &[&[i8]], steps: impl Iterator<Item = usize>) -> impl Iterator<Item = u32> {
    let weight = |filter: &[i8], i: usize| filter.get(i).copied().unwrap_or_default();
    steps.flat_map(move |step| {
        block.iter().map(move |filter| pair(std::array::from_fn(|i| weight(filter, 4 * step + i))))
    })
}

/// Steps of a filter.
pub(super) fn steps(filters: &[&[i8]]) -> usize {
    filters.first().map_or(0, |filter| filter.len()).div_ceil(4)
}

/// The stream of [`rasbora_device::isa::paired`].
fn encode(filters: &[&[i8]], fitted: &mut Fitted) -> Vec<u32> {
    let mut words: Vec<u32> = Vec::new();
    let steps = steps(filters) as u32;
    let lanes = Paired::lanes(filters.len() as u32) as usize;
    let (mut filters, outputs) = (filters.to_vec(), filters.len() as u32);
    filters.resize(lanes, &[]);
    fitted.outputs.resize(lanes, Chosen { multiplier: 0, bias: 0, correction: 0 });
    for chunk in Paired::chunks(steps) {
        let mut output = 0;
        for width in Paired::widths(outputs) {
            let block = output..output + width;
            let filters = &filters[block.clone()];
            if chunk.start == 0 {
                words.extend(biases(filters, &fitted.outputs[block.clone()]));
            }
            words.extend(lanes_of(filters, chunk.clone().map(|step| step as usize)));
            if chunk.end == steps {
                words.extend(fitted.tail(block));
            }
            output += width;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use rasbora_device::isa::paired::{Rounding, mirrored};

    use crate::ops::quantise_multiplier;

    /// Every sum near a threshold, and many others, by the kernel's formula against TFLite's.
    fn check(real: f64, zero_point: i32, min: i8, sums: i32) -> bool {
        let (multiplier, requantise) = (quantise_multiplier(real), Requantise { zero_point, min, max: 127 });
        // Two taps of 127 and a bias spread the sums enough; the range is what counts.
        let weights: Vec<i8> = (0..2 * 64).map(|i| if i % 2 == 0 { 127 } else { -127 }).collect();
        let layer = Layer {
            weights: &weights,
            bias: &[sums, -sums],
            multipliers: &[multiplier],
            requantise,
            scale: 256,
            corrections: Correcting::Words,
        };
        let Some(streams) = streams(layer) else { return false };
        let words: Vec<i32> =
            streams.filters.chunks(4).map(|word| i32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
        let odd: i32 = weights[..64].iter().skip(1).step_by(2).map(|&w| i32::from(w)).sum();
        for (o, bias) in [(0, sums), (1, -sums)] {
            let range = sum_range(&weights[..64], bias);
            let beta = i64::from(words[o]) + i64::from(OFFSET) * i64::from(odd) - 256 * i64::from(bias);
            // Two outputs are a block of three lanes.
            let m = words[words.len() - 3 + o];
            let correction = if streams.signed { words[words.len() - 6 + o] } else { 0 };
            let rounding = Rounding { zero: streams.zero, shift: streams.shift.into() };
            for sum in (range.least..=range.most).step_by(7) {
                let found = rasbora_device::isa::paired::requantise((256 * sum + beta) as i32, m, correction, rounding);
                assert_eq!(found, requantise.apply(sum as i32, multiplier), "real {real}, sum {sum}");
            }
        }
        true
    }

    #[test]
    fn fitted_requantisation_equals_double_rounding() {
        let mut fitted = 0;
        for i in 0..40 {
            let real = 2f64.powf(-4.0 - f64::from(i) / 6.0) * 0.97;
            fitted += usize::from(check(real, -128, -128, 100));
            fitted += usize::from(check(real, 4, -128, 3000));
            // No line bends at a zero point above the least output.
            assert!(!check(real, -5, -5, 3000));
        }
        assert!(fitted >= 76, "only {fitted} of 80 were fitted");
    }

    #[test]
    fn mirrored_sums_equal_double_rounding() {
        let weights: Vec<i8> = (0..2 * 64).map(|i| if i % 2 == 0 { 127 } else { -127 }).collect();
        let (requantise, bias) = (Requantise { zero_point: 4, min: -128, max: 127 }, [3000, -3000]);
        let mut fitted = 0;
        for i in 0..40 {
            let real = 2f64.powf(-4.0 - f64::from(i) / 6.0) * 0.97;
            let multipliers = [1.0, 0.7].map(|factor| quantise_multiplier(factor * real));
            let multipliers = &multipliers[i as usize % 2..];
            let (scale, corrections) = (SCALE, Correcting::Words);
            let found = scales(Layer { weights: &weights, bias: &bias, multipliers, requantise, scale, corrections });
            let Scaling { once: true, signed, zero, shift, .. } = found.scaling else { continue };
            assert!(signed && found.multipliers.len() == multipliers.len());
            fitted += 1;
            for (o, bias) in bias.into_iter().enumerate() {
                let range = sum_range(&weights[..64], 0);
                for sum in (range.least as i32..=range.most as i32).step_by(7) {
                    let scaled = mirrored(256 * sum + found.bias[o]);
                    let m = found.multipliers[o.min(multipliers.len() - 1)];
                    let output = rasbora_device::isa::paired::requantise(scaled, m, 0, Rounding { zero, shift });
                    let expected = requantise.apply(sum + bias, multipliers[o.min(multipliers.len() - 1)]);
                    assert_eq!(output, expected, "real {real}, output {o}, sum {sum}");
                }
            }
        }
        assert!(fitted >= 38, "only {fitted} of 40 were fitted");
    }

    #[test]
    fn an_output_without_weights_is_its_constant() {
        // Its bias is too large to be scaled, as TFLite writes biases of channels that training has switched off.
        let weights = [0, 0, 0, 0, 50, -20, 30, 7];
        let multipliers = [quantise_multiplier(1e-7), quantise_multiplier(0.01)];
        for (bias, zero_point) in [(-200_000_000, -128), (300_000_000, -128), (200_000_000, 5)] {
            let requantise = Requantise { zero_point, min: -128, max: 127 };
            let layer = Layer {
                weights: &weights,
                bias: &[bias, 100],
                multipliers: &multipliers,
                requantise,
                scale: SCALE,
                corrections: Correcting::Words,
            };
            let streams = streams(layer).expect("streams");
            let words: Vec<i32> = streams.filters.as_chunks().0.iter().map(|&word| i32::from_le_bytes(word)).collect();
            let [constant, multiplier] = [words[0], words[words.len() - 3]];
            let correction = if streams.signed { words[words.len() - 6] } else { 0 };
            let rounding = Rounding { zero: streams.zero, shift: streams.shift.into() };
            let found = rasbora_device::isa::paired::requantise(constant, multiplier, correction, rounding);
            assert_eq!(found, requantise.apply(bias, multipliers[0]), "bias {bias}, zero point {zero_point}");
        }
    }

    #[test]
    fn lanes_must_have_16_bits() {
        assert!(pairable(&[-128, 0, 1, -128, -128, 127, -128]));
        assert!(!pairable(&[1, 2, -128, -1]));
    }
}
