//! Fully connected: `[.., i] · [o, i]ᵀ + [o] → [n, o]`, or `[.., o]` where the leading axes are kept.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::conv2d::{Columns, Paired, check_weighted, of_rank};
use super::paired_column::{Streams, streams};
use super::{Activation, Operation};
use crate::graph::{DType, Shape, Tensor};
use crate::lower::{LowerError, Site};
use crate::optimise::Optimise;
use crate::target::InstructionSet;

/// `out = activation(bias + Σ (input + input_offset) · weights)`.
///
/// Inputs: any shape whose elements fill rows of `i`, weights `[o, i]`, bias `[o]`. An importer sets the offset to minus
/// the zero point; `fold_zero_points` moves it into the bias.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FullyConnected {
    /// The fused activation.
    pub activation: Activation,
    /// What is added to each input before it is multiplied.
    pub input_offset: i32,
    /// Whether the output has the input's leading axes, instead of one for all of them.
    pub keep_num_dims: bool,
}

impl Operation for FullyConnected {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [input, weights, _] = inputs else {
            return Err(format!("needs input, weights and bias, but has {} inputs", inputs.len()));
        };
        let [o, i] = of_rank::<2>("weights", weights)?;
        let elements = input.elements();
        if self.keep_num_dims {
            return match input.shape.split_last() {
                Some((&last, leading)) if last == i => Ok(vec![leading.iter().copied().chain([o]).collect()]),
                _ => Err(format!("needs a last axis of {i}, but '{}' has shape {:?}", input.name, input.shape)),
            };
        }
        if o == 0 || elements == 0 || elements.checked_rem(i) != Some(0) {
            return Err(format!("needs rows of {i} elements, but '{}' has shape {:?}", input.name, input.shape));
        }
        Ok(vec![vec![elements / i, o]])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let channels = outputs.first().and_then(|output| output.shape.last()).copied().unwrap_or(0);
        check_weighted(inputs, outputs, self.input_offset, channels)
    }

    fn macs(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> u64 {
        let i = inputs[1].shape.last().copied().unwrap_or(0);
        outputs[0].elements() as u64 * i as u64
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let [o, i] = of_rank::<2>("weights", site.input(1)).map_err(|reason| site.refuse(reason))?;
        let batch = (site.input(0).elements() / i.max(1)) as u32;
        let (inputs, outputs) = (i as u32, o as u32);
        let weights = site.constant_input(1)?;
        let bias = site.constant_input(2)?;
        let (input, out) = (site.read(0), site.write(0));
        if site.input(0).dtype == DType::F32 {
            let (min, max) = self.activation.range();
            let kernel = kernels::FullyConnectedF32 { batch, inputs, outputs, min, max };
            return site.step(kernel, &[input, weights, bias, out]);
        }
        site.expect_folded(self.input_offset)?;
        if site.input(0).dtype == DType::I16 {
            let values =
                site.input(1).values::<i8>().ok_or_else(|| site.refuse("has weights of another type".into()))?;
            let (channels, scaling) = site.channels(&values, self.activation)?;
            let kernel = kernels::FullyConnectedI16 { batch, inputs, outputs, scaling };
            return site.step(kernel, &[input, weights, channels, out]);
        }
        let requantise = self.activation.requantise(site.output(0)).map_err(|reason| site.refuse(reason))?;
        let values = site.input(1).values::<i8>().ok_or_else(|| site.refuse("has weights of another type".into()))?;
        if site.isa() == InstructionSet::Armv7em
            && inputs.is_multiple_of(4)
            && let Some(streams) = site.fitted(&values, requantise, streams)?
        {
            let Streams { filters, multiplier, correction, zero } = streams;
            let kernel = kernels::PairedFullyConnected { batch, inputs, outputs, multiplier, correction, zero };
            let filters = site.constant(filters);
            site.offer(kernel, &[input, filters, out])?;
        }
        let (bias, multipliers, scaling) = site.scales(&values, requantise)?;
        let kernel = kernels::FullyConnected { batch, inputs, outputs, scaling };
        site.offer(kernel, &[input, weights, bias, multipliers, out])?;
        // It is a convolution of 1×1, too, whose kernel may be linked for others.
        let (window, padding_value, groups, weights) = (pixels(batch), 0, 1, &values[..]);
        if site.isa() == InstructionSet::Armv7em {
            Paired { window, inputs, outputs, padding_value, weights, requantise }.offer(site)?;
        }
        if site.isa() == InstructionSet::Armv7em || site.optimise() == Optimise::Size {
            Columns { window, inputs, outputs, groups, padding_value, weights, requantise }.offer(site)?;
        }
        Ok(())
    }
}

/// A window of one cell over a column of `rows` cells.
const fn pixels(rows: u32) -> kernels::Window {
    let (one, none) = ([1; 2], [0; 2]);
    let image = [rows, 1];
    kernels::Window { batch: 1, input: image, output: image, kernel: one, stride: one, dilation: one, padding: none }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{constant, tensor};

    fn op(keep_num_dims: bool) -> FullyConnected {
        FullyConnected { activation: Activation::None, input_offset: 0, keep_num_dims }
    }

    fn infer(keep_num_dims: bool, input: &[usize], weights: &[usize]) -> Result<Vec<Shape>, String> {
        op(keep_num_dims).infer(&[&tensor(input), &tensor(weights), &tensor(&[0])])
    }

    #[test]
    fn leading_axes_are_joined_or_kept() {
        assert_eq!(infer(false, &[2, 3, 4], &[5, 4]), Ok(vec![vec![6, 5]]));
        assert_eq!(infer(false, &[2, 3, 4], &[5, 12]), Ok(vec![vec![2, 5]]));
        assert_eq!(infer(true, &[2, 3, 4], &[5, 4]), Ok(vec![vec![2, 3, 5]]));
        assert_eq!(op(false).macs(&[&tensor(&[6, 4]), &tensor(&[5, 4])], &[&tensor(&[6, 5])]), 120);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert!(infer(false, &[2, 5], &[3, 4]).is_err_and(|text| text.contains("rows of 4")));
        assert!(infer(false, &[2, 5], &[3, 0]).is_err());
        assert!(infer(true, &[2, 8], &[3, 4]).is_err_and(|text| text.contains("last axis of 4")));
        assert!(infer(true, &[], &[3, 4]).is_err());
        assert!(infer(false, &[2, 4], &[3, 4, 1]).is_err_and(|text| text.contains("rank 2")));
    }

    #[test]
    fn a_bias_of_another_length_is_refused() {
        let (input, weights, out) = (tensor(&[1, 4]), constant(&[5, 4], DType::I8), tensor(&[1, 5]));
        let check = |bias: usize| op(false).check(&[&input, &weights, &constant(&[bias], DType::I32)], &[&out]);
        assert_eq!(check(5), Ok(()));
        assert!(check(4).is_err_and(|text| text.contains("bias of 5")));
    }
}
