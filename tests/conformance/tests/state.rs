//! The streaming models of the corpus, whose state lasts from one call to the next: on the host `reset` begins again, and
//! an emulated Cortex-M4 gives the golden bytes of all calls of a file.

use std::path::Path;

use conformance::{Case, case, compare, compile, corpus};
use rasbora_bench::{Emitted, Options, panic_symbols, run};
use rasbora_compiler::emit::rust::{Named, emit};
use rasbora_compiler::host::{Host, HostInterpreter, fill_inputs, outputs};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::{InstructionSet, find};

/// The models with variables that the importer takes, as paths below the corpus's `tflite/`.
const STREAMING: [&str; 10] = [
    "PyPI/pymicro_wakeword-2.5.0__alexa",
    "PyPI/pymicro_wakeword-2.5.0__hey_jarvis",
    "PyPI/pymicro_wakeword-2.5.0__hey_mycroft",
    "PyPI/pymicro_wakeword-2.5.0__okay_nabu",
    "micro-wake-word-models/models__hey_jarvis",
    "micro-wake-word-models/models__hey_jarvis.4bb02ef",
    "micro-wake-word-models/models__okay_nabu",
    "micro-wake-word-models/models__okay_nabu.73ae02f",
    "micro-wake-word-models/models__v2__experiments__choo_choo_homie",
    "micro-wake-word-models/models__v2__vad",
];

#[test]
fn reset_begins_again() {
    let Some(corpus) = corpus() else { return };
    for name in STREAMING {
        let case = case(&corpus, name);
        let program = compile(&case.model, InstructionSet::Portable).expect("a program");
        assert!(!program.state.is_empty(), "{name} has no state");
        let mut host = Host::new(&program);
        let mut interpreter = host.start().expect("a program that starts");
        for round in 0..2 {
            check(&case, &program, &mut interpreter).unwrap_or_else(|reason| panic!("{name}, round {round}: {reason}"));
            interpreter.reset();
        }
    }
}

fn check(case: &Case, program: &Program, interpreter: &mut HostInterpreter<'_>) -> Result<(), String> {
    for call in &case.calls {
        fill_inputs(interpreter, &call.inputs).map_err(|error| error.to_string())?;
        interpreter.run();
        compare(&program.outputs, &call.outputs, &outputs(interpreter))?;
    }
    Ok(())
}

#[test]
fn the_emulated_chip_keeps_state() {
    let Some(corpus) = corpus() else { return };
    let failed: Vec<String> = STREAMING
        .into_iter()
        .filter_map(|name| on_chip(&corpus, name).err().map(|reason| format!("{name}: {reason}")))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn on_chip(corpus: &Path, name: &str) -> Result<(), String> {
    let case = case(corpus, name);
    let target = find("cortex-m4").ok_or("no such target")?;
    let program = compile(&case.model, target.isa)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let named = Named { name: "network", program: &program, isa: target.isa.type_name() };
    for (path, content) in emit(&[named]).map_err(|error| error.to_string())? {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(folder.path())).map_err(|error| error.to_string())?;
        std::fs::write(path, content).map_err(|error| error.to_string())?;
    }
    let inputs: Vec<Vec<Vec<u8>>> = case.calls.iter().map(|call| call.inputs.clone()).collect();
    let emitted = Emitted { dir: folder.path(), module: "network" };
    let measured = run(target, &emitted, &inputs, &Options::default()).map_err(|error| error.to_string())?;
    for (call, found) in case.calls.iter().zip(&measured.outputs) {
        compare(&program.outputs, &call.outputs, found)?;
    }
    let panics = panic_symbols(&measured.elf).map_err(|error| error.to_string())?;
    println!("{name}: {} calls, cycles {:?}", case.calls.len(), measured.cycles);
    if panics.is_empty() { Ok(()) } else { Err(format!("the image holds code that panics: {}", panics.join(", "))) }
}
