//! What the compiler expects kernels to take on a Cortex-M4, by which it chooses between them, beside what they take under emulation.

use std::path::Path;

use conformance::{FIGURES, Random, case, compile, corpus, write_crate};
use rasbora_bench::{Emitted, Mode, Options, run};
use rasbora_compiler::cycles::expected;
use rasbora_compiler::graph::verify::verify;
use rasbora_compiler::graph::{DType, Graph, Node, Quantisation, Tensor};
use rasbora_compiler::ops::{Activation, Conv2d, DepthwiseConv2d, FullyConnected, Op, Sliding};
use rasbora_compiler::optimise::{Goal, Optimise};
use rasbora_compiler::program::{Program, Step};
use rasbora_compiler::target::find;

/// Models, and what they are optimised for: each after the same balanced.
const MODELS: [(&str, Optimise); 9] = [
    ("kws", Optimise::Balanced),
    ("vww", Optimise::Balanced),
    ("ic", Optimise::Balanced),
    ("ic", Optimise::Speed),
    ("ad", Optimise::Balanced),
    ("sww", Optimise::Balanced),
    ("ic_large", Optimise::Balanced),
    ("ic_large", Optimise::Speed),
    ("person", Optimise::Balanced),
];

/// By how much the mean layer may be expected wrongly, and a whole model.
const MEAN_ERROR: f64 = 0.05;
const MODEL_ERROR: f64 = 0.05;

/// By how much the mean layer of [`LAYERS`] may be expected wrongly, and by how much its kernel may be slower than the fastest.
const DRAWN_ERROR: f64 = 0.1;
const SLOWER: f64 = 1.1;

/// A layer with weights.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Inputs `[h, w, c]`, outputs, a window `[kh, kw]` and its stride.
    Conv([usize; 3], usize, [usize; 2], usize),
    /// As a convolution, an output for each input channel.
    Depthwise([usize; 3], [usize; 2], usize),
    /// Rows, inputs, outputs.
    Dense(usize, usize, usize),
}
use Shape::{Conv, Dense, Depthwise};

/// Layers for which there are several kernels.
const LAYERS: [Shape; 28] = [
    Conv([28, 28, 1], 8, [3, 3], 1),
    Conv([12, 12, 1], 4, [3, 3], 1),
    Conv([6, 6, 1], 32, [3, 3], 1),
    Conv([64, 64, 1], 8, [3, 3], 2),
    Conv([30, 20, 1], 6, [3, 3], 2),
    Conv([96, 9, 1], 3, [3, 3], 2),
    Conv([20, 20, 1], 8, [5, 5], 1),
    Conv([4, 4, 1], 2, [3, 3], 1),
    Conv([10, 10, 16], 24, [1, 1], 1),
    Conv([4, 4, 64], 64, [1, 1], 1),
    Conv([1, 1, 32], 10, [1, 1], 1),
    Conv([16, 16, 8], 8, [3, 3], 1),
    Conv([8, 8, 16], 32, [3, 3], 2),
    Depthwise([3, 3, 32], [3, 3], 1),
    Depthwise([5, 5, 16], [3, 3], 1),
    Depthwise([10, 10, 24], [3, 3], 1),
    Depthwise([24, 24, 8], [3, 3], 1),
    Depthwise([6, 6, 40], [3, 3], 2),
    Depthwise([20, 12, 16], [3, 3], 2),
    Depthwise([2, 2, 64], [3, 3], 1),
    Depthwise([12, 12, 16], [5, 5], 1),
    Depthwise([20, 1, 32], [5, 1], 1),
    Dense(1, 64, 12),
    Dense(1, 30, 2),
    Dense(1, 256, 32),
    Dense(1, 8, 128),
    Dense(4, 32, 16),
    Dense(10, 18, 5),
];

/// The kernels between which there is a choice.
const KERNELS: [&str; 8] = [
    "PairedConv2d",
    "PlaneConv2d",
    "PlaneDepthwiseConv2d",
    "QuadDepthwiseConv2d",
    "PairedFullyConnected",
    "Conv2d",
    "DepthwiseConv2d",
    "FullyConnected",
];

