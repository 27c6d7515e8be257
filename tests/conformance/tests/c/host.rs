//! Every supported model in one library on this machine, and libraries made apart in one program.

use std::path::Path;
use std::process::Command;

use conformance::{FIGURES, case, compile, corpus, models};
use rasbora_bench::{OptLevel, Platform};
use rasbora_compiler::target::InstructionSet;

use crate::library::{Model, Turn, build, results, sources, succeed, write_input, write_table};

/// Links `libraries` (folder and package) with the runner and runs it in `folder`.
pub fn run(folder: &Path, libraries: &[(&Path, &str)]) {
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1", "-o"]).arg(folder.join("run"));
    cc.args(["run.c", "stdio.c"].map(|file| sources().join(file))).arg("-I").arg(folder);
    for (library, _) in libraries {
        cc.arg("-I").arg(library.join("include"));
    }
    cc.args(libraries.iter().map(|(library, package)| library.join(format!("lib/lib{package}.a"))));
    succeed(&mut cc);
    succeed(Command::new(folder.join("run")).current_dir(folder));
}

pub fn model(corpus: &Path, name: &str, path: &str) -> Option<Model> {
    let file = std::fs::read(corpus.join("tflite").join(format!("{path}.tflite"))).expect("a readable model");
    let program = compile(&file, InstructionSet::Portable).ok()?;
    Some(Model { name: name.to_owned(), case: case(corpus, path), program, isa: InstructionSet::Portable })
}

#[test]
fn every_supported_model_gives_the_golden_bytes() {
    let Some(corpus) = corpus() else { return };
    let mut loaded = Vec::new();
    for name in models(&corpus) {
        let in_c = format!("m{}", loaded.len());
        loaded.extend(model(&corpus, &in_c, &name));
    }
    let all: Vec<&Model> = loaded.iter().collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    build(folder.path(), "models", &all, Platform::Host, OptLevel::Speed);
    write_table(folder.path(), &all);
    let calls = |index: usize| (0..all[index].case.calls.len()).map(move |call| (index, call));
    let turns: Vec<Turn> = (0..all.len())
        .flat_map(calls)
        .map(|(model, call)| Turn { model, call, initialise: call == 0, budget: 0 })
        .collect();
    write_input(folder.path(), &all, &turns);
    run(folder.path(), &[(folder.path(), "models")]);
    let failed = results(folder.path(), &all, &turns).failed;
    println!("{} models, {} calls, {} failed", all.len(), turns.len(), failed.len());
    let named: Vec<String> = all.iter().map(|model| format!("{} is {}", model.name, model.case.name)).collect();
    assert!(failed.is_empty(), "failed:\n{}\n{}", failed.join("\n"), named.join("\n"));
    assert_eq!(all.len(), conformance::SUPPORTED);
}

#[test]
fn libraries_made_apart_link_together() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let loaded: Vec<Model> = (FIGURES.iter().filter(|(name, _)| ["kws", "ad"].contains(name)))
        .filter_map(|(name, path)| model(&corpus, name, path))
        .collect();
    let both: Vec<&Model> = loaded.iter().collect();
    let places = ["one", "other"].map(|place| folder.path().join(place));
    for (place, model) in places.iter().zip(&both) {
        build(place, &model.name, &[model], Platform::Host, OptLevel::Size);
    }
    write_table(folder.path(), &both);
    let turns: Vec<Turn> = (0..6)
        .map(|turn| Turn { model: turn % 2, call: turn / 2, initialise: turn < 2, budget: [0, 1, 5000][turn / 2] })
        .collect();
    write_input(folder.path(), &both, &turns);
    run(folder.path(), &[(&places[0], &both[0].name), (&places[1], &both[1].name)]);
    assert_eq!(results(folder.path(), &both, &turns).failed, [""; 0]);
}
