//! `fuse_activation`: a layer clamps its output itself.
//!
//! ```text
//! Relu…(Layer(…, activation a))  ⇒  Layer(…, activation c)    where    clamp_c = clamp_b ∘ clamp_a
//! ```
//!
//! `b` is the function that follows, and each is a clamp to a range: of real numbers for floats, of the output's integers
//! for int8 and int16. Two clamps are one, to `[b(a.min), b(a.max)]`; the rule fires where some activation `c` has that range.
//!
//! For these the tensors between and after must have one scale and zero point. Then the function that follows multiplies
//! by 1, which leaves each integer as it is. With other scales it rounds a second time, and no activation does that.

use super::{Changed, same_meaning};
use crate::graph::{DType, Graph, Tensor};
use crate::ops::{Activation, Op, UnaryFunction};

/// Fuses activations into the layers whose output they alone read.
pub fn fuse_activation(graph: &mut Graph) -> Changed {
    let mut changed = Changed(false);
    let mut index = 0;
    while index < graph.nodes.len() {
        if let Some((layer, op)) = fused(graph, index) {
            let inputs = graph.nodes[layer].inputs.clone();
            graph.fuse([layer, index], op, inputs);
            changed = Changed(true);
        } else {
            index += 1;
        }
    }
    changed
}

/// For the function `index`: the layer that it reads, and what becomes of both.
fn fused(graph: &Graph, index: usize) -> Option<(usize, Op)> {
    let node = &graph.nodes[index];
    let follows = match &node.op {
        Op::Unary(unary) => match unary.function {
            UnaryFunction::Relu => Activation::Relu,
            UnaryFunction::Relu6 => Activation::Relu6,
            UnaryFunction::ReluN1To1 => Activation::ReluN1To1,
            _ => return None,
        },
        _ => return None,
    };
    let (&[input], &[output]) = (node.inputs.as_slice(), node.outputs.as_slice()) else { return None };
    let layer = graph.producer(input).filter(|_| graph.read_once(input) && graph[input].constant.is_none())?;
    if graph.nodes[layer].outputs != [input] || !same_meaning(&graph[input], &graph[output]) {
        return None;
    }
    let mut op = graph.nodes[layer].op.clone();
    let activation = activation_of(&mut op)?;
    *activation = composed(*activation, follows, &graph[output])?;
    Some((layer, op))
}

/// The activation of an op that has one.
fn activation_of(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d(op) => Some(&mut op.activation),
        Op::DepthwiseConv2d(op) => Some(&mut op.activation),
        Op::FullyConnected(op) => Some(&mut op.activation),
        Op::Pool2d(op) => Some(&mut op.activation),
        Op::Binary(op) => Some(&mut op.activation),
        _ => None,
    }
}

/// The activation that is `first` and then `second` on every value of `tensor`.
fn composed(first: Activation, second: Activation, tensor: &Tensor) -> Option<Activation> {
    let candidates = [second, first, Activation::None, Activation::Relu, Activation::Relu6, Activation::ReluN1To1];
    let range = |activation: Activation| -> Option<(f64, f64)> {
        match tensor.dtype {
            DType::F32 => {
                let (min, max) = activation.range();
                Some((min.into(), max.into()))
            }
            DType::I8 | DType::I16 => {
                let (scale, zero_point) = tensor.affine().filter(|&(scale, _)| scale > 0.0)?;
                let (min, max) = activation.quantised_range(tensor.dtype, scale, zero_point);
                Some((min.into(), max.into()))
            }
            _ => None,
        }
    };
    let ((first_min, first_max), (min, max)) = (range(first)?, range(second)?);
    let clamp = |x: f64| x.max(min).min(max);
    let both = (clamp(first_min), clamp(first_max));
    candidates.into_iter().find(|&candidate| range(candidate) == Some(both))
}
