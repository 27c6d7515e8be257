//! Programs as a C library: a header for each network, and files for CMake and Zephyr beside one static library.
//!
//! The library itself is compiled Rust: the crate of [`rust::emit`](super::rust::emit) below a crate of C functions,
//! [`interface`]. What a C program has to know stands in the header alone.

mod header;
mod packages;

use std::path::PathBuf;

pub use header::header;
pub use packages::{Package, packages};

use super::Files;
use crate::program::{Port, Program};

const INTERFACE: &str = include_str!("../../interface/lib.rs");
/// What every library for C has beside its functions.
pub(super) const RUNTIME: &str = include_str!("../../interface/runtime.rs");

/// Bytes that the arena's address is a multiple of, and its size too.
const ARENA_ALIGN: usize = 16;

/// A network in a C library.
#[derive(Clone, Copy, Debug)]
pub struct Network<'a> {
    /// What its functions begin with: an identifier in snake case.
    pub name: &'a str,
    /// What it runs.
    pub program: &'a Program,
    /// SHA-256 of the model's file, in hexadecimal.
    pub sha256: &'a str,
    /// The most bytes of stack that its functions take, where that is known.
    pub stack_bytes: Option<u32>,
}

impl Network<'_> {
    /// The functions that it offers, by their names in C.
    pub fn functions(&self) -> Vec<String> {
        ["init", "input", "run", "step", "output", "model_hash"].map(|verb| format!("{}_{verb}", self.name)).into()
    }

    /// Bytes of the arena that the caller provides.
    fn arena_bytes(&self) -> usize {
        self.program.arena_bytes.next_multiple_of(ARENA_ALIGN)
    }

    /// Inputs, then outputs, with what names them.
    fn ports(&self) -> impl Iterator<Item = (&'static str, usize, &Port)> {
        let numbered = |kind, ports: &'_ [Port]| (0..ports.len()).map(move |index| (kind, index));
        let named = numbered("input", &self.program.inputs).chain(numbered("output", &self.program.outputs));
        named
            .zip(self.program.inputs.iter().chain(&self.program.outputs))
            .map(|((kind, index), port)| (kind, index, port))
    }
}

/// The Rust source of the C functions, for a crate that depends on the emitted one by the name `model`.
pub fn interface(networks: &[Network<'_>]) -> String {
    let mut text = format!("{INTERFACE}\n{RUNTIME}");
    for network in networks {
        let functions = network.functions().join(", ");
        text += &format!("\nnetwork!({}, {functions}, c\"{}\");\n", network.name, network.sha256);
    }
    text
}

/// The library's file name.
pub fn library_file(package: &str) -> PathBuf {
    format!("lib/lib{package}.a").into()
}

/// The header's file name.
fn header_file(network: &Network<'_>) -> PathBuf {
    format!("include/{}.h", network.name).into()
}

/// All files of the output folder but the library.
pub fn files(package: &str, networks: &[Network<'_>], platform: &str) -> Files {
    let headers = networks.iter().map(|network| (header_file(network), header(network, platform).into_bytes()));
    let names: Vec<&str> = networks.iter().map(|network| network.name).collect();
    let contents = format!("the networks {}", names.join(", "));
    let symbol = format!("RASBORA_{}", package.to_ascii_uppercase());
    headers.chain(packages(Package { name: package, symbol: &symbol, contents: &contents, platform })).collect()
}
