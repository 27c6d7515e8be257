//! `cargo xtask host-speed`: how long models take on this machine, beside LiteRT's optimised kernels in the same minutes.
//!
//! What the processor and its other work make of a second differs from machine to machine and from day to day, so only the
//! ratio says something, and no test depends on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages;
use crate::workspace::{self, cargo, output, root, run};

/// What is timed where nothing else is named.
const MODELS: [&str; 3] = ["kws_ref_model", "vww_96_int8", "pretrainedResnet_quant"];

/// Builds the host's program as it is released, and prints a line for each of `models`; `corpus` is the folder that holds
/// `tflite/`.
pub fn host_speed(corpus: Option<PathBuf>, models: Vec<PathBuf>) -> Result<()> {
    packages::for_oracles()?;
    let models = if models.is_empty() { of_corpus(corpus)? } else { models };
    let python = output(Command::new("sh").arg(root().join("tests/oracle/setup.sh")))?;
    run(&mut cargo(&["build", "--release", "--locked", "--package", "conformance", "--bin", "host-speed"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("release").join(format!("host-speed{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(String::from_utf8(python)?.trim());
    run(command.arg(root().join("tests/oracle/host_speed.py")).arg(program).args(models))
}

fn of_corpus(corpus: Option<PathBuf>) -> Result<Vec<PathBuf>> {
    let corpus = corpus.or_else(workspace::corpus).context(
        "the models are not part of the repository: name some, or give the folder that holds them with --corpus",
    )?;
    let path = |model| corpus.join(Path::new("tflite/mlperf_tiny_ref")).join(format!("{model}.tflite"));
    Ok(MODELS.map(path).to_vec())
}
