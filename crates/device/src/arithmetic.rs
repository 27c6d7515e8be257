//! TFLite's fixed-point arithmetic, to the bit, as TFLM computes it: double rounding.
//!
//! Names and formulas are gemmlowp's and TFLite's (`tensorflow/lite/kernels/internal/common.h`). Everything wraps where
//! the C++ would overflow, so that no input panics.

pub use crate::memory::Multiplier;

/// `SaturatingRoundingDoublingHighMul`: `round(a · b / 2^31)`, ties towards +∞; saturates for `MIN · MIN`.
#[inline(always)]
pub const fn high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `RoundingDivideByPOT`: `round(x / 2^n)`, half away from zero, for `n` in `0..=31`.
#[inline(always)]
pub const fn rounding_shift_right(x: i32, n: u32) -> i32 {
    let mask = 1i32.wrapping_shl(n).wrapping_sub(1);
    let remainder = x & mask;
    let threshold = (mask >> 1).wrapping_add((x < 0) as i32);
    x.wrapping_shr(n).wrapping_add((remainder > threshold) as i32)
}

/// `MultiplyByQuantizedMultiplier`: `x · multiplier`, rounded twice.
#[inline(always)]
pub const fn multiply(x: i32, multiplier: Multiplier) -> i32 {
    let Multiplier { value, shift } = multiplier;
    if shift < 0 { half_away(high_mul(x, value), shift) } else { high_mul(x.wrapping_shl(shift as u32), value) }
}

/// `MultiplyByQuantizedMultiplier` of a sum of 64 bits: `round(x · value / 2^shift)`, half up. The mantissa is not negative,
/// and the shift is to the right, `1..=63`: see [`narrowed`].
#[inline(always)]
pub const fn multiply_wide(x: i64, Multiplier { value, shift }: Multiplier) -> i32 {
    let product = x.wrapping_mul(value as u32 as i64);
    if shift == WORD {
        return (product.wrapping_add(1 << (WORD - 1)) >> WORD) as i32;
    }
    // The last bit that is shifted out rounds.
    (product.wrapping_shr((shift as u32).wrapping_sub(1)).wrapping_add(1) >> 1) as i32
}

/// [`multiply_wide`] of a sum of 32 bits by a mantissa whose shift is [`WORD`]: the upper word, rounded half up.
#[inline(always)]
pub const fn multiply_word(x: i32, value: i32) -> i32 {
    ((x as i64 * value as i64 + (1 << (WORD - 1))) >> WORD) as i32
}

/// A shift by a word is none where words are registers.
pub const WORD: i32 = 32;

/// The multiplier that [`multiply_wide`] takes for one that [`multiply`] takes: TFLite's of 15 bits, where it can be with a
/// shift of 32. What that loses of a product is above the 32 bits of the result.
pub const fn narrowed(Multiplier { value, shift }: Multiplier) -> Multiplier {
    let value = if value < 0x7fff_0000 { (value + (1 << 15)) >> 16 } else { 0x7fff };
    let right = 15 - shift;
    match WORD - right {
        left @ 0..=16 => Multiplier { value: value << left, shift: WORD },
        _ => Multiplier { value, shift: right },
    }
}

/// [`rounding_shift_right`] by `−shift`, for what [`high_mul`] makes of a factor that is not negative.
#[inline(always)]
pub const fn half_away(x: i32, shift: i32) -> i32 {
    // `!shift` is one bit less than all; that bit rounds.
    let halves = x.wrapping_add(x >> 31).wrapping_shr(!shift as u32);
    (halves >> 1) + (halves & 1)
}

crate::params! {
    /// How an accumulator becomes an 8-bit value, besides its multiplier.
    pub struct Requantise {
        /// Zero point of the output.
        pub zero_point: i32,
        /// Smallest output; the fused activation is folded in.
        pub min: i8,
        /// Largest output; the fused activation is folded in.
        pub max: i8,
    }
}

impl Requantise {
    /// `clamp(zero_point + multiplier · sum)`.
    #[inline(always)]
    pub fn apply(&self, sum: i32, multiplier: Multiplier) -> i8 {
        self.clamp(multiply(sum, multiplier))
    }

