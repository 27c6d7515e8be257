//! Vectors of 128 bits: eight numbers of 16 bits, and four sums of their products.
//!
//! LLVM does not find x86-64's instruction for products of neighbours in a formula, nor Advanced SIMD's for longer products
//! in all of it, so both have a module. Which two numbers of a vector go into one sum is not the same in them: only totals,
//! and vectors that were taken in turn, tell.

use super::paired::Rounding;

/// Numbers of a vector.
pub const LANES: usize = 8;
/// Sums of a vector.
pub const SUMS: usize = 4;

/// What makes outputs of four sums, see [`super::paired::requantise`].
#[derive(Clone, Copy)]
pub struct Multipliers {
    /// What is added to each sum times 256.
    pub bias: [i32; SUMS],
    /// What each is multiplied with.
    pub factors: [i32; SUMS],
    /// Whether those below 0 are [`mirrored`](super::paired::mirrored).
    pub signed: bool,
}

impl Multipliers {
    /// The bits of a sum below 0 that are mirrored.
    #[allow(dead_code, reason = "the plain formula needs none")]
    #[inline(always)]
    fn mask(&self) -> i32 {
        if self.signed { 255 } else { 0 }
    }
}

#[cfg(target_arch = "x86_64")]
pub use sse2::{Sums, Vector};

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub use neon::{Sums, Vector};

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
pub use plain::{Sums, Vector};

/// SSE2, which every x86-64 has.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use core::arch::x86_64::*;

    use super::{LANES, Multipliers, Rounding, SUMS};

    /// Eight numbers.
    #[derive(Clone, Copy)]
    pub struct Vector(__m128i);

    impl Vector {
        /// Widens numbers.
        #[inline(always)]
        pub fn of(numbers: [i8; LANES]) -> Self {
            // SAFETY: every x86-64 has SSE2, and these are registers alone.
            unsafe {
                let low = _mm_cvtsi64_si128(i64::from_le_bytes(numbers.map(i8::cast_unsigned)));
                Self(_mm_srai_epi16::<8>(_mm_unpacklo_epi8(low, low)))
            }
        }

        /// Numbers of both in turn: the lower halves, and the upper ones.
        #[inline(always)]
        pub fn in_turn(self, other: Self) -> [Self; 2] {
            // SAFETY: as above.
            unsafe { [Self(_mm_unpacklo_epi16(self.0, other.0)), Self(_mm_unpackhi_epi16(self.0, other.0))] }
        }
    }

    /// Four sums.
    #[derive(Clone, Copy)]
    pub struct Sums(__m128i);

    impl Sums {
        /// Such sums.
        #[inline(always)]
        pub fn of([a, b, c, d]: [i32; SUMS]) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm_setr_epi32(a, b, c, d) })
        }

        /// Adds the products of `a` and `b`, each of two neighbours to one sum.
        #[inline(always)]
        pub fn add_products(self, a: Vector, b: Vector) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm_add_epi32(self.0, _mm_madd_epi16(a.0, b.0)) })
        }

        /// The sum of each.
        #[inline(always)]
        pub fn totals([a, b, c, d]: [Self; SUMS]) -> Self {
            // SAFETY: as above.
            unsafe {
                let ab = _mm_add_epi32(_mm_unpacklo_epi32(a.0, b.0), _mm_unpackhi_epi32(a.0, b.0));
                let cd = _mm_add_epi32(_mm_unpacklo_epi32(c.0, d.0), _mm_unpackhi_epi32(c.0, d.0));
                Self(_mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd)))
            }
        }

        /// The numbers.
        #[inline(always)]
        pub fn numbers(self) -> [i32; SUMS] {
            // SAFETY: both are 128 bits, of which each has a meaning.
            unsafe { core::mem::transmute(self.0) }
        }

        /// Makes outputs of them.
        #[inline(always)]
        pub fn requantise(self, multipliers: &Multipliers, rounding: Rounding) -> [i8; SUMS] {
            let [bias, factors, mask] =
                [multipliers.bias, multipliers.factors, [multipliers.mask(); SUMS]].map(|words| Self::of(words).0);
            // SAFETY: as above.
            unsafe {
                let sum = _mm_add_epi32(_mm_slli_epi32::<8>(self.0), bias);
                let low = _mm_and_si128(_mm_srai_epi32::<31>(sum), mask);
                let sum = _mm_sub_epi32(_mm_xor_si128(sum, low), low);
                // The upper words of unsigned products are too large by the other factor where one is below 0.
                let even = _mm_srli_epi64::<32>(_mm_mul_epu32(sum, factors));
                let odd = _mm_mul_epu32(_mm_srli_epi64::<32>(sum), _mm_srli_epi64::<32>(factors));
                let high = _mm_or_si128(even, _mm_and_si128(odd, _mm_setr_epi32(0, -1, 0, -1)));
                let high = _mm_sub_epi32(high, _mm_and_si128(_mm_srai_epi32::<31>(sum), factors));
                let high = _mm_sub_epi32(high, _mm_and_si128(_mm_srai_epi32::<31>(factors), sum));
                let shift = _mm_cvtsi32_si128((rounding.shift & 31).cast_signed());
                let value = _mm_sra_epi32(_mm_add_epi32(high, _mm_set1_epi32(rounding.zero)), shift);
                let bytes = _mm_packs_epi16(_mm_packs_epi32(value, value), value);
                _mm_cvtsi128_si32(bytes).to_le_bytes().map(u8::cast_signed)
            }
        }
    }
}

