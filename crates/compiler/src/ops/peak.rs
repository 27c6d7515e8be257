//! The largest sample of a clip, at least 1, by which a front end scales it.

use rasbora_device::ops as kernels;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::movement::only;
use super::quantised::expect_dtype;
use crate::graph::{DType, Shape, Tensor};
use crate::lower::{LowerError, Site};

/// `[n] → [1]`: the largest of 16-bit samples, as 32 bits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Peak {}

impl Operation for Peak {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        only(inputs).map(|_| vec![vec![1]])
    }

    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        let ([input], [output]) = (inputs, outputs) else { return Err("needs one input and one output".into()) };
        expect_dtype("samples", input, DType::I16)?;
        expect_dtype("an output", output, DType::I32)
    }

    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        let kernel = kernels::Peak { samples: site.input(0).elements() as u32 };
        let operands = [site.read(0), site.write(0)];
        site.step(kernel, &operands)
    }
}
