//! `rasbora compile`: models become a Rust crate, a C library or packed programs, in a folder that is written whole or
//! not at all.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rasbora_compiler::emit::Files;
use rasbora_compiler::emit::rust::{self, EmitError, module_name};
use rasbora_compiler::optimise::{Goal, Optimise};
use rasbora_compiler::program::Program;
use serde::Serialize;

use super::{STATIC, Sources};
use crate::aim::{Added, Aim};
use crate::budget::{self, Budget, Fit};
use crate::c_library::{self, LibraryBody};
use crate::failure::Failure;
use crate::model::{Adaptation, ModelFile, Named};
use crate::output::Answer;
use crate::screen::{self, Align, BOLD, Cell, DIM, Table, bytes, styled};
use crate::{files, folder};

/// The command's name.
pub const NAME: &str = "compile";

/// The target's name for this machine.
const HOST: &str = "host";

/// Arguments of `rasbora compile`.
#[derive(Debug, clap::Args)]
pub struct Compile {
    /// .tflite files; NAME is the module's or file's name, the model file's own where it is left out
    #[arg(required = true, value_name = "[NAME=]MODEL")]
    models: Vec<String>,
    /// What to write
    #[arg(long)]
    emit: Emit,
    /// The target whose kernels it runs and whose memories it must fit, or `host` for this machine
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    #[command(flatten)]
    aim: Aim,
    /// What a C library is called; the model's name, or `models` for several
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    #[command(flatten)]
    adaptation: Adaptation,
    #[command(flatten)]
    budget: Budget,
    /// The folder to write
    #[arg(short, long = "output", value_name = "DIR")]
    output: PathBuf,
    /// Replace the folder whatever it holds
    #[arg(long)]
    force: bool,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Emit {
    /// A no_std crate with a module for each model and one copy of the kernels
    Rust,
    /// A static library with a header for each model, and packages for CMake and Zephyr
    C,
    /// A file for each model, run by the interpreter of rasbora-device
    Packed,
}

/// A model with the name that its module or file gets.
pub struct Entry {
    /// The name.
    pub name: String,
    /// The file.
    pub file: ModelFile,
    /// What it became.
    pub program: Program,
    /// What it has more than a balanced program, where speed counts most.
    pub added: Option<Added>,
}

#[derive(Serialize)]
struct Body {
    emit: Emit,
    directory: String,
    models: Vec<ModelBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    library: Option<LibraryBody>,
    files: Vec<String>,
    targets: Vec<Fit>,
    sources: Sources,
}

#[derive(Serialize)]
struct ModelBody {
    name: String,
    #[serde(flatten)]
    file: Named,
    arena_bytes: u64,
    constants_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Added>,
}

impl Compile {
    /// Does it.
    pub fn run(&self) -> Result<Answer, Failure> {
        let target = self.target.as_deref().filter(|name| *name != HOST).map(budget::target).transpose()?;
        self.check_options()?;
        folder::check(&self.output, self.force)?;
        let entries = self.entries(self.aim.goal(target))?;
        let programs: Vec<&Program> = entries.iter().map(|entry| &entry.program).collect();
        let fit = budget::fit(&programs, target, &self.budget);
        over_budget(&fit)?;
        let (mut files, library) = match self.emit {
            Emit::Rust => (emitted_rust(&entries)?, None),
            Emit::Packed => (packed(&entries), None),
            Emit::C => {
                files::check_writable(&self.output)?;
                let order = c_library::Order { target, package: self.package(&entries)?, aim: self.aim };
                let (files, body) = c_library::build(&entries, &order)?;
                (files, Some(body))
            }
        };
        files.sort();
        let names: Vec<String> = files.iter().map(|(name, _)| name.display().to_string()).collect();
        let models: Vec<ModelBody> = entries.iter().map(ModelBody::from).collect();
        let hashes = models.iter().map(|model| (model.name.clone(), model.file.sha256.clone())).collect();
        folder::write(&self.output, files, hashes)?;
        let known = target.is_some() || self.budget.flash.is_some() || self.budget.ram.is_some();
        let mut sources: Sources =
            ["models.arena_bytes", "models.constants_bytes"].map(|figure| (figure, STATIC.to_owned())).into();
        sources.extend(budget::sources().into_iter().filter(|_| known));
        if library.is_some() {
            sources.extend(LibraryBody::FIGURES.map(|figure| (figure, STATIC.to_owned())));
        }
        let body = Body {
            emit: self.emit,
            directory: self.output.display().to_string(),
            models,
            library,
            files: names,
            targets: if known { vec![fit] } else { Vec::new() },
            sources,
        };
        Ok(Answer::new(NAME, text(&body), &body))
    }

    /// Whether the options go together.
    fn check_options(&self) -> Result<(), Failure> {
        if self.emit == Emit::C {
            return match &self.target {
                Some(_) => Ok(()),
                None => Err(Failure::usage("a C library is for one processor, and none is named")
                    .help("name it: --target cortex-m4, or --target host; rasbora targets lists them")),
            };
        }
        if self.package.is_some() {
            return Err(Failure::usage("--package is for a C library").help("add --emit c, or leave the option out"));
        }
        Ok(())
    }

