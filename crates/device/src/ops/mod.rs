//! One file an op: its parameters and its kernel, and the table of them all.
//!
//! To add one: a file with a `params!` struct that implements [`Kernel`], and a row in the table below with an opcode
//! that was never used.

mod axes;
mod kernel;
#[cfg(test)]
pub(crate) mod testing;
mod window;

pub mod binary;
pub mod conv2d;
pub mod copy;
pub mod depthwise_conv2d;
pub mod dequantise;
pub mod fill;
pub mod quantise;
pub mod unary;

pub use kernel::{Fault, Kernel, Need, OperandList, Overlap, Role, check};
pub use window::Window;

pub use binary::{AddI8, BinaryF32, Broadcast, FloatBinary, MulI8};
pub use conv2d::{Conv2d, Conv2dF32};
pub use copy::{Copy, Walk};
pub use depthwise_conv2d::{DepthwiseConv2d, DepthwiseConv2dF32};
pub use dequantise::Dequantise;
pub use fill::Fill;
pub use quantise::Quantise;
pub use unary::{FloatUnary, Table, UnaryF32};

/// Calls `$with!` with the table of all kernels: `opcode => Kernel`. Opcodes are never reused.
#[macro_export]
macro_rules! for_every_kernel {
    ($with:ident) => {
        $with! {
            1 => Conv2d,
            2 => Conv2dF32,
            3 => DepthwiseConv2d,
            4 => DepthwiseConv2dF32,
            7 => AddI8,
            8 => MulI8,
            9 => BinaryF32,
            14 => Copy,
            15 => Fill,
            20 => Table,
            21 => UnaryF32,
            22 => Quantise,
            23 => Dequantise,
        }
    };
}
