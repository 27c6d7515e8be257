//! Networks that stream: random ones equal the network given on every window, from the first frame on, and golden texts.
//!
//! `tests/stream/*.ir` hold a graph, a line `---`, and the graph that takes a frame a run, or, where the file is named
//! `not_….ir`, why there is none.

use std::fs;
use std::path::Path;

use rasbora_compiler::graph::text::parse;
use rasbora_compiler::graph::verify::verify;
use rasbora_compiler::graph::{DType, Graph, Node, Quantisation, Tensor, TensorId, bytes_of};
use rasbora_compiler::host;
use rasbora_compiler::ops::{
    Activation, Binary, BinaryFunction, Concatenation, Conv2d, DepthwiseConv2d, FullyConnected, Mean, Op, Operation,
    Pool2d, PoolFunction, Reshape, Sliding, StridedSlice, Transpose,
};
use rasbora_compiler::pipeline::compile;
use rasbora_compiler::stream::stream;
use rasbora_compiler::target::InstructionSet;
use similar::TextDiff;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A network while it grows.
struct Network {
    graph: Graph,
    random: Random,
}

impl Network {
    fn new(seed: u64) -> Self {
        let mut network = Self { graph: Graph::default(), random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) };
        let mut size = |least: usize, most: usize| least + network.random.below(most - least + 1);
        let shape = vec![1, size(6, 20), size(1, 3), size(1, 5)];
        let input = network.tensor("x", &shape, DType::I8, None);
        network.graph.inputs.push(input);
        network
    }

    fn tensor(&mut self, name: &str, shape: &[usize], dtype: DType, constant: Option<Vec<u8>>) -> TensorId {
        let (scale, zero_point) = if constant.is_some() { (0.02, 0) } else { (0.05, -5) };
        let quantisation = Some(Quantisation::per_tensor(scale, zero_point));
        let (name, shape) = (name.to_owned(), shape.to_vec());
        self.graph.add(Tensor { name, shape, dtype, quantisation, constant: constant.map(Into::into), source: None })
    }

    /// The output of a node; none where the op refuses its inputs.
    fn node(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Option<TensorId> {
        let op = op.into();
        let shape = op.infer(&self.graph.tensors_of(inputs)).ok()?.remove(0);
        let output = self.tensor("t", &shape, DType::I8, None);
        let (name, inputs) = (self.graph[output].name.clone(), inputs.to_vec());
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![output], sources: vec![], model_macs: 0 });
        Some(output)
    }

    fn weights(&mut self, shape: &[usize], outputs: usize) -> [TensorId; 2] {
        let weights = self.random.bytes(shape.iter().product());
        let weights = weights.into_iter().map(|byte| if byte == 128 { 0 } else { byte }).collect();
        let bias = bytes_of((0..outputs).map(|_| self.random.below(2000) as i32 - 1000).collect::<Vec<_>>());
        [self.tensor("w", shape, DType::I8, Some(weights)), self.tensor("b", &[outputs], DType::I32, Some(bias))]
    }

    fn shape(&self, id: TensorId) -> [usize; 4] {
        self.graph[id].shape.clone().try_into().expect("four axes")
    }

    /// A window of some rows that slides along time.
    fn sliding(&mut self) -> Sliding {
        let [stride, dilation] = [0, 1].map(|_| 1 + usize::from(self.random.below(4) == 0));
        Sliding { stride: [stride, 1], dilation: [dilation, 1], ..Sliding::PLAIN }
    }

    fn conv(&mut self, input: TensorId, sliding: Sliding, taps: usize) -> Option<TensorId> {
        let [_, _, w, c] = self.shape(input);
        let (o, kw) = (1 + self.random.below(6), 1 + self.random.below(w));
        let [weights, bias] = self.weights(&[o, taps, kw, c], o);
        let op = Conv2d { sliding, activation: Activation::Relu, input_offset: 5, padding_value: -5 };
        self.node(op, &[input, weights, bias])
    }

    fn depthwise(&mut self, input: TensorId, sliding: Sliding, taps: usize) -> Option<TensorId> {
        let [_, _, w, c] = self.shape(input);
        let kw = 1 + self.random.below(w);
        let [weights, bias] = self.weights(&[1, taps, kw, c], c);
        let op = DepthwiseConv2d { sliding, activation: Activation::None, input_offset: 5, padding_value: -5 };
        self.node(op, &[input, weights, bias])
    }

    /// Rows `from` to the last but `less`, every `step`-th.
    fn rows(&mut self, input: TensorId, from: usize, less: usize, step: usize) -> Option<TensorId> {
        let [n, t, w, c] = self.shape(input);
        let count = t.checked_sub(from + less)?.div_ceil(step).max(1);
        let begin = vec![0, from as i64, 0, 0];
        self.node(StridedSlice { begin, stride: vec![1, step as i64, 1, 1], size: vec![n, count, w, c] }, &[input])
    }

    /// What a window of `taps` rows makes of them, and those of the rows that stand beside: a way around it.
    fn beside(&mut self, input: TensorId) -> Option<[TensorId; 2]> {
        let (taps, sliding) = (1 + self.random.below(4), self.sliding());
        let through = self.depthwise(input, sliding, taps)?;
        let from = self.random.below((taps - 1) * sliding.dilation[0] + 1);
        let [_, t, w, c] = self.shape(through);
        let step = sliding.stride[0];
        let begin = vec![0, from as i64, (self.shape(input)[2] - w) as i64, 0];
        let slice = StridedSlice { begin, stride: vec![1, step as i64, 1, 1], size: vec![1, t, w, c] };
        Some([through, self.node(slice, &[input])?])
    }

    fn layer(&mut self, input: TensorId) -> Option<TensorId> {
        let (taps, sliding) = (1 + self.random.below(4), self.sliding());
        let [_, _, w, c] = self.shape(input);
        match self.random.below(10) {
            0..3 => self.conv(input, sliding, taps),
            3 => self.depthwise(input, sliding, taps),
            4 => {
                let function = [PoolFunction::Average, PoolFunction::Max][self.random.below(2)];
                let sliding = Sliding { dilation: [1, 1], ..sliding };
                self.node(Pool2d { function, kernel: [taps, 1], sliding, activation: Activation::None }, &[input])
            }
            5 => {
                let beside = self.beside(input)?;
                let function = [BinaryFunction::Add, BinaryFunction::Mul][self.random.below(2)];
                self.node(Binary { function, activation: Activation::None }, &beside)
            }
            6 => {
                let beside = self.beside(input)?;
                self.node(Concatenation { axis: 3 }, &beside)
            }
            7 => {
                let (from, less, step) = (self.random.below(2), self.random.below(2), 1 + self.random.below(2));
                self.rows(input, from, less, step)
            }
            8 => {
                let values = self.random.bytes(c);
                let constant = self.tensor("c", &[c], DType::I8, Some(values));
                self.node(Binary { function: BinaryFunction::Add, activation: Activation::Relu }, &[constant, input])
            }
            _ => {
                let turned = self.node(Transpose { permutation: vec![0, 2, 1, 3] }, &[input])?;
                let shape = vec![w, self.shape(input)[1], c];
                let flat = self.node(Reshape { shape }, &[turned])?;
                let back = self.node(Transpose { permutation: vec![1, 0, 2] }, &[flat])?;
                self.node(Reshape { shape: self.shape(input).to_vec() }, &[back])
            }
        }
    }

    fn end(&mut self, input: TensorId) -> Option<TensorId> {
        let [_, t, w, c] = self.shape(input);
        let elements = t * w * c;
        match self.random.below(5) {
            0 => Some(input),
            1 => {
                let over = if self.random.below(2) == 0 { vec![1, 2] } else { vec![2] };
                let keep_dims = self.random.below(2) == 0;
                self.node(Mean { axes: over, keep_dims }, &[input])
            }
            2 => {
                let [weights, bias] = self.weights(&[3, c], 3);
                let keep_num_dims = self.random.below(2) == 0;
                let op = FullyConnected { activation: Activation::None, input_offset: 5, keep_num_dims };
                self.node(op, &[input, weights, bias])
            }
            _ => {
                let flat = self.node(Reshape { shape: vec![1, elements] }, &[input])?;
                let [weights, bias] = self.weights(&[4, elements], 4);
                let op = FullyConnected { activation: Activation::None, input_offset: 5, keep_num_dims: false };
                self.node(op, &[flat, weights, bias])
            }
        }
    }
}

