//! The developer's commands: `cargo xtask demo`, `test`, `examples`, `no-std`, `wasm`, `fuzz`, `host-speed`, `figures`.
//!
//! They run the real binary and the real tests, as a user would, and install what a fresh machine lacks.

mod demo;
mod examples;
mod figures;
mod fuzz;
mod host_speed;
mod no_std;
mod packages;
mod test;
mod wasm;
mod workspace;

use anyhow::Result;
use clap::Parser;

/// The developer's commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Command {
    /// Compile the digit recogniser, run it on an emulated Cortex-M4, and show what it saw.
    Demo,
    /// Run the whole test suite.
    Test {
        /// All calls of the large models on the boards too, where otherwise the first serves.
        #[arg(long)]
        all: bool,
    },
    /// Run the examples of firmware on emulated boards, and compare what they print.
    Examples {
        /// The one to run, a folder of `examples/`; all where none is named.
        name: Option<String>,
    },
    /// Build the device crate for every kind of chip.
    NoStd,
    /// Build the npm package of the interpreter in WebAssembly, with every kernel.
    Wasm {
        /// The folder to write.
        #[arg(short, long, default_value = "target/wasm")]
        output: std::path::PathBuf,
    },
    /// Fuzz the importer, the packed format and the text form.
    Fuzz {
        /// How long each target runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Time models on this machine by our host program and by LiteRT's optimised kernels, in turn.
    HostSpeed {
        /// Folder with the models of the corpus.
        #[arg(long)]
        corpus: Option<std::path::PathBuf>,
        /// `.tflite` files; the keyword, person and image models of the corpus where none is named.
        models: Vec<std::path::PathBuf>,
    },
    /// Measure the figures again and write them into the documents.
    Figures {
        /// Folder with the models of the corpus.
        #[arg(long)]
        corpus: Option<std::path::PathBuf>,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Demo => demo::demo(),
        Command::Test { all } => test::test(all),
        Command::Examples { name } => examples::examples(name.as_deref()),
        Command::NoStd => no_std::no_std(),
        Command::Wasm { output } => wasm::wasm(&output),
        Command::Fuzz { seconds } => fuzz::fuzz(seconds),
        Command::HostSpeed { corpus, models } => host_speed::host_speed(corpus, models),
        Command::Figures { corpus } => figures::figures(corpus),
    }
}
