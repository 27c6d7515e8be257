//! What runs: an ordered list of kernels with their parameters, the constants, and where everything lies in the arena.
//!
//! A program is for one target. It is emitted as Rust, or packed to the bytes that `rasbora_device::program` describes,
//! which the interpreter runs, on the chip and on the host.

use std::collections::HashMap;
use std::sync::Arc;

use rasbora_device::memory::Operand;
use rasbora_device::params::Field;
use rasbora_device::program::{HASHED_FROM, Header, Io, MAGIC, StepHeader, VERSION, Work, hash};
use thiserror::Error;

use crate::choice::{Choices, choices, prefer};
use crate::cost;
use crate::graph::{DType, Graph, Quantisation, Shape, TensorId};
use crate::lower::{AnyKernel, LowerError, Lowered, Value, lower, offered};
use crate::optimise::{Goal, Optimise, SPEED_CONSTANTS_BYTES, speed_arena_bytes};
use crate::place::{Placed, place};
use crate::plan::{Plan, PlanError};
use crate::target::InstructionSet;

/// An ordered list of kernels with their memory.
#[derive(Debug)]
pub struct Program {
    /// The instruction set that its kernels are for.
    pub isa: InstructionSet,
    /// The steps, in the order in which they run.
    pub steps: Vec<Step>,
    /// Weights, biases, multipliers, tables.
    pub constants: Vec<u8>,
    /// Initial bytes of the state, at the front of the arena.
    pub state: Vec<u8>,
    /// Size of the arena, network inputs and outputs and scratch included, in bytes.
    pub arena_bytes: usize,
    /// No arena for this order of steps is smaller.
    pub arena_bound_bytes: usize,
    /// Network inputs.
    pub inputs: Vec<Port>,
    /// Network outputs.
    pub outputs: Vec<Port>,
    /// The plan that it was made by, over the graph's tensors.
    pub plan: Plan,
}

/// A kernel with its parameters and operands.
#[derive(Debug)]
pub struct Step {
    /// The node's name: the file's tensors that it computes, joined by `+`.
    pub name: String,
    /// The graph op's name.
    pub op: &'static str,
    /// The kernel and its parameters.
    pub kernel: Arc<dyn AnyKernel>,
    /// What it reads, then what it writes.
    pub operands: Vec<Operand>,
    /// Its rows, and what they cost at most.
    pub work: Work,
    /// Multiply-accumulates; a node's are counted at its last step.
    pub macs: u64,
    /// Multiply-accumulates of the file's operators that it stands for.
    pub model_macs: u64,
    /// Indices of the file's operators that it stands for.
    pub sources: Vec<usize>,
    /// The tensors that are complete after this step.
    pub written: Vec<Written>,
}

/// A tensor that is complete.
#[derive(Debug)]
pub struct Written {
    /// Name of the graph op whose output it is.
    pub op: &'static str,
    /// Where it lies.
    pub port: Port,
}

/// A tensor at a place in the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The tensor's name.
    pub name: String,
    /// Sizes of the axes.
    pub shape: Shape,
    /// Type of the elements.
    pub dtype: DType,
    /// What the integers mean.
    pub quantisation: Option<Quantisation>,
    /// Index of the tensor in the file.
    pub source: Option<usize>,
    /// First byte in the arena.
    pub offset: usize,
    /// Length in bytes.
    pub bytes: usize,
}

/// Why a graph does not become a program.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// A node that no kernel computes.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The memory cannot be laid out.
    #[error("the network's memory cannot be laid out: {0}")]
    Plan(#[from] PlanError),
    /// A state whose old value is read when the new one is written.
    #[error("the state '{tensor}' cannot be overwritten where it lies: run the pass settle_states before lowering")]
    Unsettled {
        /// The tensor's name.
        tensor: String,
    },
    /// A size that the packed format cannot hold.
    #[error("the network has {what} of {found}, but a program holds at most {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
}

impl Program {
    /// Lowers `graph` to kernels for `goal`, plans its memory and joins both.
    ///
    /// # Errors
    /// Where a node has no kernel or a size is out of range.
    pub fn new(graph: &Graph, goal: impl Into<Goal>) -> Result<Self, ProgramError> {
        let goal = goal.into();
        let mut draft = Draft::new(graph, goal, &Choices::new(), 0)?;
        if goal.optimise() == Optimise::Speed && goal.isa() == InstructionSet::Armv7em {
            draft = draft.faster(graph, goal)?;
        }
        Self::of(graph, goal, draft)
    }

