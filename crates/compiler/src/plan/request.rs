//! What a planner must know of a network: sizes, who reads and writes what, and which memory may be shared.
//!
//! The request is plain data, so planners know nothing of graphs, ops or file formats, and a test can write one by
//! hand.

use std::collections::{HashMap, HashSet};

use super::PlanError;

/// Position of a tensor in [`Request::tensors`].
pub type TensorIndex = usize;

/// Alignment of every offset unless the request says otherwise, in bytes: what the widest vector load of a Cortex-M
/// wants.
pub const ALIGN: usize = 16;

/// How the output of a step may share bytes with an input that nobody reads after this step.
///
/// Offsets are in bytes from the start of the arena; `end = offset + bytes`. Outputs that share no byte with the input
/// are always allowed. A step runs in one direction: all the pairs of one step that do share bytes are allowed by
/// `SameOffset` or `RowsForward`, or all of them by `SameOffset` (of equal sizes) or `RowsBackward`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// `out_offset == in_offset` and `out_bytes ≤ in_bytes`.
    ///
    /// For element-wise steps: element `i` of the output is written after element `i` of the input was read for the
    /// last time, in ascending order (in either order where the sizes are equal).
    SameOffset,
    /// `out_offset + lead_bytes ≤ in_offset`.
    ///
    /// For steps that compute rows from first to last. With `o` and `i` the bytes of a row and `g(r)` the first input
    /// row that is read after output row `r` was begun to be written (none: no condition), it is safe where
    /// `lead_bytes ≥ max_r((r + 1) · o − g(r) · i)`.
    RowsForward {
        /// Bytes by which the output starts before the input, at least.
        lead_bytes: usize,
    },
    /// `out_end ≥ in_end + lead_bytes`.
    ///
    /// The mirror, for steps that compute rows from last to first. With `R` output rows, `H` input rows and `h(r)` the
    /// last input row that is read after output row `r` was begun to be written, it is safe where
    /// `lead_bytes ≥ max_r((R − r) · o − (H − 1 − h(r)) · i)`.
    RowsBackward {
        /// Bytes by which the output ends after the input, at least.
        lead_bytes: usize,
    },
}

/// Permission for one output of a step to share bytes with one of its inputs.
///
/// It holds only where this step is the last to read the tensor, and the tensor is neither a network output nor state.
/// A step that reads one tensor several times needs a rule that holds for each of these reads. Several rules for one
/// pair are alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverlapRule {
    /// Position in [`StepUse::reads`].
    pub read: usize,
    /// Position in [`StepUse::writes`].
    pub write: usize,
    /// The geometry that is safe.
    pub kind: Overlap,
}

/// What the planner must know of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUse {
    /// Tensors that the step reads.
    pub reads: Vec<TensorIndex>,
    /// Tensors that the step writes.
    pub writes: Vec<TensorIndex>,
    /// Memory that the step needs for itself while it runs; 0 for none.
    pub scratch_bytes: usize,
    /// Which outputs may share memory with which inputs.
    pub overlap: Vec<OverlapRule>,
}

/// A tensor that lies in another one: what writes the part writes into the whole, which starts where the plan says.
///
/// A whole may be part of another whole. The whole is complete when all its parts are; what no part covers is written by a
/// step that writes the whole. Parts need no alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part.
    pub tensor: TensorIndex,
    /// What it lies in.
    pub whole: TensorIndex,
    /// Its first byte there.
    pub offset: usize,
}

/// A network as the planner sees it. Constants and views have no place here: constants are not in the arena, and a view
/// is the tensor that it views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes of each tensor.
    pub tensors: Vec<usize>,
    /// The steps; the order in the file decides where others are no better, and orders the accesses to state.
    pub steps: Vec<StepUse>,
    /// Network inputs: alive from before the first step to their last read, after which their memory is used again.
    pub inputs: Vec<TensorIndex>,
    /// Network outputs: alive to the end.
    pub outputs: Vec<TensorIndex>,
    /// Tensors that outlive a run: alive throughout, at the front of the arena in this order.
    pub state: Vec<TensorIndex>,
    /// Tensors that lie in others. Parts are neither network inputs nor outputs nor state, and wholes neither inputs nor
    /// state.
    pub parts: Vec<Part>,
    /// Every offset is a multiple of this many bytes, but those of parts.
    pub align: usize,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            tensors: vec![],
            steps: vec![],
            inputs: vec![],
            outputs: vec![],
            state: vec![],
            parts: vec![],
            align: ALIGN,
        }
    }
}

impl Request {
    /// Each part, the outermost tensor that it lies in, and its first byte there.
    pub(super) fn places(&self) -> impl Iterator<Item = (TensorIndex, TensorIndex, usize)> {
        let direct: HashMap<TensorIndex, &Part> = self.parts.iter().map(|part| (part.tensor, part)).collect();
        self.parts.iter().map(move |part| {
            let (mut whole, mut offset) = (part.whole, part.offset);
            while let Some(above) = direct.get(&whole) {
                (whole, offset) = (above.whole, offset + above.offset);
            }
            (part.tensor, whole, offset)
        })
    }

