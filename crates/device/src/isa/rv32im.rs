//! RISC-V with 32 registers and multiplication: sums of two columns with four filters stay in registers.

#[cfg(target_arch = "riscv32")]
mod sums;
#[cfg(target_arch = "riscv32")]
mod sums16;

#[cfg(target_arch = "riscv32")]
use super::{Channels, Filters16, Line, Line16, layer::Call, layer16};
use super::{Filters, Isa, layer};
use crate::memory::{View, ViewMut};

/// Outputs of a block.
#[cfg(target_arch = "riscv32")]
const BLOCK: usize = 4;

/// RV32IM.
#[derive(Clone, Copy, Debug)]
pub struct Rv32im;

impl Isa for Rv32im {
    #[inline(always)]
    fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
        #[cfg(target_arch = "riscv32")]
        if let Some(mut call) = Call::of_column(BLOCK, filters, x, out) {
            // SAFETY: a call has what the function wants.
            return unsafe { sums::column::<0>(&mut call) };
        }
        layer::column(filters, x, out);
    }

    #[cfg(target_arch = "riscv32")]
    #[inline(always)]
    fn columns(filters: &Filters<'_>, line: Line<'_>) {
        line.by_twos(filters, |x, out| columns(filters, x, out), |x, out| Self::column(filters, x, out));
    }

    #[cfg(target_arch = "riscv32")]
    #[inline(always)]
    fn columns16(filters: &Filters16<'_>, line: Line16<'_>) {
        // SAFETY: the function makes such sums.
        layer16::columns(filters, line, |taps| unsafe { layer16::by(sums16::sums::<0>, taps) });
    }

    #[cfg(target_arch = "riscv32")]
    #[inline(always)]
    fn windows(channels: &Channels<'_>, line: Line<'_>) {
        layer::windows(channels, line, |channels, x, out| match Call::of_window(BLOCK, channels, x, out) {
            // SAFETY: a call has what the function wants.
            Some(mut call) => unsafe { sums::channels::<0>(&mut call) },
            None => layer::channels(channels, x, out),
        });
    }
}

/// All outputs of two columns.
#[cfg(target_arch = "riscv32")]
#[inline(always)]
fn columns(filters: &Filters<'_>, [x, other]: [View<'_, i8>; 2], [out, other_out]: [ViewMut<'_, i8>; 2]) {
    if (other.len(), other_out.len()) != (x.len(), out.len()) {
        return;
    }
    match Call::of_column(BLOCK, filters, x, out) {
        // SAFETY: a call has what the function wants, and the other column is as long.
        Some(mut call) => unsafe { sums::columns::<0>(&mut call, other.as_ptr(), other_out.as_mut_ptr()) },
        None => {
            layer::column(filters, x, out);
            layer::column(filters, other, other_out);
        }
    }
}
