//! Floats to integers of 8 and 16 bits: `out = clamp(round(input / scale) + zero_point)`, half away from zero.

use core::ops::Range;

use super::axes::span;
use super::{Effort, Kernel, Need, Overlap};
use crate::isa::Isa;
use crate::memory::{Memory, Operand};

crate::params! {
    /// Floats to int8 or uint8.
    pub struct Quantise {
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
        /// Real value of one step of the output.
        pub scale: f32,
        /// The output that means zero.
        pub zero_point: i32,
        /// Smallest output: −128 or 0.
        pub min: i32,
        /// Largest output: 127 or 255.
        pub max: i32,
    }

    /// Floats to int16.
    pub struct QuantiseI16 {
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
        /// Real value of one step of the output.
        pub scale: f32,
    }
}

/// The multiple of `scale` that is nearest.
#[inline(always)]
fn quotient(x: f32, scale: f32) -> i32 {
    // Division, not a product with the inverse: TFLite's result differs between them. `as` saturates.
    libm::roundf(x / scale) as i32
}

impl Kernel for Quantise {
    const OPCODE: u16 = 22;
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
        [Need::read::<f32>(shape), Need::write::<u8>(shape)]
    }

    /// Output byte `i` lies at or before input float `i`, and rows go forward.
    fn overlap(&self, _read: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, out]: &[Operand; 2]) {
        let (start, len) = span(rows, self.row);
        let input = memory.view::<f32>(input).slice(start, len);
        for (out, x) in memory.view_mut::<u8>(out).slice(start, len).iter().zip(input.iter()) {
            let value = quotient(x, self.scale).saturating_add(self.zero_point);
            out.set(value.max(self.min).min(self.max) as u8);
        }
    }
}

impl Kernel for QuantiseI16 {
    const OPCODE: u16 = 60;
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
        [Need::read::<f32>(shape), Need::write::<i16>(shape)]
    }

    fn overlap(&self, _read: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, out]: &[Operand; 2]) {
        let (start, len) = span(rows, self.row);
        let input = memory.view::<f32>(input).slice(start, len);
        for (out, x) in memory.view_mut::<i16>(out).slice(start, len).iter().zip(input.iter()) {
            out.set(quotient(x, self.scale).max(i16::MIN.into()).min(i16::MAX.into()) as i16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, bytes, run, run_in_place, values};
    use super::*;
    use std::vec::Vec;

    #[test]
    fn floats_become_the_nearest_integer() {
        let mut random = Random(22);
        for case in 0..100 {
            let (min, max) = if case % 2 == 0 { (-128, 127) } else { (0, 255) };
            let scale = random.real(0.01, 0.1) as f32;
            let kernel = Quantise { rows: 4, row: 25, scale, zero_point: random.between(min, max), min, max };
            let input: Vec<f32> = (0..100).map(|_| random.real(-9.0, 9.0) as f32).collect();
            let reads = [bytes(&input)];
            let out = run(&kernel, &reads);
            assert_eq!(out, run_in_place(&kernel, &reads));
            for (found, x) in out.into_iter().zip(input) {
                let found = if case % 2 == 0 { f64::from(found as i8) } else { f64::from(found) };
                let wanted = f64::from(x) / f64::from(scale) + f64::from(kernel.zero_point);
                let wanted = wanted.clamp(min.into(), max.into());
                assert!((found - wanted).abs() <= 0.5001, "{x} / {scale} = {found}");
            }
        }
    }

    #[test]
    fn ties_go_away_from_zero_and_the_rest_saturates() {
        let kernel = Quantise { rows: 1, row: 6, scale: 0.5, zero_point: 1, min: -128, max: 127 };
        let reads = [bytes(&[0.25f32, -0.25, 0.75, -0.75, f32::INFINITY, -1e30])];
        assert_eq!(values::<i8>(&run(&kernel, &reads)), [2, 0, 3, -1, 127, -128]);
        let kernel = QuantiseI16 { rows: 2, row: 3, scale: 0.5 };
        assert_eq!(values::<i16>(&run(&kernel, &reads)), [1, -1, 2, -2, i16::MAX, i16::MIN]);
        assert_eq!(run(&kernel, &reads), run_in_place(&kernel, &reads));
    }
}
