//! Fully connected: `out[n, o] = requantise(bias[o] + Σᵢ input[n, i] · weights[o, i])`.
//!
//! The compiler folds the input's zero point into `bias`, so the inner loop is a bare dot product. A row is one output
//! feature of one batch row, so that a network of one batch row can be computed in parts too.

use core::ops::Range;

use super::window::count;
use super::{Effort, Kernel, Need, Scaling, Scaling16};
use crate::isa::{Filters, Filters16, Isa, Line16};
use crate::memory::{Channel, Memory, Operand};

crate::params! {
    /// 8-bit fully connected layer.
    pub struct FullyConnected {
        /// Rows of input and output, `n`.
        pub batch: u32,
        /// Features of an input row, `i`.
        pub inputs: u32,
        /// Features of an output row, `o`.
        pub outputs: u32,
        /// Sums to int8.
        pub scaling: Scaling,
    }

    /// Fully connected layer of 16-bit inputs and 8-bit weights.
    pub struct FullyConnectedI16 {
        /// Rows of input and output, `n`.
        pub batch: u32,
        /// Features of an input row, `i`.
        pub inputs: u32,
        /// Features of an output row, `o`.
        pub outputs: u32,
        /// Sums to int16.
        pub scaling: Scaling16,
    }

    /// Float fully connected layer.
    pub struct FullyConnectedF32 {
        /// Rows of input and output, `n`.
        pub batch: u32,
        /// Features of an input row, `i`.
        pub inputs: u32,
        /// Features of an output row, `o`.
        pub outputs: u32,
        /// Smallest output; the fused activation.
        pub min: f32,
        /// Largest output; the fused activation.
        pub max: f32,
    }
}

/// Whether nothing is empty and rows can be counted.
fn sizes_valid(batch: u32, inputs: u32, outputs: u32) -> bool {
    batch > 0 && inputs > 0 && outputs > 0 && count(&[batch, outputs]) < u32::MAX
}

/// Calls `with(n, features)` for each batch row `n` that `rows` touch, with the features in it.
#[inline(always)]
pub(super) fn for_each_batch_row(rows: Range<u32>, outputs: u32, mut with: impl FnMut(usize, Range<usize>)) {
    let (mut row, end, outputs) = (rows.start as usize, rows.end as usize, outputs as usize);
    while row < end {
        let Some(n) = row.checked_div(outputs) else { return };
        let first = n * outputs;
        let features = row - first..outputs.min(end - first);
        row = first + features.end;
        with(n, features);
    }
}

impl Kernel for FullyConnected {
    const OPCODE: u16 = 5;
    type Operands = [Operand; 5];

    fn valid(&self) -> bool {
        sizes_valid(self.batch, self.inputs, self.outputs) && self.scaling.valid(self.outputs)
    }

    fn layout_known(&self) -> bool {
        self.scaling.layout_known()
    }

    fn rows(&self) -> u32 {
        self.batch.saturating_mul(self.outputs)
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.inputs.into()])
    }

    fn needs(&self) -> [Need; 5] {
        let [bias, multipliers] = self.scaling.needs(self.outputs);
        [
            Need::read::<i8>(&[self.batch, self.inputs]),
            Need::constant::<i8>(&[self.outputs, self.inputs]),
            bias,
            multipliers,
            Need::write::<i8>(&[self.batch, self.outputs]),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 5]) {
        let [input, weights, bias, multipliers, out] = *operands;
        let input = memory.view::<i8>(input);
        let weights = memory.constants::<i8>(weights);
        let of_layer = self.scaling.of(memory, bias, multipliers);
        let out = memory.view_mut::<i8>(out);
        let inputs = self.inputs as usize;
        for_each_batch_row(rows, self.outputs, |n, features| {
            let row = input.slice(n * inputs, inputs);
            let out = out.slice(n * self.outputs as usize + features.start, features.len());
            if let Some(filters) = Filters::new(inputs, weights, of_layer, features) {
                I::column(&filters, row, out);
            }
        });
    }
}

impl Kernel for FullyConnectedI16 {
    const OPCODE: u16 = 51;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        sizes_valid(self.batch, self.inputs, self.outputs) && self.scaling.valid()
    }

    fn rows(&self) -> u32 {
        self.batch.saturating_mul(self.outputs)
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.inputs.into()])
    }

    fn needs(&self) -> [Need; 4] {
        [
            Need::read::<i16>(&[self.batch, self.inputs]),
            Need::constant::<i8>(&[self.outputs, self.inputs]),
            Need::constant::<Channel>(&[self.outputs]),
            Need::write::<i16>(&[self.batch, self.outputs]),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, weights, channels, out] = *operands;
        let input = memory.view::<i16>(input);
        let (weights, channels) = (memory.constants::<i8>(weights), memory.constants::<Channel>(channels));
        let out = memory.view_mut::<i16>(out);
        let inputs = self.inputs as usize;
        for_each_batch_row(rows, self.outputs, |n, features| {
            let x = input.slice(n * inputs, inputs);
            let out = out.slice(n * self.outputs as usize + features.start, features.len());
            let out_step = features.len();
            if let Some(filters) = Filters16::new(inputs, weights, channels, &self.scaling, features) {
                I::columns16(&filters, Line16 { x, step: inputs, out, out_step, cells: 1 });
            }
        });
    }
}

