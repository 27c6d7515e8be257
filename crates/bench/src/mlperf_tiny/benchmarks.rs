//! The benchmarks of MLPerf Tiny as data: what is sent, what comes back, what must be reached.

use rasbora_compiler::graph::{DType, dtype_name};
use rasbora_compiler::program::{Port, Program};

use super::tensors::{Affine, Sent, Told};
use crate::error::BenchError;

/// One benchmark.
#[derive(Debug)]
pub struct Benchmark {
    /// Its name in the protocol.
    pub id: &'static str,
    /// What it is about.
    pub task: &'static str,
    /// The folder of its results in a submission.
    pub folder: &'static str,
    /// The file of the reference model.
    pub model: &'static str,
    /// That file's folder in the repository mlcommons/tiny.
    pub source: &'static str,
    /// That file's SHA-256.
    pub sha256: &'static str,
    /// The folder of its official inputs.
    pub data: &'static str,
    /// What the runner sends for an element of the network's input.
    pub element: Element,
    /// Elements of the network's input.
    pub inputs: usize,
    /// Elements of its output.
    pub outputs: usize,
    /// What the closed division demands.
    pub floor: Floor,
}

/// What the runner sends for an element of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// The quantised value.
    Quantised,
    /// An unsigned colour.
    Colour,
    /// A float, and it is told how far the output is from it.
    Float,
    /// Nothing: the device listens, 16-bit samples.
    Sample,
}

/// What must be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Floor {
    /// This share of inputs whose likeliest class is right, in per cent.
    Top1(f64),
    /// This area under the receiver's operating curve.
    Auc(f64),
    /// At most so many words that are not heard, and as many that nobody said.
    Mistakes(usize),
}

/// The benchmarks.
pub const BENCHMARKS: [Benchmark; 6] = [
    Benchmark {
        id: "kws01",
        task: "keyword spotting",
        folder: "kws",
        model: "kws_ref_model.tflite",
        source: "benchmark/training/keyword_spotting/trained_models",
        sha256: "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae",
        data: "kws01",
        element: Element::Quantised,
        inputs: 490,
        outputs: 12,
        floor: Floor::Top1(90.0),
    },
    Benchmark {
        id: "vww01",
        task: "visual wake words",
        folder: "vww",
        model: "vww_96_int8.tflite",
        source: "benchmark/training/visual_wake_words/trained_models",
        sha256: "597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b",
        data: "vww01",
        element: Element::Colour,
        inputs: 96 * 96 * 3,
        outputs: 2,
        floor: Floor::Top1(80.0),
    },
    Benchmark {
        id: "ic01",
        task: "image classification",
        folder: "ic",
        model: "pretrainedResnet_quant.tflite",
        source: "benchmark/training/image_classification/trained_models",
        sha256: "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
        data: "ic01",
        element: Element::Colour,
        inputs: 32 * 32 * 3,
        outputs: 10,
        floor: Floor::Top1(85.0),
    },
    Benchmark {
        id: "ic02",
        task: "image classification, larger",
        folder: "ic02",
        model: "pretrainedResnet_large_int8.tflite",
        source: "benchmark/training/image_classification/trained_models",
        sha256: "dc27dcd823f5665533352f7da516b0c9bc6f089914b8283782e55961b3423fcf",
        data: "ic01",
        element: Element::Colour,
        inputs: 32 * 32 * 3,
        outputs: 10,
        floor: Floor::Top1(91.0),
    },
    Benchmark {
        id: "ad01",
        task: "anomaly detection",
        folder: "ad",
        model: "ad01_int8.tflite",
        source: "benchmark/training/anomaly_detection/trained_models",
        sha256: "87cf24194ef93d1d9b11a591d805526b98008e351655d29883c825c9c106ba24",
        data: "ad01",
        element: Element::Float,
        inputs: 640,
        outputs: 640,
        floor: Floor::Auc(0.85),
    },
    Benchmark {
        id: "sww01",
        task: "streaming wake word",
        folder: "sww",
        model: "str_ww_ref_model.tflite",
        source: "benchmark/training/streaming_wakeword/trained_models",
        sha256: "3af8550895ba7d5c584277102b5075c52dcfa63ba9d2b2240f37c4e6abd5dd2b",
        data: "sww",
        element: Element::Sample,
        inputs: 512,
        outputs: 3,
        floor: Floor::Mistakes(8),
    },
];

