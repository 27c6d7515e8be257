//! The models of the figures in one library on every emulated board, in firmware by the C compilers of Debian.

use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::{FIGURES, case, compile, corpus, models};
use rasbora_bench::{OptLevel, Platform};
use rasbora_compiler::target::{Target, find};

use crate::library::{Model, Results, Turn, boards, build, results, sources, succeed, write_input, write_table};

on_every_board!(board);

/// Models that run all their calls; the others run one, for time's sake (`RASBORA_TEST_ALL` runs all).
const SMALL: [&str; 4] = ["kws", "ad", "sww", "micro_speech"];

/// By what factor the bound of the stack may be above what an inference took.
pub const LOOSENESS: f64 = 1.25;

/// At most so many calls of a model run by default.
const CALLS: usize = 3;

fn board(target: &str, memories: &str) {
    let Some(corpus) = corpus() else { return };
    let target = find(target).expect("a target of the table");
    let loaded: Vec<Model> = FIGURES
        .iter()
        .map(|(name, path)| {
            let case = case(&corpus, path);
            let program = compile(&case.model, target.isa).expect("a supported model");
            Model { name: (*name).to_owned(), case, program, isa: target.isa }
        })
        .collect();
    let all: Vec<&Model> = loaded.iter().collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = build(folder.path(), "models", &all, Platform::Target(target), OptLevel::Speed);
    write_table(folder.path(), &all);
    let turns = turns(&all);
    write_input(folder.path(), &all, &turns);
    run(target, &firmware(target, memories, folder.path(), "models"), folder.path());
    let Results { mut failed, stacks } = results(folder.path(), &all, &turns);
    println!("{}: {} models, {} calls, {} failed", target.name, all.len(), turns.len(), failed.len());
    for (model, counted) in all.iter().zip(stacks) {
        let functions = ["run", "step"].map(|verb| format!("{}_{verb}", model.name));
        let bound = library.stack_bytes_of(&functions).expect("a bound of the stack");
        println!("{} {}: stack {counted} of at most {bound}", target.name, model.name);
        if counted > bound || f64::from(bound) > LOOSENESS * f64::from(counted) {
            failed.push(format!("{}: the stack took {counted} bytes, but can take {bound} at most", model.name));
        }
    }
    assert!(failed.is_empty(), "on {}:\n{}", target.name, failed.join("\n"));
}

/// Multiply-accumulates above which a model runs on the host alone, and above which it runs with `RASBORA_TEST_ALL`.
const MOST_MACS: [u64; 2] = [100_000_000, 3_000_000];

/// Bytes of constants in one image; the board has 16 MB for them.
const MOST_CONSTANTS: usize = 12_000_000;

#[test]
fn every_model_on_one_board() {
    let Some(corpus) = corpus() else { return };
    let target = find("cortex-m4").expect("a target of the table");
    let most_macs = MOST_MACS[usize::from(!everything())];
    let (mut loaded, mut large) = (Vec::new(), 0);
    for path in models(&corpus) {
        let file = std::fs::read(corpus.join("tflite").join(format!("{path}.tflite"))).expect("a readable model");
        let Ok(program) = compile(&file, target.isa) else { continue };
        if program.steps.iter().map(|step| step.model_macs).sum::<u64>() <= most_macs {
            loaded.push(Model {
                name: format!("m{}", loaded.len()),
                case: case(&corpus, &path),
                program,
                isa: target.isa,
            });
        } else {
            large += 1;
        }
    }
    let mut images: Vec<Vec<&Model>> = vec![Vec::new()];
    let mut constants = 0;
    for model in &loaded {
        constants += model.program.constants.len();
        if constants > MOST_CONSTANTS {
            images.push(Vec::new());
            constants = model.program.constants.len();
        }
        images.last_mut().expect("one image at least").push(model);
    }
    let mut failed = Vec::new();
    for all in &images {
        let folder = tempfile::tempdir().expect("a temporary folder");
        build(folder.path(), "models", all, Platform::Target(target), OptLevel::Speed);
        write_table(folder.path(), all);
        let calls = |model: usize| if everything() { all[model].case.calls.len() } else { 1 };
        let turns: Vec<Turn> = (0..all.len())
            .flat_map(|model| (0..calls(model)).map(move |call| Turn { model, call, initialise: call == 0, budget: 0 }))
            .collect();
        write_input(folder.path(), all, &turns);
        run(target, &firmware(target, "mps2-psram.ld", folder.path(), "models"), folder.path());
        failed.extend(results(folder.path(), all, &turns).failed);
    }
    println!("{} models in {} images, {large} too large, {} failed", loaded.len(), images.len(), failed.len());
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
    assert_eq!(loaded.len() + large, conformance::SUPPORTED);
}

fn everything() -> bool {
    std::env::var_os("RASBORA_TEST_ALL").is_some()
}

/// The models by turns, so that each finds in the arena what another left there; every other call in steps.
pub fn turns(models: &[&Model]) -> Vec<Turn> {
    const BUDGET: u32 = 100_000;
    let calls = |model: &Model| match model.case.calls.len() {
        all if everything() => all,
        all if SMALL.contains(&model.name.as_str()) => all.min(CALLS),
        all => all.min(1),
    };
    let most = models.iter().map(|model| calls(model)).max().unwrap_or_default();
    let rounds = (0..most).flat_map(|call| (0..models.len()).map(move |model| (model, call)));
    let turns = rounds.filter(|&(model, call)| call < calls(models[model]));
    turns
        .map(|(model, call)| Turn { model, call, initialise: call == 0, budget: BUDGET * ((model + call) as u32 % 2) })
        .collect()
}

/// Compiles the runner and links it with the library `package` in `folder`.
pub fn firmware(target: &Target, memories: &str, folder: &Path, package: &str) -> PathBuf {
    let boards = boards();
    let riscv = target.triple.starts_with("riscv");
    let elf = folder.join("firmware.elf");
    let mut gcc = Command::new(if riscv { "riscv64-unknown-elf-gcc" } else { "arm-none-eabi-gcc" });
    gcc.args(target.gcc_options().split(' ')).args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2"]);
    gcc.args(["-ffunction-sections", "-Wl,--gc-sections", "-nostartfiles"]);
    gcc.arg("-L").arg(&boards).arg("-T").arg(boards.join(memories));
    gcc.arg("-I").arg(folder).arg("-I").arg(folder.join("include")).arg("-I").arg(&boards).arg("-o").arg(&elf);
    gcc.arg(sources().join("run.c"));
    if riscv {
        gcc.args(["-ffreestanding", "-nostdlib"]).arg(boards.join("riscv.c")).arg(sources().join("semihosting.c"));
    } else {
        gcc.arg("--specs=rdimon.specs").arg(boards.join("arm.c")).arg(sources().join("stdio.c"));
    }
    gcc.arg(folder.join(format!("lib/lib{package}.a")));
    succeed(&mut gcc);
    elf
}

/// Runs the firmware, in `folder`.
pub fn run(target: &Target, elf: &Path, folder: &Path) {
    let board = target.board.expect("an emulated board");
    let mut emulator = Command::new(board.emulator);
    emulator.args(["-M", board.machine]).args(board.arguments).current_dir(folder);
    emulator.args(["-display", "none", "-serial", "none", "-monitor", "none"]);
    emulator.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(elf);
    succeed(&mut emulator);
}
