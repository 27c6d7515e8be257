//! Every model of the corpus by the interpreter on the host: the bytes of TFLM or LiteRT, or a refusal. The programs of other
//! instruction sets run by their formulas.

use std::path::Path;

use conformance::{SUPPORTED, case, compare, compile, corpus, models};
use rasbora_compiler::host::{Host, fill_inputs, outputs};
use rasbora_compiler::optimise::{Goal, Optimise};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::InstructionSet;

#[test]
fn every_supported_model_gives_the_golden_bytes() {
    golden_bytes(InstructionSet::Portable.into(), usize::MAX);
}

#[test]
fn so_do_programs_for_armv7em() {
    for optimise in [Optimise::Size, Optimise::Balanced, Optimise::Speed, Optimise::Ram] {
        golden_bytes(Goal::new(InstructionSet::Armv7em, optimise), 1);
    }
}

#[test]
fn so_do_programs_for_helium() {
    golden_bytes(InstructionSet::Helium.into(), 1);
}

/// Runs the programs of all models for `goal`, of each the first `calls`.
fn golden_bytes(goal: Goal, calls: usize) {
    let Some(corpus) = corpus() else { return };
    let (mut passed, mut failed, mut refused) = (0, Vec::new(), 0);
    for name in models(&corpus) {
        let model = std::fs::read(corpus.join("tflite").join(format!("{name}.tflite"))).expect("a readable model");
        match compile(&model, goal) {
            Err(reason) => {
                refused += 1;
                println!("refused  {name}: {}", reason.lines().next().unwrap_or_default());
            }
            Ok(program) => match run(&corpus, &name, &program, calls) {
                Ok(calls) => {
                    passed += 1;
                    println!("passed   {name} ({calls} calls)");
                }
                Err(reason) => failed.push(format!("{name}: {reason}")),
            },
        }
    }
    println!("{passed} passed, {refused} refused, {} failed", failed.len());
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
    assert_eq!(passed, SUPPORTED);
}

fn run(corpus: &Path, name: &str, program: &Program, calls: usize) -> Result<usize, String> {
    let case = case(corpus, name);
    let mut host = Host::new(program);
    let mut interpreter = host.start().map_err(|error| error.to_string())?;
    for (number, call) in case.calls.iter().take(calls).enumerate() {
        fill_inputs(&mut interpreter, &call.inputs).map_err(|error| format!("call {number}: {error}"))?;
        interpreter.run();
        compare(&program.outputs, &call.outputs, &outputs(&interpreter))
            .map_err(|error| format!("call {number}: {error}"))?;
    }
    assert!(!case.calls.is_empty(), "{name} has no golden calls");
    Ok(case.calls.len())
}
