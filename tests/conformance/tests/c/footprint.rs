//! Code bytes of C libraries beside those of TFLM with CMSIS-NN.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::{Case, FIGURES, compile, corpus};
use rasbora_bench::{OptLevel, Platform};
use rasbora_compiler::target::{InstructionSet, Target, find};

use crate::library::{Model, build, sources, succeed};

/// TFLM's smallest code for a Cortex-M4 in bytes (90b983c2 with CMSIS-NN 4ab83cc3, gcc 12.2.1 `-Os`, newlib-nano), just the
/// operators of the model registered, less 1,126 of its harness. The digits have the operators of kws, and another pooling.
const TFLM: [(&str, u64); 3] = [("kws", 44_818), ("ad", 21_498), ("digits", 44_818)];

/// Code may be at most this part of TFLM's.
const PART: u64 = 4;

fn file(corpus: &Path, name: &str) -> PathBuf {
    match FIGURES.iter().find(|(known, _)| *known == name) {
        Some((_, path)) => corpus.join("tflite").join(format!("{path}.tflite")),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.tflite"),
    }
}

/// Bytes of code in the least program around the library's network: all that is stored, less the network's constants.
fn code_bytes(name: &str, library: &Path, target: &Target) -> u64 {
    let elf = library.join("footprint.elf");
    let mut gcc = Command::new("arm-none-eabi-gcc");
    gcc.args(target.gcc_options().split(' ')).args(["-Os", "-nostartfiles", "--specs=nosys.specs"]);
    gcc.args(["-Wl,--gc-sections,-e,main", "-I"]).arg(library.join("include")).arg(format!("-DNETWORK={name}"));
    gcc.arg(sources().join("footprint.c")).arg(library.join(format!("lib/lib{name}.a"))).arg("-o").arg(&elf);
    succeed(&mut gcc);
    let sizes = succeed(Command::new("arm-none-eabi-size").arg(&elf));
    let words = sizes.lines().last().unwrap_or_default().split_whitespace();
    let stored: u64 = words.take(2).map(|bytes| bytes.parse::<u64>().expect("text and data")).sum();
    let names = succeed(Command::new("arm-none-eabi-nm").arg("-S").arg(&elf));
    let constant = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, size, "r", symbol] if symbol.contains("5model") => u64::from_str_radix(size, 16).ok(),
        _ => None,
    };
    stored - names.lines().filter_map(constant).sum::<u64>()
}

/// The document that shows them.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/footprint.md");

/// By how much a figure may differ from the document's.
const TOLERANCE: f64 = 0.01;

/// A row of the table: balanced, for size, TFLM's smallest.
type Row = (&'static str, [u64; 3]);

#[test]
fn code_is_a_quarter_of_tflms() {
    let Some(corpus) = corpus() else { return };
    let target = find("cortex-m4").expect("a target of the table");
    let platform = Platform::Target(target);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rows: Vec<Row> = Vec::new();
    for (name, tflm) in TFLM {
        let model = std::fs::read(file(&corpus, name)).expect("a readable model");
        let code = |isa, opt_level| {
            let program = compile(&model, isa).expect("a supported model");
            let case = Case { name: name.into(), model: model.clone(), calls: Vec::new() };
            let model = Model { name: name.to_owned(), case, program, isa };
            build(folder.path(), name, &[&model], platform, opt_level);
            code_bytes(name, folder.path(), target)
        };
        let balanced = code(target.isa, OptLevel::Speed);
        let size = code(InstructionSet::Portable, OptLevel::Size);
        rows.push((name, [balanced, size, tflm]));
    }
    print!("{}", table(&rows));
    let over: Vec<&Row> = rows.iter().filter(|(_, [_, size, tflm])| size * PART > *tflm).collect();
    assert!(over.is_empty(), "more than a quarter of TFLM's code: {over:?}");
    document_holds(&rows);
}

/// The table of the document.
fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| network | `--optimise balanced` | `size` | TFLM + CMSIS-NN, smallest | part |\n\
         |---|---:|---:|---:|---:|\n",
    );
    for (name, bytes @ [_, size, tflm]) in rows {
        let bytes: Vec<String> = bytes.iter().map(u64::to_string).collect();
        let part = 100.0 * *size as f64 / *tflm as f64;
        writeln!(text, "| {name} | {} | {part:.0} % |", bytes.join(" | ")).expect("a string");
    }
    text
}

/// Holds the document to what was measured, or writes it anew.
fn document_holds(rows: &[Row]) {
    let document = std::fs::read_to_string(DOCUMENT).expect("the document");
    let (before, rest) = document.split_once("<!-- table: begin -->\n").expect("where the table begins");
    let (shown, after) = rest.split_once("<!-- table: end -->").expect("where the table ends");
    if std::env::var_os("BLESS").is_some() {
        let table = table(rows);
        let document = format!("{before}<!-- table: begin -->\n{table}<!-- table: end -->{after}");
        return std::fs::write(DOCUMENT, document).expect("a file");
    }
    for (name, bytes) in rows {
        let row = shown.lines().find_map(|line| line.strip_prefix(&format!("| {name} | "))).unwrap_or_default();
        let shown: Vec<f64> = row.split(" | ").filter_map(|bytes| bytes.parse().ok()).collect();
        let near = |(&found, shown): (&u64, &f64)| (found as f64 - shown).abs() <= TOLERANCE * shown;
        assert!(
            shown.len() == bytes.len() && bytes.iter().zip(&shown).all(near),
            "{name} has {bytes:?} bytes of code, but docs/footprint.md says {row}; if this is meant: \
             BLESS=1 cargo test -p conformance --test c footprint"
        );
    }
}
