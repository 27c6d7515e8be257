//! Inferences that are cut into steps: the same bytes for every way of cutting, and steps that keep to their budget.

use std::path::Path;

use conformance::{Case, FIGURES, Random, case, compare, compile, corpus, models, write_crate};
use rasbora_bench::{Emitted, Measurement, Mode, Options, run};
use rasbora_compiler::host::{Host, HostInterpreter, fill_inputs, outputs};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::{InstructionSet, find};
use rasbora_device::network::Progress;

/// How many ways of cutting are tried on each model, beside that into single rows.
const CUTS: u64 = 3;

/// Multiply-accumulates of a model that are tried just once.
const LARGE: u64 = 20_000_000;

#[test]
fn every_way_of_cutting_gives_the_same_bytes() {
    let Some(corpus) = corpus() else { return };
    let (mut cut, mut failed) = (0, Vec::new());
    for name in models(&corpus) {
        let model = std::fs::read(corpus.join("tflite").join(format!("{name}.tflite"))).expect("a readable model");
        for isa in [InstructionSet::Portable, InstructionSet::Armv7em] {
            let Ok(program) = compile(&model, isa) else { continue };
            match cut_at_random(&case(&corpus, &name), &program) {
                Ok(()) => cut += 1,
                Err(reason) => failed.push(format!("{name} for {isa:?}: {reason}")),
            }
        }
    }
    println!("{cut} programs");
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
    assert!(cut >= 240, "{cut} programs");
}

/// Runs the first call whole, and then in steps of single rows and of random budgets.
fn cut_at_random(case: &Case, program: &Program) -> Result<(), String> {
    let Some(call) = case.calls.first() else { return Ok(()) };
    let macs: u64 = program.steps.iter().map(|step| step.macs).sum();
    let largest = program.steps.iter().map(|step| step.work.row).max().unwrap_or(0);
    let mut host = Host::new(program);
    for seed in if macs > LARGE { 1..=1 } else { 0..=CUTS } {
        let mut random = Random(seed + 1);
        // From single rows to several layers; seed 0 takes single rows alone.
        let mut budget = || {
            let rows = 1 << random.below(5);
            if seed == 0 { 0 } else { random.below(largest.saturating_mul(rows).saturating_add(1)) }
        };
        let mut interpreter = host.start().map_err(|error| error.to_string())?;
        fill_inputs(&mut interpreter, &call.inputs).map_err(|error| error.to_string())?;
        let steps = run_in_steps(&mut interpreter, &mut budget);
        let rows: u64 = program.steps.iter().map(|step| u64::from(step.work.rows)).sum();
        if steps > rows.max(1) || (seed == 0 && steps != rows) {
            return Err(format!("{steps} steps for {rows} rows"));
        }
        let found = outputs(&interpreter);
        compare(&program.outputs, &call.outputs, &found).map_err(|error| format!("cut by seed {seed}: {error}"))?;
    }
    Ok(())
}

/// Steps to the end, and returns how many there were.
fn run_in_steps(interpreter: &mut HostInterpreter<'_>, budget: &mut impl FnMut() -> u32) -> u64 {
    let mut steps = 1;
    while interpreter.step(budget()) == Progress::Pending {
        steps += 1;
    }
    steps
}

/// Instructions of a step.
const BUDGETS: [u32; 4] = [5_000, 50_000, 500_000, 5_000_000];

#[test]
fn a_step_exceeds_its_budget_by_no_more_than_a_row() {
    let Some(corpus) = corpus() else { return };
    let models = ["kws", "ad", "ic"];
    let mut failed = Vec::new();
    for target in ["cortex-m4", "cortex-m0"] {
        for (name, path) in FIGURES.into_iter().filter(|(name, _)| models.contains(name)) {
            if let Err(reason) = keeps_to_budgets(&case(&corpus, path), target) {
                failed.push(format!("{name} on {target}: {reason}"));
            }
        }
    }
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
}

fn keeps_to_budgets(case: &Case, target: &str) -> Result<(), String> {
    let target = find(target).ok_or("no such target")?;
    let program = compile(&case.model, target.isa)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    write_crate(&program, target.isa, folder.path())?;
    let call = case.calls.first().ok_or("no golden call")?;
    let measure = |mode| -> Result<Measurement, String> {
        let emitted = Emitted { dir: Path::new(folder.path()), module: "network" };
        let options = Options { mode, ..Options::default() };
        let measured =
            run(target, &emitted, std::slice::from_ref(&call.inputs), &options).map_err(|error| error.to_string())?;
        compare(&program.outputs, &call.outputs, &measured.outputs[0])?;
        Ok(measured)
    };
    let rows = measure(Mode::Yielding(0))?;
    let counted: Vec<u64> = rows.layers.iter().map(|step| step.instructions).collect();
    let wanted: u64 = program.steps.iter().map(|step| u64::from(step.work.rows)).sum();
    if counted.len() as u64 != wanted {
        return Err(format!("{} steps for {wanted} rows", counted.len()));
    }
    let row = counted.iter().copied().max().unwrap_or(0);
    for budget in BUDGETS {
        let steps: Vec<u64> = measure(Mode::Yielding(budget))?.layers.iter().map(|step| step.instructions).collect();
        let longest = steps.iter().copied().max().unwrap_or(0);
        let mean = steps.iter().sum::<u64>() / steps.len() as u64;
        println!(
            "{} on {}: budget {budget}: {} steps, longest {longest}, mean {mean}; a row takes up to {row}",
            case.name,
            target.name,
            steps.len()
        );
        // A step of several rows stays within its budget: only one that is a single row may exceed it.
        if longest > row.max(budget.into()) {
            return Err(format!("a step of budget {budget} takes {longest} instructions, and a row at most {row}"));
        }
    }
    Ok(())
}
