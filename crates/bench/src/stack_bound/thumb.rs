//! Thumb instructions, as far as they move the stack pointer or leave the straight way (Armv8-M reference manual, C2.3).

use std::collections::BTreeMap;

use super::{Code, Flow, Instruction, Stack};

const SP: u16 = 13;
const PC: u16 = 15;

/// The instructions from `start` to `end`. Those under an IT may not be executed: they end nothing and give nothing back.
pub(super) fn decode(code: &Code<'_>, start: u32, end: u32) -> BTreeMap<u32, Instruction> {
    let mut found = BTreeMap::new();
    let (mut at, mut conditional) = (start, 0);
    let mut literals = Literals::default();
    while at < end {
        let Some(first) = code.half(at).filter(|_| !code.is_data(at)) else {
            at += 2;
            continue;
        };
        let mut instruction = match first >> 11 {
            0b11101..=0b11111 => wide(first, code.half(at + 2).unwrap_or_default(), at),
            _ => narrow(first, at, &literals),
        };
        literals.note(code, first, at);
        if conditional > 0 {
            conditional -= 1;
            instruction = may_be_skipped(instruction);
        } else if first & 0xFF00 == 0xBF00 && first & 0xF != 0 {
            // The lowest set bit of the mask ends the block.
            conditional = 4 - (first & 0xF).trailing_zeros();
        }
        found.insert(at, instruction);
        at += instruction.bytes;
    }
    found
}

fn may_be_skipped(instruction: Instruction) -> Instruction {
    let flow = match instruction.flow {
        Flow::Jump(target) => Flow::Branch(target),
        Flow::Return => Flow::Next,
        flow => flow,
    };
    let stack = match instruction.stack {
        Stack::Grow(bytes) => Stack::Grow(bytes.max(0)),
        stack => stack,
    };
    Instruction { flow, stack, ..instruction }
}

/// What registers were last loaded with from beside the code, and which the last pop set.
#[derive(Default)]
struct Literals {
    values: [Option<i32>; 8],
    popped: u16,
}

impl Literals {
    fn note(&mut self, code: &Code<'_>, first: u16, at: u32) {
        self.popped = if first & 0xFE00 == 0xBC00 { first & 0xFF } else { 0 };
        if first >> 11 == 0b01001 {
            let address = ((at + 4) & !3) + 4 * u32::from(first & 0xFF);
            self.values[usize::from(first >> 8 & 7)] = code.word(address).map(u32::cast_signed);
        }
    }
}

fn narrow(first: u16, at: u32, literals: &Literals) -> Instruction {
    let stack = |stack| Instruction::stack(2, stack);
    let flow = |flow| Instruction::flow(2, flow);
    let to = |offset: i32| (at + 4).wrapping_add_signed(offset);
    let registers = |extra: u16| 4 * i64::from((first & 0xFF).count_ones() + u32::from(extra));
    let high = first >> 3 & 0xF;
    match first {
        _ if first & 0xFE00 == 0xB400 => stack(Stack::Grow(registers(first >> 8 & 1))),
        _ if first & 0xFF00 == 0xBD00 => flow(Flow::Return),
        _ if first & 0xFF00 == 0xBC00 => stack(Stack::Grow(-registers(0))),
        _ if first & 0xFF80 == 0xB080 => stack(Stack::Grow(4 * i64::from(first & 0x7F))),
        _ if first & 0xFF80 == 0xB000 => stack(Stack::Grow(-4 * i64::from(first & 0x7F))),
        // ADD SP, Rm
        _ if first & 0xFF87 == 0x4485 => stack(match literals.values.get(usize::from(high)).copied().flatten() {
            Some(value) => Stack::Grow(-i64::from(value)),
            None => Stack::Dynamic,
        }),
        // MOV SP, Rm
        _ if first & 0xFF87 == 0x4685 => stack(Stack::Set),
        // MOV PC, Rm and ADD PC, Rm
        _ if first & 0xFF87 == 0x4687 || first & 0xFF87 == 0x4487 => flow(Flow::Table),
        // BX; where a register was just popped, that is the return address.
        _ if first & 0xFF87 == 0x4700 && (high == 14 || literals.popped >> high & 1 == 1) => flow(Flow::Return),
        _ if first & 0xFF87 == 0x4700 => flow(Flow::Table),
        _ if first & 0xFF87 == 0x4780 => flow(Flow::CallPointer),
        _ if first >> 12 == 0b1101 && first >> 9 & 7 != 7 => {
            flow(Flow::Branch(to(2 * i32::from((first as u8).cast_signed()))))
        }
        _ if first >> 11 == 0b11100 => flow(Flow::Jump(to(i32::from((first << 5).cast_signed()) >> 4))),
        // CBZ and CBNZ
        _ if first & 0xF500 == 0xB100 => flow(Flow::Branch(to(i32::from(first >> 3 & 0x40 | first >> 2 & 0x3E)))),
        _ => Instruction::plain(2),
    }
}

