//! What is installed of that which measuring needs, and how to get the rest.

use std::path::Path;
use std::process::Command;

use rasbora_compiler::target::TARGETS;
use serde::Serialize;

use crate::toolchain::{self, Core};

/// One thing that measuring needs.
#[derive(Clone, Debug, Serialize)]
pub struct Need {
    /// What it is.
    pub what: String,
    /// Its version or place, if it was found.
    pub found: Option<String>,
    /// What cannot be done without it.
    pub needed_for: String,
    /// Whether rasbora itself does without it.
    pub optional: bool,
    /// The lines that install it.
    pub how_to_get: Vec<String>,
}

/// C compilers for firmware, and the Debian packages that bring them.
const C_COMPILERS: [(&str, &str, &str); 2] = [
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi", "C firmware for the Cortex-M boards"),
    ("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf", "C firmware for the RISC-V board"),
];

/// Looks for everything that building and running firmware needs; changes nothing.
pub fn doctor() -> Vec<Need> {
    let compilers = toolchain::compilers();
    let mut needs = vec![Need {
        what: "rustc and cargo".to_owned(),
        found: compilers.first().and_then(|it| it.version.lines().next()).map(str::to_owned),
        needed_for: "building firmware, C libraries and the counting plugin".to_owned(),
        optional: false,
        how_to_get: vec!["https://rustup.rs".to_owned(), "apt install rustc-web cargo-web rust-web-src".to_owned()],
    }];
    let mut triples: Vec<_> = TARGETS.iter().filter(|it| it.board.is_some()).map(|target| target.triple).collect();
    triples.sort_unstable();
    triples.dedup();
    for triple in triples {
        let names = TARGETS.iter().filter(|it| it.triple == triple && it.board.is_some()).map(|target| target.name);
        let found = compilers.iter().find_map(|compiler| {
            Some(match compiler.core(triple)? {
                Core::Installed(library) => library.display().to_string(),
                Core::Source(source) => format!("built from {}", source.display()),
            })
        });
        let (rustup, apt) = toolchain::install_lines(triple);
        needs.push(Need {
            what: format!("Rust's core library for {triple}"),
            found,
            needed_for: format!("firmware and C libraries for {}", names.collect::<Vec<_>>().join(", ")),
            optional: false,
            how_to_get: vec![rustup, apt],
        });
    }
    needs.push(Need {
        what: "a linker".to_owned(),
        found: toolchain::linker(&compilers).map(|path| path.display().to_string()),
        needed_for: "firmware for every board".to_owned(),
        optional: false,
        how_to_get: vec!["rustup toolchain install stable".to_owned(), "apt install lld".to_owned()],
    });
    needs.push(Need {
        what: toolchain::LINKER.to_owned(),
        found: toolchain::in_path(toolchain::LINKER).and_then(|path| version(&path)),
        needed_for: "what runs here while firmware and C libraries are built".to_owned(),
        optional: false,
        how_to_get: vec![toolchain::LINKER_LINE.to_owned()],
    });
    needs.push(emulator("qemu-system-arm"));
    needs.push(emulator("qemu-system-riscv32"));
    needs.extend(C_COMPILERS.map(|(program, packages, needed_for)| Need {
        what: program.to_owned(),
        found: toolchain::in_path(program).and_then(|path| version(&path)),
        needed_for: needed_for.to_owned(),
        optional: true,
        how_to_get: vec![format!("apt install {packages}")],
    }));
    needs
}

fn emulator(program: &str) -> Need {
    let names = TARGETS.iter().filter(|it| it.board.is_some_and(|board| board.emulator == program));
    Need {
        what: program.to_owned(),
        found: toolchain::in_path(program).and_then(|path| version(&path)),
        needed_for: format!("running {}", names.map(|it| it.name).collect::<Vec<_>>().join(", ")),
        optional: false,
        how_to_get: vec![emulator_line(program).to_owned()],
    }
}

fn version(path: &Path) -> Option<String> {
    let text = toolchain::answer(Command::new(path).arg("--version"))?;
    text.lines().next().map(str::to_owned)
}

/// The line that installs an emulator on Debian.
pub(crate) fn emulator_line(program: &str) -> &'static str {
    if program == "qemu-system-riscv32" { "apt install qemu-system-misc" } else { "apt install qemu-system-arm" }
}