    /// The name of the C library.
    fn package(&self, entries: &[Entry]) -> Result<String, Failure> {
        let name = match (&self.package, entries) {
            (Some(name), _) => name.clone(),
            (None, [entry]) => entry.name.clone(),
            (None, _) => "models".into(),
        };
        if module_name(&name) == name {
            return Ok(name);
        }
        Err(Failure::usage(format!("'{name}' cannot name a library"))
            .help("use lower-case letters, digits and '_', and begin with a letter"))
    }

    fn entries(&self, goal: Goal) -> Result<Vec<Entry>, Failure> {
        let mut entries: Vec<Entry> = Vec::new();
        for argument in &self.models {
            let (name, path) = match argument.split_once('=').filter(|_| !Path::new(argument).exists()) {
                Some((name, path)) => (Some(name.to_owned()), path),
                None => (None, argument.as_str()),
            };
            let file = ModelFile::read(Path::new(path))?;
            let name = name.unwrap_or_else(|| module_name(&file.stem()));
            if module_name(&name) != name {
                return Err(not_emitted(&EmitError::Name(name)));
            }
            if entries.iter().any(|other| other.name == name) {
                return Err(not_emitted(&EmitError::Twice(name)));
            }
            let program = file.program(goal, &self.adaptation)?;
            let added = match goal.optimise() {
                Optimise::Speed => Some(Added::new(&program, &file.program(goal.isa(), &self.adaptation)?, None)),
                _ => None,
            };
            entries.push(Entry { name, file, program, added });
        }
        Ok(entries)
    }
}

impl From<&Entry> for ModelBody {
    fn from(entry: &Entry) -> Self {
        Self {
            name: entry.name.clone(),
            file: entry.file.named(),
            arena_bytes: entry.program.arena_bytes as u64,
            constants_bytes: entry.program.constants_bytes() as u64,
            added: entry.added,
        }
    }
}

/// Programs by name, as Rust is emitted of them.
pub fn named(entries: &[Entry]) -> Vec<rust::Named<'_>> {
    let entries = entries.iter();
    entries.map(|Entry { name, program, .. }| rust::Named { name, program, isa: program.isa.type_name() }).collect()
}

fn emitted_rust(entries: &[Entry]) -> Result<Files, Failure> {
    rust::emit(&named(entries)).map_err(|error| not_emitted(&error))
}

fn packed(entries: &[Entry]) -> Files {
    let packed = |entry: &Entry| (PathBuf::from(format!("{}.rasbora", entry.name)), entry.program.pack());
    entries.iter().map(packed).collect()
}

/// A crate that cannot be emitted because of the names that the user gave.
pub fn not_emitted(error: &EmitError) -> Failure {
    Failure::usage(error.to_string()).help("rasbora compile NAME=FILE names the module yourself")
}

fn over_budget(fit: &Fit) -> Result<(), Failure> {
    if fit.fits {
        return Ok(());
    }
    let reasons: String = fit.reasons.iter().map(|reason| format!("\n  {}: {reason}", fit.name)).collect();
    Err(Failure::no("over_budget", format!("nothing was written, for all models together do not fit:{reasons}"))
        .help("rasbora check tells how the figures of a model come about"))
}

fn text(body: &Body) -> String {
    let what = match body.emit {
        Emit::Rust => "Rust crate",
        Emit::C => "C library",
        Emit::Packed => "packed programs",
    };
    let mut text = format!("{} in {}\n\n", styled(what, BOLD), body.directory);
    let mut table = Table::titled(&[
        (if body.emit == Emit::Rust { "module" } else { "file" }, Align::Left),
        ("arena", Align::Right),
        ("constants", Align::Right),
        ("from", Align::Left),
    ]);
    for model in &body.models {
        let name = match body.emit {
            Emit::Rust => format!("{}::{}", rust::PACKAGE, model.name),
            Emit::C => format!("include/{}.h", model.name),
            Emit::Packed => format!("{}.rasbora", model.name),
        };
        let from = Cell::new(model.file.file.as_str(), DIM);
        table.row([name.into(), bytes(model.arena_bytes).into(), bytes(model.constants_bytes).into(), from]);
    }
    text += &table.render();
    for model in &body.models {
        if let Some(added) = model.added {
            let _ = writeln!(text, "\n  {}: {}", styled(&model.name, BOLD), added.text());
        }
    }
    if let Some(library) = &body.library {
        let (code, constants) = (bytes(library.code_bytes), bytes(library.constants_bytes));
        let _ = writeln!(text, "\n  {}: {code} of code, {constants} of constants", styled(&library.file, BOLD));
    }
    for fit in &body.targets {
        let of =
            |available: Option<u64>| available.map_or_else(String::new, |size| format!(" of {}", screen::memory(size)));
        let (flash, ram) = (bytes(fit.flash_bytes), bytes(fit.ram_bytes));
        let (of_flash, of_ram) = (of(fit.flash_available_bytes), of(fit.ram_available_bytes));
        let _ = writeln!(text, "\n  fits {}: flash {flash}{of_flash}, RAM {ram}{of_ram}", styled(&fit.name, BOLD));
    }
    let known =
        if body.targets.is_empty() { "" } else { "; flash and RAM: modelled, by upper estimates of code and stack" };
    text.push('\n');
    text += &styled(&screen::wrapped(&format!("arena and constants: static{known}. K = 1,024 B."), 2), DIM);
    text
}
