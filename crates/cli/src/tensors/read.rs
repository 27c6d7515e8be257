//! A file by its ending: arrays with keys, or a picture.

use std::fs;
use std::path::Path;

use super::{Array, Signature, TensorError, Values, bin, csv, image, npy, wav};

/// An array and its key in an `.npz`.
#[derive(Clone, PartialEq, Debug)]
pub struct Keyed {
    /// The key; none in a file of one array.
    pub key: Option<String>,
    /// The array.
    pub array: Array,
}

/// What a file holds.
#[derive(Debug)]
pub enum Content {
    /// One array, or several with keys.
    Arrays(Vec<Keyed>),
    /// A picture: what its pixels mean depends on the input.
    Picture(::image::DynamicImage),
}

/// Reads a file; `wanted` says what raw bytes mean.
///
/// # Errors
/// Where the file cannot be read or is not what its ending says.
pub fn read(path: &Path, wanted: &Signature) -> Result<Content, TensorError> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    if !["npy", "npz", "png", "jpg", "jpeg", "wav", "csv", "bin"].contains(&ending.as_str()) {
        return Err(TensorError::Format { path: path.to_path_buf() });
    }
    let bytes = fs::read(path).map_err(|error| TensorError::Unreadable { path: path.to_path_buf(), error })?;
    let one = |array| Content::Arrays(vec![Keyed { key: None, array }]);
    let (format, content) = match ending.as_str() {
        "npy" => ("NumPy", npy::read(&bytes).map(one)),
        "npz" => ("NumPy archive", npy::read_archive(&bytes).map(keyed)),
        "csv" => ("CSV", csv::read(&bytes).map(one)),
        "wav" => ("WAV", wav::samples(&bytes).and_then(|samples| clip(samples, wanted)).map(one)),
        "bin" => ("raw", bin::read(&bytes, wanted).map(one)),
        _ => ("picture", image::read(&bytes).map(Content::Picture)),
    };
    content.map_err(|reason| TensorError::Malformed { path: path.to_path_buf(), format, reason })
}

/// The samples of a .wav file; `None` where `path` is of another kind.
///
/// # Errors
/// Where it cannot be read or is not such a file.
pub fn audio(path: &Path) -> Result<Option<Vec<i16>>, TensorError> {
    if path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("wav")) {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(|error| TensorError::Unreadable { path: path.to_path_buf(), error })?;
    let malformed = |reason| TensorError::Malformed { path: path.to_path_buf(), format: "WAV", reason };
    wav::samples(&bytes).map(Some).map_err(malformed)
}

/// A clip of the input's length, filled up with silence.
fn clip(mut samples: Vec<i16>, wanted: &Signature) -> Result<Array, String> {
    if samples.len() > wanted.elements() {
        let (found, most) = (samples.len(), wanted.elements());
        return Err(format!("it has {found} samples, but the input takes {most} at most; cut it"));
    }
    samples.resize(wanted.elements(), 0);
    Ok(Array { shape: None, values: Values::I16(samples) })
}

fn keyed(arrays: Vec<(String, Array)>) -> Content {
    Content::Arrays(arrays.into_iter().map(|(key, array)| Keyed { key: Some(key), array }).collect())
}
