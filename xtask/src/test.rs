//! `cargo xtask test`: the whole test suite, on a machine that may lack what it needs.

use anyhow::Result;

use crate::packages;
use crate::workspace::{cargo, root, run};

/// Installs what is missing and runs every test of the workspace; with `all` the large models run
/// all their calls on the boards, not the first alone.
pub fn test(all: bool) -> Result<()> {
    packages::for_tests()?;
    run(std::process::Command::new("sh").arg(root().join("tests/oracle/setup.sh")))?;
    let mut tests = cargo(&["test", "--workspace", "--locked"]);
    if all {
        tests.env("RASBORA_TEST_ALL", "1");
    }
    run(&mut tests)
}
