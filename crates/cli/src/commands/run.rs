//! `rasbora run`: a model on data, on this machine or on an emulated board.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rasbora_compiler::graph::{DType, Graph, bytes_of, dtype_name};
use rasbora_compiler::host;
use rasbora_compiler::program::Program;
use serde::Serialize;

use crate::aim::Aim;
use crate::budget;
use crate::emulated;
use crate::failure::Failure;
use crate::model::{Adaptation, ModelFile, Named};
use crate::output::Answer;
use crate::screen::{self, Align, BAR, BOLD, Cell, DIM, Table, styled};
use crate::tensors::assign::{self, Input};
use crate::tensors::convert::WRONG_SHAPE;
use crate::tensors::write::{self, Output};
use crate::tensors::{self, Numbers, Pixels, Signature, TensorError};

/// The command's name.
pub const NAME: &str = "run";

/// How many values of an output that is no list of classes are shown.
const SHOWN_VALUES: usize = 10;

/// Arguments of `rasbora run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// A .tflite file
    model: PathBuf,
    #[command(flatten)]
    inputs: InputArguments,
    #[command(flatten)]
    adaptation: Adaptation,
    #[command(flatten)]
    aim: Aim,
    /// Run the program for this target on this machine
    #[arg(long, value_name = "TARGET", conflicts_with = "on")]
    target: Option<String>,
    /// Run the program for this target on its emulated board
    #[arg(long, value_name = "TARGET")]
    on: Option<String>,
    /// Keep the outputs: .npy for one, .npz for several (output_0…), .csv or .bin
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep the outputs as floats
    #[arg(long, requires = "output")]
    dequantise: bool,
    /// Names of the classes, a line each
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// How many of the highest classes are shown
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
}

/// Arguments that give a model its data.
#[derive(Debug, clap::Args)]
pub struct InputArguments {
    /// Data for the inputs, in the model's order: .npy, .npz, .png, .jpg, .wav, .csv or .bin
    ///
    /// Data of the input's type pass as they are; floats are quantised. Whole numbers in a .csv are taken as they are. A
    /// .bin is raw little-endian elements of the input's type. A .wav for a model with state is heard call after call.
    #[arg(long, value_name = "[NAME=]FILE", num_args = 1.., required = true)]
    pub input: Vec<String>,
    #[command(flatten)]
    pub pixels: PixelArguments,
}

/// Arguments that say what a picture's pixels are.
#[derive(Debug, clap::Args)]
pub struct PixelArguments {
    /// Resize pictures to the input's size
    #[arg(long)]
    resize: bool,
    /// Taken from each pixel (0 to 255): one number, or one a channel
    #[arg(long, value_name = "X[,X…]", value_delimiter = ',', allow_negative_numbers = true)]
    mean: Vec<f32>,
    /// What a pixel is then divided by: one number, or one a channel
    #[arg(long, value_name = "X[,X…]", value_delimiter = ',')]
    std: Vec<f32>,
}

impl InputArguments {
    /// The data of every input; what was done to them is told on stderr.
    ///
    /// # Errors
    /// Where a file cannot be read or does not fit.
    pub fn read(&self, wanted: &[Signature]) -> Result<Vec<Input>, Failure> {
        read_inputs(&self.input, &self.pixels, wanted)
    }
}

/// The data of every input from `files`; what was done to them is told on stderr.
///
/// # Errors
/// Where a file cannot be read or does not fit.
pub fn read_inputs(files: &[String], pixels: &PixelArguments, wanted: &[Signature]) -> Result<Vec<Input>, Failure> {
    let PixelArguments { resize, mean, std } = pixels;
    if std.iter().any(|&std| std == 0.0 || !std.is_finite()) || mean.iter().any(|mean| !mean.is_finite()) {
        return Err(Failure::usage("--mean and --std take finite numbers, and --std none that is 0"));
    }
    let pixels = Pixels { resize: *resize, mean: mean.clone(), std: std.clone() };
    let inputs = assign::inputs(files, wanted, &pixels)?;
    for (input, signature) in inputs.iter().zip(wanted) {
        screen::note(&format!("input '{}' from {}: {}", signature.name, input.file, input.done));
    }
    Ok(inputs)
}

