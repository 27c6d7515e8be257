//! What the rows of a step cost: upper estimates of instructions, by which an inference is cut into steps.
//!
//! A kernel says what its instructions grow with ([`Effort`]). The coefficients here are fitted from above to instructions
//! counted under emulation (`tests/oracle/fit_costs.py`), over models of the corpus and random networks, with
//! `opt-level = 3` and `"s"`, and a tenth is added: programs for [`InstructionSet::Portable`] on Cortex-M0, which takes
//! the most, the others on Cortex-M4 with its floating-point unit. `PairedConv2d`, `LinearAdd`, `PlaneDepthwiseConv2d` and
//! the audio front ends are not fitted yet: their coefficients are estimated from above by hand.

use rasbora_device::ops::*;
use rasbora_device::program::Work;

use crate::lower::AnyKernel;
use crate::target::InstructionSet;

/// Instructions for each unit of an [`Effort`].
struct Coefficients {
    /// For each call, and for each unit of [`Effort::call`].
    call: [f64; 2],
    /// For each row, and for each unit of [`Effort::row`].
    row: &'static [f64],
}

const fn fitted(call: [f64; 2], row: &'static [f64]) -> Coefficients {
    Coefficients { call, row }
}

/// For each kernel, on Cortex-M0 and on Cortex-M4.
const TABLE: &[(u16, [Coefficients; 2])] = &[
    (
        Conv2d::OPCODE,
        [
            fitted([3_170.0, 0.0], &[55.0, 145.0, 136.0, 108.0, 11.6]),
            fitted([1_890.0, 0.0], &[55.0, 182.0, 107.0, 64.5, 4.68, 0.12]),
        ],
    ),
    (
        Conv2dF32::OPCODE,
        [
            fitted([6_600.0, 0.0], &[55.0, 217.0, 296.0, 216.0, 250.0]),
            fitted([330.0, 0.0], &[55.0, 388.0, 110.0, 186.0, 6.6, 0.37]),
        ],
    ),
    (
        DepthwiseConv2d::OPCODE,
        [
            fitted([6_600.0, 0.0], &[55.0, 2_800.0, 192.0, 30.6, 13.0, 289.0]),
            fitted([330.0, 0.0], &[55.0, 661.0, 425.0, 0.0, 5.9, 0.0, 6.16]),
        ],
    ),
    (
        DepthwiseConv2dF32::OPCODE,
        [
            fitted([6_600.0, 0.0], &[55.0, 1_800.0, 0.0, 149.0, 201.0, 0.0, 13.7]),
            fitted([6_600.0, 0.0], &[55.0, 270.0, 129.0, 59.9, 6.6, 4.1]),
        ],
    ),
    (FullyConnected::OPCODE, [fitted([2_600.0, 0.0], &[163.0, 11.1]), fitted([1_660.0, 0.0], &[65.7, 5.49])]),
    (FullyConnectedF32::OPCODE, [fitted([2_460.0, 0.0], &[226.0, 253.0]), fitted([1_540.0, 0.0], &[80.4, 6.6])]),
    (AddI8::OPCODE, [fitted([5_000.0, 0.0], &[55.0, 66.0, 321.0]), fitted([3_250.0, 0.0], &[55.0, 66.0, 134.0])]),
    (MulI8::OPCODE, [fitted([2_640.0, 0.0], &[160.0, 66.0, 101.0]), fitted([2_640.0, 0.0], &[160.0, 66.0, 101.0])]),
    (BinaryF32::OPCODE, [fitted([4_260.0, 0.0], &[55.0, 66.0, 321.0]), fitted([3_040.0, 0.0], &[55.0, 66.0, 35.2])]),
    (
        AveragePool::OPCODE,
        [
            fitted([2_720.0, 0.0], &[94.6, 346.0, 171.0, 10.9, 16.5]),
            fitted([864.0, 0.0], &[909.0, 243.0, 32.8, 8.97, 11.7]),
        ],
    ),
    (
        AveragePoolF32::OPCODE,
        [
            fitted([330.0, 0.0], &[55.0, 3_180.0, 196.0, 72.4, 66.5]),
            fitted([1_620.0, 0.0], &[55.0, 0.0, 54.8, 9.43, 13.4]),
        ],
    ),
    (
        MaxPool::OPCODE,
        [
            fitted([2_680.0, 0.0], &[55.0, 456.0, 68.9, 19.5, 5.5]),
            fitted([1_670.0, 0.0], &[55.0, 394.0, 46.6, 13.7, 5.5]),
        ],
    ),
    (
        MaxPoolF32::OPCODE,
        [
            fitted([2_740.0, 0.0], &[55.0, 105.0, 435.0, 0.0, 49.6]),
            fitted([2_740.0, 0.0], &[55.0, 105.0, 435.0, 0.0, 49.6]),
        ],
    ),
    (Copy::OPCODE, [fitted([2_950.0, 0.0], &[987.0, 197.0, 4.56]), fitted([1_430.0, 0.0], &[868.0, 176.0, 4.55])]),
    (Fill::OPCODE, [fitted([1_770.0, 0.0], &[55.0, 2.21]), fitted([1_770.0, 0.0], &[55.0, 2.21])]),
    (
        Mean::OPCODE,
        [fitted([2_500.0, 0.0], &[241.0, 115.0, 11.0, 16.1]), fitted([1_560.0, 0.0], &[173.0, 57.2, 11.0, 11.2])],
    ),
    (
        MeanF32::OPCODE,
        [fitted([3_090.0, 0.0], &[55.0, 110.0, 11.0, 90.6]), fitted([3_090.0, 0.0], &[55.0, 110.0, 11.0, 90.6])],
    ),
    (Softmax::OPCODE, [fitted([330.0, 0.0], &[2_470.0, 1_440.0]), fitted([330.0, 0.0], &[1_340.0, 333.0])]),
    (SoftmaxF32::OPCODE, [fitted([330.0, 0.0], &[1_270.0, 646.0]), fitted([330.0, 0.0], &[562.0, 68.2])]),
    (Table::OPCODE, [fitted([2_090.0, 0.0], &[55.0, 7.22]), fitted([1_290.0, 0.0], &[55.0, 5.63])]),
    (UnaryF32::OPCODE, [fitted([2_430.0, 0.0], &[55.0, 4_500.0]), fitted([2_430.0, 0.0], &[55.0, 4_500.0])]),
    (Quantise::OPCODE, [fitted([2_150.0, 0.0], &[55.0, 486.0]), fitted([1_310.0, 0.0], &[55.0, 31.3])]),
    (Dequantise::OPCODE, [fitted([2_200.0, 0.0], &[55.0, 205.0]), fitted([892.0, 0.0], &[55.0, 8.81])]),
    (
        PairedConv2d::OPCODE,
        [
            fitted([2_800.0, 4.5], &[300.0, 150.0, 14.0, 16.0, 34.0, 8.9, 80.0, 5.5]),
            fitted([2_800.0, 4.5], &[300.0, 150.0, 14.0, 16.0, 34.0, 8.9, 80.0, 5.5]),
        ],
    ),
    (
        QuadDepthwiseConv2d::OPCODE,
        [
            fitted([2_240.0, 0.94], &[204.0, 110.0, 0.0, 1.13, 87.1, 0.0, 13.9]),
            fitted([2_240.0, 0.94], &[204.0, 110.0, 0.0, 1.13, 87.1, 0.0, 13.9]),
        ],
    ),
    (PairedFullyConnected::OPCODE, [fitted([1_650.0, 0.0], &[55.0, 26.6]), fitted([1_650.0, 0.0], &[55.0, 26.6])]),
    (LinearAdd::OPCODE, [fitted([1_800.0, 0.0], &[90.0, 30.0]), fitted([1_800.0, 0.0], &[90.0, 16.0])]),
    (
        PlaneDepthwiseConv2d::OPCODE,
        [
            fitted([2_500.0, 1.2], &[200.0, 1_000.0, 300.0, 28.0, 20.0]),
            fitted([2_500.0, 1.2], &[200.0, 1_000.0, 300.0, 28.0, 20.0]),
        ],
    ),
    // The front ends are estimated from the machine code of Cortex-M4, and from the sizes of the routines that stand for
    // long multiplications on Cortex-M0; they are not fitted.
    (Peak::OPCODE, [fitted([100.0, 0.0], &[200.0, 12.0]), fitted([100.0, 0.0], &[200.0, 7.0])]),
    (
        Mfcc::OPCODE,
        [
            fitted([2_000.0, 0.0], &[250_000.0, 1_000.0, 500.0, 80.0]),
            fitted([2_000.0, 0.0], &[28_000.0, 90.0, 80.0, 6.0]),
        ],
    ),
    (
        LogMel::OPCODE,
        [fitted([2_000.0, 0.0], &[600_000.0, 500.0, 1_000.0]), fitted([2_000.0, 0.0], &[90_000.0, 50.0, 200.0])],
    ),
];

