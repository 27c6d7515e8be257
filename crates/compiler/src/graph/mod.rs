//! What a network means: tensors and the nodes between them, free of any file format and of any target.

pub mod text;
pub mod verify;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ops::{Op, Operation};

pub use rasbora_device::program::DType;

/// Sizes of a tensor's axes, rank 0 to 6, row-major.
pub type Shape = Vec<usize>;

/// Most axes that a tensor has.
pub const MAX_RANK: usize = 6;

/// Index of a tensor in [`Graph::tensors`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TensorId(pub usize);

/// A network.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Graph {
    /// All tensors. Passes may leave tensors that no node mentions.
    pub tensors: Vec<Tensor>,
    /// Nodes, each after the nodes that write what it reads.
    pub nodes: Vec<Node>,
    /// Tensors that the caller fills.
    pub inputs: Vec<TensorId>,
    /// Tensors that the caller reads.
    pub outputs: Vec<TensorId>,
    /// What one run leaves to the next.
    pub states: Vec<State>,
}

/// A tensor that a run finds as the run before left it: ring buffers, recurrent state. Within a run each tensor still has
/// one value, so ops and passes need not know of it.
#[derive(Clone, PartialEq, Debug)]
pub struct State {
    /// What a run reads: nothing writes it.
    pub tensor: TensorId,
    /// What becomes of it: after a run, `tensor` has the value of `next`.
    pub next: TensorId,
    /// Elements before the first run, row-major and little-endian.
    pub initial: Arc<[u8]>,
}

/// A tensor: its type, and its elements where they are constant.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// The file's name for it; unique in the graph.
    pub name: String,
    /// Sizes of the axes.
    pub shape: Shape,
    /// Type of the elements.
    pub dtype: DType,
    /// What the integers mean; `None` for floats and plain integers.
    pub quantisation: Option<Quantisation>,
    /// Elements, row-major and little-endian, of a constant tensor.
    pub constant: Option<Arc<[u8]>>,
    /// Index of the tensor in the file, where it comes from there unchanged.
    pub source: Option<usize>,
}

/// Affine quantisation: `real = scale · (integer − zero_point)`, for the whole tensor or by channel.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quantisation {
    /// One scale, or one for each index of `axis`.
    pub scales: Vec<f32>,
    /// One zero point, or one for each index of `axis`.
    pub zero_points: Vec<i32>,
    /// Axis of the channels where there are several scales.
    pub axis: usize,
}

/// One application of an op.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// The file's name of the tensor that it writes; several, joined by `+`, where nodes were fused.
    pub name: String,
    /// What is computed.
    pub op: Op,
    /// What it reads, in the op's order.
    pub inputs: Vec<TensorId>,
    /// What it writes.
    pub outputs: Vec<TensorId>,
    /// Indices of the file's operators that it stands for.
    pub sources: Vec<usize>,
    /// Multiply-accumulates of those operators as the file has them, before any pass saved some.
    pub model_macs: u64,
}

impl Quantisation {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self { scales: vec![scale], zero_points: vec![zero_point], axis: 0 }
    }

    /// The scale and zero point, where one holds for the whole tensor.
    pub fn single(&self) -> Option<(f32, i32)> {
        match (self.scales.as_slice(), self.zero_points.as_slice()) {
            (&[scale], &[zero_point]) => Some((scale, zero_point)),
            _ => None,
        }
    }
}

impl Tensor {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.bytes() as usize
    }

    /// Scale and zero point, where one holds for the whole tensor.
    pub fn affine(&self) -> Option<(f32, i32)> {
        self.quantisation.as_ref()?.single()
    }

    /// The elements of a constant tensor of type `T`; `None` where it is not constant or has another element size.
    pub fn values<T: LittleEndian>(&self) -> Option<Vec<T>> {
        let bytes = self.constant.as_ref()?;
        (self.dtype.bytes() as usize == T::BYTES).then(|| bytes.chunks_exact(T::BYTES).map(T::read).collect())
    }
}

/// Numbers that constants are made of.
pub trait LittleEndian: Copy {
    /// Size in bytes.
    const BYTES: usize;
    /// Reads `BYTES` bytes.
    fn read(bytes: &[u8]) -> Self;
    /// Appends `BYTES` bytes.
    fn write(self, bytes: &mut Vec<u8>);
}

macro_rules! little_endian {
    ($($number:ty),*) => {$(
        impl LittleEndian for $number {
            const BYTES: usize = size_of::<$number>();
            fn read(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or_else(Self::default, |&chunk| Self::from_le_bytes(chunk))
            }
            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
        }
    )*};
}
little_endian!(i8, u8, i16, u16, i32, u32, f32);