    /// As [`Program::new`], but with the kernel named `kernel` wherever it can compute a layer: for measuring it. Other layers
    /// take what is expected to be the fastest.
    ///
    /// # Errors
    /// Where a node has no kernel or a size is out of range.
    pub fn by_kernel(graph: &Graph, goal: impl Into<Goal>, kernel: &str) -> Result<Self, ProgramError> {
        let goal = goal.into();
        let mut lowered = offered(graph, goal, &Choices::new())?;
        prefer(&mut lowered.steps, kernel);
        let placed = place(graph, &lowered, 0)?;
        Self::of(graph, goal, Draft { lowered, placed })
    }

    fn of(graph: &Graph, goal: Goal, draft: Draft) -> Result<Self, ProgramError> {
        let Draft { lowered, placed } = draft;
        limit("an arena", placed.plan.arena_bytes, 1 << 31)?;
        let constants = Constants::default();
        let assembly = Assembly { graph, lowered: &lowered, placed: &placed, isa: goal.isa(), constants };
        let (steps, constants) = assembly.assemble();
        limit("constants", constants.len(), 1 << 31)?;
        limit("a number of steps", steps.len(), usize::from(u16::MAX))?;
        let port = |&id: &TensorId| port(graph, &placed, id);
        let plan = &placed.plan;
        Ok(Self {
            isa: goal.isa(),
            steps,
            constants,
            state: state_bytes(graph, &placed),
            arena_bytes: plan.arena_bytes,
            arena_bound_bytes: plan.bound_bytes,
            inputs: graph.inputs.iter().map(port).collect(),
            outputs: graph.outputs.iter().map(port).collect(),
            plan: placed.plan,
        })
    }

    /// The packed format's bytes.
    pub fn pack(&self) -> Vec<u8> {
        let io: Vec<Io> = self.inputs.iter().chain(&self.outputs).map(Port::io).collect();
        let mut body = Vec::new();
        for io in &io {
            append(&mut body, io);
        }
        body.extend(&self.state);
        body.resize(body.len().next_multiple_of(4), 0);
        for step in &self.steps {
            let parameters = step.kernel.encode();
            let header = StepHeader {
                opcode: step.kernel.opcode(),
                operands: step.operands.len() as u16,
                parameters: parameters.len() as u32,
                work: step.work,
            };
            append(&mut body, &header);
            for operand in &step.operands {
                append(&mut body, operand);
            }
            body.extend(parameters);
        }
        body.resize((Header::BYTES + body.len()).next_multiple_of(16) - Header::BYTES, 0);
        let constants_offset = Header::BYTES + body.len();
        body.extend(&self.constants);
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            steps: self.steps.len() as u16,
            hash: [0; 2],
            bytes: (Header::BYTES + body.len()) as u32,
            arena_bytes: self.arena_bytes as u32,
            state_bytes: self.state.len() as u32,
            constants_offset: constants_offset as u32,
            constants_bytes: self.constants.len() as u32,
            inputs: self.inputs.len() as u16,
            outputs: self.outputs.len() as u16,
        };
        let mut packed = Vec::new();
        append(&mut packed, &header);
        packed.extend(body);
        let header = Header { hash: hash(&packed[HASHED_FROM..]), ..header };
        header.encode(&mut packed);
        packed
    }

    /// Bytes that the model puts into flash besides code: constants, initial state, and the parameters and operands of
    /// every step as emitted Rust holds them.
    pub fn constants_bytes(&self) -> usize {
        let parameters: usize = self.steps.iter().map(|step| step.kernel.memory_bytes()).sum();
        let operands: usize = self.steps.iter().map(|step| step.operands.len() * size_of::<Operand>()).sum();
        self.constants.len() + self.state.len() + parameters + operands
    }
}

impl Port {
    fn io(&self) -> Io {
        let mut shape = [1; 6];
        for (slot, &size) in shape.iter_mut().zip(&self.shape) {
            *slot = size as u32;
        }
        let (scale, zero_point) = self.quantisation.as_ref().and_then(Quantisation::single).unwrap_or((0.0, 0));
        Io {
            dtype: self.dtype,
            rank: self.shape.len() as u8,
            reserved: [0; 2],
            offset: self.offset as u32,
            bytes: self.bytes as u32,
            shape,
            scale,
            zero_point,
        }
    }
}

fn append(bytes: &mut Vec<u8>, field: &impl Field) {
    let start = bytes.len();
    bytes.resize(start + field_bytes(field), 0);
    field.encode(&mut bytes[start..]);
}

fn field_bytes<F: Field>(_: &F) -> usize {
    F::BYTES
}

fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), ProgramError> {
    if found <= limit { Ok(()) } else { Err(ProgramError::TooLarge { what, found, limit }) }
}

/// Steps and where their memory lies.
struct Draft {
    lowered: Lowered,
    placed: Placed,
}

