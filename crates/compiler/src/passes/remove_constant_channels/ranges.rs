//! Bounds of each channel of each tensor, through the integer arithmetic.
//!
//! Layers with weights are bounded by formula. Every other op is asked through its own kernel: elementwise ops over all
//! values, and ops that are monotone in every element at both ends of their inputs' ranges. So there is no second
//! arithmetic that could differ.

use std::collections::HashMap;

use super::layer::Layer;
use super::manner::Manner;
use crate::graph::verify::verify;
use crate::graph::{DType, Graph, Node, Tensor, TensorId, bytes_of};
use crate::host::evaluate;
use crate::ops::Operation;

/// Most bytes of a tensor that a kernel is run on.
const MAX_BYTES: usize = 16 << 20;

/// The values `low..=high`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Range {
    /// The least.
    pub(super) low: i32,
    /// The greatest.
    pub(super) high: i32,
}

impl Range {
    /// All of int8.
    pub(super) const FULL: Self = Self { low: i8::MIN as i32, high: i8::MAX as i32 };

    /// One value.
    pub(super) fn point(value: i32) -> Self {
        Self { low: value, high: value }
    }

    /// The value, where there is one alone.
    pub(super) fn constant(self) -> Option<i32> {
        (self.low == self.high).then_some(self.low)
    }

