//! Integers to integers of another type, scale or range: `out = clamp(zero_point + multiplier · (input − input_zero))`.
//!
//! Where both are 8-bit a [`Table`](super::Table) does it; this is for the others.

use core::ops::Range;

use super::axes::span;
use super::{Effort, Kernel, Need, Overlap, Role};
use crate::arithmetic::multiply;
use crate::isa::Isa;
use crate::memory::{Memory, Multiplier, Operand};
use crate::program::DType;

crate::params! {
    /// Integers to integers (TFLite's `Requantize`).
    pub struct Rescale {
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
        /// Type of the input, integers.
        pub input: DType,
        /// Type of the output, integers.
        pub output: DType,
        /// The input that means zero.
        pub input_zero: i32,
        /// The input's scale over the output's.
        pub multiplier: Multiplier,
        /// The output that means zero.
        pub zero_point: i32,
        /// Smallest output.
        pub min: i32,
        /// Largest output.
        pub max: i32,
    }
}

impl Kernel for Rescale {
    const OPCODE: u16 = 59;
    type Operands = [Operand; 2];

    fn valid(&self) -> bool {
        self.input != DType::F32 && self.output != DType::F32 && self.min <= self.max
    }

    fn rows(&self) -> u32 {
        self.rows
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.row.into()])
    }

    fn needs(&self) -> [Need; 2] {
        let shape = &[self.rows, self.row];
        [Need::of(Role::Read, self.input.bytes() as u8, shape), Need::of(Role::Write, self.output.bytes() as u8, shape)]
    }

    /// An output that is no wider lies at or before its input, and rows go forward.
    fn overlap(&self, _read: usize) -> Overlap {
        if self.output.bytes() <= self.input.bytes() { Overlap::SameOffset } else { Overlap::None }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, out]: &[Operand; 2]) {
        // One loop for all pairs of types: flash is dearer than the choice at each element.
        let (bytes, halves, words) = (memory.view::<i8>(input), memory.view::<i16>(input), memory.view::<i32>(input));
        let outputs = (memory.view_mut::<i8>(out), memory.view_mut::<i16>(out), memory.view_mut::<i32>(out));
        let (start, len) = span(rows, self.row);
        for at in start..start.saturating_add(len) {
            let x = match self.input {
                DType::I8 => bytes.at(at).into(),
                DType::U8 => bytes.at(at).cast_unsigned().into(),
                DType::I16 => halves.at(at).into(),
                _ => words.at(at),
            };
            let value = multiply(x.wrapping_sub(self.input_zero), self.multiplier).wrapping_add(self.zero_point);
            let value = value.max(self.min).min(self.max);
            match self.output {
                DType::I8 | DType::U8 => outputs.0.set(at, value as i8),
                DType::I16 => outputs.1.set(at, value as i16),
                _ => outputs.2.set(at, value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, bytes, run, run_in_place, values};
    use super::*;
    use std::vec::Vec;

    #[test]
    fn outputs_are_the_nearest_numbers() {
        let mut random = Random(59);
        for case in 0..200 {
            let output = [DType::I8, DType::U8, DType::I16, DType::I32][case % 4];
            let (min, max) = [(-128, 127), (0, 255), (-32768, 32767), (-1 << 20, 1 << 20)][case % 4];
            let (real, exponent) = (random.real(0.5, 1.0), random.between(-9, 3));
            let multiplier = Multiplier { value: (real * 2f64.powi(31)) as i32, shift: exponent };
            let (input_zero, zero_point) = (random.between(-50, 50), random.between(-100, 100));
            let kernel =
                Rescale { rows: 4, row: 9, input: DType::I16, output, input_zero, multiplier, zero_point, min, max };
            let input: Vec<i16> = (0..36).map(|_| random.word() as i16).collect();
            let reads = [bytes(&input)];
            let out = run(&kernel, &reads);
            if output.bytes() <= 2 {
                assert_eq!(out, run_in_place(&kernel, &reads));
            }
            let found: Vec<f64> = match output {
                DType::I8 => values::<i8>(&out).into_iter().map(f64::from).collect(),
                DType::U8 => out.into_iter().map(f64::from).collect(),
                DType::I16 => values::<i16>(&out).into_iter().map(f64::from).collect(),
                _ => values::<i32>(&out).into_iter().map(f64::from).collect(),
            };
            for (found, x) in found.into_iter().zip(input) {
                let exact = (f64::from(x) - f64::from(input_zero)) * real * 2f64.powi(exponent) + f64::from(zero_point);
                let wanted = exact.clamp(min.into(), max.into());
                assert!((found - wanted).abs() <= 0.751, "{found} for {wanted}: {kernel:?}");
            }
        }
    }

    #[test]
    fn floats_are_refused() {
        let kernel = Rescale {
            rows: 1,
            row: 1,
            input: DType::F32,
            output: DType::I16,
            input_zero: 0,
            multiplier: Multiplier::default(),
            zero_point: 0,
            min: 0,
            max: 1,
        };
        assert!(!kernel.valid());
        assert!(Rescale { input: DType::I32, ..kernel }.valid());
        assert!(!Rescale { output: DType::F32, input: DType::I32, ..kernel }.valid());
    }
}
