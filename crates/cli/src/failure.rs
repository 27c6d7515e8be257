//! Why a command stops: one struct for the screen, for `--json` and for the exit code.
//!
//! Each stage has its own error type; here they meet the user, so here stands what the user can do about them.

use std::path::Path;

use miette::Diagnostic;
use rasbora_compiler::import::ImportError;
use rasbora_compiler::pipeline::CompileError;
use rasbora_compiler::stream::StreamError;
use thiserror::Error;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It was done, and the answer is yes.
    Yes = 0,
    /// It was done, and the answer is no: does not fit, is not supported, differs.
    No = 1,
    /// The command line does not make sense.
    Usage = 2,
    /// It could not be done.
    Failed = 3,
}

/// What stopped a command.
#[derive(Clone, Debug, Error, Diagnostic)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// A word for programs, stable between versions.
    pub code: &'static str,
    /// What was wrong, where, what was wanted and what was found.
    pub message: String,
    /// The node of the network that it is about.
    pub node: Option<String>,
    /// What the user can do.
    #[help]
    pub help: Option<String>,
}

impl Failure {
    fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), node: None, help: None }
    }

    /// The answer is no.
    pub fn no(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::No, code, message)
    }

    /// The command line does not make sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// It could not be done.
    pub fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, code, message)
    }

    /// Adds what the user can do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the node that it is about.
    pub fn at(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// A file that cannot be read.
    pub fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::NotFound { "not_found" } else { "unreadable" };
        Self::failed(code, format!("'{}' cannot be read: {}", path.display(), plain(error)))
    }

    /// A file or folder that cannot be written.
    pub fn unwritable(path: &Path, error: &std::io::Error) -> Self {
        let failure = Self::failed("unwritable", format!("'{}' cannot be written: {}", path.display(), plain(error)));
        failure.help(match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
                "make room, or name a place that has some"
            }
            _ => "name a place that can be written",
        })
    }
}

/// The operating system's words without its number.
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

/// A model that the importer refuses.
pub fn not_imported(path: &Path, error: ImportError) -> Failure {
    match error {
        ImportError::Unsupported { reasons, .. } => {
            let nodes: String = reasons.iter().map(|one| format!("\n  {one}")).collect();
            let message = format!("'{}' needs what is not supported:{nodes}", path.display());
            let failure = Failure::no("unsupported", message).help(
                "rasbora check MODEL lists them; convert the model with full int8 or float32 and built-in operators",
            );
            match reasons.first() {
                Some(first) => failure.at(&first.node),
                None => failure,
            }
        }
        error => Failure::failed("malformed", format!("'{}' is not a model that can be read: {error}", path.display()))
            .help("rasbora reads TensorFlow Lite files (.tflite); was the file downloaded whole?"),
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        let message = error.to_string();
        match error {
            StreamError::Node { node, .. } => Self::no("not_streamed", message).at(node),
            StreamError::Compile(error) => error.into(),
            StreamError::Network { .. } | StreamError::Run(_) => Self::no("not_streamed", message),
        }
    }
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::UnknownPass { .. } => Self::usage(error.to_string()),
            error => Self::no("not_compiled", error.to_string()),
        }
    }
}
