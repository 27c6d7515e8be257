//! Any text as a graph: refused, or printed and parsed to the same graph again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rasbora_compiler::graph::{text, verify};

fuzz_target!(|source: &str| {
    if let Ok(graph) = text::parse(source, None) {
        let _ = verify::verify(&graph);
        let (printed, constants) = text::print_with_constants(&graph);
        let parsed = text::parse(&printed, Some(&constants));
        // `Debug` tells −0 from 0 and takes NaN for itself.
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Ok::<_, ()>(&graph)));
    }
});
