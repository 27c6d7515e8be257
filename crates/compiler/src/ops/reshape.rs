//! The same elements under another shape.

use serde::{Deserialize, Serialize};

use super::Operation;
use super::movement::{check_moved, only};
use crate::graph::{Shape, Tensor};
use crate::lower::{LowerError, Site};

/// A view: the output is the input's bytes, so nothing runs. TFLite's `RESHAPE`, `SQUEEZE` and `EXPAND_DIMS`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reshape {
    /// The output's shape, of as many elements as the input has.
    pub shape: Vec<usize>,
}

impl Operation for Reshape {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let input = only(inputs)?;
        let count = |shape: &[usize]| shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        if count(&self.shape).is_none() || count(&self.shape) != count(&input.shape) {
            return Err(format!(
                "cannot give the shape {:?} to '{}', which has {:?}",
                self.shape, input.name, input.shape
            ));
        }
        Ok(vec![self.shape.clone()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        check_moved(inputs, outputs)
    }

    fn is_view(&self) -> bool {
        true
    }

    fn lower(&self, _site: &mut Site<'_>) -> Result<(), LowerError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tensor;
    use super::*;

    #[test]
    fn the_number_of_elements_stays() {
        let reshape = |shape: &[usize]| Reshape { shape: shape.to_vec() }.infer(&[&tensor(&[2, 3, 4])]);
        assert_eq!(reshape(&[6, 1, 4]), Ok(vec![vec![6, 1, 4]]));
        assert!(reshape(&[6, 5]).is_err());
        assert!(reshape(&[usize::MAX, 2]).is_err());
    }
}
