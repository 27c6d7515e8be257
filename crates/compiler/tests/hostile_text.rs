//! Graphs that nearly make sense: the golden graphs with numbers and operands replaced at random. Whatever parses must be
//! judged by the verifier, and whatever it accepts must print, count and lower, without a panic.

use std::fs;
use std::path::Path;

use rasbora_compiler::choice::Choices;
use rasbora_compiler::graph::text::{parse, print_with_constants};
use rasbora_compiler::graph::verify::verify;
use rasbora_compiler::lower::lower;
use rasbora_compiler::target::InstructionSet;

const MUTANTS_A_GRAPH: usize = 300;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }
    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Splits `text` into numbers, operands, names of types, and what is between.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut last_in_word = false;
    for c in text.chars() {
        let in_word = c.is_ascii_alphanumeric() || "%.-_".contains(c);
        match tokens.last_mut() {
            Some(token) if in_word && last_in_word => token.push(c),
            _ => tokens.push(c.into()),
        }
        last_in_word = in_word;
    }
    tokens
}

fn mutate(tokens: &mut [String], random: &mut Random) {
    const NUMBERS: [&str; 17] = [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "7",
        "-1",
        "-5",
        "255",
        "300",
        "65536",
        "16777217",
        "2147483647",
        "4294967297",
        "1099511627776",
        "-2147483648",
    ];
    let at = random.below(tokens.len());
    let Some(at) =
        (at..tokens.len()).find(|&at| tokens[at].starts_with(|c: char| c.is_ascii_digit() || "%-]ifu".contains(c)))
    else {
        return;
    };
    let replacement = match tokens[at].as_str() {
        token if token.starts_with('%') => match random.below(4) {
            0 => String::new(),
            1 => format!("{token}, {token}"),
            _ => format!("%{}", random.below(6)),
        },
        "]" => random.pick(&[", 1]", ", 0]", ", 3]"]).into(),
        "int8" | "int32" | "uint8" | "float32" => random.pick(&["int8", "uint8", "int32", "float32"]).into(),
        token if token.starts_with(['i', 'f', 'u']) => return,
        token if token.contains('.') => random.pick(&["0.0", "-1.0", "inf", "NaN", "1e30", "1e-30", "2.5"]).into(),
        _ => random.pick(&NUMBERS).into(),
    };
    tokens[at] = replacement;
}

#[test]
fn graphs_that_nearly_make_sense_are_judged() {
    let mut random = Random(1);
    let (mut parsed, mut accepted) = (0, 0);
    for folder in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ir")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let original = tokens(text.split("\n---\n").next().unwrap_or(&text));
            for _ in 0..MUTANTS_A_GRAPH {
                let mut mutant = original.clone();
                for _ in 0..=random.below(3) {
                    mutate(&mut mutant, &mut random);
                }
                let Ok(graph) = parse(&mutant.concat(), None) else { continue };
                parsed += 1;
                let (printed, constants) = print_with_constants(&graph);
                assert_eq!(format!("{:?}", parse(&printed, Some(&constants))), format!("{:?}", Ok::<_, ()>(&graph)));
                if verify(&graph).is_ok() {
                    accepted += 1;
                    let _ = graph.macs();
                    let _ = lower(&graph, InstructionSet::Portable, &Choices::new());
                }
            }
        }
    }
    assert!(parsed > accepted && accepted > 0, "{parsed} parsed, {accepted} accepted");
}
