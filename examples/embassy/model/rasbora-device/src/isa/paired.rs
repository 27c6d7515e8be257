//! Paired weights: two int8 weights in one 16-bit lane, for instruction sets with a dual 16-bit multiply-accumulate.
//!
//! A lane `R = 256·w₀ + w₁` holds the weights of two neighbouring inputs in two bytes (weights in −127..=127), and its low
//! byte, sign-extended, is `S = w₁`. With `X₁ = x₀` and `X₂ = 256·x₁ + 127 − x₀`, both in 16 bits,
//! `R·X₁ + S·X₂ = 256·(w₀·x₀ + w₁·x₁) + 127·w₁`: four bytes of weights, one load and one widening give four products for
//! every pair of lanes, and the accumulator comes out scaled by 256, which is what leaves room for a requantisation
//! without rounding instructions. `X₂` is an exclusive or of the input's bytes with one constant.
//!
//! **Requantisation.** `y = saturate((hi(a · m) + zero) >> shift)`, where `a` is the accumulator, with a
//! correction added where it is negative, and `hi` the upper word of the product. The compiler finds `m` and the bias for each
//! channel and proves that all 255 thresholds are those of TFLite's double rounding, for every sum that the layer can make.
//!
//! **Streams.** `x` has four words for four inputs of two columns: `X₁` and `X₂` of the one, `X₁` and `X₂` of the other, in
//! the order `[X₁⁰, X₁¹, X₂⁰, X₂¹]`. `filters` is a block for three outputs after the other, then blocks for two: biases,
//! for each step one word of lanes an output, corrections where there are any, multipliers.

use crate::memory::{View, ViewMut};

/// Bits by which the requantised value is shifted: any real multiplier below 2⁻² has an `m` of 31 bits.
pub const SHIFT: u32 = 9;
/// Bits by which it is shifted where all multipliers of a layer are below 2⁻⁶: a finer `m` has more room for a proof.
pub const FINE_SHIFT: u32 = 13;

/// What a lane adds to the accumulator for each unit of `w₁`, whatever the inputs are; the biases take it away again.
pub const OFFSET: i32 = 127;

/// Sizes and constants of one call.
#[derive(Clone, Copy, Debug)]
pub struct Paired {
    /// Words of lanes for one output: inputs / 4, rounded up.
    pub steps: u32,
    /// Number of outputs, at least 2.
    pub outputs: u32,
    /// Whether each output has a correction for negative accumulators: `round half away from zero` is not `round half up`
    /// there.
    pub signed: bool,
    /// Zero point of the output and half a step, shifted left by `shift`, where the biases do not hold them.
    pub zero: i32,
    /// [`SHIFT`] or [`FINE_SHIFT`].
    pub shift: u32,
}

impl Paired {
    /// Blocks of three outputs, and of two: no output is computed twice.
    pub const fn blocks(outputs: u32) -> (u32, u32) {
        let twos = match outputs % 3 {
            0 => 0,
            1 => 2,
            _ => 1,
        };
        (outputs.saturating_sub(2 * twos) / 3, twos)
    }

    /// Whether there is a kernel for the shift.
    pub const fn shift_valid(&self) -> bool {
        matches!(self.shift, SHIFT | FINE_SHIFT)
    }

    const fn rounding(&self) -> Rounding {
        Rounding { zero: self.zero, shift: self.shift }
    }

    /// Words of `filters`.
    pub const fn filter_words(&self) -> u64 {
        self.outputs as u64 * (self.steps as u64 + 2 + self.signed as u64)
    }

    /// Words of `x`.
    pub const fn column_words(&self) -> u64 {
        4 * self.steps as u64
    }

    /// Whether the streams and outputs have the lengths that these sizes want.
    pub fn fits(&self, x: View<'_, u32>, filters: &[u32], out: &[ViewMut<'_, i8>; 2]) -> bool {
        x.len() as u64 == self.column_words()
            && filters.len() as u64 == self.filter_words()
            && self.outputs >= 2
            && out.iter().all(|out| out.len() == self.outputs as usize)
    }
}

/// The lanes of four weights.
pub const fn pair([w0, w1, w2, w3]: [i8; 4]) -> u32 {
    let low = (256 * w0 as i32 + w1 as i32) as u32 & 0xffff;
    let high = (256 * w2 as i32 + w3 as i32) as u32 & 0xffff;
    low | high << 16
}

