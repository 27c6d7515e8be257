//! What audio front ends share: the Fourier transform of a real frame in 32-bit fixed point, modulus and logarithm.
//!
//! `X[k] = Σₙ x[n] · e^(−2πi·k·n / 2N)` of `2N` real samples is made of the transform of `N` complex ones, even samples as
//! real and odd ones as imaginary parts. Everything is integer arithmetic that wraps, so that every core gives the same
//! bits. A product with a twiddle factor (Q31) keeps the high word, which halves it, and the other term of the butterfly
//! is halved too: a stage with twiddles scales by 1/2. That of 16 points scales by 1/8, so that what is before it has room
//! for samples times a window as they are; its twiddles are in Q29.

use core::cell::Cell;

use crate::isa::Isa;
use crate::memory::{View, ViewMut};

/// A complex number in the arena: real part, imaginary part.
pub type Complex = [Cell<i32>; 2];

/// Complex points of the transform that both front ends are made of.
pub const POINTS: usize = 256;
/// Twiddle factors of [`finish`]: `[w, w², w³]` of each butterfly of its stages of 16, 64 and 256 points.
pub const TWIDDLES: usize = 6 * (4 + 16 + 64);

/// The high word of a product.
#[inline(always)]
pub fn high(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b)) >> 32) as i32
}

/// `sum` less the high word of a product: `⌊sum − a · b / 2³²⌋`, as `SMMLS` computes it.
#[inline(always)]
fn less(sum: i32, a: i32, b: i32) -> i32 {
    ((i64::from(sum) << 32).wrapping_sub(i64::from(a) * i64::from(b)) >> 32) as i32
}

/// `z · w / 2`, where `w` is in Q31.
#[inline(always)]
pub fn turned(z: [i32; 2], w: [i32; 2]) -> [i32; 2] {
    [less(high(z[0], w[0]), z[1], w[1]), high(z[0], w[1]).wrapping_add(high(z[1], w[0]))]
}

#[inline(always)]
pub(crate) fn add(a: [i32; 2], b: [i32; 2]) -> [i32; 2] {
    [a[0].wrapping_add(b[0]), a[1].wrapping_add(b[1])]
}

#[inline(always)]
pub(crate) fn sub(a: [i32; 2], b: [i32; 2]) -> [i32; 2] {
    [a[0].wrapping_sub(b[0]), a[1].wrapping_sub(b[1])]
}

#[inline(always)]
pub(crate) fn get(z: &Complex) -> [i32; 2] {
    [z[0].get(), z[1].get()]
}

#[inline(always)]
pub(crate) fn set(z: &Complex, value: [i32; 2]) {
    z[0].set(value[0]);
    z[1].set(value[1]);
}

/// `z / 2`.
#[inline(always)]
pub(crate) fn halved(z: [i32; 2]) -> [i32; 2] {
    [z[0] >> 1, z[1] >> 1]
}

/// The four sums of a butterfly of radix 4.
#[inline(always)]
fn butterfly([a, b, c, d]: [[i32; 2]; 4]) -> [[i32; 2]; 4] {
    let (even, odd) = (add(a, c), sub(a, c));
    let (sum, difference) = (add(b, d), sub(b, d));
    let turned = [difference[1], difference[0].wrapping_neg()];
    [add(even, sum), add(odd, turned), sub(even, sum), sub(odd, turned)]
}

/// By how many bits the stage of `4 · M` points scales down.
pub const fn halvings(m: usize) -> u32 {
    if m == 4 { 3 } else { 1 }
}

/// One stage over all points: groups of `L = 4 · M`. A function of its own, so that its loop has all registers.
#[inline(never)]
pub fn stage<const M: usize, const L: usize>(points: &[Complex; POINTS], twiddles: &[[i32; 6]; M]) {
    for group in points.as_chunks::<L>().0 {
        let [a, b, c, d] = group.as_chunks::<M>().0 else { return };
        for j in 0..M {
            let [w0, w1, w2, w3, w4, w5] = twiddles[j];
            let (b_turned, d_turned) = (turned(get(&b[j]), [w0, w1]), turned(get(&d[j]), [w4, w5]));
            let scaled = get(&a[j]).map(|x| x >> halvings(M));
            let out = butterfly([scaled, b_turned, turned(get(&c[j]), [w2, w3]), d_turned]);
            set(&a[j], out[0]);
            set(&b[j], out[1]);
            set(&c[j], out[2]);
            set(&d[j], out[3]);
        }
    }
}