/// The bytes of `values`, little-endian.
pub fn bytes_of<T: LittleEndian>(values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        value.write(&mut bytes);
    }
    bytes
}

impl std::ops::Index<TensorId> for Graph {
    type Output = Tensor;
    fn index(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }
}

impl std::ops::IndexMut<TensorId> for Graph {
    fn index_mut(&mut self, id: TensorId) -> &mut Tensor {
        &mut self.tensors[id.0]
    }
}

impl Graph {
    /// Adds a tensor. The name is made unique by a suffix where it is taken.
    pub fn add(&mut self, mut tensor: Tensor) -> TensorId {
        if self.tensors.iter().any(|other| other.name == tensor.name) {
            let base = tensor.name.clone();
            let mut number = 1;
            while self.tensors.iter().any(|other| other.name == tensor.name) {
                number += 1;
                tensor.name = format!("{base}#{number}");
            }
        }
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// The node that writes `tensor`, as an index in [`Graph::nodes`].
    pub fn producer(&self, tensor: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.outputs.contains(&tensor))
    }

    /// The nodes that read `tensor`, as indices in [`Graph::nodes`].
    pub fn consumers(&self, tensor: TensorId) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(move |(_, node)| node.inputs.contains(&tensor)).map(|(index, _)| index)
    }

    /// Whether one node alone reads `tensor`, and nobody after the run: what writes and what reads it may be fused.
    pub fn read_once(&self, tensor: TensorId) -> bool {
        let reads: usize =
            self.nodes.iter().map(|node| node.inputs.iter().filter(|&&input| input == tensor).count()).sum();
        reads == 1 && !self.outlives(tensor)
    }

    /// Whether the value of `tensor` is read after the run: by the caller, or by the next run.
    pub fn outlives(&self, tensor: TensorId) -> bool {
        self.outputs.contains(&tensor) || self.states.iter().any(|state| state.next == tensor)
    }

    /// For each tensor the one whose memory it shares: views are the tensor that they view.
    pub fn roots(&self) -> Vec<TensorId> {
        let mut roots: Vec<TensorId> = (0..self.tensors.len()).map(TensorId).collect();
        for node in self.nodes.iter().filter(|node| node.op.is_view()) {
            if let (Some(input), Some(output)) = (node.inputs.first(), node.outputs.first()) {
                roots[output.0] = roots[input.0];
            }
        }
        roots
    }

    /// For each state whether it can be overwritten by what it becomes: a node of its own, which is no view, writes that
    /// after the last node that reads the state, or is that node and works in place, and the caller reads neither. A state
    /// that becomes itself is fine.
    pub fn settled(&self, roots: &[TensorId]) -> Vec<bool> {
        let mut writer = vec![None; self.tensors.len()];
        let mut last_read = vec![None; self.tensors.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|input| last_read[roots[input.0].0] = Some(index));
            node.outputs.iter().filter(|_| !node.op.is_view()).for_each(|output| writer[output.0] = Some(index));
        }
        let mut by_caller = vec![false; self.tensors.len()];
        self.outputs.iter().for_each(|output| by_caller[roots[output.0].0] = true);
        let mut times = vec![0; self.tensors.len()];
        self.states.iter().for_each(|state| times[roots[state.next.0].0] += 1);
        let settled = |state: &State| {
            let (State { tensor, next, .. }, root) = (state, roots[state.next.0]);
            let alone = !by_caller[tensor.0] && !by_caller[next.0] && times[root.0] == 1;
            let in_place = |node: &Node| {
                let reads = |&input: &TensorId| roots[input.0] == *tensor;
                node.op.is_in_place()
                    && node.inputs.iter().position(reads) == Some(0)
                    && !node.inputs[1..].iter().any(reads)
            };
            let over = |writer: usize| match last_read[tensor.0] {
                Some(last) if last == writer => in_place(&self.nodes[writer]),
                last => last < Some(writer),
            };
            alone && (root == *tensor || writer[next.0].is_some_and(over))
        };
        self.states.iter().map(settled).collect()
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|node| self.node_macs(node)).sum()
    }

    /// Multiply-accumulates of `node`.
    pub fn node_macs(&self, node: &Node) -> u64 {
        node.op.macs(&self.tensors_of(&node.inputs), &self.tensors_of(&node.outputs))
    }

    /// The tensors of `ids`.
    pub fn tensors_of(&self, ids: &[TensorId]) -> Vec<&Tensor> {
        ids.iter().map(|&id| &self[id]).collect()
    }
}

impl fmt::Display for TensorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// The word for a type of elements in messages and in the text form.
pub fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 => "int8",
        DType::U8 => "uint8",
        DType::F32 => "float32",
        DType::I32 => "int32",
        DType::I16 => "int16",
    }
}
