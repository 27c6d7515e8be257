//! The audio front ends: features against the official ones, accuracy with them, and cycles on an emulated Cortex-M4.

use std::fs;
use std::path::Path;

use conformance::corpus;
use rasbora_bench::{Emitted, Measurement, Options, panic_symbols, run};
use rasbora_compiler::emit::rust::{Named, emit};
use rasbora_compiler::front_end::FrontEnd;
use rasbora_compiler::graph::Graph;
use rasbora_compiler::host::{Host, fill_inputs, outputs};
use rasbora_compiler::import::tflite;
use rasbora_compiler::pipeline::compile;
use rasbora_compiler::program::Program;
use rasbora_compiler::stream::stream;
use rasbora_compiler::target::{InstructionSet, find};

const KEYWORDS: &str = "tflite/mlperf_tiny_ref/kws_ref_model.tflite";
const WAKE_WORD: &str = "tflite/mlperf_tiny_ref/str_ww_ref_model.tflite";

/// Least part of the features that are the official bytes.
const AGREEMENT: f64 = 0.993;
/// Most points of accuracy that may be lost by our features.
const LOST_POINTS: f64 = 0.5;
/// Most cycles for one second of keyword audio, and for one frame of the wake word.
const CYCLES: [u64; 2] = [1_110_000, 66_000];
/// Most cycles for what the wake word's network makes of one frame.
const STREAMING_CYCLES: u64 = 110_000;

fn graph(corpus: &Path, model: &str) -> Graph {
    tflite::read(&fs::read(corpus.join(model)).expect("a model")).expect("a supported model").graph
}

/// The front end before the network, and alone: its output is the features.
fn programs(graph: &Graph, front_end: FrontEnd, isa: InstructionSet) -> [Program; 2] {
    let mut whole = graph.clone();
    let features = whole.inputs.clone();
    front_end.put_before(&mut whole).expect("a network for the front end");
    let alone = Graph { outputs: features, ..whole.clone() };
    [whole, alone].map(|graph| compile(graph, isa).expect("a program").program)
}

/// The outputs of `program`, call after call.
fn calls(program: &Program, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut host = Host::new(program);
    let mut interpreter = host.start().expect("a program that starts");
    let call = |input: &Vec<u8>| {
        fill_inputs(&mut interpreter, std::slice::from_ref(input)).expect("an input");
        interpreter.run();
        outputs(&interpreter).remove(0)
    };
    inputs.iter().map(call).collect()
}

fn class(output: &[u8]) -> usize {
    let best = output.iter().map(|byte| byte.cast_signed()).enumerate().rev().max_by_key(|&(_, value)| value);
    best.map_or(0, |(class, _)| class)
}

#[test]
fn keyword_features_are_the_official_ones() {
    let Some(corpus) = corpus() else { return };
    let clips = corpus.join("data/kws_td_samples");
    let labels = fs::read_to_string(clips.join("y_labels.csv")).expect("labels");
    let rows: Vec<Vec<&str>> = labels.lines().map(|line| line.split(',').map(str::trim).collect()).collect();
    let read = |folder: &str, name: &str| fs::read(corpus.join("data").join(folder).join(name)).expect("a clip");
    let audio: Vec<Vec<u8>> = rows.iter().map(|row| read("kws_td_samples", row[0])).collect();
    let official: Vec<Vec<u8>> = rows.iter().map(|row| read("kws01_mfcc", row[0])).collect();
    let wanted: Vec<usize> = rows.iter().map(|row| row[2].parse().expect("a class")).collect();
    let graph = graph(&corpus, KEYWORDS);
    let [whole, alone] = programs(&graph, FrontEnd::Kws, InstructionSet::Portable);
    let features = calls(&alone, &audio);
    let equal: usize =
        features.iter().zip(&official).map(|(a, b)| a.iter().zip(b).filter(|(a, b)| a == b).count()).sum();
    let agreement = equal as f64 / official.iter().map(Vec::len).sum::<usize>() as f64;
    let plain = compile(graph, InstructionSet::Portable).expect("a program").program;
    let accuracy = |outputs: Vec<Vec<u8>>| {
        100.0 * outputs.iter().zip(&wanted).filter(|(output, wanted)| class(output) == **wanted).count() as f64
            / wanted.len() as f64
    };
    let [ours, theirs] = [accuracy(calls(&whole, &audio)), accuracy(calls(&plain, &official))];
    println!(
        "{} clips: {:.3} % of the features agree; accuracy {ours} %, {theirs} % with the official features",
        rows.len(),
        100.0 * agreement
    );
    assert!(agreement >= AGREEMENT, "{agreement}");
    assert!(theirs - ours <= LOST_POINTS, "{ours} % instead of {theirs} %");
}

