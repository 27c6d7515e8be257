//! Files that are there whole or not at all: written beside their place, then renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::interrupt::{HalfWritten, uninterrupted};

/// Writes a file. A device or pipe is written in place, for it must not be replaced.
///
/// # Errors
/// Where it cannot be written; what was there before is then still there.
pub fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let special = fs::metadata(&place).is_ok_and(|metadata| !metadata.is_file());
    let written = if special { write_in_place(&place, content) } else { replace(&place, content) };
    written.map_err(|error| Failure::unwritable(path, &error))
}

fn write_in_place(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(content)?;
    file.flush()
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = named_like_others(tempfile::Builder::new().prefix(".rasbora-")).tempfile_in(folder_of(path))?;
    let half_written = HalfWritten::new(temporary.path());
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    drop(half_written);
    Ok(())
}

/// The user's own default permissions, not those of secret files.
#[cfg(unix)]
fn named_like_others<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn named_like_others<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    builder
}

/// The folder that a path lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Tries whether the folder `path` can be written later, and leaves nothing.
///
/// # Errors
/// Where it cannot.
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let exists = folder_of(&place).ancestors().map(|it| if it.as_os_str().is_empty() { Path::new(".") } else { it });
    let existing = exists.into_iter().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let tried = tempfile::Builder::new().prefix(".rasbora-").tempdir_in(existing);
    tried.map(drop).map_err(|error| Failure::unwritable(path, &error))
}

/// Replaces the folder `path` by one with these files. Entries of the old folder named in `kept` move into the new one.
///
/// # Errors
/// Where it cannot be written; what was there before is then still there.
pub fn replace_folder(path: &Path, files: &[(PathBuf, Vec<u8>)], kept: &[&str]) -> Result<(), Failure> {
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    build_beside(&place, files, kept).map_err(|error| Failure::unwritable(path, &error))
}

fn build_beside(place: &Path, files: &[(PathBuf, Vec<u8>)], kept: &[&str]) -> io::Result<()> {
    let parent = folder_of(place);
    fs::create_dir_all(parent)?;
    let temporary = tempfile::Builder::new().prefix(".rasbora-").tempdir_in(parent)?;
    let half_written = HalfWritten::new(temporary.path());
    let (new, old) = (temporary.path().join("new"), temporary.path().join("old"));
    fs::create_dir(&new)?;
    for (name, content) in files {
        let file = new.join(name);
        fs::create_dir_all(folder_of(&file))?;
        fs::write(&file, content)?;
    }
    uninterrupted(|| {
        if place.exists() {
            for name in kept.iter().filter(|name| place.join(name).exists()) {
                fs::rename(place.join(name), new.join(name))?;
            }
            fs::rename(place, &old)?;
        }
        fs::rename(&new, place)
    })?;
    drop(half_written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let failure = write(&folder.path().join("no/out.bin"), b"new").unwrap_err();
        assert!(failure.message.contains("cannot be written"), "{failure}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_and_a_device_stays() {
        use std::os::unix::fs::FileTypeExt;
        let failure = write(Path::new("/dev/full"), b"new").unwrap_err();
        assert!(failure.message.contains("no space left"), "{failure}");
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_folder_is_replaced_but_for_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        replace_folder(&place, &[("a/b".into(), b"1".to_vec())], &[]).unwrap();
        fs::create_dir(place.join("target")).unwrap();
        replace_folder(&place, &[("c".into(), b"2".to_vec())], &["target", "Cargo.lock"]).unwrap();
        assert!(place.join("target").is_dir() && place.join("c").is_file() && !place.join("a").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
