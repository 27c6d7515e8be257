//! `rasbora interpreter`: what it writes, and what it does not take.

use std::fs;

use crate::ran::{digits, rasbora};

#[test]
fn an_interpreter_has_the_kernels_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let model = digits("digits.tflite");
    let out = path("host");
    let ran =
        rasbora(&["interpreter", "--ops-of", &model, "--ops", "pad,Copy", "--target", "host", "-o", &out, "--json"]);
    let object = ran.object();
    let kernels = object["kernels"].as_array().unwrap();
    assert!(kernels.contains(&"Pad".into()) && kernels.contains(&"Copy".into()) && kernels.contains(&"Conv2d".into()));
    assert!(object["library"]["code_bytes"].as_u64().unwrap() > 1000);
    let header = fs::read_to_string(path("host/include/rasbora.h")).unwrap();
    assert!(header.contains("  32 Pad") && !header.contains('@'), "{header}");
    assert!(fs::read(path("host/lib/librasbora.a")).unwrap().starts_with(b"!<arch>\n"));
}

#[test]
fn the_kernels_of_packed_programs_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let model = digits("digits.tflite");
    let packed =
        rasbora(&["compile", &model, "--emit", "packed", "--target", "cortex-m4", "-o", &path("packed"), "--json"]);
    assert_eq!(packed.code, Some(0), "{}", packed.err);
    let program = path("packed/digits.rasbora");
    let kernels = |of: &str, target: &str| {
        let ran = rasbora(&["interpreter", "--ops-of", of, "--target", target, "-o", &path("out"), "--json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.object()["kernels"].clone()
    };
    assert_eq!(kernels(&program, "cortex-m4"), kernels(&model, "cortex-m4"));
    assert!(folder.path().join("out/lib/cmake/rasbora/rasbora-config.cmake").is_file());

    let bytes = fs::read(&program).unwrap();
    fs::write(path("short.rasbora"), &bytes[..bytes.len() - 1]).unwrap();
    let ran = rasbora(&[
        "interpreter",
        "--ops-of",
        &path("short.rasbora"),
        "--target",
        "cortex-m4",
        "-o",
        &path("none"),
        "--json",
    ]);
    assert_eq!(ran.failed(), (Some(3), "malformed".into()));
    assert!(ran.err.contains("--emit packed") && !folder.path().join("none").exists(), "{}", ran.err);
}

#[test]
fn what_makes_no_sense_is_usage_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").to_str().unwrap().to_owned();
    let model = digits("digits.tflite");
    for (arguments, said) in [
        (&["--ops-of", &model][..], "--target"),
        (&["--target", "host"], "--ops"),
        (&["--ops", "Conv3d", "--target", "host"], "Conv2d"),
        (&["--ops", "all", "--target", "cortexm4"], "cortex-m4"),
        (&["--ops", "all", "--target", "wasm", "--optimise", "size"], "C library"),
    ] {
        let ran = rasbora(&[&["interpreter", "-o", &out], arguments].concat());
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
    assert!(!folder.path().join("out").exists());
}
