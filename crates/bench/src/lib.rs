//! Firmware on emulated boards: instructions, cycles, stack and flash, counted.
//!
//! [`run`] builds an image around an emitted network, runs it under QEMU with inputs, and returns its outputs with what
//! the run took; what is built is kept in a cache. Instructions and stack are counted under emulation, flash is read
//! from the image, cycles are modelled for the cores of `rasbora_compiler::target::CycleModel`.

mod cache;
mod damaged;
mod doctor;
mod emulator;
mod error;
mod firmware;
mod image;
mod library;
pub mod mlperf_tiny;
mod plugin;
mod results;
mod shapes;
mod sources;
mod stack_bound;
mod toolchain;
mod wasm;

// The plugin is built apart, for the emulator at hand; its parts that know nothing of QEMU are tested here.
#[cfg(test)]
#[path = "../plugin/block.rs"]
mod block;
#[cfg(test)]
#[path = "../plugin/model.rs"]
mod model;
#[cfg(test)]
#[path = "../plugin/thumb.rs"]
mod thumb;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rasbora_compiler::target::{TARGETS, Target};
use serde::Serialize;

pub use cache::root as cache_root;
pub use damaged::{guard_holds, run_damaged, run_damaged_sanitized};
pub use doctor::{Need, doctor};
pub use emulator::interrupt;
pub use error::BenchError;
pub use image::panic_symbols;
pub use library::{Library, LibrarySources, Platform, library};
pub use shapes::compare_shapes;
pub use stack_bound::{Unbounded, stack_bound};
pub use toolchain::Toolchain;
pub use wasm::wasm_module;

/// A network emitted as Rust.
///
/// The crate is called `model`, depends on `rasbora-device` by a path, and has the module `module` with `Model`, which
/// implements `rasbora_device::network::Network`, and `Arena` with a `const fn new()`. Both crates are copied to where
/// firmware is built, so neither may inherit from a workspace.
#[derive(Clone, Copy, Debug)]
pub struct Emitted<'a> {
    /// The folder of the crate.
    pub dir: &'a Path,
    /// The module of the network.
    pub module: &'a str,
}

/// What is optimised for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OptLevel {
    /// Speed: `opt-level = 3`.
    #[default]
    Speed,
    /// Size: `opt-level = "s"`.
    Size,
}

impl OptLevel {
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Speed => "3",
            Self::Size => "\"s\"",
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each inference as a whole.
    #[default]
    Total,
    /// Each step of each inference; the image differs, as the steps are called one by one.
    Steps,
    /// Each part of each inference, which yields whenever this many instructions are used up.
    Yielding(u32),
}

impl Mode {
    /// The variant of the firmware's `Counted`.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Self::Total => "Total",
            Self::Steps => "Steps",
            Self::Yielding(_) => "Yielding",
        }
    }
}

/// A part of the arena that is to be seen after a step of the first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaRange {
    /// The step.
    pub step: u32,
    /// The first byte.
    pub offset: u32,
    /// The number of bytes.
    pub bytes: u32,
}

/// How to build and run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is optimised for; speed by default.
    pub opt_level: OptLevel,
    /// What is counted; the whole inference by default.
    pub mode: Mode,
    /// What is traced, in [`Mode::Steps`]; nothing by default.
    pub trace: Vec<ArenaRange>,
    /// How long the emulator may run; ten minutes by default.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            opt_level: OptLevel::default(),
            mode: Mode::default(),
            trace: Vec::new(),
            timeout: Duration::from_secs(600),
        }
    }
}

/// What a stretch of code took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Instructions, counted.
    pub instructions: u64,
    /// Cycles, modelled; none for a core without a model.
    pub cycles: Option<u64>,
}

/// Bytes of flash, read from the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flash {
    /// Code and other read-only data of the network and its kernels: the image less its constants and the harness.
    pub code: u64,
    /// Weights, biases, multipliers, tables and parameters: the data of the emitted crate.
    pub constants: u64,
    /// What an image of a network without steps takes: start-up and the exchange of files.
    pub harness: u64,
    /// All that the image stores: the sum of the above.
    pub total: u64,
}

/// What running a network showed.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The outputs of each call, in the network's order.
    pub outputs: Vec<Vec<Vec<u8>>>,
    /// Instructions of the first call, counted.
    pub instructions: u64,
    /// Cycles of the first call, modelled.
    pub cycles: Option<u64>,
    /// Each call.
    pub calls: Vec<Count>,
    /// Each step of the first call, in [`Mode::Steps`]; each part of it, in [`Mode::Yielding`].
    pub layers: Vec<Count>,
    /// The deepest stack below the caller of an inference (of a step or part, where these are counted), counted.
    pub stack_bytes: u32,
    /// The most stack that an inference (in [`Mode::Steps`], a step) can take below its caller, read off the machine code;
    /// none where there is no bound.
    pub stack_bound_bytes: Option<u32>,
    /// Flash.
    pub flash: Flash,
    /// The traced ranges, in the order in which they were asked for.
    pub trace: Vec<Vec<u8>>,
    /// The image.
    pub elf: PathBuf,
}

