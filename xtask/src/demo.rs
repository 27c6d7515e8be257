//! `cargo xtask demo`: the main job on one page. A trained network is compiled, runs on an emulated Cortex-M4, and says
//! which digit it saw.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::packages;
use crate::workspace::{rasbora, rasbora_json, root};

const MODEL: &str = "examples/digits/digits.tflite";
const DIGITS: &str = "examples/digits/test";
const LABELS: &str = "examples/digits/labels.txt";
const TARGET: &str = "cortex-m4";

/// Installs what is missing, builds the command line and runs the digit recogniser.
pub fn demo() -> Result<()> {
    packages::for_boards()?;
    eprintln!("building rasbora …");
    let rasbora = rasbora()?;
    let digit = first_digit()?;
    let input = digit.to_str().context("the checkout's path is not valid Unicode")?;
    eprintln!("compiling {MODEL} into firmware and running it on the emulated {TARGET} …");
    let run = rasbora_json(&rasbora, &["run", MODEL, "--input", input, "--on", TARGET, "--labels", LABELS])?;
    let profile = rasbora_json(&rasbora, &["profile", MODEL, "--on", TARGET, "--input", input])?;
    println!("{}", picture(&digit)?);
    print_prediction(&run)?;
    print_figures(&profile)
}

fn first_digit() -> Result<std::path::PathBuf> {
    let folder = root().join(DIGITS);
    let files = std::fs::read_dir(&folder).with_context(|| format!("no digits in {}", folder.display()))?;
    let mut files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    files.into_iter().next().with_context(|| format!("no digits in {}", folder.display()))
}

/// The 8 × 8 grey levels, 0 to 16, as two characters a cell.
fn picture(csv: &Path) -> Result<String> {
    let text = std::fs::read_to_string(csv)?;
    let cells: Vec<f32> = text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|cell| !cell.is_empty())
        .map(|cell| cell.parse().with_context(|| format!("{} holds '{cell}', which is no number", csv.display())))
        .collect::<Result<_>>()?;
    let (least, most) = cells.iter().fold((f32::MAX, f32::MIN), |(least, most), &x| (least.min(x), most.max(x)));
    let shade = |x: f32| [' ', '░', '▒', '▓', '█'][((x - least) / (most - least).max(1e-9) * 4.0).round() as usize];
    let rows = cells.chunks(8).map(|row| row.iter().flat_map(|&x| [shade(x); 2]).collect::<String>());
    Ok(rows.map(|row| format!("    {row}")).collect::<Vec<_>>().join("\n"))
}

fn print_prediction(run: &Value) -> Result<()> {
    let best = run.pointer("/outputs/0/top/0").context("the command line gave no prediction")?;
    let label = best["label"].as_str().unwrap_or("?");
    let value = best["value"].as_f64().unwrap_or_default();
    println!("\n  it is a {label} ({:.1} %)\n", 100.0 * value);
    Ok(())
}

fn print_figures(profile: &Value) -> Result<()> {
    let number = |pointer: &str| {
        profile.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("the profile has no {pointer}"))
    };
    println!("  one inference on {TARGET}:");
    println!("    instructions  {:>9}  counted under emulation", number("/instructions")?);
    println!("    cycles        {:>9}  modelled, zero wait states", number("/cycles")?);
    println!("    arena         {:>9}  bytes, static", number("/arena_bytes")?);
    println!("    stack         {:>9}  bytes, counted", number("/stack_bytes")?);
    println!("    flash         {:>9}  bytes of code, static", number("/flash/code")?);
    println!("                  {:>9}  bytes of constants, static", number("/flash/constants")?);
    Ok(())
}
