//! One operator of the file on its way into the graph: its operands, its options, the nodes made of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::ImportError;
use super::budget::Budget;
use super::names::ElementType;
use super::schema::tflite as schema;
use super::source::{Contents, QuantisationError, Source, SourceOperator, SourceTensor, check_size};
use super::variables::Variables;
use crate::graph::{DType, Graph, MAX_RANK, Node, Quantisation, Shape, Tensor, TensorId, bytes_of};
use crate::ops::{Op, Operation};

/// Most multiply-accumulates of a node: a microcontroller that does 10⁹ a second would take 18 minutes. Sums over nodes
/// stay far from overflow.
const MAX_MACS: u64 = 1 << 40;

/// Why an operator is not imported.
pub(super) enum Refusal {
    /// It is not supported; the end of a sentence about the operator.
    Unsupported(String),
    /// The file is broken.
    File(ImportError),
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        Self::File(error)
    }
}

impl From<planus::Error> for Refusal {
    fn from(error: planus::Error) -> Self {
        Self::File(error.into())
    }
}

/// A refusal with a reason.
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Unsupported(reason.into()))
}

/// A function that adds an operator to the graph.
pub(super) type Import = fn(&mut Site<'_, '_>) -> Result<(), Refusal>;

/// The graph as far as it is made.
pub(super) struct Importer<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) graph: Graph,
    pub(super) budget: &'a Budget,
    /// The graph's tensor for each of the file's.
    ids: Vec<Option<TensorId>>,
    names: Names,
    /// Bytes of the file's buffers, copied once.
    buffers: HashMap<usize, Arc<[u8]>>,
    /// Zeros that stand for missing biases, by length.
    zeros: HashMap<usize, Arc<[u8]>>,
    pub(super) variables: Variables<'a>,
}

/// The names in use. Unlike [`Graph::add`] it does not search all tensors, of which a file may have very many.
#[derive(Default)]
struct Names {
    used: HashSet<String>,
    /// The last number that was put behind a name.
    numbers: HashMap<String, usize>,
}

impl Names {
    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        while !self.used.insert(unique.clone()) {
            let number = self.numbers.entry(name.to_owned()).or_insert(1);
            *number += 1;
            unique = format!("{name}#{number}");
        }
        unique
    }
}

/// One operator, and the importer that takes it.
pub(super) struct Site<'i, 'a> {
    pub(super) importer: &'i mut Importer<'a>,
    pub(super) operator: &'a SourceOperator<'a>,
    /// The types that the operator may have, for messages.
    pub(super) types: &'static str,
}

impl<'a> Importer<'a> {
    /// An empty graph for `source`.
    pub(super) fn new(source: &'a Source<'a>, budget: &'a Budget) -> Self {
        Self {
            source,
            graph: Graph::default(),
            budget,
            ids: vec![None; source.tensors.len()],
            names: Names::default(),
            buffers: HashMap::new(),
            zeros: HashMap::new(),
            variables: Variables::default(),
        }
    }

    /// The graph's tensor for tensor `index` of the file, of the type and shape that the file declares.
    pub(super) fn tensor(&mut self, index: usize) -> Result<TensorId, Refusal> {
        let source = self.file_tensor(index);
        self.tensor_of_shape(index, source.shape.clone())
    }

    /// Lets tensor `index` of the file be, from now on, the graph's `id`.
    pub(super) fn alias(&mut self, index: usize, id: TensorId) {
        self.ids[index] = Some(id);
    }

    pub(super) fn file_tensor(&self, index: usize) -> &'a SourceTensor<'a> {
        &self.source.tensors[index]
    }

    fn tensor_of_shape(&mut self, index: usize, shape: Shape) -> Result<TensorId, Refusal> {
        let dtype = dtype_of(self.file_tensor(index))?;
        self.tensor_of_type(index, shape, dtype)
    }