impl Draft {
    /// An arena of up to `room` bytes may be taken for faster ways.
    fn new(graph: &Graph, goal: Goal, choices: &Choices, room: usize) -> Result<Self, ProgramError> {
        let lowered = lower(graph, goal, choices)?;
        let placed = place(graph, &lowered, room)?;
        Ok(Self { lowered, placed })
    }

    /// With kernels that take scratch memory and constants for fewer cycles, as much as speed may add.
    fn faster(self, graph: &Graph, goal: Goal) -> Result<Self, ProgramError> {
        let limit = speed_arena_bytes(self.placed.plan.arena_bytes);
        let mut room = limit;
        // Where tensors and scratch memory do not lie as tightly as the room beside them is counted, there is less of it.
        for _ in 0..TRIES {
            let choices = choices(graph, &self.lowered, &self.placed, room, SPEED_CONSTANTS_BYTES);
            let draft = Self::new(graph, goal, &choices, limit)?;
            let over = draft.placed.plan.arena_bytes.saturating_sub(limit);
            if over == 0 {
                return Ok(draft);
            }
            room = room.saturating_sub(over);
        }
        Ok(self)
    }
}

/// How often the kernels of a network are chosen anew, with less memory.
const TRIES: usize = 4;

fn port(graph: &Graph, placed: &Placed, id: TensorId) -> Port {
    let tensor = &graph[id];
    Port {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        dtype: tensor.dtype,
        quantisation: tensor.quantisation.clone(),
        source: tensor.source,
        offset: placed.offset(id).unwrap_or(0),
        bytes: tensor.bytes(),
    }
}

fn state_bytes(graph: &Graph, placed: &Placed) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &tensor in &placed.state {
        let of_state = graph.states.iter().find(|state| state.tensor.0 == tensor).map(|state| &state.initial);
        if let (Some(slot), Some(initial)) =
            (placed.plan.slots[tensor], of_state.or(graph.tensors[tensor].constant.as_ref()))
        {
            bytes.resize(bytes.len().max(slot.offset + slot.bytes), 0);
            bytes[slot.offset..slot.offset + slot.bytes].copy_from_slice(initial);
        }
    }
    bytes
}

/// Constants, each once, at multiples of 4.
#[derive(Default)]
struct Constants {
    bytes: Vec<u8>,
    offsets: HashMap<Vec<u8>, usize>,
}

impl Constants {
    fn place(&mut self, constant: &[u8]) -> Operand {
        let offset = *self.offsets.entry(constant.to_vec()).or_insert_with(|| {
            let offset = self.bytes.len().next_multiple_of(4);
            self.bytes.resize(offset, 0);
            self.bytes.extend(constant);
            offset
        });
        Operand::constant(offset as u32, constant.len() as u32)
    }
}

/// Joins steps and plan.
struct Assembly<'a> {
    graph: &'a Graph,
    lowered: &'a Lowered,
    placed: &'a Placed,
    isa: InstructionSet,
    constants: Constants,
}