    /// `clamp(zero_point + value)`.
    #[inline(always)]
    pub fn clamp(&self, value: i32) -> i8 {
        value.wrapping_add(self.zero_point).max(self.min as i32).min(self.max as i32) as i8
    }

    /// Whether the range is one.
    pub fn valid(&self) -> bool {
        self.min <= self.max
    }
}

/// `exp_on_negative_values` for a Q`INTEGER_BITS` argument `a ≤ 0`; the result is in Q0.31.
pub const fn exp_on_negative<const INTEGER_BITS: u32>(a: i32) -> i32 {
    let fraction_bits = 31 - INTEGER_BITS;
    let quarter = 1i32 << (fraction_bits - 2);
    let mask = quarter - 1;
    let a_mod = (a & mask) - quarter;
    let mut result = exp_on_interval(a_mod.wrapping_shl(INTEGER_BITS));
    let remainder = a_mod.wrapping_sub(a);
    // exp(-2^(i - 2)) in Q0.31, for i = 0, 1, …
    const FACTORS: [i32; 7] = [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242];
    let mut i = 0;
    while i < FACTORS.len() {
        let bit = fraction_bits + i as u32 - 2;
        if bit < 31 && remainder & (1i32 << bit) != 0 {
            result = high_mul(result, FACTORS[i]);
        }
        i += 1;
    }
    if a == 0 { i32::MAX } else { result }
}

/// `exp_on_interval_between_negative_one_quarter_and_0_excl`, argument and result in Q0.31: a Taylor polynomial of
/// degree 4 about −1/8.
const fn exp_on_interval(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1895147668;
    const THIRD: i32 = 715827883;
    let x = a.wrapping_add(1 << 28);
    let x2 = high_mul(x, x);
    let x3 = high_mul(x2, x);
    let x4 = high_mul(x2, x2);
    let x4_over_4 = rounding_shift_right(x4, 2);
    let sum = high_mul(x4_over_4.wrapping_add(x3), THIRD).wrapping_add(x2);
    let sum_over_2 = rounding_shift_right(sum, 1);
    EXP_MINUS_EIGHTH.wrapping_add(high_mul(EXP_MINUS_EIGHTH, x.wrapping_add(sum_over_2)))
}

/// `one_over_one_plus_x_for_x_in_0_1`: `1 / (1 + x)`, argument and result in Q0.31.
pub const fn one_over_one_plus(x: i32) -> i32 {
    saturating_shift_left(two_over_one_plus(x), 1)
}

/// `one_minus_x_over_one_plus_x_for_x_in_0_1`: `(1 − x) / (1 + x)`, argument and result in Q0.31.
pub const fn one_minus_over_one_plus(x: i32) -> i32 {
    const Q2_ONE: i32 = 1 << 29;
    saturating_shift_left(two_over_one_plus(x).wrapping_sub(Q2_ONE), 2)
}

/// `2 / (1 + x)` in Q2.29, for `x` in Q0.31: three Newton steps.
const fn two_over_one_plus(x: i32) -> i32 {
    let half_denominator = rounding_half_sum(x, i32::MAX);
    const Q2_48_OVER_17: i32 = 1515870810;
    const Q2_MINUS_32_OVER_17: i32 = -1010580540;
    let mut y = Q2_48_OVER_17.wrapping_add(high_mul(half_denominator, Q2_MINUS_32_OVER_17));
    let mut step = 0;
    while step < 3 {
        let error = (1i32 << 29).wrapping_sub(high_mul(half_denominator, y));
        y = y.wrapping_add(saturating_shift_left(high_mul(y, error), 2));
        step += 1;
    }
    y
}

/// `logistic` of a Q4.27 argument; the result is in Q0.31.
pub const fn logistic_q4(a: i32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    let positive = one_over_one_plus(exp_on_negative::<4>(a.wrapping_abs().wrapping_neg()));
    if a > 0 { positive } else { i32::MAX.wrapping_sub(positive) }
}

/// `tanh` of a Q4.27 argument; the result is in Q0.31.
pub const fn tanh_q4(a: i32) -> i32 {
    if a == 0 {
        return 0;
    }
    // The bits of `a` in Q4.27 are those of `2 a` in Q5.26.
    let positive = one_minus_over_one_plus(exp_on_negative::<5>(a.wrapping_abs().wrapping_neg()));
    if a > 0 { positive } else { positive.wrapping_neg() }
}

