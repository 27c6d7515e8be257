//! Debian packages that the emulated boards, the tests and the examples need: found missing, announced, installed.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::workspace::run;

/// A package and how to see that what it brings is there.
struct Package {
    name: &'static str,
    present: fn() -> bool,
}

/// The emulators, and a cross toolchain.
const BOARDS: &[Package] = &[
    Package { name: "qemu-system-arm", present: || runs("qemu-system-arm") },
    Package { name: "qemu-system-misc", present: || runs("qemu-system-riscv32") },
    Package { name: "rustc-web", present: || has_rustup_targets() || Path::new("/usr/bin/rustc").exists() },
    Package { name: "cargo-web", present: || has_rustup_targets() || Path::new("/usr/bin/cargo").exists() },
    Package {
        name: "rust-web-src",
        present: || {
            has_rustup_targets() || Path::new("/usr/lib/rustlib/src/rust/library/core").exists() || debian_source()
        },
    },
];

/// What the tests' oracles need besides.
const ORACLES: &[Package] = &[Package {
    name: "python3-venv",
    present: || succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])),
}];

/// What C firmware needs besides, on the boards and on this machine.
const C: &[Package] = &[
    Package { name: "gcc-arm-none-eabi", present: || runs("arm-none-eabi-gcc") },
    Package { name: "libnewlib-arm-none-eabi", present: || Path::new("/usr/lib/arm-none-eabi/newlib").exists() },
    Package { name: "gcc-riscv64-unknown-elf", present: || runs("riscv64-unknown-elf-gcc") },
    Package { name: "g++", present: || runs("c++") },
    Package { name: "cmake", present: || runs("cmake") },
    Package { name: "make", present: || runs("make") },
];

/// What downloads the reference models.
const DOWNLOAD: &[Package] = &[Package { name: "curl", present: || runs("curl") }];

/// What runs WebAssembly, and what checks the types of its wrapper.
const NODE: &[Package] = &[
    Package { name: "nodejs", present: || runs("node") },
    Package { name: "node-typescript", present: || runs("tsc") },
];

/// Targets without which rustup's toolchain does not serve: the emulated boards'.
const TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

/// Installs what the emulated boards need and this machine lacks.
pub fn for_boards() -> Result<()> {
    install(BOARDS.iter())
}

/// Installs what the oracles need and this machine lacks.
pub fn for_oracles() -> Result<()> {
    install(ORACLES.iter())
}

/// Installs what the tests need and this machine lacks.
pub fn for_tests() -> Result<()> {
    install(BOARDS.iter().chain(ORACLES).chain(C).chain(DOWNLOAD).chain(NODE))
}

/// Installs what the examples need and this machine lacks.
pub fn for_examples() -> Result<()> {
    install(BOARDS.iter().chain(C))
}

fn install<'a>(packages: impl Iterator<Item = &'a Package>) -> Result<()> {
    let missing: Vec<&str> = packages.filter(|package| !(package.present)()).map(|package| package.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    let Some(mut apt) = privileged() else {
        bail!(
            "these packages are missing: {}\ninstall them as root, then run this again:\n    {line}",
            missing.join(", ")
        );
    };
    eprintln!("installing what is missing: {}", missing.join(", "));
    run(apt().args(["update", "--quiet=2"]))?;
    run(apt().args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(&missing))
}

/// How to run apt-get as root; none where this user may not.
fn privileged() -> Option<Box<dyn FnMut() -> Command>> {
    if !runs("apt-get") {
        return None;
    }
    let quiet = |mut command: Command| {
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if root {
        return Some(Box::new(move || quiet(Command::new("apt-get"))));
    }
    if succeeds(Command::new("sudo").args(["--non-interactive", "true"])) {
        return Some(Box::new(move || {
            let mut sudo = Command::new("sudo");
            sudo.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
            quiet(sudo)
        }));
    }
    None
}

fn has_rustup_targets() -> bool {
    TARGETS.iter().all(|target| {
        let output = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
        output.is_ok_and(|output| {
            let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            std::fs::read_dir(folder).is_ok_and(|mut files| {
                files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
            })
        })
    })
}

fn debian_source() -> bool {
    Path::new("/usr/lib/rustlib/src").exists()
}

fn runs(program: &str) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
