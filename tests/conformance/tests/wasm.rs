//! The interpreter in WebAssembly, run by Node through its JavaScript wrapper, and the wrapper's types.

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

/// Whether `program` is here; says in which package it is where it is not.
fn installed(program: &str, package: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("skipped: {program} is not installed (apt install {package})");
    }
    found
}

/// Installs the npm package with this module in `folder`, as npm does.
fn install(module: Vec<u8>, folder: &Path) {
    let place = folder.join("node_modules/rasbora");
    std::fs::create_dir_all(&place).expect("a folder");
    for (path, content) in npm_package(module) {
        std::fs::write(place.join(path), content).expect("a file");
    }
}

/// Installs the npm package with every kernel in `folder`; none where there is no Node to run it.
fn package(folder: &Path) -> Option<()> {
    if !installed("node", "nodejs") {
        return None;
    }
    let kernels = KERNELS.iter().map(|(_, name)| *name).collect();
    install(wasm_module(&wasm_interface(&kernels)).unwrap_or_else(|error| panic!("{error}")), folder);
    Some(())
}

/// Runs `command` with a script of `js/`, in `folder`.
fn run(command: &mut Command, script: &str, folder: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(script);
    std::fs::copy(source, folder.join(script)).expect("a copy");
    let output = command.arg(script).current_dir(folder).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    print!("{text}");
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
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
    run(&mut Command::new("node"), "run.mjs", folder.path());
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
    run(&mut Command::new("node"), "check.mjs", folder.path());
}

#[test]
fn the_types_hold_what_the_wrapper_takes() {
    if !installed("tsc", "node-typescript") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    install(Vec::new(), folder.path());
    let mut tsc = Command::new("tsc");
    tsc.args(["--strict", "--noEmit", "--target", "es2022", "--module", "node16"]);
    run(&mut tsc, "types.mts", folder.path());
}