impl Kernel for FullyConnectedF32 {
    const OPCODE: u16 = 6;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        sizes_valid(self.batch, self.inputs, self.outputs)
    }

    fn rows(&self) -> u32 {
        self.batch.saturating_mul(self.outputs)
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.inputs.into()])
    }

    fn needs(&self) -> [Need; 4] {
        [
            Need::read::<f32>(&[self.batch, self.inputs]),
            Need::constant::<f32>(&[self.outputs, self.inputs]),
            Need::constant::<f32>(&[self.outputs]),
            Need::write::<f32>(&[self.batch, self.outputs]),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, weights, bias, out] = *operands;
        let input = memory.view::<f32>(input);
        let weights = memory.constants::<f32>(weights);
        let bias = memory.constants::<f32>(bias);
        let out = memory.view_mut::<f32>(out);
        let inputs = self.inputs as usize;
        for_each_batch_row(rows, self.outputs, |n, features| {
            let row = input.slice(n * inputs, inputs);
            for o in features {
                let filter = weights.get(o * inputs..(o + 1) * inputs).unwrap_or_default();
                let sum = row.iter().zip(filter).fold(0.0, |sum, (x, w)| sum + x * w);
                let sum = sum + bias.get(o).copied().unwrap_or_default();
                out.set(n * self.outputs as usize + o, sum.max(self.min).min(self.max));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::ops::testing::{Draw, Random, bytes, reads, run, values};

    fn sizes(random: &mut Random) -> [u32; 3] {
        [random.in_range(1..4), random.in_range(1..70), random.in_range(1..14)]
    }

    #[test]
    fn int8_is_the_formula() {
        let mut random = Random(1);
        for _ in 0..200 {
            let [batch, inputs, outputs] = sizes(&mut random);
            let scales = random.scales(outputs);
            let kernel = FullyConnected { batch, inputs, outputs, scaling: scales.scaling };
            let input = random.i8s((batch * inputs) as usize);
            let weights = random.i8s((outputs * inputs) as usize);
            let mut expected = Vec::new();
            for x in input.chunks(inputs as usize) {
                for (o, w) in weights.chunks(inputs as usize).enumerate() {
                    let sum: i64 = x.iter().zip(w).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum();
                    expected.push(scales.output(sum as i32, o));
                }
            }
            let found =
                run(&kernel, &[bytes(&input), bytes(&weights), bytes(&scales.bias), bytes(&scales.multipliers)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }

    #[test]
    fn int16_is_the_formula() {
        let mut random = Random(3);
        for _ in 0..200 {
            let kernel = FullyConnectedI16::draw(&mut random);
            let reads = reads(&kernel, &mut random);
            let (input, weights) = (values::<i16>(&reads[0]), values::<i8>(&reads[1]));
            let channels = values::<Channel>(&reads[2]);
            let mut expected = Vec::new();
            for x in input.chunks(kernel.inputs as usize) {
                for (w, channel) in weights.chunks(kernel.inputs as usize).zip(&channels) {
                    let sum: i64 = x.iter().zip(w).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum();
                    expected.push(kernel.scaling.output(sum, channel));
                }
            }
            assert_eq!(values::<i16>(&run(&kernel, &reads)), expected, "{kernel:?}");
        }
    }

    #[test]
    fn float_is_the_formula() {
        let mut random = Random(2);
        for _ in 0..100 {
            let [batch, inputs, outputs] = sizes(&mut random);
            let kernel = FullyConnectedF32 { batch, inputs, outputs, min: -2.0, max: 2.0 };
            let input = random.f32s((batch * inputs) as usize);
            let weights = random.f32s((outputs * inputs) as usize);
            let bias = random.f32s(outputs as usize);
            let found = values::<f32>(&run(&kernel, &[bytes(&input), bytes(&weights), bytes(&bias)]));
            for (i, found) in found.into_iter().enumerate() {
                let (n, o) = (i / outputs as usize, i % outputs as usize);
                let row = |values: &[f32], row: usize| values[row * inputs as usize..][..inputs as usize].to_vec();
                let products = row(&input, n).into_iter().zip(row(&weights, o));
                let sum: f64 = products.map(|(x, w)| f64::from(x) * f64::from(w)).sum();
                let expected = (sum + f64::from(bias[o])).clamp(-2.0, 2.0);
                assert!((f64::from(found) - expected).abs() < 1e-6 * f64::from(inputs), "{kernel:?}");
            }
        }
    }
}
