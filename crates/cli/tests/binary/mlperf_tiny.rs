//! `rasbora bench mlperf-tiny` as a user runs it; what needs the reference models is among the conformance tests.

use std::fs;

use crate::ran::{digits, rasbora};

#[test]
fn models_that_are_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().to_str().unwrap();
    let ran = rasbora(&["bench", "mlperf-tiny", "--models", models, "--json"]);
    assert_eq!(ran.failed(), (Some(3), "not_found".into()));
    for name in ["kws_ref_model.tflite", "vww_96_int8.tflite", "ad01_int8.tflite"] {
        assert!(ran.err.contains(name), "{}", ran.err);
    }
}

#[test]
fn a_wrong_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(digits("digits.tflite"), folder.path().join("kws_ref_model.tflite")).unwrap();
    let models = folder.path().to_str().unwrap();
    let ran = rasbora(&["bench", "mlperf-tiny", "--models", models, "--json"]);
    assert_eq!(ran.failed(), (Some(3), "wrong_model".into()));
    assert!(ran.err.contains("kws01") && ran.err.contains("490"), "{}", ran.err);
}

#[test]
fn what_makes_no_sense_is_usage() {
    for arguments in [
        ["--benchmarks", "kws02"].as_slice(),
        &["--on", "cortex-m44"],
        &["--mode", "energy"],
        &["--pty", "--output", "x"],
        &["--clock", "0"],
    ] {
        let line: Vec<&str> = ["bench", "mlperf-tiny"].iter().chain(arguments).copied().collect();
        assert_eq!(rasbora(&line).code, Some(2), "{arguments:?}");
    }
}
