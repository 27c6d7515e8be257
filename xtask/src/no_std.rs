//! `cargo xtask no-std`: the device crate for every kind of chip, by the toolchain that `rasbora` itself would find.

use std::process::Command;

use anyhow::Result;

use crate::packages;
use crate::workspace::{Toolchain, rasbora, root, run};

const TRIPLES: [&str; 5] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
    "wasm32-unknown-unknown",
];

/// Builds `rasbora-device` for each triple.
pub fn no_std() -> Result<()> {
    packages::for_boards()?;
    let rasbora = rasbora()?;
    for triple in TRIPLES {
        let toolchain = Toolchain::find(&rasbora, triple)?;
        println!("building rasbora-device for {triple}");
        let mut cargo = Command::new(&toolchain.cargo);
        cargo.args(["build", "--quiet", "--release", "--locked", "--package", "rasbora-device", "--target", triple]);
        cargo.arg("--target-dir").arg(root().join("target/no-std")).current_dir(root()).env("RUSTC", &toolchain.rustc);
        if let Some(sysroot) = &toolchain.sysroot {
            cargo.env("RUSTFLAGS", format!("--sysroot {}", sysroot.display()));
        }
        run(&mut cargo)?;
    }
    Ok(())
}
