//! A program on an emulated board: emitted as Rust into a temporary folder, built, run and measured by the bench.

use std::fs;
use std::path::Path;

use rasbora_bench::{BenchError, Emitted, Measurement, Options};
use rasbora_compiler::emit::rust::{self, Named};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::Target;

use crate::failure::Failure;
use crate::interrupt::{HalfWritten, emulating};
use crate::model::ModelFile;
use crate::screen::Progress;

/// Builds firmware for `program` and runs an inference for each of `calls` on `target`'s board.
///
/// # Errors
/// Where something is not installed, the firmware does not fit, or the board fails.
pub fn measure(
    target: &Target,
    file: &ModelFile,
    program: &Program,
    calls: &[Vec<Vec<u8>>],
    options: &Options,
) -> Result<Measurement, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::unwritable(&std::env::temp_dir(), &error))?;
    let half_written = HalfWritten::new(folder.path());
    let module = rust::module_name(&file.stem());
    let named = Named { name: &module, program, isa: program.isa.type_name() };
    let files = rust::emit(&[named]).map_err(|error| Failure::failed("not_emitted", error.to_string()))?;
    for (name, content) in files {
        write(&folder.path().join(name), &content)?;
    }
    let progress = Progress::start(format!("building firmware and running it on an emulated {}", target.name));
    let emitted = Emitted { dir: folder.path(), module: &module };
    let measured = emulating(|| rasbora_bench::run(target, &emitted, calls, options));
    drop(progress);
    drop(half_written);
    measured.map_err(Failure::from)
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| Failure::unwritable(folder, &error))?;
    fs::write(path, content).map_err(|error| Failure::unwritable(path, &error))
}

/// The outputs of each call on `target`'s board.
///
/// # Errors
/// As [`measure`].
pub fn outputs(
    target: &Target,
    file: &ModelFile,
    program: &Program,
    calls: &[Vec<Vec<u8>>],
) -> Result<Vec<Vec<Vec<u8>>>, Failure> {
    let measured = measure(target, file, program, calls, &Options::default())?;
    if measured.outputs.len() == calls.len() {
        Ok(measured.outputs)
    } else {
        Err(Failure::failed("emulation_failed", "the board gave no outputs"))
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        let message = error.to_string();
        match error {
            BenchError::DoesNotFit { .. } => Self::no("does_not_fit", message),
            BenchError::NoBoard { .. } => Self::usage(message).help("rasbora targets shows which targets are emulated"),
            BenchError::NoSerialPort { .. } => Self::usage(message),
            BenchError::WrongModel { .. } => Self::failed("wrong_model", message),
            BenchError::Data { .. } => Self::failed("wrong_data", message),
            BenchError::Download { .. } => Self::failed("not_downloaded", message),
            BenchError::Differs { .. } => Self::no("differs", message),
            BenchError::NotInstalled { .. } | BenchError::NoToolchain { .. } | BenchError::NoLinker { .. } => {
                Self::failed("not_installed", message)
                    .help("rasbora doctor tells all that is missing and how to get it")
            }
            BenchError::Build { .. } | BenchError::Library { .. } => Self::failed("not_built", message),
            BenchError::NoCache | BenchError::File { .. } => Self::failed("not_built", message)
                .help("what is compiled lies in a cache: set RASBORA_CACHE to a folder with room that can be written"),
            BenchError::Timeout { .. } | BenchError::Silent { .. } => Self::failed("timeout", message),
            _ => Self::failed("emulation_failed", message),
        }
    }
}
