//! The counting plugin: its source travels in this crate, and the host's compiler builds it once for the emulator at hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{self, Key};
use crate::error::BenchError;
use crate::toolchain::{Compiler, answer};

const SOURCES: [(&str, &str); 5] = [
    ("lib.rs", include_str!("../plugin/lib.rs")),
    ("qemu.rs", include_str!("../plugin/qemu.rs")),
    ("block.rs", include_str!("../plugin/block.rs")),
    ("model.rs", include_str!("../plugin/model.rs")),
    ("thumb.rs", include_str!("../plugin/thumb.rs")),
];

/// The built plugin for `emulator`.
///
/// # Errors
/// Where the emulator does not tell its version, or the plugin cannot be built.
pub(crate) fn build(emulator: &Path, compiler: &Compiler) -> Result<PathBuf, BenchError> {
    let failed = |output: String| BenchError::Build { what: "the counting plugin".to_owned(), output };
    let version = answer(Command::new(emulator).arg("--version")).unwrap_or_default();
    let (major, minor) = parse_version(&version)
        .ok_or_else(|| failed(format!("{} gives its version as {version:?}", emulator.display())))?;
    let api = plugin_api(major, minor);
    let key = SOURCES.iter().fold(Key::new().add(&compiler.version).add(api), |key, (_, text)| key.add(text)).finish();
    let name = format!("{}rasbora_count{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let entry = cache::entry("plugin", &key, |folder| {
        for (file, text) in SOURCES {
            cache::write(&folder.join(file), text.as_bytes())?;
        }
        let mut rustc = Command::new(&compiler.rustc);
        rustc.current_dir(folder).args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "--crate-name",
            "rasbora_count",
        ]);
        rustc.args(["-O", "-Cpanic=abort", "--cap-lints", "allow", "--cfg"]).arg(format!("plugin_api=\"{api}\""));
        if cfg!(target_os = "macos") {
            rustc.arg("-Clink-arg=-Wl,-undefined,dynamic_lookup");
        }
        let output = rustc.args(["lib.rs", "-o", &name]).output().map_err(|error| failed(error.to_string()))?;
        if output.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())) }
    })?;
    Ok(entry.join(name))
}

/// Major and minor number in `QEMU emulator version 7.2.22 (...)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split("version ").nth(1)?.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The plugin interface to build for. QEMU 9.0 raised the oldest that it takes to 2, and 9.1 (interface 3) changed how
/// an instruction's bytes are read; interfaces since then added to that.
fn plugin_api(major: u32, minor: u32) -> &'static str {
    match (major, minor) {
        (..=8, _) => "1",
        (9, 0) => "2",
        _ => "3",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"), Some((7, 2)));
        assert_eq!(parse_version("QEMU emulator version 10.0.2"), Some((10, 0)));
        assert_eq!(parse_version("nothing"), None);
        assert_eq!(
            [(7, 2), (9, 0), (9, 1), (10, 1)].map(|(major, minor)| plugin_api(major, minor)),
            ["1", "2", "3", "3"]
        );
    }
}