/// A network of some layers.
fn network(seed: u64) -> Graph {
    let mut network = Network::new(seed);
    let mut last = network.graph.inputs[0];
    for _ in 0..2 + network.random.below(5) {
        last = network.layer(last).unwrap_or(last);
    }
    let output = network.end(last).unwrap_or(last);
    network.graph.outputs.push(output);
    verify(&network.graph).unwrap();
    network.graph
}

/// The last row of `bytes`, of a tensor of shape `all` of which `made` has one row.
fn last_row(bytes: &[u8], all: &[usize], made: &[usize]) -> Vec<u8> {
    let Some(axis) = (0..all.len()).find(|&axis| all[axis] != made[axis]) else { return bytes.to_vec() };
    let row: usize = all[axis + 1..].iter().product();
    bytes.chunks(row * all[axis]).flat_map(|rows| rows[rows.len() - row..].to_vec()).collect()
}

/// Whether both networks say the same of every window of a sequence, whose frames before the first are zero.
fn same(graph: &Graph, made: &Graph, isa: InstructionSet, random: &mut Random) {
    let [batch, streaming] = [graph, made].map(|graph| compile(graph.clone(), isa).unwrap().program);
    let input = &graph[graph.inputs[0]];
    let frame = made[made.inputs[0]].elements();
    let frames = input.elements() / frame;
    let new = random.bytes(frame * (2 * frames + 5));
    let zero = input.affine().map_or(0, |(_, zero_point)| zero_point) as u8;
    let sequence = [vec![zero; frame * (frames - 1)], new.clone()].concat();
    let calls: Vec<_> = new.chunks(frame).map(|frame| vec![frame.to_vec()]).collect();
    let windows: Vec<_> = sequence.windows(frame * frames).step_by(frame).map(|window| vec![window.to_vec()]).collect();
    assert_eq!(calls.len(), windows.len());
    let found = host::run_calls(&streaming, &calls).unwrap();
    let [all, row] = [graph, made].map(|graph| &graph[graph.outputs[0]].shape);
    for (call, (window, found)) in windows.iter().zip(&found).enumerate() {
        let expected = host::run(&batch, window).unwrap();
        assert_eq!(last_row(&expected[0], all, row), found[0], "run {call} of\n{graph}which is made\n{made}");
    }
}

