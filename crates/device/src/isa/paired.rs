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
//! **Streams.** Four inputs of each column are a step, and 16 steps a chunk, whose inputs the kernel keeps expanded. `filters`
//! is chunks, each for all blocks of four outputs and of three: biases in the first chunk, for each step one
//! word of lanes an output, in the last chunk corrections where there are any, and multipliers. Between chunks the sums wait in
//! working memory.

use core::mem::offset_of;
use core::ops::Range;

use crate::memory::{View, ViewMut};

/// Bits by which the requantised value is shifted: any real multiplier below 2⁻² has an `m` of 31 bits.
pub const SHIFT: u32 = 9;
/// Bits by which it is shifted where all multipliers of a layer are below 2⁻⁶: a finer `m` has more room for a proof.
pub const FINE_SHIFT: u32 = 13;

/// All that a paired layer may be shifted by; the two above are the fastest.
pub const SHIFTS: Range<u32> = SHIFT..19;

/// Whether there are kernels of plain sums that shift by so many bits.
pub const fn shift_known(shift: u32) -> bool {
    matches!(shift, SHIFT | FINE_SHIFT)
}

/// Steps of a chunk, whose inputs lie in registers and on the stack.
pub const CHUNK: u32 = 16;

/// Steps whose inputs lie in registers.
const RESIDENT: u32 = 8;

/// What an accumulator is scaled by.
pub const SCALE: i64 = 256;

/// What a lane adds to the accumulator for each unit of `w₁`, whatever the inputs are; the biases take it away again.
pub const OFFSET: i32 = 127;

/// Sizes and constants of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Paired {
    /// Runs of neighbouring inputs of a column.
    pub runs: u32,
    /// Bytes of a run, at least 1. A run is read in whole words; what is too much at its end meets weights of 0, or the next
    /// run follows there.
    pub run_bytes: u32,
    /// Bytes from a run to the next.
    pub stride: u32,
    /// Bytes from a column to the next but one.
    pub input_step: u32,
    /// Number of outputs, at least 2.
    pub outputs: u32,
    /// Whether each output has a correction for negative accumulators: `round half away from zero` is not `round half up`
    /// there.
    pub signed: bool,
    /// Zero point of the output and half a step, shifted left by `shift`, where the biases do not hold them.
    pub zero: i32,
    /// One of [`SHIFTS`].
    pub shift: u32,
}

impl Paired {
    /// Numbers of blocks of four outputs, and of three: no output is computed twice. Of two or five outputs the last block of
    /// three has but two.
    pub const fn blocks(outputs: u32) -> [u32; 2] {
        let threes = match outputs {
            2 => 1,
            5 => 2,
            _ => (4 - outputs % 4) % 4,
        };
        [outputs.saturating_sub(3 * threes) / 4, threes]
    }

    /// Lanes of each block, one an output.
    pub fn widths(outputs: u32) -> impl Iterator<Item = usize> {
        [4, 3]
            .into_iter()
            .zip(Self::blocks(outputs))
            .flat_map(|(width, count)| core::iter::repeat_n(width, count as usize))
    }

    /// Lanes of all blocks.
    #[inline(never)]
    pub const fn lanes(outputs: u32) -> u32 {
        let [fours, threes] = Self::blocks(outputs);
        4 * fours + 3 * threes
    }

    /// The steps of each chunk.
    pub fn chunks(steps: u32) -> impl Iterator<Item = Range<u32>> {
        (0..steps).step_by(CHUNK as usize).map(move |first| first..steps.min(first + CHUNK))
    }

    /// Words of working memory: the sums of all outputs, where they wait for another chunk.
    pub const fn sums(&self) -> u32 {
        if self.steps() > CHUNK { 2 * Self::lanes(self.outputs) } else { 0 }
    }

    /// What [`Columns::mode`] says of the shift.
    const fn shift_bits(&self) -> u32 {
        if self.shift == FINE_SHIFT { 0 } else { 2 | self.shift.wrapping_sub(SHIFT) << Columns::BEYOND }
    }

    const fn rounding(&self) -> Rounding {
        Rounding { zero: self.zero, shift: self.shift }
    }

    /// Words of a run.
    pub const fn words(&self) -> u32 {
        self.run_bytes.div_ceil(4)
    }

    /// Whether the runs follow each other without a gap, so that steps hold the end of one and the start of the next: where
    /// they are short, and all inputs fit into registers.
    pub const fn joined(&self) -> bool {
        let bytes = self.runs.saturating_mul(self.run_bytes);
        self.runs > 1 && !self.run_bytes.is_multiple_of(4) && self.words() <= 4 && bytes <= 4 * RESIDENT
    }

