//! What `rasbora bench mlperf-tiny` found out, as a table and as JSON.

use std::collections::BTreeSet;

use rasbora_bench::Measurement;
use rasbora_bench::mlperf_tiny::{self as tiny, Accuracy, Benchmark, Floor, Performance};
use serde::Serialize;

use super::wake_word::Listening;
use crate::commands::{COUNTED, STATIC, Sources};
use crate::model::Named;
use crate::screen::{self, Align, BAD, BOLD, Cell, DIM, GOOD, Table, number, styled};

/// What a job found out.
#[derive(Serialize)]
pub struct Report {
    pub benchmark: &'static str,
    pub task: &'static str,
    pub target: &'static str,
    pub model: Named,
    /// What the figures of time count: `cycles` or `instructions`.
    pub unit: &'static str,
    pub cycle_model: Option<&'static str>,
    pub clock_hz: u32,
    /// What the inputs of the windows are.
    pub input: String,
    pub performance: Option<Timing>,
    pub accuracy: Option<Score>,
    pub listening: Option<Listening>,
    pub arena_bytes: u64,
    pub stack_bytes: Option<u32>,
    pub code_bytes: Option<u64>,
    pub constants_bytes: Option<u64>,
    #[serde(skip)]
    pub files: tiny::Files,
}

impl Report {
    /// Takes what the profile counts of memory.
    pub fn count(&mut self, profile: &Measurement) {
        self.stack_bytes = Some(profile.stack_bytes);
        self.code_bytes = Some(profile.flash.code);
        self.constants_bytes = Some(profile.flash.constants);
    }

    /// Whether no floor is missed.
    pub fn reached(&self) -> bool {
        let heard = self.listening.as_ref().map(|listening| listening.reached);
        self.accuracy.as_ref().map(|score| score.reached).or(heard).unwrap_or(true)
    }

    /// Ticks of an inference.
    fn ticks(&self) -> Option<f64> {
        let heard = self.listening.as_ref().map(|listening| listening.ticks);
        self.performance.as_ref().map(|timing| timing.ticks).or(heard)
    }

    /// Score and floor.
    fn score(&self) -> [String; 2] {
        let scored = self.accuracy.as_ref().map(|score| [score.shown(), screen::real(score.floor)]);
        let heard = self.listening.as_ref().map(Listening::shown);
        scored.or(heard).unwrap_or_else(|| ["–".into(), "–".into()])
    }
}

/// The five windows.
#[derive(Serialize)]
pub struct Timing {
    pub latency_ms: f64,
    pub throughput: f64,
    /// Ticks an inference, of the window of median throughput.
    pub ticks: f64,
    /// What `rasbora profile` counts for the first window's input.
    pub profile_ticks: u64,
    /// The most that a window's inference takes above the profile of its input: the protocol's share.
    pub overhead_ticks: f64,
    pub windows: Vec<tiny::Window>,
}

#[derive(Serialize)]
pub struct Score {
    pub files: usize,
    pub inferences: usize,
    /// Inputs that were run on the board too, with equal bytes.
    pub checked: usize,
    pub top1: Option<f64>,
    pub auc: Option<f64>,
    pub floor: f64,
    pub reached: bool,
}

#[derive(Serialize)]
pub struct Body {
    pub results: Vec<Report>,
    /// What could not be measured, and why.
    pub missing: Vec<String>,
    pub sources: Sources,
}

impl Timing {
    pub fn new(run: &Performance, profile: &Measurement) -> Self {
        let counts: Vec<u64> = profile.calls.iter().map(|count| count.cycles.unwrap_or(count.instructions)).collect();
        let above =
            run.windows.iter().zip(counts.iter().cycle()).map(|(window, &count)| window.ticks_each() - count as f64);
        Self {
            latency_ms: 1e3 / run.throughput(),
            throughput: run.throughput(),
            ticks: run.ticks(),
            profile_ticks: counts.first().copied().unwrap_or_default(),
            overhead_ticks: above.fold(f64::MIN, f64::max),
            windows: run.windows.clone(),
        }
    }
}

impl Score {
    pub fn new(run: &Accuracy, benchmark: &Benchmark) -> Self {
        let floor = match benchmark.floor {
            Floor::Top1(floor) | Floor::Auc(floor) => floor,
            Floor::Mistakes(most) => most as f64,
        };
        Self {
            files: run.files,
            inferences: run.inferences,
            checked: run.checked,
            top1: run.scores.top1,
            auc: run.scores.auc,
            floor,
            reached: run.scores.reach(benchmark.floor),
        }
    }

