//! Counts what rows cost, for `tests/oracle/fit_costs.py`, which fits the coefficients of `rasbora_compiler::cost` to it.

use std::path::{Path, PathBuf};

use conformance::{calls, compile, corpus};
use rasbora_bench::{Mode, OptLevel, Options, Packed, run_packed};
use rasbora_compiler::emit::interpreter::KERNELS;
use rasbora_compiler::front_end::FrontEnd;
use rasbora_compiler::graph::Graph;
use rasbora_compiler::import::tflite;
use rasbora_compiler::pipeline;
use rasbora_compiler::program::Program;
use rasbora_compiler::target::{InstructionSet, Target, find};

/// Multiply-accumulates of a model from which on it is left out, for time's sake.
const LARGE: u64 = 15_000_000;

/// Prints a line for each step of each model in the corpus, and in the folder `RASBORA_MODELS`: the instruction set, the
/// kernel, its rows, its effort, instructions of all rows in one call, and of the dearest row alone.
#[test]
#[ignore = "prints what coefficients are fitted to, and takes half an hour"]
fn counts() {
    let mut files: Vec<PathBuf> = Vec::new();
    let corpus = corpus().map(|folder| folder.join("tflite"));
    let mut folders: Vec<PathBuf> =
        std::env::var_os("RASBORA_MODELS").map(PathBuf::from).into_iter().chain(corpus).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "tflite"));
    files.sort();
    for target in ["cortex-m0", "cortex-m4"] {
        for opt_level in [OptLevel::Speed, OptLevel::Size] {
            for path in &files {
                count_model(path, target, opt_level);
            }
        }
    }
}

fn count_model(path: &Path, target: &str, opt_level: OptLevel) {
    let target = find(target).expect("a target of the table");
    let model = std::fs::read(path).expect("a readable model");
    if let Ok(program) = compile(&model, target.isa) {
        let golden = calls_of(&path.with_extension("npz"));
        count(program, golden, target, opt_level);
    }
    for front_end in [FrontEnd::Kws, FrontEnd::Sww] {
        let Ok(mut graph) = tflite::read(&model).map(|imported| imported.graph) else { return };
        let features = graph.inputs.clone();
        if front_end.put_before(&mut graph).is_ok() {
            // The front end alone: the network is counted above.
            let compiled = pipeline::compile(Graph { outputs: features, ..graph }, target.isa).expect("a program");
            count(compiled.program, None, target, opt_level);
        }
    }
}

fn count(program: Program, golden: Option<Vec<Vec<u8>>>, target: &'static Target, opt_level: OptLevel) {
    if program.steps.iter().map(|step| step.macs).sum::<u64>() > LARGE {
        return;
    }
    // Costs of the table must not decide where rows end: each row is a step.
    let program = Program {
        steps: program
            .steps
            .into_iter()
            .map(|mut step| {
                (step.work.call, step.work.row) = (0, u32::MAX);
                step
            })
            .collect(),
        ..program
    };
    let inputs = golden.unwrap_or_else(|| {
        program.inputs.iter().map(|port| (0..port.bytes).map(|i| (i * 37 % 251) as u8).collect()).collect()
    });
    let kernels: Vec<&str> = KERNELS.iter().map(|(_, name)| *name).collect();
    let packed = program.pack();
    let run = |mode| {
        let options = Options { mode, opt_level, ..Options::default() };
        run_packed(target, Packed { program: &packed, kernels: &kernels }, std::slice::from_ref(&inputs), &options)
    };
    let (Ok(steps), Ok(rows)) = (run(Mode::Steps), run(Mode::Yielding(0))) else { return };
    let mut rows = rows.layers.iter().map(|count| count.instructions);
    for (step, whole) in program.steps.iter().zip(&steps.layers) {
        let dearest = rows.by_ref().take(step.work.rows as usize).max().unwrap_or(0);
        let effort = step.kernel.effort();
        let isa = if target.isa == InstructionSet::Armv7em { "armv7em" } else { "portable" };
        println!(
            "count {isa} {} {} {} {} {} {dearest}",
            step.kernel.name(),
            step.work.rows,
            effort.call,
            effort.row.map(|size| size.to_string()).join(","),
            whole.instructions
        );
    }
}

/// The inputs of the first golden call of a drawn network.
fn calls_of(path: &Path) -> Option<Vec<Vec<u8>>> {
    path.exists().then(|| calls(path).into_iter().next().map(|call| call.inputs))?
}
