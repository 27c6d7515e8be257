//! The header by itself: plain C99 and C++, its constants, its codes.

use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::{Case, compile};
use rasbora_bench::{LibrarySources, OptLevel, Platform, library};
use rasbora_compiler::emit::{c, rust};
use rasbora_compiler::target::InstructionSet;

use crate::library::{Model, build, sources, succeed};

const WARNINGS: [&str; 5] = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion"];

pub fn digits() -> Model {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.tflite");
    let model = std::fs::read(file).expect("the digits model");
    let program = compile(&model, InstructionSet::Portable).expect("a supported model");
    Model {
        name: "digits".into(),
        case: Case { name: "digits".into(), model, calls: Vec::new() },
        program,
        isa: InstructionSet::Portable,
    }
}

/// The library of the digits model for this machine.
pub fn built(folder: &Path) -> (Model, PathBuf) {
    let model = digits();
    let place = folder.join("digits");
    build(&place, "digits", &[&model], Platform::Host, OptLevel::Size);
    (model, place)
}

#[test]
fn the_header_is_plain_c_and_c_plus_plus() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, place) = built(folder.path());
    let header = place.join("include/digits.h");
    for (compiler, language, standard) in
        [("cc", "c", "-std=c99"), ("cc", "c", "-std=c17"), ("c++", "c++", "-std=c++98"), ("c++", "c++", "-std=c++20")]
    {
        let mut command = Command::new(compiler);
        command.args([standard, "-fsyntax-only", "-Wno-long-long", "-x", language]).args(WARNINGS).arg(&header);
        succeed(&mut command);
    }
}

#[test]
fn misuse_is_a_code_and_helpers_quantise_as_rust_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, place) = built(folder.path());
    let reals: Vec<f32> = (-700..700).map(|i| i as f32 * 0.031_25).chain([1e30, -1e30]).collect();
    let list: Vec<String> = reals.iter().map(|real| format!("{real:e}f")).collect();
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-O1"]).args(WARNINGS).arg(format!("-DREALS={}", list.join(","))).arg("-I");
    cc.arg(place.join("include")).arg(sources().join("check.c")).arg(place.join("lib/libdigits.a"));
    succeed(cc.arg("-o").arg(folder.path().join("check")));
    let printed = succeed(&mut Command::new(folder.path().join("check")));
    let found: Vec<&str> = printed.split_whitespace().collect();
    let quantisation = model.program.inputs[0].quantisation.as_ref().and_then(|it| it.single());
    let (scale, zero_point) = quantisation.expect("a quantised input");
    let info = rasbora_device::network::TensorInfo {
        name: "",
        shape: &[],
        dtype: rasbora_device::program::DType::I8,
        scale,
        zero_point,
    };
    let integers = reals.iter().map(|&real| info.quantise(real).to_string());
    let floats = (-128..128).map(|integer| info.dequantise(integer));
    assert_eq!(found.len(), reals.len() + 256, "{printed}");
    assert!(integers.zip(&found).all(|(expected, found)| expected == *found), "{printed}");
    for (expected, found) in floats.zip(&found[reals.len()..]) {
        assert_eq!(found.parse::<f32>().ok(), Some(expected));
    }
}

#[test]
fn only_the_public_functions_are_visible() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, place) = built(folder.path());
    let library = place.join("lib/libdigits.a");
    let names = |option: &str| -> Vec<String> {
        let text = succeed(Command::new("nm").args(["-P", "-g", option]).arg(&library));
        let words = text.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
        words.filter(|word| !word.contains('[')).collect()
    };
    let network = c::Network { name: "digits", program: &model.program, sha256: "", stack_bytes: None };
    let mut public = network.functions();
    public.sort();
    assert_eq!(names("--defined-only"), public);
    let needed = names("--undefined-only");
    assert!(needed.iter().all(|name| ["memcpy", "memmove", "memset"].contains(&name.as_str())), "{needed:?}");
    let sections = succeed(Command::new("objdump").arg("-h").arg(&library));
    assert!(![".init", ".ctors"].iter().any(|constructors| sections.contains(constructors)), "{sections}");
}

#[test]
fn code_that_panics_is_refused() {
    let Model { name, program, .. } = digits();
    let networks = rust::emit(&[rust::Named { name: &name, program: &program, isa: "Portable" }]).expect("a name");
    let described = c::Network { name: &name, program: &program, sha256: "", stack_bytes: None };
    let interface = c::interface(&[described])
        + "#[unsafe(no_mangle)]\nextern \"C\" fn digits_third(index: usize) -> u8 {\n    [1, 2, 3][index]\n}\n";
    let public = ["digits_third".to_owned()];
    let sources = LibrarySources { networks: &networks, interface: &interface, public: &public };
    let error = library(Platform::Host, sources, OptLevel::Size).expect_err("it panics").to_string();
    assert!(error.contains("code that panics"), "{error}");
}
