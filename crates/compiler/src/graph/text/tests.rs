use std::sync::Arc;

use super::*;
use crate::graph::State;
use crate::graph::verify::verify;
use crate::ops::{Activation, Conv2d, Sliding};

/// Marsaglia's xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }
    fn chance(&mut self) -> bool {
        self.below(2) == 0
    }
    fn float(&mut self) -> f32 {
        match self.below(8) {
            0 => -0.0,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            3 => f32::MIN_POSITIVE / 3.0,
            4 => self.below(100) as f32,
            _ => f32::from_bits(self.below(1 << 32) as u32),
        }
    }
    fn list<T>(&mut self, most: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| item(self)).collect()
    }
    fn name(&mut self) -> String {
        const CHARS: [char; 14] =
            ['a', 'Z', '9', ' ', '"', '\\', '\n', '\0', '}', '/', 'é', '\u{202e}', '\u{1f41f}', '\u{301}'];
        self.list(6, |random| CHARS[random.below(CHARS.len())]).into_iter().collect()
    }

    fn tensor(&mut self) -> Tensor {
        let dtype = [DType::I8, DType::U8, DType::F32, DType::I32, DType::I16][self.below(5)];
        let quantisation = self.chance().then(|| Quantisation {
            scales: self.list(3, Self::float),
            zero_points: self.list(3, |random| random.below(9) as i32 - 4),
            axis: self.below(3),
        });
        let constant = self.chance().then(|| {
            let bytes = if self.below(4) == 0 { 300 } else { 9 };
            Arc::from(self.list(bytes, |random| random.below(256) as u8))
        });
        let source = self.chance().then(|| self.below(1000));
        Tensor {
            name: self.name(),
            shape: self.list(6, |random| random.below(9)),
            dtype,
            quantisation,
            constant,
            source,
        }
    }

    /// A graph of any sense or none, with indices that exist.
    fn graph(&mut self) -> Graph {
        let mut graph = Graph { tensors: self.list(9, Self::tensor), ..Graph::default() };
        let count = graph.tensors.len();
        let ids = |random: &mut Self, most| {
            if count == 0 { Vec::new() } else { random.list(most, |random| TensorId(random.below(count))) }
        };
        for _ in 0..self.below(5) {
            let pair = |random: &mut Self| [random.below(5), random.below(1 << 40)];
            let sliding = Sliding { stride: pair(self), dilation: pair(self), padding: [pair(self), pair(self)] };
            let activation = [Activation::None, Activation::Relu6][self.below(2)];
            let op = Conv2d { sliding, activation, input_offset: self.below(1 << 32) as i32, padding_value: -3 };
            let (inputs, outputs) = (ids(self, 4), ids(self, 2));
            let name = match outputs.first() {
                Some(id) if self.chance() => graph[*id].name.clone(),
                _ => self.name(),
            };
            let sources = self.list(3, |random| random.below(50));
            graph.nodes.push(Node { name, op: op.into(), inputs, outputs, sources, model_macs: self.below(3) as u64 });
        }
        graph.inputs = ids(self, 3);
        graph.outputs = ids(self, 3);
        let ends = ids(self, 2).into_iter().zip(ids(self, 2));
        let mut state =
            |(tensor, next)| State { tensor, next, initial: self.list(9, |random| random.below(256) as u8).into() };
        graph.states = ends.map(&mut state).collect();
        graph
    }
}

#[test]
fn what_is_printed_parses_to_the_same_graph() {
    let mut random = Random(1);
    for _ in 0..2000 {
        let graph = random.graph();
        let (text, constants) = print_with_constants(&graph);
        let parsed = parse(&text, Some(&constants)).unwrap_or_else(|error| panic!("{error}\n{text}"));
        // `Debug` tells −0 from 0 and takes NaN for itself.
        assert_eq!(format!("{parsed:?}"), format!("{graph:?}"), "\n{text}");
        assert_eq!(print_with_constants(&parsed), (text, constants));
    }
}

#[test]
fn broken_texts_are_refused_or_graphs_that_the_verifier_can_judge() {
    let mut random = Random(2);
    for _ in 0..2000 {
        let (text, constants) = print_with_constants(&random.graph());
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=random.below(3) {
            let at = random.below(chars.len());
            match random.below(4) {
                0 => chars.truncate(at + 1),
                1 => chars[at] = ['%', '0', '9', '-', '"', '(', ']', '}', '#', 'é'][random.below(10)],
                2 => drop(chars.remove(at)),
                _ => chars.insert(at, chars[random.below(chars.len())]),
            }
            if chars.is_empty() {
                break;
            }
        }
        if let Ok(graph) = parse(&chars.into_iter().collect::<String>(), Some(&constants)) {
            let _ = verify(&graph);
            let _ = print(&graph);
        }
    }
}

