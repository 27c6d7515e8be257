//! Finds a Rust compiler and a linker for bare-metal images.
//!
//! Two routes lead to a core library. A toolchain of rustup has it where the user added the target. A compiler that
//! comes with the library's source (Debian's `rustc-web` with `rust-web-src`, rustup's component `rust-src`) builds it
//! once into the cache; cargo does not notice when a sysroot changes, so everything is keyed on the compiler.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{self, Key};
use crate::error::{BenchError, file};

/// A compiler that makes code for one architecture, and its linker.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// The compiler.
    pub rustc: PathBuf,
    /// The cargo that goes with it.
    pub cargo: PathBuf,
    /// The built core library, where the compiler does not bring one.
    pub sysroot: Option<PathBuf>,
    /// The linker.
    pub linker: PathBuf,
    /// What the compiler says of itself (`rustc -vV`).
    pub version: String,
}

/// A compiler, before it is known what it can build.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: PathBuf,
    pub(crate) version: String,
}

/// Where Debian installs `rustc`, should another one come first in `PATH`.
const SYSTEM_FOLDER: &str = "/usr/bin";

/// The compiler in `PATH`, and the system's where that is another.
pub(crate) fn compilers() -> Vec<Compiler> {
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let system = Path::new(SYSTEM_FOLDER);
    let candidates = [(rustc, PathBuf::from("cargo")), (system.join("rustc"), system.join("cargo"))];
    let mut found: Vec<Compiler> = Vec::new();
    for (rustc, cargo) in candidates {
        let Some(version) = answer(Command::new(&rustc).arg("-vV")) else { continue };
        if answer(Command::new(&cargo).arg("--version")).is_some() && found.iter().all(|it| it.version != version) {
            found.push(Compiler { rustc, cargo, version });
        }
    }
    found
}

/// This machine's architecture, as the first compiler calls it.
pub(crate) fn host() -> Option<String> {
    compilers().first()?.host().map(str::to_owned)
}

/// What a command prints, if it succeeds.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// The file `program` of a folder in `PATH`.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let program = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(&program)).find(|path| path.is_file())
}

/// How a compiler comes by a core library for an architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// It is installed.
    Installed(PathBuf),
    /// Its source is.
    Source(PathBuf),
}

impl Compiler {
    /// Where the core library of `triple` comes from, if it can be had.
    pub(crate) fn core(&self, triple: &str) -> Option<Core> {
        let library = self.print(&["--print", "target-libdir", "--target", triple])?;
        let is_core = |name: OsString| name.to_string_lossy().starts_with("libcore-");
        let mut names = fs::read_dir(&library).into_iter().flatten().flatten().map(|entry| entry.file_name());
        if names.any(is_core) {
            return Some(Core::Installed(library.into()));
        }
        let sysroot = PathBuf::from(self.print(&["--print", "sysroot"])?);
        let source = sysroot.join("lib/rustlib/src/rust/library");
        source.join("core/Cargo.toml").is_file().then_some(Core::Source(source))
    }

    fn print(&self, arguments: &[&str]) -> Option<String> {
        answer(Command::new(&self.rustc).args(arguments))
    }

    fn host(&self) -> Option<&str> {
        self.version.lines().find_map(|line| line.strip_prefix("host: "))
    }

    /// The folder of tools that rustup installs beside a compiler.
    fn tools(&self) -> Option<PathBuf> {
        let host = self.host()?;
        let sysroot = PathBuf::from(self.print(&["--print", "sysroot"])?);
        Some(sysroot.join("lib/rustlib").join(host).join("bin"))
    }

    /// A cargo that builds with this compiler, and that no setting of a surrounding build disturbs.
    pub(crate) fn cargo(&self) -> Command {
        const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_"];
        let mut command = Command::new(&self.cargo);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let set_by_a_build = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
            if set_by_a_build || name.starts_with("RUSTFLAGS") || name.starts_with("RUSTC") {
                command.env_remove(name);
            }
        }
        command.env("RUSTC", &self.rustc);
        command
    }
}