/// A layer: what it is expected to take, and what it takes.
struct Layer {
    name: String,
    kernel: &'static str,
    expected: f64,
    counted: f64,
}

impl Layer {
    fn error(&self) -> f64 {
        (self.expected - self.counted).abs() / self.counted
    }
}

/// The layers of a model that have an expectation.
fn layers(corpus: &Path, name: &str, optimise: Optimise) -> Vec<Layer> {
    let target = find("cortex-m4").expect("a target of the table");
    let (_, path) = FIGURES.into_iter().find(|(known, _)| *known == name).expect("a model of the figures");
    let mut case = case(corpus, path);
    case.calls.truncate(1);
    let program = compile(&case.model, Goal::new(target.isa, optimise)).expect("a program");
    let inputs: Vec<Vec<Vec<u8>>> = case.calls.into_iter().map(|call| call.inputs).collect();
    counted(&program, &inputs, &format!("{name} {optimise:?}"))
}

/// The layers of `program` that have an expectation.
fn counted(program: &Program, inputs: &[Vec<Vec<u8>>], name: &str) -> Vec<Layer> {
    let target = find("cortex-m4").expect("a target of the table");
    let folder = tempfile::tempdir().expect("a folder");
    write_crate(program, target.isa, folder.path()).expect("a crate");
    let emitted = Emitted { dir: folder.path(), module: "network" };
    let options = Options { mode: Mode::Steps, ..Options::default() };
    let measured = run(target, &emitted, inputs, &options).expect("a board");
    let layer = |(step, count): (&Step, &rasbora_bench::Count)| {
        let (expected, counted) = (expected(step.kernel.as_ref())?, count.cycles? as f64);
        let upper = f64::from(step.work.call) + f64::from(step.work.rows) * f64::from(step.work.row);
        assert!(
            upper >= count.instructions as f64,
            "{:?} takes {}, more than {upper}",
            step.kernel,
            count.instructions
        );
        let kernel = step.kernel.name();
        println!(
            "{name} {kernel}: {expected:.0} expected, {counted} counted ({:+.1} %)",
            100.0 * (expected / counted - 1.0)
        );
        Some(Layer { name: step.name.clone(), kernel, expected, counted })
    };
    program.steps.iter().zip(&measured.layers).filter_map(layer).collect()
}

#[test]
fn layers_take_what_is_expected() {
    let Some(corpus) = corpus() else { return };
    let mut all: Vec<Layer> = Vec::new();
    for (name, optimise) in MODELS {
        let layers = layers(&corpus, name, optimise);
        let sum = |of: fn(&Layer) -> f64| layers.iter().map(of).sum::<f64>();
        let (expected, counted) = (sum(|layer| layer.expected), sum(|layer| layer.counted));
        let whole = Layer { name: name.into(), kernel: "", expected, counted };
        println!("{name} {optimise:?}: {:.0} expected, {} counted", whole.expected, whole.counted);
        assert!(whole.error() <= MODEL_ERROR, "{name}: {:.3}", whole.error());
        if optimise == Optimise::Speed {
            for layer in &layers {
                let usual = all.iter().find(|usual| usual.name == layer.name).expect("a layer of the balanced program");
                assert!(layer.counted <= 1.01 * usual.counted, "'{}' was chosen wrongly", layer.name);
            }
        }
        all.extend(layers);
    }
    let mean = all.iter().map(Layer::error).sum::<f64>() / all.len() as f64;
    println!("{} layers, mean error {:.1} %", all.len(), 100.0 * mean);
    assert!(mean <= MEAN_ERROR, "{mean}");
}

