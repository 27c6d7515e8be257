//! Tensors in files, on their way into a network and out of it.
//!
//! [`read()`] gives arrays as a file has them; [`convert`] fits one to what an input wants; [`assign`] knows which file is
//! for which input; [`mod@write`] keeps outputs.

pub mod assign;
mod bin;
pub mod convert;
mod csv;
mod image;
mod npy;
mod read;
mod wav;
pub mod write;

use std::fmt;
use std::path::PathBuf;

use rasbora_compiler::graph::{DType, dtype_name};
use rasbora_compiler::program::Port;
use serde::Serialize;
use thiserror::Error;

use crate::failure::{Failure, plain};
use crate::screen;

pub use self::image::Pixels;
pub use read::{Content, Keyed, audio, read};

/// What an input wants or an output is.
#[derive(Clone, PartialEq, Debug)]
pub struct Signature {
    /// The file's name for the tensor.
    pub name: String,
    /// Sizes of the axes, row-major.
    pub shape: Vec<usize>,
    /// Type of the elements.
    pub dtype: DType,
    /// Scale and zero point.
    pub quantisation: Option<(f32, i32)>,
}

impl Signature {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl From<&Port> for Signature {
    fn from(port: &Port) -> Self {
        let quantisation = port.quantisation.as_ref().and_then(|quantisation| quantisation.single());
        Self { name: port.name.clone(), shape: port.shape.clone(), dtype: port.dtype, quantisation }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", dtype_name(self.dtype), screen::shape(&self.shape))
    }
}

/// Elements as a file has them, row-major.
#[derive(Clone, PartialEq, Debug)]
pub enum Values {
    /// int8
    I8(Vec<i8>),
    /// uint8
    U8(Vec<u8>),
    /// int32
    I32(Vec<i32>),
    /// int16
    I16(Vec<i16>),
    /// float32
    F32(Vec<f32>),
    /// float64
    F64(Vec<f64>),
    /// Numbers in text that are all whole: they have no type yet.
    Whole(Vec<i64>),
    /// Elements of a type that no network takes.
    Foreign(String),
}

/// An array of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Array {
    /// Sizes of the axes; none where the file does not know them.
    pub shape: Option<Vec<usize>>,
    /// The elements.
    pub values: Values,
}

impl Values {
    /// The name of the type in messages.
    pub fn dtype(&self) -> &str {
        match self {
            Self::I8(_) => "int8",
            Self::U8(_) => "uint8",
            Self::I32(_) => "int32",
            Self::I16(_) => "int16",
            Self::F32(_) => "float32",
            Self::F64(_) => "float64",
            Self::Whole(_) => "whole numbers",
            Self::Foreign(name) => name,
        }
    }

    /// Number of elements; none where they were not read.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::I8(values) => Some(values.len()),
            Self::U8(values) => Some(values.len()),
            Self::I32(values) => Some(values.len()),
            Self::I16(values) => Some(values.len()),
            Self::F32(values) => Some(values.len()),
            Self::F64(values) => Some(values.len()),
            Self::Whole(values) => Some(values.len()),
            Self::Foreign(_) => None,
        }
    }
}

/// Little-endian bytes of a tensor as numbers.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Numbers {
    /// Integers, or the integers of quantised reals.
    Integers(Vec<i32>),
    /// Floats.
    Floats(Vec<f32>),
}

impl Numbers {
    /// Reads the elements of a tensor.
    pub fn of(bytes: &[u8], dtype: DType) -> Self {
        let words = || bytes.as_chunks::<4>().0.iter();
        match dtype {
            DType::I8 => Self::Integers(bytes.iter().map(|&byte| i32::from(byte.cast_signed())).collect()),
            DType::U8 => Self::Integers(bytes.iter().map(|&byte| i32::from(byte)).collect()),
            DType::I32 => Self::Integers(words().map(|&word| i32::from_le_bytes(word)).collect()),
            DType::I16 => {
                let halves = bytes.as_chunks().0.iter();
                Self::Integers(halves.map(|&half| i16::from_le_bytes(half).into()).collect())
            }
            DType::F32 => Self::Floats(words().map(|&word| f32::from_le_bytes(word)).collect()),
        }
    }

    /// What they mean: `scale · (integer − zero_point)`, or the floats themselves.
    pub fn dequantised(&self, quantisation: Option<(f32, i32)>) -> Vec<f32> {
        match (self, quantisation) {
            (Self::Floats(values), _) => values.clone(),
            (Self::Integers(values), Some((scale, zero_point))) => {
                values.iter().map(|&value| scale * (value - zero_point) as f32).collect()
            }
            (Self::Integers(values), None) => values.iter().map(|&value| value as f32).collect(),
        }
    }
}

/// What is wrong with a tensor file.
#[derive(Debug, Error)]
pub enum TensorError {
    /// The file cannot be read.
    #[error("'{}' cannot be read: {}", path.display(), plain(error))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The ending names no format.
    #[error("'{}' does not end in .npy, .npz, .png, .jpg, .wav, .csv or .bin", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The content is not what the ending says.
    #[error("'{}' is not a readable {format} file: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What its ending says.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The content is not what the input wants.
    #[error(transparent)]
    Misfit(#[from] Box<Misfit>),
}

/// Data that an input cannot take.
#[derive(Debug, Error)]
#[error("input '{}' wants {wanted}, but '{file}' {found}", wanted.name)]
pub struct Misfit {
    /// A word for programs.
    pub code: &'static str,
    /// What the input wants.
    pub wanted: Signature,
    /// The file and key.
    pub file: String,
    /// What was found, as the end of a sentence about the file.
    pub found: String,
    /// What to do.
    pub help: String,
}

impl Signature {
    /// The error for data of `file` that do not fit, because it `found`s, and what to do.
    pub fn misfit(
        &self,
        code: &'static str,
        file: &str,
        found: impl Into<String>,
        help: impl Into<String>,
    ) -> Box<Misfit> {
        Box::new(Misfit { code, wanted: self.clone(), file: file.into(), found: found.into(), help: help.into() })
    }
}

impl From<TensorError> for Failure {
    fn from(error: TensorError) -> Self {
        let message = error.to_string();
        match error {
            TensorError::Unreadable { path, error } => Self::unreadable(&path, &error),
            TensorError::Format { .. } => Self::usage(message).help("give the file the ending of its format"),
            TensorError::Malformed { .. } => Self::failed("malformed", message),
            TensorError::Misfit(misfit) => Self::failed(misfit.code, message).help(misfit.help),
        }
    }
}
