//! Every `stride`-th element along each axis: `out[…, i, …] = input[…, begin + i · stride, …]`.

use serde::{Deserialize, Serialize};

use super::Operation;
use super::axes::row_major;
use super::movement::{Walk, check_moved, copy, only};
use crate::graph::{Shape, Tensor};
use crate::lower::{LowerError, Site};

/// TFLite's `STRIDED_SLICE`, with its masks and negative positions resolved.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StridedSlice {
    /// First position along each axis.
    pub begin: Vec<i64>,
    /// Distance between positions along each axis; negative to go back.
    pub stride: Vec<i64>,
    /// Number of positions along each axis: the output's shape.
    pub size: Vec<usize>,
}

impl Operation for StridedSlice {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let input = only(inputs)?;
        let rank = input.shape.len();
        let ranks = [self.begin.len(), self.stride.len(), self.size.len()];
        if ranks != [rank; 3] {
            return Err(format!("needs begin, stride and size of rank {rank}, but they have {ranks:?}"));
        }
        for (axis, &len) in input.shape.iter().enumerate() {
            let (begin, stride, size) = (self.begin[axis], self.stride[axis], self.size[axis]);
            let last = i64::try_from(size)
                .ok()
                .and_then(|size| (size - 1).checked_mul(stride))
                .and_then(|distance| distance.checked_add(begin));
            let inside = |at: i64| usize::try_from(at).is_ok_and(|at| at < len);
            if stride == 0 || size > 0 && !(inside(begin) && last.is_some_and(inside)) {
                return Err(format!(
                    "takes {size} positions from {begin} on by {stride} along axis {axis} of '{}', which has {len}",
                    input.name
                ));
            }
        }
        Ok(vec![self.size.clone()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        check_moved(inputs, outputs)
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let dense = row_major(&site.input(0).shape);
        let offset = dense.iter().zip(&self.begin).map(|(dense, begin)| dense * begin).sum();
        let from =
            Walk { offset, strides: dense.iter().zip(&self.stride).map(|(dense, stride)| dense * stride).collect() };
        copy(site, 0, &self.size, &from, &Walk { offset: 0, strides: row_major(&self.size) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, tensor};
    use super::*;
    use crate::graph::DType;

    fn slice(begin: [i64; 2], stride: [i64; 2], size: [usize; 2]) -> StridedSlice {
        StridedSlice { begin: begin.to_vec(), stride: stride.to_vec(), size: size.to_vec() }
    }

    #[test]
    fn positions_go_back_and_forth() {
        let input: Vec<u8> = (0..15).collect();
        let out = evaluate(slice([2, 4], [-1, -2], [3, 2]), &[(&[3, 5], &input)], DType::I8);
        assert_eq!(out, [14, 12, 9, 7, 4, 2]);
        let out = evaluate(slice([1, 0], [1, 3], [2, 2]), &[(&[3, 5], &input)], DType::U8);
        assert_eq!(out, [5, 8, 10, 13]);
    }

    #[test]
    fn positions_outside_are_refused() {
        let infer = |slice: StridedSlice| slice.infer(&[&tensor(&[3, 5])]);
        assert_eq!(infer(slice([2, 4], [-1, -2], [3, 2])), Ok(vec![vec![3, 2]]));
        assert_eq!(infer(slice([9, 0], [1, 1], [0, 5])), Ok(vec![vec![0, 5]]));
        for wrong in [
            slice([0, 0], [0, 1], [1, 1]),
            slice([0, 0], [1, 1], [4, 1]),
            slice([0, 0], [-1, 1], [2, 1]),
            slice([-1, 0], [1, 1], [1, 1]),
            slice([0, 0], [i64::MAX, 1], [3, 1]),
            slice([0, 0], [1, 1], [usize::MAX, 1]),
        ] {
            assert!(infer(wrong.clone()).is_err(), "{wrong:?}");
        }
        assert!(slice([0, 0], [1, 1], [1, 1]).infer(&[&tensor(&[3])]).is_err());
    }
}
