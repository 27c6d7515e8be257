//! One file an op: its parameters and its kernel, and the table of them all.
//!
//! To add one: a file with a `params!` struct that implements [`Kernel`], and a row in the table below with an opcode
//! that was never used.

mod axes;
#[cfg(test)]
pub(crate) mod drawing;
mod kernel;
pub(crate) mod outputs;
pub(crate) mod outputs16;
mod strip;
#[cfg(test)]
pub(crate) mod testing;
mod window;

pub mod binary;
pub mod conv2d;
pub mod copy;
pub mod depthwise_conv2d;
pub mod dequantise;
pub mod fully_connected;
pub mod linear_add;
pub mod log_mel;
pub mod mean;
pub mod mfcc;
pub mod pad;
pub mod paired_conv2d;
pub mod paired_fully_connected;
pub mod peak;
mod plane_conv2d;
pub mod plane_depthwise_conv2d;
mod plane_strip;
pub mod pool2d;
pub mod quad_depthwise_conv2d;
pub mod quantise;
pub mod rescale;
pub mod sigmoid;
pub mod softmax;
mod stack_depthwise_conv2d;
pub mod unary;
pub mod winograd_conv2d;

pub use kernel::{Effort, Fault, Kernel, Misfit, Need, OperandList, Overlap, Role, check};
pub use window::Window;
pub(crate) use window::count;

pub use binary::{AddI8, AddI16, BinaryF32, Broadcast, FloatBinary, MulI8, MulI16};
pub use conv2d::{Conv2d, Conv2dF32, Conv2dI16};
pub use copy::{Copy, Walk};
pub use depthwise_conv2d::{DepthwiseConv2d, DepthwiseConv2dF32, DepthwiseConv2dI16};
pub use dequantise::{Dequantise, DequantiseI16};
pub use fully_connected::{FullyConnected, FullyConnectedF32, FullyConnectedI16};
pub use linear_add::LinearAdd;
pub use log_mel::LogMel;
pub use mean::{Mean, MeanF32, MeanI16};
pub use mfcc::Mfcc;
pub use outputs::Scaling;
pub use outputs16::{Rounding16, Scaling16};
pub use pad::Pad;
pub use paired_conv2d::PairedConv2d;
pub use paired_fully_connected::PairedFullyConnected;
pub use peak::Peak;
pub use plane_conv2d::PlaneConv2d;
pub use plane_depthwise_conv2d::PlaneDepthwiseConv2d;
pub use pool2d::{AveragePool, AveragePoolF32, AveragePoolI16, MaxPool, MaxPoolF32, MaxPoolI16};
pub use quad_depthwise_conv2d::{Corrections, QuadDepthwiseConv2d};
pub use quantise::{Quantise, QuantiseI16};
pub use rescale::Rescale;
pub use sigmoid::SigmoidI16;
pub use softmax::{Softmax, SoftmaxF32, SoftmaxI16};
pub use stack_depthwise_conv2d::StackDepthwiseConv2d;
pub use unary::{FloatUnary, Table, UnaryF32};
pub use winograd_conv2d::WinogradConv2d;

/// Calls `$with!` with the table of all kernels: `opcode => Kernel`. Opcodes are never reused.
#[macro_export]
macro_rules! for_every_kernel {
    ($with:ident) => {
        $with! {
            1 => Conv2d,
            2 => Conv2dF32,
            3 => DepthwiseConv2d,
            4 => DepthwiseConv2dF32,
            5 => FullyConnected,
            6 => FullyConnectedF32,
            7 => AddI8,
            8 => MulI8,
            9 => BinaryF32,
            10 => AveragePool,
            11 => AveragePoolF32,
            12 => MaxPool,
            13 => MaxPoolF32,
            14 => Copy,
            16 => Mean,
            17 => MeanF32,
            18 => Softmax,
            19 => SoftmaxF32,
            20 => Table,
            21 => UnaryF32,
            22 => Quantise,
            23 => Dequantise,
            24 => PairedConv2d,
            25 => QuadDepthwiseConv2d,
            26 => PairedFullyConnected,
            27 => LinearAdd,
            28 => PlaneDepthwiseConv2d,
            29 => StackDepthwiseConv2d,
            30 => WinogradConv2d,
            31 => PlaneConv2d,
            32 => Pad,
            40 => Peak,
            41 => Mfcc,
            42 => LogMel,
            50 => Conv2dI16,
            51 => FullyConnectedI16,
            52 => AddI16,
            53 => MulI16,
            54 => AveragePoolI16,
            55 => MaxPoolI16,
            56 => MeanI16,
            57 => SoftmaxI16,
            58 => SigmoidI16,
            59 => Rescale,
            60 => QuantiseI16,
            61 => DequantiseI16,
            62 => DepthwiseConv2dI16,
        }
    };
}
