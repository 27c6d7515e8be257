//! Builds a firmware image around an emitted network.
//!
//! The harness's source travels in this crate. An image is built from it, the emitted crate and the kernels with full
//! link-time optimisation, in a folder of the cache for each way to compile, and kept under the hash of all that it
//! was made of.

use std::fs;
use std::path::{Path, PathBuf};

use rasbora_compiler::target::{Memory, Target};

use crate::cache::{self, Key};
use crate::error::{BenchError, file};
use crate::sources::Sources;
use crate::toolchain::{self, Toolchain};
use crate::{Mode, OptLevel};

const SOURCES: [(&str, &str); 16] = [
    ("main.rs", include_str!("../firmware/main.rs")),
    ("dut.rs", include_str!("../firmware/dut.rs")),
    ("ear.rs", include_str!("../firmware/ear.rs")),
    ("protocol.rs", include_str!("../firmware/protocol.rs")),
    ("tensors.rs", include_str!("../firmware/tensors.rs")),
    ("uart.rs", include_str!("../firmware/uart.rs")),
    ("packed.rs", include_str!("../firmware/packed.rs")),
    ("damaged.rs", include_str!("../firmware/damaged.rs")),
    ("mutation.rs", MUTATION),
    ("shapes.rs", include_str!("../firmware/shapes.rs")),
    ("region.rs", include_str!("../firmware/region.rs")),
    ("files.rs", include_str!("../firmware/files.rs")),
    ("semihosting.rs", include_str!("../firmware/semihosting.rs")),
    ("stack.rs", include_str!("../firmware/stack.rs")),
    ("arm.rs", include_str!("../firmware/arm.rs")),
    ("riscv.rs", include_str!("../firmware/riscv.rs")),
];
/// How packed programs are damaged.
pub(crate) const MUTATION: &str = include_str!("../firmware/mutation.rs");
const LINKER_SCRIPT: &str = include_str!("../firmware/link.x");

/// How an image is compiled.
#[derive(Clone, Copy)]
pub(crate) struct Flavour<'a> {
    pub(crate) target: &'a Target,
    pub(crate) toolchain: &'a Toolchain,
    pub(crate) opt_level: OptLevel,
    pub(crate) mode: Mode,
}

/// What an image runs.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    /// The emitted network of this module.
    Emitted(&'a str),
    /// Packed programs of these kernels, named as `rasbora_device::ops` exports them.
    Packed(&'a [&'a str]),
    /// The same, damaged in many ways under the guard of the memory protection unit.
    Damaged(&'a [&'a str]),
    /// Layers of these kernels, drawn at random, beside the portable ones.
    Shapes(&'a [&'a str]),
    /// MLPerf Tiny's device under test around an emitted network; the text says which, as constants.
    DeviceUnderTest(&'a str),
}

/// Builds an image, or finds it in the cache.
pub(crate) fn build(flavour: Flavour<'_>, sources: &Sources, content: Content<'_>) -> Result<PathBuf, BenchError> {
    let files = generated(flavour, content);
    let folder_key = Key::new()
        .add(&flavour.toolchain.version)
        .add(flavour.target.triple)
        .add(flavour.target.cpu)
        .add(flavour.opt_level.argument());
    let key = files.iter().fold(sources.key(folder_key.clone()), |key, (name, text)| key.add(name).add(text));
    let entry = cache::entry("firmware", &key.finish(), |out| {
        // Images that are compiled alike share a folder, so that cargo finds the kernels already built.
        let folder_key = folder_key.finish();
        let _lock = cache::lock("build", &folder_key)?;
        let folder = cache::root()?.join("build").join(folder_key);
        cache::create(&folder)?;
        sources.write(&folder)?;
        for (name, text) in &files {
            cache::write(&folder.join(name), text.as_bytes())?;
        }
        compile(flavour, &folder)?;
        let built = folder.join("target").join(flavour.target.triple).join("release/firmware");
        fs::copy(&built, out.join("firmware.elf")).map_err(file("copy", &built))?;
        Ok(())
    })?;
    Ok(entry.join("firmware.elf"))
}

