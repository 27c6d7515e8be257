//! `rasbora interpreter`: a C library or a WebAssembly module that runs packed programs, with just the kernels that are
//! wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rasbora_compiler::emit::interpreter::{KERNELS, PACKAGE_NAME, kernels_of};
use rasbora_compiler::optimise::Goal;
use serde::Serialize;

use super::{STATIC, Sources};
use crate::aim::Aim;
use crate::budget;
use crate::c_library::{self, LibraryBody};
use crate::failure::Failure;
use crate::model::{Adaptation, ModelFile, Named};
use crate::output::Answer;
use crate::screen::{self, BOLD, DIM, bytes, styled};
use crate::{files, folder};

/// The command's name.
pub const NAME: &str = "interpreter";

/// The target's name for this machine.
const HOST: &str = "host";

/// The target's name for WebAssembly.
const WASM: &str = "wasm";

/// Arguments of `rasbora interpreter`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("wanted").required(true).multiple(true)))]
pub struct Interpreter {
    /// Link the kernels that these models need on the target, or these packed programs (.rasbora)
    #[arg(long, group = "wanted", num_args = 1.., value_name = "MODEL")]
    ops_of: Vec<String>,
    /// Link these kernels, named as the packed format's documentation lists them, or `all`
    #[arg(long, group = "wanted", value_delimiter = ',', value_name = "KERNEL,…")]
    ops: Vec<String>,
    #[command(flatten)]
    adaptation: Adaptation,
    /// The target that it runs on, `host` for this machine, or `wasm` for an npm package around a WebAssembly module
    #[arg(long, value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    aim: Aim,
    /// The folder to write
    #[arg(short, long = "output", value_name = "DIR")]
    output: PathBuf,
    /// Replace the folder whatever it holds
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Body {
    directory: String,
    target: String,
    kernels: Vec<&'static str>,
    models: Vec<Named>,
    library: LibraryBody,
    files: Vec<String>,
    sources: Sources,
}

impl Interpreter {
    /// Does it.
    pub fn run(&self) -> Result<Answer, Failure> {
        let portable = [HOST, WASM].contains(&self.target.as_str());
        let target = if portable { None } else { Some(budget::target(&self.target)?) };
        if self.target == WASM && self.aim.named() {
            return Err(Failure::usage("--optimise is for a C library").help("leave the option out"));
        }
        folder::check(&self.output, self.force)?;
        let mut kernels = self.named_kernels()?;
        let (of_models, models) = self.kernels_of_models(self.aim.goal(target))?;
        kernels.extend(of_models);
        files::check_writable(&self.output)?;
        let (files, library) = if self.target == WASM {
            c_library::build_wasm(&kernels)?
        } else {
            let order = c_library::Order { target, package: PACKAGE_NAME.into(), aim: self.aim };
            c_library::build_interpreter(&kernels, &order)?
        };
        let names = files.iter().map(|(name, _)| name.display().to_string()).collect();
        let hashes: BTreeMap<String, String> =
            models.iter().map(|model| (model.file.clone(), model.sha256.clone())).collect();
        folder::write(&self.output, files, hashes)?;
        let body = Body {
            directory: self.output.display().to_string(),
            target: self.target.clone(),
            kernels: kernels.into_iter().collect(),
            models,
            library,
            files: names,
            sources: LibraryBody::FIGURES.map(|figure| (figure, STATIC.to_owned())).into(),
        };
        Ok(Answer::new(NAME, text(&body), &body))
    }

    /// The kernels that `--ops` names.
    fn named_kernels(&self) -> Result<BTreeSet<&'static str>, Failure> {
        if self.ops.iter().any(|name| name == "all") {
            return Ok(KERNELS.iter().map(|(_, name)| *name).collect());
        }
        let find = |wanted: &String| {
            let found = KERNELS.iter().map(|(_, name)| *name).find(|name| name.eq_ignore_ascii_case(wanted));
            found.ok_or_else(|| {
                let names: Vec<&str> = KERNELS.iter().map(|(_, name)| *name).collect();
                Failure::usage(format!("there is no kernel '{wanted}'"))
                    .help(format!("there are {}; --ops-of MODEL finds out which a model needs", names.join(", ")))
            })
        };
        self.ops.iter().map(find).collect()
    }

    /// The kernels of the programs that `--ops-of` names, and their files.
    fn kernels_of_models(&self, goal: Goal) -> Result<(BTreeSet<&'static str>, Vec<Named>), Failure> {
        let (mut kernels, mut models) = (BTreeSet::new(), Vec::new());
        for path in &self.ops_of {
            let file = ModelFile::read(Path::new(path))?;
            kernels.extend(match file.packed_kernels()? {
                Some(kernels) => kernels,
                None => kernels_of([&file.program(goal, &self.adaptation)?]),
            });
            models.push(file.named());
        }
        Ok((kernels, models))
    }
}

fn text(body: &Body) -> String {
    let mut text = format!("{} in {}\n\n", styled("interpreter", BOLD), body.directory);
    text += &screen::wrapped(&format!("kernels: {}", body.kernels.join(", ")), 2);
    let code = bytes(body.library.code_bytes);
    text += &format!("\n  {}: {code} of code\n\n", styled(&body.library.file, BOLD));
    text += &styled("  code: static. K = 1,024 B.", DIM);
    text
}
