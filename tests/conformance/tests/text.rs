//! The text form of every network of the corpus, as imported and after all passes, parses to the same network.

use conformance::{corpus, models};
use rasbora_compiler::graph::Graph;
use rasbora_compiler::graph::text::{parse, print_with_constants};
use rasbora_compiler::import::tflite;
use rasbora_compiler::pipeline::optimise;

#[test]
fn text_of_the_corpus_parses_to_the_same_networks() {
    let Some(corpus) = corpus() else { return };
    let mut networks = 0;
    for name in models(&corpus) {
        let bytes = std::fs::read(corpus.join("tflite").join(format!("{name}.tflite"))).expect("a readable model");
        let Ok(imported) = tflite::read(&bytes) else { continue };
        let mut graph = imported.graph;
        same(&name, &graph);
        if let Err(error) = optimise(&mut graph, None) {
            panic!("{name}: {error}");
        }
        same(&name, &graph);
        networks += 1;
    }
    println!("{networks} networks");
    assert!(networks > 0);
}

fn same(name: &str, graph: &Graph) {
    let (text, constants) = print_with_constants(graph);
    let parsed = parse(&text, Some(&constants)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(parsed == *graph, "{name} changes when it is printed and parsed");
    assert!(print_with_constants(&parsed) == (text, constants), "{name} prints in another way when it is parsed");
}