    fn tensor_of_type(&mut self, index: usize, shape: Shape, dtype: DType) -> Result<TensorId, Refusal> {
        if let Some(id) = self.ids[index] {
            return Ok(id);
        }
        let source = self.file_tensor(index);
        if shape.len() > MAX_RANK {
            return unsupported(format!(
                "has tensor '{}' of rank {}, but {MAX_RANK} is the highest that is supported",
                source.name,
                shape.len()
            ));
        }
        if shape.contains(&0) {
            return unsupported(format!("has tensor '{}' of shape {shape:?}, which has no elements", source.name));
        }
        if source.sparse || source.variable {
            let kind = if source.sparse { "sparse" } else { "a variable" };
            return unsupported(format!(
                "has tensor '{}', which is {kind}: only dense values are supported",
                source.name
            ));
        }
        check_size(&source.name, &shape, dtype)?;
        let constant = self.constant(source, shape.iter().product::<usize>() * dtype.bytes() as usize)?;
        let quantisation = match dtype {
            DType::F32 => None,
            _ => source.quantisation(self.budget).map_err(|error| match error {
                QuantisationError::Kind => Refusal::Unsupported(format!(
                    "has tensor '{}' with custom or blockwise quantisation; affine by tensor or channel is supported",
                    source.name
                )),
                QuantisationError::Broken(error) => Refusal::File(error),
            })?,
        };
        let name = source.name.as_str();
        Ok(self.add(Tensor { name: name.to_owned(), shape, dtype, quantisation, constant, source: Some(index) }))
    }

    fn add(&mut self, mut tensor: Tensor) -> TensorId {
        tensor.name = self.names.unique(&tensor.name);
        let id = TensorId(self.graph.tensors.len());
        if let Some(index) = tensor.source {
            self.ids[index] = Some(id);
        }
        self.graph.tensors.push(tensor);
        id
    }

    fn constant(&mut self, source: &SourceTensor<'a>, wanted: usize) -> Result<Option<Arc<[u8]>>, Refusal> {
        match source.contents {
            Contents::Computed => Ok(None),
            Contents::Outside => unsupported(format!(
                "has tensor '{}' whose elements lie behind the FlatBuffer; export the model in the form for files below \
                 2 GB",
                source.name
            )),
            Contents::Constant { buffer, bytes } => {
                check_length(source, wanted, bytes)?;
                if let Some(shared) = self.buffers.get(&buffer) {
                    return Ok(Some(shared.clone()));
                }
                self.budget.spend(bytes.len(), 1)?;
                let copy: Arc<[u8]> = bytes.into();
                self.buffers.insert(buffer, copy.clone());
                Ok(Some(copy))
            }
        }
    }
}

/// The graph's type of the elements of `source`.
fn dtype_of(source: &SourceTensor<'_>) -> Result<DType, Refusal> {
    match source.element.dtype() {
        Some(dtype) => Ok(dtype),
        None => unsupported(format!("has tensor '{}' of type {}", source.name, source.element.name())),
    }
}

/// A constant has as many bytes as its shape says.
fn check_length(source: &SourceTensor<'_>, wanted: usize, bytes: &[u8]) -> Result<(), ImportError> {
    if bytes.len() == wanted {
        return Ok(());
    }
    let (shape, element) = (&source.shape, source.element.name());
    Err(ImportError::malformed(
        format!("tensor '{}'", source.name),
        format!("of shape {shape:?} and type {element} needs {wanted} bytes, but has {}", bytes.len()),
    ))
}

