use super::*;
use crate::graph::text::parse;

const GOOD: &str = r#"graph {
  input %0 "x" int8[1, 4, 4, 1] scale 0.5 zero -3
  const %1 "w" int8[2, 1, 1, 1] scales [0.25, 0.5] axis 0 = [1, -2]
  const %2 "b" int32[2] = [10, 20]
  %3 "y" int8[1, 4, 4, 2] scale 0.1 zero 0 = Conv2d(sliding: (stride: (1, 1), dilation: (1, 1), padding: ((0, 0), (0, 0))), activation: None, input_offset: 3, padding_value: -3)(%0, %1, %2)
  output %3
}"#;

/// The verdict on [`GOOD`] with `from` replaced by `to`.
fn verdict(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    match verify(&parse(&GOOD.replacen(from, to, 1), None).unwrap()) {
        Ok(()) => "ok".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_rule_is_told() {
    for (from, to, message) in [
        ("}", "}", "ok"),
        ("\"b\"", "\"x\"", "%0 and %2 are both named 'x'; names must differ"),
        ("[10, 20]", "[10]", "tensor 'b' is constant with 4 bytes, but its shape [2] needs 8"),
        ("[0.25, 0.5]", "[0.25, 0.5, 1.0]", "tensor 'w' has 3 scales along axis 0 of shape [2, 1, 1, 1]"),
        ("[0.25, 0.5]", "[]", "tensor 'w' has 0 scales and 0 zero points; needs at least 1 and as many, or 1"),
        ("axis 0", "axis 7", "tensor 'w' has 2 scales along axis 7 of shape [2, 1, 1, 1]"),
        (
            "output %3",
            "input %3 output %3",
            "node 'y' (Conv2d) writes tensor 'y', which is an input or a state of the network",
        ),
        ("output %3", "input %2 output %3", "the caller writes tensor 'b', which is constant"),
        ("output %3", "input %0 output %3", "the caller writes tensor 'x', which is an input already"),
        (
            "output %3",
            "state %0 = [] becomes %0 output %3",
            "tensor 'x' is a state with 0 initial bytes, but its shape [1, 4, 4, 1] needs 16",
        ),
        (
            "output %3",
            "state %4 \"s\" int32[1] = [5] becomes %3 output %3",
            "tensor 's' is a state of int32[1], but becomes 'y' of int8[1, 4, 4, 2]",
        ),
        (
            "output %3",
            "state %4 \"s\" int8[1] = [5] becomes %4 state %4 = [6] becomes %4 output %3",
            "the run before writes tensor 's', which is an input or a state already",
        ),
        ("output %3", "state %4 \"s\" int32[2] = [5, 6] becomes %2 output %3", "ok"),
        (
            "output %3",
            "tensor %5 \"t\" int8[1] state %4 \"s\" int8[1] = [5] becomes %5 output %3",
            "the next run reads tensor 't', which nothing writes",
        ),
        ("output %3", "tensor %4 \"z\" int8[1] output %4", "the caller reads tensor 'z', which nothing writes"),
        ("(%0, %1, %2)", "(%3, %1, %2)", "node 'y' (Conv2d) reads tensor 'y', which nothing has written by then"),
        ("(%0, %1, %2)", "(%0, %1)", "node 'y' (Conv2d) needs input, weights and bias, but has 2 inputs"),
        (
            "[1, 4, 4, 2]",
            "[1, 4, 4, 3]",
            "node 'y' (Conv2d) writes shapes [[1, 4, 4, 2]], but the graph declares [[1, 4, 4, 3]]",
        ),
        ("int32[2] =", "float32[2] =", "node 'y' (Conv2d) needs a bias of type int32, but 'b' is float32"),
    ] {
        assert_eq!(verdict(from, to), message);
    }
}

#[test]
fn an_index_beyond_the_tensors_is_told() {
    let graph = Graph { outputs: vec![TensorId(3)], ..Graph::default() };
    assert_eq!(verify(&graph).unwrap_err().to_string(), "the list of outputs mentions %3, but the graph has 0 tensors");
}

#[test]
fn a_tensor_is_written_once() {
    let mut graph = parse(GOOD, None).unwrap();
    let node = graph.nodes[0].clone();
    graph.nodes.push(node);
    assert_eq!(
        verify(&graph).unwrap_err().to_string(),
        "node 'y' (Conv2d) writes tensor 'y', which is written already"
    );
}

#[test]
fn sizes_are_bounded_even_beside_an_empty_axis() {
    assert_eq!(checked_bytes(&[2, 3], DType::I32), Some(24));
    assert_eq!(checked_bytes(&[0, 3], DType::I8), Some(0));
    assert_eq!(checked_bytes(&[0, 1 << 40, 1 << 40], DType::I8), None);
    assert_eq!(checked_bytes(&[1 << 29], DType::F32), None);
}
