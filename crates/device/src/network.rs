//! What every emitted network offers to code that is generic over networks, and how an inference is cut into steps.
//!
//! [`Position`] and [`Allowance`] decide where to cut, for emitted networks and the interpreter alike.

use core::ops::Range;

use crate::program::{DType, Work};

/// A network emitted as Rust. The caller owns the arena; inputs and outputs live in it and are lent as bytes.
pub trait Network<'a>: Sized {
    /// Bytes of working memory, network inputs and outputs included.
    const ARENA_BYTES: usize;
    /// Number of steps of one inference.
    const STEPS: usize;
    /// Number of network inputs.
    const INPUTS: usize;
    /// Number of network outputs.
    const OUTPUTS: usize;
    /// The memory that the network works in: `ARENA_BYTES` bytes, aligned to 16.
    type Arena: 'a;

    /// An arena of zeros.
    fn arena() -> Self::Arena;
    /// Takes the arena and sets the network's state to its initial values.
    fn new(arena: &'a mut Self::Arena) -> Self;
    /// The bytes of input `index`, to be filled before [`Network::run`]; empty where there is no such input.
    fn input_bytes(&mut self, index: usize) -> &mut [u8];
    /// The bytes of output `index`, valid after [`Network::run`]; empty where there is no such output.
    fn output_bytes(&self, index: usize) -> &[u8];
    /// The whole arena, for tracing intermediate tensors.
    fn arena_bytes(&self) -> &[u8];
    /// One inference.
    fn run(&mut self);
    /// Goes on with an inference from `position`, which is [`Position::START`] before its first step and after its last,
    /// for about `budget` instructions; see [`Allowance`].
    ///
    /// Until it says [`Progress::Done`] the arena is the inference's: inputs must be left alone, outputs mean nothing,
    /// and [`Network::run`] would spoil it.
    fn step(&mut self, position: &mut Position, budget: u32) -> Progress;
    /// Kernel `index` alone, for tracing: `run` is `run_kernel(0)` to `run_kernel(STEPS - 1)`.
    fn run_kernel(&mut self, index: usize);
}

/// How far an inference has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is more to do.
    Pending,
    /// The outputs are complete, and the next call begins a new inference.
    Done,
}

/// What is left of a budget of instructions.
///
/// Each kernel's [`Work`] is an upper estimate of what it takes. As many rows run as the budget allows by it, and one
/// always, so that a budget is exceeded by no more than one row of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    instructions: u32,
    /// Whether nothing was run yet.
    fresh: bool,
}

impl Allowance {
    /// What a call of `step` takes beside the kernels, as an upper estimate of instructions.
    const CALL: u32 = 200;

    /// An allowance of `budget` instructions.
    pub const fn new(budget: u32) -> Self {
        Self { instructions: budget.saturating_sub(Self::CALL), fresh: true }
    }

    /// The rows of `work` from `row` on that are to run now; none where the budget is used up.
    // Never inlined: callers would hold it twice, as a step's first kernel is not like the others.
    #[inline(never)]
    pub fn take(&mut self, work: &Work, row: u32) -> Option<Range<u32>> {
        let left = work.rows.saturating_sub(row);
        let affordable = self.instructions.saturating_sub(work.call).checked_div(work.row).unwrap_or(left);
        let rows = affordable.max(self.fresh.into()).min(left);
        if rows == 0 && left > 0 {
            return None;
        }
        self.fresh = false;
        let taken = work.row.saturating_mul(rows).saturating_add(work.call);
        self.instructions = self.instructions.saturating_sub(taken);
        Some(row..row.saturating_add(rows))
    }
}

/// Where an inference of an emitted network is: the next kernel, and its next row. All that a step leaves to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The next kernel.
    pub kernel: u32,
    /// Its next row.
    pub row: u32,
}

impl Position {
    /// Before the first row.
    pub const START: Self = Self { kernel: 0, row: 0 };

    /// Goes on for `budget` instructions through the kernels whose work is `works`: `run(kernel, rows)` for each part.
    #[inline(always)]
    pub fn advance(&mut self, works: &[Work], budget: u32, mut run: impl FnMut(u32, Range<u32>)) -> Progress {
        let mut allowance = Allowance::new(budget);
        while let Some(work) = works.get(self.kernel as usize) {
            let Some(rows) = allowance.take(work, self.row) else { return Progress::Pending };
            run(self.kernel, rows.clone());
            self.row = rows.end;
            if self.row < work.rows {
                return Progress::Pending;
            }
            *self = Self { kernel: self.kernel.wrapping_add(1), row: 0 };
        }
        *self = Self::START;
        Progress::Done
    }
}

/// What an input or output of a network is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorInfo {
    /// The file's name for it.
    pub name: &'static str,
    /// Sizes of the axes, row-major.
    pub shape: &'static [usize],
    /// Type of the elements.
    pub dtype: DType,
    /// Real value of one step of the integer; 0 where the tensor is not quantised.
    pub scale: f32,
    /// Integer that means zero.
    pub zero_point: i32,
}

impl TensorInfo {
    /// The integer for a real number, rounded half away from zero and saturated to the type's range.
    pub fn quantise(&self, real: f32) -> i32 {
        let (least, most) = match self.dtype {
            DType::U8 => (0.0, 255.0),
            DType::I8 => (-128.0, 127.0),
            DType::I16 => (-32768.0, 32767.0),
            DType::F32 | DType::I32 => (i32::MIN as f32, i32::MAX as f32),
        };
        let integer = libm::roundf(real / self.scale) + self.zero_point as f32;
        integer.clamp(least, most) as i32
    }

    /// The real number that an integer means.
    pub fn dequantise(&self, integer: i32) -> f32 {
        self.scale * integer.wrapping_sub(self.zero_point) as f32
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const WORKS: [Work; 4] = [
        Work { rows: 3, call: 10, row: 100 },
        Work { rows: 0, call: 5, row: 5 },
        Work { rows: 2, call: 0, row: 0 },
        Work { rows: 1, call: u32::MAX, row: u32::MAX },
    ];

    fn parts(budget: u32) -> Vec<Vec<(u32, Range<u32>)>> {
        let mut position = Position::START;
        let mut steps = Vec::new();
        loop {
            let mut step = Vec::new();
            let progress = position.advance(&WORKS, budget, |kernel, rows| step.push((kernel, rows)));
            steps.push(step);
            if progress == Progress::Done {
                assert_eq!(position, Position::START);
                return steps;
            }
        }
    }

    #[test]
    fn a_step_takes_what_its_budget_allows_and_one_row_at_least() {
        let whole = [(1, 0..0), (2, 0..2)];
        let [empty, two] = whole.clone();
        assert_eq!(
            parts(0),
            [vec![(0, 0..1)], vec![(0, 1..2)], vec![(0, 2..3), empty.clone(), two.clone()], vec![(3, 0..1)]]
        );
        let budget = |instructions| Allowance::CALL + instructions;
        assert_eq!(parts(budget(209))[0], [(0, 0..1)]);
        assert_eq!(parts(budget(210))[0], [(0, 0..2)]);
        assert_eq!(parts(u32::MAX), [vec![(0, 0..3), empty, two], vec![(3, 0..1)]]);
    }
}
