//! Armv7E-M with its floating-point unit, and Armv8-M with the DSP extension: Cortex-M4F, M7, M33.
//!
//! The registers of the floating-point unit keep what the blocks of a kernel share: one cycle, and no memory. Where the
//! build has none of them the formulas run in plain Rust.

#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod cepstrum;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod copy;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod fourier;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod paired;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod paired_column;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod planes;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod quads;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod sums16;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod windows16;
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod winograd;

#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
use super::winograd::{Outputs, Products, Tile, inputs_fit};
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
use super::{Channels16, Columns, Filters16, Line16, PairedColumn, Planes, Quads, Spread, layer, layer16};
use super::{Filters, Isa, Portable};
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
use crate::cepstrum::Cepstrum;
use crate::memory::{View, ViewMut};
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
use crate::spectrum::{Bins, Complex, POINTS, halvings};
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
use core::arch::asm;

/// Armv7E-M.
#[derive(Clone, Copy, Debug)]
pub struct Armv7em;

impl Isa for Armv7em {
    #[inline(always)]
    fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>) {
        Portable::column(filters, x, out);
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn columns16(filters: &Filters16<'_>, line: Line16<'_>) {
        // SAFETY: the function makes such sums.
        layer16::columns(filters, line, |taps| unsafe { layer16::by(sums16::sums::<0>, taps) });
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn windows16(channels: &Channels16<'_>, line: Line16<'_>) {
        windows16::all(channels, line);
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn copy_pieces(
        [count, len]: [usize; 2],
        (from, from_step): (View<'_, i8>, usize),
        (to, to_step): (ViewMut<'_, i8>, usize),
    ) {
        let words = (from.as_ptr().addr() | to.as_mut_ptr().addr() | from_step | to_step | len).is_multiple_of(4);
        if !words {
            layer::copy_pieces([count, len], (from, from_step), (to, to_step));
        } else if len > 0 && to.holds_pieces([count, len], (from, from_step), to_step) {
            // SAFETY: `holds_pieces` has found all that is read and written inside, and there are pieces, of words.
            unsafe { copy::pieces::<0>(from.as_ptr(), to.as_mut_ptr(), count, len, from_step, to_step) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn sum4(input: View<'_, i8>, [first, step, count]: [usize; 3]) -> [i32; 4] {
        let mut sums = [0i32; 4];
        let mut from = 0;
        while from < count {
            // As many as halves of 16 bits can hold.
            let some = (count - from).min(256);
            let [mut even, mut odd] = [0u32; 2];
            for xs in input.strided::<4>(first.wrapping_add(from.wrapping_mul(step)), step, some) {
                let word = u32::from_le_bytes(xs.map(i8::cast_unsigned));
                // SAFETY: registers alone.
                unsafe {
                    asm!("sxtab16 {0}, {0}, {1}", inout(reg) even, in(reg) word, options(pure, nomem, nostack, preserves_flags));
                    asm!("sxtab16 {0}, {0}, {1}, ror #8", inout(reg) odd, in(reg) word, options(pure, nomem, nostack, preserves_flags));
                }
            }
            let halves = [even, odd, even >> 16, odd >> 16].map(|half| i32::from(half as i16));
            sums.iter_mut().zip(halves).for_each(|(sum, half)| *sum = sum.wrapping_add(half));
            from += some;
        }
        sums
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn copy(from: View<'_, i8>, to: ViewMut<'_, i8>) {
        if from.len() <= to.len() {
            // SAFETY: both have as many bytes; where those to be read lie behind, they are any of both.
            unsafe { copy::copy::<0>(from.as_ptr(), to.as_mut_ptr(), from.len()) };
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn paired(columns: &Columns<'_>, inputs: [View<'_, i8>; 2], out: [ViewMut<'_, i8>; 2], pairs: usize) {
        if columns.fits(&inputs, &out, pairs) {
            // SAFETY: `fits` has checked that there is a pair, and that columns and outputs of all pairs have their lengths.
            unsafe { paired::paired::<0>(columns, &inputs.map(View::as_ptr), &out.map(ViewMut::as_mut_ptr), pairs) };
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn paired_column(column: PairedColumn, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) {
        if column.fits(x, filters, out) {
            let mut call = paired_column::Call::new(column, x, filters.as_ptr(), out.as_mut_ptr());
            // SAFETY: `fits` has checked that the streams have the lengths that the blocks and steps read, the outputs those
            // that they write, and that there is a step.
            unsafe { paired_column::paired_column::<0>(&mut call) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn quads(quads: Quads, x: View<'_, i8>, filters: &[u32], out: ViewMut<'_, i8>) {
        if quads.fits(x, filters, out) {
            let mut call = quads::Call::new(quads, x.as_ptr(), filters.as_ptr(), out.as_mut_ptr());
            // SAFETY: `fits` has checked that the input reaches to the last tap of the last cell, and that stream and
            // output have the lengths that the sizes want.
            unsafe { quads::quads::<0>(&mut call) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn spread(spread: Spread, x: View<'_, i8>, planes: ViewMut<'_, u32>) {
        if spread.fits(x, planes) {
            let cells = planes::Cells::new(spread, x.as_ptr(), planes.as_mut_ptr());
            // SAFETY: `fits` has checked that input and planes have the lengths that the sizes want.
            unsafe { planes::spread::<0>(&cells) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn planes<const PITCH: usize>(planes: Planes, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) {
        if planes.fits::<PITCH>(x, filters, out) {
            let mut call = planes::Call::new(planes, x.as_ptr(), filters.as_ptr(), out.as_mut_ptr());
            // SAFETY: `fits` has checked that planes, stream and output have the lengths that the sizes want.
            unsafe { planes::planes::<PITCH>(&mut call) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn winograd_inputs(steps: u32, tile: Tile<'_>, to: ViewMut<'_, u32>) {
        if inputs_fit(steps, to) && tile.holds(steps) {
            // SAFETY: all words of the steps are inside, and all places that they are transformed to.
            unsafe { winograd::inputs::<0>(&winograd::Inputs::new(steps, tile, to.as_mut_ptr())) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn winograd_filters(weights: &[u32], to: ViewMut<'_, u32>) {
        let quads = weights.len() / super::winograd::QUAD_WEIGHTS;
        if quads > 0 && to.len() / super::winograd::QUAD_FILTERS >= quads {
            // SAFETY: there are weights of so many quads, and room for their filters.
            unsafe { winograd::filters::<0>(weights.as_ptr(), to.as_mut_ptr(), quads) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn winograd_products(products: Products<'_>) {
        let groups = products.groups();
        if groups > 0 {
            // SAFETY: `groups` has checked all lengths, and that the chunk has from one to eight quads.
            unsafe { winograd::products::<0>(&winograd::Call::new(products, groups)) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn winograd_outputs(outputs: Outputs<'_>) {
        if outputs.fit() {
            // SAFETY: there are the products of a group, and one to four tiles whose outputs are inside.
            unsafe { winograd::outputs::<0>(&winograd::Requantised::new(outputs)) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn fourier<const M: usize, const L: usize>(points: &[Complex; POINTS], twiddles: &[[i32; 6]; M]) {
        let (points, twiddles) = (points.as_ptr().cast_mut().cast(), twiddles.as_ptr().cast());
        // SAFETY: there are 256 points, in whole groups, which their cells let be written, and six twiddles for each of
        // the `M = S / 8` butterflies of a group.
        unsafe {
            match M {
                4 => fourier::stage::<32, { halvings(4) }>(points, twiddles, 16),
                16 => fourier::stage::<128, { halvings(16) }>(points, twiddles, 4),
                64 => fourier::stage::<512, { halvings(64) }>(points, twiddles, 1),
                _ => {}
            }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn windowed(samples: View<'_, i16>, window: &[[i16; 2]; POINTS], points: &[Complex; POINTS]) {
        if samples.len() == 2 * POINTS {
            let points = points.as_ptr().cast_mut().cast();
            // SAFETY: there are 512 samples, as many numbers of the window, and 256 points, which their cells let be written.
            // Words may be loaded from any address.
            unsafe { fourier::windowed::<0>(samples.as_ptr(), window.as_ptr().cast(), points) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn emphasised(samples: View<'_, i16>, window: &[[i16; 2]; 2 * POINTS], parity: bool, points: &[Complex; POINTS]) {
        if samples.len() > 4 * POINTS {
            let (first, points) = (usize::from(parity), points.as_ptr().cast_mut().cast());
            let (samples, window) = (samples.slice(2 * first, 4 * POINTS - 1), window.as_ptr().wrapping_add(first));
            // SAFETY: there are so many samples, as many numbers of the window, and 256 points, which their cells let be
            // written.
            unsafe { fourier::emphasised::<0>(samples.as_ptr(), window.cast(), points) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn band_sums(bins: &Bins<'_>, sums: ViewMut<'_, i32>) {
        if sums.len() == bins.counts.len() {
            let call = fourier::Call::new(bins, sums.as_mut_ptr());
            // SAFETY: there is a run, each has a sum, and `Bins` has as many bins, and points on either side, as the runs want.
            unsafe { fourier::band_sums::<0>(&call) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn cepstrum(cepstrum: &Cepstrum<'_>, sums: ViewMut<'_, i32>, out: ViewMut<'_, i8>) {
        let half = cepstrum.half(sums, out);
        if half > 0 && !out.is_empty() {
            let call = cepstrum::Call::new(cepstrum, half, sums.as_mut_ptr(), out);
            // SAFETY: `half` has found twice as many sums, and as many cosines for each coefficient; and there is one.
            unsafe { cepstrum::cepstrum::<0>(&call) }
        }
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn peak(samples: View<'_, i16>) -> i16 {
        let whole = samples.len() / 16;
        let of_rest = samples.slice(16 * whole, samples.len() % 16).iter().fold(1, i16::max);
        let mut both = 0u32;
        for samples in samples.strided::<16>(0, 16, whole) {
            let [a, b, c, d, e, f, g, h] = core::array::from_fn(|i| {
                u32::from(samples[2 * i].cast_unsigned()) | u32::from(samples[2 * i + 1].cast_unsigned()) << 16
            });
            // SAFETY: registers and the flags of `SSUB16` alone. One block, so that all are loaded before.
            unsafe {
                asm!(
                    "ssub16 {0}, {a}, {1}", "sel {1}, {a}, {1}",
                    "ssub16 {0}, {b}, {1}", "sel {1}, {b}, {1}",
                    "ssub16 {0}, {c}, {1}", "sel {1}, {c}, {1}",
                    "ssub16 {0}, {d}, {1}", "sel {1}, {d}, {1}",
                    "ssub16 {0}, {e}, {1}", "sel {1}, {e}, {1}",
                    "ssub16 {0}, {f}, {1}", "sel {1}, {f}, {1}",
                    "ssub16 {0}, {g}, {1}", "sel {1}, {g}, {1}",
                    "ssub16 {0}, {h}, {1}", "sel {1}, {h}, {1}",
                    out(reg) _, inout(reg) both, a = in(reg) a, b = in(reg) b, c = in(reg) c, d = in(reg) d,
                    e = in(reg) e, f = in(reg) f, g = in(reg) g, h = in(reg) h, options(pure, nomem, nostack),
                );
            }
        }
        of_rest.max(both as i16).max((both >> 16) as i16)
    }
}