impl<'a> Site<'_, 'a> {
    /// The error of a file whose operator contradicts itself.
    pub(super) fn malformed<T>(&self, reason: impl Into<String>) -> Result<T, Refusal> {
        let place = format!("operator {} ({})", self.operator.index, self.operator.op);
        Err(ImportError::malformed(place, reason).into())
    }

    /// The operator's options, where the file has any of a known kind.
    pub(super) fn options(&self) -> Result<Option<schema::BuiltinOptionsRef<'a>>, Refusal> {
        Ok(self.operator.table.builtin_options()?)
    }

    /// The refusal of an operator without the options that it must have.
    pub(super) fn without_options<T>(&self) -> Result<T, Refusal> {
        self.malformed("lacks the options that say what it computes")
    }

    /// Index in the file of input `place`, where it is there.
    pub(super) fn optional(&self, place: usize) -> Option<usize> {
        self.operator.inputs.get(place).copied().flatten()
    }

    /// Index in the file of input `place`.
    pub(super) fn required(&self, place: usize) -> Result<usize, Refusal> {
        match self.optional(place) {
            Some(index) => Ok(index),
            None => self.malformed(format!("lacks its input {place}")),
        }
    }

    /// The file's tensor at input `place`.
    pub(super) fn file_input(&self, place: usize) -> Result<&'a SourceTensor<'a>, Refusal> {
        Ok(self.importer.file_tensor(self.required(place)?))
    }

    /// Index in the file of the one output.
    pub(super) fn output_index(&self) -> Result<usize, Refusal> {
        match self.operator.outputs.as_slice() {
            &[output] => Ok(output),
            outputs => self.malformed(format!("has {} outputs, but must have one", outputs.len())),
        }
    }

    /// The file's tensor at the one output.
    pub(super) fn file_output(&self) -> Result<&'a SourceTensor<'a>, Refusal> {
        Ok(self.importer.file_tensor(self.output_index()?))
    }

    /// The graph's tensor for input `place`.
    pub(super) fn input(&mut self, place: usize) -> Result<TensorId, Refusal> {
        let index = self.required(place)?;
        self.importer.tensor(index).map_err(|refusal| self.with_types(refusal))
    }

    /// As [`Site::input`], where int64 is taken too: as pairs of int32 along a last axis, low words first, for the graph has
    /// no wider integers.
    pub(super) fn words(&mut self, place: usize) -> Result<TensorId, Refusal> {
        let index = self.required(place)?;
        let source = self.importer.file_tensor(index);
        if source.element != ElementType::I64 {
            return self.input(place);
        }
        let shape = source.shape.iter().copied().chain([2]).collect();
        self.importer.tensor_of_type(index, shape, DType::I32)
    }

    /// The shape of the graph's tensor `id`.
    pub(super) fn shape(&self, id: TensorId) -> Shape {
        self.importer.graph[id].shape.clone()
    }

    /// The integers of constant input `place`, which says a shape, axes or a padding.
    pub(super) fn integers(&self, place: usize) -> Result<Vec<i64>, Refusal> {
        let tensor = self.file_input(place)?;
        match self.constant_integers(tensor)? {
            Some(integers) => Ok(integers),
            None => unsupported(format!("has computed input '{}', but it must be constant", tensor.name)),
        }
    }

    fn constant_integers(&self, tensor: &SourceTensor<'a>) -> Result<Option<Vec<i64>>, Refusal> {
        let bytes = match tensor.contents {
            Contents::Constant { bytes, .. } => bytes,
            Contents::Computed if tensor.shape.contains(&0) => &[],
            _ => return Ok(None),
        };
        self.importer.budget.spend(bytes.len(), 2)?;
        let element_bytes = match tensor.element {
            ElementType::I32 => size_of::<i32>(),
            ElementType::I64 => size_of::<i64>(),
            other => {
                let reason =
                    format!("has input '{}' of type {}, but int32 or int64 is wanted", tensor.name, other.name());
                return unsupported(reason);
            }
        };
        check_length(tensor, tensor.shape.iter().product::<usize>() * element_bytes, bytes)?;
        let word = |bytes: &[u8]| match bytes.first_chunk() {
            Some(&chunk) => i64::from_le_bytes(chunk),
            None => bytes.first_chunk().map_or(0, |&chunk| i64::from(i32::from_le_bytes(chunk))),
        };
        Ok(Some(bytes.chunks_exact(element_bytes).map(word).collect()))
    }

    /// A constant of zeros, for a bias that the file leaves out.
    pub(super) fn zeros(&mut self, shape: Shape, dtype: DType) -> Result<TensorId, Refusal> {
        let bytes = shape.iter().fold(dtype.bytes() as usize, |bytes, &size| bytes.saturating_mul(size));
        let zeros = match self.importer.zeros.get(&bytes) {
            Some(zeros) => zeros.clone(),
            None => {
                self.importer.budget.spend(bytes, 1)?;
                let zeros: Arc<[u8]> = vec![0; bytes].into();
                self.importer.zeros.insert(bytes, zeros.clone());
                zeros
            }
        };
        let name = format!("{}/bias", self.file_output()?.name);
        Ok(self.importer.add(Tensor { name, shape, dtype, quantisation: None, constant: Some(zeros), source: None }))
    }

    /// What the elements of a constant tensor of 8 or 16 bits mean, scales of single channels included; `None` for any other tensor.
    pub(super) fn constant_reals(&self, id: TensorId) -> Option<Vec<f32>> {
        let tensor = &self.importer.graph[id];
        let integers: Vec<i32> = match tensor.dtype {
            DType::I8 => tensor.values::<i8>()?.into_iter().map(i32::from).collect(),
            DType::U8 => tensor.values::<u8>()?.into_iter().map(i32::from).collect(),
            DType::I16 => tensor.values::<i16>()?.into_iter().map(i32::from).collect(),
            DType::F32 | DType::I32 => return None,
        };
        let Quantisation { scales, zero_points, axis } = tensor.quantisation.as_ref()?;
        let below: usize = tensor.shape.get(axis + 1..)?.iter().product();
        let real = |(index, integer): (usize, i32)| {
            let channel = if scales.len() == 1 { 0 } else { (index / below.max(1)).checked_rem(scales.len())? };
            let (scale, zero_point) = (*scales.get(channel)?, *zero_points.get(channel).or(zero_points.first())?);
            Some((f64::from(scale) * (f64::from(integer) - f64::from(zero_point))) as f32)
        };
        integers.into_iter().enumerate().map(real).collect()
    }

    /// Makes the one output a constant of floats, so that no node is needed.
    pub(super) fn write_floats(&mut self, floats: impl Iterator<Item = f32>, count: usize) -> Result<(), Refusal> {
        let index = self.output_index()?;
        let output = self.file_output()?;
        if output.element.dtype() != Some(DType::F32) || output.shape.iter().product::<usize>() != count {
            return self.malformed(format!("turns {count} floats to {:?} {}", output.shape, output.element.name()));
        }
        self.importer.budget.spend(count, 2 * size_of::<f32>())?;
        let id = self.importer.tensor(index)?;
        self.importer.graph[id].constant = Some(bytes_of(floats).into());
        Ok(())
    }

    /// Adds a node that only moves elements, before the last one of the operator; what it writes is not in the file.
    pub(super) fn inner(&mut self, op: impl Into<Op>, input: TensorId) -> Result<TensorId, Refusal> {
        let op = op.into();
        let name = format!("{}/moved", self.file_output()?.name);
        let shape = self.infer(&op, &[input], &name)?;
        let like = self.importer.graph[input].clone();
        let id = self.importer.add(Tensor { name, shape, constant: None, source: None, ..like });
        self.push(op, vec![input], id)?;
        Ok(id)
    }

    /// Adds the node that writes the operator's output.
    pub(super) fn node(&mut self, op: impl Into<Op>, inputs: Vec<TensorId>) -> Result<(), Refusal> {
        let output = self.output_index()?;
        self.node_of(output, op, inputs)
    }

    /// Adds a node that writes the file's tensor `output`, one of the operator's.
    pub(super) fn node_of(&mut self, output: usize, op: impl Into<Op>, inputs: Vec<TensorId>) -> Result<(), Refusal> {
        let op = op.into();
        let file = self.importer.file_tensor(output);
        // Before the shapes: types are the better reason.
        dtype_of(file).map_err(|refusal| self.with_types(refusal))?;
        let shape = self.infer(&op, &inputs, &file.name)?;
        if !file.shape.is_empty() && file.shape != shape {
            let (name, declared) = (&file.name, &file.shape);
            return self.malformed(format!("writes '{name}' of shape {declared:?}, but what it reads makes {shape:?}"));
        }
        let id = self.importer.tensor_of_shape(output, shape).map_err(|refusal| self.with_types(refusal))?;
        self.push(op, inputs, id)
    }

    /// `refusal` with the types that the operator may have.
    fn with_types(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::Unsupported(reason) => Refusal::Unsupported(format!("{reason}; it takes {}", self.types)),
            refusal => refusal,
        }
    }

    fn infer(&self, op: &Op, inputs: &[TensorId], name: &str) -> Result<Shape, Refusal> {
        let shapes = op.infer(&self.importer.graph.tensors_of(inputs)).map_err(Refusal::Unsupported)?;
        let Some(shape) = shapes.into_iter().next() else { return unsupported("writes nothing") };
        check_size(name, &shape, DType::F32)?;
        Ok(shape)
    }

    fn push(&mut self, op: Op, inputs: Vec<TensorId>, output: TensorId) -> Result<(), Refusal> {
        let graph = &mut self.importer.graph;
        let (reads, writes) = (graph.tensors_of(&inputs), graph.tensors_of(&[output]));
        for tensor in &reads {
            let scales = tensor.quantisation.as_ref().map_or(0, |quantisation| quantisation.scales.len());
            self.importer.budget.spend(scales, size_of::<f32>())?;
        }
        op.check(&reads, &writes).map_err(Refusal::Unsupported)?;
        let model_macs = op.macs(&reads, &writes);
        if model_macs > MAX_MACS {
            return unsupported(format!("needs {model_macs} multiply-accumulates, but {MAX_MACS} is the most"));
        }
        let name = graph[output].name.clone();
        let sources = vec![self.operator.index];
        graph.nodes.push(Node { name, op, inputs, outputs: vec![output], sources, model_macs });
        Ok(())
    }
}
