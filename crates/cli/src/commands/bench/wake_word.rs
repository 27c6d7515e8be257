//! The recordings of the wake-word benchmark, and what is told of them.

use std::fs;
use std::path::{Path, PathBuf};

use rasbora_bench::mlperf_tiny::{Benchmark, Floor, Found, Heard, Recording};
use rasbora_compiler::front_end::RATE;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::screen::number;
use crate::tensors;

/// What is heard where there is no recording.
const SILENCE_SECONDS: usize = 10;

/// One of a file's tests, as the official runner reads it.
#[derive(Deserialize)]
struct Test {
    wav_file: PathBuf,
    detection_windows: Vec<[f64; 2]>,
    length_sec: f64,
}

/// The longest of the official tests in `folder` whose recording lies beside it; none where there is none.
///
/// # Errors
/// Where a file cannot be read or is not what it should be.
pub fn recording(folder: &Path, benchmark: &Benchmark) -> Result<Option<Recording>, Failure> {
    let list = |folder: &Path| -> Result<Vec<PathBuf>, Failure> {
        let entries = fs::read_dir(folder).map_err(|error| Failure::unreadable(folder, &error))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        Ok(paths)
    };
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(benchmark.data));
    let mut found: Vec<(PathBuf, Test)> = Vec::new();
    for folder in list(folder)?.into_iter().filter(|path| path.is_dir() && named(path)) {
        for path in list(&folder)?.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
            let text = fs::read_to_string(&path).map_err(|error| Failure::unreadable(&path, &error))?;
            let tests: Vec<Test> = serde_json::from_str(&text).map_err(|error| {
                Failure::failed("wrong_data", format!("'{}' is not a list of tests: {error}", path.display()))
            })?;
            found.extend(
                tests.into_iter().map(|test| (folder.join(&test.wav_file), test)).filter(|(wav, _)| wav.is_file()),
            );
        }
    }
    let Some((wav, test)) = found.into_iter().max_by(|a, b| a.1.length_sec.total_cmp(&b.1.length_sec)) else {
        return Ok(None);
    };
    let Some(samples) = tensors::audio(&wav)? else { return Ok(None) };
    let file = test.wav_file.display().to_string();
    Ok(Some(Recording { file, samples, words: Some(test.detection_windows) }))
}

/// What is heard for want of a recording.
pub fn silence() -> Recording {
    Recording { file: "silence".into(), samples: vec![0; SILENCE_SECONDS * RATE as usize], words: None }
}

/// What the board made of a recording.
#[derive(Serialize)]
pub struct Listening {
    recording: String,
    seconds: f64,
    frames: usize,
    /// Ticks of a frame, on average.
    pub ticks: f64,
    duty_cycle: f64,
    /// Frames that took longer than until the next.
    late_frames: usize,
    found: Option<Found>,
    floor: usize,
    /// Whether the mistakes of each kind are no more than that, and no frame is late.
    pub reached: bool,
}

impl Listening {
    /// What is told of `heard`.
    pub fn new(recording: &Recording, heard: &Heard, benchmark: &Benchmark) -> Self {
        let floor = if let Floor::Mistakes(most) = benchmark.floor { most } else { 0 };
        let few = |found: &Found| found.false_negatives.len() <= floor && found.false_positives.len() <= floor;
        Self {
            recording: recording.file.clone(),
            seconds: recording.samples.len() as f64 / f64::from(RATE),
            frames: heard.activations.len(),
            ticks: heard.mean_ticks(),
            duty_cycle: heard.duty_cycle(),
            late_frames: heard.late(),
            found: heard.found.clone(),
            floor,
            reached: heard.late() == 0 && heard.found.as_ref().is_none_or(few),
        }
    }

    /// Score and floor in a table.
    pub fn shown(&self) -> [String; 2] {
        let mistakes = |found: &Found| format!("{} FN {} FP", found.false_negatives.len(), found.false_positives.len());
        [self.found.as_ref().map_or("–".into(), mistakes), self.floor.to_string()]
    }

    /// A line about it.
    pub fn note(&self, target: &str) -> String {
        let words = self.found.as_ref().map_or(String::new(), |found| {
            let said = found.true_positives.len() + found.false_negatives.len();
            format!("; the word was said {said} times and heard {} times", found.true_positives.len())
        });
        let late = match self.late_frames {
            0 => String::new(),
            late => format!("; {} frames take longer than until the next: samples would be lost", number(late as u64)),
        };
        format!(
            "sww01 on {target}: {}, {} frames, each equal on this machine; the board works {:.1} % of the time{words}{late}",
            self.recording,
            number(self.frames as u64),
            100.0 * self.duty_cycle,
        )
    }
}
