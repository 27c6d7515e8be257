//! Code bytes of C libraries beside those of TFLM with CMSIS-NN.

use std::path::{Path, PathBuf};

use conformance::{Case, FIGURES, compile, corpus};
use rasbora_bench::{OptLevel, Platform};
use rasbora_compiler::target::find;

use crate::library::{Model, build, isa};

/// TFLM's smallest code for a Cortex-M4 (90b983c2 with CMSIS-NN 4ab83cc3, gcc 12.2.1 `-Os`, newlib-nano), just the
/// operators of the model registered, in bytes. The digits have the operators of kws, and another pooling.
const TFLM: [(&str, u64); 3] = [("kws", 45_944), ("ad", 22_624), ("digits", 45_944)];

/// Code may be at most this part of TFLM's.
const PART: u64 = 4;

fn file(corpus: &Path, name: &str) -> PathBuf {
    match FIGURES.iter().find(|(known, _)| *known == name) {
        Some((_, path)) => corpus.join("tflite").join(format!("{path}.tflite")),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.tflite"),
    }
}

#[test]
fn code_is_a_quarter_of_tflms() {
    let Some(corpus) = corpus() else { return };
    let platform = Platform::Target(find("cortex-m4").expect("a target of the table"));
    let mut over = Vec::new();
    for (name, tflm) in TFLM {
        let model = std::fs::read(file(&corpus, name)).expect("a readable model");
        let code = |opt_level| {
            let program = compile(&model, isa(platform, opt_level)).expect("a supported model");
            let case = Case { name: name.into(), model: model.clone(), calls: Vec::new() };
            let folder = tempfile::tempdir().expect("a temporary folder");
            let model = Model { name: name.to_owned(), case, program };
            build(folder.path(), name, &[&model], platform, opt_level).code_bytes
        };
        let (size, speed) = (code(OptLevel::Size), code(OptLevel::Speed));
        println!("{name}: {size} bytes of code for size, {speed} for speed, TFLM's smallest {tflm}");
        if size * PART > tflm {
            over.push(format!("{name}: {size} bytes of code, more than {}", tflm / PART));
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}
