//! The network `digits`: 1 in, 1 out, 6 steps.

#[allow(unused_imports)]
use core::hint::black_box;
#[allow(unused_imports)]
use rasbora_device::arithmetic::*;
use rasbora_device::memory::{self, Aligned, Memory, Operand};
use rasbora_device::network::{Network, Position, Progress, TensorInfo};
#[allow(unused_imports)]
use rasbora_device::ops::*;
use rasbora_device::program::{DType, Work};
use rasbora_device::isa::Portable as Isa;

/// Bytes of working memory, network inputs and outputs included.
pub const ARENA_BYTES: usize = 2304;
/// Alignment of the arena in bytes; [`Arena`] has it.
pub const ARENA_ALIGN: usize = 16;
/// Number of steps of one inference.
pub const STEPS: usize = 6;
/// Network inputs, in the file's order.
pub const INPUTS: [TensorInfo; 1] = [
    TensorInfo {
        name: "serving_default_image:0",
        shape: &[1, 8, 8, 1],
        dtype: DType::I8,
        scale: 0.003921569,
        zero_point: -128,
    },
];
/// Network outputs, in the file's order.
pub const OUTPUTS: [TensorInfo; 1] = [
    TensorInfo {
        name: "StatefulPartitionedCall_1:0",
        shape: &[1, 10],
        dtype: DType::I8,
        scale: 0.00390625,
        zero_point: -128,
    },
];

static CONSTANTS: Aligned<[u8; 5040]> =
    Aligned(*include_bytes!("digits.bin"));
static STATE: [u8; 0] = [];

// Conv2d "sequential_1/re_lu_1/Relu;sequential_1/batch_normalization_1/batchnorm/add_1;sequential_1/conv2d_1/convolution;sequential_1/batch_normalization_1/batchnorm/sub1"
static STEP_0: Conv2d = Conv2d { window: Window { batch: 1, input: [8, 8], output: [8, 8], kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1, 1] }, inputs: 1, outputs: 12, groups: 1, padding_value: -128, requantise: Requantise { zero_point: -128, min: -128, max: 127 }, multipliers: 12 };
static OPERANDS_0: [Operand; 5] = [
    Operand::arena(768, 64),
    Operand::constant(0, 108),
    Operand::constant(108, 48),
    Operand::constant(156, 96),
    Operand::arena(0, 768),
];

// DepthwiseConv2d "sequential_1/re_lu_1_2/Relu;sequential_1/batch_normalization_1_2/batchnorm/add_1;sequential_1/batch_normalization_1_2/batchnorm/mul_1;sequential_1/depthwise_conv2d_1/depthwise;sequential_1/batch_normalization_1_2/batchnorm/mul;sequential_1/batch_normalization_1_2/batchnorm/sub1"
static STEP_1: DepthwiseConv2d = DepthwiseConv2d { window: Window { batch: 1, input: [8, 8], output: [8, 8], kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1, 1] }, inputs: 12, depth: 1, block: 4, padding_value: -128, requantise: Requantise { zero_point: -128, min: -128, max: 127 }, multipliers: 12 };
static OPERANDS_1: [Operand; 5] = [
    Operand::arena(0, 768),
    Operand::constant(252, 108),
    Operand::constant(360, 48),
    Operand::constant(408, 96),
    Operand::arena(1536, 768),
];

// Conv2d "sequential_1/re_lu_2_1/Relu;sequential_1/batch_normalization_2_1/batchnorm/add_1;sequential_1/conv2d_1_2/convolution;sequential_1/batch_normalization_2_1/batchnorm/sub1"
static STEP_2: Conv2d = Conv2d { window: Window { batch: 1, input: [8, 8], output: [8, 8], kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] }, inputs: 12, outputs: 24, groups: 1, padding_value: -128, requantise: Requantise { zero_point: -128, min: -128, max: 127 }, multipliers: 24 };
static OPERANDS_2: [Operand; 5] = [
    Operand::arena(1536, 768),
    Operand::constant(504, 288),
    Operand::constant(792, 96),
    Operand::constant(888, 192),
    Operand::arena(0, 1536),
];

// Pool2d "sequential_1/max_pooling2d_1/MaxPool2d"
static STEP_3: MaxPool = MaxPool { window: Window { batch: 1, input: [8, 8], output: [4, 4], kernel: [2, 2], stride: [2, 2], dilation: [1, 1], padding: [0, 0] }, channels: 24, min: -128, max: 127 };
static OPERANDS_3: [Operand; 2] = [
    Operand::arena(0, 1536),
    Operand::arena(1536, 384),
];

// FullyConnected "sequential_1/dense_1/MatMul;sequential_1/dense_1/BiasAdd"
static STEP_4: FullyConnected = FullyConnected { batch: 1, inputs: 384, outputs: 10, requantise: Requantise { zero_point: 7, min: -128, max: 127 }, multipliers: 10 };
static OPERANDS_4: [Operand; 5] = [
    Operand::arena(1536, 384),
    Operand::constant(1080, 3840),
    Operand::constant(4920, 40),
    Operand::constant(4960, 80),
    Operand::arena(0, 10),
];

