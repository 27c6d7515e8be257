//! The interpreter with just the kernels that are wanted, as a C library or a WebAssembly module: sources, header, wrapper.
//!
//! It runs packed programs where they lie in flash, so that a network can be replaced without its firmware.

use std::collections::BTreeSet;

use super::Files;
use super::c::{Package, RUNTIME, packages};
use super::rust::device;
use crate::host::{HostError, opcodes};
use crate::program::Program;
use crate::target::InstructionSet;

const INTERFACE: &str = include_str!("../../interface/interpreter.rs");
const HEADER: &str = include_str!("../../interface/rasbora.h");

const WASM_INTERFACE: &str = include_str!("../../interface/wasm/lib.rs");
/// The npm package but for its module.
const PACKAGE: [(&str, &str); 4] = [
    ("package.json", include_str!("../../interface/wasm/package.json")),
    ("README.md", include_str!("../../interface/wasm/README.md")),
    ("rasbora.js", include_str!("../../interface/wasm/rasbora.js")),
    ("rasbora.d.ts", include_str!("../../interface/wasm/rasbora.d.ts")),
];

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

/// The kernels that a packed program runs, by their names.
///
/// # Errors
/// Where it is no program that this version runs.
pub fn kernels_of_packed(packed: &[u8]) -> Result<BTreeSet<&'static str>, HostError> {
    let numbers = opcodes(packed)?;
    Ok(KERNELS.iter().filter(|(number, _)| numbers.contains(number)).map(|(_, name)| *name).collect())
}

/// The crate below that of the C functions: the kernels alone.
pub fn sources() -> Files {
    let mut files = device();
    files.push(("src/lib.rs".into(), b"//! The kernels.\n#![no_std]\n\npub use rasbora_device;\n".to_vec()));
    files
}

/// The Rust source of the C functions, for a crate that depends on [`sources`] by the name `model`.
pub fn interface(kernels: &BTreeSet<&str>, isa: InstructionSet) -> String {
    format!("{INTERFACE}\n{RUNTIME}\nuse {DEVICE}::isa::{} as Isa;\n{}", isa.type_name(), kernel_set(kernels))
}

/// As [`interface`], of the functions of a WebAssembly module, which runs portable programs.
pub fn wasm_interface(kernels: &BTreeSet<&str>) -> String {
    format!("{WASM_INTERFACE}\n{}", kernel_set(kernels))
}

/// The kernels' crate, as the sources of the functions see it.
const DEVICE: &str = "model::rasbora_device";

fn kernel_set(kernels: &BTreeSet<&str>) -> String {
    let kernels: Vec<String> = kernels.iter().map(|kernel| format!("{DEVICE}::ops::{kernel}")).collect();
    format!("{DEVICE}::kernel_set!(pub Kernels: {});\n", kernels.join(", "))
}

/// The files of the npm package around a WebAssembly module.
pub fn npm_package(module: Vec<u8>) -> Files {
    let fill = |text: &str| text.replace("@version@", env!("CARGO_PKG_VERSION")).into_bytes();
    let mut files: Files = PACKAGE.iter().map(|(name, text)| ((*name).into(), fill(text))).collect();
    files.push(("rasbora.wasm".into(), module));
    files
}

/// The library's name.
pub const PACKAGE_NAME: &str = "rasbora";

/// All files of the output folder but the library; arguments as for [`header`].
pub fn files(kernels: &BTreeSet<&str>, platform: &str, stack_bytes: Option<u32>) -> Files {
    let mut files = vec![("include/rasbora.h".into(), header(kernels, platform, stack_bytes).into_bytes())];
    let contents = "the interpreter of packed programs";
    files.extend(packages(Package { name: PACKAGE_NAME, symbol: "RASBORA", contents, platform }));
    files
}

/// The header `rasbora.h`; `platform` says in words what the library runs on, `stack_bytes` is the most that a function of
/// it takes.
pub fn header(kernels: &BTreeSet<&str>, platform: &str, stack_bytes: Option<u32>) -> String {
    let listed: Vec<String> = KERNELS
        .iter()
        .filter(|(_, name)| kernels.contains(name))
        .map(|(opcode, name)| format!("     {opcode:3} {name}\n"))
        .collect();
    let stack = stack_bytes.map_or_else(String::new, |bytes| {
        format!(
            "/* The most bytes of stack that a function takes below its caller, whatever the program: bounded from the\n   \
             machine code. */\n#define RASBORA_STACK_BYTES {bytes}\n\n"
        )
    });
    HEADER
        .replace("@stack@\n", &stack)
        .replace("@version@", env!("CARGO_PKG_VERSION"))
        .replace("@platform@", platform)
        .replace("@kernels@\n", &listed.concat())
        .replace("@format@", &rasbora_device::program::VERSION.to_string())
}
