//! What makes outputs of sums: biases, multipliers, and the range of a layer's outputs.

use core::ops::Range;

use super::Need;
use crate::arithmetic::{Multiplier, Requantise};
use crate::isa::paired::{Rounding, mirrored, requantise, shift_known};
use crate::memory::{Memory, Operand, ViewMut, rolled};

crate::params! {
    /// How the sums of a layer become its outputs.
    ///
    /// Where the compiler has proven that it gives the same bytes, `saturate((hi((256 · sum + bias) · m) + zero) >> shift)`,
    /// as [`isa::paired`](crate::isa::paired) says; else `requantise(sum + bias)`, which rounds twice.
    pub struct Scaling {
        /// Zero point and range of the outputs, where sums are rounded twice.
        pub requantise: Requantise,
        /// Whether sums are rounded once, with a word `m` for each multiplier; else with a mantissa and an exponent.
        pub once: bool,
        /// Whether negative ones of `256 · sum + bias` are [`mirrored`](crate::isa::paired::mirrored).
        pub signed: bool,
        /// Number of multipliers: one for each output, or 1.
        pub multipliers: u32,
        /// See [`Paired::zero`](crate::isa::Paired::zero).
        pub zero: i32,
        /// See [`Paired::shift`](crate::isa::Paired::shift).
        pub shift: u32,
    }
}

impl Scaling {
    /// Sums that are rounded twice.
    pub fn twice(requantise: Requantise, multipliers: u32) -> Self {
        Self { requantise, once: false, signed: false, multipliers, zero: 0, shift: 0 }
    }

    /// Words of a multiplier.
    fn words(&self) -> u32 {
        if self.once { 1 } else { 2 }
    }

    pub(super) fn valid(&self, outputs: u32) -> bool {
        self.requantise.valid() && (self.multipliers == outputs || self.multipliers == 1)
    }

    pub(super) fn layout_known(&self) -> bool {
        !self.once || shift_known(self.shift)
    }

    /// What the biases and the multipliers must be.
    pub(super) fn needs(&self, outputs: u32) -> [Need; 2] {
        [Need::constant::<i32>(&[outputs]), Need::constant::<i32>(&[self.multipliers, self.words()])]
    }

    /// The outputs of a layer with such biases and multipliers.
    #[inline(never)]
    pub(super) fn of<'a>(&'a self, memory: Memory<'a>, bias: Operand, multipliers: Operand) -> Outputs<'a> {
        let (bias, multipliers) = (memory.constants(bias), memory.constants(multipliers));
        let step = if self.multipliers == 1 { 0 } else { self.words() as usize };
        Outputs { scaling: self, bias, multipliers, step }
    }
}

/// The outputs of a layer, or some of them.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    pub(crate) scaling: &'a Scaling,
    pub(crate) bias: &'a [i32],
    /// The words of each output, or of all.
    pub(crate) multipliers: &'a [i32],
    /// Words from an output to the next.
    pub(crate) step: usize,
}

impl Outputs<'_> {
    /// Some outputs; `None` where there are not so many.
    pub(crate) fn part(self, range: Range<usize>) -> Option<Self> {
        let multipliers = match self.step {
            0 => Some(self.multipliers),
            step => self.multipliers.get(range.start.checked_mul(step)?..range.end.checked_mul(step)?),
        };
        let part = Self { bias: self.bias.get(range)?, multipliers: multipliers?, ..self };
        part.complete().then_some(part)
    }

    /// Whether there are multipliers for all.
    pub(crate) fn complete(&self) -> bool {
        let words = if self.step == 0 { self.scaling.words() as usize } else { self.len().saturating_mul(self.step) };
        self.multipliers.len() == words
    }

    /// Number of outputs.
    pub(crate) fn len(&self) -> usize {
        self.bias.len()
    }

    /// How sums are rounded once.
    pub(crate) fn rounding(&self) -> Rounding {
        Rounding { zero: self.scaling.zero, shift: self.scaling.shift }
    }

    /// Makes outputs of `sums`, from output `first` on.
    #[inline(never)]
    pub(crate) fn store(&self, first: usize, sums: &[i32], out: ViewMut<'_, i8>) {
        let Scaling { requantise: range, once, signed, .. } = *self.scaling;
        let rounding = self.rounding();
        match (once, signed) {
            (true, false) => self.each(first, sums, out, |sum, bias, [m]| {
                requantise(sum.wrapping_shl(8).wrapping_add(bias), m, 0, rounding)
            }),
            (true, true) => self.each(first, sums, out, |sum, bias, [m]| {
                requantise(mirrored(sum.wrapping_shl(8).wrapping_add(bias)), m, 0, rounding)
            }),
            (false, _) => self.each(first, sums, out, |sum, bias, [value, shift]| {
                range.apply(sum.wrapping_add(bias), Multiplier { value, shift })
            }),
        }
    }

    #[inline(always)]
    fn each<const WORDS: usize>(
        &self,
        first: usize,
        sums: &[i32],
        out: ViewMut<'_, i8>,
        output: impl Fn(i32, i32, [i32; WORDS]) -> i8,
    ) {
        let bias = self.bias.get(first..).unwrap_or_default();
        let words = self.multipliers.get(first * self.step..).unwrap_or_default();
        let mut words = words.as_chunks::<WORDS>().0.iter();
        let mut multiplier = [0; WORDS];
        for ((&sum, &bias), out) in sums.iter().zip(bias).zip(out.iter()) {
            // Where there is just one, it goes on.
            multiplier = words.next().copied().unwrap_or(multiplier);
            out.set(output(sum, bias, multiplier));
            rolled();
        }
    }
}
