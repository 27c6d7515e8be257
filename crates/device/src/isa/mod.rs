//! Instruction sets: the primitives that kernels are generic over.
//!
//! Each instruction set is a file here. Every one of them equals [`Portable`] bit for bit; a kernel that wants more than
//! these primitives has a file of its own beside the portable one.

mod armv6m;
mod armv7em;
mod helium;
mod layer;
mod layer16;
pub mod paired;
pub mod paired_column;
pub mod planes;
mod portable;
pub mod quads;
mod rv32im;
mod scalar;
pub mod stacks;
#[cfg(not(target_os = "none"))]
mod vector;
#[cfg(not(target_os = "none"))]
mod wide;
pub mod winograd;

pub use armv6m::Armv6m;
pub use armv7em::Armv7em;
pub use helium::Helium;
pub use layer::{Channels, Filters, Line};
pub use layer16::{Channels16, Filters16, Line16};
pub use paired::{Columns, Paired};
pub use paired_column::PairedColumn;
pub use planes::{Planes, Spread};
pub use portable::Portable;
pub use quads::Quads;
pub use rv32im::Rv32im;
pub use scalar::Armv7m;
pub use stacks::Stacks;
#[cfg(not(target_os = "none"))]
pub use wide::Wide;

use crate::cepstrum::Cepstrum;
use crate::memory::{View, ViewMut};
use crate::spectrum::{self, Bins, Complex, POINTS};

