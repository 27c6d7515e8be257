//! `connect_single_windows`: a convolution with one window, which is the whole image, is a fully connected layer.
//!
//! ```text
//! y[n,1,1,o] = Conv2d(x[n,h,w,c], weights[o,h,w,c], b)  ⇒  y = Reshape(FullyConnected(x, weights[o, h·w·c], b))
//! y[n,1,1,o] = Conv2d(x[n,1,1,c], weights[o,1,1,c], b)  ⇒  y = FullyConnected(x, weights[o, c], b)
//! ```
//!
//! Its kernels read the weights for one column of inputs; those of a convolution would have them serve several. Where that
//! would bring in kernels that the network has no other use for, and take none away, nothing is replaced.

use super::Changed;
use crate::graph::{Graph, Node, Tensor};
use crate::ops::{Conv2d, FullyConnected, Op, Reshape};

/// Replaces convolutions that have one window.
pub fn connect_single_windows(graph: &mut Graph) -> Changed {
    let linked = graph.nodes.iter().any(|node| matches!(node.op, Op::FullyConnected(_)));
    let mut convolutions = graph.nodes.iter().filter(|node| matches!(node.op, Op::Conv2d(_)));
    if !linked && convolutions.any(|node| connected(graph, node).is_none()) {
        return Changed(false);
    }
    let mut changed = Changed(false);
    let mut index = 0;
    while let Some(node) = graph.nodes.get(index) {
        if let Some(layer) = connected(graph, node) {
            replace(graph, index, layer);
            changed = Changed(true);
        }
        index += 1;
    }
    changed
}

/// The layer that a node is.
fn connected(graph: &Graph, node: &Node) -> Option<FullyConnected> {
    let Op::Conv2d(Conv2d { sliding, activation, input_offset, .. }) = &node.op else { return None };
    let [input, weights] = [0, 1].map(|place| &graph[node.inputs[place]].shape);
    let whole = input.get(1..) == weights.get(1..) && sliding.padding == [[0, 0]; 2];
    let (activation, input_offset) = (*activation, *input_offset);
    let keep_num_dims = input.get(1..3) == Some(&[1, 1]);
    whole.then_some(FullyConnected { activation, input_offset, keep_num_dims })
}

fn replace(graph: &mut Graph, index: usize, layer: FullyConnected) {
    let [input, weights, bias] = [0, 1, 2].map(|place| graph.nodes[index].inputs[place]);
    let out = graph.nodes[index].outputs[0];
    let (batch, outputs) = (graph[input].shape[0], graph[weights].shape[0]);
    let inputs = graph[weights].shape.iter().skip(1).product();
    let weights = graph.add(Tensor { shape: vec![outputs, inputs], ..graph[weights].clone() });
    graph.nodes[index].inputs = vec![input, weights, bias];
    if !layer.keep_num_dims {
        let flat = graph.add(Tensor { shape: vec![batch, outputs], source: None, ..graph[out].clone() });
        graph.nodes[index].outputs = vec![flat];
        let (name, shape) = (graph[out].name.clone(), graph[out].shape.clone());
        let op = Reshape { shape }.into();
        let view = Node { name, op, inputs: vec![flat], outputs: vec![out], sources: Vec::new(), model_macs: 0 };
        graph.nodes.insert(index + 1, view);
    }
    graph.nodes[index].op = layer.into();
}
