//! What makes 16-bit outputs of sums: a bias and a multiplier an output, and the range of the outputs.
//!
//! TFLite has two arithmetics. A layer with a bias of 64 bits has sums of 64 bits, which are rounded once by a multiplier
//! of 15 bits. One with a bias of 32 bits, or without, has sums that wrap at 32 bits and are rounded twice, as 8-bit ones.

use crate::arithmetic::{multiply, multiply_wide};
use crate::memory::Channel;

crate::params! {
    /// How the sums of a layer become 16-bit outputs.
    pub struct Scaling16 {
        /// Whether sums have 64 bits and are rounded once; else they have 32 and are rounded twice.
        pub wide: bool,
        /// Smallest output; the fused activation.
        pub min: i16,
        /// Largest output; the fused activation.
        pub max: i16,
    }
}

impl Scaling16 {
    pub(super) fn valid(&self) -> bool {
        self.min <= self.max
    }

    /// The output that `sum` becomes.
    #[inline(always)]
    pub(crate) fn output(&self, sum: i64, channel: &Channel) -> i16 {
        let sum = sum.wrapping_add(channel.bias());
        self.clamp(if self.wide {
            multiply_wide(sum, channel.multiplier)
        } else {
            multiply(sum as i32, channel.multiplier)
        })
    }

    #[inline(always)]
    fn clamp(&self, value: i32) -> i16 {
        value.max(self.min.into()).min(self.max.into()) as i16
    }
}
