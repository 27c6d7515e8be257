//! The tables of a .tflite file as plain lists, with every index checked.
//!
//! FlatBuffers are read lazily and may point anywhere, so this is the one place that walks them: what it returns is in
//! range, has sizes that were multiplied with care, and is written before it is read.

use planus::{ReadAsRoot, Vector};

use super::super::ImportError;
use super::budget::Budget;
use super::names::{CUSTOM, ElementType, operator_name};
use super::operators::row;
use super::schema::tflite as schema;
use crate::graph::verify::{MAX_BYTES, checked_bytes};
use crate::graph::{DType, MAX_RANK, Quantisation, Shape};

/// Most bytes of a tensor's name: names stand in every message and in every later stage.
const MAX_NAME_BYTES: usize = 4096;
/// The version of the schema that TensorFlow Lite has used since its first release.
const VERSION: u32 = 3;
/// Bytes that a tensor costs in the lists here and in the graph, besides its name, shape and elements.
const TENSOR_BYTES: usize = 512;
/// Bytes that an operator costs in the lists here, in the graph and in messages, besides its operands.
const OPERATOR_BYTES: usize = 512;
/// Bytes that an operand costs likewise.
const OPERAND_BYTES: usize = 64;

/// The subgraph that is read.
pub(super) struct Source<'a> {
    model: schema::ModelRef<'a>,
    codes: Vec<(String, i32)>,
    pub(super) tensors: Vec<SourceTensor<'a>>,
    pub(super) operators: Vec<SourceOperator<'a>>,
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
    pub(super) description: String,
}

/// A tensor of the file.
pub(super) struct SourceTensor<'a> {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) element: ElementType,
    pub(super) contents: Contents<'a>,
    pub(super) variable: bool,
    pub(super) sparse: bool,
    quantization: Option<schema::QuantizationParametersRef<'a>>,
}

/// What the file holds of a tensor's elements.
#[derive(Clone, Copy)]
pub(super) enum Contents<'a> {
    /// Nothing: the tensor is computed, or given by the caller.
    Computed,
    /// The elements, and the buffer they lie in.
    Constant { buffer: usize, bytes: &'a [u8] },
    /// The elements lie after the FlatBuffer.
    Outside,
}

/// An operator of the file.
pub(super) struct SourceOperator<'a> {
    pub(super) index: usize,
    pub(super) op: String,
    pub(super) version: i32,
    /// Indices of tensors; `None` where an optional input is left out.
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<usize>,
    pub(super) table: schema::OperatorRef<'a>,
}

impl From<planus::Error> for ImportError {
    fn from(error: planus::Error) -> Self {
        let planus::errors::ErrorLocation { type_, method, byte_offset } = error.source_location;
        let place = format!("field '{method}' of {type_} at byte {byte_offset}");
        Self::malformed(place, format!("cannot be read ({})", error.error_kind.to_string().to_lowercase()))
    }
}

/// A subgraph that sets up variables: its tensors and operators, in any order.
pub(super) struct Setup<'a> {
    pub(super) tensors: Vec<SourceTensor<'a>>,
    pub(super) operators: Vec<SourceOperator<'a>>,
}

/// Reads the first subgraph.
pub(super) fn read<'a>(bytes: &'a [u8], budget: &Budget) -> Result<Source<'a>, ImportError> {
    if bytes.get(4..8) != Some(b"TFL3") {
        return Err(ImportError::malformed("its start", "lacks the mark TFL3 of a .tflite file at byte 4"));
    }
    let model = schema::ModelRef::read_as_root(bytes)?;
    if model.version()? != VERSION {
        let reason = format!("says version {}, but {VERSION} is the only one known", model.version()?);
        return Err(ImportError::malformed("the schema version", reason));
    }
    let subgraphs = model.subgraphs()?;
    let count = subgraphs.map_or(0, Vector::len);
    let subgraph = subgraphs.and_then(Vector::first);
    let subgraph = subgraph.ok_or_else(|| ImportError::malformed("the model", "has no subgraph"))??;
    let tensors = tensors(&model, &subgraph, budget)?;
    let codes = codes(&model, budget)?;
    let source = Source {
        model,
        operators: operators(&subgraph, &codes, tensors.len(), budget)?,
        inputs: ports("network inputs", subgraph.inputs()?, tensors.len(), budget)?,
        outputs: ports("network outputs", subgraph.outputs()?, tensors.len(), budget)?,
        tensors,
        description: description(&model, count)?,
        codes,
    };
    source.check_flow()?;
    Ok(source)
}