    /// The smallest range that has both.
    pub(super) fn hull(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// The range of `values`, and all of int8 where there are none.
    fn of(values: impl IntoIterator<Item = i8>) -> Self {
        let points = values.into_iter().map(|value| Self::point(value.into()));
        points.reduce(Self::hull).unwrap_or(Self::FULL)
    }

    fn values(self) -> impl Iterator<Item = i32> {
        self.low..=self.high
    }
}

/// The range of each channel of each int8 tensor; of others there are as many full ranges.
pub(super) struct Ranges(Vec<Vec<Range>>);

impl Ranges {
    /// The ranges of the channels of `tensor`.
    pub(super) fn of(&self, tensor: TensorId) -> &[Range] {
        self.0.get(tensor.0).map_or(&[], Vec::as_slice)
    }
}

/// Number of channels: the size of the last axis.
pub(super) fn channels(tensor: &Tensor) -> usize {
    tensor.shape.last().copied().unwrap_or(1)
}

/// The ranges of all tensors. `layers` are the nodes that are layers.
pub(super) fn of_graph(graph: &Graph, layers: &[Option<Layer>]) -> Ranges {
    let mut ranges = Ranges(graph.tensors.iter().map(of_tensor).collect());
    for (node, layer) in graph.nodes.iter().zip(layers) {
        if let (&[output], Some(found)) = (node.outputs.as_slice(), of_output(graph, node, layer.as_ref(), &ranges)) {
            ranges.0[output.0] = found;
        }
    }
    ranges
}

/// What is known of a tensor by itself.
fn of_tensor(tensor: &Tensor) -> Vec<Range> {
    match tensor.values::<i8>() {
        Some(values) if tensor.dtype == DType::I8 => by_channel(&values, channels(tensor)),
        _ => vec![Range::FULL; channels(tensor)],
    }
}

/// The range of every `count`-th element.
fn by_channel(values: &[i8], count: usize) -> Vec<Range> {
    (0..count).map(|channel| Range::of(values.iter().skip(channel).step_by(count).copied())).collect()
}

/// The ranges of what `node` writes; `None` where nothing is known.
fn of_output(graph: &Graph, node: &Node, layer: Option<&Layer>, ranges: &Ranges) -> Option<Vec<Range>> {
    if let Some(layer) = layer {
        let channels = ranges.of(layer.input);
        return Some((0..layer.outputs).map(|o| layer.range(o, channels)).collect());
    }
    match Manner::of(graph, node)? {
        Manner::Elementwise => elementwise(graph, node, ranges),
        Manner::Monotone => monotone(graph, node, ranges),
    }
}

/// Runs the node on other elements: `inputs` stands for its inputs.
fn run(graph: &Graph, node: &Node, inputs: Vec<Tensor>) -> Option<Vec<i8>> {
    let shapes = node.op.infer(&inputs.iter().collect::<Vec<_>>()).ok()?;
    let (&[output], [shape]) = (node.outputs.as_slice(), shapes.as_slice()) else { return None };
    let mut alone = Graph::default();
    let inputs = inputs.into_iter().map(|input| alone.add(input)).collect();
    let output = alone.add(Tensor { shape: shape.clone(), ..graph[output].clone() });
    alone.nodes.push(Node { inputs, outputs: vec![output], ..node.clone() });
    verify(&alone).ok()?;
    let [values] = <[Vec<u8>; 1]>::try_from(evaluate(&alone, &alone.nodes[0]).ok()?).ok()?;
    Some(values.into_iter().map(|byte| byte as i8).collect())
}

/// `tensor` with other elements.
fn with_elements(tensor: &Tensor, shape: Vec<usize>, values: impl IntoIterator<Item = i8>) -> Tensor {
    Tensor { shape, constant: Some(bytes_of(values).into()), ..tensor.clone() }
}

/// The ranges of `f(x)` or `f(x, y)`, from a table of all values.
fn elementwise(graph: &Graph, node: &Node, ranges: &Ranges) -> Option<Vec<Range>> {
    let &[output] = node.outputs.as_slice() else { return None };
    let all = i8::MIN..=i8::MAX;
    let table = match graph.tensors_of(&node.inputs).as_slice() {
        [x] => run(graph, node, vec![with_elements(x, vec![256], all)])?,
        [x, y] => {
            let rows = all.clone().flat_map(|x| [x; 256]);
            let columns = all.clone().flat_map(|_| all.clone());
            let shape = vec![256 * 256];
            run(graph, node, vec![with_elements(x, shape.clone(), rows), with_elements(y, shape, columns)])?
        }
        _ => return None,
    };
    let mut known = HashMap::new();
    let at = |x: i32| (x - Range::FULL.low) as usize;
    let of_channel = |channel: usize| {
        // An input of one channel is repeated.
        let operand = |id: &TensorId| ranges.of(*id).get(channel).or(ranges.of(*id).first()).copied();
        let operands: Vec<Range> = node.inputs.iter().filter_map(operand).collect();
        *known.entry(operands.clone()).or_insert_with(|| match operands.as_slice() {
            [x] => Range::of(x.values().filter_map(|x| table.get(at(x)).copied())),
            [x, y] => {
                let pairs = x.values().flat_map(|x| y.values().map(move |y| at(x) * 256 + at(y)));
                Range::of(pairs.filter_map(|index| table.get(index).copied()))
            }
            _ => Range::FULL,
        })
    };
    Some((0..channels(&graph[output])).map(of_channel).collect())
}

/// The ranges of a function that is monotone in every element: what it gives for the lows is low, for the highs high.
fn monotone(graph: &Graph, node: &Node, ranges: &Ranges) -> Option<Vec<Range>> {
    let known = |id: &TensorId| graph[*id].constant.is_some() || ranges.of(*id).iter().all(|&x| x == Range::FULL);
    if node.inputs.iter().all(known) || node.inputs.iter().chain(&node.outputs).any(|&id| graph[id].bytes() > MAX_BYTES)
    {
        return None;
    }
    let end = |pick: fn(Range) -> i32| {
        let filled = |id: &TensorId| {
            let (tensor, ranges) = (&graph[*id], ranges.of(*id));
            if tensor.constant.is_some() {
                return tensor.clone();
            }
            let values = ranges.iter().cycle().take(tensor.elements()).map(|&range| pick(range) as i8);
            with_elements(tensor, tensor.shape.clone(), values)
        };
        run(graph, node, node.inputs.iter().map(filled).collect())
    };
    let (lows, highs) = (end(|range| range.low)?, end(|range| range.high)?);
    let count = channels(&graph[*node.outputs.first()?]);
    let ends = by_channel(&lows, count).into_iter().zip(by_channel(&highs, count));
    Some(ends.map(|(low, high)| Range { low: low.low, high: high.high }).collect())
}
