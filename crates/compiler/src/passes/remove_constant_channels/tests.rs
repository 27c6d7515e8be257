use super::remove_constant_channels;
use crate::graph::verify::verify;
use crate::graph::{DType, Graph, Node, Quantisation, Tensor, TensorId, bytes_of};
use crate::host;
use crate::ops::{
    Activation, Binary, BinaryFunction, Concatenation, Conv2d, DepthwiseConv2d, FullyConnected, Mean, Op, Operation,
    Pad, Pool2d, PoolFunction, Reshape, Sliding, StridedSlice, Transpose, Unary, UnaryFunction,
};
use crate::pipeline::{compile, compile_plainly};
use crate::target::InstructionSet;

/// Networks that are drawn.
const NETWORKS: u64 = 300;
/// Inferences of each.
const RUNS: usize = 3;

/// Draws networks in which many channels are constant or unread: weights that are zero, biases that saturate, zero
/// points at the end of the range.
struct Draw {
    state: u64,
    graph: Graph,
    /// The tensor that the next node reads.
    last: TensorId,
    /// An earlier tensor with the same shape as what follows it, for a residual connection.
    kept: Option<TensorId>,
}

impl Draw {
    fn new(seed: u64) -> Self {
        let mut draw = Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            graph: Graph::default(),
            last: TensorId(0),
            kept: None,
        };
        let shape = vec![1, 3 + draw.below(4), 3 + draw.below(4), 1 + draw.below(4)];
        let input = draw.tensor("x", shape, None);
        draw.graph.inputs.push(input);
        draw
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state >> 20
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A computed tensor, with `quantisation` or any.
    fn tensor(&mut self, name: &str, shape: Vec<usize>, quantisation: Option<Quantisation>) -> TensorId {
        let scale = [0.05, 0.1, 0.25][self.below(3)];
        let zero_point = [-128, -128, 127, 0, -9][self.below(5)];
        let quantisation = Some(quantisation.unwrap_or(Quantisation::per_tensor(scale, zero_point)));
        self.graph.add(Tensor {
            name: name.into(),
            shape,
            dtype: DType::I8,
            quantisation,
            constant: None,
            source: None,
        })
    }

    fn shape(&self) -> Vec<usize> {
        self.graph[self.last].shape.clone()
    }

    fn quantisation(&self) -> Option<Quantisation> {
        self.graph[self.last].quantisation.clone()
    }

