//! Any bytes as a `.tflite` file: refused, or a graph that compiles or is refused for every instruction set. No panic,
//! no hang, no large allocation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rasbora_compiler::{import::tflite, pipeline, target::InstructionSet};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(imported) = tflite::read(bytes) {
        let _ = pipeline::compile(imported.graph.clone(), InstructionSet::Portable);
        let _ = pipeline::compile(imported.graph, InstructionSet::Armv7em);
    }
});
