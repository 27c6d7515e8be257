//! Hosts: x86-64 and AArch64 by their vectors of 128 bits, others by the same formula.
//!
//! Inputs are widened to 16 bits once for all filters, and weights once for four columns. What is left are products, two to
//! a sum, and sums that become outputs four at a time: see [`super::vector`].

use super::layer;
use super::vector::{LANES, Multipliers, SUMS, Sums, Vector};
use super::{Channels, Filters, Isa, Line, Portable};
use crate::memory::{View, ViewMut};
use crate::ops::outputs::Outputs;

/// A host.
#[derive(Clone, Copy, Debug)]
pub struct Wide;

/// Vectors of a column, at most: of a short one, and of any.
const VECTORS: [usize; 2] = [32, 512];
/// Columns of a block.
const COLUMNS: usize = 4;
/// Pairs of taps of a window, at most.
const PAIRS: usize = 64;

/// Inputs of `C` columns, vector by vector.
type Block<const C: usize> = [[Vector; C]];

impl Isa for Wide {
    #[inline(always)]
    fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
        Self::columns(filters, Line { x, step: 0, out, out_step: 0, cells: 1 });
    }

    fn columns(filters: &Filters<'_>, line: Line<'_>) {
        match filters.taps.div_ceil(LANES) {
            vectors if vectors <= VECTORS[0] => columns::<{ VECTORS[0] }>(filters, line),
            vectors if vectors <= VECTORS[1] => columns::<{ VECTORS[1] }>(filters, line),
            _ => layer::columns(filters, line, Portable::column),
        }
    }

    fn windows(channels: &Channels<'_>, line: Line<'_>) {
        if channels.count < LANES || channels.taps > 2 * PAIRS || !channels.outputs.scaling.once {
            return layer::windows(channels, line, layer::channels);
        }
        // The last block ends with the last channel.
        for first in (0..channels.count).step_by(LANES).map(|first| first.min(channels.count - LANES)) {
            eight_channels(channels, first, line);
        }
    }
}

/// All outputs of columns of at most `V` vectors.
fn columns<const V: usize>(filters: &Filters<'_>, line: Line<'_>) {
    let (zero, blocks) = (Vector::of([0; LANES]), line.cells - line.cells % COLUMNS);
    if blocks > 0 {
        let mut vectors = [[zero; COLUMNS]; V];
        (0..blocks).step_by(COLUMNS).for_each(|first| block(filters, line, first, &mut vectors));
    }
    if blocks < line.cells {
        let mut vectors = [[zero; 1]; V];
        (blocks..line.cells).for_each(|first| block(filters, line, first, &mut vectors));
    }
}

/// All outputs of `C` columns.
#[inline(always)]
fn block<const C: usize>(filters: &Filters<'_>, line: Line<'_>, first: usize, block: &mut Block<C>) {
    let Filters { taps, weights, outputs } = filters;
    let cells: [_; C] = core::array::from_fn(|c| line.cell(first + c, *taps, outputs.len()));
    if !cells.iter().all(|&(x, out)| filters.fit(x, out)) {
        return;
    }
    for (c, (x, _)) in cells.iter().enumerate() {
        widen(*x, block.iter_mut().map(|vectors| &mut vectors[c]));
    }
    let block = block.get(..taps.div_ceil(LANES)).unwrap_or_default();
    for (first, weights) in (0..outputs.len()).step_by(SUMS).zip(weights.chunks(SUMS * taps)) {
        // Where there are fewer than four, some are summed in vain.
        let filter =
            |i: usize| weights.get(i * taps..(i + 1) * taps).unwrap_or(weights.get(..*taps).unwrap_or_default());
        let (low, high) = (dots(block, [filter(0), filter(1)]), dots(block, [filter(2), filter(3)]));
        let multipliers = multipliers(outputs, first);
        for ((low, high), (_, out)) in low.into_iter().zip(high).zip(&cells) {
            let sums = Sums::totals([low[0], low[1], high[0], high[1]]);
            let out = out.slice(first, (outputs.len() - first).min(SUMS));
            if outputs.scaling.once {
                write(sums.requantise(&multipliers, outputs.rounding()), out);
            } else {
                outputs.store(first, sums.numbers().get(..out.len()).unwrap_or_default(), out);
            }
        }
    }
}

/// Widens a column to vectors, of which the last ends with zeros.
#[inline(always)]
fn widen<'a>(x: View<'_, i8>, mut vectors: impl Iterator<Item = &'a mut Vector>) {
    let whole = x.len() / LANES;
    for (x, vector) in x.strided::<LANES>(0, LANES, whole).zip(&mut vectors) {
        *vector = Vector::of(x);
    }
    let rest = x.from(LANES * whole);
    if let Some(vector) = vectors.next().filter(|_| !rest.is_empty()) {
        *vector = Vector::of(core::array::from_fn(|i| rest.at(i)));
    }
}