    /// Adds a node that reads `inputs` and writes a tensor that is quantised as `quantisation` says.
    fn node(&mut self, op: impl Into<Op>, inputs: Vec<TensorId>, quantisation: Option<Quantisation>) {
        let op = op.into();
        let shapes = op.infer(&self.graph.tensors_of(&inputs));
        let Ok([shape]) = shapes.map(|shapes| <[_; 1]>::try_from(shapes).unwrap()) else { return };
        let output = self.tensor("t", shape, quantisation);
        let name = self.graph[output].name.clone();
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![output], sources: vec![], model_macs: 0 });
        self.last = output;
    }

    /// Weights of `shape`, per channel of `axis`, and a bias for its channels.
    fn constants(&mut self, shape: Vec<usize>, axis: usize) -> [TensorId; 2] {
        let outputs = shape[axis];
        let channels = shape[shape.len() - 1];
        let silent: Vec<bool> = (0..channels).map(|_| self.chance(15)).collect();
        let count: usize = shape.iter().product();
        let sparse = if self.chance(30) { 60 } else { 0 };
        let weights: Vec<i8> = (0..count)
            .map(|index| if silent[index % channels] || self.chance(sparse) { 0 } else { self.next() as i8 })
            .collect();
        let bias: Vec<i32> = (0..outputs)
            .map(|_| match self.below(6) {
                0 => -4_000_000,
                1 => 4_000_000,
                2 => 0,
                _ => self.below(8000) as i32 - 4000,
            })
            .collect();
        let scales = (0..outputs).map(|_| [0.001, 0.002, 0.004][self.below(3)]).collect();
        let weights = Tensor {
            name: "w".into(),
            shape,
            dtype: DType::I8,
            quantisation: Some(Quantisation { scales, zero_points: vec![0; outputs], axis }),
            constant: Some(bytes_of(weights).into()),
            source: None,
        };
        let bias = Tensor {
            name: "b".into(),
            shape: vec![outputs],
            dtype: DType::I32,
            quantisation: None,
            constant: Some(bytes_of(bias).into()),
            source: None,
        };
        [self.graph.add(weights), self.graph.add(bias)]
    }

    fn activation(&mut self) -> Activation {
        [Activation::None, Activation::Relu, Activation::Relu6][self.below(3)]
    }

    fn sliding(&mut self, input: [usize; 2], kernel: [usize; 2]) -> Sliding {
        let sliding = Sliding { stride: [1 + self.below(2), 1], dilation: [1, 1 + self.below(2)], ..Sliding::PLAIN };
        if self.chance(60) { sliding.same(input, kernel) } else { sliding }
    }

    fn zero_point(&self) -> i32 {
        self.graph[self.last].affine().unwrap().1
    }

    fn convolution(&mut self) {
        let [_, h, w, c] = self.shape()[..] else { return };
        let kernel = [1 + self.below(3.min(h)), 1 + self.below(3.min(w))];
        let sliding = self.sliding([h, w], kernel);
        let groups = if c.is_multiple_of(2) && self.chance(15) { 2 } else { 1 };
        let outputs = (1 + self.below(4)) * groups;
        let [weights, bias] = self.constants(vec![outputs, kernel[0], kernel[1], c / groups], 0);
        let zero_point = self.zero_point();
        let activation = self.activation();
        let op = Conv2d { sliding, activation, input_offset: -zero_point, padding_value: zero_point };
        self.node(op, vec![self.last, weights, bias], None);
    }

    fn depthwise(&mut self) {
        let [_, h, w, c] = self.shape()[..] else { return };
        let kernel = [1 + self.below(3.min(h)), 1 + self.below(3.min(w))];
        let sliding = self.sliding([h, w], kernel);
        let depth = 1 + self.below(2);
        let [weights, bias] = self.constants(vec![1, kernel[0], kernel[1], c * depth], 3);
        let zero_point = self.zero_point();
        let activation = self.activation();
        let op = DepthwiseConv2d { sliding, activation, input_offset: -zero_point, padding_value: zero_point };
        self.node(op, vec![self.last, weights, bias], None);
    }

    fn pool(&mut self) {
        let [_, h, w, _] = self.shape()[..] else { return };
        let kernel = [1 + self.below(2.min(h)), 1 + self.below(2.min(w))];
        let function = [PoolFunction::Average, PoolFunction::Max][self.below(2)];
        let op = Pool2d { function, kernel, sliding: self.sliding([h, w], kernel), activation: self.activation() };
        let quantisation = self.quantisation();
        self.node(op, vec![self.last], quantisation);
    }

    /// A sum or product with an earlier tensor, with a constant, or with itself.
    fn binary(&mut self) {
        let shape = self.shape();
        let function = [BinaryFunction::Add, BinaryFunction::Sub, BinaryFunction::Mul][self.below(3)];
        let other = match self.kept.filter(|&kept| self.graph[kept].shape == shape) {
            Some(kept) => kept,
            None if self.chance(20) => self.last,
            None => {
                let channels = shape[shape.len() - 1];
                let shape = [vec![channels], vec![1, channels], vec![1], vec![]][self.below(4)].clone();
                let id = self.tensor("k", shape, None);
                let values: Vec<i8> = (0..self.graph[id].elements()).map(|_| self.next() as i8).collect();
                self.graph[id].constant = Some(bytes_of(values).into());
                id
            }
        };
        let inputs = if self.chance(50) { vec![self.last, other] } else { vec![other, self.last] };
        let activation = self.activation();
        self.node(Binary { function, activation }, inputs, None);
    }

    /// An op that moves elements or maps each of them.
    fn movement(&mut self) {
        let shape = self.shape();
        let quantisation = self.quantisation();
        let op: Op = match self.below(6) {
            0 => {
                let function = [UnaryFunction::Relu, UnaryFunction::Relu6][self.below(2)];
                return self.node(Unary { function }, vec![self.last], None);
            }
            1 => {
                let mut padding: Vec<[usize; 2]> = shape.iter().map(|_| [self.below(2), self.below(2)]).collect();
                padding[0] = [0, 0];
                if self.chance(70) {
                    padding[shape.len() - 1] = [0, 0];
                }
                Pad { padding, value: f64::from(self.zero_point()) }.into()
            }
            2 => {
                let mut permutation: Vec<usize> = (0..shape.len()).collect();
                let end = if self.chance(70) { shape.len() - 1 } else { shape.len() };
                permutation[1..end].reverse();
                Transpose { permutation }.into()
            }
            3 => {
                let mut size = shape.clone();
                let axis = 1 + self.below(shape.len() - 1);
                size[axis] = size[axis].div_ceil(2);
                let mut stride = vec![1; shape.len()];
                stride[axis] = 2;
                StridedSlice { begin: vec![0; shape.len()], stride, size }.into()
            }
            4 => {
                let axis = self.below(shape.len());
                let other = self
                    .kept
                    .filter(|&kept| self.graph[kept].shape == shape && self.graph[kept].quantisation == quantisation);
                let inputs = vec![self.last, other.unwrap_or(self.last)];
                return self.node(Concatenation { axis }, inputs, quantisation);
            }
            _ => {
                let mut shape = shape;
                let at = self.below(shape.len() - 1);
                let joined = shape.remove(at);
                shape[at] *= joined;
                if shape.len() == 3 {
                    shape.insert(0, 1);
                }
                Reshape { shape }.into()
            }
        };
        self.node(op, vec![self.last], quantisation);
    }

    /// A mean and fully connected layers.
    fn end(&mut self) {
        if self.chance(40) {
            let keep_dims = self.chance(50);
            self.node(Mean { axes: vec![1, 2], keep_dims }, vec![self.last], None);
        }
        for _ in 0..2 {
            let features: usize = self.shape().iter().product();
            let outputs = 1 + self.below(4);
            let [weights, bias] = self.constants(vec![outputs, features], 0);
            let (input_offset, activation) = (-self.zero_point(), self.activation());
            let op = FullyConnected { activation, input_offset, keep_num_dims: false };
            self.node(op, vec![self.last, weights, bias], None);
        }
    }

    fn network(mut self) -> Graph {
        for _ in 0..3 + self.below(6) {
            if self.shape().len() != 4 || self.graph[self.last].elements() > 2000 {
                break;
            }
            if self.chance(40) {
                self.kept = Some(self.last);
            }
            match self.below(10) {
                0..4 => self.convolution(),
                4..6 => self.depthwise(),
                6 => self.pool(),
                7 => self.binary(),
                _ => self.movement(),
            }
        }
        if self.chance(60) || self.graph.nodes.is_empty() {
            self.end();
        }
        self.graph.outputs.push(self.last);
        if let Some(kept) = self.kept.filter(|kept| *kept != self.last && !self.graph.inputs.contains(kept))
            && self.chance(10)
        {
            self.graph.outputs.push(kept);
        }
        self.graph
    }
}

