//! What a program is made for: an instruction set, and what counts most on it.
//!
//! All choices between kernels that give the same bytes are made for one of these, so that every command means the same by them.

use crate::target::InstructionSet;

/// What the compiler optimises for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Optimise {
    /// Fewest bytes of code: the portable kernels, several times as slow.
    Size,
    /// Few cycles, with constants as large as the model's weights.
    #[default]
    Balanced,
    /// Fewest cycles: at most [`SPEED_CONSTANTS_BYTES`] more of constants than [`Optimise::Balanced`], and two thirds
    /// more of arena.
    Speed,
    /// Smallest arena: the kernels of [`Optimise::Balanced`] with the least scratch memory that they can do with, and slower
    /// kernels with less where that makes the arena smaller.
    Ram,
}

/// What [`Optimise::Speed`] may add to the constants.
pub const SPEED_CONSTANTS_BYTES: usize = 100 * 1024;

impl Optimise {
    /// What share of a network's cycles a byte of code is worth: all of them, a quarter of a percent a kibibyte, or nothing.
    pub(crate) const fn code_price(self) -> f64 {
        match self {
            Self::Size => 1.0,
            Self::Balanced => 0.0025 / 1024.0,
            Self::Speed | Self::Ram => 0.0,
        }
    }
}

/// The largest arena that [`Optimise::Speed`] may make of that of [`Optimise::Balanced`]: outputs that may not lie over inputs, and
/// what is transformed, take memory.
pub const fn speed_arena_bytes(balanced: usize) -> usize {
    balanced / 3 * 5
}

/// An instruction set, and what counts on it. An instruction set alone is one that is [`Optimise::Balanced`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Goal {
    isa: InstructionSet,
    optimise: Optimise,
}

impl Goal {
    /// What `optimise` means on a core that has `isa`.
    pub const fn new(isa: InstructionSet, optimise: Optimise) -> Self {
        match optimise {
            Optimise::Size => Self { isa: InstructionSet::Portable, optimise },
            _ => Self { isa, optimise },
        }
    }

    /// The instruction set whose kernels are taken.
    pub const fn isa(self) -> InstructionSet {
        self.isa
    }

    /// What counts most.
    pub const fn optimise(self) -> Optimise {
        self.optimise
    }
}

impl From<InstructionSet> for Goal {
    fn from(isa: InstructionSet) -> Self {
        Self::new(isa, Optimise::Balanced)
    }
}