    /// Bytes of weights that are filled up to whole words: a run, or all of them.
    pub const fn unit(&self) -> u32 {
        if self.joined() { self.runs * self.run_bytes } else { self.run_bytes }
    }

    /// Words of lanes for one output.
    #[inline(never)]
    pub const fn steps(&self) -> u32 {
        let units = if self.joined() { 1 } else { self.runs };
        units.saturating_mul(self.unit().div_ceil(4))
    }

    /// Words of `filters`.
    pub const fn filter_words(&self) -> u32 {
        self.output_words().saturating_mul(Self::lanes(self.outputs))
    }

    /// Words of `filters` for one lane.
    pub const fn output_words(&self) -> u32 {
        self.steps().saturating_add(2 + self.signed as u32)
    }

    /// Bytes from the first input of a column that is read to the last.
    pub const fn reach(&self) -> u64 {
        (self.runs as u64).saturating_sub(1) * self.stride as u64 + 4 * self.words() as u64
    }
}

/// A layer with its stream and working memory, checked.
#[repr(C)]
#[allow(dead_code, reason = "assembly reads the first fields")]
pub struct Columns<'a> {
    sums: *mut u32,
    filters: *const u32,
    steps: u32,
    zero: i32,
    /// Bit 0: there are corrections; bit 1: another shift than [`FINE_SHIFT`]; bit 2: there is a zero; from [`Self::BEYOND`] on:
    /// by how much it is more than [`SHIFT`].
    mode: u32,
    /// Outputs in blocks of four, and in blocks of three.
    wide: u32,
    rest: u32,
    runs: u32,
    run_bytes: u32,
    words: u32,
    stride: u32,
    /// From the end of a run to the next.
    gap: u32,
    /// 0: the inputs go by way of the stack; 1: right into registers; 2: so, once runs are joined.
    direct: u32,
    input_step: u32,
    outputs: u32,
    reach: usize,
    paired: Paired,
    stream: &'a [u32],
    waiting: ViewMut<'a, u32>,
}