#[test]
fn random_networks_give_the_same_bytes() {
    let (mut fired, mut before, mut after) = (0, 0, 0);
    for seed in 1..=NETWORKS {
        let graph = Draw::new(seed).network();
        verify(&graph).unwrap_or_else(|error| panic!("network {seed} is drawn wrongly: {error}"));
        let mut smaller = graph.clone();
        fired += u64::from(remove_constant_channels(&mut smaller).0);
        before += graph.macs();
        after += smaller.macs();
        verify(&smaller).unwrap_or_else(|error| panic!("network {seed}: {error}\n{graph}\n{smaller}"));
        assert!(!remove_constant_channels(&mut smaller.clone()).0, "network {seed} has more to lose\n{smaller}");
        let plain = compile_plainly(graph.clone()).unwrap().program;
        let smaller_program = compile_plainly(smaller.clone()).unwrap().program;
        let optimised = compile(graph.clone(), InstructionSet::Portable).unwrap().program;
        let mut inputs = Draw::new(!seed);
        for _ in 0..RUNS {
            let input: Vec<u8> = (0..plain.inputs[0].bytes).map(|_| inputs.next() as u8).collect();
            let run = |program| host::run(program, std::slice::from_ref(&input)).unwrap();
            let expected = run(&plain);
            assert_eq!(expected, run(&smaller_program), "network {seed}\n{graph}\n{smaller}");
            assert_eq!(expected, run(&optimised), "network {seed}, all passes\n{graph}");
        }
    }
    println!("{fired} of {NETWORKS} networks lost channels, and {before} multiply-accumulates became {after}");
    assert!(fired > NETWORKS / 2, "only {fired} networks lost channels");
}
