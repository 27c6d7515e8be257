//! Integers of 8 and 16 bits to floats: `out = scale · (input − zero_point)`.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::axes::rows;
use super::movement::only;
use super::quantised::{affine, expect_dtype};
use crate::graph::{DType, Shape, Tensor};
use crate::lower::{LowerError, Site};

/// TFLite's `DEQUANTIZE` of int8, uint8 and int16.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Dequantise {}

impl Operation for Dequantise {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        Ok(vec![only(inputs)?.shape.clone()])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([input], [output]) = (inputs, outputs) else { return Err("needs one input and one output".into()) };
        if !matches!(input.dtype, DType::U8 | DType::I16) {
            expect_dtype("an input", input, DType::I8)?;
        }
        expect_dtype("an output", output, DType::F32)?;
        affine(input).map(|_| ())
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let (input, (rows, row)) = (site.input(0), rows(site.output(0)));
        let (scale, zero_point) = affine(input).map_err(|reason| site.refuse(reason))?;
        let unsigned = input.dtype == DType::U8;
        let operands = [site.read(0), site.write(0)];
        if input.dtype == DType::I16 {
            return site.step(kernels::DequantiseI16 { rows, row, scale }, &operands);
        }
        site.step(kernels::Dequantise { rows, row, scale, zero_point, unsigned }, &operands)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tensor;
    use super::*;

    #[test]
    fn eight_bits_become_floats() {
        let input = tensor(&[2, 3]);
        let floats = Tensor { dtype: DType::F32, quantisation: None, ..tensor(&[2, 3]) };
        assert_eq!(Dequantise {}.infer(&[&input]), Ok(vec![vec![2, 3]]));
        assert_eq!(Dequantise {}.check(&[&input], &[&floats]), Ok(()));
        assert!(Dequantise {}.check(&[&floats], &[&floats]).is_err());
        assert!(Dequantise {}.check(&[&Tensor { quantisation: None, ..tensor(&[2, 3]) }], &[&floats]).is_err());
    }
}
