//! The text form of a graph: what `rasbora graph` prints, and what the tests of the passes read.
//!
//! One line a tensor that the network is given and one line a node, so that a difference of two texts is a difference of
//! two networks. It round-trips: parsing what was printed gives an equal graph, names and bits of floats included.
//!
//! ```text
//! graph {
//!   input %0 "x" int8[1, 8] scale 0.5 zero -3 @0
//!   const %1 "w" int8[4, 8] scales [0.25, 0.5, 0.25, 1.0] axis 0 @1 = #9f86d081884c7d65 32 bytes at 0
//!   const %2 "b" int32[4] = [1, -2, 3, 4]
//!   %3 "y" int8[1, 4] scale 0.1 zero 0 @3 = FullyConnected(activation: None)(%0, %1, %2) from [0] macs 32
//!   output %3
//! }
//! ```
//!
//! | part | means |
//! |---|---|
//! | `%3 "y" int8[1, 4]` | declares a tensor: its index, name, type and shape; everywhere else it is `%3` |
//! | `scale s zero z` | one scale and zero point |
//! | `scales […] zeros […] axis a` | several, along axis `a`; without `zeros` they are all 0 |
//! | `@3` | index of the tensor in the file |
//! | `input`, `output`, `const` | the caller writes it, the caller reads it, it is constant |
//! | `state %0 … = [1, 2] becomes %3` | what a run reads of the run before: at first these elements, then what `%3` was |
//! | `tensor` | a tensor that nothing writes |
//! | `%3 "y" … = Op(…)(%0, …)` | a node: what it writes, the op with its attributes in RON, what it reads |
//! | `named "a+b"` | the node's name, where it is not its first output's |
//! | `from [0, 1]`, `macs 32` | the file's operators that it stands for, and their multiply-accumulates |
//! | `#hash n bytes at o` | more than 64 elements: bytes `o..o + n` of the side file, with the front of their SHA-256 |
//! | `// …` | a comment, to the end of the line |

mod cursor;
mod parse;

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};

use ron::extensions::Extensions;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{DType, Graph, LittleEndian, Node, Quantisation, Tensor, TensorId, dtype_name};
use crate::ops::Op;

pub use parse::parse;

/// Constants up to this number of elements are written as numbers, larger ones lie in the side file.
const INLINE: usize = 64;

/// A text that is no graph.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("line {line}, column {column}: expected {expected}, but found {found}")]
pub struct TextError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// The text of `graph`. Where it says `#…`, [`parse`] needs the side file that [`print_with_constants`] makes too.
pub fn print(graph: &Graph) -> String {
    print_with_constants(graph).0
}

/// The text of `graph`, and the side file with the constants that are too long for the text, one
/// after the other and each once.
pub fn print_with_constants(graph: &Graph) -> (String, Vec<u8>) {
    let mut printer =
        Printer { graph, text: String::from("graph {\n"), constants: Constants::default(), declared: HashSet::new() };
    printer.graph();
    printer.text.push_str("}\n");
    (printer.text, printer.constants.bytes)
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self))
    }
}

/// How RON writes and reads an op: `Conv2d(stride: …)`, not `Conv2d((stride: …))`.
fn ron_options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::UNWRAP_VARIANT_NEWTYPES)
}

/// The front of the SHA-256 of `bytes`, in hexadecimal.
fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The side file while it grows.
#[derive(Default)]
struct Constants {
    bytes: Vec<u8>,
    /// Offset of each list that it holds, by its whole hash and length.
    offsets: HashMap<([u8; 32], usize), usize>,
}

impl Constants {
    /// Adds `bytes`, once, and returns the words that refer to them.
    fn add(&mut self, bytes: &[u8]) -> String {
        let end = self.bytes.len();
        let offset = *self.offsets.entry((Sha256::digest(bytes).into(), bytes.len())).or_insert(end);
        if offset == end {
            self.bytes.extend(bytes);
        }
        format!("#{} {} bytes at {offset}", short_hash(bytes), bytes.len())
    }
}

struct Printer<'a> {
    graph: &'a Graph,
    text: String,
    constants: Constants,
    declared: HashSet<TensorId>,
}

