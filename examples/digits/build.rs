//! For examples in Rust: the test digits as an array, and the linker script of `cortex-m-rt` with their `memory.x`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let digits = here.join("../digits/test");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&digits).expect("the test digits").map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    let mut text = format!("/// Ink from 0 to 1, row by row.\npub static SAMPLES: [[f32; 64]; {}] = [\n", files.len());
    for file in files {
        let pixels = fs::read_to_string(&file).expect("a readable digit").replace('\n', ",");
        writeln!(text, "    [{pixels}],").expect("a string");
    }
    text += "];\n";
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("samples.rs"), text).expect("a writable folder");
    println!("cargo:rustc-link-search={}", here.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed={}", digits.display());
    println!("cargo:rerun-if-changed=memory.x");
}
