//! What programs are optimised for, as an argument of commands, and what that adds to what they are by default.

use clap::ValueEnum;
use rasbora_bench::OptLevel;
use rasbora_compiler::optimise::{Goal, Optimise};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::{InstructionSet, Target};
use serde::Serialize;

use crate::screen::bytes;

/// What counts most.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Aim {
    /// What counts most; balanced where nothing is said
    #[arg(long, visible_alias = "optimize", value_name = "WHAT")]
    optimise: Option<Name>,
}

/// The names of what may count most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Name {
    /// Fewest bytes of code: the portable kernels, several times as slow
    Size,
    /// Few cycles, with constants as large as the model's weights
    Balanced,
    /// Fewest cycles: up to 100 K more of constants, 24 K more of code and two thirds more of arena
    Speed,
    /// Smallest arena: the least scratch memory, and slower kernels where the arena is smaller for it
    Ram,
}

impl Aim {
    /// Whether the user named one.
    pub fn named(self) -> bool {
        self.optimise.is_some()
    }

    /// What the compiler optimises for.
    pub fn optimise(self) -> Optimise {
        match self.optimise.unwrap_or(Name::Balanced) {
            Name::Size => Optimise::Size,
            Name::Balanced => Optimise::Balanced,
            Name::Speed => Optimise::Speed,
            Name::Ram => Optimise::Ram,
        }
    }

    /// What that means on a target, or on this machine.
    pub fn goal(self, target: Option<&Target>) -> Goal {
        Goal::new(target.map_or(InstructionSet::Portable, |target| target.isa), self.optimise())
    }

    /// How the kernels are compiled.
    pub fn opt_level(self) -> OptLevel {
        match self.optimise() {
            Optimise::Size => OptLevel::Size,
            Optimise::Balanced | Optimise::Speed | Optimise::Ram => OptLevel::Speed,
        }
    }
}

/// What a program for speed has more than a balanced one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Added {
    constants_bytes: u64,
    arena_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_bytes: Option<u64>,
}

impl Added {
    /// What `program` has more than `balanced`; bytes of code where they are known.
    pub fn new(program: &Program, balanced: &Program, code_bytes: Option<u64>) -> Self {
        let more = |of: fn(&Program) -> usize| of(program).saturating_sub(of(balanced)) as u64;
        let (constants_bytes, arena_bytes) = (more(Program::constants_bytes), more(|program| program.arena_bytes));
        Self { constants_bytes, arena_bytes, code_bytes }
    }

    /// The same in words.
    pub fn text(self) -> String {
        let code = self.code_bytes.map(|code| format!("{} of code, ", bytes(code))).unwrap_or_default();
        let (constants, arena) = (bytes(self.constants_bytes), bytes(self.arena_bytes));
        format!("speed added {code}{constants} of constants and {arena} of arena (static)")
    }
}
