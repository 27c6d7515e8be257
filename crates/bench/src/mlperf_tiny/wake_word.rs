//! The wake-word benchmark: the device hears a recording, and what it makes of it is held against when the word was said.
//!
//! The device works on one half of the samples while the other is filled, so the share of a frame's time that it works is
//! ```text
//! duty cycle = ticks from a full half to its result / (512 samples / 16 kHz · ticks of a second)
//! ```

use rasbora_compiler::front_end::RATE;
use rasbora_compiler::graph::bytes_of;
use rasbora_compiler::host::{self, HostError};
use rasbora_compiler::program::Program;
use serde::Serialize;

use super::device::{Device, Image};
use super::runner::identify;
use crate::error::BenchError;

/// The activation above which the reference firmware says that it heard the word.
const THRESHOLD: i8 = 115;
/// How long after the word it may be heard, and how long after a mistake another is the same one.
const GRACE_MS: f64 = 1000.0;

/// What is heard.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its file.
    pub file: String,
    /// Samples of one channel, 16,000 a second.
    pub samples: Vec<i16>,
    /// When the word begins and ends, in seconds; none where that is not known.
    pub words: Option<Vec<[f64; 2]>>,
}

/// What the device made of a recording.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What the device calls itself.
    pub name: String,
    /// The wake word's activation in each frame.
    pub activations: Vec<i8>,
    /// The ticks of each frame.
    pub ticks: Vec<u64>,
    /// Ticks from one frame to the next.
    pub frame_ticks: f64,
    /// When it heard the word, in milliseconds after the first frame.
    pub detections: Vec<u64>,
    /// What is right of that.
    pub found: Option<Found>,
}

/// Words and mistakes, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Found {
    /// Words that were heard.
    pub true_positives: Vec<f64>,
    /// Words that were not.
    pub false_negatives: Vec<f64>,
    /// What was heard and nobody said.
    pub false_positives: Vec<f64>,
}

impl Heard {
    /// The mean ticks of a frame.
    pub fn mean_ticks(&self) -> f64 {
        self.ticks.iter().sum::<u64>() as f64 / self.ticks.len().max(1) as f64
    }

    /// The share of the time that the device works.
    pub fn duty_cycle(&self) -> f64 {
        self.mean_ticks() / self.frame_ticks
    }

    /// Frames that took longer than until the next: on a board, samples would be lost.
    pub fn late(&self) -> usize {
        self.ticks.iter().filter(|&&ticks| ticks as f64 > self.frame_ticks).count()
    }
}

/// Has a device hear `recording`, which must give the activations that `program` gives on this machine.
///
/// # Errors
/// Where the device hangs, does not answer as the protocol says, or gives other activations.
pub fn listen(
    device: &mut Device,
    image: &Image,
    program: &Program,
    recording: &Recording,
) -> Result<Heard, BenchError> {
    let benchmark = image.task.benchmark;
    let name = identify(device, benchmark.id)?;
    device.play(&recording.samples)?;
    device.command("start")?;
    let reply = device.command("stop")?;
    let activations = activations(&reply).ok_or_else(|| device.wrong("stop", "the list of activations is missing"))?;
    let expected = on_host(program, recording, benchmark.inputs)
        .map_err(|error| BenchError::WrongModel { benchmark: benchmark.id, reason: error.to_string() })?;
    if activations != expected {
        return Err(BenchError::Differs {
            benchmark: benchmark.id,
            machine: image.target_name().to_owned(),
            file: recording.file.clone(),
            board: format!("{activations:?}"),
            host: format!("{expected:?}"),
        });
    }
    let stamps = device.clock()?;
    let frames = stamps.len().checked_sub(2 * activations.len()).and_then(|first| stamps.get(first..));
    let frames = frames.ok_or_else(|| device.wrong("stop", "the clock was not asked for each frame"))?;
    let ticks = frames.as_chunks::<2>().0.iter().map(|[begin, end]| end.saturating_sub(*begin)).collect();
    let seconds = benchmark.inputs as f64 / f64::from(RATE);
    let detections = detections(&activations, 1e3 * seconds);
    let found = recording.words.as_ref().map(|words| found(&detections, words));
    let frame_ticks = seconds * f64::from(image.ticks.hz);
    Ok(Heard { name, activations, ticks, frame_ticks, detections, found })
}

/// The list that follows its title.
fn activations(reply: &[String]) -> Option<Vec<i8>> {
    let title = reply.iter().position(|line| line.starts_with("target activations:"))?;
    let list: String = reply.get(title + 1..)?.concat();
    let list = list.trim().strip_prefix('[')?.strip_suffix(']')?;
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect()
}

fn on_host(program: &Program, recording: &Recording, samples: usize) -> Result<Vec<i8>, HostError> {
    let frames = recording.samples.chunks_exact(samples);
    let calls: Vec<_> = frames.map(|frame| vec![bytes_of(frame.iter().copied())]).collect();
    let activation = |outputs: Vec<Vec<u8>>| outputs.first().and_then(|output| output.first()).copied();
    let outputs = host::run_calls(program, &calls)?;
    Ok(outputs.into_iter().filter_map(activation).map(u8::cast_signed).collect())
}

/// When the word was heard, in milliseconds after the first frame.
fn detections(activations: &[i8], frame_ms: f64) -> Vec<u64> {
    let heard = activations.iter().enumerate().filter(|(_, activation)| **activation > THRESHOLD);
    heard.map(|(frame, _)| (frame as f64 * frame_ms) as u64).collect()
}

/// Each word is heard once by whatever is heard from its begin to a second after its end. Of what else is heard, all in a
/// second is one mistake.
fn found(detections: &[u64], words: &[[f64; 2]]) -> Found {
    let mut found = Found::default();
    let mut rest: Vec<f64> = detections.iter().map(|&ms| ms as f64).collect();
    for &[begin, end] in words {
        let before = rest.len();
        rest.retain(|ms| !(1e3 * begin..=1e3 * end + GRACE_MS).contains(ms));
        let list = if rest.len() < before { &mut found.true_positives } else { &mut found.false_negatives };
        list.push(begin);
    }
    let mut last = f64::NEG_INFINITY;
    for ms in rest {
        if ms > last + GRACE_MS {
            found.false_positives.push(ms / 1e3);
            last = ms;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_heard_in_their_time_and_mistakes_counted_once() {
        let words = [[1.0, 1.5], [4.0, 4.5], [7.0, 7.5]];
        let found = found(&[100, 900, 1101, 1200, 2500, 2600, 8500, 8501, 9000, 9502], &words);
        assert_eq!(found.true_positives, [1.0, 7.0]);
        assert_eq!(found.false_negatives, [4.0]);
        assert_eq!(found.false_positives, [0.1, 2.6, 8.501, 9.502]);
    }

    #[test]
    fn what_the_device_says_is_a_list() {
        let reply = |lines: &[&str]| activations(&lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>());
        assert_eq!(
            reply(&["Streaming stopped.", "target activations: ", "[-128, 3, ", "127 ", "]"]),
            Some(vec![-128, 3, 127])
        );
        assert_eq!(reply(&["target activations: ", "[ ", "]"]), Some(vec![]));
        assert_eq!(reply(&["target activations: ", "[200 ", "]"]), None);
        assert_eq!(reply(&["Streaming stopped."]), None);
        assert_eq!(detections(&[115, 116, -128, 127], 32.0), [32, 96]);
    }
}