/// Rows of a kernel, and the instructions that they take at most on the cores of `isa`.
pub fn work(kernel: &dyn AnyKernel, isa: InstructionSet) -> Work {
    let column = match isa {
        InstructionSet::Portable => 0,
        InstructionSet::Armv7em => 1,
    };
    let effort = kernel.effort();
    let row = TABLE.iter().find(|(opcode, _)| *opcode == kernel.opcode());
    // A kernel that nothing is known of yields after each row.
    let Some(Coefficients { call: [call, call_size], row }) = row.map(|(_, columns)| &columns[column]) else {
        return Work { rows: kernel.rows(), call: 0, row: u32::MAX };
    };
    let sizes = effort.row.iter().map(|&size| size as f64);
    let of_row: f64 = row.iter().zip(std::iter::once(1.0).chain(sizes)).map(|(cost, size)| cost * size).sum();
    // `as` saturates.
    Work { rows: kernel.rows(), call: (call + call_size * effort.call as f64).ceil() as u32, row: of_row.ceil() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_coefficients() {
        macro_rules! opcodes {
            ($($opcode:literal => $kernel:ident,)*) => { [$($opcode),*] };
        }
        let opcodes: [u16; _] = rasbora_device::for_every_kernel!(opcodes);
        assert!(opcodes.iter().eq(TABLE.iter().map(|(opcode, _)| opcode)));
        for (opcode, columns) in TABLE {
            let named = columns.iter().map(|column| column.row.len()).max();
            assert!(named <= Some(1 + Effort::SIZES), "{opcode}");
        }
    }
}
