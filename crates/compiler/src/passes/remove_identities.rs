//! `remove_identities`: what copies its input unchanged is dropped.
//!
//! ```text
//! Reshape to the same shape, Transpose by 0, 1, 2, …, Pad by nothing, StridedSlice of everything,
//! Concatenation of one, Quantise to the same scale and zero point           y = Op(x)  ⇒  y is x
//! Quantise(Dequantise(x)) to x's scale and zero point                                  ⇒  it is x
//! Reshape(Reshape(x))                                                                  ⇒  Reshape(x)
//! ```
//!
//! The round trip is exact for 8-bit integers of a normal scale: `s · n` and the quotient by `s` are each off by at most
//! 2⁻²⁴ of themselves, and `|n| ≤ 255`, so the quotient is far less than 0.5 from `n`.
//!
//! Network inputs and outputs keep their names, so that a copy from the one to the other, from a constant to an output,
//! or between two outputs stays.

use super::{Changed, same_meaning};
use crate::graph::{DType, Graph, Node, TensorId};
use crate::ops::Op;

/// Drops nodes that copy.
pub fn remove_identities(graph: &mut Graph) -> Changed {
    let mut changed = Changed(false);
    let mut index = 0;
    while index < graph.nodes.len() {
        while merge_reshapes(graph, &mut index) {
            changed = Changed(true);
        }
        if remove_copy(graph, index) {
            changed = Changed(true);
        } else {
            index += 1;
        }
    }
    changed
}

/// Lets the reshape `index` read what the reshape before it reads; where nothing else reads that one, they are fused, and
/// `index` is the fused node's.
fn merge_reshapes(graph: &mut Graph, index: &mut usize) -> bool {
    let node = &graph.nodes[*index];
    let (Op::Reshape(_), &[between]) = (&node.op, node.inputs.as_slice()) else { return false };
    let Some(first) = graph.producer(between) else { return false };
    let (Op::Reshape(_), &[input]) = (&graph.nodes[first].op, graph.nodes[first].inputs.as_slice()) else {
        return false;
    };
    if !same_meaning(&graph[input], &graph[between]) {
        return false;
    }
    if graph.read_once(between) {
        let op = node.op.clone();
        graph.fuse([first, *index], op, vec![input]);
        *index -= 1;
    } else {
        graph.nodes[*index].inputs = vec![input];
    }
    true
}

/// Removes the node `index` where it copies and may go.
fn remove_copy(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let &[output] = node.outputs.as_slice() else { return false };
    let Some(input) = copied(graph, node) else { return false };
    if graph[input].shape != graph[output].shape || !same_meaning(&graph[input], &graph[output]) {
        return false;
    }
    if !graph.outputs.contains(&output) {
        graph.nodes.remove(index);
        graph.replace_reads(output, input);
        return true;
    }
    // The output keeps its name, so what writes the input writes it.
    let Some(producer) = graph.producer(input).filter(|_| !graph.outputs.contains(&input)) else { return false };
    let copy = graph.nodes.remove(index);
    graph.nodes[producer].absorb(&copy);
    for id in graph.nodes[producer].outputs.iter_mut().filter(|id| **id == input) {
        *id = output;
    }
    graph.replace_reads(input, output);
    true
}

/// What `node` copies, if its shape and quantisation agree.
fn copied(graph: &Graph, node: &Node) -> Option<TensorId> {
    let &[input] = node.inputs.as_slice() else { return None };
    match &node.op {
        Op::Reshape(_) | Op::Concatenation(_) => Some(input),
        Op::Quantise(_) => dequantised(graph, input).or(Some(input)),
        Op::Transpose(op) => op.permutation.is_sorted().then_some(input),
        Op::Pad(op) => op.padding.iter().all(|&padding| padding == [0, 0]).then_some(input),
        Op::StridedSlice(op) => {
            (op.begin.iter().all(|&begin| begin == 0) && op.stride.iter().all(|&stride| stride == 1)).then_some(input)
        }
        _ => None,
    }
}

/// The 8-bit tensor whose numbers `floats` has, where quantising them gives it back.
fn dequantised(graph: &Graph, floats: TensorId) -> Option<TensorId> {
    let node = &graph.nodes[graph.producer(floats)?];
    let (Op::Dequantise(_), &[integers]) = (&node.op, node.inputs.as_slice()) else { return None };
    let tensor = &graph[integers];
    let (scale, _) = tensor.affine()?;
    let exact = matches!(tensor.dtype, DType::I8 | DType::U8) && scale.is_normal() && (scale * 256.0).is_finite();
    exact.then_some(integers)
}
