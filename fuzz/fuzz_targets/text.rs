//! Any text as a graph: refused, or printed and parsed to the same graph again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rasbora_compiler::graph::{text, verify};

fuzz_target!(|source: &str| {
    if let Ok(graph) = text::parse(source) {
        let _ = verify::verify(&graph);
        let printed = text::print(&graph);
        assert_eq!(text::parse(&printed).as_ref(), Ok(&graph));
    }
});
