//! Helium, the vectors of Armv8.1-M: Cortex-M55.
//!
//! Sixteen products are one instruction, and so is their sum: of a column with a filter, or of a depthwise window whose rows are
//! [stacked](super::stacks). Sums come out in general registers; those of four or eight outputs are rounded as vectors.

#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod copy;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod lines;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod stacks;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod sums;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod sums16;

#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
use super::{
    Channels, Filters16, Line16, Stacks,
    layer::Call,
    layer16,
    paired::{FINE_SHIFT, SHIFT},
    stacks::{ROWS, stackable},
};
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
        if let Some(mut call) = lines::Call::new(filters, line) {
            // SAFETY: the call is new, and of filters with that shift.
            return unsafe {
                match filters.outputs.scaling.shift {
                    FINE_SHIFT => call.run::<FINE_SHIFT>(),
                    _ => call.run::<SHIFT>(),
                }
            };
        }
        #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
        if let Some(mut call) = Call::of_columns(BLOCK, filters, line) {
            // SAFETY: a call has what the function wants, for the first column and for the last.
            return unsafe { sums::columns::<0>(&mut call, line.cells, line.step, line.out_step) };
        }
        layer::columns(filters, line, Portable::column);
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn columns16(filters: &Filters16<'_>, line: Line16<'_>) {
        // SAFETY: the function makes such sums.
        layer16::columns(filters, line, |taps| unsafe { layer16::by(sums16::sums::<0>, taps) });
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
        if len > 0 && to.holds_pieces([count, len], (from, from_step), to_step) {
            // SAFETY: `holds_pieces` has found all that is read and written inside, and there are pieces, of elements.
            unsafe { copy::copy::<0>(from.as_ptr(), to.as_mut_ptr(), count, len, from_step, to_step) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn stack(rows: [View<'_, i8>; ROWS], padding: i8, to: ViewMut<'_, u32>) {
        if stackable(rows, to) {
            // SAFETY: each row that is not null reaches to the last stack.
            unsafe { stacks::stack::<0>(&stacks::Rows::new(rows, padding, to)) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn stacks(stacks: &Stacks<'_>, x: View<'_, u32>, out: ViewMut<'_, i8>) {
        let Some(mut call) = stacks::Call::new(stacks, x, out) else { return };
        // SAFETY: the call is new, and of outputs with that shift.
        unsafe {
            match stacks.outputs.scaling.shift {
                FINE_SHIFT => stacks::stacks::<FINE_SHIFT>(&mut call),
                _ => stacks::stacks::<SHIFT>(&mut call),
            }
        }
    }
}
