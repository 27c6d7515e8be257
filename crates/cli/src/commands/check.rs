//! `rasbora check`: what a model needs, and whether it is supported and fits. Fast, and without any toolchain.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use rasbora_compiler::graph::{Graph, Quantisation, TensorId, dtype_name};
use rasbora_compiler::import::{File, ImportError, Imported, Unsupported};
use rasbora_compiler::optimise::{Goal, Optimise};
use rasbora_compiler::pipeline::{Compiled, compile};
use rasbora_compiler::program::{Port, Program};
use rasbora_compiler::target::Target;
use serde::Serialize;

use super::{STATIC, Sources};
use crate::aim::{Added, Aim};
use crate::budget::{self, Budget, Fit};
use crate::estimate;
use crate::failure::{Failure, not_imported};
use crate::model::{Adaptation, ModelFile, Named};
use crate::output::Answer;
use crate::screen::{self, Align, BAD, BOLD, Cell, DIM, GOOD, Table, bytes, number, styled};

/// The command's name.
pub const NAME: &str = "check";

/// Arguments of `rasbora check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// A .tflite file
    model: PathBuf,
    /// Targets that the model must fit; `rasbora targets` lists them
    #[arg(long, value_name = "TARGET", num_args = 1.., value_delimiter = ',')]
    target: Vec<String>,
    #[command(flatten)]
    adaptation: Adaptation,
    #[command(flatten)]
    aim: Aim,
    #[command(flatten)]
    budget: Budget,
}

#[derive(Serialize)]
struct Body {
    model: Named,
    inputs: Vec<PortBody>,
    outputs: Vec<PortBody>,
    ops: BTreeMap<String, usize>,
    macs: Option<u64>,
    parameters: Option<u64>,
    reduced: Option<Reduced>,
    arena_bytes: Option<u64>,
    arena_bound_bytes: Option<u64>,
    constants_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Added>,
    unsupported: Vec<UnsupportedBody>,
    targets: Vec<Fit>,
    sources: Sources,
}

/// A network input or output.
#[derive(Serialize)]
struct PortBody {
    name: String,
    index: usize,
    shape: Vec<usize>,
    dtype: String,
    scale: Option<f32>,
    zero_point: Option<i32>,
}

/// The tensors `indices` of the file.
fn ports(file: &File, indices: &[usize]) -> Vec<PortBody> {
    let port = |&index: &usize| {
        let tensor = file.tensors.get(index)?.clone();
        let (scale, zero_point) = tensor.affine.unzip();
        Some(PortBody { name: tensor.name, index, shape: tensor.shape, dtype: tensor.dtype, scale, zero_point })
    };
    indices.iter().filter_map(port).collect()
}

/// How often the file has each operator.
fn count_ops(file: &File) -> BTreeMap<String, usize> {
    let mut ops = BTreeMap::new();
    for operator in &file.operators {
        *ops.entry(operator.op.clone()).or_insert(0) += 1;
    }
    ops
}

/// What the passes leave of the network's work: less where channels are constant, or nothing reads them.
#[derive(Clone, Serialize)]
struct Reduced {
    macs: u64,
    parameters: u64,
}

impl Reduced {
    fn of(graph: &Graph) -> Self {
        let read: BTreeSet<TensorId> = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
        let constants = read.into_iter().map(|id| &graph[id]).filter(|tensor| tensor.constant.is_some());
        Self { macs: graph.macs(), parameters: constants.map(|tensor| tensor.elements() as u64).sum() }
    }
}

#[derive(Serialize)]
struct UnsupportedBody {
    node: String,
    index: usize,
    op: String,
    version: i32,
    dtypes: Vec<String>,
    reason: String,
}

