//! Cycles of an instruction on cores that issue one at a time from memory without wait states.
//!
//! From the instruction timings of Arm's technical reference manuals (Cortex-M4 100166, Cortex-M3 100165,
//! Cortex-M0 DDI 0432, Cortex-M0+ DDI 0484). The manuals give ranges for refilling the pipeline after a
//! branch and for a division; the constants here name what is taken of them.

use crate::thumb::{Instruction, Load, Store};

/// Cycles to refill the pipeline of M3 and M4 after a taken branch; the manuals say 1 to 3.
const REFILL: u64 = 2;

/// Cycles of SDIV and UDIV on M3 and M4; the manuals say 2 to 12, by the operands.
const DIVIDE: u64 = 7;

/// Whose timing is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Armv6-M, three stages, with the single-cycle multiplier.
    CortexM0,
    /// Armv6-M, two stages, with the single-cycle multiplier.
    CortexM0Plus,
    /// Armv7-M.
    CortexM3,
    /// Armv7E-M.
    CortexM4,
}

impl Model {
    /// The model of a plugin argument; `none` counts instructions alone.
    pub fn parse(name: &str) -> Result<Option<Self>, String> {
        match name {
            "none" => Ok(None),
            "cortex-m0" => Ok(Some(Self::CortexM0)),
            "cortex-m0plus" => Ok(Some(Self::CortexM0Plus)),
            "cortex-m3" => Ok(Some(Self::CortexM3)),
            "cortex-m4" => Ok(Some(Self::CortexM4)),
            _ => Err(format!("no cycle model is called {name}")),
        }
    }

    /// Cycles of `instruction` that directly follows `before`, should it not change the flow.
    pub fn cycles(self, before: Instruction, instruction: Instruction) -> u64 {
        match self {
            Self::CortexM0 | Self::CortexM0Plus => match instruction {
                Instruction::Load(_) | Instruction::Store(_) => 2,
                Instruction::Words(words) => 1 + u64::from(words),
                _ => 1,
            },
            Self::CortexM3 | Self::CortexM4 => self.armv7m(before, instruction),
        }
    }

    fn armv7m(self, before: Instruction, instruction: Instruction) -> u64 {
        let m3 = self == Self::CortexM3;
        match instruction {
            Instruction::Plain | Instruction::Branch | Instruction::Call => 1,
            Instruction::MultiplyAccumulate => {
                if m3 {
                    2
                } else {
                    1
                }
            }
            Instruction::LongMultiply => {
                if m3 {
                    4
                } else {
                    1
                }
            }
            Instruction::LongMultiplyAccumulate => {
                if m3 {
                    5
                } else {
                    1
                }
            }
            Instruction::Divide => DIVIDE,
            Instruction::Load(load) => match before {
                Instruction::Load(earlier) if pipelined(earlier, load) => 1,
                _ => 2,
            },
            Instruction::Store(store) => store_cycles(before, store),
            Instruction::Words(words) => 1 + u64::from(words),
            Instruction::TableBranch | Instruction::MovePair => 2,
            Instruction::FloatMultiplyAccumulate => 3,
            Instruction::FloatDivide => 14,
        }
    }

    /// Further cycles of `instruction` when it changed the flow.
    pub fn taken(self, instruction: Instruction) -> u64 {
        // BL, and POP or LDM with the program counter, cost one more than a branch on Armv6-M.
        let long = u64::from(matches!(instruction, Instruction::Call | Instruction::Words(_)));
        match self {
            Self::CortexM0 => 2 + long,
            Self::CortexM0Plus => 1 + long,
            Self::CortexM3 | Self::CortexM4 => REFILL,
        }
    }
}

/// Whether a load overlaps with the load before it: neither writes its base back, and its address does not wait for what was loaded.
fn pipelined(earlier: Load, load: Load) -> bool {
    let waits = load.base == earlier.target || load.index == Some(earlier.target);
    !(earlier.write_back || load.write_back || waits || load.target == Load::PC)
}

