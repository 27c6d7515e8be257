//! The commands, one file each: its arguments, what it does, what it prints.

pub mod bench;
pub mod check;
pub mod compile;
pub mod diff;
pub mod doctor;
pub mod graph;
pub mod interpreter;
pub mod profile;
pub mod run;
pub mod targets;
pub mod toolchain;

use std::collections::BTreeMap;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Answer;

/// What a figure comes from, by the name of its JSON field.
pub type Sources = BTreeMap<&'static str, String>;

/// Follows from the model and the program alone.
pub const STATIC: &str = "static";

/// Counted under emulation.
pub const COUNTED: &str = "counted";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what a model needs, and whether it is supported and fits
    Check(check::Check),
    /// Run a model on data, on this machine or on an emulated board
    Run(run::Run),
    /// Turn models into a Rust crate or packed programs
    Compile(compile::Compile),
    /// Build the interpreter of packed programs as a C library
    Interpreter(interpreter::Interpreter),
    /// Count what one inference takes on an emulated board, layer by layer
    Profile(profile::Profile),
    /// Run a benchmark that others have defined on emulated boards
    Bench(bench::Bench),
    /// Find the first layer whose values differ from the model's
    Diff(diff::Diff),
    /// Print the network as text
    Graph(graph::Graph),
    /// List the targets
    Targets(targets::Targets),
    /// Tell what is installed, what is missing and how to get it
    Doctor(doctor::Doctor),
    /// Tell what compiles Rust for an architecture, for scripts
    #[command(hide = true)]
    Toolchain(toolchain::Find),
}

impl Command {
    /// The command's name in JSON objects.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => check::NAME,
            Self::Run(_) => run::NAME,
            Self::Compile(_) => compile::NAME,
            Self::Interpreter(_) => interpreter::NAME,
            Self::Profile(_) => profile::NAME,
            Self::Bench(_) => bench::NAME,
            Self::Diff(_) => diff::NAME,
            Self::Graph(_) => graph::NAME,
            Self::Targets(_) => targets::NAME,
            Self::Doctor(_) => doctor::NAME,
            Self::Toolchain(_) => toolchain::NAME,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// Where it cannot be done, or the answer is no before there is anything to show.
    pub fn run(&self) -> Result<Answer, Failure> {
        match self {
            Self::Check(command) => command.run(),
            Self::Run(command) => command.run(),
            Self::Compile(command) => command.run(),
            Self::Interpreter(command) => command.run(),
            Self::Profile(command) => command.run(),
            Self::Bench(command) => command.run(),
            Self::Diff(command) => command.run(),
            Self::Graph(command) => command.run(),
            Self::Targets(_) => Ok(targets::answer()),
            Self::Doctor(_) => Ok(doctor::answer()),
            Self::Toolchain(command) => command.run(),
        }
    }
}