/// A compiler with a core library for one architecture.
pub(crate) struct Cross {
    pub(crate) compiler: Compiler,
    /// The built core library, where the compiler does not bring one.
    pub(crate) sysroot: Option<PathBuf>,
}

impl Cross {
    /// As [`Toolchain::find`], for what needs no linker.
    pub(crate) fn find(triple: &str) -> Result<Self, BenchError> {
        let (compiler, core) = choose(&compilers(), triple)?;
        Self::new(compiler, &core, triple)
    }

    /// As [`Toolchain::find`]: with the linker.
    pub(crate) fn with_linker(triple: &str) -> Result<(Self, PathBuf), BenchError> {
        let compilers = compilers();
        let (compiler, core) = choose(&compilers, triple)?;
        let linker = linker(&compilers).ok_or_else(|| BenchError::NoLinker {
            looked: linker_candidates(&compilers).join(", "),
            apt: "apt install lld".to_owned(),
        })?;
        Ok((Self::new(compiler, &core, triple)?, linker))
    }

    fn new(compiler: Compiler, core: &Core, triple: &str) -> Result<Self, BenchError> {
        let sysroot = match core {
            Core::Installed(_) => None,
            Core::Source(source) => Some(build_core(&compiler, source, triple)?),
        };
        Ok(Self { compiler, sysroot })
    }
}

/// The compiler that serves for `triple` with the least work.
fn choose(compilers: &[Compiler], triple: &str) -> Result<(Compiler, Core), BenchError> {
    let installed = |core: &Option<Core>| matches!(core, Some(Core::Installed(_)));
    let choices: Vec<_> = compilers.iter().map(|compiler| (compiler, compiler.core(triple))).collect();
    let choice = choices.iter().find(|(_, core)| installed(core)).or(choices.iter().find(|it| it.1.is_some()));
    match choice {
        Some((compiler, Some(core))) => Ok(((*compiler).clone(), core.clone())),
        _ => Err(missing(triple, compilers)),
    }
}

impl Toolchain {
    /// A compiler, a core library and a linker for `triple`; builds the core library if it must (about half a minute,
    /// once).
    ///
    /// # Errors
    /// Where something is not installed, with the lines that install it; or the core library cannot be built.
    pub fn find(triple: &str) -> Result<Self, BenchError> {
        let (Cross { compiler, sysroot }, linker) = Cross::with_linker(triple)?;
        let Compiler { rustc, cargo, version } = compiler;
        Ok(Self { rustc, cargo, sysroot, linker, version })
    }

    pub(crate) fn compiler(&self) -> Compiler {
        Compiler { rustc: self.rustc.clone(), cargo: self.cargo.clone(), version: self.version.clone() }
    }
}

/// The lines that install a compiler for `triple`: rustup's and Debian's.
pub(crate) fn install_lines(triple: &str) -> (String, String) {
    (format!("rustup target add {triple}"), "apt install rustc-web cargo-web rust-web-src".to_owned())
}

/// What is said where there is no compiler at all.
pub(crate) fn no_compiler() -> BenchError {
    missing("this machine", &[])
}

fn missing(triple: &str, compilers: &[Compiler]) -> BenchError {
    let name = |it: &Compiler| format!("{} ({})", it.rustc.display(), it.version.lines().next().unwrap_or_default());
    let looked: Vec<_> = compilers.iter().map(name).collect();
    let looked = if looked.is_empty() { "no rustc was found".to_owned() } else { looked.join(", ") };
    let (rustup, apt) = install_lines(triple);
    BenchError::NoToolchain { triple: triple.to_owned(), looked, rustup, apt }
}

/// A linker: rustup's, else one in `PATH`.
pub(crate) fn linker(compilers: &[Compiler]) -> Option<PathBuf> {
    let suffix = std::env::consts::EXE_SUFFIX;
    let bundled = compilers.iter().filter_map(Compiler::tools).map(|tools| tools.join(format!("rust-lld{suffix}")));
    bundled.into_iter().find(|path| path.is_file()).or_else(|| in_path("rust-lld")).or_else(|| in_path("ld.lld"))
}

