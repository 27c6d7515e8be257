//! Tensors one after the other along an axis.

use serde::{Deserialize, Serialize};

use super::Operation;
use super::axes::row_major;
use super::movement::{Walk, copy};
use super::quantised::{affine, expect_dtype};
use crate::graph::{DType, Shape, Tensor};
use crate::lower::{LowerError, Site};

/// TFLite's `CONCATENATION`. As there, 8-bit inputs must have the output's scale and zero point.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Concatenation {
    /// The axis along which the inputs may differ.
    pub axis: usize,
}

/// Whether the elements of `inputs` are those of the one output: one type, and one scale and zero point of 8-bit ones.
///
/// # Errors
/// Where they differ.
pub fn check_joined(inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
    let [output] = outputs else { return Err(format!("needs one output, but has {}", outputs.len())) };
    for input in inputs {
        expect_dtype("an input", input, output.dtype)?;
        if matches!(output.dtype, DType::I8 | DType::U8) && affine(input)? != affine(output)? {
            return Err(format!(
                "needs inputs with the scale and zero point of '{}', but those of '{}' differ",
                output.name, input.name
            ));
        }
    }
    Ok(())
}

impl Operation for Concatenation {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let first = inputs.first().ok_or("needs at least one input")?;
        let mut shape = first.shape.clone();
        if self.axis >= shape.len() {
            return Err(format!("joins along axis {}, but '{}' has rank {}", self.axis, first.name, shape.len()));
        }
        shape[self.axis] = 0;
        for input in inputs {
            let fits = input.shape.len() == shape.len()
                && shape.iter().zip(&input.shape).enumerate().all(|(axis, (a, b))| axis == self.axis || a == b);
            if !fits {
                return Err(format!(
                    "joins along axis {}, but '{}' has shape {:?} and '{}' has {:?}",
                    self.axis, first.name, first.shape, input.name, input.shape
                ));
            }
            let size = shape[self.axis].checked_add(input.shape[self.axis]);
            shape[self.axis] = size.ok_or("joins more than all memory holds")?;
        }
        Ok(vec![shape])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        check_joined(inputs, outputs)
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let strides = row_major(&site.output(0).shape);
        let mut position = 0;
        for index in 0..site.input_count() {
            let shape = &site.input(index).shape;
            let from = Walk { offset: 0, strides: row_major(shape) };
            let to = Walk { offset: position * strides[self.axis], strides: strides.clone() };
            copy(site, index, shape, &from, &to)?;
            position += shape[self.axis] as i64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, tensor};
    use super::*;
    use crate::graph::Quantisation;

    #[test]
    fn inputs_follow_each_other() {
        let [a, b] = [tensor(&[2, 1, 3]), tensor(&[2, 2, 3])];
        assert_eq!(Concatenation { axis: 1 }.infer(&[&a, &b, &a]), Ok(vec![vec![2, 4, 3]]));
        let inputs: [(&[usize], &[u8]); 2] = [(&[2, 1], &[1, 2]), (&[2, 2], &[3, 4, 5, 6])];
        assert_eq!(evaluate(Concatenation { axis: 1 }, &inputs, DType::I8), [1, 3, 4, 2, 5, 6]);
    }

    #[test]
    fn shapes_and_scales_that_do_not_fit_are_refused() {
        let [a, b] = [tensor(&[2, 1, 3]), tensor(&[2, 2, 4])];
        assert!(Concatenation { axis: 1 }.infer(&[&a, &b]).is_err());
        assert!(Concatenation { axis: 3 }.infer(&[&a, &a]).is_err());
        assert!(Concatenation { axis: 0 }.infer(&[]).is_err());
        let other = Tensor { quantisation: Some(Quantisation::per_tensor(0.25, 3)), ..a.clone() };
        assert!(Concatenation { axis: 0 }.check(&[&a, &other], &[&a]).is_err());
        assert_eq!(Concatenation { axis: 0 }.check(&[&a, &a], &[&a]), Ok(()));
    }
}
