//! Networks written by hand, run on every emulated board by the real toolchain: does it boot, compute, count, and fail well?
//!
//! Skipped, with the reason printed, where an emulator or a cross compiler is not installed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rasbora_bench::{ArenaRange, BenchError, Emitted, Measurement, Mode, OptLevel, Options, panic_symbols, run};
use rasbora_compiler::target::{TARGETS, Target, find};

/// The crate of `tests/network`, as the emitter would have written it.
struct Networks(tempfile::TempDir);

impl Networks {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let package = "version = \"0.0.0\"\nedition = \"2024\"\n";
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/src");
        let model = "[dependencies]\nrasbora-device = { path = \"device\" }\n[lib]\npath = \"lib.rs\"\n";
        let device = "[dependencies]\nlibm = \"0.2\"\n";
        copy(&source, &folder.path().join("device/src"));
        for (path, name, rest) in [("", "model", model), ("device", "rasbora-device", device)] {
            let manifest = format!("[package]\nname = {name:?}\n{package}{rest}");
            fs::write(folder.path().join(path).join("Cargo.toml"), manifest).unwrap();
        }
        fs::write(folder.path().join("lib.rs"), include_str!("network/lib.rs")).unwrap();
        Self(folder)
    }

    fn run(
        &self,
        target: &Target,
        module: &str,
        inputs: &[&[u8]],
        options: &Options,
    ) -> Result<Measurement, BenchError> {
        let calls: Vec<_> = inputs.iter().map(|input| vec![input.to_vec()]).collect();
        run(target, &Emitted { dir: self.0.path(), module }, &calls, options)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Whether `target` can be run here; if not, the reason is printed.
fn available(target: &Target) -> bool {
    let needs = rasbora_bench::doctor();
    let emulator = target.board.unwrap().emulator;
    let concerned = |what: &str| what == emulator || what.ends_with(target.triple) || what.starts_with("a linker");
    match needs.iter().find(|need| need.found.is_none() && concerned(&need.what)) {
        Some(need) => {
            println!("skipped on {}: {} is not installed; {}", target.name, need.what, need.how_to_get.join(" or "));
            false
        }
        None => true,
    }
}

fn cortex_m4() -> Option<&'static Target> {
    find("cortex-m4").filter(|target| available(target))
}

const INPUT: [u8; 16] = [1, 0, 255, 2, 3, 0, 0, 254, 0, 0, 1, 0, 0, 2, 0, 0];

/// The output of `dense` and its sums, by the formula in its source.
fn dense(input: &[u8; 16]) -> (Vec<u8>, Vec<u8>) {
    let sums = (0..8).map(|o| -> i32 { (0..16).map(|i| i32::from(input[i] as i8) * (16 * o + i as i32 - 64)).sum() });
    let sums: Vec<i32> = sums.collect();
    let out = sums.iter().map(|&sum| (sum as f32 / 3.0) as i8 as u8).collect();
    (out, sums.iter().flat_map(|sum| sum.to_le_bytes()).collect())
}

#[test]
fn every_board_computes() {
    let networks = Networks::new();
    let second = INPUT.map(|value| value.wrapping_mul(3));
    for target in TARGETS.iter().filter(|target| target.board.is_some() && available(target)) {
        let measured = networks.run(target, "dense", &[&INPUT, &second], &Options::default());
        let measured = measured.unwrap_or_else(|error| panic!("{}: {error}", target.name));
        let expected = [vec![dense(&INPUT).0], vec![dense(&second).0]];
        assert_eq!(measured.outputs, expected, "{}", target.name);
        assert_eq!(measured.cycles.is_some(), target.cycles.is_some(), "{}", target.name);
        assert!(measured.instructions > 8 * 16, "{}", target.name);
        assert_eq!(measured.calls.len(), 2);
        assert!(measured.stack_bytes < 512, "{}: {}", target.name, measured.stack_bytes);
        assert_eq!(measured.flash.constants, 128, "{}: the weights", target.name);
        // Up to some 4 KB of it are the float division, on cores that have none.
        assert!((1..6000).contains(&measured.flash.code), "{}: {:?}", target.name, measured.flash);
        assert_eq!(panic_symbols(&measured.elf).unwrap(), Vec::<String>::new(), "{}", target.name);
        println!("{}: {measured:?}", target.name);
    }
}