fn linker_candidates(compilers: &[Compiler]) -> Vec<String> {
    let bundled = compilers.iter().filter_map(Compiler::tools).map(|it| it.join("rust-lld").display().to_string());
    bundled.chain(["rust-lld in PATH".to_owned(), "ld.lld in PATH".to_owned()]).collect()
}

/// Builds core and the compiler's built-in functions for `triple` from their source; returns the sysroot.
fn build_core(compiler: &Compiler, source: &Path, triple: &str) -> Result<PathBuf, BenchError> {
    // The crates are built by path, as dependencies of an empty one: cargo's own `-Zbuild-std` resolves all of the
    // standard library's workspace first, for which it needs the network.
    let manifest = format!(
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n[workspace]\n\n\
         [dependencies]\ncore = {{ path = {core:?} }}\n\
         compiler_builtins = {{ path = {builtins:?}, features = [\"mem\", \"compiler-builtins\"] }}\n\n\
         [profile.release]\npanic = \"abort\"\ncodegen-units = 1\n",
        core = source.join("core"),
        builtins = source.join("compiler-builtins/compiler-builtins"),
    );
    let key = Key::new().add(&compiler.version).add(triple).add(&manifest).finish();
    cache::entry("sysroot", &format!("{triple}-{key}"), |folder| {
        let work = tempfile::tempdir().map_err(file("create", std::env::temp_dir()))?;
        cache::write(&work.path().join("Cargo.toml"), manifest.as_bytes())?;
        cache::write(&work.path().join("lib.rs"), b"#![no_std]\n")?;
        let mut cargo = compiler.cargo();
        cargo.current_dir(work.path()).args(["build", "--release", "--target", triple]);
        cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", work.path().join("target"));
        // Bitcode is what link-time optimisation reads; the mark makes core's unstable parts usable as they are.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Cembed-bitcode=yes\u{1f}-Zforce-unstable-if-unmarked");
        build(cargo, &format!("the core library for {triple}"))?;
        let out = folder.join("lib/rustlib").join(triple).join("lib");
        cache::create(&out)?;
        let built = work.path().join("target").join(triple).join("release/deps");
        for name in fs::read_dir(&built).map_err(file("read", &built))?.flatten().map(|entry| entry.file_name()) {
            let text = name.to_string_lossy();
            if text.ends_with(".rlib") && (text.starts_with("libcore-") || text.starts_with("libcompiler_builtins-")) {
                fs::copy(built.join(&name), out.join(&name)).map_err(file("copy", built.join(&name)))?;
            }
        }
        Ok(())
    })
}

/// Runs a cargo command: without the network, and with it only if that is what fails.
pub(crate) fn build(mut cargo: Command, what: &str) -> Result<(), BenchError> {
    let failed = |output: String| BenchError::Build { what: what.to_owned(), output };
    cargo.env("CARGO_NET_OFFLINE", "true");
    let mut output = cargo.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("offline") {
        cargo.env("CARGO_NET_OFFLINE", "false");
        output = cargo.output().map_err(|error| failed(error.to_string()))?;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    match missing_linker(&said) {
        _ if output.status.success() => Ok(()),
        Some(program) => Err(BenchError::NotInstalled {
            program: program.to_owned(),
            help: format!("rustc links by it what runs here; install it with: {LINKER_LINE}"),
        }),
        None => Err(failed(said.into_owned())),
    }
}

/// The linker of this machine's programs, and the line that installs it on Debian.
pub(crate) const LINKER: &str = "cc";
pub(crate) const LINKER_LINE: &str = "apt install gcc";

/// The linker that rustc says it lacks.
fn missing_linker(said: &str) -> Option<&str> {
    let (_, name) = said.split_once("error: linker `")?;
    name.split_once("` not found").map(|(name, _)| name)
}
