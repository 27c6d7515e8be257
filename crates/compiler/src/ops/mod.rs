//! One file an op: what it means (shapes, types, cost) and how it is lowered to kernels, and the table of them all.
//!
//! To add one: a file with a struct that implements [`Operation`], a row in the table below, and a row in the table of
//! each importer.

mod axes;
mod binary;
mod concatenation;
mod conv2d;
mod depthwise_conv2d;
mod dequantise;
mod fully_connected;
mod linear_add;
mod log_mel;
mod mean;
mod mel;
mod mfcc;
mod movement;
mod pad;
pub mod paired;
pub mod paired_column;
mod peak;
mod pool2d;
mod quantise;
pub mod quantised;
mod reshape;
mod shift;
mod sliding;
mod softmax;
mod strided_slice;
#[cfg(test)]
pub(crate) mod testing;
mod transpose;
mod unary;
pub mod winograd;

use serde::{Deserialize, Serialize};

use crate::graph::{Shape, Tensor};
use crate::lower::{LowerError, Site};

pub use binary::{Binary, BinaryFunction};
pub use concatenation::Concatenation;
pub use conv2d::Conv2d;
pub use depthwise_conv2d::DepthwiseConv2d;
pub use dequantise::Dequantise;
pub use fully_connected::FullyConnected;
pub use log_mel::LogMel;
pub use mean::Mean;
pub use mfcc::Mfcc;
pub use pad::Pad;
pub use peak::Peak;
pub use pool2d::{Pool2d, PoolFunction};
pub use quantise::Quantise;
pub use quantised::{Activation, quantise_multiplier};
pub use reshape::Reshape;
pub use shift::Shift;
pub use sliding::Sliding;
pub use softmax::Softmax;
pub use strided_slice::StridedSlice;
pub use transpose::Transpose;
pub use unary::{Unary, UnaryFunction};

/// What every op knows of itself. It knows neither its neighbours, nor a file format, nor a target.
///
/// [`Operation::infer`] accepts or refuses inputs of any number, shape and type without a panic; the other functions are
/// called only where it gave the shapes that the outputs have
/// ([`verify`](crate::graph::verify::verify) sees to that).
pub trait Operation {
    /// The shapes of the outputs, or what is wrong with the inputs, in words that end a sentence about the node.
    ///
    /// # Errors
    /// A text that says what was wanted and what was found.
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String>;

    /// Whether types and quantisation are such that [`Operation::lower`] succeeds.
    ///
    /// # Errors
    /// A text that says what was wanted and what was found.
    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String>;

    /// Whether the output is the input's bytes under another shape: no step, the same memory.
    fn is_view(&self) -> bool {
        false
    }

    /// Whether output 0 may be written over input 0, which is of the same size and which nothing else reads afterwards.
    fn is_in_place(&self) -> bool {
        false
    }

    /// Multiply-accumulates.
    fn macs(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> u64 {
        let _ = (inputs, outputs);
        0
    }

    /// Adds the steps that compute the node to the program.
    ///
    /// # Errors
    /// Where the node cannot be computed by any kernel.
    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError>;
}

/// Makes the enum of all ops and its dispatch from the table `Variant`.
macro_rules! ops {
    ($($(#[$meta:meta])* $op:ident,)*) => {
        /// An op with its attributes.
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        pub enum Op {
            $($(#[$meta])* $op($op),)*
        }

        impl Op {
            /// The op's name.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$op(_) => stringify!($op),)* }
            }
            fn operation(&self) -> &dyn Operation {
                match self { $(Self::$op(op) => op,)* }
            }
        }
        $(impl From<$op> for Op {
            fn from(op: $op) -> Self {
                Self::$op(op)
            }
        })*
    };
}

ops! {
    /// Convolution.
    Conv2d,
    /// Depthwise convolution.
    DepthwiseConv2d,
    /// Fully connected layer.
    FullyConnected,
    /// Pooling.
    Pool2d,
    /// Mean over axes.
    Mean,
    /// Softmax over the last axis.
    Softmax,
    /// Sum, difference or product of two tensors.
    Binary,
    /// A function of one element.
    Unary,
    /// Floats or 8 bits to 8 bits.
    Quantise,
    /// 8 bits to floats.
    Dequantise,
    /// Elements of one value around a tensor.
    Pad,
    /// Tensors one after the other.
    Concatenation,
    /// Axes in another order.
    Transpose,
    /// Every so-many-th element.
    StridedSlice,
    /// A tensor moved on by new rows.
    Shift,
    /// The same elements under another shape.
    Reshape,
    /// The largest sample of a clip.
    Peak,
    /// Cepstral coefficients of a clip.
    Mfcc,
    /// Power in mel bands of a frame.
    LogMel,
}

impl Operation for Op {
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Shape>, String> {
        self.operation().infer(inputs)
    }
    fn check(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(), String> {
        self.operation().check(inputs, outputs)
    }
    fn is_view(&self) -> bool {
        self.operation().is_view()
    }
    fn is_in_place(&self) -> bool {
        self.operation().is_in_place()
    }
    fn macs(&self, inputs: &[&Tensor], outputs: &[&Tensor]) -> u64 {
        self.operation().macs(inputs, outputs)
    }
    fn lower(&self, site: &mut Site<'_>) -> Result<(), LowerError> {
        self.operation().lower(site)
    }
}
