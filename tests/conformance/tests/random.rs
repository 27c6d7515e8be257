//! Random networks, drawn afresh by their seed, against TFLM and LiteRT.

use std::path::Path;
use std::process::Command;

use conformance::{calls, compare, compile};
use rasbora_compiler::host::{Host, fill_inputs, outputs};
use rasbora_compiler::optimise::{Goal, Optimise};
use rasbora_compiler::pipeline::compile_plainly;
use rasbora_compiler::target::InstructionSet;

/// How many networks are drawn.
const COUNT: usize = 400;
/// What they are drawn from.
const SEED: &str = "20261123";

#[test]
fn random_networks_give_the_oracles_bytes() {
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oracle");
    let setup = Command::new("sh").arg(oracle.join("setup.sh")).output().expect("a shell");
    if !setup.status.success() {
        println!("skipped: the oracles cannot be set up: {}", String::from_utf8_lossy(&setup.stderr));
        return;
    }
    let python = String::from_utf8_lossy(&setup.stdout).trim().to_owned();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let drawn = Command::new(python)
        .arg(oracle.join("random_networks.py"))
        .args(["--seed", SEED, "--count", &COUNT.to_string(), "--out"])
        .arg(folder.path())
        .status()
        .expect("python starts");
    assert!(drawn.success(), "the generator of random networks ended with {drawn}");
    let mut failed = Vec::new();
    for index in 0..COUNT {
        if let Err(reason) = run(&folder.path().join(format!("{index:04}"))) {
            failed.push(format!("{index:04}: {reason}"));
        }
    }
    println!("{} passed, {} failed", COUNT - failed.len(), failed.len());
    if !failed.is_empty() {
        let kept = folder.keep();
        panic!("failed (the networks stay in {}):\n{}", kept.display(), failed.join("\n"));
    }
}

/// Runs one network with all passes, for speed and RAM on the M4, and as the file has it.
fn run(stem: &Path) -> Result<(), String> {
    let model = std::fs::read(stem.with_extension("tflite")).map_err(|error| error.to_string())?;
    let imported = rasbora_compiler::import::tflite::read(&model).map_err(|error| error.to_string())?;
    let plain = compile_plainly(imported.graph).map_err(|error| error.to_string())?.program;
    let optimised = compile(&model, InstructionSet::Portable)?;
    let of = |optimise| compile(&model, Goal::new(InstructionSet::Armv7em, optimise));
    let (fast, small) = (of(Optimise::Speed)?, of(Optimise::Ram)?);
    for (how, program) in [("optimised", optimised), ("for speed", fast), ("for RAM", small), ("plain", plain)] {
        let mut host = Host::new(&program);
        let mut interpreter = host.start().map_err(|error| error.to_string())?;
        for (number, call) in calls(&stem.with_extension("npz")).iter().enumerate() {
            let at = |error: &dyn std::fmt::Display| format!("{how}, call {number}: {error}");
            fill_inputs(&mut interpreter, &call.inputs).map_err(|error| at(&error))?;
            interpreter.run();
            compare(&program.outputs, &call.outputs, &outputs(&interpreter)).map_err(|error| at(&error))?;
        }
    }
    Ok(())
}
