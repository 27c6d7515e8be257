//! What the interpreter costs over emitted Rust on a Cortex-M4: cycles by the model, and code.

use conformance::{Case, FIGURES, case, compile, corpus, write_crate};
use rasbora_bench::{Emitted, LibrarySources, OptLevel, Options, Packed, Platform, library, run, run_packed};
use rasbora_compiler::emit::{c, interpreter, rust};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::{Target, find};

/// Models, and the share of cycles that the interpreter may add.
const CYCLES: [(&str, f64); 2] = [("kws", 0.005), ("ad", 0.02)];

/// Models, and bytes of code that the interpreter may add: a model of one kernel, and one of five.
const CODE: [(&str, u64); 2] = [("ad", 3 * 1024), ("kws", 3 * 1024)];

fn models(wanted: &str) -> Option<(&'static Target, Case, Program)> {
    let corpus = corpus()?;
    let target = find("cortex-m4").expect("a target of the table");
    let (_, path) = FIGURES.into_iter().find(|(name, _)| *name == wanted).expect("a model of the figures");
    let case = case(&corpus, path);
    let program = compile(&case.model, target.isa).expect("a supported model");
    Some((target, case, program))
}

#[test]
fn interpreting_takes_few_cycles() {
    for (name, share) in CYCLES {
        let Some((target, case, program)) = models(name) else { return };
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_crate(&program, target.isa, folder.path()).expect("a crate");
        let inputs = [case.calls[0].inputs.clone()];
        let emitted = Emitted { dir: folder.path(), module: "network" };
        let emitted = run(target, &emitted, &inputs, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
        let kernels: Vec<&str> = interpreter::kernels_of([&program]).into_iter().collect();
        let packed = Packed { program: &program.pack(), kernels: &kernels };
        let packed = run_packed(target, packed, &inputs, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(packed.outputs, emitted.outputs, "{name}");
        let [packed, emitted] = [packed, emitted].map(|it| it.cycles.expect("a model of cycles") as f64);
        println!("{name}: {packed} cycles, {emitted} as emitted: {:+.3} %", 100.0 * (packed / emitted - 1.0));
        assert!(packed <= emitted * (1.0 + share), "{name}");
    }
}

#[test]
fn the_interpreter_takes_little_code() {
    for (name, most) in CODE {
        adds_little_code(name, most);
    }
}

fn adds_little_code(name: &str, most: u64) {
    let Some((target, _, program)) = models(name) else { return };
    let named = rust::Named { name: "network", program: &program, isa: target.isa.type_name() };
    let network = c::Network { name: "network", program: &program, sha256: "", stack_bytes: None };
    let emitted = LibrarySources {
        networks: &rust::emit(&[named]).expect("a crate"),
        interface: &c::interface(&[network]),
        public: &network.functions(),
    };
    let packed = LibrarySources {
        networks: &interpreter::sources(),
        interface: &interpreter::interface(&interpreter::kernels_of([&program]), target.isa),
        public: &interpreter::FUNCTIONS.map(str::to_owned),
    };
    let [emitted, packed] = [emitted, packed].map(|sources| {
        let built = library(Platform::Target(target), sources, OptLevel::Speed);
        built.unwrap_or_else(|error| panic!("{error}")).code_bytes
    });
    println!("{name}: {packed} bytes of code, {emitted} as emitted");
    assert!(packed <= emitted + most, "{name}");
}
