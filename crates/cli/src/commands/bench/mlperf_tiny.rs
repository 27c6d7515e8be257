//! `rasbora bench mlperf-tiny`: the official benchmarks on emulated boards, and the files of a submission.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use rasbora_bench::mlperf_tiny::{
    self as tiny, BENCHMARKS, Benchmark, Data, Device, Element, Image, Recording, Sample, Task, Ticks,
};
use rasbora_compiler::graph::bytes_of;
use rasbora_compiler::program::Program;
use rasbora_compiler::target::Target;
use serde::Serialize;

use super::NAME;
use super::report::{Body, Report, Score, Timing, sources, text};
use super::wake_word::{self, Listening};
use crate::budget;
use crate::failure::Failure;
use crate::interrupt::emulating;
use crate::model::{Adaptation, FrontEndName, ModelFile};
use crate::output::Answer;
use crate::screen::{self, Bar, Progress};

/// Arguments of `rasbora bench mlperf-tiny`.
#[derive(Debug, clap::Args)]
pub struct MlperfTiny {
    /// The targets whose emulated boards run them
    #[arg(long, value_name = "TARGET", num_args = 1.., default_values_t = ["cortex-m4".to_owned()])]
    on: Vec<String>,
    /// The folder with the reference models, named as in mlcommons/tiny
    #[arg(long, value_name = "DIR", default_value = ".")]
    models: PathBuf,
    /// The folder with the official inputs: kws01/, vww01/, ic01/, ad01/, each with y_labels.csv, and sww01/
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What is measured
    #[arg(long, value_name = "MODE", default_value = "all")]
    mode: Mode,
    /// The benchmarks; all whose models are there by default
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    benchmarks: Vec<String>,
    /// The clock of the boards in MHz; the targets' own by default
    #[arg(long, value_name = "MHZ", value_parser = megahertz)]
    clock: Option<u32>,
    /// How long a board may be silent before it is taken to hang, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    watchdog: u64,
    /// Download the reference models into this folder, and do nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "pty"])]
    fetch: Option<PathBuf>,
    /// Put the board of one benchmark on a pseudo-terminal for the official runner, until Ctrl-C
    #[arg(long, conflicts_with_all = ["output", "mode"])]
    pty: bool,
    /// Write results.txt, results.json and log.txt of a submission into this folder
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Mode {
    /// Five windows of ten seconds
    Performance,
    /// Results of the official inputs
    Accuracy,
    /// Both
    All,
}

/// A clock in MHz, as Hz.
fn megahertz(text: &str) -> Result<u32, String> {
    let hz = text.parse().map(|mhz: f64| mhz * 1e6).unwrap_or(f64::NAN);
    let sensible = (1e3..=4e9).contains(&hz);
    if sensible { Ok(hz as u32) } else { Err("a clock is a number of MHz: 25, 120".into()) }
}

/// A benchmark on a target.
struct Job {
    target: &'static Target,
    benchmark: &'static Benchmark,
    model: PathBuf,
}

impl MlperfTiny {
    /// Does it.
    ///
    /// # Errors
    /// Where nothing can be measured, or a board fails.
    pub fn run(&self) -> Result<Answer, Failure> {
        if let Some(folder) = &self.fetch {
            return fetched(folder);
        }
        let (jobs, mut missing) = self.jobs()?;
        if jobs.is_empty() {
            let help = "rasbora bench mlperf-tiny --fetch DIR downloads the reference models";
            return Err(Failure::failed("not_found", missing.join("\n")).help(help));
        }
        if self.pty {
            return self.serve(&jobs);
        }
        let results = emulating(|| self.measure_all(&jobs))?;
        missing.extend(self.missing_data(&jobs)?);
        if let Some(output) = &self.output {
            for (path, content) in results.iter().flat_map(|report| &report.files) {
                let path = output.join(path);
                let folder = path.parent().unwrap_or(output);
                std::fs::create_dir_all(folder).map_err(|error| Failure::unwritable(folder, &error))?;
                crate::files::write(&path, content)?;
            }
        }
        let reached = results.iter().all(Report::reached);
        let body = Body { results, missing, sources: sources() };
        Ok(Answer::new(NAME, text(&body), &body).decided(reached))
    }