fn description(model: &schema::ModelRef<'_>, subgraphs: usize) -> Result<String, ImportError> {
    let text: String = model.description()?.unwrap_or_default().chars().take(MAX_NAME_BYTES).collect();
    Ok(match subgraphs {
        1 => text,
        _ => format!("{text} (subgraph 0 of {subgraphs})").trim_start().to_owned(),
    })
}

/// Name and version of each operator code.
fn codes(model: &schema::ModelRef<'_>, budget: &Budget) -> Result<Vec<(String, i32)>, ImportError> {
    let mut codes = Vec::new();
    for code in model.operator_codes()?.into_iter().flatten() {
        let code = code?;
        // Files from before the 32-bit field have 0 there; files since have a placeholder in the 8-bit one.
        let number = code.builtin_code()?.max(i32::from(code.deprecated_builtin_code()?));
        let name = match number {
            CUSTOM => format!("CUSTOM:{}", name_of("a custom operator", code.custom_code()?)?),
            _ => operator_name(number),
        };
        budget.spend(1, OPERAND_BYTES + name.len())?;
        codes.push((name, code.version()?));
    }
    Ok(codes)
}

fn name_of(what: &str, name: Option<&str>) -> Result<String, ImportError> {
    let name = name.unwrap_or_default();
    if name.len() > MAX_NAME_BYTES {
        return Err(ImportError::malformed(what, format!("has a name of more than {MAX_NAME_BYTES} bytes")));
    }
    Ok(name.to_owned())
}

fn tensors<'a>(
    model: &schema::ModelRef<'a>,
    subgraph: &schema::SubGraphRef<'a>,
    budget: &Budget,
) -> Result<Vec<SourceTensor<'a>>, ImportError> {
    let buffers = model.buffers()?;
    let mut tensors = Vec::new();
    for (index, tensor) in subgraph.tensors()?.into_iter().flatten().enumerate() {
        let tensor = tensor?;
        let name = name_of(&format!("tensor {index}"), tensor.name()?)?;
        let shape = shape(&name, tensor.shape()?, budget)?;
        budget.spend(1, TENSOR_BYTES + 4 * name.len())?;
        tensors.push(SourceTensor {
            contents: contents(&name, tensor.buffer()?, buffers)?,
            name,
            shape,
            element: ElementType(tensor.dtype()?),
            variable: tensor.is_variable()?,
            sparse: tensor.sparsity()?.is_some(),
            quantization: tensor.quantization()?,
        });
    }
    Ok(tensors)
}

/// The sizes of the axes, whose product is at most [`MAX_BYTES`].
fn shape(name: &str, sizes: Option<Vector<'_, i32>>, budget: &Budget) -> Result<Shape, ImportError> {
    let Some(sizes) = sizes else { return Ok(Shape::new()) };
    budget.spend(sizes.len(), 3 * size_of::<usize>())?;
    let shape: Option<Shape> = sizes.iter().map(|size| usize::try_from(size).ok()).collect();
    let shape = shape
        .ok_or_else(|| ImportError::malformed(format!("tensor '{name}'"), "has an axis of negative size".to_owned()))?;
    check_size(name, &shape, DType::I8)?;
    Ok(shape)
}

/// Whether a tensor of `shape` and `dtype` is within [`MAX_BYTES`].
pub(super) fn check_size(name: &str, shape: &[usize], dtype: DType) -> Result<(), ImportError> {
    if checked_bytes(shape, dtype).is_some() {
        return Ok(());
    }
    let shape = shape.iter().take(MAX_RANK).copied().collect();
    Err(ImportError::TooLarge { tensor: name.to_owned(), shape, limit: MAX_BYTES })
}

