//! Ctrl-C: what is half written is removed before the process ends.
//!
//! The default action of the signal runs no destructors, so temporary files and folders would stay behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The shell's code for a process that Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

static HALF_WRITTEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn half_written() -> MutexGuard<'static, Vec<PathBuf>> {
    HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Handles Ctrl-C, SIGTERM and SIGHUP from now on. Where the handler cannot be set, the default action stays.
pub fn install() {
    let _ = ctrlc::set_handler(|| {
        for path in half_written().iter() {
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
        std::process::exit(INTERRUPTED);
    });
}

/// As long as this lives, an interruption removes the path.
pub struct HalfWritten(PathBuf);

impl HalfWritten {
    /// From now on `path` goes away with an interruption.
    pub fn new(path: &Path) -> Self {
        half_written().push(path.to_path_buf());
        Self(path.to_path_buf())
    }
}

impl Drop for HalfWritten {
    fn drop(&mut self) {
        half_written().retain(|path| *path != self.0);
    }
}

/// Does something that an interruption waits for.
pub fn uninterrupted<T>(work: impl FnOnce() -> T) -> T {
    let _waits = half_written();
    work()
}