    /// What is to be run, and which models are missing.
    fn jobs(&self) -> Result<(Vec<Job>, Vec<String>), Failure> {
        let targets = self.on.iter().map(|name| budget::target(name)).collect::<Result<Vec<_>, _>>()?;
        let known = || BENCHMARKS.iter().map(|benchmark| benchmark.id).collect::<Vec<_>>().join(", ");
        let chosen = self.benchmarks.iter().map(|id| {
            tiny::find(id)
                .ok_or_else(|| Failure::usage(format!("there is no benchmark '{id}'; there are: {}", known())))
        });
        let chosen = chosen.collect::<Result<Vec<_>, _>>()?;
        let benchmarks = if chosen.is_empty() { BENCHMARKS.iter().collect() } else { chosen };
        let (mut jobs, mut missing) = (Vec::new(), Vec::new());
        for benchmark in benchmarks {
            let model = self.models.join(benchmark.model);
            if model.is_file() {
                jobs.extend(targets.iter().map(|target| Job { target, benchmark, model: model.clone() }));
            } else {
                missing.push(format!("{}: '{}' is not there", benchmark.id, model.display()));
            }
        }
        Ok((jobs, missing))
    }

    /// Which official inputs are not there.
    fn missing_data(&self, jobs: &[Job]) -> Result<Vec<String>, Failure> {
        let mut missing = Vec::new();
        for job in jobs {
            let Benchmark { id, data, element, .. } = job.benchmark;
            if *element == Element::Sample {
                if self.recording(job.benchmark)?.is_none() {
                    missing.push(format!(
                        "{id}: no recording, so nothing to hear; get https://github.com/mlcommons/tiny, folders \
                         benchmark/runner/sww_data_dir and sd_card, put both into one folder sww01, and name the folder \
                         around it with --data"
                    ));
                }
            } else if self.data(job.benchmark)?.is_none() {
                missing.push(format!(
                    "{id}: no official inputs, so no accuracy; get https://github.com/eembc/energyrunner, folder \
                     datasets/{data}, add the inputs as its README says, and name the folder with --data"
                ));
            }
        }
        missing.dedup();
        Ok(missing)
    }

    fn recording(&self, benchmark: &Benchmark) -> Result<Option<Recording>, Failure> {
        let Some(folder) = &self.data else { return Ok(None) };
        wake_word::recording(folder, benchmark)
    }

    fn data(&self, benchmark: &'static Benchmark) -> Result<Option<Data>, Failure> {
        let Some(folder) = &self.data else { return Ok(None) };
        Ok(Data::find(folder, benchmark)?)
    }

