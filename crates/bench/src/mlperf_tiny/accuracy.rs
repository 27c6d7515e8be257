//! Accuracy at speed: the program of the board on this machine, on all of its cores.
//!
//! What is told of an input is told by the text that the board runs, and a sample of inputs is run on the board each time,
//! so that the figure is the board's.

use rasbora_compiler::host::{self, Host, HostError};
use rasbora_compiler::program::Program;
use rayon::prelude::*;

use super::benchmarks::{Floor, Task};
use super::data::{Data, Sample};
use super::device::Image;
use super::score::{area_under_curve, macro_area_under_curve, top1};
use crate::error::BenchError;

/// How many inputs are run on the board too.
const CHECKED: usize = 5;

/// What the network makes of all inputs.
#[derive(Clone, Debug)]
pub struct Accuracy {
    /// Files.
    pub files: usize,
    /// Inferences.
    pub inferences: usize,
    /// Inputs that were run on the board too, with equal bytes.
    pub checked: usize,
    /// The results of each file: the mean of its windows'.
    pub results: Vec<(Sample, Vec<f32>)>,
    /// The scores.
    pub scores: Scores,
}

/// Scores; none where they have no meaning for the benchmark, or for these inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// The share of files whose likeliest class is right, in per cent.
    pub top1: Option<f64>,
    /// The area under the receiver's operating curve, for classes the mean of each against all others.
    pub auc: Option<f64>,
}

impl Scores {
    /// Whether the floor is reached.
    pub fn reach(&self, floor: Floor) -> bool {
        match floor {
            Floor::Top1(least) => self.top1.is_some_and(|score| score >= least),
            Floor::Auc(least) => self.auc.is_some_and(|score| score >= least),
            Floor::Mistakes(_) => false,
        }
    }
}

/// Runs `program` on all of `data`; `done` is called after each file.
///
/// # Errors
/// Where a file cannot be used, or the board gives other bytes than this machine.
pub fn accuracy(image: &Image, program: &Program, data: &Data, done: impl Fn() + Sync) -> Result<Accuracy, BenchError> {
    let task = &image.task;
    let checked = check(image, program, data)?;
    let run = |host: &mut Host, index: usize| {
        let results = file_results(host, task, &data.samples(index, task)?);
        done();
        results
    };
    let files: Vec<(Sample, Vec<f32>, usize)> =
        (0..data.len()).into_par_iter().map_init(|| Host::new(program), run).collect::<Result<_, _>>()?;
    let inferences = files.iter().map(|(.., windows)| windows).sum();
    let results: Vec<(Sample, Vec<f32>)> = files.into_iter().map(|(sample, results, _)| (sample, results)).collect();
    let scores = scores(task, &results);
    Ok(Accuracy { files: results.len(), inferences, checked, results, scores })
}

/// The mean of the results of a file's windows, with the first of them and their number.
fn file_results(host: &mut Host, task: &Task, samples: &[Sample]) -> Result<(Sample, Vec<f32>, usize), BenchError> {
    let failed = |error: HostError| BenchError::WrongModel { benchmark: task.benchmark.id, reason: error.to_string() };
    let mut interpreter = host.start().map_err(failed)?;
    let mut sums: Vec<f64> = Vec::new();
    for sample in samples {
        let input = task.input(&sample.bytes).unwrap_or_default();
        host::fill_inputs(&mut interpreter, &[input]).map_err(failed)?;
        interpreter.run();
        let results = task.results(&sample.bytes, interpreter.output(0));
        sums.resize(results.len(), 0.0);
        sums.iter_mut().zip(results).for_each(|(sum, result)| *sum += f64::from(result));
    }
    let means = sums.iter().map(|sum| (sum / samples.len().max(1) as f64) as f32).collect();
    let first = samples.first().cloned().unwrap_or(Sample { file: String::new(), class: None, bytes: Vec::new() });
    Ok((first, means, samples.len()))
}

fn scores(task: &Task, results: &[(Sample, Vec<f32>)]) -> Scores {
    let classes: Vec<u32> = results.iter().map(|(sample, _)| sample.class.unwrap_or_default()).collect();
    match task.benchmark.floor {
        Floor::Top1(_) => {
            let results: Vec<Vec<f32>> = results.iter().map(|(_, results)| results.clone()).collect();
            Scores { top1: Some(top1(&results, &classes)), auc: macro_area_under_curve(&results, &classes) }
        }
        Floor::Auc(_) | Floor::Mistakes(_) => {
            let score = |results: &[f32]| results.first().copied().map_or(f64::NAN, f64::from);
            let scored: Vec<_> =
                results.iter().zip(&classes).map(|((_, it), &class)| (score(it), class == 1)).collect();
            Scores { top1: None, auc: area_under_curve(&scored) }
        }
    }
}

/// Runs inputs from all over the list on the board and here; returns how many.
fn check(image: &Image, program: &Program, data: &Data) -> Result<usize, BenchError> {
    let last = data.len() - 1;
    let mut indices: Vec<usize> = (0..CHECKED).map(|part| last * part / (CHECKED - 1)).collect();
    indices.dedup();
    let mut samples = Vec::new();
    for index in indices {
        samples.extend(data.samples(index, &image.task)?.into_iter().next());
    }
    let measured = image.profile(&samples)?;
    for (sample, board) in samples.iter().zip(&measured.outputs) {
        let input = image.task.input(&sample.bytes).unwrap_or_default();
        let failed =
            |error: HostError| BenchError::WrongModel { benchmark: image.task.benchmark.id, reason: error.to_string() };
        let host = host::run(program, &[input]).map_err(failed)?;
        if host != *board {
            let shown = |outputs: &[Vec<u8>]| format!("{:?}", outputs.first());
            return Err(BenchError::Differs {
                benchmark: image.task.benchmark.id,
                machine: image.target_name().to_owned(),
                file: sample.file.clone(),
                board: shown(board),
                host: shown(&host),
            });
        }
    }
    Ok(samples.len())
}
