//! What the ops that move elements share: one strided copy between two tensors.

use rasbora_device::ops as kernels;

use super::axes::{Axis, loop_over};
use super::quantised::expect_dtype;
use crate::graph::Tensor;
use crate::lower::{LowerError, Run, Site};

/// A walk over some elements of a tensor: the first, and the distance to the next along each axis.
pub struct Walk {
    /// The first element.
    pub offset: i64,
    /// Elements from one step to the next along each axis.
    pub strides: Vec<i64>,
}

/// Whether one tensor is read and one of the same type is written. Quantisation is not looked at: as in TFLite, the
/// integers are moved as they are.
///
/// # Errors
/// Where the types differ.
pub fn check_moved(inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
    let ([input], [output]) = (inputs, outputs) else {
        return Err(format!("needs one input and one output, but has {} and {}", inputs.len(), outputs.len()));
    };
    expect_dtype("an output", output, input.dtype)
}

/// The only input of an op.
///
/// # Errors
/// Where there is another number of them.
pub fn only<'a>(inputs: &[&'a Tensor]) -> Result<&'a Tensor, String> {
    match inputs {
        [input] => Ok(input),
        _ => Err(format!("needs one input, but has {}", inputs.len())),
    }
}

/// Adds the step that copies, for each index of `shape`, the element of input `index` that `from` is at to where `to` is
/// in output 0. None where there are no elements.
///
/// # Errors
/// Where the loop is out of the kernel's range.
pub fn copy(site: &mut Site<'_>, index: usize, shape: &[usize], from: &Walk, to: &Walk) -> Result<(), LowerError> {
    if shape.contains(&0) {
        return Ok(());
    }
    let strides = from.strides.iter().zip(&to.strides);
    let axes: Vec<_> =
        shape.iter().zip(strides).map(|(&size, (&from, &to))| Axis { size, strides: [from, to] }).collect();
    let (dims, [from_strides, to_strides]) = loop_over(&axes).map_err(|reason| site.refuse(reason))?;
    // Offsets and counts fit: the verifier bounds the bytes of a tensor by 2^31.
    let walk = |tensor: &Tensor, offset: i64, strides| kernels::Walk {
        count: tensor.elements() as u32,
        offset: offset as i32,
        strides,
    };
    let element_bytes = site.output(0).dtype.bytes();
    let kernel = kernels::Copy {
        element_bytes: element_bytes as u8,
        dims,
        input: walk(site.input(index), from.offset, from_strides),
        output: walk(site.output(0), to.offset, to_strides),
    };
    let operands = [site.read(index), site.write(0)];
    site.step(kernel, &operands)?;
    let is_run = dims[..5] == [1; 5] && [from_strides, to_strides].iter().all(|strides| strides[5] == 1);
    let at = |offset: i64| usize::try_from(offset).ok().and_then(|at| at.checked_mul(element_bytes as usize));
    if let (true, Some(from), Some(to)) = (is_run, at(from.offset), at(to.offset)) {
        site.copies(Run { from, to, bytes: dims[5] as usize * element_bytes as usize, alone: true });
    }
    Ok(())
}
