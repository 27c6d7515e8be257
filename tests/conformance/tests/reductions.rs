//! How far exact reductions shrink the models of the figures. That their bytes stay is for the other tests to show.

use conformance::{FIGURES, corpus};
use rasbora_compiler::graph::{DType, Graph, TensorId};
use rasbora_compiler::import::tflite;
use rasbora_compiler::passes::remove_constant_channels;
use rasbora_compiler::pipeline::optimise;

/// Of each model: multiply-accumulates as the file has them and after all passes, and bytes of 8-bit weights before and
/// after.
const EXPECTED: [(&str, [u64; 2], [usize; 2]); 8] = [
    ("kws", [2_656_768, 2_656_768], [22_016, 22_016]),
    ("vww", [7_489_664, 3_727_313], [208_112, 29_066]),
    ("ic", [12_501_632, 12_501_632], [77_360, 77_360]),
    ("ad", [264_192, 264_192], [264_192, 264_192]),
    ("sww", [826_368, 826_368], [46_040, 46_040]),
    ("ic_large", [76_473_920, 72_388_544], [479_480, 433_286]),
    ("person", [7_157_888, 7_077_246], [207_968, 207_676]),
    ("micro_speech", [336_000, 336_000], [16_640, 16_640]),
];

/// Bytes of the 8-bit constants that nodes read.
fn weights(graph: &Graph) -> usize {
    let read = |id: &TensorId| graph.nodes.iter().any(|node| node.inputs.contains(id));
    let ids = (0..graph.tensors.len()).map(TensorId).filter(read);
    let weights = ids.map(|id| &graph[id]).filter(|tensor| tensor.dtype == DType::I8 && tensor.constant.is_some());
    weights.map(|tensor| tensor.bytes()).sum()
}

#[test]
fn constant_channels_go() {
    let Some(corpus) = corpus() else { return };
    let measured = FIGURES.map(|(name, path)| {
        let model = std::fs::read(corpus.join("tflite").join(format!("{path}.tflite"))).expect("a readable model");
        let before = tflite::read(&model).expect("a supported model").graph;
        let mut after = before.clone();
        optimise(&mut after, None).expect("a valid graph");
        assert!(!remove_constant_channels(&mut after.clone()).0, "{name}: the passes leave constant channels");
        (name, [before.macs(), after.macs()], [weights(&before), weights(&after)])
    });
    for (name, macs, weights) in measured {
        println!(
            "{name}: {} → {} multiply-accumulates, {} → {} bytes of weights",
            macs[0], macs[1], weights[0], weights[1]
        );
    }
    assert_eq!(measured, EXPECTED);
}
