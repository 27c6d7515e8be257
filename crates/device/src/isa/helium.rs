//! Helium, the vectors of Armv8.1-M: Cortex-M55.
//!
//! A column is summed by sixteen inputs an instruction, and the sums of eight outputs are rounded as two vectors: of the even
//! ones, and of the odd ones.

#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod sums;

#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
use super::{Channels, layer::Call};
use super::{Filters, Isa, Line, Portable, layer};
use crate::memory::{View, ViewMut};

/// Outputs of a block.
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
const BLOCK: usize = 8;

/// Armv8.1-M with vectors of integers.
#[derive(Clone, Copy, Debug)]
pub struct Helium;

impl Isa for Helium {
    #[inline(always)]
    fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
        Self::columns(filters, Line { x, step: 0, out, out_step: out.len(), cells: 1 });
    }

    #[inline(always)]
    fn columns(filters: &Filters<'_>, line: Line<'_>) {
        #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
        if let Some(mut call) = Call::of_columns(BLOCK, filters, line) {
            // SAFETY: a call has what the function wants, for the first column and for the last.
            return unsafe { sums::columns::<0>(&mut call, line.cells, line.step, line.out_step) };
        }
        layer::columns(filters, line, Portable::column);
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn windows(channels: &Channels<'_>, line: Line<'_>) {
        match Call::of_windows(BLOCK, channels, line) {
            // SAFETY: a call has what the function wants, for the first window and for the last.
            Some(mut call) => unsafe { sums::windows::<0>(&mut call, line.cells, line.step, line.out_step) },
            None => layer::windows(channels, line, layer::channels),
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn copy_pieces(
        [count, len]: [usize; 2],
        (from, from_step): (View<'_, i8>, usize),
        (to, to_step): (ViewMut<'_, i8>, usize),
    ) {
        if len >= 4 && to.holds_pieces([count, len], (from, from_step), to_step) {
            let pieces = sums::Pieces { from: from.as_ptr(), to: to.as_mut_ptr(), count, len, from_step, to_step };
            // SAFETY: `holds_pieces` has found all that is read and written inside, and there are pieces.
            return unsafe { sums::copy::<0>(&pieces) };
        }
        layer::copy_pieces([count, len], (from, from_step), (to, to_step));
    }
}