/// The first stage of the transform of 256 complex points: `quads` gives, for each `n` below 64, the inputs `n`,
/// `n + 64`, `n + 128` and `n + 192`.
#[inline(always)]
pub fn begin(points: &[Complex; POINTS], mut quads: impl Iterator<Item = [[i32; 2]; 4]>) {
    let (places, _) = points.as_chunks::<4>();
    // The place of an input is its number with the digits of base 4 reversed.
    for high in 0..4 {
        for middle in 0..4 {
            for low in 0..4 {
                let (Some(place), Some(quad)) = (places.get(16 * low + 4 * middle + high), quads.next()) else {
                    return;
                };
                for (point, value) in place.iter().zip(butterfly(quad)) {
                    set(point, value);
                }
            }
        }
    }
}

/// The other stages, after which the points are the transform, scaled by 1/32. `twiddles` are [`TWIDDLES`] numbers; without
/// them nothing happens.
#[inline(always)]
pub fn finish<I: Isa>(points: &[Complex; POINTS], twiddles: &[i32]) {
    let (rows, _) = twiddles.as_chunks::<6>();
    let Some((first, rows)) = rows.split_first_chunk::<4>() else { return };
    let Some((second, rows)) = rows.split_first_chunk::<16>() else { return };
    let Some((third, _)) = rows.split_first_chunk::<64>() else { return };
    I::fourier::<4, 16>(points, first);
    I::fourier::<16, 64>(points, second);
    I::fourier::<64, 256>(points, third);
}

/// The first stage of the transform of `samples · window`.
#[inline(never)]
pub fn windowed(samples: View<'_, i16>, window: &[[i16; 2]; POINTS], points: &[Complex; POINTS]) {
    let [w0, w1, w2, w3] = window.as_chunks::<{ POINTS / 4 }>().0 else { return };
    let pairs = |quarter: usize| samples.strided::<2>(quarter * POINTS / 2, 2, POINTS / 4);
    let term = |(x, w): ([i16; 2], [i16; 2])| [i32::from(x[0]) * i32::from(w[0]), i32::from(x[1]) * i32::from(w[1])];
    let first = pairs(0).zip(w0.iter().copied()).zip(pairs(1).zip(w1.iter().copied()));
    let last = pairs(2).zip(w2.iter().copied()).zip(pairs(3).zip(w3.iter().copied()));
    begin(points, first.zip(last).map(|((a, b), (c, d))| [term(a), term(b), term(c), term(d)]));
}

/// What a sample and the one before it count in an emphasised one, times 2⁷.
pub const EMPHASIS: [i16; 2] = [-31 << 7, 32 << 7];

/// The first stage of the transform of every second pair of samples, emphasised and times `window`, from pair `parity` on.
/// The first sample is the one before the frame. The window is in Q15, and a sample is 2¹¹ then.
#[inline(never)]
pub fn emphasised(samples: View<'_, i16>, window: &[[i16; 2]; 2 * POINTS], parity: bool, points: &[Complex; POINTS]) {
    let [w0, w1, w2, w3] = window.as_chunks::<2>().0.as_chunks::<{ POINTS / 4 }>().0 else { return };
    let triples = |quarter: usize| samples.strided::<3>(quarter * POINTS + 2 * usize::from(parity), 4, POINTS / 4);
    let term = |(x, w): ([i16; 3], &[[i16; 2]; 2])| {
        let window = if parity { w[1] } else { w[0] };
        let of = |before: i16, sample: i16, window: i16| {
            let [of_before, of_sample] = EMPHASIS.map(i32::from);
            high(of_sample * i32::from(sample) + of_before * i32::from(before), i32::from(window) << 16)
        };
        [of(x[0], x[1], window[0]), of(x[1], x[2], window[1])]
    };
    let first = triples(0).zip(w0).zip(triples(1).zip(w1));
    let last = triples(2).zip(w2).zip(triples(3).zip(w3));
    begin(points, first.zip(last).map(|((a, b), (c, d))| [term(a), term(b), term(c), term(d)]));
}

/// What the bins of a real frame add to mel bands.
pub struct Bins<'a> {
    pub(crate) points: &'a [Complex; POINTS],
    pub(crate) first: usize,
    pub(crate) bins: &'a [[i32; 3]],
    pub(crate) counts: &'a [u8],
    pub(crate) roots: &'a [i32; ROOTS],
}

impl<'a> Bins<'a> {
    /// The bins from `first` on of the transform of `points`, in runs of `counts`. `bins` has `[cos, sin, weight]` of each:
    /// the turn of the odd samples, and the part of the upper band. `roots` is the table of [`modulus`]. `None` where there
    /// are fewer bins than `counts` wants, or no runs.
    pub fn new(
        points: &'a [Complex; POINTS],
        first: usize,
        bins: &'a [[i32; 3]],
        counts: &'a [u8],
        roots: &'a [i32; ROOTS],
    ) -> Option<Self> {
        let wanted = counts.iter().fold(0, |sum, &count| sum + usize::from(count));
        let are_there = wanted <= bins.len() && (1..POINTS).contains(&first) && wanted <= POINTS - first;
        (are_there && !counts.is_empty()).then_some(Self { points, first, bins, counts, roots })
    }
}

