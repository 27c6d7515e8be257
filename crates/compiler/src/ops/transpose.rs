//! Axes in another order: `out[…, iₐ, …] = input[…]`, where axis `a` of the output is axis `permutation[a]` of the input.

use serde::{Deserialize, Serialize};

use super::Operation;
use super::axes::row_major;
use super::movement::{Walk, check_moved, copy, only};
use crate::graph::{Shape, Tensor};
use crate::lower::{LowerError, Site};

/// TFLite's `TRANSPOSE`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Transpose {
    /// For each axis of the output, the axis of the input.
    pub permutation: Vec<usize>,
}

impl Operation for Transpose {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let input = only(inputs)?;
        let rank = input.shape.len();
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(format!(
                "needs each axis of '{}' once, of rank {rank}, but has {:?}",
                input.name, self.permutation
            ));
        }
        Ok(vec![self.permutation.iter().map(|&axis| input.shape[axis]).collect()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        check_moved(inputs, outputs)
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let strides = row_major(&site.input(0).shape);
        let from = Walk { offset: 0, strides: self.permutation.iter().map(|&axis| strides[axis]).collect() };
        let shape = &site.output(0).shape;
        copy(site, 0, shape, &from, &Walk { offset: 0, strides: row_major(shape) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, tensor};
    use super::*;
    use crate::graph::DType;

    #[test]
    fn axes_move() {
        let transpose = Transpose { permutation: vec![2, 0, 1] };
        assert_eq!(transpose.infer(&[&tensor(&[2, 3, 4])]), Ok(vec![vec![4, 2, 3]]));
        let out = evaluate(transpose, &[(&[2, 1, 3], &[0, 1, 2, 3, 4, 5])], DType::I8);
        assert_eq!(out, [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn what_is_no_permutation_is_refused() {
        for permutation in [vec![0, 1], vec![0, 0, 1], vec![0, 1, 3]] {
            assert!(Transpose { permutation }.infer(&[&tensor(&[2, 3, 4])]).is_err());
        }
    }
}