/// `[X₁, X₂]` of four neighbouring inputs, the first in the lowest byte.
#[inline(always)]
pub const fn expand(inputs: u32) -> [u32; 2] {
    [widen(inputs), inputs ^ 0x007f_007f]
}

/// The low bytes of both halves, sign-extended to 16 bits (`SXTB16`).
#[inline(always)]
pub(super) const fn widen(word: u32) -> u32 {
    let low = word as i8 as i16 as u16 as u32;
    let high = (word >> 16) as i8 as i16 as u16 as u32;
    low | high << 16
}

/// Both products of halves, added to `sum` (`SMLAD`).
const fn multiply_add(a: u32, b: u32, sum: i32) -> i32 {
    let low = a as i16 as i32 * b as i16 as i32;
    let high = (a >> 16) as i16 as i32 * (b >> 16) as i16 as i32;
    sum.wrapping_add(low).wrapping_add(high)
}

/// Adds what four weights give for four inputs.
#[inline(always)]
pub const fn accumulate(sum: i32, lanes: u32, inputs: u32) -> i32 {
    let [x1, x2] = expand(inputs);
    multiply_add(widen(lanes), x2, multiply_add(lanes, x1, sum))
}

/// The formula, in plain Rust.
pub fn portable(paired: Paired, x: View<'_, u32>, filters: &[u32], out: [ViewMut<'_, i8>; 2]) {
    if !paired.fits(x, filters, &out) {
        return;
    }
    let (threes, twos) = Paired::blocks(paired.outputs);
    let steps = paired.steps as usize;
    let (mut at, mut output) = (0, 0);
    for width in core::iter::repeat_n(3, threes as usize).chain(core::iter::repeat_n(2, twos as usize)) {
        for o in 0..width {
            let word = |i: usize| filters.get(at + i).copied().unwrap_or_default();
            for (column, out) in out.iter().enumerate() {
                let mut sum = word(o) as i32;
                for step in 0..steps {
                    let lanes = word(width + step * width + o);
                    let x = |i: usize| x.at(4 * step + i);
                    sum = multiply_add(lanes, x(column), sum);
                    sum = multiply_add(widen(lanes), x(2 + column), sum);
                }
                let after = width * (1 + steps);
                let correction = if paired.signed { word(after + o) as i32 } else { 0 };
                let multiplier = word(after + usize::from(paired.signed) * width + o) as i32;
                out.set(output + o, requantise(sum, multiplier, correction, paired.rounding()));
            }
        }
        at += width * (steps + 2 + usize::from(paired.signed));
        output += width;
    }
}

/// What the requantisation of all outputs has in common.
#[derive(Clone, Copy, Debug)]
pub struct Rounding {
    /// See [`Paired::zero`].
    pub zero: i32,
    /// See [`Paired::shift`].
    pub shift: u32,
}

/// An accumulator, scaled by 256 and biased, to int8.
pub const fn requantise(sum: i32, multiplier: i32, correction: i32, rounding: Rounding) -> i8 {
    let sum = sum.wrapping_add((sum >> 31) & correction);
    let high = ((sum as i64 * multiplier as i64) >> 32) as i32;
    let value = high.wrapping_add(rounding.zero) >> (rounding.shift & 31);
    if value < -128 {
        -128
    } else if value > 127 {
        127
    } else {
        value as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_give_the_dot_product_scaled() {
        let bytes = [-127, -1, 0, 1, 5, 100, 127];
        for (i, &a) in bytes.iter().enumerate() {
            for (j, &b) in bytes.iter().enumerate() {
                let weights = [a, b, bytes[(i + j) % 7], bytes[(i * j) % 7]];
                for inputs in [[-128i8, 127, 3, -5], [127, -128, -128, -128], [0, 1, -1, 90]] {
                    let sum = accumulate(0, pair(weights), u32::from_le_bytes(inputs.map(i8::cast_unsigned)));
                    let dot: i32 = weights.iter().zip(inputs).map(|(&w, x)| i32::from(w) * i32::from(x)).sum();
                    assert_eq!(sum, 256 * dot + OFFSET * (i32::from(weights[1]) + i32::from(weights[3])));
                }
            }
        }
    }
}
