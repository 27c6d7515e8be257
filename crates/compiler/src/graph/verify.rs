//! Whether a graph makes sense: the rules that every stage may rely on.
//!
//! It runs on what importers make and after every pass, so that a mistake is found where it is made. It is total: any
//! graph that can be built is either accepted or refused with a reason.

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use super::{DType, Graph, MAX_RANK, Node, Shape, State, Tensor, TensorId, dtype_name};
use crate::ops::Operation;

/// Most bytes of a tensor, counting empty axes as 1: no chip addresses more, and no product of sizes overflows.
pub const MAX_BYTES: usize = i32::MAX as usize;

/// A rule that a graph breaks.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum VerifyError {
    /// An index beyond the tensors.
    #[error("{place} mentions {id}, but the graph has {count} tensors")]
    NoTensor {
        /// Who mentions it.
        place: String,
        /// What is mentioned.
        id: TensorId,
        /// How many there are.
        count: usize,
    },
    /// Two tensors of one name.
    #[error("{first} and {second} are both named '{name}'; names must differ")]
    Name {
        /// The one.
        first: TensorId,
        /// The other.
        second: TensorId,
        /// Their name.
        name: String,
    },
    /// A tensor that is wrong in itself.
    #[error("tensor '{tensor}' {reason}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// What is wrong, as the end of a sentence.
        reason: String,
    },
    /// A tensor that is read or written where it must not be.
    #[error("{place} {verb} tensor '{tensor}', which {reason}")]
    Flow {
        /// Who reads or writes.
        place: String,
        /// What it does.
        verb: &'static str,
        /// The tensor's name.
        tensor: String,
        /// Why it must not.
        reason: &'static str,
    },
    /// A node whose op refuses its tensors.
    #[error("node '{node}' ({op}) {reason}")]
    Node {
        /// Its name.
        node: String,
        /// Its op.
        op: &'static str,
        /// What is wrong, as the end of a sentence.
        reason: String,
    },
}

/// The bytes of a tensor of `shape`; `None` above [`MAX_BYTES`], where an empty axis counts as 1.
pub fn checked_bytes(shape: &[usize], dtype: DType) -> Option<usize> {
    let bytes = dtype.bytes() as usize;
    let bound = shape.iter().try_fold(bytes, |product, &size| product.checked_mul(size.max(1)))?;
    (bound <= MAX_BYTES).then(|| if shape.contains(&0) { 0 } else { bound })
}

/// Checks all rules.
///
/// - Each index is that of a tensor; names of tensors differ; each tensor is sound in itself (rank, size, length of its
///   constant, lists of its quantisation).
/// - Inputs, constants and tensors that an earlier node writes can be read; each tensor is written once, inputs and
///   constants never.
/// - The tensor of a state is written by the run before alone, by one state, and what becomes of it has its type and
///   shape.
/// - For each node, the op infers the shapes that are declared, and accepts types and quantisation. `infer` is asked
///   first, and `check` only where the shapes agree, so `check`, `macs` and `lower` may rely on number and rank of what
///   the node reads and writes.
///
/// # Errors
/// [`VerifyError`] is the first rule that is broken.
pub fn verify(graph: &Graph) -> Result<(), VerifyError> {
    check_indices(graph)?;
    check_names(graph)?;
    for tensor in &graph.tensors {
        check_tensor(tensor).map_err(|reason| VerifyError::Tensor { tensor: tensor.name.clone(), reason })?;
    }
    for state in &graph.states {
        let tensor = || graph[state.tensor].name.clone();
        check_state(graph, state).map_err(|reason| VerifyError::Tensor { tensor: tensor(), reason })?;
    }
    check_flow(graph)?;
    graph.nodes.iter().try_for_each(|node| {
        check_node(graph, node).map_err(|reason| VerifyError::Node {
            node: node.name.clone(),
            op: node.op.name(),
            reason,
        })
    })
}

fn place(node: &Node) -> String {
    format!("node '{}' ({})", node.name, node.op.name())
}

fn check_indices(graph: &Graph) -> Result<(), VerifyError> {
    let count = graph.tensors.len();
    let check = |ids: &[TensorId], place: &dyn Fn() -> String| match ids.iter().find(|id| id.0 >= count) {
        Some(&id) => Err(VerifyError::NoTensor { place: place(), id, count }),
        None => Ok(()),
    };
    check(&graph.inputs, &|| "the list of inputs".into())?;
    check(&graph.outputs, &|| "the list of outputs".into())?;
    for state in &graph.states {
        check(&[state.tensor, state.next], &|| "the list of states".into())?;
    }
    for node in &graph.nodes {
        check(&node.inputs, &|| place(node))?;
        check(&node.outputs, &|| place(node))?;
    }
    Ok(())
}