fn wide(first: u16, second: u16, at: u32) -> Instruction {
    let stack = |stack| Instruction::stack(4, stack);
    let flow = |flow| Instruction::flow(4, flow);
    let target = second >> 8 & 0xF;
    let (top, byte) = (second >> 12, i64::from(second & 0xFF));
    let words = 4 * i64::from(second.count_ones());
    match first {
        // PUSH and POP of any registers.
        0xE92D => stack(Stack::Grow(words)),
        0xE8BD if second >> PC & 1 == 1 => flow(Flow::Return),
        0xE8BD => stack(Stack::Grow(-words)),
        // STR with write-back before, LDR with write-back after, and their pairs.
        0xF84D if second & 0xF00 == 0xD00 => stack(Stack::Grow(byte)),
        0xF85D if second & 0xF00 == 0xB00 && top == PC => flow(Flow::Return),
        0xF85D if second & 0xF00 == 0xB00 => stack(Stack::Grow(-byte)),
        0xE96D => stack(Stack::Grow(4 * byte)),
        0xE8FD => stack(Stack::Grow(-4 * byte)),
        // VPUSH and VPOP.
        _ if first & 0xFFBF == 0xED2D => stack(Stack::Grow(4 * byte)),
        _ if first & 0xFFBF == 0xECBD => stack(Stack::Grow(-4 * byte)),
        // ADD and SUB of a constant or of a register.
        _ if second >> 15 == 0 && target == SP && summand(first, second).is_some() => {
            let from_sp = first & 0xF == SP;
            stack(if from_sp { Stack::Grow(summand(first, second).unwrap_or_default()) } else { Stack::Set })
        }
        _ if matches!(first & 0xFFE0, 0xEB00 | 0xEBA0) && target == SP => stack(Stack::Dynamic),
        // TBB, TBH and LDR PC.
        _ if first & 0xFFF0 == 0xE8D0 && second & 0xFFE0 == 0xF000 => flow(Flow::Table),
        _ if first & 0xFF70 == 0xF850 && top == PC => flow(Flow::Table),
        _ if first & 0xF800 == 0xF000 && second & 0x8000 != 0 => branch(first, second, at),
        _ => Instruction::plain(4),
    }
}

/// What ADD or SUB of a constant takes from its register.
fn summand(first: u16, second: u16) -> Option<i64> {
    let low = second >> 4 & 0x700 | second & 0xFF;
    let constant = first << 1 & 0x800 | low;
    match (first & 0xFBE0, first & 0xFBF0) {
        (0xF100, _) => Some(-modified(constant)),
        (0xF1A0, _) => Some(modified(constant)),
        (_, 0xF200) => Some(-i64::from(constant)),
        (_, 0xF2A0) => Some(i64::from(constant)),
        _ => None,
    }
}

