//! Integers of 8 and 16 bits to floats: `out = scale · (input − zero_point)`.

use core::ops::Range;

use super::axes::span;
use super::{Effort, Kernel, Need};
use crate::isa::Isa;
use crate::memory::{Element, Memory, Operand};

crate::params! {
    /// Int8 or uint8 to floats.
    pub struct Dequantise {
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
        /// Real value of one step of the input.
        pub scale: f32,
        /// The input that means zero.
        pub zero_point: i32,
        /// Whether the input is uint8.
        pub unsigned: bool,
    }

    /// Int16 to floats.
    pub struct DequantiseI16 {
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
        /// Real value of one step of the input.
        pub scale: f32,
    }
}

/// Sets each of `len` floats from the first of `rows` on.
#[inline(always)]
fn apply<T: Element + Into<i32>>(
    (scale, zero_point): (f32, i32),
    (start, len): (usize, usize),
    memory: Memory<'_>,
    &[input, out]: &[Operand; 2],
) {
    let input = memory.view::<T>(input).slice(start, len);
    for (out, x) in memory.view_mut::<f32>(out).slice(start, len).iter().zip(input.iter()) {
        out.set(scale * x.into().wrapping_sub(zero_point) as f32);
    }
}

impl Kernel for Dequantise {
    const OPCODE: u16 = 23;
    type Operands = [Operand; 2];

    fn valid(&self) -> bool {
        true
    }

    fn rows(&self) -> u32 {
        self.rows
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.row.into()])
    }

    fn needs(&self) -> [Need; 2] {
        let shape = &[self.rows, self.row];
        [Need::read::<u8>(shape), Need::write::<f32>(shape)]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 2]) {
        let (affine, span) = ((self.scale, self.zero_point), span(rows, self.row));
        if self.unsigned {
            apply::<u8>(affine, span, memory, operands);
        } else {
            apply::<i8>(affine, span, memory, operands);
        }
    }
}

impl Kernel for DequantiseI16 {
    const OPCODE: u16 = 61;
    type Operands = [Operand; 2];

    fn valid(&self) -> bool {
        true
    }

    fn rows(&self) -> u32 {
        self.rows
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.row.into()])
    }

    fn needs(&self) -> [Need; 2] {
        let shape = &[self.rows, self.row];
        [Need::read::<i16>(shape), Need::write::<f32>(shape)]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 2]) {
        apply::<i16>((self.scale, 0), span(rows, self.row), memory, operands);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, run, values};
    use super::*;
    use std::vec::Vec;

    #[test]
    fn int16_becomes_its_real_value() {
        let kernel = DequantiseI16 { rows: 1, row: 3, scale: 0.25 };
        assert_eq!(values::<f32>(&run(&kernel, &[bytes(&[-32768i16, 3, 32767])])), [-8192.0, 0.75, 8191.75]);
    }

    #[test]
    fn every_byte_becomes_its_real_value() {
        let reads = [(0..=255).collect::<Vec<u8>>()];
        for (unsigned, zero_point) in [(false, -3), (true, 130)] {
            let kernel = Dequantise { rows: 16, row: 16, scale: 0.1, zero_point, unsigned };
            let out: Vec<f32> = values(&run(&kernel, &reads));
            for (found, x) in out.into_iter().zip(&reads[0]) {
                let integer = if unsigned { i32::from(*x) } else { i32::from(*x as i8) };
                let wanted = 0.1f32 * (integer - zero_point) as f32;
                assert_eq!(found, wanted);
            }
        }
    }
}
