//! Models as a C library: emitted, compiled by the Rust toolchain that is found, and packed up with their headers.

use std::collections::BTreeSet;

use rasbora_bench::{Library, LibrarySources, Platform, library, wasm_module};
use rasbora_compiler::emit::{Files, c, interpreter, rust};
use rasbora_compiler::target::Target;
use serde::Serialize;

use crate::aim::Aim;
use crate::commands::compile::{Entry, named, not_emitted};
use crate::failure::Failure;
use crate::interrupt::emulating;
use crate::screen::Progress;

/// How a library is to be made.
pub struct Order {
    /// What it runs on; this machine where there is no target.
    pub target: Option<&'static Target>,
    /// Its name.
    pub package: String,
    /// What it is optimised for.
    pub aim: Aim,
}

/// A library in answers.
#[derive(Serialize)]
pub struct LibraryBody {
    /// The file, below the output folder.
    pub file: String,
    /// Code and all other data than the constants.
    pub code_bytes: u64,
    /// Weights, biases, multipliers, tables and parameters.
    pub constants_bytes: u64,
}

impl LibraryBody {
    /// The fields that are figures.
    pub const FIGURES: [&str; 2] = ["library.code_bytes", "library.constants_bytes"];
}

/// The files of the output folder, and what the library takes.
///
/// # Errors
/// Where a name is no name, a tool is missing or the library cannot be built.
pub fn build(entries: &[Entry], order: &Order) -> Result<(Files, LibraryBody), Failure> {
    let networks = rust::emit(&named(entries)).map_err(|error| not_emitted(&error))?;
    let hashes: Vec<String> = entries.iter().map(|entry| entry.file.named().sha256).collect();
    let mut described: Vec<c::Network<'_>> = (entries.iter().zip(&hashes))
        .map(|(Entry { name, program, .. }, sha256)| c::Network { name, program, sha256, stack_bytes: None })
        .collect();
    let public: Vec<String> = described.iter().flat_map(c::Network::functions).collect();
    let sources = LibrarySources { networks: &networks, interface: &c::interface(&described), public: &public };
    let (built, body) = compiled(sources, order)?;
    for network in &mut described {
        network.stack_bytes = built.stack_bytes_of(&network.functions());
    }
    let mut files = c::files(&order.package, &described, &platform(order.target).1);
    files.push((c::library_file(&order.package), built.archive));
    Ok((files, body))
}

/// What a library runs on, and the same in words.
fn platform(target: Option<&'static Target>) -> (Platform, String) {
    match target {
        Some(target) => (Platform::Target(target), format!("{} (gcc {})", target.name, target.gcc_options())),
        None => (Platform::Host, format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH)),
    }
}

/// A library, and what it takes.
fn compiled(sources: LibrarySources<'_>, order: &Order) -> Result<(Library, LibraryBody), Failure> {
    let platform = platform(order.target).0;
    let progress = Progress::start(format!("compiling the library for {}", platform.name()));
    let built = emulating(|| library(platform, sources, order.aim.opt_level()))?;
    drop(progress);
    let body = LibraryBody {
        file: c::library_file(&order.package).display().to_string(),
        code_bytes: built.code_bytes,
        constants_bytes: built.constants_bytes,
    };
    Ok((built, body))
}

/// The files of the interpreter with these kernels, and what it takes.
///
/// # Errors
/// Where a tool is missing or the library cannot be built.
pub fn build_interpreter(kernels: &BTreeSet<&'static str>, order: &Order) -> Result<(Files, LibraryBody), Failure> {
    let sources = LibrarySources {
        networks: &interpreter::sources(),
        interface: &interpreter::interface(kernels, order.aim.goal(order.target).isa()),
        public: &interpreter::FUNCTIONS.map(str::to_owned),
    };
    let (built, body) = compiled(sources, order)?;
    let stack_bytes = built.stack_bytes_of(sources.public);
    let mut files = interpreter::files(kernels, &platform(order.target).1, stack_bytes);
    files.push((c::library_file(&order.package), built.archive));
    Ok((files, body))
}

/// The npm package of the interpreter with these kernels, and what its module takes.
///
/// # Errors
/// Where a tool is missing or the module cannot be built.
pub fn build_wasm(kernels: &BTreeSet<&'static str>) -> Result<(Files, LibraryBody), Failure> {
    let progress = Progress::start("compiling the WebAssembly module".to_owned());
    let module = emulating(|| wasm_module(&interpreter::wasm_interface(kernels)))?;
    drop(progress);
    let body = LibraryBody { file: "rasbora.wasm".to_owned(), code_bytes: module.len() as u64, constants_bytes: 0 };
    Ok((interpreter::npm_package(module), body))
}
