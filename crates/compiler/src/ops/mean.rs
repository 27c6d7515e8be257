//! Mean over any axes, which the output drops or keeps with size 1.

use rasbora_device::memory::Multiplier;
use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::quantised::{affine, expect_dtype, quantise_multiplier};
use crate::graph::{DType, MAX_RANK, Shape, Tensor};
use crate::lower::{LowerError, Site};

/// The mean over `axes`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Mean {
    /// The axes that are summed, each once or several times, in any order.
    pub axes: Vec<usize>,
    /// Whether they stay, with size 1.
    pub keep_dims: bool,
}

impl Operation for Mean {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [input] = inputs else { return Err(format!("needs one input, but has {}", inputs.len())) };
        let rank = input.shape.len();
        if rank > MAX_RANK {
            return Err(format!("needs at most {MAX_RANK} axes, but '{}' has {rank}", input.name));
        }
        if let Some(axis) = self.axes.iter().find(|&&axis| axis >= rank) {
            return Err(format!("has an axis {axis}, but '{}' has {rank} axes", input.name));
        }
        if input.elements() == 0 {
            return Err(format!("needs elements, but '{}' has shape {:?}", input.name, input.shape));
        }
        let kept = input.shape.iter().enumerate().filter_map(|(axis, &size)| match self.axes.contains(&axis) {
            false => Some(size),
            true => self.keep_dims.then_some(1),
        });
        Ok(vec![kept.collect()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([input], [output]) = (inputs, outputs) else {
            return Err(format!("needs one input, but has {}", inputs.len()));
        };
        expect_dtype("an output", output, input.dtype)?;
        match input.dtype {
            DType::F32 => Ok(()),
            DType::I8 | DType::I16 => affine(input).and(affine(output)).map(|_| ()),
            _ => expect_dtype("an input", input, DType::I8),
        }
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let sizes = alternate(&site.input(0).shape, &self.axes);
        let operands = [site.read(0), site.write(0)];
        if site.input(0).dtype == DType::F32 {
            return site.step(kernels::MeanF32 { sizes }, &operands);
        }
        let (scale, input_zero_point) = affine(site.input(0)).map_err(|reason| site.refuse(reason))?;
        let (out_scale, zero_point) = affine(site.output(0)).map_err(|reason| site.refuse(reason))?;
        let summands = [sizes[1], sizes[3], sizes[5]].iter().fold(1u64, |product, &n| product.saturating_mul(n.into()));
        let multiplier = divided(quantise_multiplier(f64::from(scale) / f64::from(out_scale)), summands);
        if site.input(0).dtype == DType::I16 {
            return site.step(kernels::MeanI16 { sizes, multiplier }, &operands);
        }
        let offset = input_zero_point.wrapping_mul(summands as i32).wrapping_neg();
        site.step(kernels::Mean { sizes, offset, multiplier, zero_point }, &operands)
    }
}

/// `shape` as the kernel wants it: kept, summed, kept, summed, kept, summed, kept. Neighbours of a kind are joined, and
/// what is missing has size 1; axes lie as far back as possible.
fn alternate(shape: &[usize], axes: &[usize]) -> [u32; 7] {
    let mut sizes = [1u32; 7];
    let mut slot = sizes.len() - 1;
    for (axis, &size) in shape.iter().enumerate().rev().filter(|&(_, &size)| size != 1) {
        let summed = axes.contains(&axis);
        // Summed axes have the odd places. A rank of at most six never leaves place 0.
        if summed != (slot % 2 == 1) {
            slot = slot.saturating_sub(1);
        }
        sizes[slot] = sizes[slot].saturating_mul(u32::try_from(size).unwrap_or(u32::MAX));
    }
    sizes
}

/// `multiplier / n` as TFLite's `QuantizedMeanOrSum` computes it: as many bits as fit are kept, then truncated.
fn divided(multiplier: Multiplier, n: u64) -> Multiplier {
    let bits = n.max(1).ilog2() as i32;
    let shift = bits.min(32).min(31 + multiplier.shift).max(0);
    let value = (i64::from(multiplier.value) << shift) as u64 / n.max(1);
    Multiplier { value: value as i32, shift: multiplier.shift - shift }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::tensor;

    fn infer(axes: &[usize], keep_dims: bool) -> Result<Vec<Shape>, String> {
        Mean { axes: axes.to_vec(), keep_dims }.infer(&[&tensor(&[2, 3, 4, 5])])
    }

    #[test]
    fn summed_axes_are_dropped_or_one() {
        assert_eq!(infer(&[1, 2], false), Ok(vec![vec![2, 5]]));
        assert_eq!(infer(&[2, 1, 1], true), Ok(vec![vec![2, 1, 1, 5]]));
        assert_eq!(infer(&[0, 1, 2, 3], false), Ok(vec![vec![]]));
        assert_eq!(infer(&[], false), Ok(vec![vec![2, 3, 4, 5]]));
    }

    #[test]
    fn axes_beyond_the_rank_are_refused() {
        assert!(infer(&[4], false).is_err_and(|text| text.contains("axis 4")));
        let empty = Mean { axes: vec![0], keep_dims: false }.infer(&[&tensor(&[0, 3])]);
        assert!(empty.is_err_and(|text| text.contains("[0, 3]")));
    }

    #[test]
    fn axes_alternate() {
        assert_eq!(alternate(&[2, 3, 4, 5], &[1, 2]), [1, 1, 1, 1, 2, 12, 5]);
        assert_eq!(alternate(&[2, 3, 4, 5], &[3, 1]), [1, 1, 2, 3, 4, 5, 1]);
        assert_eq!(alternate(&[2, 3, 4, 5, 6, 7], &[0, 2, 4]), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(alternate(&[2, 3, 4, 5, 6, 7], &[1, 3, 5]), [2, 3, 4, 5, 6, 7, 1]);
        assert_eq!(alternate(&[2, 1, 4, 1], &[1]), [1, 1, 1, 1, 1, 1, 8]);
        assert_eq!(alternate(&[], &[]), [1; 7]);
    }

    #[test]
    fn division_keeps_the_bits_of_the_multiplier() {
        let three_quarters = Multiplier { value: 3 << 29, shift: 0 };
        assert_eq!(divided(three_quarters, 1), three_quarters);
        assert_eq!(divided(three_quarters, 8), Multiplier { value: 3 << 29, shift: -3 });
        assert_eq!(divided(three_quarters, 3), Multiplier { value: 1 << 30, shift: -1 });
    }
}
