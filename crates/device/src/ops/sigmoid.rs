//! Logistic and hyperbolic tangent of 16 bits: one table of the logistic function, interpolated.
//!
//! Entry `i` of the table is `2^16 · logistic(i / 24)`. The input is scaled so that 512 steps are an entry, and 256 for the
//! hyperbolic tangent, since `tanh x = 2 · logistic(2 x) − 1`; negative inputs are mirrored (TFLite's
//! `reference_integer_ops::Logistic` and `Tanh`). The output is in Q0.15.

use core::ops::Range;

use super::axes::span;
use super::{Effort, Kernel, Need, Overlap};
use crate::isa::Isa;
use crate::memory::{Memory, Operand};

/// Entries of the table.
pub const ENTRIES: usize = 256;

crate::params! {
    /// Logistic or hyperbolic tangent of 16-bit inputs.
    pub struct SigmoidI16 {
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
        /// From an input to the steps of the table, before the shift.
        pub multiplier: i32,
        /// Bits by which the product is shifted right, rounded half up: at most 31.
        pub shift: u32,
        /// Whether it is the hyperbolic tangent.
        pub tanh: bool,
    }
}

impl SigmoidI16 {
    #[inline(always)]
    fn output(&self, table: &[u16; ENTRIES], x: i16) -> i16 {
        let half = 1i32.wrapping_shl(self.shift) >> 1;
        let x = i32::from(x).wrapping_mul(self.multiplier).wrapping_add(half).wrapping_shr(self.shift);
        let bits = if self.tanh { 8 } else { 9 };
        let magnitude = x.unsigned_abs();
        let (entry, fraction) = (magnitude >> bits, magnitude & ((1 << bits) - 1));
        let entries = table.get(entry as usize).zip(table.get(entry as usize + 1));
        let value = match entries {
            Some((&low, &high)) => {
                let (low, high) = (u32::from(low), u32::from(high));
                (low << bits).wrapping_add(fraction.wrapping_mul(high.wrapping_sub(low))) as i32
            }
            None if self.tanh => 0xffff << 8,
            None => 0x7fff << 10,
        };
        if self.tanh {
            let value = value - (1 << 23);
            ((if x < 0 { -value - 1 } else { value } + (1 << 7)) >> 8) as i16
        } else {
            let value = if x < 0 { (1 << 25) - value - 1 } else { value };
            ((value + (1 << 9)) >> 10) as i16
        }
    }
}

impl Kernel for SigmoidI16 {
    const OPCODE: u16 = 58;
    type Operands = [Operand; 3];

    fn valid(&self) -> bool {
        self.shift <= 31
    }

    fn rows(&self) -> u32 {
        self.rows
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.row.into()])
    }

    fn needs(&self) -> [Need; 3] {
        let shape = &[self.rows, self.row];
        [Need::read::<i16>(shape), Need::constant::<u16>(&[ENTRIES as u32]), Need::write::<i16>(shape)]
    }

    fn overlap(&self, _read: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, table, out]: &[Operand; 3]) {
        let Some(table) = memory.constants::<u16>(table).first_chunk() else { return };
        let (start, len) = span(rows, self.row);
        let input = memory.view::<i16>(input).slice(start, len);
        for (out, x) in memory.view_mut::<i16>(out).slice(start, len).iter().zip(input.iter()) {
            out.set(self.output(table, x));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, run, run_in_place, values};
    use super::*;
    use std::vec::Vec;

    #[test]
    fn functions_are_within_two_steps() {
        let table: Vec<u16> =
            (0..ENTRIES).map(|i| (65536.0 / (1.0 + (-(i as f64) / 24.0).exp())).round() as u16).collect();
        let input: Vec<i16> = (i16::MIN..=i16::MAX).step_by(7).collect();
        let reads = [bytes(&input), bytes(&table)];
        for tanh in [false, true] {
            // An input of scale 2^-12: 3 · 4096 / 512 = 24 entries to one.
            let kernel = SigmoidI16 { rows: 1, row: input.len() as u32, multiplier: 3, shift: 0, tanh };
            let out = run(&kernel, &reads);
            assert_eq!(out, run_in_place(&kernel, &reads));
            for (found, &x) in values::<i16>(&out).into_iter().zip(&input) {
                let x = f64::from(x) / 4096.0;
                let wanted = if tanh { x.tanh() } else { 1.0 / (1.0 + (-x).exp()) };
                assert!((f64::from(found) - wanted * 32768.0).abs() < 4.0, "{tanh} of {x} = {found}");
            }
        }
    }
}
