//! A tensor moved on along an axis: `out` is the last rows of what was there, and then the new ones.

use serde::{Deserialize, Serialize};

use super::Operation;
use super::axes::row_major;
use super::concatenation::check_joined;
use super::movement::{Walk, copy};
use crate::graph::{Shape, Tensor};
use crate::lower::{LowerError, Site};

/// A shift register, which a state becomes by itself: input 0 is what it was, input 1 the new rows, and `out` has the
/// shape of input 0.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Shift {
    /// The axis of the rows.
    pub axis: usize,
}

impl Operation for Shift {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let [before, new] = inputs else { return Err(format!("needs two inputs, but has {}", inputs.len())) };
        let fits = before.shape.len() == new.shape.len()
            && before
                .shape
                .iter()
                .zip(&new.shape)
                .enumerate()
                .all(|(axis, (a, b))| a == b || axis == self.axis && a > b);
        if self.axis >= before.shape.len() || !fits {
            return Err(format!(
                "moves '{}' of shape {:?} on along axis {}, but '{}' has shape {:?}",
                before.name, before.shape, self.axis, new.name, new.shape
            ));
        }
        Ok(vec![before.shape.clone()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        check_joined(inputs, outputs)
    }

    fn is_in_place(&self) -> bool {
        true
    }

    // Copies go forward through memory to lower addresses, so that the output may lie over input 0.
    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let strides = row_major(&site.output(0).shape);
        let new = &site.input(1).shape;
        let mut kept = site.input(0).shape.clone();
        kept[self.axis] -= new[self.axis];
        let at =
            |rows: usize, strides: &[i64]| Walk { offset: rows as i64 * strides[self.axis], strides: strides.to_vec() };
        copy(site, 0, &kept, &at(new[self.axis], &strides), &at(0, &strides))?;
        copy(site, 1, new, &at(0, &row_major(new)), &at(kept[self.axis], &strides))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, tensor};
    use super::*;
    use crate::graph::DType;

    #[test]
    fn new_rows_follow_the_last_of_the_others() {
        let inputs: [(&[usize], &[u8]); 2] = [(&[2, 3], &[1, 2, 3, 4, 5, 6]), (&[2, 1], &[7, 8])];
        assert_eq!(evaluate(Shift { axis: 1 }, &inputs, DType::I8), [2, 3, 7, 5, 6, 8]);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let infer = |axis, new: &[usize]| Shift { axis }.infer(&[&tensor(&[2, 3]), &tensor(new)]);
        assert_eq!(infer(0, &[1, 3]), Ok(vec![vec![2, 3]]));
        assert!(infer(0, &[3, 3]).is_err());
        assert!(infer(0, &[1, 2]).is_err());
        assert!(infer(2, &[2, 3]).is_err());
        assert!(infer(0, &[1, 3, 1]).is_err());
    }
}