/// The files of the firmware's crate.
fn generated(flavour: Flavour<'_>, content: Content<'_>) -> Vec<(&'static str, String)> {
    let isa = flavour.target.isa.type_name();
    let (path, what) = match content {
        Content::Emitted(module) => ("main.rs", format!("pub use model::{module}::{{Arena, Model}};")),
        Content::DeviceUnderTest(constants) => ("dut.rs", constants.to_owned()),
        Content::Shapes(kernels) => {
            let row = |name: &&str| format!("({name:?}, crate::hold::<rasbora_device::ops::{name}>), ");
            let rows: String = kernels.iter().map(row).collect();
            let kernels = format!("pub const KERNELS: &[(&str, crate::Hold)] = &[{rows}];");
            ("shapes.rs", format!("pub use rasbora_device::isa::{isa} as Isa;\n{kernels}"))
        }
        Content::Packed(kernels) | Content::Damaged(kernels) => {
            let kernels: Vec<String> = kernels.iter().map(|name| format!("rasbora_device::ops::{name}")).collect();
            let set = format!("rasbora_device::kernel_set!(pub Kernels: {});", kernels.join(", "));
            let main = if matches!(content, Content::Packed(_)) { "packed.rs" } else { "damaged.rs" };
            (main, format!("pub use rasbora_device::isa::{isa} as Isa;\n{set}"))
        }
    };
    let manifest = format!(
        "[package]\nname = \"firmware\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [[bin]]\nname = \"firmware\"\npath = {path:?}\n\n[workspace]\n\n\
         [dependencies]\nmodel = {{ path = \"model\" }}\nrasbora-device = {{ path = \"device\" }}\n\n\
         [profile.release]\nopt-level = {opt_level}\nlto = \"fat\"\ncodegen-units = 1\npanic = \"abort\"\n",
        opt_level = flavour.opt_level.argument(),
    );
    let selected = format!(
        "//! What this image runs.\n\n{what}\n\n/// What is counted apart.\n#[allow(dead_code)]\n\
         pub const COUNTED: crate::region::Counted = crate::region::Counted::{};\n",
        flavour.mode.variant()
    );
    let fixed = SOURCES.iter().map(|&(name, text)| (name, text.to_owned()));
    let made = [("Cargo.toml", manifest), ("selected.rs", selected), ("link.x", linker_script(flavour.target))];
    fixed.chain(made).collect()
}

/// The linker script: the target's memories, and where sections go.
fn linker_script(target: &Target) -> String {
    let region = |name: &str, memory: Memory| {
        format!("  {name} : ORIGIN = {:#010x}, LENGTH = {:#x}\n", memory.origin, memory.bytes)
    };
    let constants = target.board.and_then(|board| board.constants);
    let mut text = String::from("MEMORY\n{\n");
    text += &region("FLASH", target.flash);
    text += &region("RAM", target.ram);
    text += &constants.map_or(String::new(), |memory| region("CONSTANTS", memory));
    text += "}\n\n";
    if constants.is_none() {
        text += "REGION_ALIAS(\"CONSTANTS\", FLASH);\n\n";
    }
    text + LINKER_SCRIPT
}

fn compile(flavour: Flavour<'_>, folder: &Path) -> Result<(), BenchError> {
    let Flavour { target, toolchain, .. } = flavour;
    let mut flags = vec![
        "-Clinker-flavor=ld.lld".to_owned(),
        format!("-Clinker={}", toolchain.linker.display()),
        format!("-Clink-arg=-T{}", folder.join("link.x").display()),
        "-Clink-arg=--gc-sections".to_owned(),
        format!("-Ctarget-cpu={}", target.cpu),
    ];
    if let Some(sysroot) = &toolchain.sysroot {
        flags.push(format!("--sysroot={}", sysroot.display()));
    }
    let mut cargo = toolchain.compiler().cargo();
    cargo.current_dir(folder).args(["build", "--release", "--target", target.triple]);
    cargo.env("CARGO_TARGET_DIR", folder.join("target")).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    match toolchain::build(cargo, &format!("firmware for {}", target.name)) {
        Err(BenchError::Build { what, output }) => Err(match overflow(&output) {
            Some(detail) => BenchError::DoesNotFit { target: target.name.to_owned(), detail },
            None => BenchError::Build { what, output },
        }),
        other => other,
    }
}

/// What the linker says where memory does not suffice.
fn overflow(output: &str) -> Option<String> {
    let is_overflow = |line: &&str| line.contains("will not fit in region") || line.contains("left for the stack");
    let mut lines: Vec<_> = output.lines().filter(is_overflow).map(str::trim).collect();
    lines.dedup();
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rasbora_compiler::target;

    #[test]
    fn the_linker_script_names_the_memories() {
        let script = linker_script(target::find("cortex-m4").unwrap());
        assert!(script.contains("RAM : ORIGIN = 0x20000000, LENGTH = 0x400000"), "{script}");
        assert!(script.contains("REGION_ALIAS(\"CONSTANTS\", FLASH)"));
        let script = linker_script(target::find("cortex-m55").unwrap());
        assert!(script.contains("CONSTANTS : ORIGIN = 0x60000000"), "{script}");
        assert!(!script.contains("REGION_ALIAS"));
    }

    #[test]
    fn overflows_are_told_from_other_errors() {
        let line = "rust-lld: error: section '.bss' will not fit in region 'RAM': overflowed by 12 bytes";
        assert_eq!(overflow(&format!("= note: x\n   {line}\n")).as_deref(), Some(line));
        assert_eq!(overflow("error: expected `;`"), None);
    }
}