#[derive(Serialize)]
struct Body {
    model: Named,
    /// The target whose program ran; none for this machine's own.
    target: Option<&'static str>,
    /// Where it ran.
    emulated: bool,
    inputs: Vec<InputBody>,
    /// Those of the last call.
    outputs: Vec<OutputBody>,
    /// Where the highest class changes, of a model with state that hears a recording.
    timeline: Vec<Moment>,
}

/// Inputs or outputs of one inference after the other.
type Calls = Vec<Vec<Vec<u8>>>;

/// A call after which another class is the highest.
#[derive(Serialize)]
struct Moment {
    call: usize,
    class: usize,
    value: f32,
}

#[derive(Serialize)]
struct InputBody {
    name: String,
    file: String,
    done: String,
}

#[derive(Serialize)]
struct OutputBody {
    name: String,
    shape: Vec<usize>,
    dtype: &'static str,
    values: Numbers,
    dequantised: Vec<f32>,
    top: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    index: usize,
    label: Option<String>,
    value: f32,
}

impl Run {
    /// Does it.
    pub fn run(&self) -> Result<Answer, Failure> {
        let target = self.on.as_ref().or(self.target.as_ref()).map(|name| budget::target(name)).transpose()?;
        let labels = self.labels.as_deref().map(read_labels).transpose()?;
        let file = ModelFile::read(&self.model)?;
        let program = file.program(self.aim.goal(target), &self.adaptation)?;
        if let Some(path) = &self.output {
            write::check(path, program.outputs.len())?;
        }
        let wanted = self.wanted(&file, &program)?;
        let (inputs, calls) = match self.heard(&program, &wanted)? {
            Some(heard) => heard,
            None => {
                let inputs = self.inputs.read(&wanted)?;
                let calls = calls(&program, &inputs);
                (inputs, calls)
            }
        };
        let mut all = match target {
            Some(target) if self.on.is_some() => emulated::outputs(target, &file, &program, &calls)?,
            _ => on_host(&program, &calls)?,
        };
        let timeline = timeline(&program, &all);
        let bytes = all.pop().unwrap_or_default();
        let outputs: Vec<Output> =
            (program.outputs.iter().zip(bytes)).map(|(port, bytes)| Output { signature: port.into(), bytes }).collect();
        if let Some(path) = &self.output {
            write::write(path, &outputs, self.dequantise)?;
            screen::note(&format!("outputs written to {}", path.display()));
        }
        let body = Body {
            model: file.named(),
            target: target.map(|target| target.name),
            emulated: self.on.is_some(),
            inputs: (inputs.into_iter().zip(wanted))
                .map(|(input, signature)| InputBody { name: signature.name, file: input.file, done: input.done })
                .collect(),
            outputs: self.classified(&outputs, labels.as_deref())?,
            timeline,
        };
        let text = text(&outputs, &body.outputs) + &moments(&body.timeline, labels.as_deref());
        Ok(Answer::new(NAME, text, &body))
    }

    /// What is read: the program's inputs, or all frames where the program takes one a run.
    fn wanted(&self, file: &ModelFile, program: &Program) -> Result<Vec<Signature>, Failure> {
        let mut wanted: Vec<Signature> = program.inputs.iter().map(Signature::from).collect();
        if self.adaptation.stream && self.adaptation.front_end.is_none() {
            let Graph { tensors, inputs, .. } = file.import()?.graph;
            for (signature, input) in wanted.iter_mut().zip(inputs) {
                signature.shape.clone_from(&tensors[input.0].shape);
            }
        }
        Ok(wanted)
    }

