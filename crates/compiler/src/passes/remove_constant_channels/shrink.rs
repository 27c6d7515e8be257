//! Removes channels: folds what they add into biases, and cuts tensors down.

use super::layer::{Layer, Order};
use super::needs::Kept;
use super::ranges::Ranges;
use crate::graph::{Graph, Node, Tensor, TensorId, bytes_of};
use crate::ops::Op;

/// Leaves the channels `kept`.
pub(super) fn shrink(graph: &mut Graph, layers: &[Option<Layer>], ranges: &Ranges, kept: &Kept) {
    for (index, layer) in layers.iter().enumerate() {
        let found = layer.as_ref().and_then(|layer| constants(graph, &graph.nodes[index], layer, ranges, kept));
        let Some(constants) = found else { continue };
        for (slot, tensor) in (1..).zip(constants) {
            let id = graph.nodes[index].inputs[slot];
            if graph.read_once(id) {
                graph[id] = tensor;
            } else {
                graph.nodes[index].inputs[slot] = graph.add(tensor);
            }
        }
    }
    for id in (0..graph.tensors.len()).map(TensorId) {
        if let Some(kept) = kept.of(id) {
            let last = graph[id].shape.len().saturating_sub(1);
            take(&mut graph[id], last, kept);
        }
    }
    for node in &mut graph.nodes {
        let Some(output) = node.outputs.first().filter(|&&id| kept.of(id).is_some()) else { continue };
        match &mut node.op {
            Op::Reshape(op) => op.shape.clone_from(&graph.tensors[output.0].shape),
            Op::StridedSlice(op) => op.size.clone_from(&graph.tensors[output.0].shape),
            _ => {}
        }
    }
}

/// Weights and bias of the layer that `node` is, without the channels that go; `None` where it keeps all.
fn constants(graph: &Graph, node: &Node, layer: &Layer, ranges: &Ranges, kept: &Kept) -> Option<[Tensor; 2]> {
    let (inputs, outputs) = (kept.of(layer.input), kept.of(layer.output));
    if inputs.is_none() && outputs.is_none() {
        return None;
    }
    let (mut weights, mut bias) = (graph[node.inputs[1]].clone(), graph[node.inputs[2]].clone());
    let last = weights.shape.len() - 1;
    if let Some(inputs) = inputs.filter(|_| layer.groups == 1) {
        bias.constant = Some(bytes_of(folded_bias(layer, ranges, inputs)).into());
        bias.source = None;
        // The last axis holds the channels, once or once a tap.
        let repeats = weights.shape[last] / layer.inputs;
        let columns: Vec<usize> =
            (0..repeats).flat_map(|repeat| inputs.iter().map(move |i| repeat * layer.inputs + i)).collect();
        take(&mut weights, last, &columns);
    }
    if let Some(outputs) = outputs {
        let axis = if layer.order == Order::OutputLast { last } else { 0 };
        take(&mut weights, axis, outputs);
        let axis = bias.shape.iter().position(|&size| size == layer.outputs).unwrap_or(0);
        take(&mut bias, axis, outputs);
    }
    Some([weights, bias])
}

/// The biases with what the input channels that are not in `kept` add to each sum.
fn folded_bias(layer: &Layer, ranges: &Ranges, kept: &[usize]) -> Vec<i32> {
    let channels = ranges.of(layer.input);
    let mut goes = vec![true; layer.inputs];
    kept.iter().for_each(|&channel| goes[channel] = false);
    let folded = |(o, &bias): (usize, &i32)| {
        let gone = layer.terms(o).filter(|term| goes[term.channel]);
        gone.filter_map(|term| layer.constant_product(&term, channels[term.channel])).fold(bias, i32::wrapping_add)
    };
    layer.bias.iter().enumerate().map(folded).collect()
}

/// Keeps the indices `kept` of `axis`.
fn take(tensor: &mut Tensor, axis: usize, kept: &[usize]) {
    let Some(size) = tensor.shape.get_mut(axis) else { return };
    let old = std::mem::replace(size, kept.len());
    if let Some(quantisation) = tensor.quantisation.as_mut().filter(|q| q.scales.len() > 1 && q.axis == axis) {
        let zero_points = &mut quantisation.zero_points;
        if zero_points.len() > 1 {
            *zero_points = kept.iter().map(|&index| zero_points[index]).collect();
        }
        quantisation.scales = kept.iter().map(|&index| quantisation.scales[index]).collect();
    }
    if let Some(bytes) = &tensor.constant {
        let run = tensor.shape[axis + 1..].iter().product::<usize>() * tensor.dtype.bytes() as usize;
        let rows = bytes.chunks_exact((old * run).max(1));
        let taken = rows.flat_map(|row| kept.iter().flat_map(move |&index| row[index * run..][..run].iter().copied()));
        tensor.constant = Some(taken.collect::<Vec<u8>>().into());
    }
    tensor.source = None;
}