fn store_cycles(before: Instruction, store: Store) -> u64 {
    let follows_load = matches!(before, Instruction::Load(_));
    if store.write_back || (store.register_offset && !follows_load) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thumb::decode;

    /// Cycles of `code`, given as (first half, second half), when run in a row.
    fn cycles(model: Model, code: &[(u16, u16)]) -> u64 {
        let mut before = Instruction::Plain;
        let mut sum = 0;
        for &(first, second) in code {
            let instruction = decode(first, second);
            sum += model.cycles(before, instruction);
            before = instruction;
        }
        sum
    }

    #[test]
    fn loads_pipeline_unless_the_address_waits() {
        let m4 = |code: &[(u16, u16)]| cycles(Model::CortexM4, code);
        assert_eq!(m4(&[(0x6808, 0)]), 2); // ldr r0, [r1]
        assert_eq!(m4(&[(0x6808, 0), (0x684A, 0), (0x688B, 0)]), 4); // three loads from r1
        assert_eq!(m4(&[(0x6808, 0), (0x6802, 0)]), 4); // ldr r0, [r1]; ldr r2, [r0]
        assert_eq!(m4(&[(0x6808, 0), (0x580A, 0)]), 4); // ldr r0, [r1]; ldr r2, [r1, r0]
        assert_eq!(m4(&[(0xF851, 0x0B04), (0x684A, 0)]), 4); // ldr r0, [r1], #4; ldr r2, [r1, #4]
        assert_eq!(m4(&[(0x6808, 0), (0xF851, 0x2B04)]), 4); // ldr r0, [r1]; ldr r2, [r1], #4
        assert_eq!(m4(&[(0x6808, 0), (0x4A01, 0)]), 3); // ldr r0, [r1]; ldr r2, [pc, #4]
    }

    #[test]
    fn stores() {
        let m4 = |code: &[(u16, u16)]| cycles(Model::CortexM4, code);
        assert_eq!(m4(&[(0x7008, 0)]), 1); // strb r0, [r1]
        assert_eq!(m4(&[(0xF801, 0x0B01)]), 2); // strb r0, [r1], #1
        assert_eq!(m4(&[(0x5488, 0)]), 2); // strb r0, [r1, r2]
        assert_eq!(m4(&[(0x680B, 0), (0x5488, 0)]), 3); // ldr r3, [r1]; strb r0, [r1, r2]
    }

    #[test]
    fn multiplies_differ_between_m3_and_m4() {
        for (code, m3) in [
            ((0xFB01, 0x2003), 2), // mla r0, r1, r3, r2
            ((0xFB01, 0xF003), 1), // mul r0, r1, r3
            ((0xFB82, 0x0103), 4), // smull r0, r1, r2, r3
            ((0xFBC2, 0x0103), 5), // smlal r0, r1, r2, r3
        ] {
            assert_eq!(cycles(Model::CortexM4, &[code]), 1);
            assert_eq!(cycles(Model::CortexM3, &[code]), m3);
        }
        assert_eq!(cycles(Model::CortexM3, &[(0xFB91, 0xF0F2)]), DIVIDE); // sdiv r0, r1, r2
    }

    #[test]
    fn names() {
        assert_eq!(Model::parse("cortex-m3"), Ok(Some(Model::CortexM3)));
        assert_eq!(Model::parse("none"), Ok(None));
        assert!(Model::parse("cortex-m7").is_err());
    }

    #[test]
    fn armv6m() {
        let m0 = |code| cycles(Model::CortexM0, &[(code, 0)]);
        assert_eq!(m0(0x6808), 2); // ldr
        assert_eq!(m0(0xB5F0), 6); // push {r4-r7, lr}
        assert_eq!(m0(0x4348), 1); // muls
        let (branch, call, pop) = (decode(0xE7FE, 0), decode(0xF000, 0xF800), decode(0xBD10, 0));
        let total =
            |model: Model, instruction| model.cycles(Instruction::Plain, instruction) + model.taken(instruction);
        assert_eq!([branch, call, pop].map(|it| total(Model::CortexM0, it)), [3, 4, 4 + 2]);
        assert_eq!([branch, call, pop].map(|it| total(Model::CortexM0Plus, it)), [2, 3, 3 + 2]);
    }
}