#[test]
fn random_networks_say_the_same_of_every_window() {
    let mut streamed = 0;
    for seed in 1..=120 {
        let graph = network(seed);
        let Ok(made) = stream(&graph) else { continue };
        verify(&made).unwrap_or_else(|error| panic!("{error} in\n{made}of\n{graph}"));
        assert!(made.macs() <= graph.macs(), "{made}");
        let isa = [InstructionSet::Portable, InstructionSet::Armv7em][usize::from(seed % 2 == 0)];
        same(&graph, &made, isa, &mut Random(seed));
        streamed += 1;
    }
    assert!(streamed >= 100, "{streamed} networks stream");
}

const BLESS: &str = "BLESS=1 cargo test -p rasbora-compiler --test stream";

#[test]
fn networks_become_what_their_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stream");
    let mut failures = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (input, expected) = text.split_once("\n---\n").unwrap_or((text.trim_end(), ""));
        let graph = parse(input, None).unwrap();
        verify(&graph).unwrap();
        let made = stream(&graph);
        let refused = path.file_name().unwrap().to_string_lossy().starts_with("not_");
        assert_eq!(made.is_err(), refused, "{}: {made:?}", path.display());
        let found = match made {
            Ok(made) => {
                same(&graph, &made, InstructionSet::Portable, &mut Random(1));
                made.to_string()
            }
            Err(error) => format!("{error}\n"),
        };
        if found != expected && std::env::var_os("BLESS").is_some() {
            fs::write(&path, format!("{input}\n---\n{found}")).unwrap();
        } else if found != expected {
            let difference =
                TextDiff::from_lines(expected, &found).unified_diff().header("expected", "found").to_string();
            failures += &format!("{}:\n{difference}", path.display());
        }
    }
    assert!(failures.is_empty(), "\n{failures}\nto accept what is made: {BLESS}\n");
}
