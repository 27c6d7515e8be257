//! `fuse_padding`: a convolution pads its input itself.
//!
//! ```text
//! Conv(Pad(x, p, value), padding q)  ⇒  Conv(x, padding p + q, padding_value = value)
//! ```
//!
//! It holds for int8 where only height and width are padded, and `q = 0` or `value` is the layer's padding value
//! already: then each tap outside the image reads `value` on both sides. A float layer leaves such taps out, and an int16 one
//! pads with 0, so there `value` must be 0.
//!
//! An average divides by the number of cells inside the image, and a maximum is over these alone: to a pooling, padding
//! means something else, so poolings are left as they are.

use super::{Changed, same_meaning};
use crate::graph::{DType, Graph, TensorId};
use crate::ops::{Op, Operation, Sliding};

/// Fuses paddings into the convolutions that alone read them.
pub fn fuse_padding(graph: &mut Graph) -> Changed {
    let mut changed = Changed(false);
    let mut index = 0;
    while index < graph.nodes.len() {
        if let Some((pad, op, input)) = fused(graph, index) {
            let mut inputs = graph.nodes[index].inputs.clone();
            inputs[0] = input;
            graph.fuse([pad, index], op, inputs);
            changed = Changed(true);
            // The layer has moved here, and may read another padding.
            index -= 1;
        } else {
            index += 1;
        }
    }
    changed
}

/// For the layer `index`: the padding that it reads, what becomes of both, and what that reads.
fn fused(graph: &Graph, index: usize) -> Option<(usize, Op, TensorId)> {
    let node = &graph.nodes[index];
    let &padded = node.inputs.first()?;
    let pad = graph.producer(padded).filter(|_| graph.read_once(padded))?;
    let (Op::Pad(padding), &[input]) = (&graph.nodes[pad].op, graph.nodes[pad].inputs.as_slice()) else { return None };
    let &[[0, 0], height, width, [0, 0]] = padding.padding.as_slice() else { return None };
    if !same_meaning(&graph[input], &graph[padded]) {
        return None;
    }
    let mut op = node.op.clone();
    let (sliding, padding_value) = match &mut op {
        Op::Conv2d(op) => (&mut op.sliding, &mut op.padding_value),
        Op::DepthwiseConv2d(op) => (&mut op.sliding, &mut op.padding_value),
        _ => return None,
    };
    match graph[input].dtype {
        DType::F32 | DType::I16 if padding.value == 0.0 => {}
        DType::I8 if sliding.padding == Sliding::PLAIN.padding => *padding_value = int8(padding.value)?,
        DType::I8 if int8(padding.value)? == *padding_value => {}
        _ => return None,
    }
    for (sum, [before, after]) in sliding.padding.iter_mut().zip([height, width]) {
        *sum = [sum[0].checked_add(before)?, sum[1].checked_add(after)?];
    }
    // A padding beyond what a window can have is left to the operator.
    let tensors = graph.tensors_of(&[&[input], node.inputs.get(1..)?].concat());
    let shapes = op.infer(&tensors).ok()?;
    shapes.iter().eq(node.outputs.iter().map(|&output| &graph[output].shape)).then_some((pad, op, input))
}

/// The int8 that `value` is.
fn int8(value: f64) -> Option<i32> {
    (value.fract() == 0.0 && (-128.0..=127.0).contains(&value)).then_some(value as i32)
}
