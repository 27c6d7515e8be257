//! What the tests of the ops share: tensors, and a node run alone.

use super::{Op, Operation};
use crate::graph::{DType, Graph, Node, Quantisation, Tensor};
use crate::host;
use crate::program::Program;
use crate::target::InstructionSet;

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

/// What a node of `op` makes of `inputs`, each a shape and bytes, all of type `dtype` and one quantisation.
pub fn evaluate(op: impl Into<Op>, inputs: &[(&[usize], &[u8])], dtype: DType) -> Vec<u8> {
    let op = op.into();
    let typed = |shape: &[usize]| Tensor { dtype, ..tensor(shape) };
    let inputs: Vec<Tensor> =
        inputs.iter().map(|(shape, bytes)| Tensor { constant: Some((*bytes).into()), ..typed(shape) }).collect();
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    let shapes = op.infer(&inputs).expect("a shape");
    evaluate_tensors(op, &inputs, &typed(&shapes[0]))
}

/// What a node of `op` makes of constant `inputs`, as `output`. They are handed to the program as its inputs.
pub fn evaluate_tensors(op: impl Into<Op>, inputs: &[&Tensor], output: &Tensor) -> Vec<u8> {
    let op = op.into();
    op.check(inputs, &[output]).expect("types that are supported");
    let mut graph = Graph::default();
    graph.inputs = inputs.iter().map(|&input| graph.add(Tensor { constant: None, ..input.clone() })).collect();
    let (name, inputs_of_node, output) = ("node".into(), graph.inputs.clone(), graph.add(output.clone()));
    graph.outputs.push(output);
    graph.nodes.push(Node { name, op, inputs: inputs_of_node, outputs: vec![output], sources: vec![], model_macs: 0 });
    let program = Program::new(&graph, InstructionSet::Portable).expect("a program");
    let bytes: Vec<Vec<u8>> =
        inputs.iter().map(|input| input.constant.as_deref().expect("a constant").to_vec()).collect();
    host::run(&program, &bytes).expect("a run").remove(0)
}
