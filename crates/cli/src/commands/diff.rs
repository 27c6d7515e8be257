//! `rasbora diff`: the first layer whose values differ from what the model's file means.
//!
//! The reference is the file's graph without the optimising passes, run by the portable kernels on this machine. Steps
//! of both sides are matched by the file's tensor that they complete, so fused ones meet at the last of theirs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rasbora_bench::{ArenaRange, Mode, Options};
use rasbora_compiler::host;
use rasbora_compiler::pipeline::{compile, compile_plainly};
use rasbora_compiler::program::{Port, Program, Written};
use serde::Serialize;

use super::run::InputArguments;
use crate::aim::Aim;
use crate::budget;
use crate::emulated;
use crate::failure::Failure;
use crate::model::{ModelFile, Named};
use crate::output::Answer;
use crate::screen::{self, Align, BAD, BOLD, Cell, DIM, GOOD, Table, number, styled};
use crate::tensors::{self, Array, Content, Numbers, Signature, Values};

/// The command's name.
pub const NAME: &str = "diff";

/// Floats agree within this share of the tensor's largest value.
const FLOAT_TOLERANCE: f32 = 1e-5;

/// Arguments of `rasbora diff`.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// A .tflite file
    model: PathBuf,
    #[command(flatten)]
    inputs: InputArguments,
    /// What to hold against the file: host (the optimised program on this machine), a target (its emulated board), or an
    /// .npz (arrays named by tensor, t12 by its index, output_0… or ref_0_0…)
    #[arg(long, value_name = "host|TARGET|FILE.npz")]
    against: String,
    #[command(flatten)]
    aim: Aim,
}

/// Values of one of the file's tensors.
struct Layer {
    /// The file's index of it.
    index: Option<usize>,
    /// What computed it.
    op: &'static str,
    /// The key of the array that it was read from.
    key: Option<String>,
    signature: Signature,
    numbers: Numbers,
}

#[derive(Serialize)]
struct Body {
    model: Named,
    against: String,
    equal: bool,
    /// How many tensors were compared.
    compared: usize,
    first: Option<Difference>,
    layers: Vec<Difference>,
}

/// How a tensor's values differ, if they do.
#[derive(Clone, Serialize)]
struct Difference {
    tensor: String,
    index: Option<usize>,
    op: &'static str,
    /// The key of the array, where the other side is a file.
    key: Option<String>,
    shape: Vec<usize>,
    values: usize,
    differing: usize,
    /// Largest difference, in the tensor's own numbers.
    largest: f64,
    /// The same in reals.
    largest_real: f64,
    /// Position of the first value that differs.
    position: Option<usize>,
    /// That value by the file.
    wanted: Option<f64>,
    /// That value on the other side.
    found: Option<f64>,
}

impl Diff {
    /// Does it.
    pub fn run(&self) -> Result<Answer, Failure> {
        let file = ModelFile::read(&self.model)?;
        let graph = file.import()?.graph;
        let plain = compile_plainly(graph.clone())?.program;
        let wanted: Vec<Signature> = plain.inputs.iter().map(Signature::from).collect();
        let against = self.against()?;
        let inputs: Vec<Vec<u8>> = self.inputs.read(&wanted)?.into_iter().map(|input| input.bytes).collect();
        let reference = traced(&plain, &inputs)?;
        let other = match &against {
            Against::Host => traced(&compile(graph, self.aim.goal(None))?.program, &inputs)?,
            Against::Target(target) => {
                emulated_trace(target, &file, &compile(graph, self.aim.goal(Some(target)))?.program, &inputs)?
            }
            Against::File(path) => from_archive(path, &plain, &reference)?,
        };
        let layers = compare(&reference, &other);
        if layers.is_empty() {
            return Err(Failure::failed(
                "nothing_compared",
                format!("no tensor of the model is also in {}", self.against),
            ));
        }
        let left_out = reference.len().saturating_sub(layers.len());
        if left_out > 0 && !matches!(against, Against::File(_)) {
            let all = reference.len();
            let why = "passes fused the others or changed their size";
            screen::note(&format!("{} of the file's {all} computed tensors are compared: {why}", layers.len()));
        }
        let first = layers.iter().find(|layer| layer.differing > 0).cloned();
        let equal = first.is_none();
        let body =
            Body { model: file.named(), against: self.against.clone(), equal, compared: layers.len(), first, layers };
        Ok(Answer::new(NAME, text(&body), &body).decided(equal))
    }