    fn shown(&self) -> String {
        match (self.top1, self.auc) {
            (Some(top1), _) => format!("{top1:.1} %"),
            (None, Some(auc)) => format!("AUC {auc:.3}"),
            (None, None) => "–".into(),
        }
    }
}

pub fn sources() -> Sources {
    [
        ("results.performance.ticks", "modelled by cycle_model; counted where unit is instructions"),
        ("results.performance.latency_ms", "ticks by clock_hz"),
        ("results.performance.throughput", "ticks by clock_hz"),
        (
            "results.listening",
            "ticks modelled by cycle_model, counted where unit is instructions; activations by the board",
        ),
        ("results.accuracy", "the board's program on this machine, a sample of it on the board too"),
        ("results.arena_bytes", STATIC),
        ("results.stack_bytes", COUNTED),
        ("results.code_bytes", STATIC),
        ("results.constants_bytes", STATIC),
    ]
    .map(|(figure, source)| (figure, source.to_owned()))
    .into()
}

pub fn text(body: &Body) -> String {
    let mut table = Table::titled(&[
        ("benchmark", Align::Left),
        ("target", Align::Left),
        ("ms", Align::Right),
        ("inf./s", Align::Right),
        ("ticks", Align::Right),
        ("", Align::Left),
        ("score", Align::Right),
        ("floor", Align::Right),
        ("arena B", Align::Right),
        ("stack B", Align::Right),
        ("code B", Align::Right),
        ("constants B", Align::Right),
    ]);
    for report in &body.results {
        let timing = |figure: &dyn Fn(&Timing) -> String| report.performance.as_ref().map_or("–".into(), figure);
        let [score, floor] = report.score();
        let style = if score == "–" {
            DIM
        } else if report.reached() {
            GOOD
        } else {
            BAD
        };
        let ticks = report.ticks();
        let milliseconds = ticks.map(|ticks| format!("{:.2}", 1e3 * ticks / f64::from(report.clock_hz)));
        let count = |figure: Option<u64>| figure.map_or("–".into(), number);
        table.row([
            Cell::new(report.benchmark, BOLD),
            report.target.into(),
            milliseconds.unwrap_or_else(|| "–".into()).into(),
            timing(&|timing| format!("{:.3}", timing.throughput)).into(),
            ticks.map_or("–".into(), |ticks| number(ticks as u64)).into(),
            Cell::new(report.unit, DIM),
            Cell::new(score, style),
            Cell::new(floor, DIM),
            number(report.arena_bytes).into(),
            count(report.stack_bytes.map(u64::from)).into(),
            count(report.code_bytes).into(),
            count(report.constants_bytes).into(),
        ]);
    }
    let mut text = table.render();
    let overhead = |report: &Report| report.performance.as_ref().map(|timing| timing.overhead_ticks);
    let clocks: BTreeSet<String> = body
        .results
        .iter()
        .map(|report| format!("{} at {} MHz", report.unit, f64::from(report.clock_hz) / 1e6))
        .collect();
    let clocks = clocks.into_iter().collect::<Vec<_>>().join(", ");
    let mut notes = Vec::new();
    if body.results.iter().any(|report| report.performance.is_some()) {
        notes.push("five windows of at least ten seconds each by the board's clock, the median throughput".to_owned());
    }
    notes.push(format!(
        "{clocks}; cycles are modelled at zero wait states, instructions counted, on emulated boards (QEMU)"
    ));
    if let Some(most) = body.results.iter().filter_map(overhead).max_by(f64::total_cmp) {
        notes.push(format!(
            "an inference takes at most {most:.0} ticks more than in rasbora profile: its input is put in place"
        ));
    }
    let scored = body.results.iter().filter_map(|report| Some((report.benchmark, report.accuracy.as_ref()?)));
    notes.extend(scored.map(|(id, score)| {
        format!(
            "{id}: {} files, {} of them on the board too, with equal bytes",
            number(score.files as u64),
            score.checked
        )
    }));
    notes.extend(body.results.iter().filter_map(|report| Some(report.listening.as_ref()?.note(report.target))));
    notes.extend(body.missing.iter().cloned());
    text.push('\n');
    for note in notes {
        text += &styled(&screen::wrapped(&note, 2), DIM);
    }
    text
}