/// Builds firmware around `emitted` for `target`, runs `calls` one after another (each a list of the network's inputs
/// as bytes), and measures.
///
/// # Errors
/// Where something is not installed, the image does not build or fit, or the firmware fails or hangs.
pub fn run(
    target: &Target,
    emitted: &Emitted<'_>,
    calls: &[Vec<Vec<u8>>],
    options: &Options,
) -> Result<Measurement, BenchError> {
    let sources = sources::Sources::read(emitted)?;
    measure(target, &sources, firmware::Content::Emitted(emitted.module), None, calls, options)
}

/// A packed program and the kernels that its interpreter links.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// The program's bytes.
    pub program: &'a [u8],
    /// The kernels, named as `rasbora_device::ops` exports them.
    pub kernels: &'a [&'a str],
}

/// As [`run`], by the interpreter: the program is loaded into memory beside its arena, so programs of the same kernels
/// share an image. [`Options::trace`] has no effect.
///
/// # Errors
/// As [`run`], and where the interpreter refuses the program.
pub fn run_packed(
    target: &Target,
    packed: Packed<'_>,
    calls: &[Vec<Vec<u8>>],
    options: &Options,
) -> Result<Measurement, BenchError> {
    let options = Options { trace: Vec::new(), ..options.clone() };
    let content = firmware::Content::Packed(packed.kernels);
    measure(target, &sources::Sources::kernels(), content, Some(packed.program), calls, &options)
}

fn measure(
    target: &Target,
    sources: &sources::Sources,
    content: firmware::Content<'_>,
    program: Option<&[u8]>,
    calls: &[Vec<Vec<u8>>],
    options: &Options,
) -> Result<Measurement, BenchError> {
    let board = target.board.ok_or_else(|| no_board(target))?;
    let toolchain = Toolchain::find(target.triple)?;
    let flavour = firmware::Flavour { target, toolchain: &toolchain, opt_level: options.opt_level, mode: options.mode };
    let elf = firmware::build(flavour, sources, content)?;
    let image = image::Image::read(&elf)?;
    let empty = firmware::build(flavour, &sources.empty(), firmware::Content::Emitted("empty"))?;
    let harness = image::stored_bytes(&empty)?;

    let folder = tempfile::tempdir().map_err(error::file("create", std::env::temp_dir()))?;
    results::write_inputs(folder.path(), program, calls, options)?;
    let job = emulator::Job { target, board, elf: &elf, image, timeout: options.timeout };
    let output = job.run(folder.path(), &toolchain.compiler())?;
    let read = results::Results { folder: folder.path(), output };

    let counts = read.counts()?;
    let calls_counted = results::per_call(&counts, calls.len(), options.mode);
    let first = calls_counted.first().copied().unwrap_or(Count { instructions: 0, cycles: Some(0) });
    let steps = if calls.is_empty() { 0 } else { counts.len() / calls.len() };
    Ok(Measurement {
        outputs: read.outputs(calls.len())?,
        instructions: first.instructions,
        cycles: first.cycles,
        calls: calls_counted,
        layers: if options.mode == Mode::Total { Vec::new() } else { counts[..steps].to_vec() },
        stack_bytes: read.stack()?,
        stack_bound_bytes: stack_bound(&elf, &[if options.mode == Mode::Steps { "step" } else { "infer" }]).ok(),
        flash: Flash {
            code: image.stored.saturating_sub(image.constants).saturating_sub(harness),
            constants: image.constants,
            harness,
            total: image.stored,
        },
        trace: if options.mode == Mode::Steps { read.trace(&options.trace)? } else { Vec::new() },
        elf,
    })
}

/// Builds firmware around kernels and no network, and runs it in `folder`; returns what was printed.
fn run_kernels(
    target: &Target,
    content: firmware::Content<'_>,
    folder: &Path,
    timeout: Duration,
) -> Result<String, BenchError> {
    let board = target.board.ok_or_else(|| no_board(target))?;
    let toolchain = Toolchain::find(target.triple)?;
    let flavour = firmware::Flavour { target, toolchain: &toolchain, opt_level: OptLevel::Speed, mode: Mode::Total };
    let elf = firmware::build(flavour, &sources::Sources::kernels(), content)?;
    let image = image::Image::read(&elf)?;
    emulator::Job { target, board, elf: &elf, image, timeout }.run(folder, &toolchain.compiler())
}

fn no_board(target: &Target) -> BenchError {
    BenchError::NoBoard {
        target: target.name.to_owned(),
        boards: TARGETS.iter().filter(|it| it.board.is_some()).map(|it| it.name).collect::<Vec<_>>().join(", "),
    }
}
