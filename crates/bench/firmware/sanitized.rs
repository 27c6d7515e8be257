//! What `damaged.rs` does, on a host under a sanitizer: program and arena are allocations of just their sizes.

mod mutation;

use std::alloc::{Layout, alloc_zeroed, dealloc};

use rasbora_device::interpreter::{AllKernels, Interpreter};
use rasbora_device::isa::Portable;
use rasbora_device::network::Progress;

/// Bytes at a multiple of 16, with nothing behind them.
struct Exact {
    start: *mut u8,
    layout: Layout,
}

impl Exact {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), 16).expect("a layout");
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        assert!(!start.is_null(), "no memory");
        Self { start, layout }
    }

    fn bytes(&mut self, bytes: usize) -> &mut [u8] {
        // SAFETY: at most the layout's bytes, which are initialised.
        unsafe { std::slice::from_raw_parts_mut(self.start, bytes.min(self.layout.size())) }
    }
}

impl Drop for Exact {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, self.layout) }
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

fn main() {
    let job = words(&std::fs::read("job").expect("a job"));
    let file = std::fs::read("program").expect("a program");
    let (original, front, arena_bytes) = (&file[4..], job[2] as usize, job[3] as usize);
    let codes = (job[0]..job[0] + job[1]).flat_map(|seed| {
        let (mut program, mut arena) = (Exact::new(original.len()), Exact::new(arena_bytes));
        let program = program.bytes(original.len());
        program.copy_from_slice(original);
        mutation::damage(program, front, seed.into());
        run(program, arena.bytes(arena_bytes), seed).to_le_bytes()
    });
    let codes: Vec<u8> = codes.collect();
    std::fs::write("output", codes).expect("a file");
}

fn run(program: &[u8], arena: &mut [u8], seed: u32) -> i32 {
    match Interpreter::<AllKernels, Portable>::new(program, arena) {
        Ok(mut interpreter) => {
            for index in 0..interpreter.program().inputs() {
                interpreter.input_mut(index).fill(seed as u8);
            }
            if seed & 4 == 0 {
                interpreter.run();
            } else {
                while interpreter.step(10_000) == Progress::Pending {}
            }
            0
        }
        Err(fault) => fault.code(),
    }
}