fn check_names(graph: &Graph) -> Result<(), VerifyError> {
    let mut seen = HashMap::new();
    for (index, tensor) in graph.tensors.iter().enumerate() {
        if let Some(first) = seen.insert(&tensor.name, TensorId(index)) {
            return Err(VerifyError::Name { first, second: TensorId(index), name: tensor.name.clone() });
        }
    }
    Ok(())
}

/// What is wrong with a tensor by itself.
fn check_tensor(tensor: &Tensor) -> Result<(), String> {
    let shape = &tensor.shape;
    if shape.len() > MAX_RANK {
        return Err(format!("has shape {shape:?}, but at most {MAX_RANK} axes are supported"));
    }
    let Some(bytes) = checked_bytes(shape, tensor.dtype) else {
        return Err(format!("has shape {shape:?}, which is more than {MAX_BYTES} bytes"));
    };
    if let Some(constant) = &tensor.constant
        && constant.len() != bytes
    {
        return Err(format!("is constant with {} bytes, but its shape {shape:?} needs {bytes}", constant.len()));
    }
    let Some(quantisation) = &tensor.quantisation else { return Ok(()) };
    let (scales, zero_points) = (quantisation.scales.len(), quantisation.zero_points.len());
    if scales == 0 || (zero_points != 1 && zero_points != scales) {
        return Err(format!("has {scales} scales and {zero_points} zero points; needs at least 1 and as many, or 1"));
    }
    if scales > 1 && shape.get(quantisation.axis) != Some(&scales) {
        return Err(format!("has {scales} scales along axis {} of shape {shape:?}", quantisation.axis));
    }
    Ok(())
}

/// Who writes and reads what, in which order.
fn check_flow(graph: &Graph) -> Result<(), VerifyError> {
    let mut inputs = HashSet::new();
    let mut written: Vec<bool> = graph.tensors.iter().map(|tensor| tensor.constant.is_some()).collect();
    let error = |place: String, verb, id: TensorId, reason| {
        Err(VerifyError::Flow { place, verb, tensor: graph[id].name.clone(), reason })
    };
    for &id in &graph.inputs {
        if graph[id].constant.is_some() {
            return error("the caller".into(), "writes", id, "is constant");
        }
        if !inputs.insert(id) {
            return error("the caller".into(), "writes", id, "is an input already");
        }
        written[id.0] = true;
    }
    for &State { tensor: id, .. } in &graph.states {
        if graph[id].constant.is_some() {
            return error("the run before".into(), "writes", id, "is constant");
        }
        if !inputs.insert(id) {
            return error("the run before".into(), "writes", id, "is an input or a state already");
        }
        written[id.0] = true;
    }
    for node in &graph.nodes {
        if let Some(&id) = node.inputs.iter().find(|id| !written[id.0]) {
            return error(place(node), "reads", id, "nothing has written by then");
        }
        for &id in &node.outputs {
            if graph[id].constant.is_some() {
                return error(place(node), "writes", id, "is constant");
            }
            if inputs.contains(&id) {
                return error(place(node), "writes", id, "is an input or a state of the network");
            }
            if std::mem::replace(&mut written[id.0], true) {
                return error(place(node), "writes", id, "is written already");
            }
        }
    }
    if let Some(&id) = graph.outputs.iter().find(|id| !written[id.0]) {
        return error("the caller".into(), "reads", id, "nothing writes");
    }
    match graph.states.iter().find(|state| !written[state.next.0]) {
        Some(state) => error("the next run".into(), "reads", state.next, "nothing writes"),
        None => Ok(()),
    }
}

/// What is wrong with a state by itself.
fn check_state(graph: &Graph, state: &State) -> Result<(), String> {
    let (tensor, next) = (&graph[state.tensor], &graph[state.next]);
    let (bytes, found) = (tensor.bytes(), state.initial.len());
    if bytes != found {
        return Err(format!("is a state with {found} initial bytes, but its shape {:?} needs {bytes}", tensor.shape));
    }
    if (tensor.dtype, &tensor.shape) != (next.dtype, &next.shape) {
        let word = |tensor: &Tensor| format!("{}{:?}", dtype_name(tensor.dtype), tensor.shape);
        return Err(format!("is a state of {}, but becomes '{}' of {}", word(tensor), next.name, word(next)));
    }
    Ok(())
}

/// What is wrong with a node, by its op.
fn check_node(graph: &Graph, node: &Node) -> Result<(), String> {
    let (inputs, outputs) = (graph.tensors_of(&node.inputs), graph.tensors_of(&node.outputs));
    let inferred = node.op.infer(&inputs)?;
    let declared: Vec<&Shape> = outputs.iter().map(|output| &output.shape).collect();
    if !inferred.iter().eq(declared.iter().copied()) {
        return Err(format!("writes shapes {inferred:?}, but the graph declares {declared:?}"));
    }
    node.op.check(&inputs, &outputs)
}

#[cfg(test)]
mod tests;