const fn rounding_half_sum(a: i32, b: i32) -> i32 {
    // `(sum ± 1) / 2`, towards zero; a division would call a function where code is made for size.
    let sum = a as i64 + b as i64;
    ((sum + (sum >= 0) as i64) >> 1) as i32
}

/// `SaturatingRoundingMultiplyByPOT` for a positive exponent: `x · 2^n`, saturated.
pub const fn saturating_shift_left(x: i32, n: u32) -> i32 {
    let wide = (x as i64) << n;
    if wide > i32::MAX as i64 {
        i32::MAX
    } else if wide < i32::MIN as i64 {
        i32::MIN
    } else {
        wide as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_mul_rounds_ties_up() {
        assert_eq!(high_mul(1, 1 << 30), 1);
        assert_eq!(high_mul(-1, 1 << 30), 0);
        assert_eq!(high_mul(i32::MIN, i32::MIN), i32::MAX);
    }

    #[test]
    fn right_shift_rounds_half_away_from_zero() {
        assert_eq!([-6, -5, 5, 6, 7].map(|x| rounding_shift_right(x, 2)), [-2, -1, 1, 2, 2]);
        assert_eq!(rounding_shift_right(i32::MIN, 31), -1);
        assert_eq!(rounding_shift_right(-7, 0), -7);
    }

    #[test]
    fn shifts_round_alike() {
        for x in [-6, -5, -1, 0, 1, 5, 6, 7, 8_388_607, i32::MIN + 1, i32::MAX] {
            for n in 1..=31 {
                assert_eq!(half_away(x, -n), rounding_shift_right(x, n as u32), "{x} >> {n}");
            }
        }
    }

    #[test]
    fn wide_sums_are_rounded_once() {
        let multipliers =
            [(3 << 29, -4), (1 << 30, 7), (i32::MAX, -31), (0x7fff_0000, 0), (1_234_567_890, -12), (0, 0)];
        for (value, shift) in multipliers {
            let multiplier = narrowed(Multiplier { value, shift });
            // TFLite's, as it is written there.
            let short = if value < 0x7fff_0000 { i64::from(value + (1 << 15)) >> 16 } else { 0x7fff };
            let right = 15 - shift;
            assert_eq!(multiplier.shift == WORD, (16..=32).contains(&right));
            for x in [-(1i64 << 46), -99_999_999_999, -32_769, -8, -1, 0, 1, 8, 32_767, 1 << 33, (1 << 46) + 12_345] {
                let exact = (x * short + (1 << (right - 1))) >> right;
                assert_eq!(multiply_wide(x, multiplier), exact as i32, "{x} {value} {shift}");
                if let (Ok(x), WORD) = (i32::try_from(x), multiplier.shift) {
                    assert_eq!(multiply_word(x, multiplier.value), exact as i32, "{x} {value} {shift}");
                }
            }
        }
    }

    #[test]
    fn exponential_is_within_a_few_ulp() {
        for i in 0..1000 {
            let a = -(i * 2_000_000);
            let expected = (f64::from(a) / f64::from(1 << 26)).exp() * 2147483648.0;
            let found = f64::from(exp_on_negative::<5>(a));
            assert!((found - expected).abs() < 4096.0, "exp({a}): {found} against {expected}");
        }
    }

    #[test]
    fn reciprocal_is_within_a_few_ulp() {
        for i in 0..1000 {
            let x = i * 2_147_483;
            let expected = 2147483648.0 / (1.0 + f64::from(x) / 2147483648.0);
            assert!((f64::from(one_over_one_plus(x)) - expected).abs() < 64.0, "1/(1+{x})");
        }
    }

    #[test]
    fn logistic_and_tanh_are_within_a_few_thousand_ulp() {
        for i in -1000..=1000 {
            let a = i * 2_000_000;
            let x = f64::from(a) / f64::from(1 << 27);
            let logistic = f64::from(logistic_q4(a)) / 2147483648.0;
            assert!((logistic - 1.0 / (1.0 + (-x).exp())).abs() < 2e-6, "logistic({x}) = {logistic}");
            let tanh = f64::from(tanh_q4(a)) / 2147483648.0;
            assert!((tanh - x.tanh()).abs() < 4e-6, "tanh({x}) = {tanh}");
        }
    }
}
