//! RV32IMAC instructions, as far as they move the stack pointer or leave the straight way (RISC-V manual, volume I).

use std::collections::BTreeMap;

use super::{Code, Flow, Instruction, Stack};

const ZERO: u32 = 0;
const RA: u32 = 1;
const SP: u32 = 2;

/// The instructions from `start` to `end`.
pub(super) fn decode(code: &Code<'_>, start: u32, end: u32) -> BTreeMap<u32, Instruction> {
    let mut found = BTreeMap::new();
    let mut at = start;
    // A register and what AUIPC has just put there.
    let mut upper = None;
    while at < end {
        let Some(half) = code.half(at).filter(|_| !code.is_data(at)) else {
            at += 2;
            continue;
        };
        let word = if half & 3 == 3 { code.word(at).unwrap_or_default() } else { half.into() };
        let instruction = if half & 3 == 3 { wide(word, at, upper) } else { compressed(word, at) };
        upper = (half & 0x7F == 0x17).then(|| (word >> 7 & 31, at.wrapping_add(word & !0xFFF)));
        found.insert(at, instruction);
        at += instruction.bytes;
    }
    found
}

/// Bits of `word`, each moved from one place to another, as a number whose highest place `sign` is its sign.
fn gather(word: u32, places: &[(u32, u32, u32)], sign: u32) -> i32 {
    let bits = places.iter().fold(0, |bits, &(from, to, count)| bits | (word >> from & ((1 << count) - 1)) << to);
    (bits << (31 - sign)).cast_signed() >> (31 - sign)
}

/// A jump that keeps the address after it in register `link`.
fn jump(bytes: u32, link: u32, target: u32) -> Instruction {
    Instruction::flow(bytes, if link == ZERO { Flow::Jump(target) } else { Flow::Call(target) })
}

/// A jump to where register `to` says.
fn jump_register(bytes: u32, link: u32, to: u32) -> Instruction {
    Instruction::flow(
        bytes,
        match (link, to) {
            (ZERO, RA) => Flow::Return,
            (ZERO, _) => Flow::Table,
            _ => Flow::CallPointer,
        },
    )
}

fn grow(bytes: u32, added: i32) -> Instruction {
    Instruction::stack(bytes, Stack::Grow(-i64::from(added)))
}

fn compressed(word: u32, at: u32) -> Instruction {
    let (first, second) = (word >> 7 & 31, word >> 2 & 31);
    let to = |offset: i32| at.wrapping_add_signed(offset);
    let far = || {
        to(gather(
            word,
            &[(2, 5, 1), (3, 1, 3), (6, 7, 1), (7, 6, 1), (8, 10, 1), (9, 8, 2), (11, 4, 1), (12, 11, 1)],
            11,
        ))
    };
    let near = || to(gather(word, &[(2, 5, 1), (3, 1, 2), (5, 6, 2), (10, 3, 2), (12, 8, 1)], 8));
    match (word & 3, word >> 13) {
        (1, 0) if first == SP => grow(2, gather(word, &[(2, 0, 5), (12, 5, 1)], 5)),
        (1, 3) if first == SP => grow(2, gather(word, &[(2, 5, 1), (3, 7, 2), (5, 6, 1), (6, 4, 1), (12, 9, 1)], 9)),
        (1, 1) => jump(2, RA, far()),
        (1, 5) => jump(2, ZERO, far()),
        (1, 6 | 7) => Instruction::flow(2, Flow::Branch(near())),
        (2, 4) if second == 0 && first != 0 => jump_register(2, word >> 12 & 1, first),
        (2, 4) if first == SP && word >> 12 & 1 == 0 => Instruction::stack(2, Stack::Set),
        (2, 4) if first == SP => Instruction::stack(2, Stack::Dynamic),
        _ => Instruction::plain(2),
    }
}

fn wide(word: u32, at: u32, upper: Option<(u32, u32)>) -> Instruction {
    let (target, first) = (word >> 7 & 31, word >> 15 & 31);
    let immediate = word.cast_signed() >> 20;
    let to = |offset: i32| at.wrapping_add_signed(offset);
    match word & 0x7F {
        0x6F => jump(4, target, to(gather(word, &[(12, 12, 8), (20, 11, 1), (21, 1, 10), (31, 20, 1)], 20))),
        0x67 => match upper.filter(|(register, _)| *register == first) {
            Some((_, upper)) => jump(4, target, upper.wrapping_add_signed(immediate)),
            None => jump_register(4, target, first),
        },
        0x63 => {
            let offset = gather(word, &[(7, 11, 1), (8, 1, 4), (25, 5, 6), (31, 12, 1)], 12);
            Instruction::flow(4, Flow::Branch(to(offset)))
        }
        0x13 if target == SP && word >> 12 & 7 == 0 && first == SP => grow(4, immediate),
        0x13 if target == SP => Instruction::stack(4, Stack::Set),
        0x33 if target == SP => Instruction::stack(4, Stack::Dynamic),
        _ => Instruction::plain(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings as an assembler gives them.
    #[test]
    fn the_stack_is_followed() {
        assert_eq!(compressed(0x1141, 0).stack, Stack::Grow(16)); // addi sp, sp, -16
        assert_eq!(compressed(0x7179, 0).stack, Stack::Grow(48)); // addi sp, sp, -48
        assert_eq!(compressed(0x6145, 0).stack, Stack::Grow(-48)); // addi sp, sp, 48
        assert_eq!(wide(0xC001_0113, 0, None).stack, Stack::Grow(1024)); // addi sp, sp, -1024
        assert_eq!(wide(0xFC04_0113, 0, None).stack, Stack::Set); // addi sp, s0, -64
    }

    #[test]
    fn branches_lead_where_they_say() {
        assert_eq!(compressed(0xA001, 0x100).flow, Flow::Jump(0x100)); // j .
        assert_eq!(compressed(0xBFFD, 0x100).flow, Flow::Jump(0xFE)); // j .-2
        assert_eq!(compressed(0xDD7D, 0x100).flow, Flow::Branch(0xFE)); // beqz a0, .-2
        assert_eq!(compressed(0x8082, 0).flow, Flow::Return); // ret
        assert_eq!(compressed(0x9502, 0).flow, Flow::CallPointer); // jalr a0
        assert_eq!(wide(0xFFDF_F0EF, 0x100, None).flow, Flow::Call(0xFC)); // jal .-4
        assert_eq!(wide(0xFE00_0EE3, 0x100, None).flow, Flow::Branch(0xFC)); // beqz zero, .-4
        assert_eq!(wide(0x0100_80E7, 0x104, Some((1, 0x100))).flow, Flow::Call(0x110)); // auipc ra, 0; jalr 16(ra)
    }
}
