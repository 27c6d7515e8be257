//! A network over a window that slides, made one that takes a frame a run.
//!
//! The network given takes the last `T` frames of a sequence, again with each new one. The network made takes the new
//! frame alone, and keeps of each tensor the earlier rows that are still needed. After each run its outputs are those of
//! the network given, bit for bit; the frames before the first are zero.
//!
//! A tensor *flows* where its rows move by one when the window does. One row of it is computed a run, and
//! ```text
//! row i of all, in run n  =  the one row in run n − lag − distance · (rows − 1 − i)
//! ```
//! Strides make distances larger, and what a stride leaves over at the end of the window is lag. Where an op needs all
//! rows at once, they are put together again, and what follows is as it was.

mod flow;

use thiserror::Error;

use self::flow::{Flow, Made, Read, Rows, made};
use crate::graph::verify::{MAX_BYTES, checked_bytes, verify};
use crate::graph::{DType, Graph, Node, State, Tensor, TensorId, bytes_of};
use crate::host::{self, HostError};
use crate::ops::{Op, Shift, StridedSlice};
use crate::pipeline::{CompileError, compile_plainly};

/// Why a network cannot stream.
#[derive(Debug, Error)]
pub enum StreamError {
    /// By its inputs or states.
    #[error("the network cannot stream: {reason}")]
    Network {
        /// What is wrong.
        reason: String,
    },
    /// By a node.
    #[error("the network cannot stream: node '{node}' ({op}) {reason}")]
    Node {
        /// The node's name.
        node: String,
        /// Its op.
        op: &'static str,
        /// What it does, as the end of a sentence.
        reason: String,
    },
    /// It does not compile as it is.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It does not run as it is.
    #[error(transparent)]
    Run(#[from] HostError),
}

/// Makes `graph` take a frame a run: one index of its input's first axis that is longer than 1. An output that has rows
/// gives the last of them.
///
/// # Errors
/// Where the network has another number of inputs than one, or states; where a node pads along time, for then its rows
/// do not move with the window; and where a node needs all frames before anything is computed of single ones.
pub fn stream(graph: &Graph) -> Result<Graph, StreamError> {
    verify(graph).map_err(|error| CompileError::Verify { when: "before it streams".into(), error })?;
    let refuse = |reason: String| Err(StreamError::Network { reason });
    let &[input] = graph.inputs.as_slice() else {
        return refuse(format!("it has {} inputs, and one is wanted", graph.inputs.len()));
    };
    if !graph.states.is_empty() {
        return refuse(format!("it keeps {} states already", graph.states.len()));
    }
    let Some(axis) = graph[input].shape.iter().position(|&size| size > 1) else {
        return refuse(format!(
            "its input '{}' has shape {:?}, which is one frame",
            graph[input].name, graph[input].shape
        ));
    };
    let mut flows = vec![None; graph.tensors.len()];
    flows[input.0] = Some(Flow { axis, distance: 1, lag: 0 });
    let nodes = flow_through(graph, &mut flows)?;
    let kept = kept(graph, &flows, &nodes)?;
    let zeros = rows_of_zeros(graph, &flows, &kept)?;
    Ok(Maker { batch: graph, made: graph.clone(), flows, kept, zeros, rings: vec![None; graph.tensors.len()] }
        .make(nodes))
}

/// A node as it is made: its op, and the rows that it reads of each input.
struct Planned {
    op: Op,
    reads: Vec<Rows>,
}

/// How each node is made; `flows` says it of tensors.
fn flow_through(graph: &Graph, flows: &mut [Option<Flow>]) -> Result<Vec<Planned>, StreamError> {
    let (mut computed, mut whole) = (false, None);
    let mut planned = Vec::new();
    for node in &graph.nodes {
        let refuse = |reason: String| StreamError::Node { node: node.name.clone(), op: node.op.name(), reason };
        let reads: Vec<Read<'_>> =
            node.inputs.iter().map(|&id| Read { tensor: &graph[id], flow: flows[id.0] }).collect();
        let flowing = reads.iter().any(|read| read.flow.is_some());
        let made = if flowing { made(&node.op, &reads).map_err(refuse)? } else { None };
        if let Some(Made { op, reads, flow }) = made {
            computed |= !flow::moves(&op);
            node.outputs.iter().for_each(|output| flows[output.0] = Some(flow.of(&graph[*output])));
            planned.push(Planned { op, reads });
            continue;
        }
        if flowing {
            whole.get_or_insert_with(|| {
                refuse("needs all frames at once, and nothing computes with single ones".into())
            });
        }
        planned.push(Planned { op: node.op.clone(), reads: reads.iter().map(Read::all).collect() });
    }
    whole.filter(|_| !computed).map_or(Ok(planned), Err)
}

/// How many rows before the newest are kept of each tensor.
fn kept(graph: &Graph, flows: &[Option<Flow>], nodes: &[Planned]) -> Result<Vec<usize>, StreamError> {
    let mut kept = vec![0; graph.tensors.len()];
    let reads = graph.nodes.iter().zip(nodes).flat_map(|(node, planned)| node.inputs.iter().zip(&planned.reads));
    let outputs = graph.outputs.iter().filter_map(|id| Some((id, flows[id.0]?.last())));
    for (id, rows) in reads.map(|(id, rows)| (id, *rows)).chain(outputs) {
        kept[id.0] = kept[id.0].max(rows.oldest());
    }
    for ((tensor, flow), &kept) in graph.tensors.iter().zip(flows).zip(&kept) {
        let mut shape = tensor.shape.clone();
        flow.iter().for_each(|flow| shape[flow.axis] = kept + 1);
        if checked_bytes(&shape, tensor.dtype).is_none() {
            let reason =
                format!("it would keep {kept} rows of '{}', which is more than {MAX_BYTES} bytes", tensor.name);
            return Err(StreamError::Network { reason });
        }
    }
    Ok(kept)
}

/// The rows that are kept of each tensor, and the newest, where all frames are zero.
fn rows_of_zeros(graph: &Graph, flows: &[Option<Flow>], kept: &[usize]) -> Result<Vec<Vec<u8>>, StreamError> {
    let ids: Vec<TensorId> = (0..graph.tensors.len()).map(TensorId).filter(|id| kept[id.0] > 0).collect();
    let mut zeros = vec![Vec::new(); graph.tensors.len()];
    let mut batch = graph.clone();
    batch.outputs.clone_from(&ids);
    let inputs: Vec<Vec<u8>> = graph.inputs.iter().map(|&id| zero(&graph[id])).collect();
    let outputs = host::run(&compile_plainly(batch)?.program, &inputs)?;
    for (id, bytes) in ids.into_iter().zip(outputs) {
        if let Some(flow) = flows[id.0] {
            zeros[id.0] = repeated(&graph[id], flow.axis, &bytes, kept[id.0] + 1);
        }
    }
    Ok(zeros)
}

/// The bytes of a tensor of zeros.
fn zero(tensor: &Tensor) -> Vec<u8> {
    let zero_point = tensor.affine().map_or(0, |(_, zero_point)| zero_point);
    let element = match tensor.dtype {
        DType::I8 | DType::U8 => vec![zero_point as u8],
        DType::I16 => bytes_of([zero_point as i16]),
        DType::I32 => bytes_of([zero_point]),
        DType::F32 => bytes_of([0.0f32]),
    };
    element.repeat(tensor.elements())
}

/// `count` times the first row along `axis` of a tensor with these bytes.
fn repeated(tensor: &Tensor, axis: usize, bytes: &[u8], count: usize) -> Vec<u8> {
    let row: usize = tensor.shape.iter().skip(axis + 1).product::<usize>() * tensor.dtype.bytes() as usize;
    let all = (row * tensor.shape[axis]).max(1);
    bytes.chunks(all).flat_map(|rows| rows.get(..row).unwrap_or_default().repeat(count)).collect()
}

/// The network while it is made. Tensors keep their places; those that flow become one row.
struct Maker<'a> {
    batch: &'a Graph,
    made: Graph,
    flows: Vec<Option<Flow>>,
    kept: Vec<usize>,
    zeros: Vec<Vec<u8>>,
    /// Of each tensor of which rows are kept, these and the newest.
    rings: Vec<Option<TensorId>>,
}

