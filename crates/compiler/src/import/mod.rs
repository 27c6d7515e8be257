//! Model files in, a [`Graph`] out.
//!
//! One module a format. An importer is a table from the file's operators to functions that make graph ops, so that what
//! is supported can be read off, and every file's reasons for refusal are given at once.

mod error;
pub mod tflite;

use crate::graph::{Graph, Shape};

pub use error::{ImportError, Unsupported};

/// A network as a file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// What it means.
    pub graph: Graph,
    /// What the file says, for reports and for mapping results back to it.
    pub file: File,
}

/// The parts of a model file that reports speak of.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct File {
    /// Its tensors, in the file's order, so that [`crate::graph::Tensor::source`] is an index.
    pub tensors: Vec<FileTensor>,
    /// Indices in [`File::tensors`] of the network inputs.
    pub inputs: Vec<usize>,
    /// Indices in [`File::tensors`] of the network outputs.
    pub outputs: Vec<usize>,
    /// Its operators, in the file's order, so that [`crate::graph::Node::sources`] are indices.
    pub operators: Vec<FileOperator>,
    /// Elements of the constants that the operators compute with (weights, biases, constant addends and factors), each
    /// tensor counted once. Shapes, axes and paddings do not count, nor zeros that stand for a missing bias.
    pub parameters: u64,
    /// The file's description of itself, and which part of it was read where it has several.
    pub description: String,
}

/// A tensor as the file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// The file's name for it, which may be empty and need not be unique.
    pub name: String,
    /// Sizes of the axes; empty for scalars and where the file leaves it open.
    pub shape: Shape,
    /// Type of the elements, as a word.
    pub dtype: String,
    /// Scale and zero point, where one holds for the whole tensor.
    pub affine: Option<(f32, i32)>,
}

/// An operator as the file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOperator {
    /// Its place in the file's list of operators.
    pub index: usize,
    /// The operator's name, `CONV_2D`; that of a custom operator after `CUSTOM:`.
    pub op: String,
    /// The version that the file asks for.
    pub version: i32,
    /// Indices in [`File::tensors`] of what it writes.
    pub outputs: Vec<usize>,
}
