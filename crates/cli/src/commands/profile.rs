//! `rasbora profile`: what one inference takes on an emulated board, layer by layer.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rasbora_bench::{Count, Measurement, Mode, Options};
use rasbora_compiler::graph::{DType, bytes_of};
use rasbora_compiler::optimise::Optimise;
use rasbora_compiler::program::Program;
use rasbora_compiler::target::Target;
use serde::Serialize;

use super::run::{PixelArguments, read_inputs};
use super::{COUNTED, STATIC, Sources};
use crate::aim::{Added, Aim};
use crate::budget;
use crate::emulated;
use crate::failure::Failure;
use crate::model::{Adaptation, ModelFile, Named};
use crate::output::Answer;
use crate::screen::{self, Align, BAR, BOLD, Cell, DIM, Table, bytes, number, styled};
use crate::tensors::Signature;

/// The command's name.
pub const NAME: &str = "profile";

/// Arguments of `rasbora profile`.
#[derive(Debug, clap::Args)]
pub struct Profile {
    /// A .tflite file
    model: PathBuf,
    /// The target whose emulated board runs it
    #[arg(long, value_name = "TARGET")]
    on: String,
    /// Data for the inputs, as for `rasbora run`; without it, pseudo-random bytes (xorshift32, seed 1)
    #[arg(long, value_name = "[NAME=]FILE", num_args = 1..)]
    input: Vec<String>,
    #[command(flatten)]
    adaptation: Adaptation,
    #[command(flatten)]
    aim: Aim,
    #[command(flatten)]
    pixels: PixelArguments,
    /// Leave the firmware's ELF file in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[derive(Serialize)]
struct Body {
    model: Named,
    target: &'static str,
    input: String,
    instructions: u64,
    cycles: Option<u64>,
    arena_bytes: u64,
    stack_bytes: u64,
    stack_bound_bytes: Option<u32>,
    flash: Flash,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Added>,
    layers: Vec<Layer>,
    elf: Option<String>,
    sources: Sources,
}

#[derive(Serialize)]
struct Flash {
    code: u64,
    constants: u64,
    total: u64,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    op: &'static str,
    macs: u64,
    macs_model: u64,
    instructions: u64,
    cycles: Option<u64>,
}

impl Profile {
    /// Does it.
    pub fn run(&self) -> Result<Answer, Failure> {
        let target = budget::target(&self.on)?;
        let file = ModelFile::read(&self.model)?;
        let program = file.program(self.aim.goal(Some(target)), &self.adaptation)?;
        let wanted: Vec<Signature> = program.inputs.iter().map(Signature::from).collect();
        let (input, data) = if self.input.is_empty() {
            ("xorshift32, seed 1".to_owned(), pseudo_random(&wanted))
        } else {
            let inputs = read_inputs(&self.input, &self.pixels, &wanted)?;
            (self.input.join(", "), inputs.into_iter().map(|input| input.bytes).collect())
        };
        let measure = |program: &Program, mode| {
            let options = Options { mode, opt_level: self.aim.opt_level(), ..Options::default() };
            emulated::measure(target, &file, program, std::slice::from_ref(&data), &options)
        };
        let whole = measure(&program, Mode::Total)?;
        let by_step = measure(&program, Mode::Steps)?;
        let added = if self.aim.optimise() == Optimise::Speed {
            let balanced = file.program(target.isa, &self.adaptation)?;
            let code = measure(&balanced, Mode::Total)?.flash.code;
            Some(Added::new(&program, &balanced, Some(whole.flash.code.saturating_sub(code))))
        } else {
            None
        };
        let elf = self.keep.as_deref().map(|folder| keep(folder, &whole, &file, target)).transpose()?;
        let body = Body {
            model: file.named(),
            target: target.name,
            input,
            instructions: whole.instructions,
            cycles: whole.cycles,
            arena_bytes: program.arena_bytes as u64,
            stack_bytes: whole.stack_bytes.into(),
            stack_bound_bytes: whole.stack_bound_bytes,
            flash: Flash {
                code: whole.flash.code,
                constants: whole.flash.constants,
                total: whole.flash.code + whole.flash.constants,
            },
            added,
            layers: layers(&program, &by_step.layers),
            elf: elf.map(|path| path.display().to_string()),
            sources: sources(target),
        };
        Ok(Answer::new(NAME, text(&body, target), &body))
    }
}

fn sources(target: &Target) -> Sources {
    let mut sources: Sources = [
        ("instructions", COUNTED),
        ("arena_bytes", STATIC),
        ("stack_bytes", COUNTED),
        ("stack_bound_bytes", STATIC),
        ("flash", STATIC),
        ("layers.macs", STATIC),
        ("layers.macs_model", STATIC),
        ("layers.instructions", COUNTED),
    ]
    .map(|(figure, source)| (figure, source.to_owned()))
    .into();
    if let Some(model) = target.cycles {
        let source = format!("modelled: {}", model.name());
        sources.extend([("cycles", source.clone()), ("layers.cycles", source)]);
    }
    sources
}

/// The low bytes of xorshift32 (shifts 13, 17, 5; seed 1): int8 and uint8 as they are, floats `byte / 128`.
pub fn pseudo_random(wanted: &[Signature]) -> Vec<Vec<u8>> {
    let mut state = 1u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state as u8).cast_signed()
    };
    let mut fill = |signature: &Signature| {
        let values = (0..signature.elements()).map(|_| next());
        match signature.dtype {
            DType::I8 | DType::U8 => bytes_of(values),
            DType::I32 => bytes_of(values.map(i32::from)),
            // Loud noise: samples that fill their range.
            DType::I16 => bytes_of(values.map(|value| i16::from(value) << 8)),
            DType::F32 => bytes_of(values.map(|value| f32::from(value) / 128.0)),
        }
    };
    wanted.iter().map(&mut fill).collect()
}