    fn against(&self) -> Result<Against, Failure> {
        let path = Path::new(&self.against);
        if self.against == "host" {
            Ok(Against::Host)
        } else if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) {
            Ok(Against::File(path.to_path_buf()))
        } else {
            Ok(Against::Target(budget::target(&self.against)?))
        }
    }
}

enum Against {
    Host,
    Target(&'static rasbora_compiler::target::Target),
    File(PathBuf),
}

/// Every tensor that a step of `program` completes, on this machine.
fn traced(program: &Program, inputs: &[Vec<u8>]) -> Result<Vec<Layer>, Failure> {
    let progress = screen::Progress::start("running on this machine".into());
    let trace = host::trace(program, inputs).map_err(|error| Failure::failed("not_run", error.to_string()))?;
    let outputs = host::run(program, inputs).map_err(|error| Failure::failed("not_run", error.to_string()))?;
    drop(progress);
    let steps = program.steps.iter().zip(trace);
    let written = steps.flat_map(|(step, written)| {
        let ports = step.written.iter().zip(written);
        ports.map(|(Written { op, port }, bytes)| layer(op, port, &bytes)).collect::<Vec<_>>()
    });
    Ok(with_outputs(written.collect(), program, &outputs))
}

/// Adds the network's outputs that no step completes, for they are views of other tensors.
fn with_outputs(mut layers: Vec<Layer>, program: &Program, outputs: &[Vec<u8>]) -> Vec<Layer> {
    for (port, bytes) in program.outputs.iter().zip(outputs) {
        if layers.iter().all(|layer| layer.signature.name != port.name) {
            layers.push(layer("Output", port, bytes));
        }
    }
    layers
}

fn layer(op: &'static str, port: &Port, bytes: &[u8]) -> Layer {
    Layer { index: port.source, op, key: None, signature: port.into(), numbers: Numbers::of(bytes, port.dtype) }
}

/// Every tensor that a step of `program` completes, on `target`'s board.
fn emulated_trace(
    target: &rasbora_compiler::target::Target,
    file: &ModelFile,
    program: &Program,
    inputs: &[Vec<u8>],
) -> Result<Vec<Layer>, Failure> {
    let ports: Vec<(u32, &'static str, &Port)> = (0..)
        .zip(&program.steps)
        .flat_map(|(index, step)| step.written.iter().map(move |Written { op, port }| (index, *op, port)))
        .collect();
    let range = |&(step, _, port): &(u32, &str, &Port)| ArenaRange {
        step,
        offset: port.offset as u32,
        bytes: port.bytes as u32,
    };
    let options = Options { mode: Mode::Steps, trace: ports.iter().map(range).collect(), ..Options::default() };
    let measured = emulated::measure(target, file, program, &[inputs.to_vec()], &options)?;
    let layers = ports.into_iter().zip(measured.trace).map(|((_, op, port), bytes)| layer(op, port, &bytes)).collect();
    let outputs = measured.outputs.into_iter().next().unwrap_or_default();
    Ok(with_outputs(layers, program, &outputs))
}

/// The arrays of a file that stand for tensors of `reference`.
fn from_archive(path: &Path, program: &Program, reference: &[Layer]) -> Result<Vec<Layer>, Failure> {
    let any = Signature {
        name: String::new(),
        shape: Vec::new(),
        dtype: rasbora_compiler::graph::DType::I8,
        quantisation: None,
    };
    let Content::Arrays(arrays) = tensors::read(path, &any)? else { return Ok(Vec::new()) };
    let mut layers = Vec::new();
    let mut unknown = Vec::new();
    let keys: Vec<String> = arrays.iter().filter_map(|keyed| keyed.key.clone()).collect();
    // TFLM's arithmetic is ours; LiteRT's differs from it by one here and there.
    let by_tflm = |key: &str| key.strip_prefix("ref_").is_some_and(|rest| keys.contains(&format!("tflm_{rest}")));
    for keyed in arrays {
        let key = keyed.key.unwrap_or_default();
        if by_tflm(&key) {
            unknown.push(key);
            continue;
        }
        match reference.iter().find(|layer| stands_for(&key, layer, program)) {
            Some(layer) => layers.push(from_array(&key, &keyed.array, layer)?),
            None => unknown.push(key),
        }
    }
    if !unknown.is_empty() {
        screen::note(&format!("not compared: {}", unknown.join(", ")));
    }
    Ok(layers)
}

/// Whether an array's key names the tensor: by name, by index (`t12`), or as an output (`output_0`, `ref_0_0`, `tflm_0_0`).
fn stands_for(key: &str, layer: &Layer, program: &Program) -> bool {
    let output = || program.outputs.iter().position(|port| port.name == layer.signature.name);
    let number = |prefix: &str| key.strip_prefix(prefix)?.parse::<usize>().ok();
    if let Some(index) = number("output_").or_else(|| number("ref_0_")).or_else(|| number("tflm_0_")) {
        return output() == Some(index);
    }
    key == layer.signature.name || number("t").is_some_and(|index| layer.index == Some(index))
}

fn from_array(key: &str, array: &Array, layer: &Layer) -> Result<Layer, Failure> {
    let numbers = match (&array.values, &layer.numbers) {
        (Values::I8(values), Numbers::Integers(_)) => Numbers::Integers(values.iter().map(|&v| v.into()).collect()),
        (Values::U8(values), Numbers::Integers(_)) => Numbers::Integers(values.iter().map(|&v| v.into()).collect()),
        (Values::I32(values), Numbers::Integers(_)) => Numbers::Integers(values.clone()),
        (Values::F32(values), Numbers::Floats(_)) => Numbers::Floats(values.clone()),
        (values, _) => {
            let message = format!("'{key}' holds {}, but the tensor is {}", values.dtype(), layer.signature);
            return Err(Failure::failed("wrong_dtype", message));
        }
    };
    let wanted = layer.signature.elements();
    if array.values.len() != Some(wanted) {
        let shape = array.shape.as_deref().map(screen::shape).unwrap_or_default();
        let message = format!("'{key}' has the shape {shape}, but the tensor is {}", layer.signature);
        return Err(Failure::failed("wrong_shape", message));
    }
    let (index, op, signature) = (layer.index, layer.op, layer.signature.clone());
    Ok(Layer { index, op, key: Some(key.to_owned()), signature, numbers })
}

/// The tensors that both sides have, in the order of the reference.
fn compare(reference: &[Layer], other: &[Layer]) -> Vec<Difference> {
    // Tensors that passes made have no index: their names say what they stand for.
    let key = |layer: &Layer| layer.index.map_or_else(|| layer.signature.name.clone(), |index| format!("t{index}"));
    let mut others: BTreeMap<String, Vec<&Layer>> = BTreeMap::new();
    for layer in other {
        others.entry(key(layer)).or_default().push(layer);
    }
    let mut differences = Vec::new();
    for wanted in reference {
        for found in others.remove(&key(wanted)).unwrap_or_default() {
            let like = |layer: &Layer| (layer.signature.dtype, layer.signature.elements());
            if like(found) == like(wanted) {
                differences.push(difference(wanted, found));
            }
        }
    }
    differences
}

fn difference(wanted: &Layer, found: &Layer) -> Difference {
    let reals = |numbers: &Numbers| -> Vec<f64> {
        match numbers {
            Numbers::Integers(values) => values.iter().map(|&value| value.into()).collect(),
            Numbers::Floats(values) => values.iter().map(|&value| value.into()).collect(),
        }
    };
    let (a, b) = (reals(&wanted.numbers), reals(&found.numbers));
    let tolerance = match &wanted.numbers {
        Numbers::Integers(_) => 0.0,
        Numbers::Floats(values) => {
            let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            f64::from(FLOAT_TOLERANCE * largest)
        }
    };
    let same = |a: f64, b: f64| a == b || (a - b).abs() <= tolerance || (a.is_nan() && b.is_nan());
    let position = a.iter().zip(&b).position(|(&a, &b)| !same(a, b));
    let largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let scale = wanted.signature.quantisation.map_or(1.0, |(scale, _)| f64::from(scale));
    Difference {
        tensor: wanted.signature.name.clone(),
        index: wanted.index,
        op: found.op,
        key: found.key.clone(),
        shape: wanted.signature.shape.clone(),
        values: a.len(),
        differing: a.iter().zip(&b).filter(|&(&a, &b)| !same(a, b)).count(),
        largest,
        largest_real: largest * scale,
        position,
        wanted: position.and_then(|position| a.get(position).copied()),
        found: position.and_then(|position| b.get(position).copied()),
    }
}

fn text(body: &Body) -> String {
    let mut text = format!("{}  against {}\n\n", styled(&body.model.file, BOLD), body.against);
    let mut table = Table::titled(&[
        ("", Align::Left),
        ("tensor", Align::Left),
        ("op", Align::Left),
        ("values", Align::Right),
        ("differ", Align::Right),
        ("largest", Align::Right),
    ]);
    /// What the columns other than the tensor's name take.
    const OTHER_COLUMNS: usize = 64;
    let name_width = screen::columns().saturating_sub(OTHER_COLUMNS).clamp(12, 40);
    for layer in &body.layers {
        let same = layer.differing == 0;
        let index = layer.index.map_or_else(String::new, |index| format!("t{index} "));
        let key = layer.key.as_ref().map_or_else(String::new, |key| format!(" [{key}]"));
        table.row([
            if same { Cell::new("✓", GOOD) } else { Cell::new("✗", BAD) },
            format!("{index}{}{key}", screen::layer(&layer.tensor, name_width)).into(),
            Cell::new(layer.op, DIM),
            number(layer.values as u64).into(),
            number(layer.differing as u64).into(),
            if same { "".into() } else { screen::real(layer.largest).into() },
        ]);
    }
    text += &table.render();
    text.push('\n');
    text += &verdict(body);
    let note = format!("integers agree exactly, floats within {FLOAT_TOLERANCE:e} of the tensor's largest value");
    let _ = writeln!(text, "\n  {}", styled(&note, DIM));
    text
}

/// Whether all are equal, or which is the first that is not.
fn verdict(body: &Body) -> String {
    let mut text = String::new();
    match &body.first {
        None => {
            let verdict = match body.compared {
                1 => "1 tensor is equal".to_owned(),
                count => format!("{count} tensors are equal"),
            };
            let _ = writeln!(text, "  {}", styled(&verdict, GOOD));
        }
        Some(first) => {
            let verdict = format!("first difference: '{}' ({})", first.tensor, first.op);
            let _ = writeln!(text, "  {}", styled(&verdict, BAD));
            let _ = writeln!(
                text,
                "  {} of {} values differ, by at most {} ({} in reals);\n  value {} is {}, and should be {}",
                number(first.differing as u64),
                number(first.values as u64),
                screen::real(first.largest),
                screen::real(first.largest_real),
                first.position.unwrap_or_default(),
                screen::real(first.found.unwrap_or_default()),
                screen::real(first.wanted.unwrap_or_default()),
            );
        }
    }
    text
}
