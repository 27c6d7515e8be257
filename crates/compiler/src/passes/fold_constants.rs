//! `fold_constants`: a node that reads constants alone becomes a constant.
//!
//! ```text
//! y = Op(c₁, …, cₙ)  ⇒  const y = value
//! ```
//!
//! The value is computed by the kernel that the node would have had on the chip. A node stays where it has no kernel,
//! writes an output of the network or what becomes of a state, or writes more than [`MAX_BYTES`]: a file of a few bytes may ask for a padding of
//! gigabytes.

use super::Changed;
use crate::graph::{Graph, Node, TensorId};
use crate::host::evaluate;

/// Most bytes of a tensor that is computed in advance: the flash of a large microcontroller.
const MAX_BYTES: usize = 16 << 20;

/// Replaces nodes that read constants alone by what they write.
pub fn fold_constants(graph: &mut Graph) -> Changed {
    let mut changed = Changed(false);
    let mut index = 0;
    while let Some(node) = graph.nodes.get(index) {
        match values(graph, node) {
            Some(values) => {
                let node = graph.nodes.remove(index);
                for (id, value) in node.outputs.into_iter().zip(values) {
                    graph[id].constant = Some(value.into());
                }
                changed = Changed(true);
            }
            None => index += 1,
        }
    }
    changed
}

/// What `node` writes, where that is constant.
fn values(graph: &Graph, node: &Node) -> Option<Vec<Vec<u8>>> {
    let constant = |id: &TensorId| graph[*id].constant.is_some();
    let foldable = |id: &TensorId| !graph.outlives(*id) && graph[*id].bytes() <= MAX_BYTES;
    if node.inputs.is_empty() || !node.inputs.iter().all(constant) || !node.outputs.iter().all(foldable) {
        return None;
    }
    let values = evaluate(graph, node).ok()?;
    node.outputs.iter().map(|&id| graph[id].bytes()).eq(values.iter().map(Vec::len)).then_some(values)
}
