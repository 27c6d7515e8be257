//! The largest sample: `out = max(1, maxᵢ input[i])`, by which a front end scales a clip.

use core::ops::Range;

use super::{Effort, Kernel, Need};
use crate::isa::Isa;
use crate::memory::{Memory, Operand};

crate::params! {
    /// The largest of 16-bit samples.
    pub struct Peak {
        /// Number of samples.
        pub samples: u32,
    }
}

impl Kernel for Peak {
    const OPCODE: u16 = 40;
    type Operands = [Operand; 2];

    fn valid(&self) -> bool {
        true
    }

    fn rows(&self) -> u32 {
        1
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.samples.into()])
    }

    fn needs(&self) -> [Need; 2] {
        [Need::read::<i16>(&[self.samples]), Need::write::<i32>(&[1])]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, out]: &[Operand; 2]) {
        if rows.is_empty() {
            return;
        }
        memory.view_mut::<i32>(out).set(0, I::peak(memory.view::<i16>(input)).into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{run, values};
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_largest_sample_is_found() {
        let peak = |samples: &[i16]| {
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            values::<i32>(&run(&Peak { samples: samples.len() as u32 }, &[bytes]))[0]
        };
        assert_eq!(peak(&[3, -32768, 700, 5]), 700);
        assert_eq!(peak(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 32767, 12, 13, 14, 15, 16, 17]), 32767);
        assert_eq!(peak(&[-5; 9]), 1);
    }
}
