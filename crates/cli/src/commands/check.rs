//! `rasbora check`: what a model needs, and whether it is supported and fits. Fast, and without any toolchain.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use rasbora_compiler::graph::{Graph, dtype_name};
use rasbora_compiler::import::{ImportError, Imported, Unsupported};
use rasbora_compiler::pipeline::compile;
use rasbora_compiler::program::{Port, Program};
use rasbora_compiler::target::{InstructionSet, Target};
use serde::Serialize;

use super::{STATIC, Sources};
use crate::budget::{self, Budget, Fit};
use crate::estimate;
use crate::failure::{Failure, not_imported};
use crate::model::{ModelFile, Named, isa_of};
use crate::output::Answer;
use crate::screen::{self, Align, BAD, BOLD, Cell, DIM, GOOD, Table, bytes, number, styled};
use crate::tensors::Signature;

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
    budget: Budget,
}

#[derive(Serialize)]
struct Body {
    model: Named,
    inputs: Option<Vec<PortBody>>,
    outputs: Option<Vec<PortBody>>,
    ops: Option<BTreeMap<String, usize>>,
    macs: Option<u64>,
    parameters: Option<u64>,
    arena_bytes: Option<u64>,
    arena_bound_bytes: Option<u64>,
    constants_bytes: Option<u64>,
    unsupported: Vec<UnsupportedBody>,
    targets: Vec<Fit>,
    sources: Sources,
}

/// A network input or output in answers.
#[derive(Debug, Serialize)]
pub struct PortBody {
    name: String,
    index: Option<usize>,
    shape: Vec<usize>,
    dtype: &'static str,
    scale: Option<f32>,
    zero_point: Option<i32>,
}

impl From<&Port> for PortBody {
    fn from(port: &Port) -> Self {
        let Signature { name, shape, dtype, quantisation } = port.into();
        let (scale, zero_point) = quantisation.unzip();
        Self { name, index: port.source, shape, dtype: dtype_name(dtype), scale, zero_point }
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
            Err(ImportError::Unsupported(list)) => return Ok(refused(&file, list)),
            Err(error) => return Err(not_imported(&self.model, error)),
        };
        let Imported { graph, file: described } = imported;
        let macs = graph.nodes.iter().map(|node| node.model_macs).sum();
        let programs = Programs::new(&graph, &targets)?;
        let program = programs.of(targets.first().copied());
        let mut fits: Vec<Fit> = targets
            .iter()
            .map(|&target| budget::fit(&[programs.of(Some(target))], Some(target), &self.budget))
            .collect();
        if fits.is_empty() && (self.budget.flash.is_some() || self.budget.ram.is_some()) {
            fits.push(budget::fit(&[program], None, &self.budget));
        }
        let mut ops = BTreeMap::new();
        for operator in &described.operators {
            *ops.entry(operator.op.clone()).or_insert(0) += 1;
        }
        let figures = ["macs", "parameters", "arena_bytes", "arena_bound_bytes", "constants_bytes"];
        let mut sources: Sources = figures.iter().map(|&figure| (figure, STATIC.to_owned())).collect();
        if !fits.is_empty() {
            sources.extend(budget::sources());
        }
        let body = Body {
            model: file.named(),
            inputs: Some(program.inputs.iter().map(PortBody::from).collect()),
            outputs: Some(program.outputs.iter().map(PortBody::from).collect()),
            ops: Some(ops),
            macs: Some(macs),
            parameters: Some(described.parameters),
            arena_bytes: Some(program.arena_bytes as u64),
            arena_bound_bytes: Some(program.arena_bound_bytes as u64),
            constants_bytes: Some(program.constants_bytes() as u64),
            unsupported: Vec::new(),
            targets: fits,
            sources,
        };
        let fits = body.targets.iter().all(|fit| fit.fits);
        Ok(Answer::new(NAME, text(&file, program, &body), &body).decided(fits))
    }
}

/// The programs of a model, one for each instruction set that is asked for.
struct Programs {
    own: Program,
    others: Vec<(InstructionSet, Program)>,
}

impl Programs {
    fn new(graph: &Graph, targets: &[&Target]) -> Result<Self, Failure> {
        let own = compile(graph.clone(), isa_of(None))?.program;
        let mut others: Vec<(InstructionSet, Program)> = Vec::new();
        for target in targets {
            let known = target.isa == isa_of(None) || others.iter().any(|(isa, _)| *isa == target.isa);
            if !known {
                others.push((target.isa, compile(graph.clone(), target.isa)?.program));
            }
        }
        Ok(Self { own, others })
    }

    /// The program of a target, or this machine's own.
    fn of(&self, target: Option<&Target>) -> &Program {
        let isa = isa_of(target);
        self.others.iter().find(|(other, _)| *other == isa).map_or(&self.own, |(_, program)| program)
    }
}

fn refused(file: &ModelFile, list: Vec<Unsupported>) -> Answer {
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
        inputs: None,
        outputs: None,
        ops: None,
        macs: None,
        parameters: None,
        arena_bytes: None,
        arena_bound_bytes: None,
        constants_bytes: None,
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

fn text(file: &ModelFile, program: &Program, body: &Body) -> String {
    let mut text = heading(file);
    let mut ports = Table::new(&[Align::Left; 4]);
    for (kind, list) in [("input", &program.inputs), ("output", &program.outputs)] {
        for port in list {
            let signature = Signature::from(port);
            ports.row([
                Cell::new(kind, DIM),
                screen::shortened(&signature.name, 40).into(),
                signature.to_string().into(),
                Cell::new(quantisation(&signature), DIM),
            ]);
        }
    }
    text += &ports.render();
    text.push('\n');
    let mut counts: Vec<(&String, &usize)> = body.ops.iter().flatten().collect();
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

fn quantisation(signature: &Signature) -> String {
    signature.quantisation.map_or_else(String::new, |(scale, zero_point)| {
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
    row("arena", body.arena_bytes, bytes, &bound);
    row("constants", body.constants_bytes, bytes, STATIC);
    table.render()
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
