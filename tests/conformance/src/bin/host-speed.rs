//! Times a model on the host, as often as asked: for each number that a line of the input says, runs that many inferences
//! on one thread and prints the seconds of each.
//!
//! `tests/oracle/host_speed.py` asks in turn with LiteRT, so that both are measured in the same minutes.

use std::error::Error;
use std::io::{BufRead, stdin};
use std::time::Instant;

use rasbora_compiler::host::{Host, fill_inputs};
use rasbora_compiler::import::tflite;
use rasbora_compiler::pipeline::compile;
use rasbora_compiler::target::InstructionSet;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("wants the path of a .tflite file")?;
    let graph = tflite::read(&std::fs::read(path)?)?.graph;
    let program = compile(graph, InstructionSet::Portable)?.program;
    let mut host = Host::new(&program);
    let mut interpreter = host.start()?;
    let sizes: Vec<usize> =
        (0..interpreter.program().inputs()).map(|index| interpreter.input_mut(index).len()).collect();
    // Any numbers: the kernels take as long with others.
    let inputs: Vec<Vec<u8>> = sizes.iter().map(|&bytes| (0..bytes).map(|i| (i * i % 251) as u8).collect()).collect();
    for line in stdin().lock().lines() {
        let start = Instant::now();
        let count: u32 = line?.trim().parse()?;
        for _ in 0..count {
            fill_inputs(&mut interpreter, &inputs)?;
            interpreter.run();
        }
        println!("{}", start.elapsed().as_secs_f64() / f64::from(count));
    }
    Ok(())
}
