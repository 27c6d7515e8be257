//! Drives a device as the official runner does: five windows of at least ten seconds, and the median of their throughput.

use serde::Serialize;

use super::data::Sample;
use super::device::Device;
use super::submission::stamp;
use crate::error::BenchError;

/// Windows of a performance run.
pub const WINDOW_COUNT: usize = 5;
/// The shortest window.
const WINDOW_MICROSECONDS: u64 = 10_000_000;
/// Inferences before each window.
const WARM_UP: u32 = 1;

/// What a device said of some inferences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Window {
    /// The input.
    pub file: String,
    /// Its class.
    pub class: Option<u32>,
    /// Inferences in the window.
    pub inferences: u32,
    /// Inferences before it.
    pub warm_up: u32,
    /// When it began, by the device's clock.
    pub start_us: u64,
    /// When it ended.
    pub end_us: u64,
    /// The ticks between.
    pub ticks: u64,
    /// The results.
    pub results: Vec<f64>,
    /// When it was over, as the runner stamps its lines.
    #[serde(skip)]
    pub stamp: String,
}

impl Window {
    /// Its length in microseconds.
    pub fn microseconds(&self) -> u64 {
        self.end_us.saturating_sub(self.start_us)
    }

    /// Inferences a second.
    pub fn throughput(&self) -> f64 {
        f64::from(self.inferences) * 1e6 / self.microseconds().max(1) as f64
    }

    /// Ticks an inference.
    pub fn ticks_each(&self) -> f64 {
        self.ticks as f64 / f64::from(self.inferences.max(1))
    }
}

/// A performance run.
#[derive(Clone, Debug)]
pub struct Performance {
    /// What the device calls itself.
    pub name: String,
    /// The windows.
    pub windows: Vec<Window>,
}

impl Performance {
    /// The median of the windows' throughput, in inferences a second.
    pub fn throughput(&self) -> f64 {
        median(self.windows.iter().map(Window::throughput))
    }

    /// The median of the windows' ticks an inference.
    pub fn ticks(&self) -> f64 {
        median(self.windows.iter().map(Window::ticks_each))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Runs five windows on a device, each on the next of `samples`, from the first again where there are fewer.
///
/// # Errors
/// Where the device hangs or does not answer as the protocol says.
pub fn performance(device: &mut Device, benchmark: &str, samples: &[Sample]) -> Result<Performance, BenchError> {
    let name = identify(device, benchmark)?;
    let mut samples = samples.iter().cycle();
    let mut next = || samples.next().ok_or_else(|| device_needs_input(benchmark));
    let first = next()?;
    device.load(&first.bytes)?;
    let one = infer(device, first, 1, 0)?;
    // A little more than the one inference says, for the next may be quicker by its data.
    let each = (one.microseconds() * 99 / 100).max(1);
    let inferences = u32::try_from(WINDOW_MICROSECONDS.div_ceil(each)).unwrap_or(u32::MAX);
    let mut windows = vec![infer(device, first, inferences, WARM_UP)?];
    while windows.len() < WINDOW_COUNT {
        let sample = next()?;
        device.load(&sample.bytes)?;
        windows.push(infer(device, sample, inferences, WARM_UP)?);
    }
    match windows.iter().find(|window| window.microseconds() < WINDOW_MICROSECONDS) {
        Some(short) => Err(device.wrong("infer", format!("a window has {} µs, not ten seconds", short.microseconds()))),
        None => Ok(Performance { name, windows }),
    }
}

fn device_needs_input(benchmark: &str) -> BenchError {
    BenchError::WrongModel { benchmark: "a benchmark", reason: format!("there is no input for {benchmark}") }
}

/// Asks for name and benchmark, as the official runner does first.
pub(crate) fn identify(device: &mut Device, benchmark: &str) -> Result<String, BenchError> {
    let reply = device.command("name")?;
    let name = value(&reply, "m-name-dut-[").ok_or_else(|| device.wrong("name", "m-name-dut-[…] is missing"))?;
    let reply = device.command("profile")?;
    match value(&reply, "m-model-[") {
        Some(model) if model == benchmark => Ok(name.to_owned()),
        _ => Err(device.wrong("profile", format!("m-model-[{benchmark}] is missing"))),
    }
}

/// Has the device run the input that it holds.
pub(crate) fn infer(device: &mut Device, sample: &Sample, inferences: u32, warm_up: u32) -> Result<Window, BenchError> {
    let command = format!("infer {inferences} {warm_up}");
    let reply = device.command(&command)?;
    let laps: Vec<u64> = reply.iter().filter_map(|line| line.strip_prefix("m-lap-us-")?.parse().ok()).collect();
    let &[start_us, end_us] = laps.as_slice() else {
        return Err(device.wrong(&command, "there are not two lines m-lap-us-…"));
    };
    let results = value(&reply, "m-results-[").and_then(|text| {
        text.split(',').filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect::<Option<Vec<f64>>>()
    });
    let results = results.ok_or_else(|| device.wrong(&command, "m-results-[…] is missing or not numbers"))?;
    let ticks = match device.clock()?.as_slice() {
        [.., start, end] => end - start,
        _ => return Err(device.wrong(&command, "the clock was not asked")),
    };
    let (file, class) = (sample.file.clone(), sample.class);
    Ok(Window { file, class, inferences, warm_up, start_us, end_us, ticks, results, stamp: stamp() })
}

/// What stands between `opening` and the bracket that ends the line.
fn value<'a>(reply: &'a [String], opening: &str) -> Option<&'a str> {
    reply.iter().find_map(|line| line.strip_prefix(opening)?.strip_suffix(']'))
}
