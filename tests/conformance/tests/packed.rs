//! Every supported model by the interpreter on one emulated board, whose memory the packed programs are loaded into.

use conformance::{case, compare, compile, corpus, models};
use rasbora_bench::{Options, Packed, run_packed};
use rasbora_compiler::emit::interpreter::KERNELS;
use rasbora_compiler::target::find;

/// Multiply-accumulates of a model from which on it runs on the host alone.
const LARGE: u64 = 100_000_000;

/// Memory of the board for a program with its arena: the stack and the harness keep the rest.
const ROOM: usize = 3_600_000;

#[test]
fn every_supported_model_gives_the_golden_bytes() {
    let Some(corpus) = corpus() else { return };
    let target = find("cortex-m4").expect("a target of the table");
    let kernels: Vec<&str> = KERNELS.iter().map(|(_, name)| *name).collect();
    let everything = std::env::var_os("RASBORA_TEST_ALL").is_some();
    let (mut passed, mut large, mut failed) = (0, 0, Vec::new());
    for name in models(&corpus) {
        let model = std::fs::read(corpus.join("tflite").join(format!("{name}.tflite"))).expect("a readable model");
        let Ok(program) = compile(&model, target.isa) else { continue };
        let packed = program.pack();
        let macs = program.steps.iter().map(|step| step.macs).sum::<u64>();
        if macs > LARGE || packed.len() + program.arena_bytes > ROOM {
            large += 1;
            continue;
        }
        let mut case = case(&corpus, &name);
        if !everything {
            case.calls.truncate(1);
        }
        let inputs: Vec<Vec<Vec<u8>>> = case.calls.iter().map(|call| call.inputs.clone()).collect();
        let packed = Packed { program: &packed, kernels: &kernels };
        let outputs = match run_packed(target, packed, &inputs, &Options::default()) {
            Ok(measured) => measured.outputs,
            Err(error) => {
                failed.push(format!("{name}: {error}"));
                continue;
            }
        };
        let wrong = case
            .calls
            .iter()
            .zip(&outputs)
            .find_map(|(call, found)| compare(&program.outputs, &call.outputs, found).err());
        match wrong {
            Some(reason) => failed.push(format!("{name}: {reason}")),
            None => passed += 1,
        }
    }
    println!("{passed} passed, {large} too large for the board, {} failed", failed.len());
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
    assert_eq!(passed + large, conformance::SUPPORTED);
}