/// What an instruction set does faster than plain Rust.
pub trait Isa {
    /// All outputs of a column of inputs; nothing where the lengths do not fit.
    fn column(filters: &Filters<'_>, x: View<'_, i8>, out: ViewMut<'_, i8>);

    /// All outputs of columns.
    #[inline(always)]
    fn columns(filters: &Filters<'_>, line: Line<'_>) {
        layer::columns(filters, line, Self::column);
    }

    /// All outputs of columns of 16-bit inputs; nothing where the lengths do not fit.
    #[inline(always)]
    fn columns16(filters: &Filters16<'_>, line: Line16<'_>) {
        layer16::columns(filters, line, layer16::sums);
    }

    /// All channels of windows of 16-bit inputs; nothing where the lengths do not fit.
    #[inline(always)]
    fn windows16(channels: &Channels16<'_>, line: Line16<'_>) {
        layer16::windows(channels, line);
    }

    /// All channels of windows; nothing where the lengths do not fit.
    #[inline(always)]
    fn windows(channels: &Channels<'_>, line: Line<'_>) {
        layer::windows(channels, line, layer::channels);
    }

    /// Copies so many pieces of so many elements, which start at multiples of a step; nothing where they are not all inside.
    #[inline(always)]
    fn copy_pieces(sizes: [usize; 2], from: (View<'_, i8>, usize), to: (ViewMut<'_, i8>, usize)) {
        layer::copy_pieces(sizes, from, to);
    }

    /// The sums of four neighbours at `count` places, from `first` on and `step` from one to the next; 0 where they are not
    /// all inside.
    #[inline(always)]
    fn sum4(input: View<'_, i8>, [first, step, count]: [usize; 3]) -> [i32; 4] {
        let mut sums = [0i32; 4];
        for xs in input.strided::<4>(first, step, count) {
            sums.iter_mut().zip(xs).for_each(|(sum, x)| *sum = sum.wrapping_add(x.into()));
        }
        sums
    }

    /// Copies bytes to the front of others, from the first on: these may lie over them, but not behind their start. Does
    /// nothing where they are more.
    fn copy(from: View<'_, i8>, to: ViewMut<'_, i8>) {
        to.copy_from(from);
    }

    /// Stacks rows, see [`stacks`], where bytes of rows that are empty are `padding`; nothing where the others do not reach to the
    /// last stack.
    #[inline(always)]
    fn stack(rows: [View<'_, i8>; stacks::ROWS], padding: i8, to: ViewMut<'_, u32>) {
        stacks::stack(rows, padding, to);
    }

    /// A row of depthwise output cells, see [`stacks`]; nothing where the lengths do not fit.
    #[inline(always)]
    fn stacks(stacks: &Stacks<'_>, x: View<'_, u32>, out: ViewMut<'_, i8>) {
        stacks::stacks(stacks, x, out);
    }

    /// All outputs of pairs of columns by paired weights, see [`paired`]; nothing where the lengths do not fit. `inputs` and
    /// `out` are those of the first pair; the others follow.
    fn paired(columns: &Columns<'_>, inputs: [View<'_, i8>; 2], out: [ViewMut<'_, i8>; 2], pairs: usize) {
        paired::portable(columns, inputs, out, pairs);
    }

    /// All outputs of one column by paired weights, see [`paired_column`]; nothing where the lengths do not fit.
    fn paired_column(column: PairedColumn, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) {
        paired_column::portable(column, x, filters, out);
    }

    /// A row of depthwise output cells, see [`quads`]; nothing where the lengths do not fit.
    fn quads(quads: Quads, x: View<'_, i8>, filters: &[u32], out: ViewMut<'_, i8>) {
        quads::portable(quads, x, filters, out);
    }

    /// Spreads cells of four channels to planes, see [`planes`]; nothing where the lengths do not fit.
    fn spread(spread: Spread, x: View<'_, i8>, planes: ViewMut<'_, u32>) {
        planes::spread_portably(spread, x, planes);
    }

    /// Output cells of 3×3 windows over planes, see [`planes`]; nothing where the lengths do not fit.
    fn planes<const PITCH: usize>(planes: Planes, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) {
        planes::portable::<PITCH>(planes, x, filters, out);
    }

    /// The largest of samples and 1.
    #[inline(always)]
    fn peak(samples: View<'_, i16>) -> i16 {
        layer::peak(samples)
    }

    /// The first stage of the Fourier transform of a frame under a window, see [`spectrum`]; nothing where it is not of 512.
    fn windowed(samples: View<'_, i16>, window: &[[i16; 2]; POINTS], points: &[Complex; POINTS]) {
        spectrum::windowed(samples, window, points);
    }

    /// The first stage of the transforms of the even and the odd points of an emphasised frame, see [`spectrum`]; nothing where
    /// it is not of 1025.
    fn emphasised(samples: View<'_, i16>, window: &[[i16; 2]; 2 * POINTS], parity: bool, points: &[Complex; POINTS]) {
        spectrum::emphasised(samples, window, parity, points);
    }

    /// Sums of the moduli of bins, see [`spectrum`]; nothing where there is not one for each run.
    fn band_sums(bins: &Bins<'_>, sums: ViewMut<'_, i32>) {
        spectrum::band_sums(bins, sums);
    }

    /// Cepstral coefficients, see [`Cepstrum::run`].
    fn cepstrum(cepstrum: &Cepstrum<'_>, sums: ViewMut<'_, i32>, out: ViewMut<'_, i8>) {
        cepstrum.run(sums, out);
    }

    /// Transforms the inputs of a tile, see [`winograd`]; nothing where the lengths do not fit.
    fn winograd_inputs(steps: u32, tile: winograd::Tile<'_>, to: ViewMut<'_, u32>) {
        winograd::inputs(steps, tile, to);
    }

    /// Transforms the filters of two outputs, see [`winograd`]; nothing where the lengths do not fit.
    fn winograd_filters(weights: &[u32], to: ViewMut<'_, u32>) {
        winograd::filters(weights, to);
    }

    /// Products of transformed inputs with the filters of two outputs, see [`winograd`]; nothing where the lengths do not fit.
    fn winograd_products(products: winograd::Products<'_>) {
        winograd::products(products);
    }

    /// Two outputs of a group's tiles from its products, see [`winograd`]; nothing where the lengths do not fit.
    fn winograd_outputs(outputs: winograd::Outputs<'_>) {
        winograd::outputs(outputs);
    }

    /// A stage of the Fourier transform, see [`spectrum`]: groups of `L = 4 · M` points.
    fn fourier<const M: usize, const L: usize>(points: &[Complex; POINTS], twiddles: &[[i32; 6]; M]) {
        spectrum::stage::<M, L>(points, twiddles);
    }
}
