//! Thumb instructions, told apart as far as their timing differs (Armv7-M reference manual, chapter A5).

/// What a cycle model has to know of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Everything that takes one cycle: data processing, multiplies with a word as result, moves, hints.
    Plain,
    /// MLA and MLS.
    MultiplyAccumulate,
    /// SMULL and UMULL.
    LongMultiply,
    /// SMLAL, UMLAL and their kin.
    LongMultiplyAccumulate,
    /// SDIV and UDIV.
    Divide,
    /// A load of one register, as wide as a word or narrower.
    Load(Load),
    /// A store of one register, as wide as a word or narrower.
    Store(Store),
    /// A load or store of so many words: LDM, STM, PUSH, POP, LDRD, STRD, VLDR, VSTR, VLDM, VSTM.
    Words(u8),
    /// A branch, conditional or not, but BL.
    Branch,
    /// BL.
    Call,
    /// TBB and TBH.
    TableBranch,
    /// Multiply-accumulate of floats, chained or fused.
    FloatMultiplyAccumulate,
    /// VDIV and VSQRT.
    FloatDivide,
    /// VMOV between two core registers and the floating-point registers.
    MovePair,
}

/// The registers of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The register that is loaded.
    pub target: u8,
    /// The base of the address.
    pub base: u8,
    /// The register added to the base.
    pub index: Option<u8>,
    /// Whether the base is updated.
    pub write_back: bool,
}

impl Load {
    /// The program counter's number.
    pub const PC: u8 = 15;
}

/// The form of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Whether a register is added to the base.
    pub register_offset: bool,
    /// Whether the base is updated.
    pub write_back: bool,
}

/// The instruction of the half words `first` and, should it be a wide one, `second`.
pub fn decode(first: u16, second: u16) -> Instruction {
    match first >> 11 {
        0b11101..=0b11111 => wide(first, second),
        _ => narrow(first),
    }
}

/// Bytes of the instruction that starts with the half word `first`.
pub fn bytes(first: u16) -> u64 {
    if first >> 11 >= 0b11101 { 4 } else { 2 }
}

/// Bits `low..low + count` of a half word.
fn bits(half: u16, low: u32, count: u32) -> u8 {
    ((half >> low) & ((1 << count) - 1)) as u8
}

fn bit(half: u16, index: u32) -> bool {
    bits(half, index, 1) == 1
}

fn load(target: u8, base: u8, index: Option<u8>) -> Instruction {
    Instruction::Load(Load { target, base, index, write_back: false })
}

fn store(register_offset: bool, write_back: bool) -> Instruction {
    Instruction::Store(Store { register_offset, write_back })
}

fn narrow(half: u16) -> Instruction {
    let low = bits(half, 0, 3);
    let base = bits(half, 3, 3);
    match bits(half, 12, 4) {
        0b0100 if bit(half, 11) => load(bits(half, 8, 3), Load::PC, None),
        0b0100 if bit(half, 10) => high_registers(half),
        0b0101 => match bits(half, 9, 3) {
            0..=2 => store(true, false),
            _ => load(low, base, Some(bits(half, 6, 3))),
        },
        0b0110..=0b1000 if bit(half, 11) => load(low, base, None),
        0b1001 if bit(half, 11) => load(bits(half, 8, 3), 13, None),
        0b0110..=0b1001 => store(false, false),
        0b1011 => match bits(half, 8, 4) {
            0b0001 | 0b0011 | 0b1001 | 0b1011 => Instruction::Branch,
            // PUSH with the link register, POP with the program counter: bit 8.
            0b0100 | 0b0101 | 0b1100 | 0b1101 => Instruction::Words((half & 0x1FF).count_ones() as u8),
            _ => Instruction::Plain,
        },
        0b1100 => Instruction::Words((half & 0xFF).count_ones() as u8),
        0b1101 if bits(half, 8, 4) < 14 => Instruction::Branch,
        0b1110 => Instruction::Branch,
        _ => Instruction::Plain,
    }
}

/// ADD, CMP and MOV of any register, BX and BLX.
fn high_registers(half: u16) -> Instruction {
    let target = bits(half, 0, 3) | (bits(half, 7, 1) << 3);
    match bits(half, 8, 2) {
        0b11 => Instruction::Branch,
        0b00 | 0b10 if target == Load::PC => Instruction::Branch,
        _ => Instruction::Plain,
    }
}

