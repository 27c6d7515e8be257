//! Loops over the axes of tensors: up to six, of which the innermost is a run that kernels treat as one.

use core::ops::Range;

/// Number of axes of a loop. A loop of fewer has axes of size 1.
pub(crate) const AXES: usize = 6;

/// Calls `visit` for each run of the rows `rows`, with the run's first element in each of `N` tensors.
///
/// Rows are the outermost axis, a run is the innermost one. Positions wrap at 2^32.
#[inline(always)]
pub(crate) fn for_each_run<const N: usize>(
    rows: Range<u32>,
    dims: &[u32; AXES],
    starts: [u32; N],
    strides: [[u32; AXES]; N],
    mut visit: impl FnMut([u32; N]),
) {
    let [_, d1, d2, d3, d4, _] = *dims;
    for i0 in rows {
        for i1 in 0..d1 {
            for i2 in 0..d2 {
                for i3 in 0..d3 {
                    for i4 in 0..d4 {
                        let mut at = starts;
                        for (at, [s0, s1, s2, s3, s4, _]) in at.iter_mut().zip(strides) {
                            for (i, s) in [(i0, s0), (i1, s1), (i2, s2), (i3, s3), (i4, s4)] {
                                *at = at.wrapping_add(i.wrapping_mul(s));
                            }
                        }
                        visit(at);
                    }
                }
            }
        }
    }
}

/// First element and number of elements of the rows `rows`, each of `row` elements.
#[inline(always)]
pub(crate) fn span(rows: Range<u32>, row: u32) -> (usize, usize) {
    let len = rows.end.saturating_sub(rows.start).wrapping_mul(row);
    (rows.start.wrapping_mul(row) as usize, len as usize)
}