    /// Runs the jobs, as many boards at a time as this machine has cores.
    fn measure_all(&self, jobs: &[Job]) -> Result<Vec<Report>, Failure> {
        let bar = Bar::start(jobs.len() as u64);
        let next = AtomicUsize::new(0);
        let reports: Mutex<Vec<Option<Result<Report, Failure>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(index) else { return };
                let report = self.measure(job, &bar);
                bar.done();
                reports.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(report);
            }
        };
        let boards = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
        thread::scope(|scope| (0..boards).for_each(|_| drop(scope.spawn(work))));
        reports.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
    }

    /// The firmware of a job, with what it is made of.
    fn build(&self, job: &Job) -> Result<(ModelFile, Program, Image), Failure> {
        let file = ModelFile::read(&job.model)?;
        let listens = job.benchmark.element == Element::Sample;
        let adaptation = Adaptation { stream: listens, front_end: listens.then_some(FrontEndName::Sww) };
        let program = file.program(job.target.isa, &adaptation)?;
        let task = Task::new(job.benchmark, &program)?;
        let ticks = Ticks::of(job.target, self.clock);
        let image = Image::build(job.target, ticks, task, &program)?;
        Ok((file, program, image))
    }

    fn measure(&self, job: &Job, bar: &Bar) -> Result<Report, Failure> {
        let &Job { target, benchmark, .. } = job;
        let (file, program, image) = self.build(job)?;
        let (task, ticks) = (image.task, image.ticks);
        let data = self.data(benchmark)?;
        let mut report = Report {
            benchmark: benchmark.id,
            task: benchmark.task,
            target: target.name,
            model: file.named(),
            unit: ticks.unit(),
            cycle_model: ticks.model,
            clock_hz: ticks.hz,
            input: "official".into(),
            performance: None,
            accuracy: None,
            listening: None,
            arena_bytes: program.arena_bytes as u64,
            stack_bytes: None,
            code_bytes: None,
            constants_bytes: None,
            files: tiny::Files::new(),
        };
        if benchmark.element == Element::Sample {
            self.listen(&image, &program, &mut report)?;
            return Ok(report);
        }
        if self.mode != Mode::Accuracy {
            self.time(&image, data.as_ref(), &mut report)?;
        }
        if let (true, Some(data)) = (self.mode != Mode::Performance, &data) {
            bar.add(data.len() as u64);
            let scored = tiny::accuracy(&image, &program, data, || bar.done())?;
            report.files.extend(tiny::accuracy_files(target.name, &task, &image.name(), &scored));
            report.accuracy = Some(Score::new(&scored, benchmark));
        }
        Ok(report)
    }

    /// The recording that the board hears, and the profile of its first frames.
    fn listen(&self, image: &Image, program: &Program, report: &mut Report) -> Result<(), Failure> {
        let recording = self.recording(image.task.benchmark)?.unwrap_or_else(wake_word::silence);
        let mut device = Device::start(image, Duration::from_secs(self.watchdog))?;
        let heard = tiny::listen(&mut device, image, program, &recording)?;
        drop(device);
        let frames = recording.samples.chunks_exact(image.task.benchmark.inputs).take(tiny::WINDOW_COUNT);
        let sample = |frame: &[i16]| Sample {
            file: recording.file.clone(),
            class: None,
            bytes: bytes_of(frame.iter().copied()),
        };
        let profile = image.profile(&frames.map(sample).collect::<Vec<_>>())?;
        report.input.clone_from(&recording.file);
        report.count(&profile);
        report.files.extend(tiny::wake_word_files(report.target, &image.task, image.ticks, &recording, &heard));
        report.listening = Some(Listening::new(&recording, &heard, image.task.benchmark));
        Ok(())
    }

    /// The board of the one job on a pseudo-terminal.
    #[cfg(unix)]
    fn serve(&self, jobs: &[Job]) -> Result<Answer, Failure> {
        let [job] = jobs else {
            return Err(Failure::usage("a pseudo-terminal takes one benchmark and one target")
                .help("name them: --pty --benchmarks kws01 --on cortex-m4"));
        };
        emulating(|| {
            let (.., image) = self.build(job)?;
            let name = image.name();
            tiny::serve(&image, Duration::from_secs(self.watchdog), |path| {
                screen::note(&format!("{} on {}: {name}; Ctrl-C ends it", job.benchmark.id, path.display()));
            })?;
            Ok(Answer::new(NAME, String::new(), &()))
        })
    }

    #[cfg(not(unix))]
    fn serve(&self, _jobs: &[Job]) -> Result<Answer, Failure> {
        Err(Failure::usage("there are no pseudo-terminals here"))
    }

    /// The five windows, and the profile of the same inputs.
    fn time(&self, image: &Image, data: Option<&Data>, report: &mut Report) -> Result<(), Failure> {
        let samples = match data {
            Some(data) => first_samples(data, &image.task)?,
            None => {
                report.input = "xorshift32, seed 1".into();
                tiny::pseudo_random(&image.task)
            }
        };
        let mut device = Device::start(image, Duration::from_secs(self.watchdog))?;
        let run = tiny::performance(&mut device, image.task.benchmark.id, &samples)?;
        drop(device);
        let profile = image.profile(&samples)?;
        report.count(&profile);
        report.files.extend(tiny::performance_files(report.target, &image.task, image.ticks, &run));
        report.performance = Some(Timing::new(&run, &profile));
        Ok(())
    }
}

#[derive(Serialize)]
struct Fetched {
    folder: String,
    downloaded: Vec<String>,
}

fn fetched(folder: &Path) -> Result<Answer, Failure> {
    let progress = Progress::start(format!("downloading from {}", tiny::REFERENCE));
    let downloaded = tiny::fetch(tiny::REFERENCE, folder)?;
    drop(progress);
    let downloaded: Vec<String> = downloaded.iter().map(|path| path.display().to_string()).collect();
    let folder = folder.display().to_string();
    let text = format!("  the reference models are in {folder}, {} of them downloaded now\n", downloaded.len());
    Ok(Answer::new(NAME, text, &Fetched { folder, downloaded }))
}

/// The first inputs of the list, as many as there are windows.
fn first_samples(data: &Data, task: &Task) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    for index in 0..data.len().min(tiny::WINDOW_COUNT) {
        samples.extend(data.samples(index, task)?.into_iter().next());
    }
    Ok(samples)
}
