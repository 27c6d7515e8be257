//! The models of the figures on every emulated board: golden bytes, no code that panics, and figures near the stored ones.
//! Models of int16 on a board of each instruction set.

use std::path::Path;

use conformance::{Call, FIGURES, INT16, case, compare, compile, corpus, write_crate};
use rasbora_bench::{Emitted, Measurement, Options, panic_symbols, run};
use rasbora_compiler::optimise::{Goal, Optimise};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::{Target, find};

/// Models that run all their calls; the others run one, for time's sake (`RASBORA_TEST_ALL` runs all).
const SMALL: [&str; 4] = ["kws", "ad", "sww", "micro_speech"];

/// Models that run on the M4 where speed counts most, too.
const FAST: [&str; 2] = ["ic", "ic_large"];

/// By how much a figure may differ from the stored one.
const TOLERANCE: f64 = 0.01;

/// By what factor the bound of the stack may be above what an inference took.
const LOOSENESS: f64 = 1.25;

macro_rules! boards {
    ($($test:ident: $target:literal,)*) => {$(
        #[test]
        fn $test() {
            board($target);
        }
    )*};
}

boards! {
    cortex_m0: "cortex-m0",
    cortex_m3: "cortex-m3",
    cortex_m4: "cortex-m4",
    cortex_m7: "cortex-m7",
    cortex_m33: "cortex-m33",
    cortex_m55: "cortex-m55",
    rv32imac: "rv32imac",
}

/// A board of each instruction set.
const INT16_TARGETS: [&str; 5] = ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55", "rv32imac"];

fn board(target: &str) {
    let Some(corpus) = corpus() else { return };
    let target = find(target).expect("a target of the table");
    let mut failed = Vec::new();
    let int16 = INT16.iter().filter(|_| INT16_TARGETS.contains(&target.name));
    let balanced = FIGURES.iter().chain(int16).map(|&model| (model, Optimise::Balanced));
    let fast = FIGURES.iter().filter(|(name, _)| target.name == "cortex-m4" && FAST.contains(name));
    for ((name, path), optimise) in balanced.chain(fast.map(|&model| (model, Optimise::Speed))) {
        match model(&corpus, (name, path), target, optimise) {
            Ok(measured) => println!(
                "{} {name} {optimise:?}: {} instructions, cycles {:?}, stack {} of at most {:?}, {:?}",
                target.name,
                measured.instructions,
                measured.cycles,
                measured.stack_bytes,
                measured.stack_bound_bytes,
                measured.flash
            ),
            Err(reason) => failed.push(format!("{name} {optimise:?}: {reason}")),
        }
    }
    println!("{}: {} failed", target.name, failed.len());
    assert!(failed.is_empty(), "on {}:\n{}", target.name, failed.join("\n"));
}

fn model(
    corpus: &Path,
    (name, path): (&str, &str),
    target: &Target,
    optimise: Optimise,
) -> Result<Measurement, String> {
    let mut case = case(corpus, path);
    let program = compile(&case.model, Goal::new(target.isa, optimise))?;
    if !SMALL.contains(&name) && std::env::var_os("RASBORA_TEST_ALL").is_none() {
        case.calls.truncate(1);
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let measured = measure(&program, target, folder.path(), &case.calls)?;
    for (call, found) in case.calls.iter().zip(&measured.outputs) {
        compare(&program.outputs, &call.outputs, found)?;
    }
    let panics = panic_symbols(&measured.elf).map_err(|error| error.to_string())?;
    if !panics.is_empty() {
        return Err(format!("the image holds code that panics: {}", panics.join(", ")));
    }
    stack_is_bounded(&measured)?;
    if FIGURES.contains(&(name, path)) {
        let target_name = match optimise {
            Optimise::Speed => format!("{} speed", target.name),
            _ => target.name.to_owned(),
        };
        near_stored(name, &target_name, &program, &measured)?;
    }
    Ok(measured)
}

fn measure(program: &Program, target: &Target, folder: &Path, calls: &[Call]) -> Result<Measurement, String> {
    write_crate(program, target.isa, folder)?;
    let inputs: Vec<Vec<Vec<u8>>> = calls.iter().map(|call| call.inputs.clone()).collect();
    let emitted = Emitted { dir: folder, module: "network" };
    run(target, &emitted, &inputs, &Options::default()).map_err(|error| error.to_string())
}

/// The stack that an inference took is below what it can take at most, and near.
fn stack_is_bounded(measured: &Measurement) -> Result<(), String> {
    let bound = measured.stack_bound_bytes.ok_or("the image's stack has no bound")?;
    let counted = measured.stack_bytes;
    if counted > bound || f64::from(bound) > LOOSENESS * f64::from(counted) {
        return Err(format!("the stack took {counted} bytes, but can take {bound} at most"));
    }
    Ok(())
}

/// Holds what was measured to `tests/figures.tsv`, which `cargo xtask figures` writes.
fn near_stored(name: &str, target: &str, program: &Program, measured: &Measurement) -> Result<(), String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../figures.tsv");
    let table = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut lines = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let columns = lines.next().unwrap_or_default();
    let row = lines
        .find(|row| row.starts_with(&[name, target]))
        .ok_or_else(|| format!("tests/figures.tsv has no row for {name} on {target}"))?;
    let found = [
        ("instructions", measured.instructions),
        ("arena_bytes", program.arena_bytes as u64),
        ("stack_bytes", measured.stack_bytes.into()),
        ("code_bytes", measured.flash.code),
        ("constants_bytes", measured.flash.constants),
    ];
    for (column, found) in found {
        let stored = columns.iter().position(|name| *name == column).and_then(|at| row.get(at)?.parse::<f64>().ok());
        let stored = stored.ok_or_else(|| format!("tests/figures.tsv has no {column} for {name} on {target}"))?;
        if (found as f64 - stored).abs() > TOLERANCE * stored {
            return Err(format!(
                "{column} is {found}, but {stored} is stored; if this is meant, run `cargo xtask figures` and commit"
            ));
        }
    }
    Ok(())
}
