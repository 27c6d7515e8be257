//! Which channels are needed: those of network outputs, and what a needed channel is computed from.

use super::layer::Layer;
use super::manner::Manner;
use super::ranges::{Ranges, channels};
use crate::graph::{DType, Graph, Node, TensorId};

/// The channels that each tensor keeps, where it loses some.
pub(super) struct Kept(Vec<Option<Vec<usize>>>);

impl Kept {
    /// The channels that `tensor` keeps; `None` where it keeps all.
    pub(super) fn of(&self, tensor: TensorId) -> Option<&[usize]> {
        self.0.get(tensor.0)?.as_deref()
    }
}

/// The channels that are needed, where some are not. `layers` are the nodes that are layers.
pub(super) fn kept(graph: &Graph, layers: &[Option<Layer>], ranges: &Ranges) -> Option<Kept> {
    let mut needs = Needs::new(graph, layers, ranges);
    for (node, layer) in graph.nodes.iter().zip(layers) {
        needs.visit(graph, node, layer.as_ref());
    }
    needs.need_outside(graph);
    // Backwards, for what one tensor keeps needs channels of those before it.
    for node in graph.nodes.iter().rev() {
        node.outputs.iter().chain(&node.inputs).for_each(|&id| needs.need_one(id));
    }
    let kept: Vec<_> = (0..graph.tensors.len()).map(|index| needs.kept(TensorId(index))).collect();
    kept.iter().any(Option::is_some).then_some(Kept(kept))
}

struct Needs<'a> {
    ranges: &'a Ranges,
    /// Number of the first channel of each tensor, and of the end. Channels are known by such numbers.
    first: Vec<usize>,
    needed: Vec<bool>,
    /// The channels that each is tied to.
    tied: Vec<Vec<usize>>,
    /// The layer that writes a tensor and reads all channels of another.
    writers: Vec<Option<&'a Layer>>,
}

impl<'a> Needs<'a> {
    fn new(graph: &Graph, layers: &'a [Option<Layer>], ranges: &'a Ranges) -> Self {
        let mut first = vec![0];
        for tensor in &graph.tensors {
            first.push(first.last().copied().unwrap_or(0) + channels(tensor));
        }
        let count = first.last().copied().unwrap_or(0);
        let mut writers = vec![None; graph.tensors.len()];
        for layer in layers.iter().flatten().filter(|layer| layer.groups == 1) {
            writers[layer.output.0] = Some(layer);
        }
        Self { ranges, first, needed: vec![false; count], tied: vec![Vec::new(); count], writers }
    }

    fn of(&self, tensor: TensorId) -> std::ops::Range<usize> {
        self.first[tensor.0]..self.first[tensor.0 + 1]
    }

    fn need_all(&mut self, tensor: TensorId) {
        let all = self.of(tensor);
        self.needed[all].fill(true);
    }

    /// Enters which channels `node` ties, and that it needs all where nothing better is known of it.
    fn visit(&mut self, graph: &Graph, node: &Node, layer: Option<&Layer>) {
        let mut tie = |(a, of_a): (TensorId, usize), (b, of_b): (TensorId, usize)| {
            let (a, b) = (self.first[a.0] + of_a, self.first[b.0] + of_b);
            self.tied[a].push(b);
            self.tied[b].push(a);
        };
        let whole = match layer {
            Some(layer) if layer.is_depthwise() => {
                let depth = layer.outputs / layer.inputs;
                (0..layer.outputs).for_each(|o| tie((layer.input, o / depth), (layer.output, o)));
                &node.inputs[1..]
            }
            Some(layer) if layer.groups == 1 => &node.inputs[1..],
            None if let Some(manner) = Manner::of(graph, node) => {
                manner.ties(graph, node, &mut tie);
                &[]
            }
            _ => {
                node.outputs.iter().for_each(|&id| self.need_all(id));
                &node.inputs
            }
        };
        whole.iter().for_each(|&id| self.need_all(id));
    }

    /// Needs what the caller reads and writes, and all tensors that this pass does not understand; then what these are
    /// computed from.
    fn need_outside(&mut self, graph: &Graph) {
        graph.inputs.iter().chain(&graph.outputs).for_each(|&id| self.need_all(id));
        graph.states.iter().flat_map(|state| [state.tensor, state.next]).for_each(|id| self.need_all(id));
        let mut mentioned = vec![false; graph.tensors.len()];
        for id in graph.nodes.iter().flat_map(|node| node.inputs.iter().chain(&node.outputs)) {
            mentioned[id.0] = true;
        }
        for (index, tensor) in graph.tensors.iter().enumerate() {
            if !mentioned[index] || tensor.dtype != DType::I8 || tensor.shape.is_empty() {
                self.need_all(TensorId(index));
            }
        }
        self.spread((0..self.needed.len()).filter(|&at| self.needed[at]).collect());
    }

    /// Needs the first channel of `tensor` where it would have none.
    fn need_one(&mut self, tensor: TensorId) {
        let all = self.of(tensor);
        if !all.is_empty() && !self.needed[all.clone()].contains(&true) {
            self.needed[all.start] = true;
            self.spread(vec![all.start]);
        }
    }

    /// Needs what the channels `waiting`, which are needed, are tied to or computed from.
    fn spread(&mut self, mut waiting: Vec<usize>) {
        while let Some(at) = waiting.pop() {
            let mut need = |needed: usize| {
                if !std::mem::replace(&mut self.needed[needed], true) {
                    waiting.push(needed);
                }
            };
            self.tied[at].iter().copied().for_each(&mut need);
            // The last tensor that starts at or before the channel: tensors without channels start there too.
            let tensor = self.first.partition_point(|&first| first <= at) - 1;
            let Some(layer) = self.writers[tensor] else { continue };
            let (channels, start) = (self.ranges.of(layer.input), self.first[layer.input.0]);
            for term in layer.terms(at - self.first[tensor]) {
                if layer.constant_product(&term, channels[term.channel]).is_none() {
                    need(start + term.channel);
                }
            }
        }
    }

    /// The needed channels of `tensor`, where some are not.
    fn kept(&self, tensor: TensorId) -> Option<Vec<usize>> {
        let needed = &self.needed[self.of(tensor)];
        let kept: Vec<usize> = (0..needed.len()).filter(|&channel| needed[channel]).collect();
        (kept.len() < needed.len()).then_some(kept)
    }
}
