//! Packed programs that were damaged: refused or harmless, never a fault.
//!
//! The same damage is done on an emulated board, where the memory protection unit guards everything outside the arena, and
//! on this machine, where a sanitizer watches every access.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rasbora_compiler::emit::interpreter;
use rasbora_compiler::program::Program;
use rasbora_compiler::target::Target;

use crate::cache::{self, Key};
use crate::error::{BenchError, file};
use crate::firmware::{Content, MUTATION};
use crate::{sources, toolchain};

/// The main program of the sanitized run.
const SANITIZED: &str = include_str!("../firmware/sanitized.rs");

/// Damages `program` by each of `seeds`, and runs what is accepted on the board of `target`, an Armv7-M core. For each
/// seed 0, where it ran to its end, or the code of the device crate's `Fault`.
///
/// # Errors
/// Where the firmware does not build, or faults.
pub fn run_damaged(
    target: &Target,
    program: &Program,
    seeds: std::ops::Range<u32>,
    timeout: Duration,
) -> Result<Vec<i32>, BenchError> {
    run_guarded(target, program, seeds, timeout, false)
}

/// Whether the guard of [`run_damaged`] holds: writing one byte beside the arena must fault.
///
/// # Errors
/// Where the firmware does not build, or fails otherwise.
pub fn guard_holds(target: &Target, program: &Program) -> Result<bool, BenchError> {
    match run_guarded(target, program, 0..1, Duration::from_secs(60), true) {
        Ok(_) => Ok(false),
        Err(BenchError::Guest { output, .. }) if output.contains("faulted") => Ok(true),
        Err(error) => Err(error),
    }
}

fn run_guarded(
    target: &Target,
    program: &Program,
    seeds: std::ops::Range<u32>,
    timeout: Duration,
    probe: bool,
) -> Result<Vec<i32>, BenchError> {
    let kernels: Vec<&str> = interpreter::kernels_of([program]).into_iter().collect();
    let folder = tempfile::tempdir().map_err(file("create", std::env::temp_dir()))?;
    write_job(folder.path(), program, seeds, probe)?;
    crate::run_kernels(target, Content::Damaged(&kernels), folder.path(), timeout)?;
    codes(folder.path())
}

/// As [`run_damaged`], on this machine under the address sanitizer. The compiler must be able to link it: rustup's on Linux
/// and macOS is.
///
/// # Errors
/// Where it does not build, or the sanitizer finds something.
pub fn run_damaged_sanitized(program: &Program, seeds: std::ops::Range<u32>) -> Result<Vec<i32>, BenchError> {
    let sources = sources::Sources::kernels();
    let compiler = toolchain::compilers().into_iter().next().ok_or_else(toolchain::no_compiler)?;
    let host = toolchain::host().ok_or_else(toolchain::no_compiler)?;
    let manifest = "[package]\nname = \"sanitized\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [[bin]]\nname = \"sanitized\"\npath = \"sanitized.rs\"\n\n[workspace]\n\n\
         [dependencies]\nrasbora-device = { path = \"device\" }\n\n[profile.release]\ndebug-assertions = true\n";
    let files = [("Cargo.toml", manifest), ("sanitized.rs", SANITIZED), ("mutation.rs", MUTATION)];
    let key = files.iter().fold(sources.key(Key::new().add(&compiler.version)), |key, (_, text)| key.add(text));
    let entry = cache::entry("sanitized", &key.finish(), |out| {
        let folder = cache::root()?.join("build").join("sanitized");
        let _lock = cache::lock("build", "sanitized")?;
        cache::create(&folder)?;
        sources.write(&folder)?;
        for (name, text) in files {
            cache::write(&folder.join(name), text.as_bytes())?;
        }
        let mut cargo = compiler.cargo();
        cargo.current_dir(&folder).args(["build", "--release", "--target", &host]);
        cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", folder.join("target"));
        cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Zsanitizer=address");
        toolchain::build(cargo, "the sanitized interpreter")?;
        let built = folder.join("target").join(&host).join("release/sanitized");
        fs::copy(&built, out.join("sanitized")).map_err(file("copy", &built))?;
        Ok(())
    })?;
    let folder = tempfile::tempdir().map_err(file("create", std::env::temp_dir()))?;
    write_job(folder.path(), program, seeds, false)?;
    let sanitized = entry.join("sanitized");
    let output = Command::new(&sanitized).current_dir(folder.path()).output().map_err(file("start", &sanitized))?;
    if !output.status.success() {
        return Err(BenchError::Guest {
            machine: "this machine".to_owned(),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    codes(folder.path())
}

/// The files `program` and `job` of `firmware/damaged.rs`.
fn write_job(folder: &Path, program: &Program, seeds: std::ops::Range<u32>, probe: bool) -> Result<(), BenchError> {
    let packed = program.pack();
    let front = packed.len() - program.constants.len();
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let job = words(&[seeds.start, seeds.end - seeds.start, front as u32, program.arena_bytes as u32, probe.into()]);
    let program = [words(&[packed.len() as u32]), packed].concat();
    for (name, content) in [("job", job), ("program", program)] {
        let path = folder.join(name);
        fs::write(&path, content).map_err(file("write", &path))?;
    }
    Ok(())
}

/// The file `output`.
fn codes(folder: &Path) -> Result<Vec<i32>, BenchError> {
    let path = folder.join("output");
    let bytes = fs::read(&path).map_err(file("read", &path))?;
    Ok(bytes.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word)).collect())
}