impl Maker<'_> {
    fn make(mut self, planned: Vec<Planned>) -> Graph {
        for (index, flow) in self.flows.iter().enumerate() {
            if let Some(flow) = flow {
                self.made.tensors[index].shape[flow.axis] = 1;
                self.made.tensors[index].source = None;
            }
        }
        self.made.nodes.clear();
        for (node, Planned { op, reads }) in self.batch.nodes.iter().zip(planned) {
            let inputs = node.inputs.iter().zip(reads).map(|(&id, rows)| self.rows(id, rows)).collect();
            self.made.nodes.push(Node { op, inputs, ..node.clone() });
        }
        for index in 0..self.batch.outputs.len() {
            let id = self.batch.outputs[index];
            if let Some(flow) = self.flows[id.0] {
                self.made.outputs[index] = self.rows(id, flow.last());
            }
        }
        self.made
    }

    /// These rows of the tensor `id`.
    fn rows(&mut self, id: TensorId, rows: Rows) -> TensorId {
        let Some(flow) = self.flows[id.0] else { return id };
        if rows == Rows::NEWEST {
            return id;
        }
        let ring = self.ring(id, flow);
        let from = self.kept[id.0] - rows.oldest();
        if from == 0 && rows.lag == 0 && rows.distance == 1 {
            return ring;
        }
        let out = self.like(id, flow.axis, rows.count, "rows");
        let size = self.made[out].shape.clone();
        let (mut begin, mut stride) = (vec![0; size.len()], vec![1; size.len()]);
        (begin[flow.axis], stride[flow.axis]) = (from as i64, rows.distance as i64);
        self.node(StridedSlice { begin, stride, size }, vec![ring], out);
        out
    }

    /// The rows kept of `id`, and the newest.
    fn ring(&mut self, id: TensorId, flow: Flow) -> TensorId {
        if let Some(ring) = self.rings[id.0] {
            return ring;
        }
        let kept = self.kept[id.0];
        let [before, ring] = ["before", "ring"].map(|what| self.like(id, flow.axis, kept + 1, what));
        self.node(Shift { axis: flow.axis }, vec![before, id], ring);
        let initial = std::mem::take(&mut self.zeros[id.0]).into();
        self.made.states.push(State { tensor: before, next: ring, initial });
        self.rings[id.0] = Some(ring);
        ring
    }

    /// A tensor as `id`, but with `count` rows.
    fn like(&mut self, id: TensorId, axis: usize, count: usize, what: &str) -> TensorId {
        let mut tensor = self.made[id].clone();
        tensor.name = format!("{}/{what}", tensor.name);
        (tensor.shape[axis], tensor.source) = (count, None);
        self.made.add(tensor)
    }

    fn node(&mut self, op: impl Into<Op>, inputs: Vec<TensorId>, output: TensorId) {
        let name = self.made[output].name.clone();
        self.made.nodes.push(Node {
            name,
            op: op.into(),
            inputs,
            outputs: vec![output],
            sources: Vec::new(),
            model_macs: 0,
        });
    }
}
