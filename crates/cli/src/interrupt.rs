//! Ctrl-C: the emulator is ended and what is half written is removed before the process ends.
//!
//! The default action of the signal runs no destructors, so temporary files and folders would stay behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The shell's code for a process that Ctrl-C ended: 128 + SIGINT.
const EXIT_CODE: i32 = 130;

static HALF_WRITTEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn half_written() -> MutexGuard<'static, Vec<PathBuf>> {
    HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether firmware is being built or run.
static EMULATING: AtomicBool = AtomicBool::new(false);

/// Whether a signal came.
static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// Handles Ctrl-C, SIGTERM and SIGHUP from now on. Where the handler cannot be set, the default action stays.
pub fn install() {
    /// How long the emulator and what it left may take to go away.
    const GRACE: Duration = Duration::from_secs(3);
    let _ = ctrlc::set_handler(|| {
        SIGNALLED.store(true, Ordering::SeqCst);
        rasbora_bench::interrupt();
        if EMULATING.load(Ordering::SeqCst) {
            // The main thread ends the process once the emulator has gone.
            std::thread::sleep(GRACE);
        }
        for path in half_written().iter() {
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
        std::process::exit(EXIT_CODE);
    });
}

/// The exit code, where a signal ended what the main thread did.
pub fn exit_code() -> Option<u8> {
    SIGNALLED.load(Ordering::SeqCst).then_some(EXIT_CODE as u8)
}

/// Builds firmware and runs it: an interruption ends the emulator and waits for it.
pub fn emulating<T>(work: impl FnOnce() -> T) -> T {
    EMULATING.store(true, Ordering::SeqCst);
    let result = work();
    EMULATING.store(false, Ordering::SeqCst);
    result
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