#[test]
fn counts_are_exact_and_repeat() {
    let networks = Networks::new();
    // Cycles of a turn of the loop: one for SUBS, and the taken branch.
    for (name, turn) in [("cortex-m4", Some(4)), ("cortex-m0", Some(4)), ("cortex-m0plus", Some(3)), ("rv32imac", None)]
    {
        let Some(target) = find(name).filter(|target| available(target)) else { continue };
        let (few, many) = (1000u32.to_le_bytes(), 5000u32.to_le_bytes());
        let first = networks.run(target, "counted", &[&few, &many], &Options::default()).unwrap();
        assert_eq!(first.calls[1].instructions - first.calls[0].instructions, 2 * 4000, "{name}");
        let cycles = first.calls[1].cycles.zip(first.calls[0].cycles).map(|(many, few)| many - few);
        assert_eq!(cycles, turn.map(|turn| turn * 4000), "{name}");
        let second = networks.run(target, "counted", &[&few, &many], &Options::default()).unwrap();
        assert_eq!(first.calls, second.calls, "{name}");
    }
}

#[test]
fn steps_are_counted_and_traced_one_by_one() {
    for name in ["cortex-m4", "rv32imac"] {
        let Some(target) = find(name).filter(|target| available(target)) else { continue };
        let range = |step, offset, bytes| ArenaRange { step, offset, bytes };
        let trace = vec![range(1, 48, 8), range(0, 16, 32), range(0, 0, 4)];
        let options = Options { mode: Mode::Steps, trace, ..Options::default() };
        let measured = Networks::new().run(target, "dense", &[&INPUT, &INPUT], &options).unwrap();
        let (out, sums) = dense(&INPUT);
        assert_eq!(measured.outputs, [[out.clone()], [out.clone()]]);
        assert_eq!(measured.trace, [out, sums, INPUT[..4].to_vec()]);
        assert_eq!(measured.layers.len(), 2);
        assert_eq!(measured.layers.iter().map(|it| it.instructions).sum::<u64>(), measured.instructions);
        assert_eq!(measured.calls[0], measured.calls[1]);
        let outside = Options { trace: vec![range(0, 60, 5)], ..options };
        let error = Networks::new().run(target, "dense", &[&INPUT], &outside).unwrap_err();
        assert!(error.to_string().contains("outside of the arena"), "{error}");
    }
}

#[test]
fn the_stack_is_that_of_the_inference() {
    let Some(target) = cortex_m4() else { return };
    let options = Options { opt_level: OptLevel::Size, ..Options::default() };
    let measured = Networks::new().run(target, "deep", &[&[1, 0, 0, 0]], &options).unwrap();
    assert!((3000..3200).contains(&measured.stack_bytes), "{}", measured.stack_bytes);
}

#[test]
fn failures_say_what_happened() {
    let Some(target) = cortex_m4() else { return };
    let networks = Networks::new();
    let fails = |module, input: &[u8]| {
        let options = Options { timeout: Duration::from_secs(2), ..Options::default() };
        networks.run(target, module, &[input], &options).unwrap_err()
    };
    let error = fails("hanging", &[0; 4]);
    assert!(matches!(error, BenchError::Timeout { .. }), "{error}");
    let error = fails("faulting", &[0; 4]);
    assert!(matches!(&error, BenchError::Guest { output, .. } if output.contains("faulted")), "{error}");
    let error = fails("panicking", &[0; 4]);
    assert!(matches!(&error, BenchError::Guest { output, .. } if output.contains("panicked")), "{error}");
    let error = fails("counted", &[1; 5]);
    assert!(matches!(&error, BenchError::Guest { output, .. } if output.contains("wrong size")), "{error}");
    let error = fails("missing", &[0; 4]);
    assert!(matches!(&error, BenchError::Build { output, .. } if output.contains("missing")), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(target) = find("microbit").filter(|target| available(target)) else { return };
    let error = Networks::new().run(target, "large", &[&[0; 4]], &Options::default()).unwrap_err();
    assert!(matches!(&error, BenchError::DoesNotFit { detail, .. } if detail.contains("RAM")), "{error}");
    let nowhere = Networks::new().run(find("rp2040").unwrap(), "dense", &[], &Options::default()).unwrap_err();
    assert!(nowhere.to_string().contains("cortex-m4"), "{nowhere}");
}
