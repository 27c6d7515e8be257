//! `rasbora toolchain`: what compiles Rust for an architecture, for scripts that build firmware as `rasbora` does.

use std::path::PathBuf;

use rasbora_bench::Toolchain;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Answer;

/// The command's name.
pub const NAME: &str = "toolchain";

/// Arguments of `rasbora toolchain`.
#[derive(Debug, clap::Args)]
pub struct Find {
    /// The architecture, as rustc names it
    triple: String,
}

#[derive(Serialize)]
struct Body {
    cargo: PathBuf,
    rustc: PathBuf,
    sysroot: Option<PathBuf>,
    linker: PathBuf,
}

impl Find {
    /// Finds it. A core library that the compiler does not bring is built first.
    pub fn run(&self) -> Result<Answer, Failure> {
        let Toolchain { cargo, rustc, sysroot, linker, .. } = Toolchain::find(&self.triple)?;
        let flags = sysroot.as_ref().map_or_else(String::new, |folder| format!("--sysroot {}", folder.display()));
        let text = format!(
            "CARGO={}\nRUSTC={}\nRUSTFLAGS={flags}\nLINKER={}\n",
            cargo.display(),
            rustc.display(),
            linker.display()
        );
        Ok(Answer::new(NAME, text, &Body { cargo, rustc, sysroot, linker }))
    }
}
