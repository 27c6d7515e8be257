//! One file an op: its parameters and its kernel, and the table of them all.
//!
//! To add one: a file with a `params!` struct that implements [`Kernel`], and a row in the table below with an opcode
//! that was never used.

mod kernel;
#[cfg(test)]
pub(crate) mod testing;
mod window;

pub mod conv2d;
pub mod depthwise_conv2d;

pub use kernel::{Fault, Kernel, Need, OperandList, Overlap, Role, check};
pub use window::Window;

pub use conv2d::{Conv2d, Conv2dF32};
pub use depthwise_conv2d::{DepthwiseConv2d, DepthwiseConv2dF32};

/// Calls `$with!` with the table of all kernels: `opcode => Kernel`. Opcodes are never reused.
#[macro_export]
macro_rules! for_every_kernel {
    ($with:ident) => {
        $with! {
            1 => Conv2d,
            2 => Conv2dF32,
            3 => DepthwiseConv2d,
            4 => DepthwiseConv2dF32,
        }
    };
}