impl Printer<'_> {
    /// Prints inputs, states, nodes with the constants that they are the first to read, what is left, outputs.
    fn graph(&mut self) {
        let graph = self.graph;
        for &id in &graph.inputs {
            let tensor = self.declare(id, false);
            self.line(format_args!("input {tensor}"));
        }
        for state in &graph.states {
            self.constant(state.tensor);
            let tensor = self.declare(state.tensor, false);
            let dtype = self.graph.tensors.get(state.tensor.0).map_or(DType::U8, |tensor| tensor.dtype);
            let elements = self.elements(dtype, &state.initial);
            self.line(format_args!("state {tensor} = {elements} becomes {}", state.next));
        }
        for node in &graph.nodes {
            for &id in &node.inputs {
                self.constant(id);
            }
            let node = self.node(node);
            self.line(format_args!("{node}"));
        }
        for id in (0..graph.tensors.len()).map(TensorId) {
            self.constant(id);
            if !self.declared.contains(&id) {
                let tensor = self.declare(id, false);
                self.line(format_args!("tensor {tensor}"));
            }
        }
        for id in &graph.outputs {
            self.line(format_args!("output {id}"));
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "  {line}");
    }

    /// Prints the declaration of `id` where it is constant and not yet declared.
    fn constant(&mut self, id: TensorId) {
        let Some(tensor) = self.graph.tensors.get(id.0) else { return };
        if let Some(bytes) = tensor.constant.as_ref().filter(|_| !self.declared.contains(&id)) {
            let declaration = self.declare(id, true);
            let elements = self.elements(tensor.dtype, bytes);
            self.line(format_args!("const {declaration} = {elements}"));
        }
    }

    /// `%3 "y" int8[1, 4] scale 0.5 zero 0 @3`, or `%3` alone where it is declared elsewhere.
    fn declare(&mut self, id: TensorId, constant: bool) -> String {
        let tensor = match self.graph.tensors.get(id.0) {
            Some(tensor) if tensor.constant.is_some() == constant && self.declared.insert(id) => tensor,
            _ => return id.to_string(),
        };
        let Tensor { name, shape, dtype, .. } = tensor;
        let mut text = format!("{id} {name:?} {}{shape:?}", dtype_name(*dtype));
        if let Some(quantisation) = &tensor.quantisation {
            text.push_str(&quantisation_text(quantisation));
        }
        if let Some(source) = tensor.source {
            let _ = write!(text, " @{source}");
        }
        text
    }

    fn node(&mut self, node: &Node) -> String {
        let first = node.outputs.first().filter(|id| !self.declared.contains(id));
        let outputs: Vec<String> = node.outputs.iter().map(|&id| self.declare(id, false)).collect();
        let outputs = if outputs.is_empty() { "()".into() } else { outputs.join(", ") };
        let inputs: Vec<String> = node.inputs.iter().map(ToString::to_string).collect();
        let mut text = format!("{outputs} = {}({})", op_text(&node.op), inputs.join(", "));
        let first = first.filter(|id| self.declared.contains(id)).and_then(|id| self.graph.tensors.get(id.0));
        if first.is_none_or(|first| first.name != node.name) {
            let _ = write!(text, " named {:?}", node.name);
        }
        if !node.sources.is_empty() {
            let _ = write!(text, " from {:?}", node.sources);
        }
        if node.model_macs != 0 {
            let _ = write!(text, " macs {}", node.model_macs);
        }
        text
    }

    /// The elements of a constant; by hash too where their bytes are no whole number of elements.
    fn elements(&mut self, dtype: DType, bytes: &[u8]) -> String {
        fn values<T: LittleEndian>(bytes: &[u8]) -> Vec<T> {
            bytes.chunks_exact(T::BYTES).map(T::read).collect()
        }
        let size = dtype.bytes() as usize;
        if bytes.len() > INLINE * size || !bytes.len().is_multiple_of(size) {
            return self.constants.add(bytes);
        }
        match dtype {
            DType::I8 => format!("{:?}", values::<i8>(bytes)),
            DType::U8 => format!("{:?}", values::<u8>(bytes)),
            DType::I32 => format!("{:?}", values::<i32>(bytes)),
            DType::I16 => format!("{:?}", values::<i16>(bytes)),
            DType::F32 => list(&values::<f32>(bytes), |&value| Float(value).to_string()),
        }
    }
}

/// ` scale 0.5 zero 0`, or the lists.
fn quantisation_text(quantisation: &Quantisation) -> String {
    let Quantisation { scales, zero_points, axis } = quantisation;
    if let (Some((scale, zero_point)), 0) = (quantisation.single(), *axis) {
        return format!(" scale {} zero {zero_point}", Float(scale));
    }
    let mut text = format!(" scales {}", list(scales, |&scale| Float(scale).to_string()));
    if zero_points.len() != scales.len() || zero_points.iter().any(|&zero_point| zero_point != 0) {
        let _ = write!(text, " zeros {zero_points:?}");
    }
    let _ = write!(text, " axis {axis}");
    text
}

fn list<T>(values: &[T], print: impl Fn(&T) -> String) -> String {
    format!("[{}]", values.iter().map(print).collect::<Vec<_>>().join(", "))
}

/// An op with its attributes.
fn op_text(op: &Op) -> String {
    let options = ron_options();
    let pretty = ron::ser::PrettyConfig::new().depth_limit(0);
    // Attributes are numbers, enums and lists of them, for which the serialiser knows no error.
    let text = options.to_string_pretty(op, pretty).unwrap_or_else(|error| format!("{}(/* {error} */)", op.name()));
    // RON marks `None` as an identifier wherever it could be an option's; the reader does not need the mark.
    let plain = text.replace("r#None", "None");
    if options.from_str::<Op>(&plain).is_ok_and(|read| read == *op) { plain } else { text }
}

/// A float whose text gives its bits back: the shortest decimal, or the bits where it is not a number.
struct Float(f32);

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() { write!(f, "{:#010x}", self.0.to_bits()) } else { write!(f, "{:?}", self.0) }
    }
}

#[cfg(test)]
mod tests;
