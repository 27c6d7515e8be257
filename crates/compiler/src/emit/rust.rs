//! Programs as a Rust crate: `no_std`, no allocation, sizes known at compile time, nothing that panics.
//!
//! The crate is complete: a module a model, its constants as a file beside it, and one copy of the kernels
//! (`rasbora-device`) as a path dependency. Parameters are printed by their own `Debug`, so the emitter knows no op.

use std::fmt::Write;

use include_dir::{Dir, include_dir};
use rasbora_device::memory::Space;
use thiserror::Error;

use super::Files;
use crate::graph::{DType, Quantisation};
use crate::program::{Port, Program, Step};

static DEVICE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../device/src");

/// Name of the emitted package.
pub const PACKAGE: &str = "model";

/// A program with the name of its module.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// A Rust identifier in snake case.
    pub name: &'a str,
    /// What it runs.
    pub program: &'a Program,
    /// Name of the type in `rasbora_device::isa` whose primitives it runs.
    pub isa: &'a str,
}

/// Why no crate is emitted.
#[derive(Debug, Error, PartialEq)]
pub enum EmitError {
    /// A name that no module can have.
    #[error("'{0}' cannot name a Rust module: use lower-case letters, digits and '_', and begin with a letter")]
    Name(String),
    /// Two models of one name.
    #[error("two models are named '{0}': give one of them another name")]
    Twice(String),
}

/// The module name for a file: its stem in snake case.
pub fn module_name(stem: &str) -> String {
    let mut name = String::new();
    for c in stem.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    let letter_first = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if letter_first && !is_reserved(name) { name.into() } else { format!("model_{name}").trim_end_matches('_').into() }
}

/// Rust's keywords, and the names that the emitted crate uses itself.
fn is_reserved(name: &str) -> bool {
    const RESERVED: &str = " as break const continue crate else enum extern false fn for if impl in let loop match mod \
        move mut pub ref return self static struct super trait true type unsafe use where while async await dyn abstract \
        become box do final macro override priv typeof unsized virtual yield try gen core rasbora_device ";
    RESERVED.contains(&format!(" {name} "))
}

/// The files of a crate with a module for each of `models`.
///
/// # Errors
/// Where a name is no module name, or stands twice.
pub fn emit(models: &[Named<'_>]) -> Result<Files, EmitError> {
    let mut files = Files::new();
    let mut modules = String::new();
    for (index, model) in models.iter().enumerate() {
        if module_name(model.name) != model.name {
            return Err(EmitError::Name(model.name.into()));
        }
        if models[..index].iter().any(|other| other.name == model.name) {
            return Err(EmitError::Twice(model.name.into()));
        }
        modules += &format!("pub mod {};\n", model.name);
        files.push((format!("src/{}.rs", model.name).into(), module(model).into_bytes()));
        files.push((format!("src/{}.bin", model.name).into(), model.program.constants.clone()));
    }
    let lib = format!(
        "//! Networks compiled by Rasbora {}: a module for each.\n#![no_std]\n\n\
         pub use rasbora_device::network::{{Network, Position, Progress, TensorInfo}};\n\n{modules}",
        env!("CARGO_PKG_VERSION")
    );
    files.push(("src/lib.rs".into(), lib.into_bytes()));
    files.push(("Cargo.toml".into(), manifest().into_bytes()));
    files.extend(device());
    Ok(files)
}

fn manifest() -> String {
    format!(
        "[package]\nname = \"{PACKAGE}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\nrasbora-device = {{ path = \"rasbora-device\" }}\n\n[workspace]\n"
    )
}

/// The crate of the kernels, in the folder `rasbora-device`.
pub fn device() -> Files {
    let manifest = format!(
        "[package]\nname = \"rasbora-device\"\nversion = \"{}\"\nedition = \"2024\"\nlicense = \"Apache-2.0 OR MIT\"\n\
         publish = false\n\n[dependencies]\nlibm = \"0.2\"\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut files = vec![("rasbora-device/Cargo.toml".into(), manifest.into_bytes())];
    let mut folders = vec![&DEVICE];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        files.extend(folder.files().map(|file| {
            let path = std::path::Path::new("rasbora-device/src").join(file.path());
            (path, file.contents().to_vec())
        }));
    }
    files
}

/// The module of one model.
fn module(model: &Named<'_>) -> String {
    let Named { name, program, isa } = model;
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_module(&mut text, name, program, isa);
    text
}

fn write_module(w: &mut String, name: &str, program: &Program, isa: &str) -> std::fmt::Result {
    let (inputs, outputs) = (program.inputs.len(), program.outputs.len());
    writeln!(w, "//! The network `{name}`: {inputs} in, {outputs} out, {} steps.", program.steps.len())?;
    w.push_str(USES);
    writeln!(w, "use rasbora_device::isa::{isa} as Isa;\n")?;
    writeln!(w, "/// Bytes of working memory, network inputs and outputs included.")?;
    writeln!(w, "pub const ARENA_BYTES: usize = {};", program.arena_bytes)?;
    writeln!(w, "/// Alignment of the arena in bytes; [`Arena`] has it.\npub const ARENA_ALIGN: usize = 16;")?;
    writeln!(w, "/// Number of steps of one inference.\npub const STEPS: usize = {};", program.steps.len())?;
    write_infos(w, "INPUT", "Network inputs", &program.inputs)?;
    write_infos(w, "OUTPUT", "Network outputs", &program.outputs)?;
    writeln!(w, "\nstatic CONSTANTS: Aligned<[u8; {}]> =", program.constants.len())?;
    writeln!(w, "    Aligned(*include_bytes!(\"{name}.bin\"));")?;
    writeln!(w, "static STATE: [u8; {}] = {:?};", program.state.len(), program.state)?;
    for (index, step) in program.steps.iter().enumerate() {
        write_step(w, index, step)?;
    }
    writeln!(w, "\nstatic WORKS: [Work; STEPS] = [")?;
    for step in &program.steps {
        writeln!(w, "    {:?},", step.work)?;
    }
    writeln!(w, "];")?;
    w.push_str(MODEL);
    write_ports(w, program)?;
    write_runs(w, program)?;
    w.push_str("}\n");
    w.push_str(NETWORK);
    write_port_matches(w, program)
}

/// The parameters of a step are hidden behind `black_box`: else the compiler clones a kernel for each step's parameters.
const USES: &str = "
#[allow(unused_imports)]
use core::hint::black_box;
#[allow(unused_imports)]
use rasbora_device::arithmetic::*;
use rasbora_device::memory::{self, Aligned, Memory, Operand};
use rasbora_device::network::{Network, Position, Progress, TensorInfo};
#[allow(unused_imports)]
use rasbora_device::ops::*;
use rasbora_device::program::{DType, Work};
";

const MODEL: &str = "
/// The network's working memory: put it in a `static`, or on the stack of a host.
#[repr(C, align(16))]
pub struct Arena([u8; ARENA_BYTES]);

impl Arena {
    /// An arena of zeros.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self([0; ARENA_BYTES])
    }
}