/// A network of [`LAYERS`], each with an input and an output of its own.
fn drawn(random: &mut Random) -> Graph {
    let mut graph = Graph::default();
    for layer in LAYERS {
        let sliding = |stride| Sliding { stride: [stride; 2], ..Sliding::PLAIN };
        let of_window = |image: [usize; 3], kernel: [usize; 2], stride| {
            let sliding: Sliding = sliding(stride);
            let sliding = sliding.same([image[0], image[1]], kernel);
            (sliding, sliding.output([image[0], image[1]], kernel).expect("a window"))
        };
        let (activation, input_offset, padding_value) = (Activation::Relu, 0, 0);
        let (op, input, weights, output): (Op, Vec<usize>, Vec<usize>, Vec<usize>) = match layer {
            Conv(image, outputs, kernel, stride) => {
                let (sliding, [h, w]) = of_window(image, kernel, stride);
                let op = Conv2d { sliding, activation, input_offset, padding_value };
                let weights = vec![outputs, kernel[0], kernel[1], image[2]];
                (op.into(), [&[1], &image[..]].concat(), weights, vec![1, h, w, outputs])
            }
            Depthwise(image, kernel, stride) => {
                let (sliding, [h, w]) = of_window(image, kernel, stride);
                let op = DepthwiseConv2d { sliding, activation, input_offset, padding_value };
                let weights = vec![1, kernel[0], kernel[1], image[2]];
                (op.into(), [&[1], &image[..]].concat(), weights, vec![1, h, w, image[2]])
            }
            Dense(rows, inputs, outputs) => {
                let op = FullyConnected { activation, input_offset, keep_num_dims: false };
                (op.into(), vec![rows, inputs], vec![outputs, inputs], vec![rows, outputs])
            }
        };
        let outputs = output[output.len() - 1];
        let mut add = |name: &str, shape: Vec<usize>, dtype: DType, scale: f32, constant: Option<Vec<u8>>| {
            // The activation is what saturation does: kernels that compute it in no other way are to be measured, too.
            let zero_point = if name == "output" { -128 } else { 0 };
            let quantisation = (dtype == DType::I8).then(|| Quantisation::per_tensor(scale, zero_point));
            let name = format!("{name} of {layer:?}");
            graph.add(Tensor { name, shape, dtype, quantisation, constant: constant.map(Into::into), source: None })
        };
        let taps = weights.iter().product::<usize>();
        let weights_bytes = (0..taps).map(|_| (random.below(255) as i8).wrapping_add(-127) as u8).collect();
        let bias: Vec<u8> = (0..outputs).flat_map(|_| (random.below(20_000) as i32 - 10_000).to_le_bytes()).collect();
        let ids = [
            add("input", input, DType::I8, 0.02, None),
            add("weights", weights, DType::I8, 0.013, Some(weights_bytes)),
            add("bias", vec![outputs], DType::I32, 1.0, Some(bias)),
        ];
        let out = add("output", output, DType::I8, 0.37, None);
        let (inputs, outputs) = (ids.to_vec(), vec![out]);
        graph.nodes.push(Node { name: format!("{layer:?}"), op, inputs, outputs, sources: vec![], model_macs: 0 });
        graph.inputs.push(ids[0]);
        graph.outputs.push(out);
    }
    verify(&graph).expect("a sound graph");
    graph
}

#[test]
fn the_kernel_that_is_expected_to_be_the_fastest_is() {
    let mut random = Random(5);
    let graph = drawn(&mut random);
    let inputs = vec![graph.inputs.iter().map(|id| random.bytes(graph[*id].bytes())).collect::<Vec<_>>()];
    let isa = find("cortex-m4").expect("a target of the table").isa;
    let mut all: Vec<Layer> = Vec::new();
    for kernel in KERNELS {
        let program = Program::by_kernel(&graph, isa, kernel).expect("a program");
        let layers = counted(&program, &inputs, "drawn");
        all.extend(layers.into_iter().filter(|layer| layer.kernel == kernel));
    }
    let mean = all.iter().map(Layer::error).sum::<f64>() / all.len() as f64;
    println!("{} layers, mean error {:.1} %", all.len(), 100.0 * mean);
    assert!(mean <= DRAWN_ERROR, "{mean}");
    for layer in LAYERS.map(|layer| format!("{layer:?}")) {
        let ways: Vec<&Layer> = all.iter().filter(|way| way.name == layer).collect();
        let least = |of: fn(&Layer) -> f64| ways.iter().min_by(|a, b| of(a).total_cmp(&of(b))).expect("a way");
        let (chosen, fastest) = (least(|way| way.expected), least(|way| way.counted));
        println!("{layer}: {} of {} ways", chosen.kernel, ways.len());
        assert!(chosen.counted <= SLOWER * fastest.counted, "{layer}: {} is faster", fastest.kernel);
    }
}