/// The sums of columns with two filters, each in four parts. A function of its own, so that its loop has all registers.
#[inline(never)]
fn dots<const C: usize>(block: &Block<C>, filters: [&[i8]; 2]) -> [[Sums; 2]; C] {
    let [(a, rest_of_a), (b, rest_of_b)] = filters.map(|filter| filter.as_chunks::<LANES>());
    let mut sums = [[Sums::of([0; SUMS]); 2]; C];
    let mut add = |x: &[Vector; C], weights: [[i8; LANES]; 2]| {
        let weights = weights.map(Vector::of);
        for (sums, &x) in sums.iter_mut().zip(x) {
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = sum.add_products(x, weights);
            }
        }
    };
    for (x, (&a, &b)) in block.iter().zip(a.iter().zip(b)) {
        add(x, [a, b]);
    }
    if let Some(x) = block.get(a.len()) {
        add(x, [rest_of_a, rest_of_b].map(|rest| core::array::from_fn(|i| rest.get(i).copied().unwrap_or_default())));
    }
    sums
}

/// The outputs of eight channels of all windows, from channel `first` on.
#[inline(always)]
fn eight_channels(channels: &Channels<'_>, first: usize, line: Line<'_>) {
    let Channels { count, taps, weights, ref outputs } = *channels;
    let pairs = taps.div_ceil(2);
    let mut filter = [Vector::of([0; LANES]).in_turn(Vector::of([0; LANES])); PAIRS];
    let mut weights = View::of(weights).strided::<LANES>(first, count, taps);
    for pair in filter.iter_mut().take(pairs) {
        *pair = next(&mut weights).in_turn(next(&mut weights));
    }
    let rounding = outputs.rounding();
    let multipliers = [0, SUMS].map(|half| multipliers(outputs, first + half));
    for cell in 0..line.cells {
        let (x, out) = line.cell(cell, taps * count, count);
        let mut taps = x.strided::<LANES>(first, count, taps);
        let mut sums = [Sums::of([0; SUMS]); 2];
        for pair in filter.iter().take(pairs) {
            let inputs = next(&mut taps).in_turn(next(&mut taps));
            for ((sum, x), w) in sums.iter_mut().zip(inputs).zip(pair) {
                *sum = sum.add_products(x, *w);
            }
        }
        for (half, (sums, multipliers)) in sums.into_iter().zip(&multipliers).enumerate() {
            write(sums.requantise(multipliers, rounding), out.slice(first + SUMS * half, SUMS));
        }
    }
}

/// The next numbers; zeros after the last.
#[inline(always)]
fn next(numbers: &mut impl Iterator<Item = [i8; LANES]>) -> Vector {
    Vector::of(numbers.next().unwrap_or_default())
}

/// What makes outputs from `first` on.
#[inline(always)]
fn multipliers(outputs: &Outputs<'_>, first: usize) -> Multipliers {
    let (bias, words) = (four(outputs.bias, first), outputs.multipliers);
    let factors = if outputs.step == 0 { [four(words, 0)[0]; SUMS] } else { four(words, first) };
    Multipliers { bias, factors, signed: outputs.scaling.signed }
}

/// Four words from `first` on; zeros after the last.
#[inline(always)]
fn four(words: &[i32], first: usize) -> [i32; SUMS] {
    let words = words.get(first..).unwrap_or_default();
    words.first_chunk().copied().unwrap_or_else(|| core::array::from_fn(|i| words.get(i).copied().unwrap_or_default()))
}

/// Writes as many as `out` has.
#[inline(always)]
fn write(values: [i8; SUMS], out: ViewMut<'_, i8>) {
    match out.cells().as_array::<SUMS>() {
        Some(four) => four.iter().zip(values).for_each(|(out, value)| out.set(value)),
        None => out.iter().zip(values).for_each(|(out, value)| out.set(value)),
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::Operand;
    use crate::ops::testing::{Draw, Random, reads, run};
    use crate::ops::{Conv2d, DepthwiseConv2d, FullyConnected, OperandList};

    /// Runs layers at random by all instruction sets, which must be the same.
    fn draw<K: Draw<Operands = [Operand; N]>, const N: usize>()
    where
        [Operand; N]: OperandList<Needs = [crate::ops::Need; N]>,
    {
        for seed in 0..1_000 {
            let mut random = Random::of_seed(seed);
            let kernel = K::draw(&mut random);
            run(&kernel, &reads(&kernel, &mut random));
        }
    }

    #[test]
    fn layers_at_random_are_the_portable_ones() {
        draw::<Conv2d, _>();
        draw::<DepthwiseConv2d, _>();
        draw::<FullyConnected, _>();
    }
}