/// The network over its arena.
pub struct Model<'a>(&'a mut Arena);

impl<'a> Model<'a> {
    /// Takes the arena and sets the network's state to its initial values.
    pub fn new(arena: &'a mut Arena) -> Self {
        let mut model = Self(arena);
        model.reset();
        model
    }

    /// Takes the arena as an earlier `Model` left it, its state and its inputs included.
    pub fn attach(arena: &'a mut Arena) -> Self {
        Self(arena)
    }

    /// Sets the network's state to its initial values.
    pub fn reset(&mut self) {
        memory::fill(&mut self.0.0, &STATE);
    }

    /// Goes on with an inference from `position`, which is [`Position::START`] before its first step, for about `budget`
    /// instructions: it takes no more, unless one row of one layer does.
    ///
    /// Until it says [`Progress::Done`] the arena is the inference's: inputs must be left alone, outputs mean nothing,
    /// and [`Model::run`] would spoil it.
    pub fn step(&mut self, position: &mut Position, budget: u32) -> Progress {
        position.advance(&WORKS, budget, |kernel, rows| self.run_rows(kernel, rows))
    }

    #[inline(always)]
    fn memory(&mut self) -> Memory<'_> {
        Memory::new(&CONSTANTS.0, &mut self.0.0)
    }
";

const NETWORK: &str = "
impl<'a> Network<'a> for Model<'a> {
    const ARENA_BYTES: usize = ARENA_BYTES;
    const STEPS: usize = STEPS;
    const INPUTS: usize = INPUTS.len();
    const OUTPUTS: usize = OUTPUTS.len();
    type Arena = Arena;

    fn arena() -> Arena {
        Arena::new()
    }
    fn new(arena: &'a mut Arena) -> Self {
        Self::new(arena)
    }
    fn arena_bytes(&self) -> &[u8] {
        &self.0.0
    }
    fn run(&mut self) {
        self.run();
    }
    fn step(&mut self, position: &mut Position, budget: u32) -> Progress {
        self.step(position, budget)
    }
    fn run_kernel(&mut self, index: usize) {
        if let Some(work) = WORKS.get(index) {
            self.run_rows(index as u32, 0..work.rows);
        }
    }
";

fn write_infos(w: &mut String, prefix: &str, what: &str, ports: &[Port]) -> std::fmt::Result {
    writeln!(w, "/// {what}, in the file's order.")?;
    writeln!(w, "pub const {prefix}S: [TensorInfo; {}] = [", ports.len())?;
    for port in ports {
        let (scale, zero_point) = port.quantisation.as_ref().and_then(Quantisation::single).unwrap_or((0.0, 0));
        writeln!(w, "    TensorInfo {{")?;
        writeln!(w, "        name: {:?},", port.name)?;
        writeln!(w, "        shape: &{:?},", port.shape)?;
        writeln!(w, "        dtype: DType::{},", dtype_variant(port.dtype))?;
        writeln!(w, "        scale: {scale:?},")?;
        writeln!(w, "        zero_point: {zero_point},")?;
        writeln!(w, "    }},")?;
    }
    writeln!(w, "];")
}

