//! Fully connected with paired weights: `out[n, o] = requantise(bias[o] + Σᵢ input[n, i] · weights[o, i])`.
//!
//! [`isa::paired_column`](crate::isa::paired_column) says how weights and requantisation look; the compiler chooses this
//! kernel where it has proven that it gives the same bytes. A row is one block of outputs of one batch row, the last of
//! which may be smaller: as small as a part can be without losing what a block shares.

use core::ops::Range;

use super::fully_connected::for_each_batch_row;
use super::{Effort, Kernel, Need};
use crate::isa::paired_column::BLOCK;
use crate::isa::{Isa, PairedColumn};
use crate::memory::{Memory, Operand};

crate::params! {
    /// 8-bit fully connected layer with paired weights.
    pub struct PairedFullyConnected {
        /// Rows of input and output, `n`.
        pub batch: u32,
        /// Features of an input row, `i`: a multiple of 4, as inputs are read in words.
        pub inputs: u32,
        /// Features of an output row, `o`.
        pub outputs: u32,
        /// See [`PairedColumn::multiplier`].
        pub multiplier: i32,
        /// See [`PairedColumn::correction`].
        pub correction: i32,
        /// See [`PairedColumn::zero`].
        pub zero: i32,
    }
}

impl PairedFullyConnected {
    fn column(&self, outputs: u32) -> PairedColumn {
        let Self { multiplier, correction, zero, .. } = *self;
        PairedColumn { steps: self.inputs / 4, outputs, multiplier, correction, zero }
    }

    fn blocks(&self) -> u32 {
        self.outputs.saturating_sub(1) / BLOCK + 1
    }
}

impl Kernel for PairedFullyConnected {
    const OPCODE: u16 = 26;
    type Operands = [Operand; 3];

    fn valid(&self) -> bool {
        self.batch > 0 && self.inputs.wrapping_sub(1) < 1 << 26 && self.inputs.is_multiple_of(4) && self.outputs > 0
    }

    fn rows(&self) -> u32 {
        self.batch.saturating_mul(self.blocks())
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[(self.inputs / 4).into()])
    }

    fn needs(&self) -> [Need; 3] {
        [
            Need::read::<u32>(&[self.batch, self.inputs / 4]),
            Need::constant::<u32>(&[self.column(self.outputs).output_words() as u32, self.outputs]),
            Need::write::<i8>(&[self.batch, self.outputs]),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 3]) {
        let [input, filters, out] = *operands;
        let input = memory.view::<u32>(input);
        let filters = memory.constants::<u32>(filters);
        let out = memory.view_mut::<i8>(out);
        let steps = self.inputs as usize / 4;
        for_each_batch_row(rows, self.blocks(), |n, blocks| {
            let first = blocks.start as u32 * BLOCK;
            let outputs = (blocks.end as u32 * BLOCK).min(self.outputs) - first;
            let column = self.column(outputs);
            let start = first as usize * column.output_words() as usize;
            let filters = filters.get(start..start + column.filter_words() as usize).unwrap_or_default();
            let out = out.slice(n * self.outputs as usize + first as usize, outputs as usize);
            I::paired_column(column, input.slice(n * steps, steps), filters, out);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::isa::paired::{OFFSET, Rounding, SHIFT, pair, requantise};
    use crate::ops::testing::{Draw, Random, bytes, run, values};

    #[test]
    fn it_is_the_formula() {
        let mut random = Random(1);
        for _ in 0..200 {
            let kernel = PairedFullyConnected::draw(&mut random);
            let PairedFullyConnected { batch, inputs, outputs, multiplier, correction, zero } = kernel;
            let mut number = |limit: u32| random.below(limit) as i32;
            let own: Vec<i32> = (0..outputs).map(|_| 1 + number(1 << 24)).collect();
            let corrections: Vec<i32> = (0..outputs).map(|_| number(512) - 256).collect();
            let bias: Vec<i32> = (0..outputs).map(|_| number(1 << 20) - (1 << 19)).collect();
            let input = random.i8s((batch * inputs) as usize);
            let weights: Vec<i8> = random.i8s((outputs * inputs) as usize).into_iter().map(|w| w.max(-127)).collect();
            let rows: Vec<&[i8]> = weights.chunks(inputs as usize).collect();

            let mut filters: Vec<i32> = Vec::new();
            let mut from = 0;
            while from < outputs as usize {
                let width = if outputs as usize - from >= 5 { 5 } else { 1 };
                let block = from..from + width;
                let odd = |o: usize| rows[o].iter().skip(1).step_by(2).map(|&w| i32::from(w)).sum::<i32>();
                filters.extend(block.clone().map(|o| bias[o] - OFFSET * odd(o)));
                for step in 0..inputs as usize / 4 {
                    filters.extend(block.clone().map(|o| {
                        let lanes: [i8; 4] = rows[o][4 * step..][..4].try_into().expect("four weights");
                        pair(lanes).cast_signed()
                    }));
                }
                if multiplier == 0 {
                    filters.extend(&corrections[block.clone()]);
                    filters.extend(&own[block.clone()]);
                }
                from = block.end;
            }

            let mut expected = Vec::new();
            for x in input.chunks(inputs as usize) {
                for (o, w) in rows.iter().enumerate() {
                    let sum: i32 = x.iter().zip(*w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum();
                    let (multiplier, correction) = match multiplier {
                        0 => (own[o], corrections[o]),
                        multiplier => (multiplier, correction),
                    };
                    expected.push(requantise(
                        256 * sum + bias[o],
                        multiplier,
                        correction,
                        Rounding { zero, shift: SHIFT },
                    ));
                }
            }
            let found = run(&kernel, &[bytes(&input), bytes(&filters)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }
}
