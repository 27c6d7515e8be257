//! What can go wrong when firmware is built, run and measured.

use std::path::PathBuf;
use std::time::Duration;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The target has no emulated board.
    #[error("target {target} is known by its datasheet alone and has no emulated board; choose one of: {boards}")]
    NoBoard {
        /// The target asked for.
        target: String,
        /// The targets that have a board.
        boards: String,
    },
    /// The board has no serial port that firmware here can drive.
    #[error("the emulated board of {target} has no serial port that firmware here can drive; choose one of: {boards}")]
    NoSerialPort {
        /// The target.
        target: String,
        /// The targets whose boards have one.
        boards: String,
    },
    /// A program is not installed.
    #[error("{program} was not found in PATH; {help}")]
    NotInstalled {
        /// The program.
        program: String,
        /// How to get it.
        help: String,
    },
    /// No compiler for the target's architecture.
    #[error(
        "no Rust compiler here has a core library for {triple}, or its source to build one (looked at: {looked}); install it with\n  {rustup}\nor, on Debian,\n  {apt}"
    )]
    NoToolchain {
        /// The architecture.
        triple: String,
        /// The compilers looked at.
        looked: String,
        /// The line that installs it for users of rustup.
        rustup: String,
        /// The line that installs it on Debian.
        apt: String,
    },
    /// No linker for bare-metal images.
    #[error("no linker for firmware was found (looked for: {looked}); install one with\n  {apt}")]
    NoLinker {
        /// What was looked for.
        looked: String,
        /// The line that installs one on Debian.
        apt: String,
    },
    /// A build failed.
    #[error("{what} could not be built:\n{output}")]
    Build {
        /// What was built.
        what: String,
        /// What the compiler said.
        output: String,
    },
    /// What was compiled is no library that C can link.
    #[error("the library for {platform} cannot be made: {reason}")]
    Library {
        /// What it is for.
        platform: String,
        /// What is wrong.
        reason: String,
    },
    /// The image is larger than the target's memory.
    #[error("the firmware does not fit target {target}: {detail}")]
    DoesNotFit {
        /// The target.
        target: String,
        /// What the linker said of it.
        detail: String,
    },
    /// The emitted crate is not as expected.
    #[error("the emitted crate at {path}: {reason}")]
    Emitted {
        /// Its manifest.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The image is not as expected.
    #[error("the image {path}: {reason}")]
    Image {
        /// The ELF file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The firmware ended with an error.
    #[error("the firmware ended with status {status} on {machine}; the emulator said:\n{output}")]
    Guest {
        /// The emulated board.
        machine: String,
        /// Its exit status, or the signal that ended the emulator.
        status: String,
        /// What the emulator and the firmware printed.
        output: String,
    },
    /// The firmware ran for too long.
    #[error(
        "the firmware was still running on {machine} after {limit:?} and was stopped; allow it more time, or look whether it hangs; the emulator said:\n{output}"
    )]
    Timeout {
        /// The emulated board.
        machine: String,
        /// The limit.
        limit: Duration,
        /// What the emulator and the firmware printed.
        output: String,
    },
    /// The board stopped answering.
    #[error(
        "the board {machine} said nothing for {limit:?} after '{command}' and was stopped; what it said before:\n{output}"
    )]
    Silent {
        /// The emulated board.
        machine: String,
        /// What it was asked.
        command: String,
        /// How long it was waited for.
        limit: Duration,
        /// What the emulator and the firmware said.
        output: String,
    },
    /// The board answered, but not what the protocol says.
    #[error("the board {machine} did not answer '{command}' as the protocol says ({reason}); it said:\n{output}")]
    Reply {
        /// The emulated board.
        machine: String,
        /// What it was asked.
        command: String,
        /// What is wrong.
        reason: String,
        /// The answer.
        output: String,
    },
    /// The model is not that of a benchmark.
    #[error("the model is not one for {benchmark}: {reason}")]
    WrongModel {
        /// The benchmark.
        benchmark: &'static str,
        /// What differs.
        reason: String,
    },
    /// A benchmark's data are not as expected.
    #[error("the data of {benchmark}, {path}: {reason}")]
    Data {
        /// The benchmark.
        benchmark: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// This machine and the board disagree.
    #[error(
        "{benchmark}: the board {machine} gives other results for {file} than this machine: {board} and not {host}"
    )]
    Differs {
        /// The benchmark.
        benchmark: &'static str,
        /// The emulated board.
        machine: String,
        /// The input.
        file: String,
        /// The board's results.
        board: String,
        /// This machine's.
        host: String,
    },
    /// A file could not be downloaded.
    #[error("{url} could not be downloaded: {reason}")]
    Download {
        /// Where from.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The emulator left fewer results than the run should have.
    #[error("{file}, which the run leaves behind, is not as expected: {reason}; the emulator said:\n{output}")]
    Results {
        /// The file of results.
        file: &'static str,
        /// What is wrong.
        reason: String,
        /// What the emulator and the firmware printed.
        output: String,
    },
    /// No folder for what is built once.
    #[error("no cache folder: neither RASBORA_CACHE nor a home directory is set; set RASBORA_CACHE to a folder")]
    NoCache,
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Turns an I/O error into one that names the file.
pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> BenchError {
    let path = path.into();
    move |source| BenchError::File { action, path, source }
}
