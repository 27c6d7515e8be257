//! `pad_slices`: what is padded and cut into slices is cut first, and each slice is padded.
//!
//! ```text
//! Slice(Pad(x, p), begin, size)  ⇒  Pad(Slice(x, begin′, size′), p′)
//! with x's first element at p and n elements, along each axis:
//!     begin′ = max(begin − p, 0),  end′ = min(begin + size − p, n),  p′ = what the slice has before and behind them
//! ```
//!
//! It holds for slices of neighbours that have something of `x`. It pays where each slice goes to a convolution alone, which
//! then pads it itself, and nothing else reads the padding: it is never written.

use super::Changed;
use crate::graph::{Graph, Node, Tensor};
use crate::ops::{Op, Pad, StridedSlice};

/// A slice of a padding: its node, and the slice and the padding that become of it.
type Moved = (usize, StridedSlice, Pad);

/// Moves paddings behind the slices that read them.
pub fn pad_slices(graph: &mut Graph) -> Changed {
    let mut changed = Changed(false);
    let mut index = 0;
    while index < graph.nodes.len() {
        let slices = moved(graph, index).unwrap_or_default();
        changed.0 |= !slices.is_empty();
        // The padding stands before its slices, and stays there until it is dropped.
        slices.into_iter().rev().for_each(|slice| pad_slice(graph, index, slice));
        index += 1;
    }
    changed
}

/// What becomes of all that reads the padding `index`.
fn moved(graph: &Graph, index: usize) -> Option<Vec<Moved>> {
    let node = &graph.nodes[index];
    let (Op::Pad(pad), &[input], &[padded]) = (&node.op, node.inputs.as_slice(), node.outputs.as_slice()) else {
        return None;
    };
    if graph.outlives(padded) {
        return None;
    }
    let shape = &graph[input].shape;
    let slice = |reader: usize| {
        let Op::StridedSlice(slice) = &graph.nodes[reader].op else { return None };
        let &[output] = graph.nodes[reader].outputs.as_slice() else { return None };
        let by = graph.consumers(output).next().filter(|_| graph.read_once(output))?;
        let (slice, pad) = exchanged(pad, slice, shape)?;
        matches!(graph.nodes[by].op, Op::Conv2d(_) | Op::DepthwiseConv2d(_)).then_some((reader, slice, pad))
    };
    graph.consumers(padded).map(slice).collect()
}

/// The slice of a tensor of `shape`, and the padding of that, which are `slice` of `pad`.
fn exchanged(pad: &Pad, slice: &StridedSlice, shape: &[usize]) -> Option<(StridedSlice, Pad)> {
    if slice.stride.iter().any(|&stride| stride != 1) {
        return None;
    }
    let (mut inner, mut outer) = (slice.clone(), pad.clone());
    for (axis, &size) in shape.iter().enumerate() {
        let ([before, _], begin, length) =
            (pad.padding[axis], usize::try_from(slice.begin[axis]).ok()?, slice.size[axis]);
        let first = begin.saturating_sub(before);
        let end = (begin + length).saturating_sub(before).min(size);
        let rows = end.checked_sub(first).filter(|&rows| rows > 0)?;
        let lead = before.saturating_sub(begin);
        (inner.begin[axis], inner.size[axis]) = (first as i64, rows);
        outer.padding[axis] = [lead, length - lead - rows];
    }
    Some((inner, outer))
}

/// Puts a slice and its padding in the place of a slice of the padding `index`.
fn pad_slice(graph: &mut Graph, index: usize, (at, slice, pad): Moved) {
    let (padding, node) = (&graph.nodes[index], &graph.nodes[at]);
    let inputs = padding.inputs.clone();
    let (input, output) = (&graph[inputs[0]], &graph[node.outputs[0]]);
    let (name, shape) = (output.name.clone(), slice.size.clone());
    let inner = Tensor { name, shape, constant: None, source: None, ..input.clone() };
    let outer = Node { op: pad.into(), outputs: node.outputs.clone(), ..padding.clone() };
    let inner = graph.add(inner);
    let node = &mut graph.nodes[at];
    (node.op, node.inputs, node.outputs) = (slice.into(), inputs, vec![inner]);
    graph.nodes.insert(at + 1, Node { inputs: vec![inner], ..outer });
}
