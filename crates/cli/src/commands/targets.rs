//! `rasbora targets`: the processors and boards that a program can be made for.

use rasbora_compiler::target::{TARGETS, Target};
use serde::Serialize;

use super::Sources;
use crate::output::Answer;
use crate::screen::{self, Align, BOLD, Cell, DIM, Table, styled};

/// The command's name.
pub const NAME: &str = "targets";

/// Arguments of `rasbora targets`.
#[derive(Debug, clap::Args)]
pub struct Targets {}

#[derive(Serialize)]
struct Body {
    targets: Vec<Row>,
    sources: Sources,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    description: &'static str,
    triple: &'static str,
    cpu: &'static str,
    kernels: &'static str,
    flash_bytes: u64,
    ram_bytes: u64,
    clock_hz: Option<u32>,
    board: Option<Board>,
    cycle_model: Option<&'static str>,
    source: &'static str,
}

#[derive(Serialize)]
struct Board {
    emulator: &'static str,
    machine: &'static str,
}

/// Lists them.
pub fn answer() -> Answer {
    let body = Body {
        targets: TARGETS.iter().map(row).collect(),
        sources: ["flash_bytes", "ram_bytes", "clock_hz"]
            .map(|figure| (figure, "datasheet".to_owned()))
            .into_iter()
            .collect(),
    };
    Answer::new(NAME, text(), &body)
}

fn row(target: &Target) -> Row {
    Row {
        name: target.name,
        description: target.description,
        triple: target.triple,
        cpu: target.cpu,
        kernels: target.isa.type_name(),
        flash_bytes: target.flash_bytes().into(),
        ram_bytes: target.ram.bytes.into(),
        clock_hz: target.clock_hz,
        board: target.board.map(|board| Board { emulator: board.emulator, machine: board.machine }),
        cycle_model: target.cycles.map(|model| model.name()),
        source: target.source,
    }
}

fn text() -> String {
    let (emulated, parts): (Vec<&Target>, Vec<&Target>) = TARGETS.iter().partition(|target| target.board.is_some());
    let mut text = format!("{}\n", styled("Emulated boards: check, compile, run --on, profile, diff", BOLD));
    text += &table(&emulated);
    text += &format!("\n{}\n", styled("Parts known by their datasheets: check, compile", BOLD));
    text += &table(&parts);
    let note = "flash, RAM, clock: datasheets, which --json names. cycles: the core whose model turns counted instructions \
                into cycles; on the others instructions alone are counted. K = 1,024 B.";
    text.push('\n');
    text += &styled(&screen::wrapped(note, 2), DIM);
    text
}

fn table(targets: &[&Target]) -> String {
    /// What the columns other than the description take.
    const OTHER_COLUMNS: usize = 62;
    let width = screen::columns().saturating_sub(OTHER_COLUMNS).max(12);
    let mut table = Table::titled(&[
        ("target", Align::Left),
        ("flash", Align::Right),
        ("RAM", Align::Right),
        ("clock", Align::Right),
        ("cycles", Align::Left),
        ("what it is", Align::Left),
    ]);
    for target in targets {
        let clock = target.clock_hz.map_or_else(String::new, |hertz| format!("{} MHz", hertz / 1_000_000));
        table.row([
            target.name.into(),
            screen::memory(target.flash_bytes().into()).into(),
            screen::memory(target.ram.bytes.into()).into(),
            clock.into(),
            Cell::new(target.cycles.map_or("–", |model| model.name()), DIM),
            Cell::new(screen::shortened(target.description, width), DIM),
        ]);
    }
    table.render()
}
