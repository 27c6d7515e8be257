//! What happens when something is wrong: the exit code, the words, and that nothing is left half written.

use std::fs;
use std::path::Path;

use crate::ran::{command, digits, finished, rasbora};

#[test]
fn a_command_line_without_sense_is_usage() {
    for arguments in [&["chekc"][..], &["check"], &["run", "m.tflite"], &["check", "m.tflite", "--ram", "64Q"]] {
        let ran = rasbora(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}");
        let json = rasbora(&[arguments, &["--json"]].concat());
        assert_eq!(json.failed(), (Some(2), "usage".into()), "{arguments:?}");
    }
    let missing = rasbora(&["check", "--json"]).object();
    assert_eq!(missing["error"]["message"], "the following required arguments were not provided: <MODEL>");
    let size = rasbora(&["check", "m.tflite", "--ram", "64Q"]);
    assert!(size.err.contains("65536, 256K, 1M"), "{}", size.err);
}

#[test]
fn an_unknown_target_names_the_nearest() {
    let ran = rasbora(&["check", &digits("digits.tflite"), "--target", "cortexm4"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("'cortexm4'") && ran.err.contains("'cortex-m4'"), "{}", ran.err);
}

#[test]
fn a_file_that_is_no_model_could_not_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let model = fs::read(digits("digits.tflite")).unwrap();
    fs::write(path("short.tflite"), &model[..model.len() / 2]).unwrap();
    fs::write(path("text.tflite"), "hello").unwrap();
    fs::write(path("empty.tflite"), "").unwrap();
    for command in ["check", "graph"] {
        for (name, code) in [
            ("short.tflite", "malformed"),
            ("text.tflite", "malformed"),
            ("empty.tflite", "malformed"),
            ("missing.tflite", "not_found"),
            (".", "unreadable"),
        ] {
            assert_eq!(rasbora(&[command, &path(name), "--json"]).failed(), (Some(3), code.into()), "{command} {name}");
        }
    }
    let ran = rasbora(&["check", &path("missing.tflite")]);
    assert!(ran.err.contains("missing.tflite' cannot be read: no such file"), "{}", ran.err);
}

/// The test model with one operator code turned into one that nothing supports.
fn unsupported(folder: &Path) -> String {
    const SOFTMAX: u8 = 25;
    const CUMSUM: u8 = 128;
    let mut model = fs::read(digits("digits.tflite")).unwrap();
    let places: Vec<usize> = (0..model.len() - 8)
        .filter(|&place| model[place] == SOFTMAX && model[place + 1..place + 4] == [0; 3])
        .collect();
    for place in places {
        let mut changed = model.clone();
        changed[place] = CUMSUM;
        let path = folder.join("unsupported.tflite");
        fs::write(&path, &changed).unwrap();
        let path = path.to_str().unwrap().to_owned();
        if rasbora(&["check", &path]).code == Some(1) {
            return path;
        }
    }
    model.clear();
    panic!("no byte of the model is its operator code SOFTMAX");
}

#[test]
fn an_unsupported_model_is_no() {
    let folder = tempfile::tempdir().unwrap();
    let model = unsupported(folder.path());
    let check = rasbora(&["check", &model, "--json"]);
    assert_eq!(check.code, Some(1));
    let object = check.object();
    let first = &object["unsupported"][0];
    assert_eq!(first["op"], "CUMSUM");
    for field in ["node", "index", "version", "dtypes", "reason"] {
        assert!(!first[field].is_null(), "{field}: {first}");
    }
    assert_eq!(object["inputs"][0]["shape"], serde_json::json!([1, 8, 8, 1]));
    assert_eq!(object["outputs"][0]["dtype"], "int8");
    assert_eq!((&object["ops"]["CUMSUM"], &object["ops"]["CONV_2D"]), (&1.into(), &2.into()));
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let input = digits("test/00.csv");
    for arguments in [
        &["run", &model, "--input", &input][..],
        &["compile", &model, "--emit", "rust", "-o", out],
        &["profile", &model, "--on", "cortex-m4"],
        &["diff", &model, "--input", &input, "--against", "host"],
    ] {
        let ran = rasbora(&[arguments, &["--json"]].concat());
        assert_eq!(ran.failed(), (Some(1), "unsupported".into()), "{arguments:?}");
        assert!(ran.err.contains("CUMSUM"), "{}", ran.err);
    }
    assert!(!Path::new(out).exists());
}

