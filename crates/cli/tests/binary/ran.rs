//! Runs the binary and keeps all that it says.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// What one run of the binary left.
pub struct Ran {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// stdout
    pub out: String,
    /// stderr
    pub err: String,
}

/// A file of the digit recogniser.
pub fn digits(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits");
    folder.join(name).canonicalize().expect("examples/digits is part of the repository").display().to_string()
}

/// A command for the binary.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rasbora"));
    command.args(arguments).env("NO_COLOR", "1");
    command
}

/// Runs the binary with these arguments.
pub fn rasbora(arguments: &[&str]) -> Ran {
    finished(command(arguments))
}

/// Runs a command for the binary.
pub fn finished(mut command: Command) -> Ran {
    let output = command.output().expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what it prints is UTF-8");
    let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

impl Ran {
    /// The object on stdout, after a check that it is alone there.
    pub fn object(&self) -> Value {
        let value: Value = serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out));
        assert_eq!(value["schema"], 1);
        value
    }

    /// The exit code and the error code of a failure that was asked for as JSON.
    pub fn failed(&self) -> (Option<i32>, String) {
        let object = self.object();
        let error = object["error"].as_object().unwrap_or_else(|| panic!("no error: {}", self.out));
        let fields: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(fields, ["code", "help", "message", "node"]);
        assert!(!self.err.is_empty(), "prose goes to stderr");
        (self.code, error["code"].as_str().unwrap_or_default().to_owned())
    }
}
