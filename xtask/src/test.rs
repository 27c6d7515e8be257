//! `cargo xtask test`: the whole test suite and the examples, on a machine that may lack what it needs.

use anyhow::Result;

use crate::workspace::{cargo, root, run};
use crate::{examples, packages};

/// Installs what is missing and runs every test of the workspace, then the examples; with `all` the large models run
/// all their calls on the boards, not the first alone.
pub fn test(all: bool) -> Result<()> {
    packages::for_tests()?;
    run(std::process::Command::new("sh").arg(root().join("tests/oracle/setup.sh")))?;
    let mut tests = cargo(&["test", "--workspace", "--locked"]);
    if all {
        tests.env("RASBORA_TEST_ALL", "1");
    }
    run(&mut tests)?;
    examples::examples(None)
}