/// The benchmark called `id`.
pub fn find(id: &str) -> Option<&'static Benchmark> {
    BENCHMARKS.iter().find(|benchmark| benchmark.id == id)
}

/// A benchmark with the model that it is run with: how what is sent becomes an input, and an output what is told.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The benchmark.
    pub benchmark: &'static Benchmark,
    pub(crate) sent: Sent,
    pub(crate) told: Told,
}

impl Task {
    /// `program` as the network of `benchmark`.
    ///
    /// # Errors
    /// Where its inputs and outputs are not the benchmark's.
    pub fn new(benchmark: &'static Benchmark, program: &Program) -> Result<Self, BenchError> {
        let input = match benchmark.element {
            Element::Sample => samples(benchmark, &program.inputs)?,
            _ => only(benchmark, "input", &program.inputs, benchmark.inputs)?,
        };
        let output = only(benchmark, "output", &program.outputs, benchmark.outputs)?;
        let (sent, told) = match benchmark.element {
            Element::Quantised | Element::Sample => (Sent::Quantised, Told::Values(output)),
            Element::Colour => (Sent::Pixels, Told::Values(output)),
            Element::Float => (Sent::Floats(input), Told::Error(output)),
        };
        Ok(Self { benchmark, sent, told })
    }

    /// Bytes that the runner sends for one inference.
    pub fn bytes(&self) -> usize {
        self.sent.bytes(self.input_bytes())
    }

    /// Bytes of the network's input.
    fn input_bytes(&self) -> usize {
        let element = if self.benchmark.element == Element::Sample { 2 } else { 1 };
        element * self.benchmark.inputs
    }

    /// The network's input for what the runner sends; none where the number of bytes is wrong.
    pub fn input(&self, sent: &[u8]) -> Option<Vec<u8>> {
        let mut input = vec![0; self.input_bytes()];
        self.sent.fill(sent, &mut input).then_some(input)
    }

    /// What the runner is told.
    pub fn results(&self, sent: &[u8], output: &[u8]) -> Vec<f32> {
        (0..).map_while(|index| self.told.value(sent, output, index)).collect()
    }
}

/// Samples as they are, which the one input must be.
fn samples(benchmark: &'static Benchmark, ports: &[Port]) -> Result<Affine, BenchError> {
    match ports {
        [port] if port.dtype == DType::I16 && port.shape == [benchmark.inputs] => {
            Ok(Affine { scale: 1.0, zero_point: 0 })
        }
        _ => {
            let reason = format!("it does not take {} samples a run, as the benchmark gives them", benchmark.inputs);
            Err(BenchError::WrongModel { benchmark: benchmark.id, reason })
        }
    }
}

/// The quantisation of the one input or output, which must have int8 elements and `elements` of them.
fn only(benchmark: &'static Benchmark, what: &str, ports: &[Port], elements: usize) -> Result<Affine, BenchError> {
    let wrong = |reason: String| BenchError::WrongModel { benchmark: benchmark.id, reason };
    let [port] = ports else {
        return Err(wrong(format!("it has {} {what}s, and the benchmark has one", ports.len())));
    };
    if port.dtype != DType::I8 || port.bytes != elements {
        let found = format!("{} {} elements", port.shape.iter().product::<usize>(), dtype_name(port.dtype));
        return Err(wrong(format!("its {what} has {found}, and the benchmark's has {elements} int8 ones")));
    }
    let single = port.quantisation.as_ref().and_then(|quantisation| quantisation.single());
    let (scale, zero_point) = single.ok_or_else(|| wrong(format!("its {what} is not quantised")))?;
    Ok(Affine { scale, zero_point })
}
