//! The streams of [`rasbora_device::isa::paired_column`]: paired weights for one column of inputs.
//!
//! A layer with one scale of weights mostly has one multiplier and one correction that serve all outputs: these are then
//! parameters, which saves the words of both in the stream.

use std::iter::{once, repeat_n};

use rasbora_device::isa::PairedColumn;
use rasbora_device::isa::paired::SHIFT;
use rasbora_device::isa::paired_column::BLOCK;

use super::paired::{
    Bounds, Chosen, Correcting, Fit, Fitted, Layer, REACH, Steps, biases, filters, fits, lanes_of, near, nominal,
    pairable, steps, thresholds, zeros,
};
use crate::graph::bytes_of;

/// Most outputs for which multipliers on one side of the nominal one are tried, all tries together.
const MAX_FITS: usize = 1 << 16;

/// Constants of a layer for the kernel of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Streams {
    /// The `filters` of [`rasbora_device::isa::paired_column`].
    pub filters: Vec<u8>,
    /// See [`PairedColumn::multiplier`].
    pub multiplier: i32,
    /// See [`PairedColumn::correction`].
    pub correction: i32,
    /// See [`PairedColumn::zero`].
    pub zero: i32,
}

/// The streams for a layer; `None` where no proof is found or the sums leave 32 bits.
pub fn streams(layer: Layer<'_>) -> Option<Streams> {
    let filters = filters(layer).filter(|filters| filters.iter().all(|filter| pairable(filter)))?;
    let scaled = |(steps, real)| (steps, nominal(real, layer.scale, SHIFT));
    let outputs: Vec<(Steps, f64)> = thresholds(layer, &filters)?.into_iter().map(scaled).collect();
    let signed = zeros(layer.requantise, SHIFT).map(|zero| (zero, true));
    let (zero, chosen, shared) = once((0, false)).chain(signed).find_map(|(zero, split)| {
        let shared = with_one_multiplier(&outputs, layer.bias, zero, split).map(|chosen| (zero, chosen, true));
        shared.or_else(|| Some((zero, with_own_multipliers(&outputs, layer.bias, zero, split)?, false)))
    })?;
    let words = encode(&filters, &chosen, shared);
    let (multiplier, correction) = if shared { (chosen[0].multiplier, chosen[0].correction) } else { (0, 0) };
    Some(Streams { filters: bytes_of(words.into_iter().map(u32::cast_signed)), multiplier, correction, zero })
}

/// One multiplier for all outputs of a layer whose corrections need no words; `None` where there is none.
pub(super) fn one_scale(layer: Layer<'_>, filters: &[&[i8]]) -> Option<Fitted> {
    let outputs = thresholds(layer, filters)?;
    let nominal = nominal(outputs.first()?.1, layer.scale, SHIFT);
    let reach = REACH.min(MAX_FITS / outputs.len());
    let signed = zeros(layer.requantise, SHIFT).map(|zero| (zero, true));
    once((0, false)).chain(signed).find_map(|(zero, signed)| {
        let corrections = signed.then_some(layer.corrections);
        let choose = |m, ((steps, _), &bias): (&(Steps, f64), &i32)| {
            steps.fit(m, zero.into(), SHIFT, signed)?.choose(steps, bias, corrections)
        };
        let with = |m| outputs.iter().zip(layer.bias).map(|output| choose(m, output)).collect();
        near(nominal, reach).find_map(with).map(|outputs| Fitted { outputs, signed, zero, shift: SHIFT })
    })
}

/// One multiplier and one correction for all outputs, which must have the same nominal multiplier.
fn with_one_multiplier(outputs: &[(Steps, f64)], bias: &[i32], zero: i32, split: bool) -> Option<Vec<Chosen>> {
    let nominal =
        outputs.first().map(|output| output.1).filter(|first| outputs.iter().all(|(_, real)| real == first))?;
    let mut order: Vec<&Steps> = outputs.iter().map(|(steps, _)| steps).collect();
    near(nominal, REACH.min(MAX_FITS / outputs.len())).find_map(|m| {
        let correction = one_correction(&mut order, |steps| steps.fit(m, zero.into(), SHIFT, split))?;
        let correction = if split { correction.middle() } else { 0 };
        let choose = |((steps, _), &bias): (&(Steps, f64), &i32)| {
            let fit = steps.fit(m, zero.into(), SHIFT, split)?;
            let least = fit.beta.least.max(fit.negative.least - correction);
            let most = fit.beta.most.min(fit.negative.most - correction);
            let beta = Bounds { least, most }.middle();
            let only = |value| Bounds { least: value, most: value };
            let fit = Fit { beta: only(beta), negative: only(beta + correction), ..fit };
            fit.choose(steps, bias, split.then_some(Correcting::Words))
        };
        outputs.iter().zip(bias).map(choose).collect()
    })
}

/// What one correction for all outputs may be. An output that leaves nothing moves to the front, where it soon does so again.
fn one_correction(order: &mut [&Steps], fit: impl Fn(&Steps) -> Option<Fit>) -> Option<Bounds> {
    let mut all = Bounds::ALL;
    for i in 0..order.len() {
        let bounds = fit(order[i]).map(|Fit { beta, negative, .. }| Bounds {
            least: all.least.max(negative.least - beta.most),
            most: all.most.min(negative.most - beta.least),
        });
        match bounds.filter(|bounds| !bounds.is_empty()) {
            Some(bounds) => all = bounds,
            None => {
                order[..=i].rotate_right(1);
                return None;
            }
        }
    }
    Some(all)
}