    /// Checks that the request means something: indices exist, every tensor has one origin, sizes add up.
    ///
    /// # Errors
    /// The first rule that is broken, see [`PlanError`].
    pub fn check(&self) -> Result<(), PlanError> {
        self.check_sizes()?;
        for &tensor in self.inputs.iter().chain(&self.outputs).chain(&self.state) {
            self.check_tensor(tensor)?;
        }
        self.check_parts()?;
        let mut writer = vec![None; self.tensors.len()];
        for (step, used) in self.steps.iter().enumerate() {
            for &tensor in used.reads.iter().chain(&used.writes) {
                self.check_tensor(tensor)?;
            }
            if let Some(rule) = used.overlap.iter().find(|r| r.read >= used.reads.len() || r.write >= used.writes.len())
            {
                return Err(PlanError::BadRule { step, read: rule.read, write: rule.write });
            }
            for (position, &tensor) in used.writes.iter().enumerate() {
                let state = self.state.contains(&tensor);
                if self.inputs.contains(&tensor) && !state {
                    return Err(PlanError::InputWritten { tensor, step });
                }
                let again = if used.writes[..position].contains(&tensor) { Some(step) } else { writer[tensor] };
                match again {
                    Some(first) if !state || first == step => {
                        return Err(PlanError::WrittenTwice { tensor, first, second: step });
                    }
                    _ => writer[tensor] = Some(step),
                }
            }
        }
        let read = self.steps.iter().flat_map(|s| &s.reads);
        let wholes: HashSet<TensorIndex> = self.parts.iter().map(|part| part.whole).collect();
        for &tensor in read.chain(&self.outputs).chain(self.parts.iter().map(|part| &part.tensor)) {
            let comes_from_outside = self.inputs.contains(&tensor) || self.state.contains(&tensor);
            if writer[tensor].is_none() && !comes_from_outside && !wholes.contains(&tensor) {
                return Err(PlanError::NeverWritten { tensor });
            }
        }
        Ok(())
    }

    /// Each part lies in one whole, apart from the others there, and no whole lies in itself.
    fn check_parts(&self) -> Result<(), PlanError> {
        let bad = |part: &Part| Err(PlanError::BadPart { tensor: part.tensor, whole: part.whole });
        let from_outside = |tensor| self.inputs.contains(&tensor) || self.state.contains(&tensor);
        let mut wholes = HashMap::new();
        for part in &self.parts {
            self.check_tensor(part.tensor)?;
            self.check_tensor(part.whole)?;
            let end = part.offset.checked_add(self.tensors[part.tensor]);
            let inside = end.is_some_and(|end| end <= self.tensors[part.whole]);
            let tied = from_outside(part.tensor) || from_outside(part.whole) || self.outputs.contains(&part.tensor);
            if !inside || tied || wholes.insert(part.tensor, part.whole).is_some() {
                return bad(part);
            }
        }
        let mut sorted = self.parts.clone();
        sorted.sort_by_key(|part| (part.whole, part.offset));
        for pair in sorted.windows(2) {
            if pair[0].whole == pair[1].whole && pair[0].offset + self.tensors[pair[0].tensor] > pair[1].offset {
                return bad(&pair[1]);
            }
        }
        let endless = |part: &&Part| {
            let above = std::iter::successors(Some(&part.whole), |whole| wholes.get(*whole));
            above.take(self.parts.len() + 1).count() > self.parts.len()
        };
        self.parts.iter().find(endless).map_or(Ok(()), bad)
    }

    fn check_tensor(&self, tensor: TensorIndex) -> Result<(), PlanError> {
        let tensors = self.tensors.len();
        if tensor < tensors { Ok(()) } else { Err(PlanError::UnknownTensor { tensor, tensors }) }
    }

    /// The sum of all sizes stays below a quarter of the address space, so that sums and differences of offsets cannot
    /// overflow.
    fn check_sizes(&self) -> Result<(), PlanError> {
        if self.align == 0 {
            return Err(PlanError::ZeroAlign);
        }
        let mut total = self.align;
        for &bytes in self.tensors.iter().chain(self.steps.iter().map(|s| &s.scratch_bytes)) {
            let padded = bytes.div_ceil(self.align).checked_mul(self.align).ok_or(PlanError::TooLarge { bytes })?;
            total = total.checked_add(padded).ok_or(PlanError::TooLarge { bytes })?;
        }
        let limit = isize::MAX.unsigned_abs() / 4;
        if total > limit { Err(PlanError::TooLarge { bytes: total }) } else { Ok(()) }
    }
}
