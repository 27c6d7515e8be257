//! Loops over the axes of tensors as kernels want them: at most six axes, the runs along the innermost as long as can be.

use crate::graph::Tensor;

/// One axis of a loop: its size, and in each of `N` tensors the distance in elements from one step to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axis<const N: usize> {
    /// Number of steps.
    pub size: usize,
    /// Elements from one step to the next, in each tensor.
    pub strides: [i64; N],
}

/// A loop as kernels take it: sizes, and the strides in each tensor. The outermost axis is the first, the innermost the
/// last, and axes between that are not needed have size 1.
pub type Loop<const N: usize> = ([u32; 6], [[i32; 6]; N]);

/// Distances in elements between neighbours along each axis of a dense tensor.
pub fn row_major(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as i64;
    }
    strides
}

/// The loop over `axes`, outermost first. Axes of size 1 are left out, and neighbours become one where a step of the
/// outer is as long as all steps of the inner, in every tensor.
///
/// # Errors
/// Where more than six axes are left, or a number exceeds 31 bits.
pub fn loop_over<const N: usize>(axes: &[Axis<N>]) -> Result<Loop<N>, String> {
    let mut merged: Vec<Axis<N>> = Vec::new();
    for axis in axes.iter().filter(|axis| axis.size != 1) {
        match merged.last_mut() {
            Some(outer) if (0..N).all(|n| outer.strides[n] == axis.strides[n] * axis.size as i64) => {
                *outer = Axis { size: outer.size * axis.size, strides: axis.strides };
            }
            _ => merged.push(*axis),
        }
    }
    let (mut dims, mut strides) = ([1; 6], [[0; 6]; N]);
    for strides in &mut strides {
        strides[5] = 1;
    }
    let count = merged.len();
    if count > 6 {
        return Err(format!("needs a loop over {count} axes, but kernels have 6"));
    }
    for (index, axis) in merged.iter().enumerate() {
        let place = if index == 0 && count > 1 { 0 } else { 6 - count + index };
        dims[place] = u32::try_from(axis.size).map_err(|_| too_large())?;
        for (strides, stride) in strides.iter_mut().zip(axis.strides) {
            strides[place] = i32::try_from(stride).map_err(|_| too_large())?;
        }
    }
    Ok((dims, strides))
}

/// Rows of an elementwise kernel over `tensor`, and elements of a row: a row is a line of an image `[n, h, w, c]`.
pub fn rows(tensor: &Tensor) -> (u32, u32) {
    let outer = tensor.shape.len().saturating_sub(2);
    let product = |sizes: &[usize]| sizes.iter().product::<usize>() as u32;
    (product(&tensor.shape[..outer]), product(&tensor.shape[outer..]))
}

fn too_large() -> String {
    "has a tensor of more than 2^31 elements".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(sizes: &[usize], first: &[i64], second: &[i64]) -> Vec<Axis<2>> {
        (0..sizes.len()).map(|i| Axis { size: sizes[i], strides: [first[i], second[i]] }).collect()
    }

    #[test]
    fn dense_tensors_are_one_run() {
        let shape = [2, 1, 3, 4];
        let dense = axes(&shape, &row_major(&shape), &row_major(&shape));
        assert_eq!(loop_over(&dense), Ok(([1, 1, 1, 1, 1, 24], [[0, 0, 0, 0, 0, 1]; 2])));
        assert_eq!(loop_over::<1>(&[]), Ok(([1; 6], [[0, 0, 0, 0, 0, 1]])));
    }

    #[test]
    fn a_transposition_keeps_the_axes_that_move_apart() {
        // [2, 3, 4, 5] to [4, 2, 3, 5]: the axes of 2 and 3 stay neighbours.
        let moved = axes(&[4, 2, 3, 5], &[5, 60, 20, 1], &row_major(&[4, 2, 3, 5]));
        let wanted = ([4, 1, 1, 1, 6, 5], [[5, 0, 0, 0, 20, 1], [30, 0, 0, 0, 5, 1]]);
        assert_eq!(loop_over(&moved), Ok(wanted));
    }

    #[test]
    fn repeated_axes_join_too() {
        let repeated = axes(&[3, 4, 5], &[0, 0, 1], &row_major(&[3, 4, 5]));
        assert_eq!(loop_over(&repeated).map(|(dims, _)| dims), Ok([12, 1, 1, 1, 1, 5]));
    }
}
