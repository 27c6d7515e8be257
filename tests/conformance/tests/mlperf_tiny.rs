//! MLPerf Tiny on the emulated Cortex-M4: the reference model of keyword spotting, by the official protocol.
//!
//! Skipped, with the reason printed, where the corpus or an emulator is not there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use conformance::{compile, corpus};
use rasbora_bench::mlperf_tiny::{
    Data, Device, Image, Recording, Task, Ticks, WINDOW_COUNT, accuracy, find, listen, performance,
};
use rasbora_bench::{BenchError, panic_symbols};
use rasbora_compiler::front_end::FrontEnd;
use rasbora_compiler::import::tflite;
use rasbora_compiler::pipeline;
use rasbora_compiler::program::Program;
use rasbora_compiler::stream::stream;
use rasbora_compiler::target;

/// What TFLM's own kernels make of the 500 files: 449 right, and scikit-learn's macro average of one against the rest.
const TFLM_TOP1: f64 = 89.8;
const TFLM_AUC: f64 = 0.9961657846548707;

/// How long a board may be silent: several of these tests run at once.
const QUIET: Duration = Duration::from_secs(120);

fn network(corpus: &Path) -> Program {
    let bytes = fs::read(corpus.join("tflite/mlperf_tiny_ref/kws_ref_model.tflite")).unwrap();
    compile(&bytes, target::find("cortex-m4").unwrap().isa).unwrap()
}

fn keywords() -> Option<(Program, Image, Data)> {
    let corpus = corpus()?;
    let target = target::find("cortex-m4").unwrap();
    let program = network(&corpus);
    let benchmark = find("kws01").unwrap();
    let task = Task::new(benchmark, &program).unwrap();
    match Image::build(target, Ticks::of(target, None), task, &program) {
        Ok(image) => Some((program, image, Data::find(&corpus.join("data"), benchmark).unwrap().unwrap())),
        Err(error @ (BenchError::NoToolchain { .. } | BenchError::NoLinker { .. })) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn windows_last_ten_seconds_and_agree_with_the_profile() {
    let Some((_, image, data)) = keywords() else { return };
    assert_eq!(panic_symbols(image.elf()).unwrap(), Vec::<String>::new());
    let samples: Vec<_> = (0..WINDOW_COUNT).flat_map(|index| data.samples(index, &image.task).unwrap()).collect();
    let run = performance(&mut Device::start(&image, QUIET).unwrap(), "kws01", &samples).unwrap();
    let profile = image.profile(&samples).unwrap();
    assert_eq!(run.windows.len(), WINDOW_COUNT);
    for (index, window) in run.windows.iter().enumerate() {
        assert!(window.microseconds() >= 10_000_000, "{window:?}");
        let by_lines = window.microseconds() as f64 * f64::from(image.ticks.hz) / 1e6;
        assert!((by_lines - window.ticks as f64).abs() <= f64::from(image.ticks.hz) / 1e6, "{window:?}");
        let above = window.ticks_each() - profile.calls[index].cycles.unwrap() as f64;
        // Putting the input's 490 bytes in place, the loop, and a share of one printed line.
        assert!((0.0..1000.0).contains(&above), "{above} cycles above the profile");
        let told = image.task.results(&samples[index].bytes, &profile.outputs[index][0]);
        for (result, told) in window.results.iter().zip(told) {
            assert!((result - f64::from(told)).abs() <= 0.000_5, "{:?}", window.results);
        }
    }
}

#[test]
fn accuracy_is_that_of_tflm() {
    let Some((program, image, data)) = keywords() else { return };
    let scored = accuracy(&image, &program, &data, || {}).unwrap();
    assert_eq!((scored.files, scored.inferences, scored.checked), (500, 500, 5));
    assert_eq!(scored.scores.top1, Some(TFLM_TOP1));
    let auc = scored.scores.auc.unwrap();
    assert!((auc - TFLM_AUC).abs() < 1e-9, "{auc}");
}

#[test]
fn a_board_answers_after_rubbish_and_one_that_hangs_is_stopped() {
    let Some((_, image, data)) = keywords() else { return };
    let mut device = Device::start(&image, QUIET).unwrap();
    for rubbish in ["", "\u{1}\u{7f}x", "infer 0", "infer 1 0", "db load 99999", "db 0g", &"long ".repeat(100)] {
        let reply = device.command(rubbish).unwrap();
        assert!(reply.iter().any(|line| line.starts_with("e-[")), "{rubbish}: {reply:?}");
        let name = format!("m-name-dut-[{}]", image.name());
        assert_eq!(device.command("name").unwrap(), [name]);
    }
    drop(device);
    let mut device = Device::start(&image, Duration::from_secs(3)).unwrap();
    device.load(&data.samples(0, &image.task).unwrap()[0].bytes).unwrap();
    let error = device.command("infer 4000000000 0").unwrap_err();
    assert!(matches!(error, BenchError::Silent { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("infer 4000000000 0") && text.contains("m-infer-start-4000000000"), "{text}");
}

#[test]
fn another_model_is_refused() {
    let Some(corpus) = corpus() else { return };
    let error = Task::new(find("vww01").unwrap(), &network(&corpus)).unwrap_err().to_string();
    assert!(error.contains("vww01") && error.contains("490") && error.contains("27648"), "{error}");
}

#[test]
fn the_wake_word_is_heard_as_the_reference_hears_it() {
    let Some(corpus) = corpus() else { return };
    let target = target::find("cortex-m4").unwrap();
    let model = fs::read(corpus.join("tflite/mlperf_tiny_ref/str_ww_ref_model.tflite")).unwrap();
    let mut graph = stream(&tflite::read(&model).unwrap().graph).unwrap();
    FrontEnd::Sww.put_before(&mut graph).unwrap();
    let program = pipeline::compile(graph, target.isa).unwrap().program;
    let task = Task::new(find("sww01").unwrap(), &program).unwrap();
    let image = match Image::build(target, Ticks::of(target, None), task, &program) {
        Err(error @ (BenchError::NoToolchain { .. } | BenchError::NoLinker { .. })) => {
            return println!("skipped: {error}");
        }
        image => image.unwrap(),
    };
    assert_eq!(panic_symbols(image.elf()).unwrap(), Vec::<String>::new());
    let wav = fs::read(corpus.join("data/sww/short_wav_easy10s.wav")).unwrap();
    // Two channels of which the left one is heard.
    let samples = wav[44..].as_chunks::<4>().0.iter().map(|both| i16::from_le_bytes([both[0], both[1]])).collect();
    let words = Some(vec![[1.0, 1.647_625], [4.0, 4.761_75], [7.0, 7.358_625]]);
    let recording = Recording { file: "short_wav_easy10s.wav".into(), samples, words };
    let heard = listen(&mut Device::start(&image, QUIET).unwrap(), &image, &program, &recording).unwrap();
    // The official runner says of the reference model: two words heard, one not.
    let found = heard.found.as_ref().unwrap();
    assert_eq!((heard.activations.len(), heard.late()), (312, 0));
    assert_eq!((&found.true_positives[..], &found.false_negatives[..]), (&[1.0, 4.0][..], &[7.0][..]));
    assert!(found.false_positives.is_empty() && heard.duty_cycle() < 0.25, "{}", heard.duty_cycle());
}
