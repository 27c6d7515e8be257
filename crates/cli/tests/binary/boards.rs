//! Commands that build firmware and run it on an emulated board; skipped, with the reason, where tools are missing.

use std::fs;
use std::path::Path;

use crate::ran::{digits, rasbora};

/// Whether firmware can be built and run here; says why not.
fn emulates() -> bool {
    let doctor = rasbora(&["doctor"]);
    if doctor.code != Some(0) {
        eprintln!("skipped, for rasbora doctor finds something missing:\n{}", doctor.out);
    }
    doctor.code == Some(0)
}

#[test]
fn a_board_gives_the_bytes_of_this_machine() {
    if !emulates() {
        return;
    }
    let (model, input) = (digits("digits.tflite"), digits("test/00.csv"));
    let host = rasbora(&["run", &model, "--input", &input, "--json"]).object();
    let board = rasbora(&["run", &model, "--input", &input, "--on", "cortex-m4", "--json"]);
    assert_eq!(board.code, Some(0), "{}", board.err);
    assert_eq!(board.object()["outputs"], host["outputs"]);
    let diff = rasbora(&["diff", &model, "--input", &input, "--against", "cortex-m4", "--json"]);
    assert_eq!(diff.code, Some(0), "{}", diff.err);
    assert_eq!(diff.object()["equal"], true);
}

#[test]
fn a_profile_counts_the_whole_and_its_layers() {
    if !emulates() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("elf");
    let model = digits("digits.tflite");
    let ran = rasbora(&["profile", &model, "--on", "cortex-m4", "--keep", keep.to_str().unwrap(), "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let object = ran.object();
    for figure in ["/instructions", "/cycles", "/arena_bytes", "/stack_bytes", "/flash/code", "/flash/constants"] {
        assert!(object.pointer(figure).and_then(|value| value.as_u64()) > Some(0), "{figure}");
    }
    assert_eq!(object["sources"]["instructions"], "counted");
    assert_eq!(object["sources"]["cycles"], "modelled: cortex-m4");
    let layers = object["layers"].as_array().unwrap();
    let sum: u64 = layers.iter().filter_map(|layer| layer["instructions"].as_u64()).sum();
    let whole = object["instructions"].as_u64().unwrap();
    assert!(sum.abs_diff(whole) * 50 < whole, "layers {sum}, whole {whole}");
    let macs: u64 = layers.iter().filter_map(|layer| layer["macs_model"].as_u64()).sum();
    assert_eq!(Some(macs), rasbora(&["check", &model, "--json"]).object()["macs"].as_u64());
    let check = rasbora(&["check", &model, "--target", "cortex-m4", "--json"]).object();
    let (flash, ram) = (check["targets"][0]["flash_bytes"].as_u64(), check["targets"][0]["ram_bytes"].as_u64());
    let counted = |figure: &str| object.pointer(figure).and_then(|value| value.as_u64()).unwrap();
    assert!(flash >= Some(counted("/flash/total")), "the estimate of the flash is an upper one");
    assert!(ram >= Some(counted("/arena_bytes") + counted("/stack_bytes")), "so is that of the RAM");
    assert!(fs::read(Path::new(object["elf"].as_str().unwrap())).unwrap().starts_with(b"\x7fELF"));
}
