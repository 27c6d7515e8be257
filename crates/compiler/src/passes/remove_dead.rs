//! `remove_dead`: what no output depends on is dropped.
//!
//! ```text
//! needed = outputs ∪ { what a node reads : the node writes something needed }
//!                  ∪ { what a state becomes : the state is needed }
//! ```
//!
//! Nodes that write nothing needed go, then the tensors that nothing mentions; the indices of the others close up.
//! Network inputs stay, read or not: the caller fills them.

use super::Changed;
use crate::graph::{Graph, State, TensorId};

/// Drops nodes and tensors that no output depends on.
pub fn remove_dead(graph: &mut Graph) -> Changed {
    let (nodes, tensors, states) = (graph.nodes.len(), graph.tensors.len(), graph.states.len());
    drop_nodes(graph);
    drop_tensors(graph);
    Changed(graph.nodes.len() < nodes || graph.tensors.len() < tensors || graph.states.len() < states)
}

fn drop_nodes(graph: &mut Graph) {
    let mut needed = vec![false; graph.tensors.len()];
    for output in &graph.outputs {
        needed[output.0] = true;
    }
    // A state that is needed needs what it becomes, and that may need another state.
    loop {
        for node in graph.nodes.iter().rev() {
            if node.outputs.iter().any(|output| needed[output.0]) {
                node.inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        let waiting = |state: &&State| needed[state.tensor.0] && !needed[state.next.0];
        let nexts: Vec<TensorId> = graph.states.iter().filter(waiting).map(|state| state.next).collect();
        if nexts.is_empty() {
            break;
        }
        nexts.into_iter().for_each(|next| needed[next.0] = true);
    }
    graph.states.retain(|state| needed[state.tensor.0]);
    graph.nodes.retain(|node| node.outputs.iter().any(|output| needed[output.0]));
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
    let Graph { nodes, inputs, outputs, states, .. } = graph;
    let of_nodes = nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs));
    let of_states = states.iter_mut().flat_map(|State { tensor, next, .. }| [tensor, next]);
    of_nodes.chain(of_states).chain(inputs).chain(outputs).for_each(&mut visit);
}
