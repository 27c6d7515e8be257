//! The interpreter as a C library, with just the kernels that are wanted: sources and header.
//!
//! It runs packed programs where they lie in flash, so that a network can be replaced without its firmware.

use std::collections::BTreeSet;

use super::Files;
use super::rust::device;
use crate::program::Program;
use crate::target::InstructionSet;

const INTERFACE: &str = include_str!("../../interface/interpreter.rs");
const HEADER: &str = include_str!("../../interface/rasbora.h");

/// The functions of the library, by their names in C.
pub const FUNCTIONS: [&str; 10] = [
    "rasbora_init",
    "rasbora_detail",
    "rasbora_arena_bytes",
    "rasbora_input",
    "rasbora_output",
    "rasbora_input_tensor",
    "rasbora_output_tensor",
    "rasbora_run",
    "rasbora_step",
    "rasbora_reset",
];

macro_rules! table {
    ($($opcode:literal => $kernel:ident,)*) => {
        /// Every kernel: its number in the packed format and its name.
        pub const KERNELS: &[(u16, &str)] = &[$(($opcode, stringify!($kernel))),*];
    };
}
rasbora_device::for_every_kernel!(table);

/// The kernels that `programs` run, by their names.
pub fn kernels_of<'a>(programs: impl IntoIterator<Item = &'a Program>) -> BTreeSet<&'static str> {
    programs.into_iter().flat_map(|program| &program.steps).map(|step| step.kernel.name()).collect()
}

/// The crate below that of the C functions: the kernels alone.
pub fn sources() -> Files {
    let mut files = device();
    files.push(("src/lib.rs".into(), b"//! The kernels.\n#![no_std]\n\npub use rasbora_device;\n".to_vec()));
    files
}

/// The Rust source of the C functions, for a crate that depends on [`sources`] by the name `model`.
pub fn interface(kernels: &BTreeSet<&str>, isa: InstructionSet) -> String {
    let device = "model::rasbora_device";
    let kernels: Vec<String> = kernels.iter().map(|kernel| format!("{device}::ops::{kernel}")).collect();
    format!(
        "{INTERFACE}\nuse {device}::isa::{} as Isa;\n{device}::kernel_set!(pub Kernels: {});\n",
        isa.type_name(),
        kernels.join(", ")
    )
}

/// The header `rasbora.h`; `platform` says in words what the library runs on.
pub fn header(kernels: &BTreeSet<&str>, platform: &str) -> String {
    let listed: Vec<String> = KERNELS
        .iter()
        .filter(|(_, name)| kernels.contains(name))
        .map(|(opcode, name)| format!("     {opcode:3} {name}\n"))
        .collect();
    HEADER
        .replace("@version@", env!("CARGO_PKG_VERSION"))
        .replace("@platform@", platform)
        .replace("@kernels@\n", &listed.concat())
        .replace("@format@", &rasbora_device::program::VERSION.to_string())
}
