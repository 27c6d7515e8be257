//! `cargo xtask figures`: measures the models of the figures again and writes the tables.
//!
//! `tests/figures.tsv` holds what was measured, for the tests to hold later builds to; the README shows it beside what
//! TFLM with CMSIS-NN costs under the same counting.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::packages;
use crate::workspace::{self, rasbora, rasbora_json, root};

/// A model of the figures, and what TFLM 90b983c2 with CMSIS-NN 4ab83cc3 costs on the M4, the best build of each, for the
/// same input under the same cycle model.
struct Model {
    name: &'static str,
    path: &'static str,
    tflm_cycles: u64,
    tflm_arena: u64,
}

const MODELS: [Model; 8] = [
    Model { name: "kws", path: "mlperf_tiny_ref/kws_ref_model", tflm_cycles: 9_364_475, tflm_arena: 22_820 },
    Model { name: "vww", path: "mlperf_tiny_ref/vww_96_int8", tflm_cycles: 29_669_339, tflm_arena: 100_708 },
    Model { name: "ic", path: "mlperf_tiny_ref/pretrainedResnet_quant", tflm_cycles: 38_324_589, tflm_arena: 54_996 },
    Model { name: "ad", path: "mlperf_tiny_ref/ad01_int8", tflm_cycles: 726_326, tflm_arena: 2_580 },
    Model { name: "sww", path: "mlperf_tiny_ref/str_ww_ref_model", tflm_cycles: 2_725_039, tflm_arena: 16_596 },
    Model {
        name: "ic_large",
        path: "mlperf_tiny_ref/pretrainedResnet_large_int8",
        tflm_cycles: 185_138_469,
        tflm_arena: 133_620,
    },
    Model { name: "person", path: "tflite-micro/person_detect", tflm_cycles: 27_862_618, tflm_arena: 82_308 },
    Model {
        name: "micro_speech",
        path: "tflite-micro/micro_speech_quantized",
        tflm_cycles: 2_045_486,
        tflm_arena: 6_836,
    },
];

/// The models that are measured on the M4 where speed counts most, too, and how that is called.
const FAST: [&str; 2] = ["ic", "ic_large"];
const SPEED: &str = "speed";

/// The targets of the stored table.
const TARGETS: [&str; 7] = ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "rv32imac"];

/// The columns of the stored table after model and target: name, and where the profile's JSON has it.
const COLUMNS: [(&str, &str); 6] = [
    ("instructions", "/instructions"),
    ("cycles", "/cycles"),
    ("arena_bytes", "/arena_bytes"),
    ("stack_bytes", "/stack_bytes"),
    ("code_bytes", "/flash/code"),
    ("constants_bytes", "/flash/constants"),
];

const BEGIN: &str = "<!-- figures: begin (written by `cargo xtask figures`) -->\n";
const END: &str = "<!-- figures: end -->";

/// Measures and writes the tables; `corpus` is the folder that holds `tflite/`.
pub fn figures(corpus: Option<PathBuf>) -> Result<()> {
    packages::for_boards()?;
    let corpus = corpus
        .or_else(workspace::corpus)
        .context("the models are not part of the repository: give the folder that holds them with --corpus")?;
    let rasbora = rasbora()?;
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut stored = format!("model\ttarget\t{}\n", names.join("\t"));
    let mut shown = String::from(
        "| model | MACs | cycles (modelled) | TFLM + CMSIS-NN | arena B | TFLM | stack B | code B | constants B |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for model in &MODELS {
        for target in TARGETS {
            let profile = profile(&rasbora, &corpus, model, &["--on", target])?;
            writeln!(stored, "{}\t{target}\t{}", model.name, values(&profile))?;
            if target == "cortex-m4" {
                shown += &row(model, model.name, &profile);
            }
        }
    }
    for model in MODELS.iter().filter(|model| FAST.contains(&model.name)) {
        let profile = profile(&rasbora, &corpus, model, &["--on", "cortex-m4", "--optimise", SPEED])?;
        writeln!(stored, "{}\tcortex-m4 {SPEED}\t{}", model.name, values(&profile))?;
        shown += &row(model, &format!("{}, `{SPEED}`", model.name), &profile);
    }
    std::fs::write(root().join("tests/figures.tsv"), stored)?;
    replace_table(&root().join("README.md"), &shown)
}

fn profile(rasbora: &Path, corpus: &Path, model: &Model, options: &[&str]) -> Result<Value> {
    eprintln!("measuring {} {} …", model.name, options.join(" "));
    let path = corpus.join("tflite").join(format!("{}.tflite", model.path));
    rasbora_json(rasbora, &[&["profile", &path.to_string_lossy()], options].concat())
}

/// The columns of the stored table.
fn values(profile: &Value) -> String {
    COLUMNS.map(|(_, at)| profile.pointer(at).map_or_else(String::new, Value::to_string)).join("\t")
}

fn row(model: &Model, name: &str, profile: &Value) -> String {
    let number = |at: &str| profile.pointer(at).and_then(Value::as_u64).unwrap_or_default();
    let macs: u64 =
        profile["layers"].as_array().into_iter().flatten().filter_map(|layer| layer["macs_model"].as_u64()).sum();
    let [cycles, arena, stack] = ["/cycles", "/arena_bytes", "/stack_bytes"].map(number);
    format!(
        "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        grouped(macs),
        grouped(cycles),
        grouped(model.tflm_cycles),
        grouped(arena),
        grouped(model.tflm_arena),
        grouped(stack),
        grouped(number("/flash/code")),
        grouped(number("/flash/constants")),
    )
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn replace_table(file: &Path, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    let place = || Some((text.find(BEGIN)? + BEGIN.len(), text.find(END)?));
    let (start, end) = place().with_context(|| format!("{} has no marks for the table of figures", file.display()))?;
    std::fs::write(file, format!("{}{table}{}", &text[..start], &text[end..]))?;
    Ok(())
}
