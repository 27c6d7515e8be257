//! Where things are, and how to run a command there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The models and their golden outputs: `$RASBORA_CORPUS`, or `../shared/corpus` beside the checkout; none where there
/// is no such folder.
pub fn corpus() -> Option<PathBuf> {
    let beside = || root().parent().map(|parent| parent.join("shared/corpus"));
    std::env::var_os("RASBORA_CORPUS").map(PathBuf::from).or_else(beside).filter(|folder| folder.is_dir())
}

/// Cargo, at the root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs `command` to its end, its output shown.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Runs `command` to its end and returns what it printed to standard output.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}", output.status);
    }
    Ok(output.stdout)
}

/// Builds the command line and returns its path. The development build is as exact and compiles in half the time.
pub fn rasbora() -> Result<PathBuf> {
    run(&mut cargo(&["build", "--package", "rasbora"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("debug").join(format!("rasbora{}", std::env::consts::EXE_SUFFIX)))
}

/// What compiles for an architecture, as `rasbora` finds it. The tasks ask the command line, since a dependency on its
/// crates would have them compiled twice, with other features.
#[derive(Deserialize)]
pub struct Toolchain {
    /// The cargo to call.
    pub cargo: PathBuf,
    /// The compiler to name to it.
    pub rustc: PathBuf,
    /// The core library, where the compiler does not bring one.
    pub sysroot: Option<PathBuf>,
    /// The linker.
    pub linker: PathBuf,
}

impl Toolchain {
    /// What compiles for `triple`.
    pub fn find(rasbora: &Path, triple: &str) -> Result<Self> {
        Ok(serde_json::from_value(rasbora_json(rasbora, &["toolchain", triple])?)?)
    }
}

/// Runs the command line with `--json` and returns its object.
pub fn rasbora_json(rasbora: &Path, arguments: &[&str]) -> Result<serde_json::Value> {
    let text = output(Command::new(rasbora).args(arguments).arg("--json").current_dir(root()))?;
    serde_json::from_slice(&text).context("the command line printed something that is no JSON")
}