    /// The calls by which a program with state hears a .wav file from its begin to its end; `None` for any other input.
    fn heard(&self, program: &Program, wanted: &[Signature]) -> Result<Option<(Vec<Input>, Calls)>, Failure> {
        let ([file], [signature]) = (self.inputs.input.as_slice(), wanted) else { return Ok(None) };
        if program.state.is_empty() || signature.dtype != DType::I16 {
            return Ok(None);
        }
        let Some(samples) = tensors::audio(Path::new(file))? else { return Ok(None) };
        let length = signature.elements().max(1);
        let calls: Calls = samples.chunks_exact(length).map(|call| vec![bytes_of(call.iter().copied())]).collect();
        if calls.is_empty() {
            let found = format!("has {} samples", samples.len());
            return Err(TensorError::from(signature.misfit(WRONG_SHAPE, file, found, "give a longer recording")).into());
        }
        let done = format!("{} calls of {length} samples", screen::number(calls.len() as u64));
        screen::note(&format!("input '{}' from {file}: {done}", signature.name));
        Ok(Some((vec![Input { file: file.clone(), bytes: Vec::new(), done }], calls)))
    }

    fn classified(&self, outputs: &[Output], labels: Option<&[String]>) -> Result<Vec<OutputBody>, Failure> {
        let counts: Vec<usize> = outputs.iter().filter_map(|output| classes(&output.signature)).collect();
        if let Some(labels) = labels.filter(|labels| !counts.contains(&labels.len())) {
            let found: Vec<String> = counts.iter().map(usize::to_string).collect();
            let found =
                if found.is_empty() { "no list of classes".into() } else { format!("{} classes", found.join(", ")) };
            return Err(Failure::usage(format!("--labels has {} lines, but the model has {found}", labels.len()))
                .help("give a file with one line for each class, in the order of the output"));
        }
        Ok(outputs.iter().map(|output| self.output(output, labels)).collect())
    }

    fn output(&self, output: &Output, labels: Option<&[String]>) -> OutputBody {
        let Signature { name, shape, dtype, quantisation } = output.signature.clone();
        let values = output.numbers();
        let dequantised = values.dequantised(quantisation);
        let mut top = Vec::new();
        if let Some(count) = classes(&output.signature) {
            let labels = labels.filter(|labels| labels.len() == count);
            let mut order: Vec<(usize, f32)> = dequantised.iter().copied().enumerate().collect();
            order.sort_by(|a, b| b.1.total_cmp(&a.1));
            top.extend(order.into_iter().take(self.top).map(|(index, value)| {
                let label = labels.and_then(|labels| labels.get(index)).cloned();
                Class { index, label, value }
            }));
        }
        OutputBody { name, shape, dtype: dtype_name(dtype), values, dequantised, top }
    }
}

/// The calls that take `inputs`: one, or one for each frame.
fn calls(program: &Program, inputs: &[Input]) -> Calls {
    match (inputs, program.inputs.as_slice()) {
        ([input], [port]) if port.bytes > 0 => {
            input.bytes.chunks(port.bytes).map(|frame| vec![frame.to_vec()]).collect()
        }
        _ => vec![inputs.iter().map(|input| input.bytes.clone()).collect()],
    }
}

fn on_host(program: &Program, calls: &[Vec<Vec<u8>>]) -> Result<Calls, Failure> {
    let progress = screen::Progress::start("running on this machine".into());
    let outputs = host::run_calls(program, calls).map_err(|error| Failure::failed("not_run", error.to_string()));
    drop(progress);
    outputs
}

/// The calls after which the first output's highest class is another one; none for a single call.
fn timeline(program: &Program, calls: &[Vec<Vec<u8>>]) -> Vec<Moment> {
    let Some(signature) = program.outputs.first().map(Signature::from) else { return Vec::new() };
    let mut timeline: Vec<Moment> = Vec::new();
    if calls.len() < 2 || classes(&signature).is_none() {
        return timeline;
    }
    for (call, outputs) in calls.iter().enumerate() {
        let Some(bytes) = outputs.first() else { continue };
        let values = Numbers::of(bytes, signature.dtype).dequantised(signature.quantisation);
        let highest = values.into_iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((class, value)) =
            highest.filter(|(class, _)| timeline.last().is_none_or(|last| last.class != *class))
        {
            timeline.push(Moment { call, class, value });
        }
    }
    timeline
}

