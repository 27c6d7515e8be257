//! A static library of networks for programs in C, made by the Rust toolchain and used without one.
//!
//! Rust's own static library has every symbol of the core library in it, and two such libraries clash. So its objects
//! are read here, what the public functions reach is kept, and becomes one object in which nothing else is visible.

mod archive;
mod link;
mod object;
mod stack;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rasbora_compiler::emit::Files;
use rasbora_compiler::target::Target;

use crate::OptLevel;
use crate::cache::{self, Key};
use crate::error::{BenchError, file};
use crate::image;
use crate::sources::Sources;
use crate::toolchain::{self, Cross};

/// What a library runs on.
#[derive(Clone, Copy, Debug)]
pub enum Platform {
    /// A target's processor.
    Target(&'static Target),
    /// This machine.
    Host,
}

impl Platform {
    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Target(target) => target.name,
            Self::Host => "this machine",
        }
    }
}

/// The Rust sources of a library.
#[derive(Clone, Copy, Debug)]
pub struct LibrarySources<'a> {
    /// The networks' crate, as emitted.
    pub networks: &'a Files,
    /// The crate of the C functions, which depends on that one by the name `model`.
    pub interface: &'a str,
    /// The functions that stay visible.
    pub public: &'a [String],
}

/// A static library.
#[derive(Clone, Debug)]
pub struct Library {
    /// The archive.
    pub archive: Vec<u8>,
    /// Bytes of code and of other data than the networks'.
    pub code_bytes: u64,
    /// Weights, biases, multipliers, tables and parameters.
    pub constants_bytes: u64,
    /// The most bytes of stack that each public function takes, read off the machine code; without those that have no
    /// bound, and empty for this machine.
    pub stack_bytes: BTreeMap<String, u32>,
}

impl Library {
    /// The most bytes of stack that one of `functions` takes; none where one of them has no bound.
    pub fn stack_bytes_of(&self, functions: &[String]) -> Option<u32> {
        functions
            .iter()
            .map(|name| self.stack_bytes.get(name).copied())
            .try_fold(0, |most, bytes| Some(most.max(bytes?)))
    }
}

/// What a library may leave to the C library that it is linked with.
const LEFT_TO_C: [&str; 3] = ["memcpy", "memmove", "memset"];

/// What cargo makes of the crate `networks`.
const COMPILED: &str = "libnetworks.a";

/// The name of the object in the archive.
const OBJECT: &str = "networks.o";

/// Builds the library of `sources` for `platform`, or finds it in the cache.
///
/// # Errors
/// Where something is not installed, the sources do not build, or the library would hold code that panics.
pub fn library(platform: Platform, sources: LibrarySources<'_>, opt_level: OptLevel) -> Result<Library, BenchError> {
    let (cross, linker, order) = match platform {
        Platform::Target(target) => {
            let (cross, linker) = Cross::with_linker(target.triple)?;
            (cross, Some(linker), (target.triple.to_owned(), Some(target.cpu)))
        }
        Platform::Host => {
            let host = toolchain::host().ok_or_else(toolchain::no_compiler)?;
            (Cross::find(&host)?, None, (host, None))
        }
    };
    let (triple, cpu) = order;
    let compiled = compile(&Order { platform, triple: &triple, cpu, cross: &cross, opt_level }, sources)?;
    let bytes = fs::read(&compiled).map_err(file("read", &compiled))?;
    let object = object::read_archive(&bytes).and_then(|objects| link::link(&objects, sources.public, &LEFT_TO_C));
    let file = object.and_then(|object| Ok((object::write(&object)?, object)));
    let (file, object) = file.map_err(|reason| BenchError::Library { platform: platform.name().to_owned(), reason })?;
    let constants_bytes = object.data_bytes(|name| image::demangled(name).starts_with("model::"));
    Ok(Library {
        archive: archive::write(OBJECT, &file, sources.public),
        code_bytes: object.stored_bytes().saturating_sub(constants_bytes),
        constants_bytes,
        stack_bytes: match linker {
            Some(linker) => stack::stacks(&linker, &compiled, sources.public)?,
            None => BTreeMap::new(),
        },
    })
}

/// How a library is compiled.
struct Order<'a> {
    platform: Platform,
    triple: &'a str,
    cpu: Option<&'a str>,
    cross: &'a Cross,
    opt_level: OptLevel,
}

/// Rust's own static library of the sources, in the cache.
fn compile(order: &Order<'_>, sources: LibrarySources<'_>) -> Result<PathBuf, BenchError> {
    let networks = Sources::emitted(sources.networks);
    let folder_key = Key::new()
        .add("library")
        .add(&order.cross.compiler.version)
        .add(order.triple)
        .add(order.cpu.unwrap_or_default())
        .add(order.opt_level.argument());
    let manifest = manifest(order.opt_level);
    let key = networks.key(folder_key.clone()).add(&manifest).add(sources.interface);
    let entry = cache::entry("library", &key.finish(), |out| {
        let folder_key = folder_key.finish();
        let _lock = cache::lock("build", &folder_key)?;
        let folder = cache::root()?.join("build").join(folder_key);
        cache::create(&folder)?;
        networks.write(&folder)?;
        cache::write(&folder.join("Cargo.toml"), manifest.as_bytes())?;
        cache::write(&folder.join("lib.rs"), sources.interface.as_bytes())?;
        run_cargo(order, &folder)?;
        let built = folder.join("target").join(order.triple).join("release").join(COMPILED);
        fs::copy(&built, out.join(COMPILED)).map_err(file("copy", &built))?;
        Ok(())
    })?;
    Ok(entry.join(COMPILED))
}

fn manifest(opt_level: OptLevel) -> String {
    format!(
        "[package]\nname = \"networks\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [lib]\npath = \"lib.rs\"\ncrate-type = [\"staticlib\"]\n\n[workspace]\n\n\
         [dependencies]\nmodel = {{ path = \"model\" }}\n\n\
         [profile.release]\nopt-level = {opt_level}\nlto = \"fat\"\ncodegen-units = 1\npanic = \"abort\"\n",
        opt_level = opt_level.argument(),
    )
}

fn run_cargo(order: &Order<'_>, folder: &Path) -> Result<(), BenchError> {
    let mut flags: Vec<String> = order.cpu.iter().map(|cpu| format!("-Ctarget-cpu={cpu}")).collect();
    if let Some(sysroot) = &order.cross.sysroot {
        flags.push(format!("--sysroot={}", sysroot.display()));
    }
    let mut cargo = order.cross.compiler.cargo();
    cargo.current_dir(folder).args(["build", "--release", "--target", order.triple]);
    cargo.env("CARGO_TARGET_DIR", folder.join("target")).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    toolchain::build(cargo, &format!("the library for {}", order.platform.name()))
}