impl Check {
    /// Does it.
    pub fn run(&self) -> Result<Answer, Failure> {
        let targets = self.target.iter().map(|name| budget::target(name)).collect::<Result<Vec<_>, _>>()?;
        let file = ModelFile::read(&self.model)?;
        let imported = match file.imported() {
            Ok(imported) => imported,
            Err(ImportError::Unsupported { reasons, file: described }) => {
                return Ok(refused(&file, &described, reasons));
            }
            Err(error) => return Err(not_imported(&self.model, error)),
        };
        let Imported { graph, file: described } = imported;
        let graph = self.adaptation.applied(graph)?;
        let macs = graph.nodes.iter().map(|node| node.model_macs).sum();
        let programs = Programs::new(&graph, &targets, self.aim)?;
        let program = programs.of(targets.first().copied());
        let added = match self.aim.optimise() {
            Optimise::Speed => Some(Added::new(program, &compile(graph.clone(), program.isa)?.program, None)),
            _ => None,
        };
        let mut fits: Vec<Fit> = targets
            .iter()
            .map(|&target| budget::fit(&[programs.of(Some(target))], Some(target), &self.budget))
            .collect();
        if fits.is_empty() && (self.budget.flash.is_some() || self.budget.ram.is_some()) {
            fits.push(budget::fit(&[program], None, &self.budget));
        }
        let figures = ["macs", "parameters", "reduced", "arena_bytes", "arena_bound_bytes", "constants_bytes"];
        let mut sources: Sources = figures.iter().map(|&figure| (figure, STATIC.to_owned())).collect();
        if !fits.is_empty() {
            sources.extend(budget::sources());
        }
        let body = Body {
            model: file.named(),
            inputs: self.ports(&described, &described.inputs, &program.inputs),
            outputs: self.ports(&described, &described.outputs, &program.outputs),
            ops: count_ops(&described),
            macs: Some(macs),
            parameters: Some(described.parameters),
            reduced: Some(programs.reduced.clone()),
            arena_bytes: Some(program.arena_bytes as u64),
            arena_bound_bytes: Some(program.arena_bound_bytes as u64),
            constants_bytes: Some(program.constants_bytes() as u64),
            added,
            unsupported: Vec::new(),
            targets: fits,
            sources,
        };
        let fits = body.targets.iter().all(|fit| fit.fits);
        Ok(Answer::new(NAME, text(&file, &body), &body).decided(fits))
    }

    /// The tensors `indices` of the file, as the program has them.
    fn ports(&self, file: &File, indices: &[usize], program: &[Port]) -> Vec<PortBody> {
        let mut bodies = ports(file, indices);
        if self.adaptation.any() {
            for (body, Port { name, shape, dtype, quantisation, .. }) in bodies.iter_mut().zip(program) {
                let (scale, zero_point) = quantisation.as_ref().and_then(Quantisation::single).unzip();
                let (name, shape, dtype) = (name.clone(), shape.clone(), dtype_name(*dtype).to_owned());
                *body = PortBody { name, shape, dtype, scale, zero_point, index: body.index };
            }
        }
        bodies
    }
}

/// The programs of a model, one for each instruction set that is asked for.
struct Programs {
    aim: Aim,
    own: Program,
    reduced: Reduced,
    others: Vec<(Goal, Program)>,
}

impl Programs {
    fn new(graph: &Graph, targets: &[&Target], aim: Aim) -> Result<Self, Failure> {
        let Compiled { graph: rest, program: own } = compile(graph.clone(), aim.goal(None))?;
        let mut others: Vec<(Goal, Program)> = Vec::new();
        for goal in targets.iter().map(|target| aim.goal(Some(target))) {
            if goal != aim.goal(None) && !others.iter().any(|(other, _)| *other == goal) {
                others.push((goal, compile(graph.clone(), goal)?.program));
            }
        }
        Ok(Self { aim, own, reduced: Reduced::of(&rest), others })
    }

    /// The program of a target, or this machine's own.
    fn of(&self, target: Option<&Target>) -> &Program {
        let goal = self.aim.goal(target);
        self.others.iter().find(|(other, _)| *other == goal).map_or(&self.own, |(_, program)| program)
    }
}

fn refused(file: &ModelFile, described: &File, list: Vec<Unsupported>) -> Answer {
    let mut text = heading(file);
    let what = if list.len() == 1 { "1 operator is".to_owned() } else { format!("{} operators are", list.len()) };
    let _ = writeln!(text, "  {}\n", styled(&format!("{what} not supported:"), BAD));
    for one in &list {
        let dtypes = if one.dtypes.is_empty() { String::new() } else { format!(", {}", one.dtypes.join(", ")) };
        let _ = writeln!(text, "  {}  {}", styled(&one.op, BOLD), one.node);
        let _ = writeln!(
            text,
            "      {}",
            styled(&format!("operator {}, version {}{dtypes}", one.index, one.version), DIM)
        );
        text += &screen::wrapped(&one.reason, 6);
    }
    let unsupported = list.into_iter().map(|one| UnsupportedBody {
        node: one.node,
        index: one.index,
        op: one.op,
        version: one.version,
        dtypes: one.dtypes,
        reason: one.reason,
    });
    let body = Body {
        model: file.named(),
        inputs: ports(described, &described.inputs),
        outputs: ports(described, &described.outputs),
        ops: count_ops(described),
        macs: None,
        parameters: None,
        reduced: None,
        arena_bytes: None,
        arena_bound_bytes: None,
        constants_bytes: None,
        added: None,
        unsupported: unsupported.collect(),
        targets: Vec::new(),
        sources: Sources::new(),
    };
    Answer::new(NAME, text, &body).decided(false)
}

