//! Elements of one value around a tensor.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::axes::{row_major, rows};
use super::movement::{Walk, check_moved, copy, only};
use crate::graph::{DType, Shape, Tensor, dtype_name};
use crate::lower::{LowerError, Site};

/// TFLite's `PAD` and `PADV2`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pad {
    /// Elements before and after, along each axis.
    pub padding: Vec<[usize; 2]>,
    /// The value of what is added, as it is stored: an integer in tensors of integers.
    pub value: f64,
}

impl Pad {
    /// The bits of the value as an element of type `dtype`; `None` where there is no such element.
    fn bits(&self, dtype: DType) -> Option<u32> {
        let integer = |least: i32, most: i32| {
            let whole = self.value.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(&self.value);
            whole.then_some(self.value as i32)
        };
        match dtype {
            DType::I8 => integer(-128, 127).map(|value| u32::from(value as u8)),
            DType::U8 => integer(0, 255).map(|value| value as u32),
            DType::I16 => integer(-32768, 32767).map(|value| u32::from(value as u16)),
            DType::I32 => integer(i32::MIN, i32::MAX).map(|value| value as u32),
            DType::F32 => Some((self.value as f32).to_bits()),
        }
    }
}

impl Operation for Pad {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        let input = only(inputs)?;
        if self.padding.len() != input.shape.len() {
            let (axes, rank) = (self.padding.len(), input.shape.len());
            return Err(format!("has padding for {axes} axes, but '{}' has {rank}", input.name));
        }
        let padded = |(&size, &[before, after]): (&usize, &[usize; 2])| size.checked_add(before)?.checked_add(after);
        let shape: Option<Shape> = input.shape.iter().zip(&self.padding).map(padded).collect();
        Ok(vec![shape.ok_or("has a padding beyond all memory")?])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        check_moved(inputs, outputs)?;
        let dtype = inputs[0].dtype;
        let bits = self.bits(dtype).ok_or_else(|| format!("pads {} with {}", dtype_name(dtype), self.value));
        bits.map(|_| ())
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let (input, output) = (site.input(0), site.output(0));
        if output.elements() == 0 {
            return Ok(());
        }
        let dtype = output.dtype;
        let value = self.bits(dtype).ok_or_else(|| site.refuse(format!("pads with {}", self.value)))?;
        let (rows, row) = rows(output);
        let out = site.write(0);
        site.step(kernels::Fill { element_bytes: dtype.bytes() as u8, rows, row, value }, &[out])?;
        let strides = row_major(&output.shape);
        let offset = strides.iter().zip(&self.padding).map(|(stride, [before, _])| stride * *before as i64).sum();
        let from = Walk { offset: 0, strides: row_major(&input.shape) };
        copy(site, 0, &input.shape, &from, &Walk { offset, strides })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, tensor};
    use super::*;
    use crate::graph::bytes_of;

    #[test]
    fn the_input_lies_in_the_middle() {
        let pad = Pad { padding: vec![[1, 0], [0, 2]], value: -7.0 };
        assert_eq!(pad.infer(&[&tensor(&[2, 3])]), Ok(vec![vec![3, 5]]));
        let input = [1i32, 2, 3, 4, 5, 6];
        let wanted = [-7, -7, -7, -7, -7, 1, 2, 3, -7, -7, 4, 5, 6, -7, -7];
        let bytes = input.map(|value| value as u8);
        assert_eq!(evaluate(pad.clone(), &[(&[2, 3], &bytes)], DType::I8), bytes_of(wanted.map(|value| value as i8)));
        assert_eq!(evaluate(pad.clone(), &[(&[2, 3], &bytes_of(input))], DType::I32), bytes_of(wanted));
        let floats = bytes_of(input.map(|value| value as f32));
        assert_eq!(evaluate(pad, &[(&[2, 3], &floats)], DType::F32), bytes_of(wanted.map(|value| value as f32)));
    }

    #[test]
    fn an_empty_input_leaves_the_padding() {
        let pad = Pad { padding: vec![[2, 1], [0, 0]], value: 9.0 };
        assert_eq!(evaluate(pad, &[(&[0, 2], &[])], DType::U8), [9; 6]);
    }

    #[test]
    fn values_that_the_type_lacks_are_refused() {
        let input = tensor(&[2]);
        let pad = |value| Pad { padding: vec![[1, 1]], value }.check(&[&input], &[&tensor(&[4])]);
        assert_eq!(pad(-128.0), Ok(()));
        assert!([128.0, 0.5, f64::NAN].into_iter().all(|value| pad(value).is_err()));
        assert!(Pad { padding: vec![[usize::MAX, 1]], value: 0.0 }.infer(&[&input]).is_err());
        assert!(Pad { padding: vec![], value: 0.0 }.infer(&[&input]).is_err());
    }
}
