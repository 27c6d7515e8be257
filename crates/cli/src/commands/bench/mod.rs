//! `rasbora bench`: benchmarks that others have defined, on emulated boards.

pub mod mlperf_tiny;
mod report;
mod wake_word;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Answer;

/// The command's name.
pub const NAME: &str = "bench";

/// Arguments of `rasbora bench`.
#[derive(Debug, clap::Args)]
pub struct Bench {
    #[command(subcommand)]
    benchmark: Benchmark,
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum Benchmark {
    /// MLPerf Tiny: latency and accuracy of the reference models, by the official serial protocol
    MlperfTiny(mlperf_tiny::MlperfTiny),
}

impl Bench {
    /// Does it.
    ///
    /// # Errors
    /// Where it cannot be done.
    pub fn run(&self) -> Result<Answer, Failure> {
        match &self.benchmark {
            Benchmark::MlperfTiny(command) => command.run(),
        }
    }
}