/// The first lines of an answer about a model.
fn heading(file: &ModelFile) -> String {
    let Named { file: name, sha256 } = file.named();
    let size = bytes(file.len() as u64);
    format!("{}  {}\n  {}\n\n", styled(&name, BOLD), size, styled(&format!("SHA-256 {sha256}"), DIM))
}

fn text(file: &ModelFile, body: &Body) -> String {
    let mut text = heading(file);
    let mut ports = Table::new(&[Align::Left; 4]);
    for (kind, list) in [("input", &body.inputs), ("output", &body.outputs)] {
        for port in list {
            ports.row([
                Cell::new(kind, DIM),
                screen::shortened(&port.name, 40).into(),
                format!("{} {}", port.dtype, screen::shape(&port.shape)).into(),
                Cell::new(quantisation(port), DIM),
            ]);
        }
    }
    text += &ports.render();
    text.push('\n');
    let mut counts: Vec<(&String, &usize)> = body.ops.iter().collect();
    counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let counts: Vec<String> = counts.into_iter().map(|(op, count)| format!("{count} {op}")).collect();
    text += &screen::wrapped(&counts.join(", "), 2);
    text.push('\n');
    text += &figures(body);
    if !body.targets.is_empty() {
        text.push('\n');
        text += &fits(&body.targets);
    }
    text
}

fn quantisation(port: &PortBody) -> String {
    port.scale.zip(port.zero_point).map_or_else(String::new, |(scale, zero_point)| {
        format!("scale {}, zero point {zero_point}", screen::real(f64::from(scale)))
    })
}

fn figures(body: &Body) -> String {
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]);
    let bound = match (body.arena_bytes, body.arena_bound_bytes) {
        (Some(arena), Some(bound)) if arena == bound => "static; no arena can be smaller".into(),
        (_, bound) => format!("static; the lower bound is {}", bytes(bound.unwrap_or_default())),
    };
    let mut row = |name: &str, value: Option<u64>, unit: fn(u64) -> String, source: &str| {
        table.row([name.into(), value.map_or_else(String::new, unit).into(), Cell::new(source, DIM)]);
    };
    row("multiply-accumulates", body.macs, number, STATIC);
    row("parameters", body.parameters, number, STATIC);
    if let Some(reduced) = body.reduced.as_ref().filter(|reduced| Some(reduced.macs) < body.macs) {
        let removed = "static; without channels that are constant or that nothing reads";
        row("  that remain to do", Some(reduced.macs), number, removed);
        row("  that remain to store", Some(reduced.parameters), number, removed);
    }
    row("arena", body.arena_bytes, bytes, &bound);
    row("constants", body.constants_bytes, bytes, STATIC);
    let mut text = table.render();
    if let Some(added) = body.added {
        let _ = writeln!(text, "  {}", added.text());
    }
    text
}

fn fits(fits: &[Fit]) -> String {
    let mut table = Table::titled(&[
        ("target", Align::Left),
        ("fits", Align::Left),
        ("flash", Align::Right),
        ("of", Align::Right),
        ("RAM", Align::Right),
        ("of", Align::Right),
    ]);
    let available = |value: Option<u64>| value.map_or_else(|| "any".into(), screen::memory);
    for fit in fits {
        table.row([
            fit.name.as_str().into(),
            if fit.fits { Cell::new("yes", GOOD) } else { Cell::new("no", BAD) },
            bytes(fit.flash_bytes).into(),
            available(fit.flash_available_bytes).into(),
            bytes(fit.ram_bytes).into(),
            available(fit.ram_available_bytes).into(),
        ]);
    }
    let mut text = table.render();
    for fit in fits {
        for reason in &fit.reasons {
            let _ = writeln!(text, "  {} {}: {reason}", styled("✗", BAD), fit.name);
        }
    }
    let note = format!(
        "flash: constants, and code by an upper estimate (modelled); RAM: arena, and {} of stack, an upper estimate \
         (modelled). rasbora profile counts both on the firmware. K = 1,024 B.",
        bytes(estimate::STACK_BYTES)
    );
    text.push('\n');
    text += &styled(&screen::wrapped(&note, 2), DIM);
    text
}
