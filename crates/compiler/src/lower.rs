//! Lowering: each node becomes steps, a kernel with its parameters and operands, over tensors and new constants.
//!
//! Where the tensors lie is decided afterwards, by the plan.

use std::any::Any;
use std::sync::Arc;

use rasbora_device::arithmetic::{Requantise, WORD, narrowed};
use rasbora_device::isa::paired::SCALE;
use rasbora_device::memory::Channel;
use rasbora_device::ops::{Effort, Kernel, Need, OperandList, Overlap, Rounding16, Scaling, Scaling16, WinogradConv2d};
use rasbora_device::params::Field;
use thiserror::Error;

use crate::choice::{Choices, choose};
use crate::graph::{Graph, Node, Tensor, TensorId, bytes_of};
use crate::ops::paired::{Correcting, Layer, Scales, scales};
use crate::ops::{Activation, Operation, quantised};
use crate::optimise::{Goal, Optimise};
use crate::target::InstructionSet;

/// A node that no kernel computes.
#[derive(Debug, Error, Clone, PartialEq)]
#[error("node '{node}' ({op}) {reason}")]
pub struct LowerError {
    /// The node's name.
    pub node: String,
    /// The op's name.
    pub op: &'static str,
    /// What is wrong, as the end of a sentence.
    pub reason: String,
}

/// A kernel of any type, with its parameters.
pub trait AnyKernel: std::fmt::Debug + Send + Sync {
    /// The kernel as a value of its type.
    fn any(&self) -> &dyn Any;
    /// The kernel's number in the packed format.
    fn opcode(&self) -> u16;
    /// The kernel's type name, as `rasbora_device::ops` exports it.
    fn name(&self) -> &'static str;
    /// Number of output rows.
    fn rows(&self) -> u32;
    /// What the instructions grow with.
    fn effort(&self) -> Effort;
    /// The encoded parameters.
    fn encode(&self) -> Vec<u8>;
    /// What each operand must be.
    fn needs(&self) -> Vec<Need>;
    /// How the output may overlap operand `read`.
    fn overlap(&self, read: usize) -> Overlap;
    /// Size of the parameters in memory, in bytes, as emitted Rust holds them.
    fn memory_bytes(&self) -> usize;
}

impl<K: Kernel + Send + Sync + 'static> AnyKernel for K
where
    K::Operands: OperandList,
{
    fn any(&self) -> &dyn Any {
        self
    }
    fn opcode(&self) -> u16 {
        K::OPCODE
    }
    fn name(&self) -> &'static str {
        std::any::type_name::<K>().rsplit("::").next().unwrap_or_default()
    }
    fn rows(&self) -> u32 {
        Kernel::rows(self)
    }
    fn effort(&self) -> Effort {
        Kernel::effort(self)
    }
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; K::BYTES];
        Field::encode(self, &mut bytes);
        bytes
    }
    fn needs(&self) -> Vec<Need> {
        Kernel::needs(self).as_ref().to_vec()
    }
    fn overlap(&self, read: usize) -> Overlap {
        Kernel::overlap(self, read)
    }
    fn memory_bytes(&self) -> usize {
        size_of::<K>()
    }
}

/// What a step reads or writes, before the plan says where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// A tensor of the graph, in the arena, or among the constants where it is constant.
    Tensor(TensorId),
    /// A constant that lowering made: an index in [`Lowered::constants`].
    Constant(usize),
    /// Working memory of this step alone.
    Scratch {
        /// Length in bytes.
        bytes: usize,
    },
}

/// A kernel with its operands.
#[derive(Debug)]
pub struct Way {
    /// The kernel and its parameters.
    pub kernel: Arc<dyn AnyKernel>,
    /// What it reads and writes.
    pub operands: Vec<Value>,
}

/// What a step copies that moves bytes from one run to another, both without gaps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The first byte in the tensor that is read: operand 0.
    pub from: usize,
    /// The first byte in the tensor that is written: operand 1.
    pub to: usize,
    /// Number of bytes.
    pub bytes: usize,
    /// Whether that is all that the step does; else it fills what is around the run, too.
    pub alone: bool,
}

/// One step of a network, and the ways to compute it.
#[derive(Debug)]
pub struct LoweredStep {
    /// The ways, from the fastest to the one that takes the least memory; there is one at least.
    pub ways: Vec<Way>,
    /// The node that it belongs to: an index in [`Graph::nodes`].
    pub node: usize,
    /// What it copies, if that is one run: where one tensor lies in the other, nothing is copied, and no step is needed for it.
    pub run: Option<Run>,
}

/// All steps of a network, in the order of its nodes.
#[derive(Debug, Default)]
pub struct Lowered {
    /// The steps.
    pub steps: Vec<LoweredStep>,
    /// Constants that lowering made: multipliers, tables.
    pub constants: Vec<Vec<u8>>,
}

