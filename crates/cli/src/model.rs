//! A model's file: read once, named in every answer.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rasbora_compiler::emit::interpreter::kernels_of_packed;
use rasbora_compiler::front_end::{FrontEnd, FrontEndError};
use rasbora_compiler::graph::Graph;
use rasbora_compiler::import::{ImportError, Imported, tflite};
use rasbora_compiler::optimise::Goal;
use rasbora_compiler::pipeline::compile;
use rasbora_compiler::program::Program;
use rasbora_compiler::stream::stream;
use rasbora_device::program::MAGIC;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, not_imported};

/// Largest file that is read; a FlatBuffer's offsets end there.
const MAX_BYTES: u64 = 1 << 31;

/// A model's file in memory.
pub struct ModelFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A model's file in answers.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// The file, as the user named it.
    pub file: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

impl ModelFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = content(path).map_err(|error| Failure::unreadable(path, &error))?;
        Ok(Self { path: path.to_path_buf(), bytes })
    }

    /// The file as answers name it.
    pub fn named(&self) -> Named {
        let hash = Sha256::digest(&self.bytes);
        let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Named { file: self.path.display().to_string(), sha256 }
    }

    /// Length of the file.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The name of the file without folder and ending.
    pub fn stem(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The kernels of a packed program; none where the file is none.
    ///
    /// # Errors
    /// Where it is a packed program that cannot run.
    pub fn packed_kernels(&self) -> Result<Option<BTreeSet<&'static str>>, Failure> {
        if !self.bytes.starts_with(&MAGIC) {
            return Ok(None);
        }
        kernels_of_packed(&self.bytes).map(Some).map_err(|error| {
            Failure::failed("malformed", format!("'{}': {error}", self.path.display()))
                .help("pack it anew from its model: rasbora compile MODEL --emit packed")
        })
    }

    /// What the file means, or all the reasons why it is refused.
    ///
    /// # Errors
    /// Where it is broken or not supported.
    pub fn imported(&self) -> Result<Imported, ImportError> {
        tflite::read(&self.bytes)
    }

    /// What the file means.
    ///
    /// # Errors
    /// Where it is broken or not supported.
    pub fn import(&self) -> Result<Imported, Failure> {
        self.imported().map_err(|error| not_imported(&self.path, error))
    }

    /// The file's program for a goal, adapted.
    ///
    /// # Errors
    /// Where it is broken or not supported, or an adaptation does not fit.
    pub fn program(&self, goal: impl Into<Goal>, adaptation: &Adaptation) -> Result<Program, Failure> {
        Ok(compile(adaptation.applied(self.import()?.graph)?, goal)?.program)
    }
}

/// Arguments by which a program takes something else than the model's file says.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Adaptation {
    /// Take a new frame a run and keep what is needed of earlier ones, for the same outputs as of the last frames together
    #[arg(long)]
    pub stream: bool,
    /// Put an audio front end before the model, which then takes 16-bit samples at 16 kHz (.wav)
    #[arg(long, value_name = "NAME")]
    pub front_end: Option<FrontEndName>,
}

impl Adaptation {
    /// Whether there is one.
    pub fn any(&self) -> bool {
        self.stream || self.front_end.is_some()
    }

    /// `graph`, adapted.
    ///
    /// # Errors
    /// Where an adaptation does not fit.
    pub fn applied(&self, mut graph: Graph) -> Result<Graph, Failure> {
        if self.stream {
            graph = stream(&graph)?;
        }
        if let Some(front_end) = self.front_end {
            let wrong = |error: FrontEndError| Failure::failed("wrong_front_end", error.to_string());
            FrontEnd::from(front_end).put_before(&mut graph).map_err(wrong)?;
        }
        Ok(graph)
    }
}

/// The names of the front ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum FrontEndName {
    /// MLPerf Tiny's keyword spotting: one second to 49 × 10 cepstral coefficients
    Kws,
    /// MLPerf Tiny's streaming wake word: 512 samples a run to another frame of 40 mel bands
    Sww,
}

impl From<FrontEndName> for FrontEnd {
    fn from(name: FrontEndName) -> Self {
        match name {
            FrontEndName::Kws => Self::Kws,
            FrontEndName::Sww => Self::Sww,
        }
    }
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 2 GiB, the limit of the format"));
    }
    Ok(bytes)
}
