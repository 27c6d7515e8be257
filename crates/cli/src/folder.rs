//! The folders that commands write: known by a record as ours, and replaced whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rasbora_compiler::emit::Files;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::files;
use crate::output::SCHEMA;

/// The file by which an output folder is known as ours.
const RECORD: &str = "rasbora.json";

/// What `cargo build` leaves in an emitted crate: it stays when the crate is written anew.
const KEPT: [&str; 2] = ["target", "Cargo.lock"];

/// What an output folder says of itself.
#[derive(Serialize, Deserialize)]
struct Record {
    schema: u32,
    made_by: String,
    /// Name and SHA-256 of each model.
    models: BTreeMap<String, String>,
    /// Every file, this one apart.
    files: Vec<String>,
}

/// Whether the folder `output` may be replaced.
///
/// # Errors
/// Where it may not: it is no folder, holds the current one, or files that are not ours and `force` is not given.
pub fn check(output: &Path, force: bool) -> Result<(), Failure> {
    let shown = output.display();
    let Ok(metadata) = fs::metadata(output) else { return Ok(()) };
    if !metadata.is_dir() {
        return Err(Failure::failed("unwritable", format!("'{shown}' is a file, but a folder is to be written"))
            .help("name a folder, which need not be there yet"));
    }
    let place = fs::canonicalize(output).map_err(|error| Failure::unwritable(output, &error))?;
    if std::env::current_dir().is_ok_and(|current| current.starts_with(&place)) {
        return Err(Failure::usage(format!("'{shown}' holds the current folder, which cannot be replaced"))
            .help("name a folder inside it: -o model"));
    }
    let found = entries_below(&place, &place).map_err(|error| Failure::unreadable(output, &error))?;
    let own: Vec<String> = match fs::read(place.join(RECORD)).map(|bytes| serde_json::from_slice::<Record>(&bytes)) {
        Ok(Ok(record)) => record.files.into_iter().chain([RECORD.into()]).collect(),
        _ => Vec::new(),
    };
    match found.iter().find(|name| !own.contains(name)) {
        Some(foreign) if !force => {
            Err(Failure::failed("not_empty", format!("'{shown}' holds '{foreign}', which rasbora did not write"))
                .help("name another folder, or add --force to have it replaced with all that is in it"))
        }
        _ => Ok(()),
    }
}

/// Replaces the folder `output` by one with `files`, made of `models`: name and SHA-256 of each.
///
/// # Errors
/// Where it cannot be written; what was there before is then still there.
pub fn write(output: &Path, mut files: Files, models: BTreeMap<String, String>) -> Result<(), Failure> {
    let names = files.iter().map(|(name, _)| name.display().to_string()).collect();
    files.push((RECORD.into(), record(models, names)?));
    files::replace_folder(output, &files, &KEPT)
}

/// The files below a folder, but for what is kept.
fn entries_below(folder: &Path, top: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if folder == top && KEPT.iter().any(|kept| entry.file_name() == *kept) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            found.extend(entries_below(&path, top)?);
        } else {
            found.push(path.strip_prefix(top).unwrap_or(&path).display().to_string());
        }
    }
    Ok(found)
}

fn record(models: BTreeMap<String, String>, files: Vec<String>) -> Result<Vec<u8>, Failure> {
    let record = Record { schema: SCHEMA, made_by: format!("rasbora {}", env!("CARGO_PKG_VERSION")), models, files };
    let mut text =
        serde_json::to_vec_pretty(&record).map_err(|error| Failure::failed("not_emitted", error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}
