//! What a translated block costs, and the counter that adds blocks up between the markers.

use std::io::Write;

use crate::model::Model;
use crate::thumb::Instruction;

/// A run of instructions that is only left at its end, with what is known of it before it runs.
pub struct Block {
    address: u64,
    instructions: u64,
    modelled: Option<Modelled>,
    mark: Option<Mark>,
}

/// What a marker function asks of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A region begins.
    Begin,
    /// It ends: its sums are written as a line of text.
    End,
    /// It goes on: its sum so far is written as a word of 64 bits, for firmware that has this file open as its clock.
    Clock,
}

struct Modelled {
    model: Model,
    /// The address behind the block.
    fall_through: u64,
    /// Cycles when the block before it ended in a branch and this one falls through.
    cycles: u64,
    /// Further cycles when the next block is not the one that follows in memory.
    taken: u64,
    first: Instruction,
    last: Instruction,
}

impl Block {
    /// A block of which only the instructions are counted.
    pub fn unmodelled(address: u64, instructions: usize) -> Self {
        Self { address, instructions: instructions as u64, modelled: None, mark: None }
    }

    /// A block that ends before `fall_through`, with the cycles that `model` gives its instructions.
    pub fn modelled(address: u64, fall_through: u64, instructions: &[Instruction], model: Model) -> Self {
        let mut before = Instruction::Plain;
        let mut cycles = 0;
        for &instruction in instructions {
            cycles += model.cycles(before, instruction);
            before = instruction;
        }
        let mut block = Self::unmodelled(address, instructions.len());
        block.modelled = Some(Modelled {
            model,
            fall_through,
            cycles,
            taken: model.taken(before),
            first: instructions.first().copied().unwrap_or(Instruction::Plain),
            last: before,
        });
        block
    }

    /// Says whose block it is, if it is a marker's.
    pub fn marked(mut self, mark: Option<Mark>) -> Self {
        self.mark = mark;
        self
    }
}

/// Sums of the region that runs, and where finished regions are reported.
pub struct Counter<W> {
    out: W,
    counting: bool,
    instructions: u64,
    cycles: u64,
    before: Option<&'static Block>,
}

impl<W: Write> Counter<W> {
    /// A counter that writes to `out` what the markers ask for.
    pub fn new(out: W) -> Self {
        Self { out, counting: false, instructions: 0, cycles: 0, before: None }
    }

    /// `block` is about to run. The marker functions themselves are not counted.
    #[inline]
    pub fn enter(&mut self, block: &'static Block) {
        if self.counting {
            self.settle(block);
        }
        match block.mark {
            None if self.counting => {
                self.instructions += block.instructions;
                if let Some(modelled) = &block.modelled {
                    self.cycles += modelled.cycles;
                }
                self.before = Some(block);
            }
            None => {}
            Some(mark) => self.mark(mark, block.modelled.is_some()),
        }
    }

    #[cold]
    fn mark(&mut self, mark: Mark, modelled: bool) {
        self.before = None;
        match mark {
            Mark::Begin => (self.counting, self.instructions, self.cycles) = (true, 0, 0),
            Mark::End if self.counting => {
                self.counting = false;
                let cycles = if modelled { self.cycles.to_string() } else { "-".to_owned() };
                self.write(format!("{} {cycles}\n", self.instructions).as_bytes());
            }
            Mark::End => {}
            Mark::Clock => {
                let ticks = if modelled { self.cycles } else { self.instructions };
                self.write(&ticks.to_le_bytes());
            }
        }
    }

    /// Adds what could not be known when the block before was translated: how it was left.
    #[inline]
    fn settle(&mut self, block: &Block) {
        let Some(before) = self.before else { return };
        let Some(left) = &before.modelled else { return };
        if block.address != left.fall_through {
            self.cycles += left.taken;
        } else if let (Instruction::Load(_), Some(entered)) = (left.last, &block.modelled) {
            // QEMU cuts long runs of instructions: a load pair may lie across the cut.
            let alone = entered.model.cycles(Instruction::Plain, entered.first);
            self.cycles -= alone - entered.model.cycles(left.last, entered.first);
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.out.write_all(bytes) {
            eprintln!("rasbora counting plugin: cannot write the counts: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thumb::decode;

    fn block(address: u64, code: &[u16], mark: Option<Mark>) -> &'static Block {
        let instructions: Vec<_> = code.iter().map(|&half| decode(half, 0)).collect();
        let block = Block::modelled(address, address + 2 * code.len() as u64, &instructions, Model::CortexM4);
        Box::leak(Box::new(block.marked(mark)))
    }

    #[test]
    fn a_loop_pays_for_each_taken_branch_and_not_for_the_last() {
        // subs r0, #1; bne
        let body = block(0x100, &[0x3801, 0xD1FD], None);
        let after = block(0x104, &[0xE0FC], None); // b 0x300
        let (begin, end) = (block(0x200, &[0x4770], Some(Mark::Begin)), block(0x300, &[0x4770], Some(Mark::End)));
        let mut counter = Counter::new(Vec::new());
        for entered in [begin, body, body, body, after, end, body] {
            counter.enter(entered);
        }
        let refill = Model::CortexM4.taken(decode(0xD1FD, 0));
        let cycles = 3 * 2 + 2 * refill + (1 + refill);
        assert_eq!(String::from_utf8_lossy(&counter.out), format!("7 {cycles}\n"));
    }

    #[test]
    fn loads_pair_across_a_cut() {
        let first = block(0x100, &[0x6808], None); // ldr r0, [r1]
        let second = block(0x102, &[0x684A], None); // ldr r2, [r1, #4]
        let (begin, end) = (block(0x200, &[0x4770], Some(Mark::Begin)), block(0x104, &[0x4770], Some(Mark::End)));
        let mut counter = Counter::new(Vec::new());
        for entered in [begin, first, second, end] {
            counter.enter(entered);
        }
        assert_eq!(String::from_utf8_lossy(&counter.out), "2 3\n");
    }

    #[test]
    fn each_region_is_reported() {
        let body = block(0x100, &[0xBF00], None);
        let (begin, end) = (block(0x200, &[0x4770], Some(Mark::Begin)), block(0x102, &[0x4770], Some(Mark::End)));
        let mut counter = Counter::new(Vec::new());
        for entered in [body, begin, body, end, body, begin, end, end] {
            counter.enter(entered);
        }
        assert_eq!(String::from_utf8_lossy(&counter.out), "1 1\n0 0\n");
    }
    #[test]
    fn the_clock_is_told_without_an_end() {
        let body = block(0x100, &[0xBF00], None);
        let (begin, clock) = (block(0x200, &[0x4770], Some(Mark::Begin)), block(0x102, &[0x4770], Some(Mark::Clock)));
        let mut counter = Counter::new(Vec::new());
        for entered in [begin, body, clock, body, clock] {
            counter.enter(entered);
        }
        assert_eq!(counter.out, [1u64, 2].map(u64::to_le_bytes).concat());
    }
}
