//! Every supported model as emitted Rust on the host: one crate, a module a model.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use conformance::{Case, case, compare, compile, corpus, models};
use rasbora_compiler::emit::rust::{Named, emit};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::InstructionSet;

#[test]
fn every_supported_model_gives_the_golden_bytes() {
    let Some(corpus) = corpus() else { return };
    let mut programs: Vec<(String, Case, Program)> = Vec::new();
    for name in models(&corpus) {
        let model = std::fs::read(corpus.join("tflite").join(format!("{name}.tflite"))).expect("a readable model");
        if let Ok(program) = compile(&model, InstructionSet::Portable) {
            programs.push((format!("m{}", programs.len()), case(&corpus, &name), program));
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_crate(folder.path(), &programs);
    let status = Command::new(env!("CARGO"))
        .args(["run", "--release", "--quiet"])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("emitted"))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the emitted crate ended with {status}");
    let mut failed = Vec::new();
    for (module, case, program) in &programs {
        for (number, call) in case.calls.iter().enumerate() {
            let read = |i| std::fs::read(folder.path().join(format!("{module}_{number}_{i}.out"))).unwrap_or_default();
            let found: Vec<Vec<u8>> = (0..call.outputs.len()).map(read).collect();
            if let Err(reason) = compare(&program.outputs, &call.outputs, &found) {
                failed.push(format!("{} call {number}: {reason}", case.name));
            }
        }
    }
    println!("{} passed, {} failed", programs.len() - failed.len(), failed.len());
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
}

/// The emitted crate, the inputs of every call as files, and a `main` that runs them all.
fn write_crate(folder: &Path, programs: &[(String, Case, Program)]) {
    let named: Vec<Named<'_>> =
        programs.iter().map(|(name, _, program)| Named { name, program, isa: "Portable" }).collect();
    for (path, content) in emit(&named).expect("module names") {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }
    let mut main = String::from(MAIN);
    for (module, case, _) in programs {
        writeln!(main, "    run!({module}, {});", case.calls.len()).expect("a string");
        for (number, call) in case.calls.iter().enumerate() {
            for (i, input) in call.inputs.iter().enumerate() {
                std::fs::write(folder.join(format!("{module}_{number}_{i}.in")), input).expect("a file");
            }
        }
    }
    main.push_str("}\n");
    std::fs::write(folder.join("src/main.rs"), main).expect("a file");
}

const MAIN: &str = r#"
use model::Network;

macro_rules! run {
    ($module:ident, $calls:literal) => {{
        use model::$module::{Arena, Model};
        let mut arena = Box::new(Arena::new());
        let mut network = Model::new(&mut arena);
        for call in 0..$calls {
            for i in 0..Model::INPUTS {
                let bytes = std::fs::read(format!("{}_{call}_{i}.in", stringify!($module))).unwrap();
                network.input_bytes(i).copy_from_slice(&bytes);
            }
            network.run();
            for i in 0..Model::OUTPUTS {
                std::fs::write(format!("{}_{call}_{i}.out", stringify!($module)), network.output_bytes(i)).unwrap();
            }
        }
    }};
}

fn main() {
"#;