/// A multiplier and a correction for each output.
fn with_own_multipliers(outputs: &[(Steps, f64)], bias: &[i32], zero: i32, split: bool) -> Option<Vec<Chosen>> {
    let choose = |((steps, nominal), &bias): (&(Steps, f64), &i32)| {
        fits(steps, *nominal, zero.into(), SHIFT, split)?.choose(steps, bias, split.then_some(Correcting::Words))
    };
    outputs.iter().zip(bias).map(choose).collect()
}

/// Block after block: biases, lanes step by step, and corrections and multipliers where they are not shared.
fn encode(filters: &[&[i8]], chosen: &[Chosen], shared: bool) -> Vec<u32> {
    let mut words = Vec::new();
    let (blocks, singles) = PairedColumn::blocks(filters.len() as u32);
    let mut output = 0;
    for width in repeat_n(BLOCK as usize, blocks as usize).chain(repeat_n(1, singles as usize)) {
        let (filters, chosen) = (&filters[output..output + width], &chosen[output..output + width]);
        words.extend(biases(filters, chosen));
        words.extend(lanes_of(filters, 0..steps(filters)));
        if !shared {
            words.extend(chosen.iter().map(|chosen| chosen.correction.cast_unsigned()));
            words.extend(chosen.iter().map(|chosen| chosen.multiplier.cast_unsigned()));
        }
        output += width;
    }
    words
}

#[cfg(test)]
mod tests {
    use rasbora_device::arithmetic::Requantise;
    use rasbora_device::isa::Portable;
    use rasbora_device::isa::paired::SCALE;
    use rasbora_device::memory::{Memory, Multiplier, Operand};
    use rasbora_device::ops::{FullyConnected, Kernel, PairedFullyConnected, Scaling, check};

    use super::*;
    use crate::ops::quantise_multiplier;

    /// The bytes that `kernel` gives for `input`.
    fn run<K: Kernel<Operands = [Operand; N]>, const N: usize>(
        kernel: &K,
        input: &[u8],
        constants: &[&[u8]],
    ) -> Vec<u8> {
        #[repr(align(16))]
        struct Aligned([u8; 8192]);
        let (mut fixed, mut arena) = (Aligned([0; 8192]), Aligned([0; 8192]));
        let (mut at, mut operands) = (0, vec![Operand::arena(0, input.len() as u32)]);
        for bytes in constants {
            fixed.0[at..at + bytes.len()].copy_from_slice(bytes);
            operands.push(Operand::constant(at as u32, bytes.len() as u32));
            at = (at + bytes.len()).next_multiple_of(16);
        }
        arena.0[..input.len()].copy_from_slice(input);
        let needs = kernel.needs();
        let out = needs.as_ref().last().expect("an output").bytes() as usize;
        operands.push(Operand::arena(4096, out as u32));
        let operands: [Operand; N] = operands.try_into().expect("as many operands as the kernel has");
        assert_eq!(check(kernel, &operands), Ok(()));
        kernel.run::<Portable>(0..kernel.rows(), Memory::new(&fixed.0, &mut arena.0), &operands);
        arena.0[4096..4096 + out].to_vec()
    }

    #[test]
    fn paired_fully_connected_equals_the_portable_kernel() {
        let mut state = 1u32;
        let mut number = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % limit
        };
        let (mut shared, mut own, mut corrected) = (0, 0, 0);
        for case in 0..60 {
            let (batch, inputs, outputs) = (1 + number(2), 4 * (1 + number(20)), 1 + number(13));
            let mut bytes = |count: u32| (0..count).map(|_| (number(255) as i32 - 127) as i8).collect::<Vec<i8>>();
            let (input, weights) = (bytes(batch * inputs), bytes(outputs * inputs));
            let bias: Vec<i32> = (0..outputs).map(|_| number(20_000) as i32 - 10_000).collect();
            let count = if case % 2 == 0 { 1 } else { outputs };
            let multiplier = |_| quantise_multiplier((1.0 + f64::from(number(1000)) / 1000.0) / 1024.0);
            let multipliers: Vec<Multiplier> = (0..count).map(multiplier).collect();
            let zero_point = if case % 3 == 0 { number(256) as i32 - 128 } else { -128 };
            let requantise = Requantise { zero_point, min: -128, max: 127 };
            let layer = Layer {
                weights: &weights,
                bias: &bias,
                multipliers: &multipliers,
                requantise,
                scale: SCALE,
                corrections: Correcting::Words,
            };
            let Some(streams) = streams(layer) else { continue };
            let Streams { filters, multiplier, correction, zero } = streams;
            shared += usize::from(multiplier != 0);
            own += usize::from(multiplier == 0);
            corrected += usize::from(correction != 0);

            let as_bytes = |values: &[i8]| values.iter().map(|value| value.cast_unsigned()).collect::<Vec<u8>>();
            let (input, weights) = (as_bytes(&input), as_bytes(&weights));
            let factors = bytes_of(multipliers.iter().flat_map(|m| [m.value, m.shift]));
            let portable = FullyConnected { batch, inputs, outputs, scaling: Scaling::twice(requantise, count) };
            let expected = run(&portable, &input, &[&weights, &bytes_of(bias), &factors]);
            let paired = PairedFullyConnected { batch, inputs, outputs, multiplier, correction, zero };
            assert_eq!(run(&paired, &input, &[&filters]), expected, "{paired:?}");
        }
        assert!(shared >= 20 && own >= 15 && corrected >= 10, "{shared} shared, {own} own, {corrected} corrected");
    }
}