// Softmax "StatefulPartitionedCall_1:0"
static STEP_5: Softmax = Softmax { batch: 1, depth: 10, multiplier: 1365556608, left_shift: 24, least_difference: -124 };
static OPERANDS_5: [Operand; 2] = [
    Operand::arena(0, 10),
    Operand::arena(0, 10),
];

static WORKS: [Work; STEPS] = [
    Work { rows: 8, call: 3170, row: 55398 },
    Work { rows: 8, call: 6600, row: 88676 },
    Work { rows: 8, call: 3170, row: 74790 },
    Work { rows: 4, call: 2680, row: 14350 },
    Work { rows: 10, call: 2600, row: 4426 },
    Work { rows: 1, call: 330, row: 16870 },
];

/// The network's working memory: put it in a `static`, or on the stack of a host.
#[repr(C, align(16))]
pub struct Arena([u8; ARENA_BYTES]);

impl Arena {
    /// An arena of zeros.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self([0; ARENA_BYTES])
    }
}

/// The network over its arena.
pub struct Model<'a>(&'a mut Arena);

impl<'a> Model<'a> {
    /// Takes the arena and sets the network's state to its initial values.
    pub fn new(arena: &'a mut Arena) -> Self {
        let mut model = Self(arena);
        model.reset();
        model
    }

    /// Takes the arena as an earlier `Model` left it, its state and its inputs included.
    pub fn attach(arena: &'a mut Arena) -> Self {
        Self(arena)
    }

    /// Sets the network's state to its initial values.
    pub fn reset(&mut self) {
        memory::fill(&mut self.0.0, &STATE);
    }

    /// Goes on with an inference from `position`, which is [`Position::START`] before its first step, for about `budget`
    /// instructions: it takes no more, unless one row of one layer does.
    ///
    /// Until it says [`Progress::Done`] the arena is the inference's: inputs must be left alone, outputs mean nothing,
    /// and [`Model::run`] would spoil it.
    pub fn step(&mut self, position: &mut Position, budget: u32) -> Progress {
        position.advance(&WORKS, budget, |kernel, rows| self.run_rows(kernel, rows))
    }

    #[inline(always)]
    fn memory(&mut self) -> Memory<'_> {
        Memory::new(&CONSTANTS.0, &mut self.0.0)
    }

    /// Input 0, i8[1, 8, 8, 1], row-major: fill it before [`Model::run`].
    pub fn input_mut(&mut self) -> &mut [i8] {
        memory::elements_mut(&mut self.0.0, 768, 64)
    }

    /// Output 0, i8[1, 10], row-major: valid after [`Model::run`].
    pub fn output(&self) -> &[i8] {
        memory::elements(&self.0.0, 0, 10)
    }

    /// One inference.
    pub fn run(&mut self) {
        black_box(&STEP_0).run::<Isa>(0..8, self.memory(), &OPERANDS_0);
        black_box(&STEP_1).run::<Isa>(0..8, self.memory(), &OPERANDS_1);
        black_box(&STEP_2).run::<Isa>(0..8, self.memory(), &OPERANDS_2);
        black_box(&STEP_3).run::<Isa>(0..4, self.memory(), &OPERANDS_3);
        black_box(&STEP_4).run::<Isa>(0..10, self.memory(), &OPERANDS_4);
        black_box(&STEP_5).run::<Isa>(0..1, self.memory(), &OPERANDS_5);
    }

    fn run_rows(&mut self, kernel: u32, rows: core::ops::Range<u32>) {
        match kernel {
            0 => black_box(&STEP_0).run::<Isa>(rows, self.memory(), &OPERANDS_0),
            1 => black_box(&STEP_1).run::<Isa>(rows, self.memory(), &OPERANDS_1),
            2 => black_box(&STEP_2).run::<Isa>(rows, self.memory(), &OPERANDS_2),
            3 => black_box(&STEP_3).run::<Isa>(rows, self.memory(), &OPERANDS_3),
            4 => black_box(&STEP_4).run::<Isa>(rows, self.memory(), &OPERANDS_4),
            5 => black_box(&STEP_5).run::<Isa>(rows, self.memory(), &OPERANDS_5),
            _ => {}
        }
    }
}

impl<'a> Network<'a> for Model<'a> {
    const ARENA_BYTES: usize = ARENA_BYTES;
    const STEPS: usize = STEPS;
    const INPUTS: usize = INPUTS.len();
    const OUTPUTS: usize = OUTPUTS.len();
    type Arena = Arena;

    fn arena() -> Arena {
        Arena::new()
    }
    fn new(arena: &'a mut Arena) -> Self {
        Self::new(arena)
    }
    fn arena_bytes(&self) -> &[u8] {
        &self.0.0
    }
    fn run(&mut self) {
        self.run();
    }
    fn step(&mut self, position: &mut Position, budget: u32) -> Progress {
        self.step(position, budget)
    }
    fn run_kernel(&mut self, index: usize) {
        if let Some(work) = WORKS.get(index) {
            self.run_rows(index as u32, 0..work.rows);
        }
    }
    fn input_bytes(&mut self, index: usize) -> &mut [u8] {
        match index {
            0 => memory::elements_mut(&mut self.0.0, 768, 64),
            _ => &mut [],
        }
    }
    fn output_bytes(&self, index: usize) -> &[u8] {
        match index {
            0 => memory::elements(&self.0.0, 0, 10),
            _ => &[],
        }
    }
}
