//! The official inputs of a benchmark: a folder of files, and the list `y_labels.csv` that names them with their classes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::benchmarks::{Benchmark, Element, Task};
use super::runner::WINDOW_COUNT;
use crate::error::BenchError;

/// The list of a folder.
const LABELS: &str = "y_labels.csv";

/// One input, as the runner sends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The file that it is of.
    pub file: String,
    /// The file's class.
    pub class: Option<u32>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A file of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    class: u32,
    /// Bytes from one window of the file to the next; none where the file is one input.
    stride: Option<usize>,
}

/// A benchmark's inputs.
#[derive(Clone, Debug)]
pub struct Data {
    benchmark: &'static Benchmark,
    folder: PathBuf,
    entries: Vec<Entry>,
}

impl Data {
    /// Looks for the inputs of `benchmark` in `folder`: in a folder in it whose name begins with the official one, or in
    /// itself; none where there are none.
    ///
    /// # Errors
    /// Where the list cannot be read.
    pub fn find(folder: &Path, benchmark: &'static Benchmark) -> Result<Option<Self>, BenchError> {
        let unreadable = |path: &Path, error: io::Error| unreadable(benchmark, path, &error);
        let mut folders: Vec<PathBuf> = fs::read_dir(folder)
            .map_err(|error| unreadable(folder, error))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(benchmark.data)))
            .collect();
        folders.sort();
        let Some(folder) = folders.into_iter().find(|folder| folder.join(LABELS).is_file()) else { return Ok(None) };
        let path = folder.join(LABELS);
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let wrong = |reason: String| BenchError::Data { benchmark: benchmark.id, path: path.clone(), reason };
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let entries = lines
            .map(|(index, line)| {
                entry(line).ok_or_else(|| wrong(format!("line {} is not FILE,CLASSES,CLASS[,BYTES,STRIDE]", index + 1)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Err(wrong("it lists no files".into()));
        }
        Ok(Some(Self { benchmark, folder, entries }))
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The inputs in file `index`: one, or its windows.
    ///
    /// # Errors
    /// Where the file cannot be read or has a wrong length.
    pub fn samples(&self, index: usize, task: &Task) -> Result<Vec<Sample>, BenchError> {
        let Some(Entry { name, class, stride }) = self.entries.get(index) else { return Ok(Vec::new()) };
        let path = self.folder.join(name);
        let content = fs::read(&path).map_err(|error| unreadable(self.benchmark, &path, &error))?;
        let bytes = task.bytes();
        let fits = match stride {
            Some(_) => content.len() >= bytes,
            None => content.len() == bytes,
        };
        if !fits {
            let reason = format!("it has {} bytes, and an input of the network takes {bytes}", content.len());
            return Err(BenchError::Data { benchmark: self.benchmark.id, path, reason });
        }
        let windows = content.windows(bytes).step_by(stride.unwrap_or(bytes));
        Ok(windows.map(|bytes| Sample { file: name.clone(), class: Some(*class), bytes: bytes.to_vec() }).collect())
    }
}

fn unreadable(benchmark: &Benchmark, path: &Path, error: &io::Error) -> BenchError {
    BenchError::Data { benchmark: benchmark.id, path: path.to_owned(), reason: format!("it cannot be read: {error}") }
}

/// Inputs for want of official ones, as many as there are windows: xorshift32 (shifts 13, 17, 5; seed 1), bytes as they are,
/// floats `byte / 2`.
pub fn pseudo_random(task: &Task) -> Vec<Sample> {
    let mut state = 1u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    let mut bytes = || -> Vec<u8> {
        let elements = 0..task.benchmark.inputs;
        match task.benchmark.element {
            Element::Quantised | Element::Colour | Element::Sample => elements.map(|_| next()).collect(),
            Element::Float => elements.flat_map(|_| (f32::from(next().cast_signed()) / 2.0).to_le_bytes()).collect(),
        }
    };
    (0..WINDOW_COUNT)
        .map(|index| Sample { file: format!("pseudo-random {index}"), class: None, bytes: bytes() })
        .collect()
}

/// `FILE,CLASSES,CLASS`, or with `,BYTES,STRIDE` for files of overlapping windows.
fn entry(line: &str) -> Option<Entry> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let (name, class, stride) = match fields.as_slice() {
        [name, _, class] => (name, class, None),
        [name, _, class, _, stride] => (name, class, Some(stride.parse().ok().filter(|&stride| stride > 0)?)),
        _ => return None,
    };
    Some(Entry { name: (*name).to_owned(), class: class.parse().ok()?, stride })
}

#[cfg(test)]
mod tests {
    use super::super::benchmarks::find;
    use super::super::tensors::{Affine, Sent, Told};
    use super::*;

    fn task(id: &str) -> Task {
        let benchmark = find(id).unwrap();
        let affine = Affine { scale: 1.0, zero_point: 0 };
        let sent = if benchmark.element == Element::Float { Sent::Floats(affine) } else { Sent::Quantised };
        Task { benchmark, sent, told: Told::Values(affine) }
    }

    /// A folder with `labels` and a file of `bytes` bytes, looked through for `id`.
    fn data(id: &str, labels: &str, bytes: usize) -> Result<Vec<Sample>, BenchError> {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join(format!("{id}_more"));
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join(LABELS), labels).unwrap();
        fs::write(inner.join("a.bin"), vec![7; bytes]).unwrap();
        let data = Data::find(folder.path(), find(id).unwrap())?.expect("the folder's name begins as the official one");
        data.samples(0, &task(id))
    }

    #[test]
    fn a_file_is_one_input_or_its_windows() {
        let samples = data("kws01", "a.bin,12,7\n", 490).unwrap();
        assert_eq!(samples, [Sample { file: "a.bin".into(), class: Some(7), bytes: vec![7; 490] }]);
        let windows = data("ad01", "a.bin,2,1,2560,512\n", 2560 + 3 * 512).unwrap();
        assert_eq!((windows.len(), windows[3].bytes.len()), (4, 2560));
    }

    #[test]
    fn data_that_do_not_fit_are_told() {
        let error = data("kws01", "a.bin,12,7\n", 489).unwrap_err().to_string();
        assert!(error.contains("a.bin") && error.contains("489") && error.contains("490"), "{error}");
        assert!(data("ad01", "a.bin,2,1,2560,512\n", 2559).is_err());
        let error = data("kws01", "a.bin,12,7\nb.bin,12\n", 490).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(data("kws01", "\n", 490).is_err());
    }

    #[test]
    fn a_folder_or_file_that_is_missing_is_told() {
        let error = Data::find(Path::new("no such folder"), find("kws01").unwrap()).unwrap_err().to_string();
        assert!(error.contains("no such folder") && error.contains("cannot be read"), "{error}");
        let error = data("kws01", "b.bin,12,7\n", 490).unwrap_err().to_string();
        assert!(error.contains("b.bin") && error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn pseudo_random_inputs_have_the_benchmark_s_size() {
        let sizes = |id| pseudo_random(&task(id)).iter().map(|sample| sample.bytes.len()).collect::<Vec<_>>();
        assert_eq!(sizes("vww01"), [27_648; WINDOW_COUNT]);
        assert_eq!(sizes("ad01"), [2560; WINDOW_COUNT]);
    }
}