/// Advanced SIMD, which every AArch64 with an operating system has.
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use core::arch::aarch64::*;

    use super::{LANES, Multipliers, Rounding, SUMS};

    /// Eight numbers.
    #[derive(Clone, Copy)]
    pub struct Vector(int16x8_t);

    impl Vector {
        /// Widens numbers.
        #[inline(always)]
        pub fn of(numbers: [i8; LANES]) -> Self {
            // SAFETY: the targets that build this have the instructions, and these are registers alone.
            Self(unsafe { vmovl_s8(vcreate_s8(u64::from_le_bytes(numbers.map(i8::cast_unsigned)))) })
        }

        /// The lower halves of both, and the upper ones.
        #[inline(always)]
        pub fn in_turn(self, other: Self) -> [Self; 2] {
            // SAFETY: as above.
            unsafe {
                [
                    Self(vcombine_s16(vget_low_s16(self.0), vget_low_s16(other.0))),
                    Self(vcombine_s16(vget_high_s16(self.0), vget_high_s16(other.0))),
                ]
            }
        }
    }

    /// Four sums.
    #[derive(Clone, Copy)]
    pub struct Sums(int32x4_t);

    impl Sums {
        /// Such sums.
        #[inline(always)]
        pub fn of(sums: [i32; SUMS]) -> Self {
            // SAFETY: as above; the numbers are as many as are loaded.
            Self(unsafe { vld1q_s32(sums.as_ptr()) })
        }

        /// Adds the products of `a` and `b`, each of the halves to one sum.
        #[inline(always)]
        pub fn add_products(self, a: Vector, b: Vector) -> Self {
            // SAFETY: as above.
            unsafe {
                let low = vmlal_s16(self.0, vget_low_s16(a.0), vget_low_s16(b.0));
                Self(vmlal_high_s16(low, a.0, b.0))
            }
        }

        /// The sum of each.
        #[inline(always)]
        pub fn totals([a, b, c, d]: [Self; SUMS]) -> Self {
            // SAFETY: as above.
            Self(unsafe { vpaddq_s32(vpaddq_s32(a.0, b.0), vpaddq_s32(c.0, d.0)) })
        }

        /// The numbers.
        #[inline(always)]
        pub fn numbers(self) -> [i32; SUMS] {
            // SAFETY: both are 128 bits, of which each has a meaning.
            unsafe { core::mem::transmute(self.0) }
        }

        /// Makes outputs of them.
        #[inline(always)]
        pub fn requantise(self, multipliers: &Multipliers, rounding: Rounding) -> [i8; SUMS] {
            let [bias, factors, mask] =
                [multipliers.bias, multipliers.factors, [multipliers.mask(); SUMS]].map(|words| Self::of(words).0);
            // SAFETY: as above.
            unsafe {
                let sum = vaddq_s32(vshlq_n_s32::<8>(self.0), bias);
                let low = vandq_s32(vshrq_n_s32::<31>(sum), mask);
                let sum = vsubq_s32(veorq_s32(sum, low), low);
                let low = vshrn_n_s64::<32>(vmull_s32(vget_low_s32(sum), vget_low_s32(factors)));
                let high = vshrn_high_n_s64::<32>(low, vmull_high_s32(sum, factors));
                let right = vdupq_n_s32(-(rounding.shift & 31).cast_signed());
                let value = vqmovn_s32(vshlq_s32(vaddq_s32(high, vdupq_n_s32(rounding.zero)), right));
                let bytes = vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(value, value)));
                vget_lane_u32::<0>(bytes).to_le_bytes().map(u8::cast_signed)
            }
        }
    }
}

/// The formula.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
mod plain {
    use core::array::from_fn;

    use super::super::paired::{mirrored, requantise};
    use super::{LANES, Multipliers, Rounding, SUMS};

    /// Eight numbers.
    #[derive(Clone, Copy)]
    pub struct Vector([i16; LANES]);

    impl Vector {
        /// Widens numbers.
        #[inline(always)]
        pub fn of(numbers: [i8; LANES]) -> Self {
            Self(numbers.map(i16::from))
        }

        /// The lower halves of both, and the upper ones.
        #[inline(always)]
        pub fn in_turn(self, other: Self) -> [Self; 2] {
            [0, SUMS]
                .map(|first| Self(from_fn(|i| if i < SUMS { self.0[first + i] } else { other.0[first + i - SUMS] })))
        }
    }

    /// Four sums.
    #[derive(Clone, Copy)]
    pub struct Sums([i32; SUMS]);

    impl Sums {
        /// Such sums.
        #[inline(always)]
        pub fn of(sums: [i32; SUMS]) -> Self {
            Self(sums)
        }

        /// Adds the products of `a` and `b`, each of the halves to one sum.
        #[inline(always)]
        pub fn add_products(self, a: Vector, b: Vector) -> Self {
            let product = |i: usize| i32::from(a.0[i]) * i32::from(b.0[i]);
            Self(from_fn(|i| self.0[i].wrapping_add(product(i)).wrapping_add(product(i + SUMS))))
        }

        /// The sum of each.
        #[inline(always)]
        pub fn totals(sums: [Self; SUMS]) -> Self {
            Self(sums.map(|sums| sums.0.into_iter().fold(0, i32::wrapping_add)))
        }

        /// The numbers.
        #[inline(always)]
        pub fn numbers(self) -> [i32; SUMS] {
            self.0
        }

        /// Makes outputs of them.
        #[inline(always)]
        pub fn requantise(self, multipliers: &Multipliers, rounding: Rounding) -> [i8; SUMS] {
            let Multipliers { bias, factors, signed } = multipliers;
            from_fn(|i| {
                let sum = self.0[i].wrapping_shl(8).wrapping_add(bias[i]);
                requantise(if *signed { mirrored(sum) } else { sum }, factors[i], 0, rounding)
            })
        }
    }
}
