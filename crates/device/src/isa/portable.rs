//! Plain Rust, for any core, and the reference that every other instruction set is held to.

use super::layer::{dot, in_chunks};
use super::{Filters, Isa};
use crate::memory::{View, ViewMut};

/// Plain Rust, which compilers vectorise where a core has vectors.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Isa for Portable {
    #[inline(always)]
    fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
        in_chunks::<1, 16>(filters, [x], [out], |[x], weights, [sums]| column(x, weights, sums));
    }
}

/// Sums of a column with filters.
#[inline(always)]
fn column(x: View<'_, i8>, weights: &[i8], sums: &mut [i32]) {
    let (blocks, rest) = sums.as_chunks_mut::<4>();
    let mut weights = weights;
    for sums in blocks {
        let (filters, others) = weights.split_at_checked(4 * x.len()).unwrap_or_default();
        weights = others;
        *sums = dot4(x, filters);
    }
    for sum in rest {
        let (filter, others) = weights.split_at_checked(x.len()).unwrap_or_default();
        weights = others;
        *sum = dot(x, filter);
    }
}

/// Four dot products with one input.
#[inline(always)]
fn dot4(x: View<'_, i8>, weights: &[i8]) -> [i32; 4] {
    let (w0, weights) = weights.split_at_checked(x.len()).unwrap_or_default();
    let (w1, weights) = weights.split_at_checked(x.len()).unwrap_or_default();
    let (w2, w3) = weights.split_at_checked(x.len()).unwrap_or_default();
    let weights = w0.iter().zip(w1).zip(w2).zip(w3);
    x.iter().zip(weights).fold([0i32; 4], |[s0, s1, s2, s3], (x, (((w0, w1), w2), w3))| {
        let x = i32::from(x);
        [
            s0.wrapping_add(x * i32::from(*w0)),
            s1.wrapping_add(x * i32::from(*w1)),
            s2.wrapping_add(x * i32::from(*w2)),
            s3.wrapping_add(x * i32::from(*w3)),
        ]
    })
}
