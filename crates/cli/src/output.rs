//! The end of every command: text or one JSON object on stdout, and the exit code.
//!
//! stdout may be a closed pipe or a full disk; neither may panic.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::{Exit, Failure, plain};

/// Version of the JSON objects: it grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// What a command found out.
#[derive(Debug)]
pub struct Answer {
    /// For people.
    text: String,
    /// For programs: one line of JSON.
    line: serde_json::Result<Vec<u8>>,
    /// Whether the answer is yes.
    exit: Exit,
}

impl Answer {
    /// The answer yes of `command`; `body` has neither `schema` nor `command`.
    pub fn new(command: &str, text: String, body: &impl Serialize) -> Self {
        Self { text, line: object(command, body), exit: Exit::Yes }
    }

    /// The same answer, and whether it is yes.
    pub fn decided(mut self, yes: bool) -> Self {
        self.exit = if yes { Exit::Yes } else { Exit::No };
        self
    }
}

#[derive(Serialize)]
struct Object<'a, T> {
    schema: u32,
    command: &'a str,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: &'a str,
    message: &'a str,
    node: Option<&'a str>,
    help: Option<&'a str>,
}

/// Prints what `command` found out, or why it did not, and returns the exit code.
pub fn finish(command: &str, json: bool, result: Result<Answer, Failure>) -> Exit {
    let written = match &result {
        Ok(answer) if json => match &answer.line {
            Ok(line) => print_line(line),
            Err(error) => Err(io::Error::other(error.to_string())),
        },
        Ok(answer) => write_text(&answer.text),
        Err(failure) => return fail(command, json, failure),
    };
    let exit = result.map_or_else(|failure| failure.exit, |answer| answer.exit);
    match written {
        Ok(()) => exit,
        // Whoever reads the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit,
        Err(error) => {
            let failure = Failure::failed("unwritable", format!("stdout cannot be written: {}", plain(&error)));
            show(&failure);
            failure.exit
        }
    }
}

/// Prints why `command` failed, and returns the exit code.
pub fn fail(command: &str, json: bool, failure: &Failure) -> Exit {
    if json {
        let error = ErrorFields {
            code: failure.code,
            message: &failure.message,
            node: failure.node.as_deref(),
            help: failure.help.as_deref(),
        };
        // Where stdout is gone the exit code alone tells.
        let _ = object(command, &ErrorBody { error }).map(|line| print_line(&line));
    }
    show(failure);
    failure.exit
}

/// Prints a failure on stderr: in colours and wrapped where that is a terminal, each paragraph in one line elsewhere.
fn show(failure: &Failure) {
    /// So long a line is never wrapped.
    const UNWRAPPED: usize = 10_000;
    let terminal = io::stderr().is_terminal();
    // Where a hook was set already, that one stays, which is this one.
    let _ = miette::set_hook(Box::new(move |_| {
        let options = miette::MietteHandlerOpts::new().terminal_links(false);
        Box::new(if terminal { options } else { options.color(false).width(UNWRAPPED) }.build())
    }));
    let text = format!("{:?}", miette::Report::new(failure.clone()));
    // Where stderr is gone too, the exit code alone tells.
    let _ = writeln!(io::stderr(), "{}", text.trim_matches('\n'));
}

fn object(command: &str, body: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Object { schema: SCHEMA, command, body })?;
    line.push(b'\n');
    Ok(line)
}

fn print_line(line: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line)?;
    stdout.flush()
}

fn write_text(text: &str) -> io::Result<()> {
    let mut stdout = anstream::AutoStream::auto(io::stdout().lock());
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
