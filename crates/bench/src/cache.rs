//! The folder of things that are built once: core libraries, the plugin, firmware images.
//!
//! An entry is built in a folder of its own and renamed into place, under a lock, so that several processes may ask
//! for it at the same time, and an entry that exists is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

use crate::error::{BenchError, file};

/// The cache folder: `$RASBORA_CACHE`, else `rasbora` in the platform's folder for caches.
///
/// # Errors
/// Where neither is known.
pub fn root() -> Result<PathBuf, BenchError> {
    match std::env::var_os("RASBORA_CACHE") {
        Some(path) if !path.is_empty() => std::path::absolute(&path).map_err(file("find", PathBuf::from(path))),
        _ => {
            let base = etcetera::choose_base_strategy().map_err(|_| BenchError::NoCache)?;
            Ok(base.cache_dir().join("rasbora"))
        }
    }
}

/// Holds a lock file for as long as it lives.
pub(crate) struct Lock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

/// Waits for the lock `name` within the folder `kind` of the cache.
pub(crate) fn lock(kind: &str, name: &str) -> Result<Lock, BenchError> {
    let folder = root()?.join(kind);
    create(&folder)?;
    let path = folder.join(format!("{name}.lock"));
    let lock = File::create(&path).map_err(file("create", &path))?;
    lock.lock().map_err(file("lock", &path))?;
    Ok(Lock(lock))
}

/// The entry `key` of the folder `kind`; `build` fills it if it is not there.
pub(crate) fn entry(
    kind: &str,
    key: &str,
    build: impl FnOnce(&Path) -> Result<(), BenchError>,
) -> Result<PathBuf, BenchError> {
    let folder = root()?.join(kind);
    let entry = folder.join(key);
    if entry.is_dir() {
        return Ok(entry);
    }
    let _lock = lock(kind, key)?;
    if entry.is_dir() {
        return Ok(entry);
    }
    let unfinished = folder.join(format!("{key}.unfinished"));
    remove(&unfinished)?;
    create(&unfinished)?;
    if let Err(error) = build(&unfinished) {
        // It may be what filled the disk. Where it cannot go, the next build removes it.
        let _ = remove(&unfinished);
        return Err(error);
    }
    fs::rename(&unfinished, &entry).map_err(file("rename", &unfinished))?;
    Ok(entry)
}

/// Makes a folder and those above it.
pub(crate) fn create(folder: &Path) -> Result<(), BenchError> {
    fs::create_dir_all(folder).map_err(file("create", folder))
}

/// Writes a file, unless it already holds just that: an untouched file is not built again.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), BenchError> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(path, content).map_err(file("write", path))
}

fn remove(folder: &Path) -> Result<(), BenchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// A name made from content: the same parts give the same key.
#[derive(Clone)]
pub(crate) struct Key(Sha256);

impl Key {
    /// A key of nothing yet.
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds a part; its length is added too, so that parts do not run together.
    pub(crate) fn add(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// The key as a file name: 64 bits of it, enough for a folder of thousands.
    pub(crate) fn finish(self) -> String {
        let digest = self.0.finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Key::new().add("ab").add("c").finish(), Key::new().add("a").add("bc").finish());
    }
}
