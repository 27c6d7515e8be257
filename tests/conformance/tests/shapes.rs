//! Every kernel for which an instruction set has a variant, over thousands of small layers drawn at random, extremes of
//! weights, sums and multipliers included: the bytes of the portable kernel, and none written beside them.

use std::time::Duration;

use rasbora_bench::compare_shapes;
use rasbora_compiler::target::find;

/// Layers of each kernel.
const SHAPES: u32 = 2_000;

/// A target for each instruction set, and the kernels that use what it does faster.
const VARIANTS: [(&str, &[&str]); 5] = [
    (
        "cortex-m0",
        &["Conv2d", "DepthwiseConv2d", "FullyConnected", "Conv2dI16", "DepthwiseConv2dI16", "FullyConnectedI16"],
    ),
    (
        "cortex-m4",
        &[
            "AveragePool",
            "PairedConv2d",
            "PairedFullyConnected",
            "QuadDepthwiseConv2d",
            "PlaneDepthwiseConv2d",
            "PlaneConv2d",
            "WinogradConv2d",
            "Mfcc",
            "LogMel",
            "Pad",
            "Conv2dI16",
            "DepthwiseConv2dI16",
            "FullyConnectedI16",
        ],
    ),
    // The assembly of Armv7E-M on another architecture that has its instructions.
    ("cortex-m33", &["DepthwiseConv2dI16"]),
    (
        "cortex-m55",
        &[
            "Conv2d",
            "DepthwiseConv2d",
            "StackDepthwiseConv2d",
            "FullyConnected",
            "Conv2dI16",
            "DepthwiseConv2dI16",
            "FullyConnectedI16",
        ],
    ),
    (
        "rv32imac",
        &["Conv2d", "DepthwiseConv2d", "FullyConnected", "Conv2dI16", "DepthwiseConv2dI16", "FullyConnectedI16"],
    ),
];

#[test]
fn variants_equal_the_portable_kernels() {
    for (name, kernels) in VARIANTS {
        let target = find(name).expect("a target of the table");
        let lines = compare_shapes(target, kernels, 0..SHAPES, Duration::from_secs(300));
        let lines = lines.unwrap_or_else(|error| panic!("{name}: {error}"));
        for (line, kernel) in lines.iter().zip(kernels) {
            println!("{name}: {line}");
            assert!(line.starts_with(&format!("{kernel}: {SHAPES} shapes equal")), "{line}");
        }
        assert_eq!(lines.len(), kernels.len());
    }
}