fn wide(first: u16, second: u16) -> Instruction {
    let class = bits(first, 4, 7);
    if class & 0x40 != 0 && !(0b11110..0b11111).contains(&(first >> 11)) {
        return coprocessor(first, second);
    }
    match first >> 11 {
        0b11101 => match class & 0x64 {
            0x00 => Instruction::Words(second.count_ones() as u8),
            0x04 => dual_or_exclusive(first, second),
            _ => Instruction::Plain,
        },
        0b11110 => branch_or_control(first, second),
        _ => match class {
            _ if class & 0x71 == 0x00 => wide_store(first, second),
            _ if class & 0x61 == 0x01 => wide_load(first, second),
            0x30 if second >> 12 != 15 || bit(second, 4) => Instruction::MultiplyAccumulate,
            0x38 | 0x3A => Instruction::LongMultiply,
            0x39 | 0x3B => Instruction::Divide,
            0x3C..=0x3E => Instruction::LongMultiplyAccumulate,
            _ => Instruction::Plain,
        },
    }
}

/// LDRD and STRD, exclusive loads and stores, table branches.
fn dual_or_exclusive(first: u16, second: u16) -> Instruction {
    let (indexed, upwards, write_back, loads) = (bit(first, 8), bit(first, 7), bit(first, 5), bit(first, 4));
    if indexed || write_back {
        return Instruction::Words(2);
    }
    match (upwards, loads) {
        (true, true) if bits(second, 5, 3) == 0 => Instruction::TableBranch,
        (_, true) => load(bits(second, 12, 4), bits(first, 0, 4), None),
        (_, false) => store(false, false),
    }
}

fn branch_or_control(first: u16, second: u16) -> Instruction {
    match (bit(second, 15), bit(second, 14), bit(second, 12)) {
        (true, true, true) => Instruction::Call,
        (true, false, true) => Instruction::Branch,
        // The conditions 14 and 15 are MSR, MRS, barriers and hints.
        (true, false, false) if bits(first, 7, 3) != 0b111 => Instruction::Branch,
        _ => Instruction::Plain,
    }
}

/// Whether the address of a wide load or store is a register and an index, and whether the base is updated.
fn addressing(first: u16, second: u16) -> (bool, bool) {
    if bit(first, 7) {
        (false, false)
    } else if bit(second, 11) {
        (false, bit(second, 8))
    } else {
        (true, false)
    }
}

fn wide_store(first: u16, second: u16) -> Instruction {
    let (register_offset, write_back) = addressing(first, second);
    store(register_offset, write_back)
}

fn wide_load(first: u16, second: u16) -> Instruction {
    let (target, base) = (bits(second, 12, 4), bits(first, 0, 4));
    let word = bits(first, 5, 2) == 0b10;
    if target == Load::PC && !word {
        return Instruction::Plain; // PLD, PLI
    }
    if base == Load::PC {
        return load(target, base, None);
    }
    let (indexed, write_back) = addressing(first, second);
    Instruction::Load(Load { target, base, index: indexed.then_some(bits(second, 0, 4)), write_back })
}

