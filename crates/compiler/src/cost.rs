//! What the rows of a step cost: upper estimates of instructions, by which an inference is cut into steps.
//!
//! A kernel says what its instructions grow with ([`Effort`]). The coefficients here are fitted from above to instructions
//! counted under emulation (`tests/oracle/fit_costs.py`), over models of the corpus and random networks, with
//! `opt-level = 3` and `"s"`, and a tenth is added: programs for [`InstructionSet::Portable`] on Cortex-M0, which takes
//! the most, the others on Cortex-M4 with its floating-point unit. `Conv2d`, `DepthwiseConv2d`, `PairedConv2d`,
//! `StackDepthwiseConv2d`, `Pad`, corrections of `QuadDepthwiseConv2d` by words, and the kernels of 16 bits are not fitted yet:
//! their coefficients are estimated from above by hand.

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
            fitted([3_170.0, 0.0], &[400.0, 250.0, 136.0, 11.6, 80.0, 11.0]),
            fitted([1_890.0, 0.0], &[300.0, 250.0, 107.0, 7.0, 50.0, 7.0]),
        ],
    ),
    (
        Conv2dF32::OPCODE,
        [
            fitted([1_880.0, 0.0], &[228.0, 0.0, 160.0, 527.0, 246.0]),
            fitted([657.0, 0.0], &[55.0, 400.0, 110.0, 220.0, 6.6]),
        ],
    ),
    (
        DepthwiseConv2d::OPCODE,
        [
            fitted([6_600.0, 0.0], &[400.0, 250.0, 192.0, 13.0, 80.0, 11.0]),
            fitted([1_890.0, 0.0], &[300.0, 250.0, 107.0, 8.0, 50.0, 7.0]),
        ],
    ),
    (
        DepthwiseConv2dF32::OPCODE,
        [
            fitted([1_990.0, 0.0], &[2_470.0, 1_460.0, 0.0, 150.0, 216.0]),
            fitted([330.0, 0.0], &[55.0, 349.0, 117.0, 65.1, 6.6]),
        ],
    ),
    (FullyConnected::OPCODE, [fitted([2_010.0, 0.0], &[263.0, 11.0]), fitted([1_260.0, 0.0], &[126.0, 5.5])]),
    (FullyConnectedF32::OPCODE, [fitted([1_880.0, 0.0], &[281.0, 255.0]), fitted([1_130.0, 0.0], &[80.8, 6.61])]),
    (AddI8::OPCODE, [fitted([1_470.0, 0.0], &[55.0, 286.0, 333.0]), fitted([906.0, 0.0], &[55.0, 214.0, 135.0])]),
    (MulI8::OPCODE, [fitted([1_510.0, 0.0], &[55.0, 297.0, 101.0]), fitted([939.0, 0.0], &[55.0, 211.0, 46.1])]),
    (BinaryF32::OPCODE, [fitted([1_710.0, 0.0], &[70.3, 202.0, 326.0]), fitted([1_010.0, 0.0], &[56.5, 215.0, 35.2])]),
    (
        AveragePool::OPCODE,
        [
            fitted([891.0, 0.0], &[226.0, 350.0, 171.0, 11.0, 16.5]),
            fitted([572.0, 0.0], &[243.0, 244.0, 28.9, 11.0, 11.7]),
        ],
    ),
    (
        AveragePoolF32::OPCODE,
        [
            fitted([330.0, 0.0], &[55.0, 3_660.0, 93.0, 47.6, 93.6]),
            fitted([545.0, 0.0], &[55.0, 242.0, 44.0, 11.9, 13.2]),
        ],
    ),
    (
        MaxPool::OPCODE,
        [
            fitted([973.0, 0.0], &[55.0, 459.0, 29.2, 19.3, 15.6]),
            fitted([372.0, 0.0], &[55.0, 427.0, 11.7, 13.3, 14.6]),
        ],
    ),
    (
        MaxPoolF32::OPCODE,
        [
            fitted([957.0, 0.0], &[55.0, 221.0, 379.0, 18.0, 54.5]),
            fitted([567.0, 0.0], &[55.0, 224.0, 43.2, 17.8, 26.7]),
        ],
    ),
    (Copy::OPCODE, [fitted([1_190.0, 0.0], &[875.0, 378.0, 9.57]), fitted([626.0, 0.0], &[775.0, 338.0, 8.94])]),
    (
        Mean::OPCODE,
        [fitted([1_030.0, 0.0], &[240.0, 95.3, 31.7, 16.2]), fitted([600.0, 0.0], &[171.0, 37.6, 26.2, 13.0])],
    ),
    (
        MeanF32::OPCODE,
        [fitted([1_490.0, 0.0], &[158.0, 186.0, 11.0, 129.0]), fitted([644.0, 0.0], &[112.0, 110.0, 11.0, 10.4])],
    ),
    (Softmax::OPCODE, [fitted([1_170.0, 0.0], &[743.0, 1_670.0]), fitted([597.0, 0.0], &[279.0, 400.0])]),
    (SoftmaxF32::OPCODE, [fitted([330.0, 0.0], &[55.0, 3_070.0]), fitted([548.0, 0.0], &[55.0, 102.0])]),
    (Table::OPCODE, [fitted([1_350.0, 0.0], &[55.0, 7.71]), fitted([817.0, 0.0], &[55.0, 5.5])]),
    (UnaryF32::OPCODE, [fitted([2_620.0, 0.0], &[55.0, 4_420.0]), fitted([604.0, 0.0], &[55.0, 108.0])]),
    (Quantise::OPCODE, [fitted([889.0, 0.0], &[55.0, 488.0]), fitted([531.0, 0.0], &[55.0, 35.2])]),
    (Dequantise::OPCODE, [fitted([898.0, 0.0], &[55.0, 208.0]), fitted([530.0, 0.0], &[55.0, 8.81])]),
    (
        PairedConv2d::OPCODE,
        [
            fitted([2_800.0, 4.5], &[300.0, 150.0, 14.0, 16.0, 34.0, 9.5, 150.0, 2.0]),
            fitted([2_800.0, 4.5], &[300.0, 150.0, 14.0, 16.0, 34.0, 9.5, 150.0, 2.0]),
        ],
    ),
    (
        QuadDepthwiseConv2d::OPCODE,
        [
            fitted([1_030.0, 0.71], &[404.0, 110.0, 136.0, 0.0, 56.0, 0.0, 17.1]),
            fitted([1_030.0, 0.71], &[404.0, 110.0, 136.0, 0.0, 56.0, 0.0, 17.1]),
        ],
    ),
    (PairedFullyConnected::OPCODE, [fitted([919.0, 0.0], &[263.0, 26.1]), fitted([919.0, 0.0], &[263.0, 26.1])]),
    (LinearAdd::OPCODE, [fitted([1_420.0, 0.0], &[55.0, 27.1]), fitted([838.0, 0.0], &[61.7, 9.9])]),
    (
        PlaneDepthwiseConv2d::OPCODE,
        [fitted([1_870.0, 1.21], &[55.0, 452.0, 232.0, 29.0]), fitted([1_870.0, 1.21], &[55.0, 452.0, 232.0, 29.0])],
    ),
    (
        StackDepthwiseConv2d::OPCODE,
        [
            fitted([3_000.0, 20.0], &[1_000.0, 50.0, 40.0, 220.0]),
            fitted([3_000.0, 20.0], &[1_000.0, 50.0, 40.0, 220.0]),
        ],
    ),
    (
        WinogradConv2d::OPCODE,
        [
            fitted([1_000.0, 0.0], &[400.0, 1_600.0, 4_000.0, 60.0, 3_000.0, 9_000.0, 40_000.0, 12_000.0]),
            fitted([1_000.0, 0.0], &[400.0, 1_600.0, 500.0, 60.0, 2_000.0, 520.0, 4_500.0, 650.0]),
        ],
    ),
    (
        PlaneConv2d::OPCODE,
        [fitted([1_870.0, 1.21], &[232.0, 113.0, 40.0, 29.0]), fitted([1_870.0, 1.21], &[232.0, 113.0, 40.0, 29.0])],
    ),
    (Pad::OPCODE, [fitted([1_500.0, 9.0], &[875.0, 500.0, 9.0]), fitted([1_000.0, 9.0], &[775.0, 400.0, 9.0])]),
    (Peak::OPCODE, [fitted([330.0, 0.0], &[55.0, 19.8]), fitted([330.0, 0.0], &[55.0, 16.8])]),
    (Mfcc::OPCODE, [fitted([2_830.0, 0.0], &[55.0, 1_900.0]), fitted([538.0, 0.0], &[55.0, 293.0])]),
    (LogMel::OPCODE, [fitted([330.0, 0.0], &[55.0, 1_210.0]), fitted([330.0, 0.0], &[55.0, 174.0])]),
    (
        Conv2dI16::OPCODE,
        [
            fitted([3_200.0, 0.0], &[400.0, 400.0, 400.0, 25.0, 80.0, 11.0]),
            fitted([1_900.0, 0.0], &[300.0, 300.0, 200.0, 12.0, 50.0, 7.0]),
        ],
    ),
    (FullyConnectedI16::OPCODE, [fitted([2_100.0, 0.0], &[700.0, 25.0]), fitted([1_300.0, 0.0], &[400.0, 12.0])]),
    (AddI16::OPCODE, [fitted([1_500.0, 0.0], &[55.0, 300.0, 340.0]), fitted([910.0, 0.0], &[55.0, 220.0, 140.0])]),
    (MulI16::OPCODE, [fitted([1_550.0, 0.0], &[55.0, 300.0, 130.0]), fitted([940.0, 0.0], &[55.0, 220.0, 60.0])]),
    (
        AveragePoolI16::OPCODE,
        [
            fitted([1_000.0, 0.0], &[250.0, 500.0, 200.0, 50.0, 25.0]),
            fitted([600.0, 0.0], &[250.0, 450.0, 50.0, 30.0, 20.0]),
        ],
    ),
    (
        MaxPoolI16::OPCODE,
        [
            fitted([1_000.0, 0.0], &[100.0, 500.0, 50.0, 50.0, 25.0]),
            fitted([600.0, 0.0], &[100.0, 450.0, 40.0, 30.0, 20.0]),
        ],
    ),
    (
        MeanI16::OPCODE,
        [fitted([1_050.0, 0.0], &[240.0, 150.0, 50.0, 20.0]), fitted([600.0, 0.0], &[171.0, 60.0, 40.0, 16.0])],
    ),
    (SoftmaxI16::OPCODE, [fitted([1_200.0, 0.0], &[800.0, 500.0]), fitted([600.0, 0.0], &[300.0, 200.0])]),
    (SigmoidI16::OPCODE, [fitted([1_350.0, 0.0], &[55.0, 100.0]), fitted([820.0, 0.0], &[55.0, 60.0])]),
    (Rescale::OPCODE, [fitted([1_000.0, 0.0], &[55.0, 180.0]), fitted([600.0, 0.0], &[55.0, 80.0])]),
    (QuantiseI16::OPCODE, [fitted([889.0, 0.0], &[55.0, 488.0]), fitted([531.0, 0.0], &[55.0, 35.2])]),
    (DequantiseI16::OPCODE, [fitted([898.0, 0.0], &[55.0, 208.0]), fitted([530.0, 0.0], &[55.0, 8.81])]),
    (
        DepthwiseConv2dI16::OPCODE,
        [
            fitted([6_600.0, 0.0], &[400.0, 400.0, 400.0, 25.0, 80.0, 11.0]),
            fitted([1_900.0, 0.0], &[300.0, 300.0, 200.0, 12.0, 50.0, 7.0]),
        ],
    ),
];

/// Rows of a kernel, and the instructions that they take at most on the cores of `isa`.
pub fn work(kernel: &dyn AnyKernel, isa: InstructionSet) -> Work {
    let column = match isa {
        InstructionSet::Armv7em => 1,
        _ => 0,
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
