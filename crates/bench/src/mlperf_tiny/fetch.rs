//! Downloads the reference models, at one commit of mlcommons/tiny, each known by its SHA-256.
//!
//! By the `curl` that is installed: it knows this machine's certificates and proxies, and the hash is what is trusted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::benchmarks::BENCHMARKS;
use crate::error::{BenchError, file};
use crate::toolchain::in_path;

/// Where the reference models are.
pub const REFERENCE: &str = "https://raw.githubusercontent.com/mlcommons/tiny/1afd2c9820f795965a6134facd0b4dfae41ef23f";

/// What `curl` is told: an error is an exit status and a line, no reference model is larger, none takes longer.
const ARGUMENTS: [&str; 8] =
    ["--fail", "--silent", "--show-error", "--location", "--max-filesize", "4194304", "--max-time", "60"];

/// Downloads what `folder` does not hold already from `base`, and returns the files that were downloaded.
///
/// # Errors
/// Where a file cannot be downloaded or written, or is not the one meant.
pub fn fetch(base: &str, folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    fs::create_dir_all(folder).map_err(|error| {
        let reason = format!("the folder {} cannot be made: {error}", folder.display());
        BenchError::Download { url: base.to_owned(), reason }
    })?;
    let mut downloaded = Vec::new();
    for [source, name, sha256] in BENCHMARKS.iter().map(|it| [it.source, it.model, it.sha256]) {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|content| digest(&content) == sha256) {
            continue;
        }
        let unfinished = folder.join(format!(".{name}.unfinished"));
        if let Err(error) = download(&format!("{base}/{source}/{name}"), sha256, &unfinished) {
            // It may not be there, and then nothing is to be removed.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        fs::rename(&unfinished, &path).map_err(file("write", &path))?;
        downloaded.push(path);
    }
    Ok(downloaded)
}

/// Makes `path` the file of this hash at `url`.
fn download(url: &str, sha256: &str, path: &Path) -> Result<(), BenchError> {
    let curl = in_path("curl").ok_or_else(|| BenchError::NotInstalled {
        program: "curl".into(),
        help: format!("install it, or put the file in the folder by hand: {url}"),
    })?;
    let mut command = Command::new(&curl);
    let run = command.args(ARGUMENTS).arg("--output").arg(path).arg(url).output().map_err(file("start", &curl))?;
    let failed = |reason: String| BenchError::Download { url: url.to_owned(), reason };
    if !run.status.success() {
        return Err(failed(String::from_utf8_lossy(&run.stderr).trim().to_owned()));
    }
    let found = digest(&fs::read(path).map_err(file("read", path))?);
    if found != sha256 {
        return Err(failed(format!("its SHA-256 is {found}, and that of the model meant is {sha256}")));
    }
    Ok(())
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers every request with `body`, and its address.
    fn server(status: &'static str, body: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
            }
        });
        address
    }

    #[test]
    fn another_file_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let error = fetch(&server("200 OK", b"another"), folder.path()).unwrap_err().to_string();
        assert!(error.contains("kws_ref_model.tflite") && error.contains("its SHA-256 is"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_file_of_the_hash_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        download(&server("200 OK", b"another"), &digest(b"another"), &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"another");
    }

    #[test]
    fn what_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = fetch(&server("404 Not Found", b""), folder.path()).unwrap_err().to_string();
        assert!(error.contains("404"), "{error}");
        let error = fetch("http://127.0.0.1:1", folder.path()).unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:1/benchmark/training/keyword_spotting"), "{error}");
    }
}
