//! What ops without weights do to channels: how what they write follows what they read, and which channels they tie.

use super::ranges::channels;
use crate::graph::{DType, Graph, Node, TensorId};
use crate::ops::Op;

/// What may be said of an op without weights that writes one int8 tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    /// Each element of the output is a function of the elements at its place.
    Elementwise,
    /// The output grows with each element of each input, and keeps the channels apart.
    Monotone,
}

/// Largest quotient of two scales for which [`Manner::Monotone`] is said: above it, sums might overflow.
const MAX_RESCALE: f32 = 65536.0;

impl Manner {
    /// The manner of `node`; `None` where nothing is known.
    pub(super) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let (inputs, outputs) = (graph.tensors_of(&node.inputs), graph.tensors_of(&node.outputs));
        let ([first, ..], [output]) = (inputs.as_slice(), outputs.as_slice()) else { return None };
        if inputs.iter().chain([output]).any(|tensor| tensor.dtype != DType::I8) || output.shape.is_empty() {
            return None;
        }
        let (from, to, last) = (channels(first), channels(output), first.shape.len().wrapping_sub(1));
        let manner = match &node.op {
            Op::Unary(_) | Op::Binary(_) | Op::Quantise(_) => Self::Elementwise,
            Op::Pool2d(_) | Op::Concatenation(_) => Self::Monotone,
            Op::Mean(op) if !op.axes.contains(&last) => Self::Monotone,
            Op::Pad(op) if op.padding.last() == Some(&[0, 0]) => Self::Monotone,
            Op::Transpose(op) if op.permutation.last() == Some(&last) => Self::Monotone,
            Op::StridedSlice(op) if op.begin.last() == Some(&0) && op.stride.last() == Some(&1) && from == to => {
                Self::Monotone
            }
            Op::Reshape(_) if from.is_multiple_of(to) || to.is_multiple_of(from) => Self::Monotone,
            _ => return None,
        };
        let scales = || inputs.iter().filter_map(|input| Some(input.affine()?.0 / output.affine()?.0));
        let calm = manner == Self::Elementwise || scales().all(|quotient| quotient <= MAX_RESCALE);
        calm.then_some(manner)
    }

    /// Calls `tie` for each channel of an input and the channel of the output that it is tied to at `node`.
    pub(super) fn ties(self, graph: &Graph, node: &Node, tie: &mut impl FnMut((TensorId, usize), (TensorId, usize))) {
        let Some(&output) = node.outputs.first() else { return };
        let count = channels(&graph[output]);
        let joins = matches!(&node.op, Op::Concatenation(op) if op.axis + 1 == graph[output].shape.len());
        let mut first = 0;
        for &input in &node.inputs {
            let inputs = channels(&graph[input]);
            // An elementwise op repeats an input of one channel, which then is tied to none of the output.
            if self == Self::Elementwise && inputs == 1 && count > 1 {
                continue;
            }
            let most = if joins { inputs } else { inputs.max(count) };
            for channel in (0..most).filter(|_| inputs > 0 && count > 0) {
                tie((input, channel % inputs), (output, (first + channel) % count));
            }
            first += if joins { inputs } else { 0 };
        }
    }
}