/// The sum of each run of bins, `Σ (1 − weight) · |X| / 2`, and of the run before it, `Σ weight · |X| / 2`; nothing where
/// there is not a sum for each run.
#[inline(never)]
pub fn band_sums(bins: &Bins<'_>, sums: ViewMut<'_, i32>) {
    if sums.len() != bins.counts.len() {
        return;
    }
    let upper = bins.points.iter().skip(bins.first);
    let lower = bins.points.iter().rev().skip(bins.first - 1);
    let mut bins_left = upper.zip(lower).zip(bins.bins);
    let mut sum = 0i32;
    for (&count, out) in bins.counts.iter().zip(sums.iter()) {
        let mut above = 0i32;
        for ((z, mirrored), &[cos, sin, weight]) in bins_left.by_ref().take(count.into()) {
            let modulus = modulus(bin(z, mirrored, [cos, sin]), bins.roots);
            sum = sum.wrapping_add(modulus);
            above = above.wrapping_add(high(modulus, weight));
        }
        out.set(sum.wrapping_sub(above << 1));
        sum = above << 1;
    }
}

/// Bin `k` of the real frame, from the points `k` and `256 − k`.
#[inline(always)]
fn bin(z: &Complex, mirrored: &Complex, turn: [i32; 2]) -> [i32; 2] {
    let ([a, b], [c, d]) = (get(z), get(mirrored));
    let (odd, [cos, sin]) = ([b.wrapping_add(d), c.wrapping_sub(a)], turn);
    let even = halved([a.wrapping_add(c), b.wrapping_sub(d)]);
    let re = less(even[0].wrapping_add(high(odd[0], cos)), odd[1], sin);
    [re, even[1].wrapping_add(high(odd[0], sin)).wrapping_add(high(odd[1], cos))]
}

/// Entries of the table of [`modulus`].
pub const ROOTS: usize = 257;
/// Entries of the table of [`log2`].
pub const LOGARITHMS: usize = 128;

/// `|z| / 2`, within 2·10⁻⁴ of it, rounded down. Scaled until a part fills its word, the square's high word is `i · 2²³` and a
/// rest. From `i = 32` on, `table[i]` is `√(i · 2²³) · 2¹⁵`, with what is missing to that of `i + 1` in its lower 16 bits,
/// by 2¹⁵; those before are 0.
#[inline(always)]
pub fn modulus(z: [i32; 2], table: &[i32; ROOTS]) -> i32 {
    let size = (z[0] ^ z[0] >> 31) | (z[1] ^ z[1] >> 31);
    let shift = size.leading_zeros().wrapping_sub(1) & 31;
    let [re, im] = z.map(|x| x << shift);
    // Each of them is at most 2³⁰.
    let square = high(re, re).wrapping_add(high(im, im)).cast_unsigned();
    let entry = table.get((square >> 23) as usize).copied().unwrap_or_default();
    let rest = (square >> 8 & 0x7FFF).cast_signed();
    (entry.wrapping_add(i32::from(entry as i16) * rest).cast_unsigned() >> shift).cast_signed()
}

/// What is added to an entry of the table of logarithms, where `normal` has its highest bit set.
#[inline(always)]
fn between(entry: u32, normal: u32) -> i32 {
    (i32::from(entry as i16) * (normal >> 8 & 0xFFFF).cast_signed()) >> 16
}

/// `log₂` of a positive 32-bit number, see [`log2`].
#[inline(always)]
pub fn short_log2(x: u32, table: &[i32; LOGARITHMS]) -> i32 {
    let zeros = x.leading_zeros();
    let normal = x.wrapping_shl(zeros);
    let entry = table[(normal >> 24 & 127) as usize].cast_unsigned();
    (31u32.wrapping_sub(zeros) << 16).wrapping_add(entry >> 16).cast_signed().wrapping_add(between(entry, normal))
}

/// `log₂ x` in Q16, within 4·10⁻⁵; 0 for 0. `table[i]` has `f(i) = log₂(1 + i / 128)` as `⌊2¹⁶ · f(i)⌋` in its upper half,
/// and what is missing to `f(i + 1)` in its lower one.
#[inline]
pub fn log2(x: u64, table: &[i32; LOGARITHMS]) -> i32 {
    let zeros = x.leading_zeros();
    let normal = (x.wrapping_shl(zeros) >> 32) as u32;
    let entry = table[(normal >> 24 & 127) as usize].cast_unsigned();
    let whole = ((63u32.wrapping_sub(zeros)) << 16).wrapping_add(entry >> 16).cast_signed();
    if x == 0 { 0 } else { whole.wrapping_add(between(entry, normal)) }
}

