//! Armv6-M: Cortex-M0 and M0+.
//!
//! Eight registers compute, five more keep sums: an addition to them takes a cycle as any other does.

#[cfg(all(target_arch = "arm", target_os = "none"))]
mod sums;
#[cfg(all(target_arch = "arm", target_os = "none"))]
mod sums16;

#[cfg(all(target_arch = "arm", target_os = "none"))]
use super::{Channels, Filters16, Line, Line16, layer::Call, layer16};
use super::{Filters, Isa, layer};
use crate::memory::{View, ViewMut};

/// Outputs of a block.
#[cfg(all(target_arch = "arm", target_os = "none"))]
const BLOCK: usize = 4;

/// Armv6-M.
#[derive(Clone, Copy, Debug)]
pub struct Armv6m;

impl Isa for Armv6m {
    #[inline(always)]
    fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
        #[cfg(all(target_arch = "arm", target_os = "none"))]
        if let Some(mut call) = Call::of_column(BLOCK, filters, x, out) {
            // SAFETY: a call has what the function wants.
            return unsafe { sums::column::<0>(&mut call) };
        }
        layer::column(filters, x, out);
    }

    #[cfg(all(target_arch = "arm", target_os = "none"))]
    #[inline(always)]
    fn columns16(filters: &Filters16<'_>, line: Line16<'_>) {
        // SAFETY: the function makes such sums.
        layer16::columns(filters, line, |taps| unsafe { layer16::by(sums16::sums::<0>, taps) });
    }

    #[cfg(all(target_arch = "arm", target_os = "none"))]
    #[inline(always)]
    fn windows(channels: &Channels<'_>, line: Line<'_>) {
        layer::windows(channels, line, |channels, x, out| match Call::of_window(BLOCK, channels, x, out) {
            // SAFETY: a call has what the function wants.
            Some(mut call) => unsafe { sums::channels::<0>(&mut call) },
            None => layer::channels(channels, x, out),
        });
    }
}
