//! The interpreter as a WebAssembly module, with 128-bit vectors, by the Rust toolchain that is found.

use std::fs;

use rasbora_compiler::emit::interpreter;

use crate::cache::{self, Key};
use crate::error::{BenchError, file};
use crate::sources::Sources;
use crate::toolchain::{self, Toolchain};

const TRIPLE: &str = "wasm32-unknown-unknown";

const MANIFEST: &str = "[package]\nname = \"wasm\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
     [lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\"]\n\n[workspace]\n\n\
     [dependencies]\nmodel = { path = \"model\" }\n\n\
     [profile.release]\nopt-level = 3\nlto = \"fat\"\ncodegen-units = 1\npanic = \"abort\"\nstrip = true\n";

/// Builds the module whose functions are `interface`, or finds it in the cache.
///
/// # Errors
/// Where something is not installed, or the module does not build.
pub fn wasm_module(interface: &str) -> Result<Vec<u8>, BenchError> {
    let toolchain = Toolchain::find(TRIPLE)?;
    let sources = Sources::emitted(&interpreter::sources());
    let key = sources.key(Key::new().add("wasm").add(&toolchain.version)).add(MANIFEST).add(interface);
    let entry = cache::entry("wasm", &key.finish(), |out| {
        let _lock = cache::lock("build", "wasm")?;
        let folder = cache::root()?.join("build").join("wasm");
        cache::create(&folder)?;
        sources.write(&folder)?;
        cache::write(&folder.join("Cargo.toml"), MANIFEST.as_bytes())?;
        cache::write(&folder.join("lib.rs"), interface.as_bytes())?;
        let mut flags = vec![
            "-Ctarget-feature=+simd128".to_owned(),
            "-Clinker-flavor=wasm-ld".to_owned(),
            format!("-Clinker={}", toolchain.linker.display()),
        ];
        flags.extend(toolchain.sysroot.iter().map(|sysroot| format!("--sysroot={}", sysroot.display())));
        let mut cargo = toolchain.compiler().cargo();
        cargo.current_dir(&folder).args(["build", "--release", "--target", TRIPLE]);
        cargo.env("CARGO_TARGET_DIR", folder.join("target")).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        toolchain::build(cargo, "the WebAssembly module")?;
        let built = folder.join("target").join(TRIPLE).join("release/wasm.wasm");
        fs::copy(&built, out.join("rasbora.wasm")).map_err(file("copy", &built))?;
        Ok(())
    })?;
    let module = entry.join("rasbora.wasm");
    fs::read(&module).map_err(file("read", &module))
}
