//! What makes 16-bit outputs of sums: a bias and a multiplier an output, and the range of the outputs.
//!
//! TFLite has two arithmetics. A layer with a bias of 64 bits has sums of 64 bits, which are rounded once by a multiplier
//! of 15 bits. One with a bias of 32 bits, or without, has sums that wrap at 32 bits and are rounded twice, as 8-bit ones.

use crate::arithmetic::{multiply, multiply_wide, multiply_word};
use crate::memory::{Channel, ViewMut, rolled};

crate::params! {
    /// How the sums of a layer become 16-bit outputs.
    pub struct Scaling16 {
        /// How they are rounded.
        pub rounding: Rounding16,
        /// Smallest output; the fused activation.
        pub min: i16,
        /// Largest output; the fused activation.
        pub max: i16,
    }

    /// How sums are rounded.
    pub enum Rounding16 {
        /// Twice, by [`multiply`]: sums wrap at 32 bits.
        Twice = 0,
        /// Once, by [`multiply_wide`]: sums have 64 bits.
        Once = 1,
        /// Once, by [`multiply_word`]: the compiler has proven that sums have 32 bits, biases included, and each shift is a word.
        Word = 2,
    }
}

impl Scaling16 {
    pub(super) fn valid(&self) -> bool {
        self.min <= self.max
    }

    /// The output that `sum` becomes, however it is rounded.
    #[inline(always)]
    pub(crate) fn output(&self, sum: i64, channel: &Channel) -> i16 {
        let biased = sum.wrapping_add(channel.bias());
        self.clamp(match self.rounding {
            Rounding16::Twice => multiply(biased as i32, channel.multiplier),
            Rounding16::Once => multiply_wide(biased, channel.multiplier),
            Rounding16::Word => multiply_word(biased as i32, channel.multiplier.value),
        })
    }

    /// Makes outputs of sums of 32 bits where these are rounded as words.
    #[inline(always)]
    pub(crate) fn store_words(&self, sums: &[i32], channels: &[Channel], out: ViewMut<'_, i16>) {
        for ((&sum, channel), out) in sums.iter().zip(channels).zip(out.iter()) {
            let biased = sum.wrapping_add(channel.bias() as i32);
            out.set(self.clamp(multiply_word(biased, channel.multiplier.value)));
            rolled();
        }
    }

    /// Makes outputs of sums, however they are rounded.
    #[inline(never)]
    pub(crate) fn store(&self, sums: &[i64], channels: &[Channel], out: ViewMut<'_, i16>) {
        for ((&sum, channel), out) in sums.iter().zip(channels).zip(out.iter()) {
            out.set(self.output(sum, channel));
            rolled();
        }
    }

    #[inline(always)]
    fn clamp(&self, value: i32) -> i16 {
        value.max(self.min.into()).min(self.max.into()) as i16
    }
}