/// The counts of the steps of each node, added up.
fn layers(program: &Program, counts: &[Count]) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut nodes: Vec<&[usize]> = Vec::new();
    for (step, count) in program.steps.iter().zip(counts) {
        match layers.last_mut() {
            Some(layer) if layer.name == step.name && nodes.last() == Some(&step.sources.as_slice()) => {
                layer.macs += step.macs;
                layer.macs_model += step.model_macs;
                layer.instructions += count.instructions;
                layer.cycles = layer.cycles.zip(count.cycles).map(|(a, b)| a + b);
            }
            _ => {
                nodes.push(&step.sources);
                layers.push(Layer {
                    name: step.name.clone(),
                    op: step.op,
                    macs: step.macs,
                    macs_model: step.model_macs,
                    instructions: count.instructions,
                    cycles: count.cycles,
                });
            }
        }
    }
    layers
}

fn keep(folder: &Path, measured: &Measurement, file: &ModelFile, target: &Target) -> Result<PathBuf, Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::unwritable(folder, &error))?;
    let path = folder.join(format!("{}-{}.elf", file.stem(), target.name));
    let content = fs::read(&measured.elf).map_err(|error| Failure::unreadable(&measured.elf, &error))?;
    crate::files::write(&path, &content)?;
    Ok(path)
}

fn text(body: &Body, target: &Target) -> String {
    let mut text = format!("{}  on {}\n\n", styled(&body.model.file, BOLD), target.description);
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]);
    let mut row =
        |name: &str, value: String, source: &str| table.row([name.into(), value.into(), Cell::new(source, DIM)]);
    row("instructions", number(body.instructions), "counted, one inference");
    match (body.cycles, target.cycles, target.clock_hz) {
        (Some(cycles), Some(model), _) => row("cycles", number(cycles), &format!("modelled: {}", model.name())),
        _ => row("cycles", "–".into(), "there is no model of this core"),
    }
    row("arena", bytes(body.arena_bytes), "static");
    row("stack", bytes(body.stack_bytes), "counted: the deepest of the inference");
    let bound = body.stack_bound_bytes.map_or_else(|| "–".into(), |bound| bytes(bound.into()));
    row("  at most", bound, "static: the deepest way through the machine code, interrupts apart");
    row("flash: code", bytes(body.flash.code), "static: the image less an empty one");
    row("flash: constants", bytes(body.flash.constants), "static: weights, biases, multipliers, tables, parameters");
    row("flash: total", bytes(body.flash.total), "static: code and constants");
    text += &table.render();
    if let Some(added) = body.added {
        let _ = writeln!(text, "  {}", added.text());
    }
    text.push('\n');
    text += &layer_table(body);
    if let Some(elf) = &body.elf {
        let _ = writeln!(text, "\n  firmware: {elf}");
    }
    let note = format!("input: {}; counted under emulation (QEMU)", body.input);
    let _ = writeln!(text, "\n  {}", styled(&note, DIM));
    text
}

fn layer_table(body: &Body) -> String {
    const BAR_WIDTH: usize = 12;
    /// What the columns other than the layer's name take.
    const OTHER_COLUMNS: usize = 66 + BAR_WIDTH;
    let name_width = screen::columns().saturating_sub(OTHER_COLUMNS).clamp(12, 40);
    let cost = |layer: &Layer| layer.cycles.unwrap_or(layer.instructions);
    let total = body.layers.iter().map(cost).sum::<u64>().max(1) as f64;
    let unit = if body.cycles.is_some() { "cycles" } else { "instructions" };
    let mut table = Table::titled(&[
        ("layer", Align::Left),
        ("op", Align::Left),
        ("MACs", Align::Right),
        (unit, Align::Right),
        ("a MAC", Align::Right),
        ("share", Align::Right),
        ("", Align::Left),
    ]);
    for layer in &body.layers {
        let share = cost(layer) as f64 / total;
        let each =
            if layer.macs == 0 { String::new() } else { format!("{:.1}", cost(layer) as f64 / layer.macs as f64) };
        table.row([
            screen::layer(&layer.name, name_width).into(),
            Cell::new(layer.op, DIM),
            if layer.macs == 0 { "".into() } else { number(layer.macs).into() },
            number(cost(layer)).into(),
            Cell::new(each, DIM),
            format!("{:.1} %", share * 100.0).into(),
            Cell::new(screen::bar(share, BAR_WIDTH), BAR),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_is_that_of_the_published_figures() {
        let wants = |dtype| Signature { name: "x".into(), shape: vec![1, 4], dtype, quantisation: None };
        assert_eq!(pseudo_random(&[wants(DType::I8)]), [[33, 1, 197, 79]].map(Vec::from));
        let floats = pseudo_random(&[wants(DType::F32)]).remove(0);
        assert_eq!(floats[..4], (33.0f32 / 128.0).to_le_bytes());
    }
}
