//! Runs a program on the host: the packed bytes, by the same interpreter and the same kernels as on the chip.

use std::collections::BTreeSet;

use rasbora_device::interpreter::{AllKernels, Interpreter};
use rasbora_device::isa::Wide;
use rasbora_device::ops::Fault;
use thiserror::Error;

use crate::graph::{Graph, Node, TensorId};
use crate::program::{Program, ProgramError, Written};
use crate::target::InstructionSet;

/// Why a program does not run on the host.
#[derive(Debug, Error)]
pub enum HostError {
    /// The network has no program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The interpreter refuses the program.
    #[error("the interpreter refuses the program: {0}")]
    Refused(Fault),
    /// An input of the wrong length.
    #[error("input {index} needs {wanted} bytes, but {found} were given")]
    InputBytes {
        /// Which input.
        index: usize,
        /// Its length.
        wanted: usize,
        /// The length that was given.
        found: usize,
    },
    /// A wrong number of inputs.
    #[error("the network has {wanted} inputs, but {found} were given")]
    InputCount {
        /// How many the network has.
        wanted: usize,
        /// How many were given.
        found: usize,
    },
}

/// Bytes that start at a multiple of 16.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn new(content: &[u8]) -> Self {
        let mut bytes = vec![0; content.len() + 16];
        let start = bytes.as_ptr().align_offset(16);
        bytes[start..start + content.len()].copy_from_slice(content);
        Self { bytes, start, len: content.len() }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[self.start..][..self.len]
    }
}

/// A packed program with its arena on the host.
pub struct Host {
    packed: Aligned,
    arena: Aligned,
}

/// The numbers of the kernels that a packed program runs.
///
/// # Errors
/// Where the interpreter refuses it, whatever its arena.
pub fn opcodes(packed: &[u8]) -> Result<BTreeSet<u16>, HostError> {
    let packed = Aligned::new(packed);
    match HostInterpreter::new(packed.get(), &mut []) {
        Ok(_) | Err(Fault::Arena { .. }) => {}
        Err(fault) => return Err(HostError::Refused(fault)),
    }
    let program = rasbora_device::program::Program::parse(packed.get()).map_err(HostError::Refused)?;
    Ok(program.steps().map(|step| step.header.opcode).collect())
}

/// The interpreter that the host runs.
pub type HostInterpreter<'a> = Interpreter<'a, AllKernels, Wide>;

impl Host {
    /// Packs `program` and allocates its arena.
    pub fn new(program: &Program) -> Self {
        Self::of_packed(&program.pack(), program.arena_bytes)
    }

    /// Takes packed bytes as they are, with an arena of `arena_bytes`.
    pub fn of_packed(packed: &[u8], arena_bytes: usize) -> Self {
        Self { packed: Aligned::new(packed), arena: Aligned::new(&vec![0; arena_bytes]) }
    }

    /// Checks the program and resets its state.
    ///
    /// # Errors
    /// Where the interpreter refuses it.
    pub fn start(&mut self) -> Result<HostInterpreter<'_>, HostError> {
        let arena = &mut self.arena.bytes[self.arena.start..][..self.arena.len];
        Interpreter::new(self.packed.get(), arena).map_err(HostError::Refused)
    }
}

/// Fills the inputs of one call.
///
/// # Errors
/// Where their number or a length is wrong.
pub fn fill_inputs(interpreter: &mut HostInterpreter<'_>, inputs: &[Vec<u8>]) -> Result<(), HostError> {
    let wanted = interpreter.program().inputs();
    if inputs.len() != wanted {
        return Err(HostError::InputCount { wanted, found: inputs.len() });
    }
    for (index, input) in inputs.iter().enumerate() {
        let slot = interpreter.input_mut(index);
        if slot.len() != input.len() {
            return Err(HostError::InputBytes { index, wanted: slot.len(), found: input.len() });
        }
        slot.copy_from_slice(input);
    }
    Ok(())
}

/// The bytes of all outputs.
pub fn outputs(interpreter: &HostInterpreter<'_>) -> Vec<Vec<u8>> {
    (0..interpreter.program().outputs()).map(|index| interpreter.output(index).to_vec()).collect()
}

/// One inference: the bytes of each output.
///
/// # Errors
/// Where the program is refused or the inputs do not fit.
pub fn run(program: &Program, inputs: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, HostError> {
    let mut host = Host::new(program);
    let mut interpreter = host.start()?;
    fill_inputs(&mut interpreter, inputs)?;
    interpreter.run();
    Ok(outputs(&interpreter))
}

/// One inference after the other, with the inputs of each, state kept: the bytes of each output of each.
///
/// # Errors
/// Where the program is refused or the inputs do not fit.
pub fn run_calls(program: &Program, calls: &[Vec<Vec<u8>>]) -> Result<Vec<Vec<Vec<u8>>>, HostError> {
    let mut host = Host::new(program);
    let mut interpreter = host.start()?;
    let mut call = |inputs: &Vec<Vec<u8>>| {
        fill_inputs(&mut interpreter, inputs)?;
        interpreter.run();
        Ok(outputs(&interpreter))
    };
    calls.iter().map(&mut call).collect()
}

/// One inference: for each step, the bytes of each tensor in [`crate::program::Step::written`].
///
/// # Errors
/// Where the program is refused or the inputs do not fit.
pub fn trace(program: &Program, inputs: &[Vec<u8>]) -> Result<Vec<Vec<Vec<u8>>>, HostError> {
    let mut host = Host::new(program);
    let mut interpreter = host.start()?;
    fill_inputs(&mut interpreter, inputs)?;
    let mut written = Vec::new();
    interpreter.run_traced(|step, arena| {
        let ports = program.steps.get(step).map_or(&[][..], |step| &step.written);
        written.push(
            ports.iter().map(|Written { port, .. }| arena[port.offset..port.offset + port.bytes].to_vec()).collect(),
        );
    });
    Ok(written)
}

/// The outputs of a node whose inputs are all constant.
///
/// # Errors
/// Where the node has no kernel.
pub fn evaluate(graph: &Graph, node: &Node) -> Result<Vec<Vec<u8>>, HostError> {
    let mut alone = Graph::default();
    let mut add = |ids: &[TensorId]| -> Vec<TensorId> { ids.iter().map(|&id| alone.add(graph[id].clone())).collect() };
    let (inputs, outputs) = (add(&node.inputs), add(&node.outputs));
    alone.outputs.clone_from(&outputs);
    alone.nodes.push(Node { inputs, outputs, ..node.clone() });
    run(&Program::new(&alone, InstructionSet::Portable)?, &[])
}