/// The constant that 12 bits of an instruction stand for.
fn modified(bits: u16) -> i64 {
    let byte = u32::from(bits & 0xFF);
    i64::from(match bits >> 8 {
        0 => byte,
        1 => byte * 0x0001_0001,
        2 => byte * 0x0100_0100,
        3 => byte * 0x0101_0101,
        _ => (byte | 0x80).rotate_right(u32::from(bits >> 7)),
    })
}

fn branch(first: u16, second: u16, at: u32) -> Instruction {
    let bit = |half: u16, bit: u16| i32::from(half >> bit & 1);
    let (sign, j1, j2) = (bit(first, 10), bit(second, 13), bit(second, 11));
    let low = i32::from(second & 0x7FF) << 1;
    let near = -sign << 20 | j2 << 19 | j1 << 18 | i32::from(first & 0x3F) << 12 | low;
    let [i1, i2] = [j1, j2].map(|j| 1 ^ j ^ sign);
    let far = -sign << 24 | i1 << 23 | i2 << 22 | i32::from(first & 0x3FF) << 12 | low;
    let to = |offset: i32| (at + 4).wrapping_add_signed(offset);
    match second & 0xD000 {
        0xD000 => Instruction::flow(4, Flow::Call(to(far))),
        0x9000 => Instruction::flow(4, Flow::Jump(to(far))),
        0x8000 if first >> 7 & 7 != 7 => Instruction::flow(4, Flow::Branch(to(near))),
        _ => Instruction::plain(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: u16) -> Instruction {
        narrow(first, 0x100, &Literals::default())
    }

    fn grows(bytes: i64, found: Instruction) {
        assert_eq!(found.stack, Stack::Grow(bytes));
    }

    /// Encodings as an assembler gives them.
    #[test]
    fn the_stack_is_followed() {
        grows(20, of(0xB5F0)); // push {r4-r7, lr}
        grows(12, of(0xB083)); // sub sp, #12
        grows(-12, of(0xB003)); // add sp, #12
        grows(36, wide(0xE92D, 0x4FF0, 0)); // push.w {r4-r11, lr}
        grows(4, wide(0xF84D, 0x8D04, 0)); // str r8, [sp, #-4]!
        grows(-4, wide(0xF85D, 0x8B04, 0)); // ldr r8, [sp], #4
        grows(64, wide(0xED2D, 0x8B10, 0)); // vpush {d8-d15}
        grows(1024, wide(0xF5AD, 0x6D80, 0)); // sub.w sp, sp, #1024
        grows(-516, wide(0xF20D, 0x2D04, 0)); // addw sp, sp, #516
        assert_eq!(wide(0xF1A7, 0x0D18, 0).stack, Stack::Set); // sub.w sp, r7, #24
        assert_eq!(wide(0xEBAD, 0x0D0C, 0).stack, Stack::Dynamic); // sub.w sp, sp, r12
    }

    #[test]
    fn branches_lead_where_they_say() {
        assert_eq!(of(0xD0FE).flow, Flow::Branch(0x100)); // beq .
        assert_eq!(of(0xE7FE).flow, Flow::Jump(0x100)); // b .
        assert_eq!(of(0xB108).flow, Flow::Branch(0x106)); // cbz r0, .+6
        assert_eq!(of(0x4770).flow, Flow::Return); // bx lr
        assert_eq!(of(0xBDF0).flow, Flow::Return); // pop {r4-r7, pc}
        assert_eq!(of(0x4780).flow, Flow::CallPointer); // blx r0
        assert_eq!(wide(0xF7FF, 0xFFFE, 0x100).flow, Flow::Call(0x100)); // bl .
        assert_eq!(wide(0xF7FF, 0xBFFE, 0x100).flow, Flow::Jump(0x100)); // b.w .
        assert_eq!(wide(0xF43F, 0xAFFE, 0x100).flow, Flow::Branch(0x100)); // beq.w .
        assert_eq!(wide(0xE8DF, 0xF000, 0).flow, Flow::Table); // tbb [pc, r0]
        assert_eq!(wide(0xF3BF, 0x8F5F, 0).flow, Flow::Next); // dmb
    }
}
