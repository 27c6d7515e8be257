//! Cores that compute one number at a time: sums of two columns with two filters stay in registers.

use super::layer::{dot, in_chunks};
use super::{Filters, Isa, Line, Portable};
use crate::memory::{View, ViewMut};

/// Armv7-M.
#[derive(Clone, Copy, Debug)]
pub struct Armv7m;

impl Isa for Armv7m {
    // Short, and its loop has all registers, where it is in one place.
    #[inline(never)]
    fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
        Portable::column(filters, x, out);
    }

    #[inline(always)]
    fn columns(filters: &Filters<'_>, line: Line<'_>) {
        line.by_twos(
            filters,
            |x, out| in_chunks::<2, 16>(filters, x, out, columns),
            |x, out| Self::column(filters, x, out),
        );
    }
}

/// Sums of two columns.
#[inline(never)]
fn columns(x: [View<'_, i8>; 2], weights: &[i8], [sums, others]: [&mut [i32]; 2]) {
    let taps = x[0].len();
    let ((sums, rest), (others, other_rest)) = (sums.as_chunks_mut::<2>(), others.as_chunks_mut::<2>());
    let mut weights = weights;
    for (sums, others) in sums.iter_mut().zip(others) {
        let (w0, of_others) = weights.split_at_checked(taps).unwrap_or_default();
        let (w1, of_others) = of_others.split_at_checked(taps).unwrap_or_default();
        weights = of_others;
        let taps = x[0].iter().zip(x[1].iter()).zip(w0.iter().zip(w1));
        let [a, b, c, d] = taps.fold([0i32; 4], |[a, b, c, d], ((x0, x1), (w0, w1))| {
            let [x0, x1, w0, w1] = [x0, x1, *w0, *w1].map(i32::from);
            [a.wrapping_add(x0 * w0), b.wrapping_add(x1 * w0), c.wrapping_add(x0 * w1), d.wrapping_add(x1 * w1)]
        });
        (*sums, *others) = ([a, c], [b, d]);
    }
    for (x, sum) in x.into_iter().zip([rest, other_rest]) {
        sum.iter_mut().for_each(|sum| *sum = dot(x, weights));
    }
}
