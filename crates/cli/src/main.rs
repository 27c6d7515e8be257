//! TinyML: check, compile, run and measure networks for microcontrollers.
//!
//! `main` reads the command line; each command is a file in [`commands`] and returns an answer or a failure; [`output`]
//! prints either and gives the exit code.

mod aim;
mod budget;
mod c_library;
mod commands;
mod emulated;
mod estimate;
mod failure;
mod files;
mod folder;
mod interrupt;
mod model;
mod output;
mod screen;
mod tensors;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::commands::Command;
use crate::failure::{Exit, Failure};

/// TinyML: check, compile, run and measure networks for microcontrollers
///
/// Exit codes: 0 yes; 1 the answer is no (does not fit, is not supported, differs); 2 the command line does not make
/// sense; 3 it could not be done. K is 1,024 bytes.
#[derive(Debug, Parser)]
#[command(name = "rasbora", version, max_term_width = 100)]
struct CommandLine {
    /// Print one JSON object on stdout, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    interrupt::install();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = match CommandLine::try_parse_from(&arguments) {
        Ok(line) => {
            let result = line.command.run();
            if let Some(code) = interrupt::exit_code() {
                return ExitCode::from(code);
            }
            output::finish(line.command.name(), line.json, result)
        }
        Err(error) => not_parsed(&error, &arguments),
    };
    ExitCode::from(exit as u8)
}

/// `--help` and `--version`, or a command line that does not make sense.
fn not_parsed(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked && arguments.iter().any(|argument| argument == "--json") {
        let command =
            arguments.iter().skip(1).find_map(|argument| argument.to_str().filter(|word| !word.starts_with('-')));
        let text = error.render().to_string();
        // The first paragraph says what is wrong; usage and hints follow.
        let paragraph: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
        let failure = Failure::usage(paragraph.join(" ").trim_start_matches("error: "))
            .help("rasbora --help, or rasbora COMMAND --help");
        return output::fail(command.unwrap_or_default(), true, &failure);
    }
    match error.print() {
        Ok(()) if asked => Exit::Yes,
        Err(error) if asked && error.kind() != std::io::ErrorKind::BrokenPipe => Exit::Failed,
        _ if asked => Exit::Yes,
        _ => Exit::Usage,
    }
}
