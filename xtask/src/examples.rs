//! `cargo xtask examples`: firmware around the digits model, as a user would write it, on emulated boards.
//!
//! Each folder has a `run.sh` that compiles, links and runs, and the `expected.txt` that it must print.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::workspace::{Toolchain, output, rasbora, root};

/// An example: its folder, its argument, and the architecture for which cargo builds it, where it is in Rust.
struct Example {
    name: &'static str,
    argument: &'static str,
    triple: Option<&'static str>,
}

const EXAMPLES: [Example; 6] = [
    Example { name: "c-cortex-m", argument: "cortex-m4", triple: None },
    Example { name: "c-cortex-m", argument: "cortex-m33", triple: None },
    Example { name: "c-riscv", argument: "", triple: None },
    Example { name: "freertos", argument: "", triple: None },
    Example { name: "embassy", argument: "", triple: Some("thumbv7em-none-eabihf") },
    Example { name: "microbit", argument: "", triple: Some("thumbv6m-none-eabi") },
];

/// Runs the example `name`, or all.
pub fn examples(name: Option<&str>) -> Result<()> {
    packages::for_examples()?;
    let chosen: Vec<&Example> =
        EXAMPLES.iter().filter(|example| name.is_none_or(|name| name == example.name)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = EXAMPLES.iter().map(|example| example.name).collect();
        bail!("there is no example '{}'; there are: {}", name.unwrap_or_default(), known.join(", "));
    }
    let rasbora = rasbora()?;
    for example in chosen {
        let found = run(example, &rasbora)?;
        let file = root().join("examples").join(example.name).join("expected.txt");
        let expected = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        println!("{}", format!("{} {}", example.name, example.argument).trim_end());
        print!("{found}");
        if found != expected {
            bail!("{} should have printed:\n{expected}", example.name);
        }
    }
    Ok(())
}

fn run(example: &Example, rasbora: &Path) -> Result<String> {
    let folder = root().join("examples").join(example.name);
    let out = root().join("target/examples").join(example.name);
    let mut command = Command::new("sh");
    command.arg("run.sh").current_dir(&folder).env("RASBORA", rasbora).env("OUT", &out);
    command.args(Some(example.argument).filter(|argument| !argument.is_empty()));
    if let Some(triple) = example.triple {
        choose_toolchain(&mut command, rasbora, triple)?;
    }
    String::from_utf8(output(&mut command)?).context("an example printed something that is no text")
}

/// Has cargo build for `triple` by the toolchain that `rasbora` itself would find.
fn choose_toolchain(command: &mut Command, rasbora: &Path, triple: &str) -> Result<()> {
    let toolchain = Toolchain::find(rasbora, triple)?;
    let prefix = format!("CARGO_TARGET_{}", triple.to_ascii_uppercase().replace(['-', '.'], "_"));
    command.env("CARGO", &toolchain.cargo).env("RUSTC", &toolchain.rustc);
    command.env(format!("{prefix}_LINKER"), &toolchain.linker);
    if let Some(sysroot) = &toolchain.sysroot {
        command.env(format!("{prefix}_RUSTFLAGS"), format!("--sysroot {}", sysroot.display()));
    }
    Ok(())
}
