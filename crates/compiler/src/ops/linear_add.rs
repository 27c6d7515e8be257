//! Sums by one product an input: the factors of [`rasbora_device::ops::LinearAdd`], proven by trying every pair of inputs.
//!
//! With real factors `f` of both inputs, `y = saturate((a · f₀ + b · f₁ + constant) >> shift)` for all pairs just where
//! `constant` is at least each `y · 2ˢʰⁱᶠᵗ − a · f₀ − b · f₁` of a `y > −128`, and below each
//! `(y + 1) · 2ˢʰⁱᶠᵗ − a · f₀ − b · f₁` of a `y < 127`.

use rasbora_device::ops::LinearAdd;

/// How far from their nominal values factors are tried.
const REACH: i64 = 8;
/// The finest shift that is tried: beyond it factors are far finer than TFLite's own rounding.
const SHIFTS: std::ops::RangeInclusive<u32> = 16..=24;

/// The kernel for `elements` sums whose real factors are `factors`, if there is one that gives `exact` for every pair.
pub fn linear_add(elements: u32, factors: [f64; 2], exact: impl Fn(i8, i8) -> i8) -> Option<LinearAdd> {
    let pairs: Vec<(i8, i8, i8)> = (i8::MIN..=i8::MAX)
        .flat_map(|a| (i8::MIN..=i8::MAX).map(move |b| (a, b)))
        .map(|(a, b)| (a, b, exact(a, b)))
        .collect();
    SHIFTS.rev().find_map(|shift| {
        let [first, second] = factors.map(|factor| (factor * 2f64.powi(shift as i32)).round() as i64);
        near().find_map(|[i, j]| {
            let factors = [first.saturating_add(i), second.saturating_add(j)];
            let products = factors
                .iter()
                .try_fold(0i64, |sum, factor| sum.checked_add(factor.checked_abs()?.checked_mul(128)?))?;
            let fits = |largest: i64| i32::try_from(largest).is_ok();
            let constant = if fits(products) { constant(&pairs, factors, shift)? } else { return None };
            let factors = factors.map(|factor| factor as i32);
            fits(products + constant.abs()).then_some(LinearAdd { elements, factors, constant: constant as i32, shift })
        })
    })
}

/// Distances of both factors from their nominal values, the nearest first.
fn near() -> impl Iterator<Item = [i64; 2]> {
    let ring = |distance: i64| {
        let side = -distance..=distance;
        side.clone()
            .flat_map(move |i| side.clone().map(move |j| [i, j]))
            .filter(move |at| at.map(i64::abs).contains(&distance))
    };
    (0..=REACH).flat_map(ring)
}

/// The constant in the middle of those that give every sum; `None` where there is none.
fn constant(pairs: &[(i8, i8, i8)], factors: [i64; 2], shift: u32) -> Option<i64> {
    let (mut least, mut most) = (i64::MIN, i64::MAX);
    for &(a, b, y) in pairs {
        let products = i64::from(a) * factors[0] + i64::from(b) * factors[1];
        if y > i8::MIN {
            least = least.max((i64::from(y) << shift) - products);
        }
        if y < i8::MAX {
            most = most.min(((i64::from(y) + 1) << shift) - 1 - products);
        }
        if least > most {
            return None;
        }
    }
    // An open end is one of a sum that is the same for all pairs.
    Some(match (least, most) {
        (i64::MIN, most) => most,
        (least, i64::MAX) => least,
        (least, most) => least + (most - least) / 2,
    })
}

#[cfg(test)]
mod tests {
    use rasbora_device::arithmetic::Requantise;
    use rasbora_device::ops::binary::ADD_LEFT_SHIFT;
    use rasbora_device::ops::{AddI8, Broadcast};

    use super::*;
    use crate::ops::quantise_multiplier;

    #[test]
    fn every_pair_gives_tflites_sum() {
        let mut proven = 0;
        for i in 0..6 {
            let [a, b, out] = [0.031 * f64::from(i + 2), 0.1173, 0.0917 * f64::from(i + 1)];
            let common = 2.0 * a.max(b);
            let kernel = AddI8 {
                broadcast: Broadcast { dims: [1; 6], strides: [[0, 0, 0, 0, 0, 1]; 2] },
                offsets: [128, 3 - 20 * i],
                multipliers: [a / common, b / common].map(quantise_multiplier),
                multiplier: quantise_multiplier(common / (f64::from(1u32 << ADD_LEFT_SHIFT) * out)),
                subtract: i % 2 == 1,
                requantise: Requantise { zero_point: 20 * i - 128, min: -128, max: 127 },
            };
            let sign = if kernel.subtract { -1.0 } else { 1.0 };
            let Some(linear) = linear_add(1, [a / out, sign * b / out], |a, b| kernel.sum(a, b)) else { continue };
            proven += 1;
            for (a, b) in (i8::MIN..=i8::MAX).flat_map(|a| (i8::MIN..=i8::MAX).map(move |b| (a, b))) {
                assert_eq!(linear.sum(a, b), kernel.sum(a, b), "{a}, {b}: {kernel:?}");
            }
        }
        assert!(proven >= 4, "only {proven} of 6 were proven");
    }

    #[test]
    fn a_function_that_is_no_sum_is_refused() {
        assert_eq!(linear_add(1, [0.5, 0.5], |a, b| a.max(b)), None);
    }
}
