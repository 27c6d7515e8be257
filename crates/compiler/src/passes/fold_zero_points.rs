//! `fold_zero_points`: the input's zero point moves into the bias of an int8 layer.
//!
//! ```text
//! bias[o] + Σₖ (x[k] + offset) · w[o, k]  =  (bias[o] + offset · Σₖ w[o, k]) + Σₖ x[k] · w[o, k]
//! ```
//!
//! The sums are of 32 bits and wrap on both sides, so the equation holds for any numbers. It holds for taps outside the
//! image too, where `x` is the layer's padding value, which stays.

use super::Changed;
use crate::graph::{DType, Graph, TensorId, bytes_of};
use crate::ops::Op;

/// Moves input offsets into biases.
pub fn fold_zero_points(graph: &mut Graph) -> Changed {
    let mut changed = Changed(false);
    for index in 0..graph.nodes.len() {
        if let Some(bias) = folded_bias(graph, index) {
            set_bias(graph, index, bias);
            if let Some((offset, _)) = offset_and_axis(&mut graph.nodes[index].op) {
                *offset = 0;
            }
            changed = Changed(true);
        }
    }
    changed
}

/// The input offset of a layer, and the axis of its weights along which the output channels lie.
fn offset_and_axis(op: &mut Op) -> Option<(&mut i32, usize)> {
    match op {
        Op::Conv2d(op) => Some((&mut op.input_offset, 0)),
        Op::DepthwiseConv2d(op) => Some((&mut op.input_offset, 3)),
        Op::FullyConnected(op) => Some((&mut op.input_offset, 0)),
        _ => None,
    }
}

/// The bias with the offset in it; `None` where there is nothing to fold.
fn folded_bias(graph: &mut Graph, index: usize) -> Option<Vec<i32>> {
    let (offset, axis) = offset_and_axis(&mut graph.nodes[index].op).map(|(offset, axis)| (*offset, axis))?;
    let &[_, weights, bias] = graph.nodes[index].inputs.as_slice() else { return None };
    let (weights, bias) = (&graph[weights], &graph[bias]);
    if offset == 0 || weights.dtype != DType::I8 || bias.dtype != DType::I32 {
        return None;
    }
    let mut folded = bias.values::<i32>()?;
    let channels = folded.len();
    // Elements that follow each other with one index of the axis.
    let run: usize = weights.shape.get(axis + 1..)?.iter().product();
    if channels == 0 || weights.shape.get(axis) != Some(&channels) {
        return None;
    }
    for (at, weight) in weights.values::<i8>()?.into_iter().enumerate() {
        let sum = &mut folded[at / run.max(1) % channels];
        *sum = sum.wrapping_add(offset.wrapping_mul(i32::from(weight)));
    }
    Some(folded)
}

/// Changes the bias of a node: in place where no other reads it.
fn set_bias(graph: &mut Graph, index: usize, bias: Vec<i32>) {
    let id = graph.nodes[index].inputs[2];
    let mut tensor = graph[id].clone();
    tensor.constant = Some(bytes_of(bias).into());
    tensor.source = None;
    if graph.read_once(id) {
        graph[id] = tensor;
    } else {
        let added: TensorId = graph.add(tensor);
        graph.nodes[index].inputs[2] = added;
    }
}
