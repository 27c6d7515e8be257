//! Functions of one element: any 8-bit function as a table, and float functions.

use core::ops::Range;

use super::axes::span;
use super::{Effort, Kernel, Need, Overlap};
use crate::isa::Isa;
use crate::memory::{Memory, Operand};

crate::params! {
    /// `out[i] = table[input[i]]`, where both are bytes, signed or not.
    pub struct Table {
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
    }

    /// What a float becomes.
    pub enum FloatUnary {
        /// `clamp(x, min, max)`.
        Clamp = 0,
        /// `1 / (1 + e^−x)`.
        Logistic = 1,
        /// `tanh x`.
        Tanh = 2,
    }

    /// A float function.
    pub struct UnaryF32 {
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
        /// Which.
        pub function: FloatUnary,
        /// Smallest output of `Clamp`.
        pub min: f32,
        /// Largest output of `Clamp`.
        pub max: f32,
    }
}

impl Kernel for Table {
    const OPCODE: u16 = 20;
    type Operands = [Operand; 3];

    fn valid(&self) -> bool {
        true
    }

    fn rows(&self) -> u32 {
        self.rows
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.row.into()])
    }

    fn needs(&self) -> [Need; 3] {
        let shape = &[self.rows, self.row];
        [Need::read::<u8>(shape), Need::constant::<u8>(&[256]), Need::write::<u8>(shape)]
    }

    fn overlap(&self, _read: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, table, out]: &[Operand; 3]) {
        let Some(table) = memory.constants::<u8>(table).first_chunk::<256>() else { return };
        let (start, len) = span(rows, self.row);
        let input = memory.view::<u8>(input).slice(start, len);
        for (out, x) in memory.view_mut::<u8>(out).slice(start, len).iter().zip(input.iter()) {
            out.set(table[usize::from(x)]);
        }
    }
}

impl UnaryF32 {
    #[inline(always)]
    fn apply(&self, rows: Range<u32>, memory: Memory<'_>, &[input, out]: &[Operand; 2], function: impl Fn(f32) -> f32) {
        let (start, len) = span(rows, self.row);
        let input = memory.view::<f32>(input).slice(start, len);
        for (out, x) in memory.view_mut::<f32>(out).slice(start, len).iter().zip(input.iter()) {
            out.set(function(x));
        }
    }
}

impl Kernel for UnaryF32 {
    const OPCODE: u16 = 21;
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
        [Need::read::<f32>(shape), Need::write::<f32>(shape)]
    }

    fn overlap(&self, _read: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 2]) {
        match self.function {
            FloatUnary::Clamp => self.apply(rows, memory, operands, |x| x.max(self.min).min(self.max)),
            FloatUnary::Logistic => self.apply(rows, memory, operands, |x| 1.0 / (1.0 + libm::expf(-x))),
            FloatUnary::Tanh => self.apply(rows, memory, operands, libm::tanhf),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, bytes, run, run_in_place, values};
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_table_is_looked_up_in_place_too() {
        let mut random = Random(20);
        let reads = [random.bytes(35), random.bytes(256)];
        let kernel = Table { rows: 5, row: 7 };
        let wanted: Vec<u8> = reads[0].iter().map(|&x| reads[1][x as usize]).collect();
        assert_eq!(run(&kernel, &reads), wanted);
        assert_eq!(run_in_place(&kernel, &reads), wanted);
    }

    #[test]
    fn float_functions_are_within_a_millionth() {
        let mut random = Random(21);
        let input: Vec<f32> = (0..1000).map(|_| random.real(-9.0, 9.0) as f32).collect();
        let reads = [bytes(&input)];
        for function in [FloatUnary::Clamp, FloatUnary::Logistic, FloatUnary::Tanh] {
            let formula = |x: f64| match function {
                FloatUnary::Clamp => x.clamp(-1.0, 2.5),
                FloatUnary::Logistic => 1.0 / (1.0 + (-x).exp()),
                FloatUnary::Tanh => x.tanh(),
            };
            let kernel = UnaryF32 { rows: 10, row: 100, function, min: -1.0, max: 2.5 };
            let out = run(&kernel, &reads);
            assert_eq!(out, run_in_place(&kernel, &reads));
            for (found, &x) in values::<f32>(&out).into_iter().zip(&input) {
                let wanted = formula(x.into());
                assert!((f64::from(found) - wanted).abs() <= wanted.abs() * 1e-6, "{function:?}({x}) = {found}");
            }
        }
    }

    #[test]
    fn float_functions_saturate() {
        let reads = [bytes(&[-200f32, 200.0])];
        for (function, wanted) in [(FloatUnary::Logistic, [0.0, 1.0]), (FloatUnary::Tanh, [-1.0, 1.0])] {
            let kernel = UnaryF32 { rows: 1, row: 2, function, min: 0.0, max: 0.0 };
            assert_eq!(values::<f32>(&run(&kernel, &reads)), wanted);
        }
    }
}
