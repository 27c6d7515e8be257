//! `remove_dead`: what no output depends on is dropped.
//!
//! ```text
//! needed = outputs ∪ { what a node reads : the node writes something needed }
//! ```
//!
//! Nodes that write nothing needed go, then the tensors that nothing mentions; the indices of the others close up.
//! Network inputs stay, read or not: the caller fills them.

use super::Changed;
use crate::graph::{Graph, TensorId};

/// Drops nodes and tensors that no output depends on.
pub fn remove_dead(graph: &mut Graph) -> Changed {
    let (nodes, tensors) = (graph.nodes.len(), graph.tensors.len());
    drop_nodes(graph);
    drop_tensors(graph);
    Changed(graph.nodes.len() < nodes || graph.tensors.len() < tensors)
}

fn drop_nodes(graph: &mut Graph) {
    let mut needed = vec![false; graph.tensors.len()];
    for output in &graph.outputs {
        needed[output.0] = true;
    }
    let mut kept = Vec::with_capacity(graph.nodes.len());
    for node in std::mem::take(&mut graph.nodes).into_iter().rev() {
        if node.outputs.iter().any(|output| needed[output.0]) {
            for input in &node.inputs {
                needed[input.0] = true;
            }
            kept.push(node);
        }
    }
    kept.reverse();
    graph.nodes = kept;
}

fn drop_tensors(graph: &mut Graph) {
    let mut mentioned = vec![false; graph.tensors.len()];
    mentions(graph, |id| mentioned[id.0] = true);
    let mut count = 0;
    let renamed: Vec<usize> = mentioned
        .iter()
        .map(|&mentioned| {
            count += usize::from(mentioned);
            count.saturating_sub(1)
        })
        .collect();
    mentions(graph, |id| id.0 = renamed[id.0]);
    let mut mentioned = mentioned.into_iter();
    graph.tensors.retain(|_| mentioned.next().unwrap_or(true));
}

/// Calls `visit` on every index in the graph.
fn mentions(graph: &mut Graph, mut visit: impl FnMut(&mut TensorId)) {
    let Graph { nodes, inputs, outputs, .. } = graph;
    let of_nodes = nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs));
    of_nodes.chain(inputs).chain(outputs).for_each(&mut visit);
}
