//! The sources of an emitted network and of its kernels, read into memory.
//!
//! They are written out again where firmware is built, always at the same place, so that cargo knows kernels that it has
//! already compiled, and an image depends on what the sources say and not on where they lay.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Emitted;
use crate::cache::{self, Key};
use crate::error::{BenchError, file};

/// Where the kernels are written, seen from the network's crate.
const DEVICE_PATH: &str = "../device";
/// The folder of an emitted crate that holds the kernels.
const DEVICE: &str = "rasbora-device";
const MANIFEST: &str = "Cargo.toml";
const EMPTY_NETWORK: &str = include_str!("../firmware/empty.rs");

/// The files of a crate, by their paths within it.
#[derive(Clone, Debug)]
struct Files(Vec<(PathBuf, Vec<u8>)>);

/// A network's crate and the crate `rasbora-device` that it uses.
#[derive(Debug)]
pub(crate) struct Sources {
    model: Files,
    device: Files,
}

impl Sources {
    /// Reads an emitted crate. It and `rasbora-device` must not belong to a workspace from which they inherit.
    pub(crate) fn read(emitted: &Emitted<'_>) -> Result<Self, BenchError> {
        let path = emitted.dir.join(MANIFEST);
        let wrong = |reason: String| BenchError::Emitted { path: path.clone(), reason };
        let text = fs::read_to_string(&path).map_err(file("read", &path))?;
        let mut manifest: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        manifest.remove("workspace");
        let device = manifest.get_mut("dependencies").and_then(|it| it.get_mut("rasbora-device"));
        let entry = device.and_then(|it| it.get_mut("path"));
        let entry = entry.ok_or_else(|| wrong("it does not depend on rasbora-device by a path".to_owned()))?;
        let folder = emitted.dir.join(entry.as_str().unwrap_or_default());
        *entry = DEVICE_PATH.into();
        let device = Files::read(&folder, None)?;
        let mut model = Files::read(emitted.dir, Some(&folder))?;
        model.0.retain(|(path, _)| path != Path::new(MANIFEST));
        model.0.push((MANIFEST.into(), manifest.to_string().into_bytes()));
        Ok(Self { model, device })
    }

    /// An emitted crate that was not written anywhere.
    pub(crate) fn emitted(files: &[(PathBuf, Vec<u8>)]) -> Self {
        let (mut model, mut device) = (vec![manifest("src/lib.rs")], Vec::new());
        for (path, content) in files {
            match path.strip_prefix(DEVICE) {
                Ok(path) => device.push((path.to_owned(), content.clone())),
                Err(_) if path == Path::new(MANIFEST) => {}
                Err(_) => model.push((path.clone(), content.clone())),
            }
        }
        Self { model: Files(model), device: Files(device) }
    }

    /// The kernels and no network.
    pub(crate) fn kernels() -> Self {
        Self::emitted(&rasbora_compiler::emit::rust::device()).empty()
    }

    /// A network without steps over the same kernels.
    pub(crate) fn empty(&self) -> Self {
        let model = vec![manifest("lib.rs"), ("lib.rs".into(), EMPTY_NETWORK.into())];
        Self { model: Files(model), device: self.device.clone() }
    }

    /// Adds all of the content to a key.
    pub(crate) fn key(&self, key: Key) -> Key {
        let files = self.model.0.iter().chain(&self.device.0);
        files.fold(key, |key, (path, content)| key.add(path.as_os_str().as_encoded_bytes()).add(content))
    }

    /// Writes the crates `model` and `device` into `folder`, touching only files that differ.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), BenchError> {
        self.model.write(&folder.join("model"))?;
        self.device.write(&folder.join("device"))
    }
}

/// The manifest of a crate `model` over the kernels.
fn manifest(source: &str) -> (PathBuf, Vec<u8>) {
    let text = format!(
        "[package]\nname = \"model\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = {source:?}\n\n\
         [dependencies]\nrasbora-device = {{ path = {DEVICE_PATH:?} }}\n"
    );
    (MANIFEST.into(), text.into_bytes())
}

impl Files {
    /// All files below `folder` but build outputs, hidden files, and what lies below `except`.
    fn read(folder: &Path, except: Option<&Path>) -> Result<Self, BenchError> {
        let except = except.map(|path| fs::canonicalize(path).map_err(file("find", path))).transpose()?;
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(current) = folders.pop() {
            for entry in fs::read_dir(&current).map_err(file("read", &current))? {
                let path = entry.map_err(file("read", &current))?.path();
                if ignored(&path) {
                    continue;
                } else if path.is_file() {
                    let content = fs::read(&path).map_err(file("read", &path))?;
                    files.push((path.strip_prefix(folder).unwrap_or(&path).to_owned(), content));
                } else if except.is_none() || fs::canonicalize(&path).ok() != except {
                    folders.push(path);
                }
            }
        }
        files.sort();
        Ok(Self(files))
    }

    fn write(&self, folder: &Path) -> Result<(), BenchError> {
        if folder.is_dir() {
            for (path, _) in Self::read(folder, None)?.0 {
                if self.0.iter().all(|(kept, _)| *kept != path) {
                    fs::remove_file(folder.join(&path)).map_err(file("remove", folder.join(&path)))?;
                }
            }
        }
        for (path, content) in &self.0 {
            let path = folder.join(path);
            path.parent().map_or(Ok(()), cache::create)?;
            cache::write(&path, content)?;
        }
        Ok(())
    }
}

fn ignored(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let hidden = name.as_encoded_bytes().starts_with(b".");
    hidden || name == OsStr::new("target") || name == OsStr::new("Cargo.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emit(folder: &Path, text: &str) -> Sources {
        fs::create_dir_all(folder.join("device/target")).unwrap();
        let dependency = "[workspace]\n[dependencies]\nrasbora-device = { path = \"device\" }\n";
        fs::write(folder.join(MANIFEST), dependency).unwrap();
        fs::write(folder.join("lib.rs"), text).unwrap();
        fs::write(folder.join("device/kernel.rs"), "kernel").unwrap();
        fs::write(folder.join("device/target/built"), "built").unwrap();
        Sources::read(&Emitted { dir: folder, module: "m" }).unwrap()
    }

    #[test]
    fn a_key_is_content_and_not_place() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = |sources: Sources| sources.key(Key::new()).finish();
        let first = key(emit(a.path(), "1"));
        assert_eq!(key(emit(b.path(), "1")), first);
        assert_ne!(key(emit(b.path(), "2")), first);
    }

    #[test]
    fn crates_are_written_side_by_side() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sources = emit(from.path(), "1");
        fs::create_dir_all(to.path().join("model")).unwrap();
        fs::write(to.path().join("model/old.rs"), "").unwrap();
        sources.write(to.path()).unwrap();
        let manifest = fs::read_to_string(to.path().join("model/Cargo.toml")).unwrap();
        assert!(manifest.contains("path = \"../device\"") && !manifest.contains("workspace"), "{manifest}");
        assert_eq!(fs::read(to.path().join("model/lib.rs")).unwrap(), b"1");
        assert_eq!(fs::read(to.path().join("device/kernel.rs")).unwrap(), b"kernel");
        let left = ["model/old.rs", "model/device", "device/target"].map(|path| to.path().join(path).exists());
        assert_eq!(left, [false; 3]);
    }
}