fn on_chip(program: &Program, inputs: &[Vec<u8>]) -> Measurement {
    let target = find("cortex-m4").expect("a target");
    let folder = tempfile::tempdir().expect("a folder");
    for (path, content) in emit(&[Named { name: "network", program, isa: target.isa.type_name() }]).expect("a crate") {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    let inputs: Vec<Vec<Vec<u8>>> = inputs.iter().map(|input| vec![input.clone()]).collect();
    let measured = run(target, &Emitted { dir: folder.path(), module: "network" }, &inputs, &Options::default());
    let measured = measured.expect("a run");
    assert_eq!(panic_symbols(&measured.elf).expect("an image"), [""; 0], "the image holds code that panics");
    measured
}

/// Whether the chip gives the host's bytes, and what one call takes.
fn same_on_chip(name: &str, portable: &Program, program: &Program, inputs: &[Vec<u8>], most: u64) {
    let measured = on_chip(program, inputs);
    for (found, wanted) in measured.outputs.iter().zip(calls(portable, inputs)) {
        assert_eq!(found[0], wanted, "{name}");
    }
    println!(
        "{name}: modelled cycles {:?}, stack {}, flash {:?}",
        measured.cycles, measured.stack_bytes, measured.flash
    );
    assert!(measured.cycles.is_some_and(|cycles| cycles <= most), "{name}: {:?} cycles", measured.cycles);
}

#[test]
fn the_chip_makes_the_keyword_features_of_the_host() {
    let Some(corpus) = corpus() else { return };
    let clip = |name: &str| fs::read(corpus.join("data/kws_td_samples").join(name)).expect("a clip");
    let clips = ["tst_000000_Stop_7.bin", "tst_000499_Silence_10.bin"].map(clip);
    let graph = graph(&corpus, KEYWORDS);
    let [_, portable] = programs(&graph, FrontEnd::Kws, InstructionSet::Portable);
    let [_, chip] = programs(&graph, FrontEnd::Kws, InstructionSet::Armv7em);
    same_on_chip("keyword features of one second", &portable, &chip, &clips, CYCLES[0]);
}

/// What a wake word is listened for in, 512 samples each.
fn frames(corpus: &Path) -> Vec<Vec<u8>> {
    let wav = fs::read(corpus.join("data/sww/short_wav_easy10s.wav")).expect("a clip");
    // Two channels of which the left one is heard.
    let samples: Vec<u8> = wav[44..].as_chunks::<4>().0.iter().flat_map(|both| [both[0], both[1]]).collect();
    samples.chunks_exact(1024).take(40).map(<[u8]>::to_vec).collect()
}

#[test]
fn the_chip_makes_the_wake_word_features_of_the_host() {
    let Some(corpus) = corpus() else { return };
    let frames = frames(&corpus);
    let graph = graph(&corpus, WAKE_WORD);
    let [_, portable] = programs(&graph, FrontEnd::Sww, InstructionSet::Portable);
    let [_, chip] = programs(&graph, FrontEnd::Sww, InstructionSet::Armv7em);
    same_on_chip("wake word features of one frame", &portable, &chip, &frames, CYCLES[1]);
}

#[test]
fn the_wake_word_streams() {
    let Some(corpus) = corpus() else { return };
    let graph = graph(&corpus, WAKE_WORD);
    let streaming = stream(&graph).expect("a network that streams");
    assert_eq!((graph.macs(), streaming.macs()), (826_368, 46_040));
    let [network, features] = programs(&graph, FrontEnd::Sww, InstructionSet::Portable);
    let audio = frames(&corpus);
    let newest = |window: Vec<u8>| window[window.len() - 40..].to_vec();
    let frames: Vec<Vec<u8>> = calls(&features, &audio).into_iter().map(newest).collect();
    let program = compile(streaming, InstructionSet::Armv7em).expect("a program").program;
    let measured = on_chip(&program, &frames);
    println!("a frame of the wake word: modelled cycles {:?}", measured.cycles);
    for (found, wanted) in measured.outputs.iter().zip(calls(&network, &audio)) {
        assert_eq!(found[0], wanted);
    }
    assert!(measured.cycles.is_some_and(|cycles| cycles <= STREAMING_CYCLES), "{:?} cycles", measured.cycles);
}