fn dtype_variant(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 => "I8",
        DType::U8 => "U8",
        DType::F32 => "F32",
        DType::I32 => "I32",
        DType::I16 => "I16",
    }
}

fn rust_type(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 => "i8",
        DType::U8 => "u8",
        DType::F32 => "f32",
        DType::I32 => "i32",
        DType::I16 => "i16",
    }
}

fn write_step(w: &mut String, index: usize, step: &Step) -> std::fmt::Result {
    // A tensor's name is the file's: it may hold anything, line ends included.
    writeln!(w, "\n// {} {:?}", step.op, step.name)?;
    writeln!(w, "static STEP_{index}: {} = {:?};", step.kernel.name(), step.kernel)?;
    writeln!(w, "static OPERANDS_{index}: [Operand; {}] = [", step.operands.len())?;
    for operand in &step.operands {
        let space = match operand.space() {
            Space::Arena => "arena",
            Space::Constants => "constant",
        };
        writeln!(w, "    Operand::{space}({}, {}),", operand.offset(), operand.bytes)?;
    }
    writeln!(w, "];")
}

/// `input_mut` and `output`, typed; with several ports numbered, `input_0_mut`.
fn write_ports(w: &mut String, program: &Program) -> std::fmt::Result {
    let number = |ports: &[Port], index: usize| if ports.len() == 1 { String::new() } else { format!("_{index}") };
    for (index, port) in program.inputs.iter().enumerate() {
        let (number, dtype) = (number(&program.inputs, index), rust_type(port.dtype));
        writeln!(w, "\n    /// Input {index}, {dtype}{:?}, row-major: fill it before [`Model::run`].", port.shape)?;
        writeln!(w, "    pub fn input{number}_mut(&mut self) -> &mut [{dtype}] {{")?;
        writeln!(w, "        memory::elements_mut(&mut self.0.0, {}, {})\n    }}", port.offset, port.bytes)?;
    }
    for (index, port) in program.outputs.iter().enumerate() {
        let (number, dtype) = (number(&program.outputs, index), rust_type(port.dtype));
        writeln!(w, "\n    /// Output {index}, {dtype}{:?}, row-major: valid after [`Model::run`].", port.shape)?;
        writeln!(w, "    pub fn output{number}(&self) -> &[{dtype}] {{")?;
        writeln!(w, "        memory::elements(&self.0.0, {}, {})\n    }}", port.offset, port.bytes)?;
    }
    Ok(())
}

fn write_runs(w: &mut String, program: &Program) -> std::fmt::Result {
    let call = |index: usize, rows: &str| {
        format!("black_box(&STEP_{index}).run::<Isa>({rows}, self.memory(), &OPERANDS_{index})")
    };
    writeln!(w, "\n    /// One inference.\n    pub fn run(&mut self) {{")?;
    for (index, step) in program.steps.iter().enumerate() {
        writeln!(w, "        {};", call(index, &format!("0..{}", step.work.rows)))?;
    }
    writeln!(w, "    }}\n")?;
    writeln!(w, "    fn run_rows(&mut self, kernel: u32, rows: core::ops::Range<u32>) {{\n        match kernel {{")?;
    for index in 0..program.steps.len() {
        writeln!(w, "            {index} => {},", call(index, "rows"))?;
    }
    writeln!(w, "            _ => {{}}\n        }}\n    }}")
}

fn write_port_matches(w: &mut String, program: &Program) -> std::fmt::Result {
    writeln!(w, "    fn input_bytes(&mut self, index: usize) -> &mut [u8] {{\n        match index {{")?;
    for (index, port) in program.inputs.iter().enumerate() {
        writeln!(w, "            {index} => memory::elements_mut(&mut self.0.0, {}, {}),", port.offset, port.bytes)?;
    }
    writeln!(w, "            _ => &mut [],\n        }}\n    }}")?;
    writeln!(w, "    fn output_bytes(&self, index: usize) -> &[u8] {{\n        match index {{")?;
    for (index, port) in program.outputs.iter().enumerate() {
        writeln!(w, "            {index} => memory::elements(&self.0.0, {}, {}),", port.offset, port.bytes)?;
    }
    writeln!(w, "            _ => &[],\n        }}\n    }}\n}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_become_module_names() {
        for (stem, name) in [
            ("kws_ref_model", "kws_ref_model"),
            ("Person-Detect (v2)", "person_detect_v2"),
            ("3d", "model_3d"),
            ("match", "model_match"),
            ("é", "model"),
        ] {
            assert_eq!(module_name(stem), name);
            assert_eq!(module_name(name), name);
        }
    }
}
