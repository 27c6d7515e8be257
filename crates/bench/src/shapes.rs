//! Layers drawn at random, computed on an emulated board by its instruction set and by the portable kernels.
//!
//! Whole networks reach few shapes and no extremes; here every kernel meets thousands of small layers in one run.

use std::fs;
use std::ops::Range;
use std::time::Duration;

use rasbora_compiler::target::Target;

use crate::error::{BenchError, file};
use crate::firmware::Content;

/// Holds the layers that `seeds` draw of each of `kernels` to the portable ones on the board of `target`: the same bytes,
/// and none written beside them. Kernels are named as `rasbora_device::ops` exports them. Returns a line for each kernel.
///
/// # Errors
/// Where the firmware does not build, or faults, or a layer differs: the message then has its parameters.
pub fn compare_shapes(
    target: &Target,
    kernels: &[&str],
    seeds: Range<u32>,
    timeout: Duration,
) -> Result<Vec<String>, BenchError> {
    let folder = tempfile::tempdir().map_err(file("create", std::env::temp_dir()))?;
    let path = folder.path().join("job");
    let job = [seeds.start, seeds.end - seeds.start].map(u32::to_le_bytes).concat();
    fs::write(&path, job).map_err(file("write", &path))?;
    match crate::run_kernels(target, Content::Shapes(kernels), folder.path(), timeout) {
        Ok(output) => Ok(output.lines().map(str::to_owned).collect()),
        Err(BenchError::Guest { machine, status, mut output }) => {
            let begun = fs::read(folder.path().join("seed")).unwrap_or_default();
            if let Some(&seed) = begun.as_chunks().0.last() {
                output += &format!("this was the layer with seed {} of the next kernel", u32::from_le_bytes(seed));
            }
            Err(BenchError::Guest { machine, status, output })
        }
        Err(error) => Err(error),
    }
}
