//! Elements of one value around a tensor.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::movement::{check_moved, only};
use crate::graph::{DType, Shape, Tensor, dtype_name};
use crate::lower::{LowerError, Run, Site};

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

impl Pad {
    /// Size and padding of the axes that the kernel loops over. One that is not padded is one with the axis outside it.
    fn axes(&self, shape: &[usize]) -> Vec<(usize, [usize; 2])> {
        let mut axes: Vec<(usize, [usize; 2])> = Vec::new();
        for (&size, &around) in shape.iter().zip(&self.padding) {
            match axes.last_mut() {
                Some((outer, outside)) if around == [0, 0] => {
                    *outer *= size;
                    *outside = outside.map(|count| count * size);
                }
                None if (size, around) == (1, [0, 0]) => {}
                _ => axes.push((size, around)),
            }
        }
        axes
    }

    /// The kernel for these tensors.
    fn kernel(&self, input: &Tensor, output: &Tensor, value: u32) -> Result<kernels::Pad, String> {
        let axes = match input.elements() {
            0 => vec![(0, [output.elements(), 0])],
            _ => self.axes(&input.shape),
        };
        let count = axes.len();
        if count > 6 {
            return Err(format!("pads {count} axes, but the kernel has 6"));
        }
        // Sizes fit: the verifier bounds the bytes of a tensor by 2^31.
        let element_bytes = output.dtype.bytes() as u8;
        let mut kernel = kernels::Pad { element_bytes, dims: [1; 6], gaps: [0; 6], lead: 0, value };
        let mut elements = 1;
        for (index, (size, [before, after])) in axes.into_iter().enumerate().rev() {
            let place = if index == 0 && count > 1 { 0 } else { 6 - count + index };
            kernel.dims[place] = size as u32;
            kernel.gaps[place] = ((before + after) * elements) as u32;
            kernel.lead += (before * elements) as u32;
            elements *= before + size + after;
        }
        Ok(kernel)
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
        let value = self.bits(output.dtype).ok_or_else(|| site.refuse(format!("pads with {}", self.value)))?;
        let kernel = self.kernel(input, output, value).map_err(|reason| site.refuse(reason))?;
        let operands = [site.read(0), site.write(0)];
        site.step(kernel, &operands)?;
        if kernel.dims[..5] == [1; 5] {
            let (to, bytes) = (kernel.lead as usize * usize::from(kernel.element_bytes), input.bytes());
            site.copies(Run { from: 0, to, bytes, alone: input.bytes() == output.bytes() });
        }
        Ok(())
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
    fn random_paddings_equal_the_formula() {
        let mut seed = 21u64;
        let mut below = |limit: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((seed >> 33) % limit) as usize
        };
        for case in 0..200 {
            let rank = 1 + below(6);
            let shape: Vec<usize> = (0..rank).map(|_| 1 + below(3)).collect();
            let padding: Vec<[usize; 2]> = (0..rank).map(|_| [0; 2].map(|_| below(5) % 3)).collect();
            let input: Vec<i32> = (0..shape.iter().product()).map(|_| below(100) as i32).collect();
            let pad = Pad { padding: padding.clone(), value: 101.0 };
            let sizes: Vec<usize> = shape.iter().zip(&padding).map(|(size, [a, b])| a + size + b).collect();
            let mut wanted = vec![101i32; sizes.iter().product()];
            for (flat, &element) in input.iter().enumerate() {
                let (mut rest, mut at, mut stride) = (flat, 0, 1);
                for axis in (0..rank).rev() {
                    at += (rest % shape[axis] + padding[axis][0]) * stride;
                    rest /= shape[axis];
                    stride *= sizes[axis];
                }
                wanted[at] = element;
            }
            let (dtype, input, wanted) = match case % 5 {
                0 => (DType::I8, bytes_of(input.iter().map(|&x| x as i8)), bytes_of(wanted.iter().map(|&x| x as i8))),
                1 => (DType::U8, input.iter().map(|&x| x as u8).collect(), wanted.iter().map(|&x| x as u8).collect()),
                2 => {
                    (DType::I16, bytes_of(input.iter().map(|&x| x as i16)), bytes_of(wanted.iter().map(|&x| x as i16)))
                }
                3 => (DType::I32, bytes_of(input), bytes_of(wanted)),
                _ => {
                    (DType::F32, bytes_of(input.iter().map(|&x| x as f32)), bytes_of(wanted.iter().map(|&x| x as f32)))
                }
            };
            assert_eq!(evaluate(pad, &[(&shape, &input)], dtype), wanted, "{shape:?} {padding:?} {dtype:?}");
        }
    }

    #[test]
    fn an_empty_input_leaves_the_padding() {
        let everywhere = Pad { padding: vec![[1, 1], [1, 0]], value: 9.0 };
        assert_eq!(evaluate(everywhere, &[(&[0, 2], &[])], DType::U8), [9; 6]);
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
