//! Why a model file is not imported: it is broken, too large, or asks for what is not supported.

use std::fmt;

use thiserror::Error;

use super::File;
use crate::graph::Shape;

/// Why a model file is not imported.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum ImportError {
    /// The file contradicts its format or itself.
    #[error("the file is malformed: {place} {reason}; it may be truncated or damaged, export or download it again")]
    Malformed {
        /// The part of the file.
        place: String,
        /// What is wrong with it, as the end of a sentence about the part.
        reason: String,
    },
    /// A tensor is beyond what the compiler handles.
    #[error("tensor '{tensor}' of shape {shape:?} is too large: a tensor may have at most {limit} bytes")]
    TooLarge {
        /// The tensor's name.
        tensor: String,
        /// Its shape.
        shape: Shape,
        /// Most bytes that a tensor may have.
        limit: usize,
    },
    /// The file is sound, but asks for what is not supported: all the reasons at once, in the file's order.
    #[error("the file needs what is not supported:{}", Listed(reasons))]
    Unsupported {
        /// What is not supported.
        reasons: Vec<Unsupported>,
        /// What the file says, less the number of its parameters.
        file: Box<File>,
    },
}

/// One operator that is not supported, or one network input or output (`op` is then `INPUT` or `OUTPUT`).
#[derive(Debug, Clone, PartialEq)]
pub struct Unsupported {
    /// Name of the first tensor that the operator writes.
    pub node: String,
    /// Index of the operator in the file, or of the network input or output.
    pub index: usize,
    /// The operator's name; that of a custom operator after `CUSTOM:`.
    pub op: String,
    /// The operator's version.
    pub version: i32,
    /// Types of what it reads, then of what it writes.
    pub dtypes: Vec<String>,
    /// How many of `dtypes` are of what it reads.
    pub inputs: usize,
    /// What is not supported and what is, as the end of a sentence about the operator.
    pub reason: String,
}

impl Unsupported {
    /// What is refused, without the reason.
    fn subject(&self) -> String {
        let (read, written) = self.dtypes.split_at(self.inputs.min(self.dtypes.len()));
        let Self { node, index, op, version, .. } = self;
        match op.as_str() {
            "INPUT" | "OUTPUT" => format!("{op} '{node}' (number {index}, {})", self.dtypes.join(", ")),
            _ => format!(
                "{op} version {version} '{node}' (operator {index}, {} → {})",
                read.join(", "),
                written.join(", ")
            ),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject(), self.reason)
    }
}

/// The operators, one a line, and the reason below those that share it.
struct Listed<'a>(&'a [Unsupported]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for one in self.0 {
            match groups.iter_mut().find(|(reason, _)| *reason == one.reason) {
                Some((_, subjects)) => subjects.push(one.subject()),
                None => groups.push((&one.reason, vec![one.subject()])),
            }
        }
        groups.iter().try_for_each(|(reason, subjects)| write!(f, "\n  {}\n    {reason}", subjects.join("\n  ")))
    }
}

impl ImportError {
    /// The error for a part of a file that is wrong.
    pub(crate) fn malformed(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { place: place.into(), reason: reason.into() }
    }
}
