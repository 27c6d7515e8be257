//! `cargo xtask fuzz`: every fuzz target for a while, as many at once as there are cores.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::{cargo, root, run};

/// Target, and the folder of seeds that it starts from.
const TARGETS: [(&str, &str); 3] =
    [("import", "examples/digits"), ("packed", "examples/digits"), ("text", "fuzz/seeds/text")];

/// What no input may need: seconds for one input, and MB in one allocation.
const LIMITS: [&str; 3] = ["-timeout=1", "-malloc_limit_mb=64", "-rss_limit_mb=2048"];

/// Builds the targets and runs each for `seconds`.
pub fn fuzz(seconds: u32) -> Result<()> {
    if Command::new("cargo-fuzz").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("installing what is missing: cargo-fuzz");
        run(&mut cargo(&["install", "--locked", "--quiet", "cargo-fuzz"]))?;
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