/// Floating point: coprocessors 10 (single) and 11 (double).
fn coprocessor(first: u16, second: u16) -> Instruction {
    if bits(second, 9, 3) != 0b101 || bit(first, 12) {
        return Instruction::Plain;
    }
    let double = bit(second, 8);
    if !bit(first, 9) {
        return match (first & 0xFFE0, bit(first, 8) && !bit(first, 5)) {
            (0xEC40, _) => Instruction::MovePair,
            (_, true) => Instruction::Words(if double { 2 } else { 1 }),
            _ => Instruction::Words(bits(second, 0, 8)),
        };
    }
    if bit(second, 4) {
        return Instruction::Plain; // a move of one register
    }
    match (bit(first, 7), bits(first, 4, 2)) {
        (false, 0b00 | 0b01) | (true, 0b01 | 0b10) => Instruction::FloatMultiplyAccumulate,
        (true, 0b00) => Instruction::FloatDivide,
        (true, 0b11) if bits(first, 0, 4) == 1 && bits(second, 6, 2) == 0b11 => Instruction::FloatDivide,
        _ => Instruction::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn load_of(target: u8, base: u8, index: Option<u8>, write_back: bool) -> Instruction {
        Instruction::Load(Load { target, base, index, write_back })
    }

    #[test]
    fn narrow_encodings() {
        for (code, expected) in [
            (0x1840, Instruction::Plain),            // adds r0, r0, r1
            (0x4348, Instruction::Plain),            // muls r0, r1
            (0x4770, Instruction::Branch),           // bx lr
            (0x4790, Instruction::Branch),           // blx r2
            (0x4687, Instruction::Branch),           // mov pc, r0
            (0x4601, Instruction::Plain),            // mov r1, r0
            (0x4A01, load_of(2, 15, None, false)),   // ldr r2, [pc, #4]
            (0x5488, store(true, false)),            // strb r0, [r1, r2]
            (0x5688, load_of(0, 1, Some(2), false)), // ldrsb r0, [r1, r2]
            (0x6808, load_of(0, 1, None, false)),    // ldr r0, [r1]
            (0x6008, store(false, false)),           // str r0, [r1]
            (0x7808, load_of(0, 1, None, false)),    // ldrb r0, [r1]
            (0x8808, load_of(0, 1, None, false)),    // ldrh r0, [r1]
            (0x8008, store(false, false)),           // strh r0, [r1]
            (0x9901, load_of(1, 13, None, false)),   // ldr r1, [sp, #4]
            (0x9101, store(false, false)),           // str r1, [sp, #4]
            (0xA001, Instruction::Plain),            // adr r0, ...
            (0xB082, Instruction::Plain),            // sub sp, #8
            (0xB108, Instruction::Branch),           // cbz r0, ...
            (0xB910, Instruction::Branch),           // cbnz r0, ...
            (0xB240, Instruction::Plain),            // sxtb r0, r0
            (0xB5F0, Instruction::Words(5)),         // push {r4-r7, lr}
            (0xBD10, Instruction::Words(2)),         // pop {r4, pc}
            (0xBF00, Instruction::Plain),            // nop
            (0xBF18, Instruction::Plain),            // it ne
            (0xC103, Instruction::Words(2)),         // stm r1!, {r0, r1}
            (0xC80E, Instruction::Words(3)),         // ldm r0!, {r1-r3}
            (0xD1FD, Instruction::Branch),           // bne
            (0xDF00, Instruction::Plain),            // svc 0
            (0xE7FE, Instruction::Branch),           // b .
        ] {
            assert_eq!(decode(code, 0), expected, "{code:#06x}");
            assert_eq!(bytes(code), 2);
        }
    }

    #[test]
    fn wide_encodings() {
        for (first, second, expected) in [
            (0xE92D, 0x4FF0, Instruction::Words(9)),               // push {r4-r11, lr}
            (0xE8BD, 0x8FF0, Instruction::Words(9)),               // pop {r4-r11, pc}
            (0xE9D0, 0x1201, Instruction::Words(2)),               // ldrd r1, r2, [r0, #4]
            (0xE8F0, 0x1201, Instruction::Words(2)),               // ldrd r1, r2, [r0], #4
            (0xE9C0, 0x1201, Instruction::Words(2)),               // strd r1, r2, [r0, #4]
            (0xE8DF, 0xF000, Instruction::TableBranch),            // tbb [pc, r0]
            (0xE8DF, 0xF010, Instruction::TableBranch),            // tbh [pc, r0, lsl #1]
            (0xE850, 0x1F00, load_of(1, 0, None, false)),          // ldrex r1, [r0]
            (0xEB00, 0x0081, Instruction::Plain),                  // add.w r0, r0, r1, lsl #2
            (0xF000, 0xF800, Instruction::Call),                   // bl
            (0xF000, 0xB800, Instruction::Branch),                 // b.w
            (0xF43F, 0xAFFE, Instruction::Branch),                 // beq.w
            (0xF3BF, 0x8F4F, Instruction::Plain),                  // dsb
            (0xF240, 0x1000, Instruction::Plain),                  // movw r0, #0x100
            (0xF8C1, 0x0004, store(false, false)),                 // str.w r0, [r1, #4]
            (0xF801, 0x0B01, store(false, true)),                  // strb r0, [r1], #1
            (0xF801, 0x0C01, store(false, false)),                 // strb r0, [r1, #-1]
            (0xF801, 0x0002, store(true, false)),                  // strb.w r0, [r1, r2]
            (0xF8D1, 0x0004, load_of(0, 1, None, false)),          // ldr.w r0, [r1, #4]
            (0xF851, 0x0B04, load_of(0, 1, None, true)),           // ldr r0, [r1], #4
            (0xF851, 0x0F04, load_of(0, 1, None, true)),           // ldr r0, [r1, #4]!
            (0xF911, 0x0B01, load_of(0, 1, None, true)),           // ldrsb r0, [r1], #1
            (0xF991, 0x0001, load_of(0, 1, None, false)),          // ldrsb.w r0, [r1, #1]
            (0xF851, 0x0022, load_of(0, 1, Some(2), false)),       // ldr.w r0, [r1, r2, lsl #2]
            (0xF8DF, 0x0004, load_of(0, 15, None, false)),         // ldr.w r0, [pc, #4]
            (0xF8DF, 0xF004, load_of(15, 15, None, false)),        // ldr.w pc, [pc, #4]
            (0xF890, 0xF000, Instruction::Plain),                  // pld [r0]
            (0xFA0F, 0xF080, Instruction::Plain),                  // sxth.w r0, r0
            (0xFB01, 0x2003, Instruction::MultiplyAccumulate),     // mla r0, r1, r3, r2
            (0xFB01, 0x2013, Instruction::MultiplyAccumulate),     // mls r0, r1, r3, r2
            (0xFB01, 0xF003, Instruction::Plain),                  // mul r0, r1, r3
            (0xFB11, 0x2003, Instruction::Plain),                  // smlabb r0, r1, r3, r2
            (0xFB21, 0x2003, Instruction::Plain),                  // smlad r0, r1, r3, r2
            (0xFB82, 0x0103, Instruction::LongMultiply),           // smull r0, r1, r2, r3
            (0xFBA2, 0x0103, Instruction::LongMultiply),           // umull r0, r1, r2, r3
            (0xFB91, 0xF0F2, Instruction::Divide),                 // sdiv r0, r1, r2
            (0xFBB1, 0xF0F2, Instruction::Divide),                 // udiv r0, r1, r2
            (0xFBC2, 0x0103, Instruction::LongMultiplyAccumulate), // smlal r0, r1, r2, r3
            (0xFBC2, 0x01C3, Instruction::LongMultiplyAccumulate), // smlald r0, r1, r2, r3
            (0xFBE2, 0x0103, Instruction::LongMultiplyAccumulate), // umlal r0, r1, r2, r3
        ] {
            assert_eq!(decode(first, second), expected, "{first:#06x} {second:#06x}");
            assert_eq!(bytes(first), 4);
        }
    }

    #[test]
    fn floating_point_encodings() {
        for (first, second, expected) in [
            (0xED90, 0x0A00, Instruction::Words(1)),                // vldr s0, [r0]
            (0xED90, 0x0B00, Instruction::Words(2)),                // vldr d0, [r0]
            (0xED80, 0x0A00, Instruction::Words(1)),                // vstr s0, [r0]
            (0xED2D, 0x8A10, Instruction::Words(16)),               // vpush {s16-s31}
            (0xECBD, 0x8A10, Instruction::Words(16)),               // vpop {s16-s31}
            (0xEC90, 0x0A08, Instruction::Words(8)),                // vldmia r0, {s0-s7}
            (0xEE00, 0x0A10, Instruction::Plain),                   // vmov s0, r0
            (0xEEF1, 0xFA10, Instruction::Plain),                   // vmrs APSR_nzcv, fpscr
            (0xEC51, 0x0B10, Instruction::MovePair),                // vmov r0, r1, d0
            (0xEC41, 0x0A10, Instruction::MovePair),                // vmov s0, s1, r0, r1
            (0xEE30, 0x0A21, Instruction::Plain),                   // vadd.f32 s0, s0, s3
            (0xEE20, 0x0A21, Instruction::Plain),                   // vmul.f32 s0, s0, s3
            (0xEE00, 0x0A21, Instruction::FloatMultiplyAccumulate), // vmla.f32 s0, s0, s3
            (0xEEA0, 0x0A21, Instruction::FloatMultiplyAccumulate), // vfma.f32 s0, s0, s3
            (0xEE80, 0x0A21, Instruction::FloatDivide),             // vdiv.f32 s0, s0, s3
            (0xEEB1, 0x0AC0, Instruction::FloatDivide),             // vsqrt.f32 s0, s0
            (0xEEB0, 0x0AC0, Instruction::Plain),                   // vabs.f32 s0, s0
            (0xEEB8, 0x0AC0, Instruction::Plain),                   // vcvt.f32.s32 s0, s0
        ] {
            assert_eq!(decode(first, second), expected, "{first:#06x} {second:#06x}");
        }
    }
}