/// The tables of [`modulus`] and [`log2`], and the twiddle factors of [`finish`], as the compiler makes them in
/// double precision.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use std::vec::Vec;

    pub(crate) fn twiddles() -> Vec<i32> {
        let turn = |j: usize, points: usize| {
            let angle = -2.0 * core::f64::consts::PI * j as f64 / points as f64;
            let one = 2f64.powi(32 - halvings(points / 4).cast_signed());
            [angle.cos(), angle.sin()].map(|x| (x * one).round().clamp(-2147483648.0, 2147483647.0) as i32)
        };
        [16, 64, 256]
            .iter()
            .flat_map(|&points| (0..points / 4).flat_map(move |j| [1, 2, 3].map(|factor| turn(factor * j, points))))
            .flatten()
            .collect()
    }

    pub(crate) fn roots() -> [i32; ROOTS] {
        core::array::from_fn(|i| {
            let value = |i: usize| (i as f64).sqrt() * 2f64.powf(26.5);
            let slope = ((value(i + 1) - value(i)) / 32768.0).round();
            let rounded = ((value(i) - slope) / 65536.0).round() * 65536.0;
            if i < 32 { 0 } else { ((rounded + slope) as u32).cast_signed() }
        })
    }

    pub(crate) fn logarithms() -> [i32; LOGARITHMS] {
        core::array::from_fn(|i| {
            let value = |i: usize| (65536.0 * (1.0 + i as f64 / 128.0).log2()) as u32;
            (value(i) << 16 | (value(i + 1) - value(i)) & 0xFFFF).cast_signed()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{logarithms, roots, twiddles};
    use super::*;
    use crate::isa::Portable;
    use std::vec::Vec;

    #[test]
    fn the_transform_is_its_formula() {
        let mut seed = 7u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 37) as i32 - (1 << 26)
        };
        let input: Vec<[i32; 2]> = (0..POINTS).map(|_| [random(), random()]).collect();
        let points: [Complex; POINTS] = core::array::from_fn(|_| [Cell::new(0), Cell::new(0)]);
        begin(&points, (0..64).map(|n| [0, 64, 128, 192].map(|step| input[n + step])));
        finish::<Portable>(&points, &twiddles());
        for (k, found) in points.iter().enumerate() {
            let mut wanted = [0.0, 0.0];
            for (n, &[re, im]) in input.iter().enumerate() {
                let angle = -2.0 * core::f64::consts::PI * ((n * k) % POINTS) as f64 / POINTS as f64;
                let (sin, cos) = angle.sin_cos();
                wanted[0] += (f64::from(re) * cos - f64::from(im) * sin) / 32.0;
                wanted[1] += (f64::from(re) * sin + f64::from(im) * cos) / 32.0;
            }
            for (found, wanted) in get(found).into_iter().zip(wanted) {
                assert!((f64::from(found) - wanted).abs() < 32.0, "{k}: {found} is not {wanted}");
            }
        }
    }

    #[test]
    fn moduli_and_logarithms_are_near() {
        let (roots, logarithms) = (roots(), logarithms());
        for (bits, degrees) in (0..31).flat_map(|bits| (0..360).map(move |degrees| (bits, degrees))) {
            let (sin, cos) = f64::from(degrees).to_radians().sin_cos();
            let z = [cos, sin].map(|x| (x * 2f64.powi(bits)) as i32);
            let found = f64::from(modulus(z, &roots).cast_unsigned());
            let wanted = f64::from(z[0]).hypot(z[1].into()) / 2.0;
            assert!((found - wanted).abs() <= 1.0 + 2e-4 * wanted, "|{z:?}| is not {found}");
        }
        for z in [[i32::MIN; 2], [0; 2]] {
            let wanted = f64::from(z[0]).hypot(z[1].into()) / 2.0;
            assert!((f64::from(modulus(z, &roots).cast_unsigned()) - wanted).abs() <= 2e-4 * wanted);
        }
        for x in (0..63).flat_map(|bits| [1u64 << bits, (3 << bits) / 2, (1 << bits) + (1 << bits) / 7]) {
            let logarithm = (x as f64).log2();
            assert!((f64::from(log2(x, &logarithms)) / 65536.0 - logarithm).abs() <= 4e-5, "{x}");
        }
        assert_eq!(log2(0, &logarithms), 0);
    }
}
