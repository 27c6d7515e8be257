//! Instruction sets: the primitives that kernels are generic over.
//!
//! Each instruction set is a file here. Every one of them equals [`Portable`] bit for bit; a kernel that wants more than
//! these primitives has a file of its own beside the portable one.

mod armv7em;
pub mod paired;
pub mod paired_column;
mod portable;
pub mod quads;

pub use armv7em::Armv7em;
pub use paired::Paired;
pub use paired_column::PairedColumn;
pub use portable::Portable;
pub use quads::Quads;

use crate::memory::{View, ViewMut};

/// What an instruction set does faster than plain Rust.
pub trait Isa {
    /// `Σᵢ input[i] · weights[i]` over the shorter of both.
    fn dot(input: View<'_, i8>, weights: &[i8]) -> i32;

    /// Four dot products with one input.
    fn dot4(input: View<'_, i8>, weights: [&[i8]; 4]) -> [i32; 4];

    /// All outputs of two columns by paired weights, see [`paired`]; nothing where the lengths do not fit.
    fn paired(paired: Paired, x: View<'_, u32>, filters: &[u32], out: [ViewMut<'_, i8>; 2]) {
        paired::portable(paired, x, filters, out);
    }

    /// All outputs of one column by paired weights, see [`paired_column`]; nothing where the lengths do not fit.
    fn paired_column(column: PairedColumn, x: View<'_, u32>, filters: &[u32], out: ViewMut<'_, i8>) {
        paired_column::portable(column, x, filters, out);
    }

    /// A row of depthwise output cells, see [`quads`]; nothing where the lengths do not fit.
    fn quads(quads: Quads, x: View<'_, i8>, filters: &[u32], out: ViewMut<'_, i8>) {
        quads::portable(quads, x, filters, out);
    }
}