/// Lowers every node to the kernels that serve `goal` best, `choices` among them.
///
/// # Errors
/// [`LowerError`] names the first node that no kernel computes.
pub fn lower(graph: &Graph, goal: impl Into<Goal>, choices: &Choices) -> Result<Lowered, LowerError> {
    let goal = goal.into();
    let mut lowered = offered(graph, goal, choices)?;
    if goal.isa() == InstructionSet::Armv7em || goal.optimise() == Optimise::Size {
        choose(&mut lowered.steps, goal.optimise());
    }
    Ok(lowered)
}

/// Lowers every node to all kernels that there are for it, or to that of `choices`.
///
/// # Errors
/// [`LowerError`] names the first node that no kernel computes.
pub fn offered(graph: &Graph, goal: Goal, choices: &Choices) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    for index in 0..graph.nodes.len() {
        let mut site = Site { graph, index, goal, choices, lowered: &mut lowered };
        site.node().op.lower(&mut site)?;
    }
    Ok(lowered)
}

/// One node while it is lowered: what it reads and writes, and where its steps go.
pub struct Site<'a> {
    graph: &'a Graph,
    index: usize,
    goal: Goal,
    choices: &'a Choices,
    lowered: &'a mut Lowered,
}

impl<'a> Site<'a> {
    fn node(&self) -> &'a Node {
        &self.graph.nodes[self.index]
    }

    /// Input tensor `index` of the node.
    pub fn input(&self, index: usize) -> &'a Tensor {
        &self.graph[self.node().inputs[index]]
    }

    /// Output tensor `index` of the node.
    pub fn output(&self, index: usize) -> &'a Tensor {
        &self.graph[self.node().outputs[index]]
    }

    /// The instruction set that the kernels are for.
    pub fn isa(&self) -> InstructionSet {
        self.goal.isa()
    }

    /// The kernel that was chosen for the node instead of the usual one.
    pub fn choice(&self) -> Option<WinogradConv2d> {
        self.choices.get(&self.index).copied()
    }

    /// What counts most.
    pub fn optimise(&self) -> Optimise {
        self.goal.optimise()
    }

    /// Number of inputs of the node.
    pub fn input_count(&self) -> usize {
        self.node().inputs.len()
    }

    /// Input `index`, to be read by a step.
    pub fn read(&self, index: usize) -> Value {
        Value::Tensor(self.node().inputs[index])
    }

    /// Output `index`, to be written by a step.
    pub fn write(&self, index: usize) -> Value {
        Value::Tensor(self.node().outputs[index])
    }

    /// Input `index`, which must be constant.
    ///
    /// # Errors
    /// Where it is computed.
    pub fn constant_input(&self, index: usize) -> Result<Value, LowerError> {
        if self.input(index).constant.is_some() {
            Ok(self.read(index))
        } else {
            Err(self
                .refuse(format!("needs a constant for input {index}, but '{}' is computed", self.input(index).name)))
        }
    }

    /// Adds a constant.
    pub fn constant(&mut self, bytes: Vec<u8>) -> Value {
        let found = self.lowered.constants.iter().position(|other| *other == bytes);
        Value::Constant(found.unwrap_or_else(|| {
            self.lowered.constants.push(bytes);
            self.lowered.constants.len() - 1
        }))
    }

    /// The constants that `streams` makes of a layer with `weights`, one output's after the other's, whose input, weights,
    /// bias and output are inputs 0, 1, 2 and output 0; `None` where they are not proven to give the same bytes.
    ///
    /// # Errors
    /// Where scales are missing.
    pub fn fitted<S>(
        &self,
        weights: &[i8],
        requantise: Requantise,
        streams: fn(Layer<'_>) -> Option<S>,
    ) -> Result<Option<S>, LowerError> {
        let Some(bias) = self.input(2).values::<i32>() else { return Ok(None) };
        let multipliers = quantised::channel_multipliers(self.input(0), self.input(1), self.output(0), bias.len())
            .map_err(|reason| self.refuse(reason))?;
        let (bias, multipliers, corrections) = (&bias, &multipliers, Correcting::Words);
        Ok(streams(Layer { weights, bias, multipliers, requantise, scale: SCALE, corrections }))
    }

    /// The operands and parameters by which the sums of a layer with `weights`, one output's after the other's, become its
    /// outputs: biases and multipliers as constants. Its tensors are those of [`Site::fitted`].
    ///
    /// # Errors
    /// Where scales are missing.
    pub fn scales(&mut self, weights: &[i8], requantise: Requantise) -> Result<(Value, Value, Scaling), LowerError> {
        let scales = self.fitted(weights, requantise, |layer| Some(scales(layer)))?;
        let Some(Scales { scaling, bias, multipliers }) = scales else {
            return Err(self.refuse("has a bias of another type than int32".into()));
        };
        Ok((self.constant(bytes_of(bias)), self.constant(bytes_of(multipliers)), scaling))
    }

    /// The operand and parameters by which the sums of a layer of 16-bit inputs with `weights`, one output's after the
    /// other's, become its outputs. Its tensors are those of [`Site::fitted`].
    ///
    /// # Errors
    /// Where scales are missing or out of range.
    pub fn channels(&mut self, weights: &[i8], activation: Activation) -> Result<(Value, Scaling16), LowerError> {
        let (bias, output) = (self.input(2), self.output(0));
        let refuse = |reason| self.refuse(reason);
        let (min, max) = activation.range_i16(output).map_err(refuse)?;
        let biases = quantised::biases(bias).map_err(refuse)?;
        let multipliers =
            quantised::channel_multipliers(self.input(0), self.input(1), output, biases.len()).map_err(refuse)?;
        let wide = quantised::is_wide(bias);
        let channel = |(output, &bias): (usize, &i64)| {
            let multiplier = multipliers.get(output).or(multipliers.first()).copied().unwrap_or_default();
            Channel::new(bias, if wide { narrowed(multiplier) } else { multiplier })
        };
        let channels: Vec<Channel> = biases.iter().enumerate().map(channel).collect();
        let taps = (weights.len() / biases.len().max(1)).max(1);
        let word = channels.iter().zip(weights.chunks(taps)).all(|(channel, weights)| is_word(channel, weights));
        let rounding = match (wide, word) {
            (false, _) => Rounding16::Twice,
            (true, false) => Rounding16::Once,
            (true, true) => Rounding16::Word,
        };
        let mut bytes = vec![0; channels.len() * Channel::BYTES];
        for (channel, bytes) in channels.iter().zip(bytes.chunks_exact_mut(Channel::BYTES)) {
            channel.encode(bytes);
        }
        Ok((self.constant(bytes), Scaling16 { rounding, min, max }))
    }

    /// Adds a step.
    ///
    /// # Errors
    /// Where the parameters are out of the kernel's range.
    pub fn step<K: Kernel + Send + Sync + 'static>(&mut self, kernel: K, operands: &[Value]) -> Result<(), LowerError> {
        if !Kernel::valid(&kernel) {
            return Err(self.refuse(format!("has sizes out of the kernel's range: {kernel:?}")));
        }
        let way = Way { kernel: Arc::new(kernel), operands: operands.to_vec() };
        self.lowered.steps.push(LoweredStep { ways: vec![way], node: self.index, run: None });
        Ok(())
    }

    /// Says that what the last step copies is `run`.
    pub fn copies(&mut self, run: Run) {
        if let Some(step) = self.lowered.steps.last_mut() {
            step.run = Some(run);
        }
    }

    /// Offers a kernel for the step that the node is. All that are offered give the same bytes: from the fastest to the one that
    /// takes the least memory, where [`choice`](crate::choice) does not know what they take.
    ///
    /// # Errors
    /// Where the parameters are out of the kernel's range.
    pub fn offer<K: Kernel + Send + Sync + 'static>(
        &mut self,
        kernel: K,
        operands: &[Value],
    ) -> Result<(), LowerError> {
        self.step(kernel, operands)?;
        let steps = &mut self.lowered.steps;
        if let [.., first, _] = steps.as_mut_slice()
            && first.node == self.index
            && let Some(step) = steps.pop()
            && let Some(first) = steps.last_mut()
        {
            first.ways.extend(step.ways);
        }
        Ok(())
    }

    /// Demands that `fold_zero_points` ran.
    ///
    /// # Errors
    /// Where an offset is left.
    pub fn expect_folded(&self, input_offset: i32) -> Result<(), LowerError> {
        if input_offset == 0 {
            Ok(())
        } else {
            Err(self.refuse("still has an input offset: run the pass fold_zero_points before lowering".into()))
        }
    }

    /// Demands that the image of a layer of 16-bit inputs is surrounded by zeros.
    ///
    /// # Errors
    /// Where it is not.
    pub fn expect_zero_padding(&self, padding_value: i32) -> Result<(), LowerError> {
        if padding_value == 0 {
            Ok(())
        } else {
            Err(self.refuse(format!("pads int16 with {padding_value}, but 0 is supported alone")))
        }
    }

    /// The error that this node cannot be lowered because it `reason`s.
    pub fn refuse(&self, reason: String) -> LowerError {
        LowerError { node: self.node().name.clone(), op: self.node().op.name(), reason }
    }
}

/// Whether sums of int16 with `weights` have 32 bits, their bias included, and the channel's shift is a word.
fn is_word(channel: &Channel, weights: &[i8]) -> bool {
    let largest: u64 = weights.iter().map(|weight| u64::from(weight.unsigned_abs()) << 15).sum();
    let fits = largest.saturating_add(channel.bias().unsigned_abs()) <= i32::MAX as u64;
    fits && channel.multiplier.shift == WORD
}
