//! The interpreter in WebAssembly, run by Node through its JavaScript wrapper.

use std::path::Path;
use std::process::Command;

use conformance::{case, compare, compile, corpus, models};
use rasbora_bench::wasm_module;
use rasbora_compiler::emit::interpreter::{KERNELS, npm_package, wasm_interface};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::InstructionSet;

#[path = "../../../crates/bench/firmware/mutation.rs"]
#[allow(dead_code)]
mod mutation;

/// Multiply-accumulates of a model from which on it runs on the host alone.
const LARGE: u64 = 100_000_000;

/// How many damaged programs are tried.
const DAMAGED: u64 = 1000;

/// Writes the npm package into `folder`; none where there is no Node to run it.
fn package(folder: &Path) -> Option<()> {
    if Command::new("node").arg("--version").output().is_err() {
        println!("skipped: node is not installed (apt install nodejs)");
        return None;
    }
    let kernels = KERNELS.iter().map(|(_, name)| *name).collect();
    let module = wasm_module(&wasm_interface(&kernels)).unwrap_or_else(|error| panic!("{error}"));
    for (path, content) in npm_package(module) {
        std::fs::write(folder.join(path), content).expect("a file");
    }
    Some(())
}

/// Runs a script of `js/` in `folder` with the package of the same folder.
fn node(script: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(script);
    let output = Command::new("node").arg(script).arg(folder).current_dir(folder).output().expect("node starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    print!("{text}");
    assert!(output.status.success(), "node ended with {}:\n{text}", output.status);
}

#[test]
fn every_supported_model_gives_the_golden_bytes() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(()) = package(folder.path()) else { return };
    let write = |name: String, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("a file");
    let mut jobs: Vec<(String, conformance::Case, Program)> = Vec::new();
    let mut large = 0;
    for path in models(&corpus) {
        let model = std::fs::read(corpus.join("tflite").join(format!("{path}.tflite"))).expect("a readable model");
        let Ok(program) = compile(&model, InstructionSet::Portable) else { continue };
        if program.steps.iter().map(|step| step.macs).sum::<u64>() > LARGE {
            large += 1;
            continue;
        }
        let name = format!("m{}", jobs.len());
        let case = case(&corpus, &path);
        write(format!("{name}.rasbora"), &program.pack());
        for (number, call) in case.calls.iter().enumerate() {
            for (index, input) in call.inputs.iter().enumerate() {
                write(format!("{name}_{number}_{index}.in"), input);
            }
        }
        jobs.push((name, case, program));
    }
    let list: Vec<_> =
        jobs.iter().map(|(name, case, _)| serde_json::json!({ "name": name, "calls": case.calls.len() })).collect();
    write("jobs.json".into(), serde_json::json!(list).to_string().as_bytes());
    node("run.mjs", folder.path());
    let mut failed = Vec::new();
    for (name, case, program) in &jobs {
        for (number, call) in case.calls.iter().enumerate() {
            let read = |index| std::fs::read(folder.path().join(format!("{name}_{number}_{index}.out")));
            let found: Vec<Vec<u8>> = (0..call.outputs.len()).map(|index| read(index).unwrap_or_default()).collect();
            if let Err(reason) = compare(&program.outputs, &call.outputs, &found) {
                failed.push(format!("{} call {number}: {reason}", case.name));
            }
        }
    }
    println!("{} models run, {large} too large, {} calls failed", jobs.len(), failed.len());
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
    assert_eq!(jobs.len() + large, conformance::SUPPORTED);
}

#[test]
fn the_wrapper_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(()) = package(folder.path()) else { return };
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.tflite");
    let model = std::fs::read(digits).expect("the example's model");
    let program = compile(&model, InstructionSet::Portable).expect("a supported model");
    let packed = program.pack();
    let front = packed.len() - program.constants.len();
    let damaged = (0..DAMAGED).flat_map(|seed| {
        let mut packed = packed.clone();
        mutation::damage(&mut packed, front, seed);
        packed
    });
    std::fs::write(folder.path().join("damaged"), damaged.collect::<Vec<u8>>()).expect("a file");
    std::fs::write(folder.path().join("digits.rasbora"), &packed).expect("a file");
    node("check.mjs", folder.path());
}