fn contents<'a>(
    name: &str,
    buffer: u32,
    buffers: Option<Vector<'a, planus::Result<schema::BufferRef<'a>>>>,
) -> Result<Contents<'a>, ImportError> {
    // Buffer 0 is by convention the empty one.
    if buffer == 0 {
        return Ok(Contents::Computed);
    }
    let index = buffer as usize;
    let Some(buffer) = buffers.and_then(|buffers| buffers.get(index)) else {
        return Err(ImportError::malformed(
            format!("tensor '{name}'"),
            format!("lies in buffer {index}, which the file lacks"),
        ));
    };
    let buffer = buffer?;
    // Offset 1 is a placeholder that exporters leave.
    if buffer.offset()? > 1 || buffer.size()? > 1 {
        return Ok(Contents::Outside);
    }
    Ok(match buffer.data()? {
        Some(bytes) if !bytes.is_empty() => Contents::Constant { buffer: index, bytes },
        _ => Contents::Computed,
    })
}

fn operators<'a>(
    subgraph: &schema::SubGraphRef<'a>,
    codes: &[(String, i32)],
    tensors: usize,
    budget: &Budget,
) -> Result<Vec<SourceOperator<'a>>, ImportError> {
    let mut operators = Vec::new();
    for (index, table) in subgraph.operators()?.into_iter().flatten().enumerate() {
        let table = table?;
        let place = || format!("operator {index}");
        let code = usize::try_from(table.opcode_index()?).ok().and_then(|code| codes.get(code));
        let (op, version) = code.ok_or_else(|| {
            ImportError::malformed(place(), format!("has a code beyond the {} of the file", codes.len()))
        })?;
        budget.spend(1, OPERATOR_BYTES + 3 * op.len())?;
        let inputs = indices(&place(), table.inputs()?, tensors, budget)?;
        let outputs = indices(&place(), table.outputs()?, tensors, budget)?.into_iter().flatten().collect();
        operators.push(SourceOperator { index, op: op.clone(), version: *version, inputs, outputs, table });
    }
    Ok(operators)
}

/// Indices of tensors, `None` for −1.
fn indices(
    place: &str,
    indices: Option<Vector<'_, i32>>,
    tensors: usize,
    budget: &Budget,
) -> Result<Vec<Option<usize>>, ImportError> {
    let Some(indices) = indices else { return Ok(Vec::new()) };
    budget.spend(indices.len(), OPERAND_BYTES)?;
    let check = |index: i32| match usize::try_from(index) {
        Ok(index) if index < tensors => Ok(Some(index)),
        Err(_) if index == -1 => Ok(None),
        _ => Err(ImportError::malformed(place, format!("names tensor {index} of {tensors}"))),
    };
    indices.iter().map(check).collect()
}

fn ports(
    what: &str,
    ports: Option<Vector<'_, i32>>,
    tensors: usize,
    budget: &Budget,
) -> Result<Vec<usize>, ImportError> {
    let ports = indices(what, ports, tensors, budget)?;
    let all: Option<Vec<usize>> = ports.into_iter().collect();
    all.ok_or_else(|| ImportError::malformed(what, "names tensor -1"))
}

/// Where a tensor's elements come from, as far as the operators have been followed.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Nowhere,
    Constant,
    Input,
    Operator(usize),
}

