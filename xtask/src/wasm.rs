//! `cargo xtask wasm`: the npm package that runs packed programs in Node and in browsers.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::packages;
use crate::workspace::{rasbora, root, run};

/// Installs what is missing, and writes the package with every kernel into `output`.
pub fn wasm(output: &Path) -> Result<()> {
    packages::for_boards()?;
    let mut command = Command::new(rasbora()?);
    command.args(["interpreter", "--ops", "all", "--target", "wasm", "-o"]).arg(output);
    run(command.current_dir(root()))
}
