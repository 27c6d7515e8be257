//! A program becomes files: a Rust crate, a C library's sources with its header, or one packed file.

pub mod c;
pub mod interpreter;
pub mod rust;

use std::path::PathBuf;

/// Files to be written: path below the output folder, and content.
pub type Files = Vec<(PathBuf, Vec<u8>)>;
