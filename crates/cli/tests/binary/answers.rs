//! What the commands answer.

use std::fs;

use crate::ran::{command, digits, finished, rasbora};

#[test]
fn check_tells_what_a_model_needs() {
    let object = rasbora(&["check", &digits("digits.tflite"), "--json"]).object();
    assert_eq!(object["command"], "check");
    assert_eq!(object["model"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(object["inputs"][0]["shape"], serde_json::json!([1, 8, 8, 1]));
    assert_eq!(object["inputs"][0]["dtype"], "int8");
    assert_eq!(object["inputs"][0]["zero_point"], -128);
    assert!(object["inputs"][0]["scale"].is_f64() && object["inputs"][0]["index"].is_u64());
    assert_eq!(object["outputs"][0]["shape"], serde_json::json!([1, 10]));
    assert_eq!(object["ops"]["CONV_2D"], 2);
    assert_eq!(object["parameters"], 4402);
    assert_eq!(object["reduced"], serde_json::json!({ "macs": object["macs"], "parameters": 4402 }));
    for figure in ["macs", "arena_bytes", "arena_bound_bytes", "constants_bytes"] {
        assert!(object[figure].as_u64().is_some_and(|value| value > 0), "{figure}: {}", object[figure]);
        assert_eq!(object["sources"][figure], "static");
    }
    assert_eq!(object["unsupported"], serde_json::json!([]));
    assert_eq!(object["targets"], serde_json::json!([]));
}

#[test]
fn check_exits_by_whether_it_fits() {
    let model = digits("digits.tflite");
    let fits = rasbora(&["check", &model, "--target", "microbit", "cortex-m4", "--json"]);
    assert_eq!(fits.code, Some(0));
    let object = fits.object();
    assert_eq!(object["targets"][0]["name"], "microbit");
    assert_eq!(object["targets"][0]["fits"], true);
    assert_eq!(object["targets"][0]["flash_available_bytes"], 262_144);
    assert!(object["sources"]["targets.flash_bytes"].as_str().is_some_and(|source| source.starts_with("modelled: ")));

    let too_small = rasbora(&["check", &model, "--flash", "4K", "--ram", "1K", "--json"]);
    assert_eq!(too_small.code, Some(1));
    let object = too_small.object();
    assert_eq!(object["targets"][0]["name"], "budget");
    assert_eq!(object["targets"][0]["reasons"].as_array().map(Vec::len), Some(2));

    let text = rasbora(&["check", &model, "--ram", "1K"]);
    assert_eq!(text.code, Some(1));
    assert!(text.out.contains("✗ budget: RAM: "), "{}", text.out);
    assert!(!text.out.contains('\u{1b}'), "no colours where stdout is no terminal");
}

#[test]
fn run_recognises_every_test_digit() {
    let expected = fs::read_to_string(digits("expected.csv")).unwrap();
    for line in expected.lines().skip(1) {
        let mut fields = line.split(',');
        let file = digits(&format!("test/{}", fields.next().unwrap()));
        let values: Vec<i64> = fields.skip(1).map(|field| field.parse().unwrap()).collect();
        let labels = digits("labels.txt");
        let ran = rasbora(&["run", &digits("digits.tflite"), "--input", &file, "--labels", &labels, "--json"]);
        let object = ran.object();
        assert_eq!(object["outputs"][0]["values"], serde_json::json!(values), "{file}");
        assert!(ran.err.contains("floats quantised"), "what was done is told: {}", ran.err);
        let best = values.iter().max().and_then(|best| values.iter().position(|value| value == best)).unwrap();
        assert_eq!(object["outputs"][0]["top"][0]["index"], best);
        assert_eq!(object["outputs"][0]["top"][0]["label"], best.to_string());
    }
}

#[test]
fn run_for_a_target_gives_the_same_bytes() {
    let (model, input) = (digits("digits.tflite"), digits("test/00.csv"));
    let host = rasbora(&["run", &model, "--input", &input, "--json"]).object();
    let target = rasbora(&["run", &model, "--input", &input, "--target", "cortex-m4", "--json"]).object();
    assert_eq!(host["outputs"], target["outputs"]);
    assert_eq!(target["target"], "cortex-m4");
}

#[test]
fn the_ranking_is_aligned() {
    let arguments = ["--input", &digits("test/00.csv"), "--labels", &digits("labels.txt"), "--top", "2"];
    let ran = rasbora(&[&["run", &digits("digits.tflite")], &arguments[..]].concat());
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.out);
    assert_eq!(lines[1], "  class       real  value");
    assert_eq!(lines[2], "      8  8  0.9961    127  ███████████████████████▉");
    assert_eq!(lines[3], "      0  0  0.0000   -128");
}

#[test]
fn compile_writes_a_crate_and_writes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let place = out.to_str().unwrap();
    let model = digits("digits.tflite");
    let two = format!("other={model}");
    let ran = rasbora(&["compile", &model, &two, "--emit", "rust", "-o", place, "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let object = ran.object();
    assert_eq!(object["models"][0]["name"], "digits");
    assert_eq!(object["models"][1]["name"], "other");
    assert!(out.join("src/digits.rs").is_file() && out.join("src/other.rs").is_file());
    for file in object["files"].as_array().unwrap() {
        assert!(out.join(file.as_str().unwrap()).is_file(), "{file}");
    }
    fs::create_dir(out.join("target")).unwrap();
    let again = rasbora(&["compile", &model, "--emit", "packed", "-o", place]);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(out.join("digits.rasbora").is_file() && !out.join("src").exists() && out.join("target").is_dir());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary stays");
}

#[test]
fn compile_writes_a_c_library_and_writes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let model = digits("digits.tflite");
    let two = format!("other={model}");
    let compile = ["compile", &model, "--emit", "c", "--target", "host", "--optimise", "size", "--json", "-o"];
    let compile = [&compile[..], &[out.to_str().unwrap()]].concat();
    let ran = rasbora(&[&compile[..], &[&two]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let object = ran.object();
    assert_eq!(object["library"]["file"], "lib/libmodels.a");
    assert!(object["library"]["code_bytes"].as_u64().is_some_and(|bytes| bytes > 1000), "{object}");
    assert_eq!(object["sources"]["library.code_bytes"], "static");
    for file in object["files"].as_array().unwrap() {
        assert!(out.join(file.as_str().unwrap()).is_file(), "{file}");
    }
    for file in ["include/digits.h", "include/other.h", "lib/libmodels.a", "lib/cmake/models/models-config.cmake"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let again = rasbora(&[&compile[..], &["--package", "numbers"]].concat());
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(out.join("lib/libnumbers.a").is_file() && !out.join("include/other.h").exists());
    let library = fs::read(out.join("lib/libnumbers.a")).unwrap();
    assert_eq!(rasbora(&[&compile[..], &["--package", "numbers"]].concat()).code, Some(0));
    assert_eq!(fs::read(out.join("lib/libnumbers.a")).unwrap(), library, "the same input gives the same bytes");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary stays");
}

#[test]
fn graph_prints_what_passes_do() {
    let model = digits("digits.tflite");
    let imported = rasbora(&["graph", &model]).out;
    let folded = rasbora(&["graph", &model, "--after", "fold_zero_points"]).out;
    let lowered = rasbora(&["graph", &model, "--lowered"]).out;
    assert!(imported.contains("conv2d") && imported != folded && lowered.contains("arena["), "{lowered}");
    assert_eq!(rasbora(&["graph", &model, "--json"]).object()["text"], imported);
}

#[test]
fn diff_holds_the_program_against_the_file() {
    let (model, input) = (digits("digits.tflite"), digits("test/00.csv"));
    let equal = rasbora(&["diff", &model, "--input", &input, "--against", "host", "--json"]);
    assert_eq!(equal.code, Some(0), "{}", equal.err);
    let object = equal.object();
    assert_eq!((&object["equal"], &object["first"]), (&true.into(), &serde_json::Value::Null));
    assert!(object["compared"].as_u64().is_some_and(|count| count >= 5), "{}", object["compared"]);
}

#[test]
fn diff_finds_a_value_that_differs() {
    let (model, input) = (digits("digits.tflite"), digits("test/00.csv"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.npz");
    let place = file.to_str().unwrap();
    assert_eq!(rasbora(&["run", &model, "--input", &input, "--output", place]).code, Some(0));
    let against = ["diff", &model, "--input", &input, "--against", place, "--json"];
    assert_eq!(rasbora(&against).code, Some(0));
    let other = digits("test/01.csv");
    assert_eq!(rasbora(&["run", &model, "--input", &other, "--output", place]).code, Some(0));
    let differs = rasbora(&against);
    assert_eq!(differs.code, Some(1));
    let first = differs.object()["first"].clone();
    assert!(first["differing"].as_u64() > Some(0) && first["largest"].as_f64() > Some(0.0), "{first}");
}

#[test]
fn targets_lists_boards_and_parts() {
    let object = rasbora(&["targets", "--json"]).object();
    let names: Vec<&str> =
        object["targets"].as_array().unwrap().iter().filter_map(|target| target["name"].as_str()).collect();
    for name in ["cortex-m0", "cortex-m4", "cortex-m55", "rv32imac", "microbit", "nrf52840", "rp2040"] {
        assert!(names.contains(&name), "{name}");
    }
    assert!(rasbora(&["targets"]).out.contains("cortex-m4"));
}

#[test]
fn doctor_tells_how_to_get_what_is_missing() {
    let mut bare = command(&["doctor", "--json"]);
    bare.env("PATH", "/nonexistent").env("HOME", "/nonexistent").env_remove("CARGO_HOME").env_remove("RUSTUP_HOME");
    let object = finished(bare).object();
    let needs = object["needs"].as_array().unwrap();
    let emulator = needs.iter().find(|need| need["what"] == "qemu-system-arm").unwrap();
    assert!(emulator["found"].is_null());
    assert!(emulator["how_to_get"][0].as_str().is_some_and(|line| line.contains("apt install")));
    assert_eq!(object["complete"], false);
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let ran = rasbora(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!ran.out.is_empty());
    }
}
