//! `cargo xtask fuzz`: every fuzz target for a while, as many at once as there are cores.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::{cargo, output, rasbora, root, run};

/// Target, and the folder of seeds that it starts from.
const TARGETS: [(&str, &str); 4] = [
    ("import", "examples/digits"),
    ("packed", PACKED),
    ("protocol", "fuzz/seeds/protocol"),
    ("text", "fuzz/seeds/text"),
];

/// Where packed programs of the digits model are made, for each instruction set.
const PACKED: &str = "target/fuzz-seeds";

/// What no input may need: seconds for one input, and MB in one allocation.
const LIMITS: [&str; 3] = ["-timeout=1", "-malloc_limit_mb=64", "-rss_limit_mb=2048"];

/// Builds the targets and runs each for `seconds`.
pub fn fuzz(seconds: u32) -> Result<()> {
    if Command::new("cargo-fuzz").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("installing what is missing: cargo-fuzz");
        run(&mut cargo(&["install", "--locked", "--quiet", "cargo-fuzz"]))?;
    }
    let rasbora = rasbora()?;
    for target in ["cortex-m0", "cortex-m4"] {
        let folder = format!("{PACKED}/{target}");
        let arguments = ["compile", "examples/digits/digits.tflite", "--emit", "packed", "--target", target, "-o"];
        output(Command::new(&rasbora).args(arguments).args([&folder, "--force"]).current_dir(root()))?;
    }
    for (target, _) in TARGETS {
        run(&mut fuzzer(&["build", target]))?;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for chunk in TARGETS.chunks(cores) {
        let started: Vec<(&str, Child)> =
            chunk.iter().map(|(target, seeds)| Ok((*target, start(target, seeds, seconds)?))).collect::<Result<_>>()?;
        for (target, child) in started {
            wait(target, child)?;
        }
    }
    Ok(())
}

fn start(target: &str, seeds: &str, seconds: u32) -> Result<Child> {
    let corpus = root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    let seeds = root().join(seeds);
    let time = format!("-max_total_time={seconds}");
    let mut command = fuzzer(&["run", target]);
    command.arg(&corpus).arg(seeds).arg("--").arg(time).args(LIMITS).arg("-print_final_stats=1");
    command.stderr(Stdio::piped()).spawn().with_context(|| format!("cannot start the fuzz target {target}"))
}

/// Shows the end of what the fuzzer said: its statistics, or the input that broke the target.
fn wait(target: &str, child: Child) -> Result<()> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let shown = if output.status.success() { 8 } else { 60 };
    println!("fuzz {target}: {}\n{}", output.status, lines[lines.len().saturating_sub(shown)..].join("\n"));
    if output.status.success() { Ok(()) } else { bail!("the fuzz target {target} found an input that breaks it") }
}

/// Cargo fuzz on the stable toolchain, which has the sanitizers and needs only to be let.
fn fuzzer(arguments: &[&str]) -> Command {
    let mut command = cargo(&["fuzz"]);
    command.args(arguments).env("RUSTC_BOOTSTRAP", "1");
    command
}
