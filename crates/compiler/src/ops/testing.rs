//! What the tests of the ops share: tensors.

use crate::graph::{DType, Quantisation, Tensor};

/// A computed int8 tensor with scale 0.5 and zero point 3.
pub fn tensor(shape: &[usize]) -> Tensor {
    Tensor {
        name: "tensor".into(),
        shape: shape.to_vec(),
        dtype: DType::I8,
        quantisation: Some(Quantisation::per_tensor(0.5, 3)),
        constant: None,
        source: None,
    }
}

/// A constant tensor of zeros with scale 0.5 and zero point 0.
pub fn constant(shape: &[usize], dtype: DType) -> Tensor {
    let tensor = Tensor { dtype, quantisation: Some(Quantisation::per_tensor(0.5, 0)), ..tensor(shape) };
    Tensor { constant: Some(vec![0; tensor.bytes()].into()), ..tensor }
}