/// Where assembly finds fields.
#[allow(dead_code, reason = "only assembly needs them")]
impl Columns<'_> {
    pub(super) const BEYOND: u32 = 4;
    pub(super) const SUMS: usize = offset_of!(Columns<'static>, sums);
    pub(super) const FILTERS: usize = offset_of!(Columns<'static>, filters);
    pub(super) const STEPS: usize = offset_of!(Columns<'static>, steps);
    pub(super) const ZERO: usize = offset_of!(Columns<'static>, zero);
    pub(super) const MODE: usize = offset_of!(Columns<'static>, mode);
    pub(super) const WIDE: usize = offset_of!(Columns<'static>, wide);
    pub(super) const REST: usize = offset_of!(Columns<'static>, rest);
    pub(super) const RUNS: usize = offset_of!(Columns<'static>, runs);
    pub(super) const RUN_BYTES: usize = offset_of!(Columns<'static>, run_bytes);
    pub(super) const STRIDE: usize = offset_of!(Columns<'static>, stride);
    pub(super) const DIRECT: usize = offset_of!(Columns<'static>, direct);
    pub(super) const WORDS: usize = offset_of!(Columns<'static>, words);
    pub(super) const GAP: usize = offset_of!(Columns<'static>, gap);
    pub(super) const INPUT_STEP: usize = offset_of!(Columns<'static>, input_step);
    pub(super) const OUTPUTS: usize = offset_of!(Columns<'static>, outputs);
}

impl<'a> Columns<'a> {
    /// `None` where the stream, or `waiting`, the sums that wait, have other lengths than `paired` wants.
    pub fn new(paired: Paired, filters: &'a [u32], waiting: ViewMut<'a, u32>) -> Option<Self> {
        let (steps, Paired { runs, run_bytes, stride, input_step, outputs, zero, .. }) = (paired.steps(), paired);
        let fits = steps > 0
            && paired.outputs >= 2
            && waiting.len() as u32 == paired.sums()
            && filters.len() as u32 == paired.filter_words();
        let [fours, _] = Paired::blocks(outputs);
        fits.then_some(Self {
            sums: waiting.as_mut_ptr(),
            filters: filters.as_ptr(),
            steps,
            zero,
            mode: u32::from(paired.signed) | paired.shift_bits() | u32::from(zero != 0) << 2,
            wide: 4 * fours,
            rest: outputs - 4 * fours,
            runs,
            run_bytes,
            words: paired.words(),
            stride,
            gap: stride.wrapping_sub(4 * paired.words()),
            direct: match paired.joined() {
                true => 2,
                false => u32::from(runs == 1 && steps <= RESIDENT),
            },
            input_step,
            outputs,
            reach: paired.reach().try_into().unwrap_or(usize::MAX),
            paired,
            stream: filters,
            waiting,
        })
    }

    /// Bytes of input that a column must have.
    #[inline(always)]
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// Whether the columns of `pairs` pairs and their outputs have the lengths that the layer wants.
    #[inline(always)]
    pub fn fits(&self, inputs: &[View<'_, i8>; 2], out: &[ViewMut<'_, i8>; 2], pairs: usize) -> bool {
        let (step, outputs) = (self.input_step as usize, self.outputs as usize);
        let Some(more) = pairs.checked_sub(1) else { return false };
        let end = |step: usize, last: usize| more.checked_mul(step).and_then(|start| start.checked_add(last));
        let [Some(read), Some(written)] = [end(step, self.reach), end(2 * outputs, outputs)] else { return false };
        inputs.iter().all(|input| input.len() >= read) && out.iter().all(|out| out.len() >= written)
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
pub fn portable(columns: &Columns<'_>, inputs: [View<'_, i8>; 2], out: [ViewMut<'_, i8>; 2], pairs: usize) {
    if !columns.fits(&inputs, &out, pairs) {
        return;
    }
    let outputs = columns.outputs as usize;
    for pair in 0..pairs {
        for (input, out) in inputs.iter().zip(&out) {
            let input = input.slice(pair * columns.input_step as usize, columns.reach);
            column(columns, input, out.slice(2 * outputs * pair, outputs));
        }
    }
}

/// All outputs of one column.
fn column(columns: &Columns<'_>, input: View<'_, i8>, out: ViewMut<'_, i8>) {
    let mut first = 0;
    for width in Paired::widths(columns.outputs) {
        (0..width.min(out.len() - first)).for_each(|o| out.set(first + o, output(columns, input, first, width, o)));
        first += width;
    }
}

/// Output `o` of the block of `width` outputs from `first` on.
fn output(columns: &Columns<'_>, input: View<'_, i8>, first: usize, width: usize, o: usize) -> i8 {
    let paired = columns.paired;
    let (stride, steps) = (paired.stride as usize, paired.steps());
    // Weights of what is beyond the last run are 0.
    let line = if paired.joined() { paired.run_bytes } else { 4 * paired.words() } as usize;
    let (mut sum, mut from) = (0, 0);
    let mut tail = [0; 2];
    for chunk in Paired::chunks(steps) {
        let (biased, last) = (chunk.start == 0, chunk.end == steps);
        let tail_words = if last { 1 + usize::from(paired.signed) } else { 0 };
        let rows = usize::from(biased) + (chunk.end - chunk.start) as usize + tail_words;
        let of_row = |row: usize| {
            let word = columns.stream.get(from + first * rows + row * width + o);
            word.copied().unwrap_or_default().cast_signed()
        };
        let mut of_block = (0..rows).map(of_row);
        if biased {
            sum = of_block.next().unwrap_or_default();
        }
        for (step, lanes) in chunk.zip(&mut of_block) {
            let inputs = [0, 1, 2, 3].map(|i| {
                let byte = 4 * step as usize + i;
                input.at(byte / line * stride + byte % line).cast_unsigned()
            });
            sum = accumulate(sum, lanes.cast_unsigned(), u32::from_le_bytes(inputs));
        }
        of_block.zip(tail.iter_mut().skip(usize::from(!paired.signed))).for_each(|(word, tail)| *tail = word);
        from += Paired::lanes(paired.outputs) as usize * rows;
    }
    let [correction, multiplier] = tail;
    requantise(sum, multiplier, correction, paired.rounding())
}

/// What the requantisation of all outputs has in common.
#[derive(Clone, Copy, Debug)]
pub struct Rounding {
    /// See [`Paired::zero`].
    pub zero: i32,
    /// See [`Paired::shift`].
    pub shift: u32,
}

/// An accumulator `256·q + β`, where `β` is its low byte, as `256·q − β` where it is negative: what rounds half up there rounds
/// half away from zero.
#[inline(always)]
pub const fn mirrored(sum: i32) -> i32 {
    let low = (sum >> 31) & 255;
    (sum ^ low).wrapping_sub(low)
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