impl<'a> Source<'a> {
    /// Reads subgraph `index`; `None` where the file has no such one.
    pub(super) fn setup(&self, index: i32, budget: &Budget) -> Result<Option<Setup<'a>>, ImportError> {
        let place = usize::try_from(index).ok();
        let subgraphs = self.model.subgraphs()?;
        let Some(subgraph) = place.and_then(|place| subgraphs?.get(place)) else { return Ok(None) };
        let subgraph = subgraph?;
        let tensors = tensors(&self.model, &subgraph, budget)?;
        Ok(Some(Setup { operators: operators(&subgraph, &self.codes, tensors.len(), budget)?, tensors }))
    }

    /// Each tensor has one origin, which comes before what reads it. So there are no cycles.
    fn check_flow(&self) -> Result<(), ImportError> {
        let mut origins: Vec<Origin> = self.tensors.iter().map(SourceTensor::origin).collect();
        for &input in &self.inputs {
            self.originate(&mut origins, input, Origin::Input)?;
        }
        for operator in &self.operators {
            // What is refused anyway may have inputs of its own kind, as scratch memory.
            let known = row(&operator.op).is_some();
            for &input in operator.inputs.iter().flatten().filter(|_| known) {
                let tensor = &self.tensors[input];
                if origins[input] == Origin::Nowhere && !tensor.variable && !tensor.shape.contains(&0) {
                    let reason = format!(
                        "reads tensor '{}', which nothing before it writes: operators must stand in the order in which \
                         they run",
                        tensor.name
                    );
                    return Err(ImportError::malformed(
                        format!("operator {} ({})", operator.index, operator.op),
                        reason,
                    ));
                }
            }
            for &output in &operator.outputs {
                self.originate(&mut origins, output, Origin::Operator(operator.index))?;
            }
        }
        if self.outputs.is_empty() {
            return Err(ImportError::malformed("the network", "has no outputs"));
        }
        match self.outputs.iter().find(|&&output| origins[output] == Origin::Nowhere) {
            Some(&output) => {
                let place = format!("network output '{}'", self.tensors[output].name);
                Err(ImportError::malformed(place, "is written by no operator"))
            }
            None => Ok(()),
        }
    }

    fn originate(&self, origins: &mut [Origin], tensor: usize, origin: Origin) -> Result<(), ImportError> {
        let word = |origin| match origin {
            Origin::Nowhere => "nothing".to_owned(),
            Origin::Constant => "the file itself".to_owned(),
            Origin::Input => "the caller".to_owned(),
            Origin::Operator(index) => format!("operator {index}"),
        };
        match std::mem::replace(&mut origins[tensor], origin) {
            Origin::Nowhere => Ok(()),
            before => Err(ImportError::malformed(
                format!("tensor '{}'", self.tensors[tensor].name),
                format!("is written twice: by {} and by {}", word(before), word(origin)),
            )),
        }
    }
}

impl<'a> SourceTensor<'a> {
    fn origin(&self) -> Origin {
        match self.contents {
            Contents::Computed => Origin::Nowhere,
            Contents::Constant { .. } | Contents::Outside => Origin::Constant,
        }
    }

    /// The quantisation of a tensor that has one.
    ///
    /// # Errors
    /// Where it is not the affine one, or its numbers do not fit the tensor.
    pub(super) fn quantisation(&self, budget: &Budget) -> Result<Option<Quantisation>, QuantisationError> {
        let Some(parameters) = &self.quantization else { return Ok(None) };
        if parameters.details_type()? != 0 {
            return Err(QuantisationError::Kind);
        }
        let (Some(scales), zero_points) = (parameters.scale()?, parameters.zero_point()?) else { return Ok(None) };
        if scales.is_empty() {
            return Ok(None);
        }
        budget.spend(scales.len(), 4 * size_of::<f32>())?;
        let broken = |reason: String| ImportError::malformed(format!("tensor '{}'", self.name), reason);
        let count = scales.len();
        let scales: Vec<f32> = scales.iter().collect();
        if let Some(scale) = scales.iter().find(|scale| !(scale.is_finite() && **scale >= 0.0)) {
            return Err(broken(format!("has scale {scale}")).into());
        }
        let zero_points = match zero_points {
            Some(points) if points.len() == count => points
                .iter()
                .map(|point| i32::try_from(point).ok().filter(|&point| self.element.holds(point)))
                .collect::<Option<Vec<i32>>>()
                .ok_or_else(|| broken("has a zero point outside its type".to_owned()))?,
            None => vec![0; count],
            Some(points) if points.is_empty() => vec![0; count],
            Some(points) => return Err(broken(format!("has {count} scales, but {} zero points", points.len())).into()),
        };
        // Biases have one axis, whatever the file says: it means that of the weights.
        let axis = match count {
            1 => 0,
            _ if self.shape.len() == 1 => 0,
            _ => usize::try_from(parameters.quantized_dimension()?).unwrap_or(usize::MAX),
        };
        if count > 1 && self.shape.get(axis) != Some(&count) {
            return Err(broken(format!("of shape {:?} has {count} scales along axis {axis}", self.shape)).into());
        }
        Ok(Some(Quantisation { scales, zero_points, axis }))
    }
}

/// Why a tensor's quantisation is not read.
pub(super) enum QuantisationError {
    /// It is not the affine one.
    Kind,
    /// It contradicts the tensor.
    Broken(ImportError),
}

impl From<ImportError> for QuantisationError {
    fn from(error: ImportError) -> Self {
        Self::Broken(error)
    }
}

impl From<planus::Error> for QuantisationError {
    fn from(error: planus::Error) -> Self {
        Self::Broken(error.into())
    }
}