impl Assembly<'_> {
    fn assemble(mut self) -> (Vec<Step>, Vec<u8>) {
        let mut steps: Vec<Step> = Vec::new();
        // For each tensor after which step it is complete.
        let mut complete = vec![None; self.graph.tensors.len()];
        for &planned in &self.placed.plan.order {
            let of_node = &self.placed.nodes[planned];
            let node = &self.graph.nodes[of_node.node];
            for &index in &of_node.steps {
                let step = &self.lowered.steps[index];
                let last = of_node.steps.last() == Some(&index);
                let way = &step.ways[of_node.way];
                let mut scratch = self.placed.plan.scratch[planned].map_or(0, |slot| slot.offset);
                let operands = way.operands.iter().map(|value| self.operand(value, &mut scratch)).collect();
                steps.push(Step {
                    name: node.name.clone(),
                    op: node.op.name(),
                    kernel: Arc::clone(&way.kernel),
                    operands,
                    work: cost::work(way.kernel.as_ref(), self.isa),
                    macs: if last { self.graph.node_macs(node) } else { 0 },
                    model_macs: if last { node.model_macs } else { 0 },
                    sources: node.sources.clone(),
                    written: Vec::new(),
                });
            }
            node.outputs.iter().for_each(|output| complete[output.0] = steps.len().checked_sub(1));
        }
        self.join(&mut complete);
        for node in &self.graph.nodes {
            for &output in &node.outputs {
                if let Some(step) = complete[output.0].and_then(|step: usize| steps.get_mut(step)) {
                    let port = port(self.graph, self.placed, output);
                    step.written.push(Written { op: node.op.name(), port });
                }
            }
        }
        (steps, self.constants.bytes)
    }

    /// What is joined is complete when the last of its parts is.
    fn join(&self, complete: &mut [Option<usize>]) {
        let mut changed = true;
        while changed {
            changed = false;
            for part in &self.placed.parts {
                if complete[part.whole] < complete[part.tensor] {
                    complete[part.whole] = complete[part.tensor];
                    changed = true;
                }
            }
        }
    }

    fn operand(&mut self, value: &Value, scratch: &mut usize) -> Operand {
        match *value {
            Value::Tensor(id) => match &self.graph[self.placed.homes[id.0].root].constant {
                Some(constant) => self.constants.place(constant),
                None => {
                    let offset = self.placed.offset(id).unwrap_or(0);
                    Operand::arena(offset as u32, self.graph[id].bytes() as u32)
                }
            },
            Value::Constant(index) => self.constants.place(&self.lowered.constants[index]),
            Value::Scratch { bytes } => {
                let operand = Operand::arena(*scratch as u32, bytes as u32);
                *scratch += bytes.next_multiple_of(16);
                operand
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Node, Tensor, bytes_of};
    use crate::ops::{Activation, Conv2d, Sliding};

    /// A 1×1 convolution of two channels to one: `out = 3·a − b + bias`, scales all 1.
    fn tiny() -> Graph {
        let mut graph = Graph::default();
        let mut add = |name: &str, shape: &[usize], dtype, constant: Option<Vec<u8>>| {
            graph.add(Tensor {
                name: name.into(),
                shape: shape.to_vec(),
                dtype,
                quantisation: (dtype == DType::I8).then(|| Quantisation::per_tensor(1.0, 0)),
                constant: constant.map(Into::into),
                source: None,
            })
        };
        let input = add("x", &[1, 1, 2, 2], DType::I8, None);
        let weights = add("w", &[1, 1, 1, 2], DType::I8, Some(bytes_of([3i8, -1])));
        let bias = add("b", &[1], DType::I32, Some(bytes_of([5i32])));
        let output = add("y", &[1, 1, 2, 1], DType::I8, None);
        let op = Conv2d { sliding: Sliding::PLAIN, activation: Activation::None, input_offset: 0, padding_value: 0 };
        graph.nodes.push(Node {
            name: "y".into(),
            op: op.into(),
            inputs: vec![input, weights, bias],
            outputs: vec![output],
            sources: vec![0],
            model_macs: 4,
        });
        graph.inputs.push(input);
        graph.outputs.push(output);
        graph
    }

    #[test]
    fn a_packed_program_runs_on_the_host() {
        let program = Program::new(&tiny(), InstructionSet::Portable).expect("a program");
        let outputs = crate::host::run(&program, &[bytes_of([10i8, 1, -50, 100])]).expect("a run");
        assert_eq!(outputs, [bytes_of([34i8, -128])]);
        assert_eq!((program.steps[0].macs, program.arena_bytes), (4, 32));
    }

    /// The bytes of `packed` by sixteen, as `docs/packed-format.md` shows them.
    fn dump(packed: &[u8]) -> String {
        let line = |(index, bytes): (usize, &[u8])| {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:04x}  {}\n", 16 * index, bytes.join(" "))
        };
        packed.chunks(16).enumerate().map(line).collect()
    }

    #[test]
    fn the_documented_bytes_are_what_is_packed() {
        const MARKS: [&str; 2] = ["<!-- dump: begin -->\n```text\n", "```\n<!-- dump: end -->"];
        let packed = Program::new(&tiny(), InstructionSet::Portable).expect("a program").pack();
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/packed-format.md");
        let text = std::fs::read_to_string(&file).expect("the documentation");
        let [start, end] = MARKS.map(|mark| text.find(mark).expect("a mark"));
        let start = start + MARKS[0].len();
        if std::env::var_os("BLESS").is_some() {
            let text = format!("{}{}{}", &text[..start], dump(&packed), &text[end..]);
            std::fs::write(&file, text).expect("a writable file");
            return;
        }
        assert_eq!(&text[start..end], dump(&packed), "BLESS=1 cargo test -p rasbora-compiler writes it anew");
    }

    #[test]
    fn a_packed_program_names_its_kernels() {
        let mut packed = Program::new(&tiny(), InstructionSet::Portable).expect("a program").pack();
        let kernels = |packed: &[u8]| crate::emit::interpreter::kernels_of_packed(packed);
        assert_eq!(kernels(&packed).expect("a program"), ["Conv2d"].into());
        packed.pop();
        assert!(kernels(&packed).is_err());
    }

    #[test]
    fn a_damaged_program_is_refused() {
        let mut packed = Program::new(&tiny(), InstructionSet::Portable).expect("a program").pack();
        let last = packed.len() - 1;
        packed[last] ^= 1;
        let mut host = crate::host::Host::of_packed(&packed, 64);
        let Err(crate::host::HostError::Refused(fault)) = host.start() else { panic!("it was accepted") };
        assert_eq!(fault, rasbora_device::ops::Fault::Hash);
    }
}
