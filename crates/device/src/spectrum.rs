//! What audio front ends share: the Fourier transform of a real frame in 32-bit fixed point, square root and logarithm.
//!
//! `X[k] = Σₙ x[n] · e^(−2πi·k·n / 2N)` of `2N` real samples is made of the transform of `N` complex ones, even samples as
//! real and odd ones as imaginary parts. Everything is integer arithmetic that wraps, so that every core gives the same
//! bits. A product with a twiddle factor (Q31) keeps the high word, which halves it, and the other term of the butterfly
//! is halved too: each stage with twiddles scales by 1/2.

use core::cell::Cell;

use crate::isa::Isa;

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

/// `z · w / 2`, where `w` is in Q31.
#[inline(always)]
pub fn turned(z: [i32; 2], w: [i32; 2]) -> [i32; 2] {
    [high(z[0], w[0]).wrapping_sub(high(z[1], w[1])), high(z[0], w[1]).wrapping_add(high(z[1], w[0]))]
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

/// One stage over all points: groups of `L = 4 · M`. A function of its own, so that its loop has all registers.
#[inline(never)]
pub fn stage<const M: usize, const L: usize>(points: &[Complex; POINTS], twiddles: &[[i32; 6]; M]) {
    for group in points.as_chunks::<L>().0 {
        let [a, b, c, d] = group.as_chunks::<M>().0 else { return };
        for j in 0..M {
            let [w0, w1, w2, w3, w4, w5] = twiddles[j];
            let (b_turned, d_turned) = (turned(get(&b[j]), [w0, w1]), turned(get(&d[j]), [w4, w5]));
            let out = butterfly([halved(get(&a[j])), b_turned, turned(get(&c[j]), [w2, w3]), d_turned]);
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

/// The other stages, after which the points are the transform, scaled by 1/8. `twiddles` are [`TWIDDLES`] numbers; without
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

/// Squared modulus.
#[inline(always)]
pub fn power(z: [i32; 2]) -> u64 {
    let square = |x: i32| (i64::from(x) * i64::from(x)) as u64;
    square(z[0]).wrapping_add(square(z[1]))
}

/// Entries of the table of [`half_root`].
pub const ROOTS: usize = 256;
/// Entries of the table of [`log2`].
pub const LOGARITHMS: usize = 128;

/// `√x / 2`, within 3·10⁻⁵ of it, rounded down. From 64 on, `table[i]` has `f(i) = √(i / 64)` as `⌊2¹⁶ · f(i)⌋` in its upper
/// 17 bits, and what is missing to `f(i + 1)` in its lower 15; those before are 0.
#[inline(always)]
pub fn half_root(x: u64, table: &[i32; ROOTS]) -> u32 {
    let (mut high, mut low, mut shift) = ((x >> 32) as u32, x as u32, 0);
    if high == 0 {
        (high, low, shift) = (low, 0, 16);
    }
    let zeros = high.leading_zeros() & 30;
    let normal = high << zeros | (low >> 1) >> (31 - zeros);
    let entry = table[(normal >> 24) as usize].cast_unsigned();
    // `normal` is `y · 2³⁰` with `y` in [1, 4), and this is `√y · 2³⁰`.
    let root = ((entry & !0x7FFF) >> 1).wrapping_add((entry & 0x7FFF).wrapping_mul(normal >> 10 & 0x3FFF));
    root.wrapping_shr(shift + (zeros >> 1))
}

/// `log₂` of a positive 32-bit number, see [`log2`].
#[inline(always)]
pub fn short_log2(x: u32, table: &[i32; LOGARITHMS]) -> i32 {
    let zeros = x.leading_zeros();
    let normal = x.wrapping_shl(zeros);
    let entry = table[(normal >> 24 & 127) as usize].cast_unsigned();
    let between = (entry & 0xFFFF).wrapping_mul(normal >> 8 & 0xFFFF) >> 16;
    ((31u32.wrapping_sub(zeros)) << 16).wrapping_add(entry >> 16).wrapping_add(between).cast_signed()
}

/// `log₂ x` in Q16, within 4·10⁻⁵; 0 for 0. `table[i]` has `f(i) = log₂(1 + i / 128)` as `⌊2¹⁶ · f(i)⌋` in its upper half,
/// and what is missing to `f(i + 1)` in its lower one.
#[inline]
pub fn log2(x: u64, table: &[i32; LOGARITHMS]) -> i32 {
    let zeros = x.leading_zeros();
    let normal = (x.wrapping_shl(zeros) >> 32) as u32;
    let entry = table[(normal >> 24 & 127) as usize].cast_unsigned();
    let between = (entry & 0xFFFF).wrapping_mul(normal >> 8 & 0xFFFF) >> 16;
    if x == 0 { 0 } else { ((63 - zeros) << 16).wrapping_add(entry >> 16).wrapping_add(between).cast_signed() }
}

/// The tables of [`half_root`] and [`log2`], and the twiddle factors of [`finish`], as the compiler makes them in
/// double precision.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use std::vec::Vec;

    pub(crate) fn twiddles() -> Vec<i32> {
        let turn = |j: usize, points: usize| {
            let angle = -2.0 * core::f64::consts::PI * j as f64 / points as f64;
            [angle.cos(), angle.sin()].map(|x| (x * 2f64.powi(31)).round().clamp(-2147483648.0, 2147483647.0) as i32)
        };
        [16, 64, 256]
            .iter()
            .flat_map(|&points| (0..points / 4).flat_map(move |j| [1, 2, 3].map(|factor| turn(factor * j, points))))
            .flatten()
            .collect()
    }

    fn packed<const N: usize>(bits: u32, one: f64, function: impl Fn(f64) -> f64) -> [i32; N] {
        core::array::from_fn(|i| {
            let value = |i: usize| (one * function(i as f64)) as u32;
            (value(i) << bits | (value(i + 1) - value(i)) & ((1 << bits) - 1)).cast_signed()
        })
    }

    pub(crate) fn roots() -> [i32; ROOTS] {
        packed(15, 65536.0, |i| if i < 64.0 { 0.0 } else { (i / 64.0).sqrt() })
    }

    pub(crate) fn logarithms() -> [i32; LOGARITHMS] {
        packed(16, 65536.0, |i| (1.0 + i / 128.0).log2())
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
            (seed >> 40) as i32 - (1 << 23)
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
                wanted[0] += (f64::from(re) * cos - f64::from(im) * sin) / 8.0;
                wanted[1] += (f64::from(re) * sin + f64::from(im) * cos) / 8.0;
            }
            for (found, wanted) in get(found).into_iter().zip(wanted) {
                assert!((f64::from(found) - wanted).abs() < 32.0, "{k}: {found} is not {wanted}");
            }
        }
    }

    #[test]
    fn roots_and_logarithms_are_near() {
        let (roots, logarithms) = (roots(), logarithms());
        for x in (0..63).flat_map(|bits| [1u64 << bits, (3 << bits) / 2, (1 << bits) + (1 << bits) / 7]) {
            let root = (x as f64).sqrt() / 2.0;
            assert!((f64::from(half_root(x, &roots)) - root).abs() <= 1.0 + 3e-5 * root, "{x}");
            let logarithm = (x as f64).log2();
            assert!((f64::from(log2(x, &logarithms)) / 65536.0 - logarithm).abs() <= 4e-5, "{x}");
        }
        assert_eq!((half_root(0, &roots), log2(0, &logarithms)), (0, 0));
    }
}
