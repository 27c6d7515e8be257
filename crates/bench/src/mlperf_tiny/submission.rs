//! The files that a submission holds for each benchmark: results.txt, results.json and log.txt, as the official runner
//! writes them, with a first line that says what the times are.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rasbora_compiler::front_end::RATE;
use serde_json::json;

use super::accuracy::Accuracy;
use super::benchmarks::Task;
use super::device::Ticks;
use super::runner::{Performance, Window};
use super::wake_word::{Found, Heard, Recording};

/// Files of a submission, by their paths.
pub type Files = Vec<(PathBuf, Vec<u8>)>;

/// Now, as the runner stamps its lines: month, day, hour, minute, second, in UTC.
pub(crate) fn stamp() -> String {
    stamp_of(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// A time in seconds since 1970 as the runner stamps it.
fn stamp_of(seconds: u64) -> String {
    let (mut day, of_day) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let [hour, minute, second] = [of_day / 3600, of_day / 60 % 60, of_day % 60];
    format!("{month:02}{:02}.{hour:02}{minute:02}{second:02}", day + 1)
}

/// What the times of a device are.
pub fn meaning(ticks: Ticks) -> String {
    let mhz = f64::from(ticks.hz) / 1e6;
    match ticks.model {
        Some(model) => {
            format!("times are modelled cycles of {model} at {mhz} MHz, zero wait states, on an emulated board")
        }
        None => format!("times are counted instructions, one a tick of {mhz} MHz, on an emulated board: no cycles"),
    }
}

/// The files of a performance run.
pub fn performance_files(system: &str, task: &Task, ticks: Ticks, run: &Performance) -> Files {
    let mut summary = format!("{}\n", meaning(ticks));
    // Of instructions, every line says so.
    let unit = if ticks.model.is_some() { "" } else { " (instructions)" };
    for (index, window) in run.windows.iter().enumerate() {
        let _ = write!(
            summary,
            "Performance results for window {}\n    # Inferences : {}\n    Runtime: {} sec.{unit}\n    \
             Throughput: {} inf./sec.{unit}\n    Runtime requirements have been met.\n",
            index + 1,
            window.inferences,
            window.microseconds() as f64 / 1e6,
            window.throughput(),
        );
    }
    let stamp = run.windows.last().map_or_else(stamp, |window| window.stamp.clone());
    let rule = "-".repeat(57);
    let _ = write!(
        summary,
        "{stamp} ulp-mlperf: {rule}\n{stamp} ulp-mlperf: Median throughput is {:>10.3} inf./sec.{unit}\n\
         {stamp} ulp-mlperf: {rule}\n",
        run.throughput()
    );
    let mut log = opening(task, &run.name);
    for (index, window) in run.windows.iter().enumerate() {
        log += &window_log(index + 1, window, unit);
    }
    let _ = write!(log, "--------------------\n{summary}");
    let entries: Vec<_> = run.windows.iter().map(|window| entry(window, ticks.unit())).collect();
    files(system, task, "performance", &summary, &json!(entries), &log)
}

/// The files of an accuracy run.
pub fn accuracy_files(system: &str, task: &Task, name: &str, run: &Accuracy) -> Files {
    let stamp = stamp();
    let mut summary = String::new();
    if let Some(top1) = run.scores.top1 {
        let _ = writeln!(summary, "{stamp} ulp-mlperf: Top 1% = {top1:.1}");
    }
    if let Some(auc) = run.scores.auc {
        let _ = writeln!(summary, "{stamp} ulp-mlperf: AUC = {auc:.3}");
    }
    let mut log = opening(task, name);
    let _ = writeln!(
        log,
        "results are the board's program on this machine; {} inputs were run on the board too, with equal bytes",
        run.checked
    );
    let mut entries = Vec::new();
    for (sample, results) in &run.results {
        let _ = writeln!(log, "{stamp} ulp-mlperf: {}: {results:?}", sample.file);
        entries.push(json!({
            "file": sample.file,
            "class": sample.class.map(|class| class.to_string()),
            "infer": { "results": results, "iterations": 1, "warmups": 0 },
            "mode": "a",
        }));
    }
    log += &summary;
    files(system, task, "accuracy", &summary, &json!(entries), &log)
}

/// The files of a run of the wake-word benchmark.
pub fn wake_word_files(system: &str, task: &Task, ticks: Ticks, recording: &Recording, run: &Heard) -> Files {
    let seconds = recording.samples.len() as f64 / f64::from(RATE);
    let mut summary = format!("{}\n== File {} ({seconds:.1} s) ==\n", meaning(ticks), recording.file);
    if let Some(Found { true_positives, false_negatives, false_positives }) = &run.found {
        let _ = write!(
            summary,
            "    True Positives: {true_positives:?}\n    False negatives: {false_negatives:?}\n    \
             False Positives: {false_positives:?}\n{} True Positives, {} False negatives, {} False Positives\n",
            true_positives.len(),
            false_negatives.len(),
            false_positives.len(),
        );
    }
    let unit = ticks.unit();
    let _ = writeln!(summary, "Duty cycle = {:.4} ({:.0} {unit} a frame)", run.duty_cycle(), run.mean_ticks());
    let log = format!("{}target activations:\n{:?}\n{summary}", opening(task, &run.name), run.activations);
    let entry = json!({
        "infer": {
            "wav_file": recording.file,
            "length_sec": seconds,
            "detection_windows": recording.words,
            "detections": run.detections,
            "iterations": 1,
            "warmups": 0,
        },
        "dutycycle": { "duty_cycle": run.duty_cycle(), "ticks": run.ticks, "unit": unit },
        "activations": run.activations,
        "mode": "p",
    });
    files(system, task, "performance", &summary, &json!([entry]), &log)
}

fn opening(task: &Task, name: &str) -> String {
    format!("Device name retrieved: {name}\nDevice model retrieved: {}\n", task.benchmark.id)
}

fn window_log(number: usize, window: &Window, unit: &str) -> String {
    let stamp = &window.stamp;
    format!(
        "{stamp} ulp-mlperf: Loading file {}\n{stamp} ulp-mlperf: Load complete.\n\
         Running inference with {}/{} (warmup/measured) iterations ...\ndone\n\
         {stamp} ulp-mlperf: Performance results for window {number}:\n\
         {stamp} ulp-mlperf:   # Inferences : {:>13}\n\
         {stamp} ulp-mlperf:   Runtime      : {:>10.3} sec.{unit}\n\
         {stamp} ulp-mlperf:   Throughput   : {:>10.3} inf./sec.{unit}\n\
         {stamp} ulp-mlperf:   m-results    : {:?}\n",
        window.file,
        window.warm_up,
        window.inferences,
        window.inferences,
        window.microseconds() as f64 / 1e6,
        window.throughput(),
        window.results,
    )
}

fn entry(window: &Window, unit: &str) -> serde_json::Value {
    json!({
        "file": window.file,
        "class": window.class.map(|class| class.to_string()),
        "infer": {
            "start_time": window.start_us,
            "end_time": window.end_us,
            "results": window.results,
            "elapsed_time": window.microseconds(),
            "total_inferences": 1,
            "iterations": window.inferences,
            "warmups": window.warm_up,
            "throughput": window.throughput(),
            "unit": unit,
        },
        "mode": "p",
    })
}

fn files(system: &str, task: &Task, mode: &str, summary: &str, entries: &serde_json::Value, log: &str) -> Files {
    let folder = Path::new("results").join(system).join(task.benchmark.folder).join(mode);
    let texts =
        [("results.txt", summary.to_owned()), ("results.json", format!("{entries}\n")), ("log.txt", log.to_owned())];
    texts.into_iter().map(|(name, text)| (folder.join(name), text.into_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_month_day_and_time() {
        assert_eq!(stamp_of(0), "0101.000000");
        assert_eq!(stamp_of(1_753_491_765), "0726.010245");
        assert_eq!(stamp_of(1_709_164_800), "0229.000000");
    }
}
