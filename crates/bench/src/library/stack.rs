//! The stack that the functions of a library can take, by the bound over an image in which they are linked.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::error::{BenchError, file};
use crate::stack_bound::stack_bound;

/// The most bytes of stack that each of the functions `public` takes; one without a bound is left out. `compiled` is Rust's
/// own static library: its copies of C's functions are counted for those of the C library to come.
pub(super) fn stacks(linker: &Path, compiled: &Path, public: &[String]) -> Result<BTreeMap<String, u32>, BenchError> {
    let folder = tempfile::tempdir().map_err(file("create", std::env::temp_dir()))?;
    let image = folder.path().join("image.elf");
    let mut command = Command::new(linker);
    // What panics is nowhere defined, and nothing of it stays.
    command.args(["-flavor", "gnu", "--gc-sections", "--unresolved-symbols=ignore-all", "-e", "0", "-o"]).arg(&image);
    command.args(public.iter().map(|name| format!("--undefined={name}"))).arg(compiled);
    let output = command.output().map_err(file("start", linker))?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BenchError::Build { what: "the image that shows the stack of a library".to_owned(), output });
    }
    let bounded = |name: &String| Some((name.clone(), stack_bound(&image, &[name.as_str()]).ok()?));
    Ok(public.iter().filter_map(bounded).collect())
}