#[test]
fn bits_of_floats_survive() {
    let scales = [f32::from_bits(0x7fc0_1234), f32::from_bits(0xffa0_0001), -0.0, f32::INFINITY, 0.1, f32::MAX];
    let quantisation = Quantisation { scales: scales.to_vec(), zero_points: vec![0; 6], axis: 0 };
    let tensor = Tensor {
        name: "t".into(),
        shape: vec![6],
        dtype: DType::F32,
        quantisation: Some(quantisation),
        constant: Some(crate::graph::bytes_of(scales).into()),
        source: None,
    };
    let graph = Graph { tensors: vec![tensor], ..Graph::default() };
    let parsed = parse(&print(&graph), None).unwrap();
    let bits = |graph: &Graph| {
        let scales = graph.tensors[0].quantisation.as_ref().unwrap().scales.iter().map(|scale| scale.to_bits());
        (scales.collect::<Vec<_>>(), graph.tensors[0].constant.clone())
    };
    assert_eq!(bits(&parsed), bits(&graph));
}

const EXAMPLE: &str = r#"graph {
  input %0 "x" int8[1, 4, 4, 1] scale 0.5 zero -3 @0
  const %1 "w" int8[2, 1, 1, 1] scales [0.25, 0.5] axis 0 @1 = [1, -2]
  const %2 "b" int32[2] = [10, 20]
  %3 "y" int8[1, 4, 4, 2] scale 0.1 zero 0 = Conv2d(sliding: (stride: (1, 1), dilation: (1, 1), padding: ((0, 0), (0, 0))), activation: None, input_offset: 3, padding_value: -3)(%0, %1, %2) named "conv+y" from [0, 1] macs 32
  output %3
}
"#;

#[test]
fn the_form_is_this() {
    let graph = parse(EXAMPLE, None).unwrap();
    verify(&graph).unwrap();
    assert_eq!(graph.to_string(), EXAMPLE);
    assert_eq!(graph.nodes[0].sources, [0, 1]);
}

#[test]
fn large_constants_lie_in_the_side_file_once() {
    let tensor = |name: &str| Tensor {
        name: name.into(),
        shape: vec![65],
        dtype: DType::I8,
        quantisation: None,
        constant: Some(vec![7; 65].into()),
        source: None,
    };
    let graph = Graph { tensors: vec![tensor("a"), tensor("b")], ..Graph::default() };
    let (text, constants) = print_with_constants(&graph);
    assert_eq!(constants, [7; 65]);
    assert_eq!(parse(&text, Some(&constants)), Ok(graph));
    let error = |constants: Option<&[u8]>| parse(&text, constants).unwrap_err().to_string();
    assert!(error(None).contains("a side file"), "{}", error(None));
    assert!(error(Some(&[7; 64])).contains("inside the side file"), "{}", error(Some(&[7; 64])));
    assert!(error(Some(&[8; 65])).contains("expected the hash #"), "{}", error(Some(&[8; 65])));
}

#[test]
fn errors_say_where_and_what() {
    for (from, to, message) in [
        ("zero -3", "zero x", r#"line 2, column 48: expected a zero point, but found "x""#),
        (
            "%3\n}",
            "%3\n",
            "line 8, column 1: expected `input`, `const`, `state`, `tensor`, `output`, a node, or `}`, but found the end of the text",
        ),
        (
            "output %3",
            "output %4",
            r#"line 6, column 10: expected a tensor that is declared, unlike %4, but found "%""#,
        ),
        (
            "activation: None",
            "activation: Cosine",
            r#"line 5, column 137: expected an op with its attributes: Unexpected variant named `Cosine` in enum `Activation`, expected one of `None`, `Relu`, `Relu6`, or `ReluN1To1` instead, but found "Cosine""#,
        ),
        ("1, 4, 4, 1]", "1, 4, 4, 1, 1, 1, 1]", r#"line 2, column 39: expected at most 6 axes, but found "1""#),
        (
            "1, 4, 4, 1]",
            "99999, 99999]",
            r#"line 2, column 20: expected a shape of less than 2^31 bytes, but found "[""#,
        ),
        ("[1, -2]", "[1, -200]", r#"line 3, column 68: expected an int8, but found "-200""#),
        (
            "\"x\"",
            "\"\\q\"",
            r#"line 2, column 13: expected one of the escapes \n \r \t \0 \\ \" \' \u{…}, but found "\\""#,
        ),
        ("%2 \"b\"", "%1 \"b\"", r#"line 4, column 9: expected one declaration of %1, with a second, but found "%""#),
    ] {
        assert!(EXAMPLE.contains(from));
        assert_eq!(parse(&EXAMPLE.replacen(from, to, 1), None).unwrap_err().to_string(), message);
    }
}

#[test]
fn overlapping_lists_cannot_multiply_the_side_file() {
    let bytes: Vec<u8> = (0..100).collect();
    let line = |index: usize| {
        let part = &bytes[index..];
        format!("const %{index} \"{index}\" int8[{0}] = #{1} {0} bytes at {index}\n", part.len(), short_hash(part))
    };
    assert!(parse(&format!("graph {{ {} }}", line(0)), Some(&bytes)).is_ok());
    let error = parse(&format!("graph {{ {}{} }}", line(0), line(1)), Some(&bytes)).unwrap_err();
    assert!(error.to_string().contains("do not overlap"), "{error}");
}