fn moments(timeline: &[Moment], labels: Option<&[String]>) -> String {
    let mut table =
        Table::titled(&[("call", Align::Right), ("class", Align::Right), ("", Align::Left), ("real", Align::Right)]);
    for Moment { call, class, value } in timeline {
        let label = labels.and_then(|labels| labels.get(*class)).cloned().unwrap_or_default();
        table.row([call.to_string().into(), class.to_string().into(), label.into(), format!("{value:.4}").into()]);
    }
    if timeline.is_empty() { String::new() } else { format!("highest class from call to call\n{}", table.render()) }
}

/// The number of classes of an output with one axis that is longer than 1.
fn classes(signature: &Signature) -> Option<usize> {
    let mut long = signature.shape.iter().filter(|&&size| size != 1);
    match (long.next(), long.next()) {
        (Some(&count), None) if count > 1 => Some(count),
        _ => None,
    }
}

fn read_labels(path: &Path) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    Ok(text.trim_end().lines().map(|line| line.trim().to_owned()).collect())
}

fn text(outputs: &[Output], bodies: &[OutputBody]) -> String {
    let mut text = String::new();
    for (output, body) in outputs.iter().zip(bodies) {
        let signature = &output.signature;
        let meaning = signature.quantisation.map_or_else(String::new, |(scale, zero_point)| {
            let sign = if zero_point < 0 { '+' } else { '−' };
            format!("real = {} × (value {sign} {})", screen::real(f64::from(scale)), zero_point.unsigned_abs())
        });
        let name = styled(&body.name, BOLD);
        let _ = writeln!(text, "{name}  {signature}  {}", styled(&meaning, DIM));
        text += &if body.top.is_empty() { values(body) } else { ranking(body) };
    }
    text
}

fn ranking(body: &OutputBody) -> String {
    const BAR_WIDTH: usize = 24;
    let mut table =
        Table::titled(&[("class", Align::Right), ("", Align::Left), ("real", Align::Right), ("value", Align::Right)]);
    let probabilities = body.dequantised.iter().all(|value| (-0.01..=1.01).contains(value));
    let highest = body.dequantised.iter().fold(f32::MIN_POSITIVE, |a, &b| a.max(b));
    let mut bars = Vec::new();
    for class in &body.top {
        let integer = match &body.values {
            Numbers::Integers(values) => values.get(class.index).map_or_else(String::new, i32::to_string),
            Numbers::Floats(_) => String::new(),
        };
        table.row([
            class.index.to_string().into(),
            class.label.clone().unwrap_or_default().into(),
            if probabilities { format!("{:.4}", class.value) } else { screen::real(class.value.into()) }.into(),
            Cell::new(integer, DIM),
        ]);
        let scale = if probabilities { 1.0 } else { highest };
        bars.push(screen::bar(f64::from(class.value / scale), BAR_WIDTH));
    }
    let rows = table.render();
    let mut lines = rows.lines();
    let mut text = lines.next().map_or_else(String::new, |heading| format!("{heading}\n"));
    for (line, bar) in lines.zip(bars) {
        let bar = if bar.is_empty() { bar } else { format!("  {}", styled(&bar, BAR)) };
        let _ = writeln!(text, "{line}{bar}");
    }
    text
}

fn values(body: &OutputBody) -> String {
    let words = |values: &[f32]| {
        let words: Vec<String> =
            values.iter().take(SHOWN_VALUES).map(|&value| screen::real(f64::from(value))).collect();
        words.join("  ")
    };
    let rest = body.dequantised.len().saturating_sub(SHOWN_VALUES);
    let rest = if rest > 0 {
        format!("  … {} more; --output keeps all", screen::number(rest as u64))
    } else {
        String::new()
    };
    format!("  {}{}\n", words(&body.dequantised), styled(&rest, DIM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_classes_has_one_long_axis() {
        let of = |shape: &[usize]| {
            let signature = Signature { name: "y".into(), shape: shape.into(), dtype: DType::I8, quantisation: None };
            classes(&signature)
        };
        assert_eq!(of(&[1, 12]), Some(12));
        assert_eq!(of(&[1, 1, 1, 3]), Some(3));
        assert_eq!(of(&[1, 1]), None);
        assert_eq!(of(&[1, 2, 3]), None);
    }
}
