//! What can be wrong with a request or a plan.

use super::TensorIndex;
use thiserror::Error;

/// A thing that has a slot in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A tensor.
    Tensor(TensorIndex),
    /// The scratch memory of a step.
    Scratch(usize),
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tensor(tensor) => write!(f, "tensor {tensor}"),
            Self::Scratch(step) => write!(f, "scratch of step {step}"),
        }
    }
}

/// Why there is no plan, or why a plan is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Sizes do not fit the address space.
    #[error(
        "the tensors are too large to plan: {bytes} bytes do not fit the address space; check the shapes of the model"
    )]
    TooLarge {
        /// The size, or sum of sizes, that is too large.
        bytes: usize,
    },
    /// The alignment is zero.
    #[error("the alignment of the arena is 0 bytes; it must be at least 1")]
    ZeroAlign,
    /// An index points at no tensor.
    #[error("tensor {tensor} does not exist: there are {tensors} tensors")]
    UnknownTensor {
        /// The index.
        tensor: TensorIndex,
        /// How many there are.
        tensors: usize,
    },
    /// A rule names a read or a write that the step does not have.
    #[error("step {step} has an overlap rule for read {read} and write {write}, which it does not have")]
    BadRule {
        /// The step.
        step: usize,
        /// Position in its reads.
        read: usize,
        /// Position in its writes.
        write: usize,
    },
    /// A part that cannot lie where it should.
    #[error(
        "tensor {tensor} cannot be a part of tensor {whole}: parts lie in one whole that has room, apart from each other"
    )]
    BadPart {
        /// The part.
        tensor: TensorIndex,
        /// The whole.
        whole: TensorIndex,
    },
    /// A step writes a network input.
    #[error("step {step} writes tensor {tensor}, which is a network input; only state may be written again")]
    InputWritten {
        /// The tensor.
        tensor: TensorIndex,
        /// The step.
        step: usize,
    },
    /// Two steps write a tensor that is not state, or one step writes it twice.
    #[error("tensor {tensor} is written by step {first} and again by step {second}; only state may be written again")]
    WrittenTwice {
        /// The tensor.
        tensor: TensorIndex,
        /// The step that writes it first.
        first: usize,
        /// The step that writes it again.
        second: usize,
    },
    /// A tensor is needed, but comes from nowhere.
    #[error("tensor {tensor} is needed but never written, and is neither a network input nor state")]
    NeverWritten {
        /// The tensor.
        tensor: TensorIndex,
    },
    /// Steps wait for each other.
    #[error("no order of the steps works: step {step} waits for a step that waits for it")]
    Cycle {
        /// The first step that can never run.
        step: usize,
    },
    /// The plan is for another number of tensors or steps.
    #[error("the plan has {found} {what}, the request has {expected}")]
    WrongCount {
        /// Of what.
        what: &'static str,
        /// In the plan.
        found: usize,
        /// In the request.
        expected: usize,
    },
    /// The order leaves out a step, repeats one or names one that does not exist.
    #[error("the order of the plan is not a permutation of the steps: see step {step} at position {position}")]
    NotAPermutation {
        /// The step that is repeated or unknown.
        step: usize,
        /// Where in the order.
        position: usize,
    },
    /// A step runs before what it needs was done.
    #[error("step {step} uses tensor {tensor} too early or too late for the other steps that use it")]
    OutOfOrder {
        /// The step.
        step: usize,
        /// The tensor.
        tensor: TensorIndex,
    },
    /// Something that is used has no slot.
    #[error("{item} is used but has no slot")]
    NoSlot {
        /// What.
        item: Item,
    },
    /// A slot of the wrong size.
    #[error("{item} needs {expected} bytes, its slot has {found}")]
    WrongBytes {
        /// What.
        item: Item,
        /// Bytes needed.
        expected: usize,
        /// Bytes of the slot.
        found: usize,
    },
    /// An offset that is not aligned.
    #[error("{item} lies at offset {offset}, which is no multiple of {align}")]
    Misaligned {
        /// What.
        item: Item,
        /// Where.
        offset: usize,
        /// The alignment.
        align: usize,
    },
    /// A part that does not lie at its place in the whole.
    #[error("tensor {tensor} lies at offset {offset}, but its place in the whole that it is a part of is {expected}")]
    Displaced {
        /// The part.
        tensor: TensorIndex,
        /// Where it lies.
        offset: usize,
        /// Where it should.
        expected: usize,
    },
    /// A slot that reaches beyond the arena.
    #[error("{item} at offset {offset} reaches beyond the arena of {arena_bytes} bytes")]
    OutsideArena {
        /// What.
        item: Item,
        /// Where.
        offset: usize,
        /// The arena.
        arena_bytes: usize,
    },
    /// A slot that is given up while it is needed.
    #[error("{item} is needed from step position {first} to {last}, its slot is not kept that long")]
    WrongLifetime {
        /// What.
        item: Item,
        /// First position at which it is needed.
        first: usize,
        /// Last position at which it is needed.
        last: usize,
    },
    /// State that does not lie at the front of the arena.
    #[error("{item} lies before state tensor {state}; state comes first in the arena")]
    StateNotFirst {
        /// What lies before it.
        item: Item,
        /// The state.
        state: TensorIndex,
    },
    /// Two things that are needed at once share memory, and no rule allows it.
    #[error("{one} and {other} share memory while both are needed, and no overlap rule allows it")]
    Clash {
        /// One of them.
        one: Item,
        /// The other one.
        other: Item,
    },
    /// The overlaps of one step need it to run both forwards and backwards.
    #[error("the overlaps of step {step} are not allowed together: no direction of its rows serves them all")]
    BothDirections {
        /// The step.
        step: usize,
    },
    /// The lower bound of the plan is above its arena.
    #[error("the plan claims that no arena is below {bound_bytes} bytes, but its own has {arena_bytes}")]
    FalseBound {
        /// The claim.
        bound_bytes: usize,
        /// The arena.
        arena_bytes: usize,
    },
}