#[test]
fn compile_keeps_what_it_did_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let place = out.to_str().unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join("thesis.txt"), "years").unwrap();
    let model = digits("digits.tflite");
    let arguments = ["compile", &model, "--emit", "rust", "-o", place];
    assert_eq!(rasbora(&[&arguments[..], &["--json"]].concat()).failed(), (Some(3), "not_empty".into()));
    assert!(out.join("thesis.txt").is_file());
    assert_eq!(rasbora(&[&arguments[..], &["--force"]].concat()).code, Some(0));
    assert!(!out.join("thesis.txt").exists() && out.join("Cargo.toml").is_file());
    fs::write(out.join("src/mine.rs"), "").unwrap();
    assert_eq!(rasbora(&arguments).code, Some(3), "a file beside ours is not ours");
}

#[test]
fn compile_over_a_budget_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let model = digits("digits.tflite");
    let ran = rasbora(&["compile", &model, "--emit", "rust", "--flash", "4K", "-o", out.to_str().unwrap(), "--json"]);
    assert_eq!(ran.failed(), (Some(1), "over_budget".into()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn names_that_clash_are_usage() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (model, out) = (digits("digits.tflite"), out.to_str().unwrap());
    let twice = rasbora(&["compile", &model, &model, "--emit", "rust", "-o", out]);
    assert_eq!(twice.code, Some(2));
    assert!(twice.err.contains("NAME=FILE"), "{}", twice.err);
    let keyword = rasbora(&["compile", &format!("match={model}"), "--emit", "rust", "-o", out]);
    assert_eq!(keyword.code, Some(2), "{}", keyword.err);
}

#[test]
fn folders_that_cannot_be_written_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("out");
    let model = digits("digits.tflite");
    let ran = rasbora(&["compile", &model, "--emit", "packed", "-o", below.to_str().unwrap(), "--json"]);
    assert_eq!(ran.failed(), (Some(3), "unwritable".into()));
    let missing = folder.path().join("no/out.npy");
    let input = digits("test/00.csv");
    let ran = rasbora(&["run", &model, "--input", &input, "--output", missing.to_str().unwrap(), "--json"]);
    assert_eq!(ran.failed(), (Some(3), "unwritable".into()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full.npy");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let (model, input) = (digits("digits.tflite"), digits("test/00.csv"));
    let ran = rasbora(&["run", &model, "--input", &input, "--output", full.to_str().unwrap(), "--json"]);
    assert_eq!(ran.failed(), (Some(3), "unwritable".into()));
    assert!(ran.err.contains("no space left"), "{}", ran.err);

    for json in [&[][..], &["--json"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut check = command(&[&["check", &model][..], json].concat());
        let output = check.stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no space left"));
    }
}

#[test]
fn a_pass_that_is_unknown_is_usage() {
    let ran = rasbora(&["graph", &digits("digits.tflite"), "--after", "fuse_everything", "--json"]);
    assert_eq!(ran.failed(), (Some(2), "usage".into()));
    assert!(ran.err.contains("fold_constants"), "{}", ran.err);
}

#[test]
fn a_part_without_a_board_is_not_emulated() {
    let ran = rasbora(&["profile", &digits("digits.tflite"), "--on", "nrf52840", "--json"]);
    assert_eq!(ran.failed(), (Some(2), "usage".into()));
}

#[test]
fn emulation_without_tools_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let mut bare = command(&["profile", &digits("digits.tflite"), "--on", "cortex-m4", "--json"]);
    bare.env("PATH", "/nonexistent").env("HOME", "/nonexistent").env("RASBORA_CACHE", folder.path());
    bare.env_remove("CARGO_HOME").env_remove("RUSTUP_HOME").env_remove("CARGO").env_remove("RUSTC");
    let ran = finished(bare);
    assert_eq!(ran.failed(), (Some(3), "not_installed".into()));
    assert!(ran.err.contains("rasbora doctor"), "{}", ran.err);
}

#[test]
fn a_c_library_without_sense_is_usage() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (digits("digits.tflite"), folder.path().join("out"));
    let compile = ["compile", &model, "-o", out.to_str().unwrap(), "--json", "--emit"];
    for (arguments, words) in [
        (&["c"][..], "--target host"),
        (&["c", "--target", "cortex-m44"], "'cortex-m4'"),
        (&["c", "--target", "cortex-m4", "--package", "My-Lib"], "lower-case"),
        (&["rust", "--package", "lib"], "--emit c"),
        (&["packed", "--package", "lib"], "--emit c"),
    ] {
        let ran = rasbora(&[&compile[..], arguments].concat());
        assert_eq!(ran.failed(), (Some(2), "usage".into()), "{arguments:?}");
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_c_library_that_cannot_be_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (digits("digits.tflite"), folder.path().join("new/out"));
    let compile = ["compile", &model, "--emit", "c", "--json", "-o", out.to_str().unwrap()];
    let small = rasbora(&[&compile[..], &["--target", "cortex-m4", "--ram", "1K"]].concat());
    assert_eq!(small.failed(), (Some(1), "over_budget".into()));

    let mut bare = command(&[&compile[..], &["--target", "cortex-m4"]].concat());
    bare.env("PATH", "/nonexistent").env("HOME", "/nonexistent").env("RASBORA_CACHE", folder.path().join("cache"));
    bare.env_remove("CARGO_HOME").env_remove("RUSTUP_HOME").env_remove("CARGO").env_remove("RUSTC");
    let ran = finished(bare);
    assert_eq!(ran.failed(), (Some(3), "not_installed".into()));
    assert!(ran.err.contains("install") && ran.err.contains("rasbora doctor"), "{}", ran.err);

    let mut no_cache = command(&[&compile[..], &["--target", "host"]].concat());
    no_cache.env("RASBORA_CACHE", "/dev/null/cache");
    let ran = finished(no_cache);
    assert_eq!(ran.failed(), (Some(3), "not_built".into()));
    assert!(ran.err.contains("set RASBORA_CACHE"), "{}", ran.err);
    assert!(!folder.path().join("new").exists());

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("out");
    let arguments = ["compile", &model, "--emit", "c", "--target", "host", "-o", below.to_str().unwrap(), "--json"];
    assert_eq!(rasbora(&arguments).failed(), (Some(3), "unwritable".into()));
}

/// Runs the binary with no file allowed to grow beyond 4 KB, as on a disk that is nearly full.
#[cfg(unix)]
fn with_little_room(arguments: &[&str]) -> crate::ran::Ran {
    let limited = "trap '' XFSZ && ulimit -f 8 && exec \"$0\" \"$@\"";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", limited, env!("CARGO_BIN_EXE_rasbora")]).args(arguments).env("NO_COLOR", "1");
    finished(shell)
}

#[cfg(unix)]
#[test]
fn a_folder_that_fills_the_disk_is_not_left_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (digits("digits.tflite"), folder.path().join("out"));
    let out = out.to_str().unwrap();
    for what in [
        &["compile", &model, "--emit", "rust"][..],
        &["compile", &model, "--emit", "packed"],
        &["compile", &model, "--emit", "c", "--target", "host"],
        &["interpreter", "--ops-of", &model, "--target", "host"],
    ] {
        let arguments = [what, &["-o", out, "--json"]].concat();
        // The first run leaves the library in the cache, and a folder that the second one must not touch.
        assert_eq!(rasbora(&arguments).code, Some(0), "{what:?}");
        let before = listing(folder.path());
        let ran = with_little_room(&arguments);
        assert_eq!(ran.failed(), (Some(3), "unwritable".into()), "{what:?}");
        assert!(ran.err.contains("make room"), "{}", ran.err);
        assert_eq!(listing(folder.path()), before, "{what:?}");
    }
}

/// Every file below a folder with its content.
#[cfg(unix)]
fn listing(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[cfg(unix)]
#[test]
fn an_interruption_leaves_nothing() {
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (digits("digits.tflite"), folder.path().join("out"));
    // With an empty cache the compiler runs for longer than this test.
    let cache = tempfile::tempdir().unwrap();
    let mut compile = command(&["compile", &model, "--emit", "c", "--target", "host", "-o", out.to_str().unwrap()]);
    let mut running = compile.env("RASBORA_CACHE", cache.path()).process_group(0).spawn().unwrap();
    while !cache.path().join("build").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let group = format!("-{}", running.id());
    let killed = std::process::Command::new("kill").args(["-INT", "--", &group]).status().unwrap();
    assert!(killed.success());
    assert_eq!(running.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_network_that_pads_along_time_does_not_stream() {
    let ran = rasbora(&["check", &digits("digits.tflite"), "--stream", "--json"]);
    assert_eq!(ran.failed(), (Some(1), "not_streamed".into()));
    assert!(ran.object()["error"]["node"].is_string() && ran.err.contains("pads along time"), "{}", ran.err);
}
