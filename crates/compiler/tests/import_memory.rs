//! That a hostile .tflite file of 1 MB makes the importer allocate less than 64 MB, and return within a second.
//!
//! The files name the same bytes from many places. They are written by hand, since no honest writer makes them. One test,
//! alone in its process, because it measures the allocations of all threads.

use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use rasbora_compiler::import::tflite::read;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Size of each file in bytes, about.
const FILE: usize = 1_000_000;
/// Most bytes that importing it may allocate.
const MOST: usize = 64 << 20;

const CONCATENATION: usize = 2;
const CUSTOM: usize = 32;
const INT8: usize = 9;

/// A FlatBuffer in the making: parents first, so that offsets point forward.
struct Flat(Vec<u8>);

impl Flat {
    /// A file whose root is a table with the fields `present`; gives the places of these.
    fn new(present: &[usize]) -> (Self, Vec<usize>) {
        let mut flat = Self(b"\0\0\0\0TFL3".to_vec());
        let fields = flat.table(present);
        let table = fields[0] - 4;
        flat.set(0, table);
        (flat, fields)
    }

    fn word(&mut self, word: usize) -> usize {
        self.0.extend((word as u32).to_le_bytes());
        self.0.len() - 4
    }

    fn set(&mut self, at: usize, word: usize) {
        self.0[at..at + 4].copy_from_slice(&(word as u32).to_le_bytes());
    }

    /// A table whose fields are all of 4 bytes; gives their places.
    fn table(&mut self, present: &[usize]) -> Vec<usize> {
        let count = present.iter().max().map_or(0, |last| last + 1);
        let mut offsets = vec![0u16; count];
        for (place, &field) in present.iter().enumerate() {
            offsets[field] = 4 + 4 * place as u16;
        }
        let vtable = self.0.len();
        for half in [4 + 2 * count as u16, 4 + 4 * present.len() as u16].into_iter().chain(offsets) {
            self.0.extend(half.to_le_bytes());
        }
        let table = self.0.len();
        self.word(table - vtable);
        present.iter().map(|_| self.word(0)).collect()
    }

    /// Makes the offset at `at` point to what comes next.
    fn here(&mut self, at: usize) {
        self.set(at, self.0.len() - at);
    }

    /// A vector for the field at `at`; gives the places of its elements.
    fn vector(&mut self, at: usize, words: impl ExactSizeIterator<Item = usize>) -> Vec<usize> {
        self.here(at);
        self.word(words.len());
        words.map(|word| self.word(word)).collect()
    }

    /// A table behind its own vtable, to which all of `from` point; gives the places of its fields.
    fn shared_table(&mut self, from: &[usize], present: &[usize]) -> Vec<usize> {
        let fields = self.table(present);
        from.iter().for_each(|&at| self.set(at, fields[0] - 4 - at));
        fields
    }

    /// Bytes, or a string, for the field at `at`.
    fn bytes(&mut self, at: usize, count: usize) {
        self.here(at);
        self.word(count);
        self.0.resize(self.0.len() + count, b'x');
        self.0.push(0);
    }
}

/// A model with `tensors` and `operators` offsets, and operator code `code`; gives the places of the offsets to
/// tensors, operators and buffers.
fn model(code: usize, tensors: usize, operators: usize, buffers: usize) -> (Flat, [Vec<usize>; 3]) {
    let (mut flat, fields) = Flat::new(&[0, 1, 2, 4]);
    flat.set(fields[0], 3);
    let codes = flat.vector(fields[1], [0].into_iter());
    let field = flat.shared_table(&codes, &[3])[0];
    flat.set(field, code);
    let subgraphs = flat.vector(fields[2], [0].into_iter());
    let subgraph = flat.shared_table(&subgraphs, &[0, 2, 3]);
    flat.vector(subgraph[1], [0].into_iter());
    let tensors = flat.vector(subgraph[0], vec![0; tensors].into_iter());
    let operators = flat.vector(subgraph[2], vec![0; operators].into_iter());
    let buffers = flat.vector(fields[3], vec![0; buffers].into_iter());
    (flat, [tensors, operators, buffers])
}

/// A tensor with a name of `name` bytes and shape `[size]`, to which all of `from` point.
fn tensor(flat: &mut Flat, from: &[usize], name: usize, size: usize, buffer: usize) {
    let fields = flat.shared_table(from, &[0, 1, 2, 3]);
    flat.set(fields[1], INT8);
    flat.set(fields[2], buffer);
    flat.vector(fields[0], [size].into_iter());
    flat.bytes(fields[3], name);
}

fn many_names() -> Vec<u8> {
    let (mut flat, [tensors, ..]) = model(CUSTOM, FILE / 4, 0, 0);
    tensor(&mut flat, &tensors, 4000, 1, 0);
    flat.0
}

fn many_reasons() -> Vec<u8> {
    let (mut flat, [tensors, operators, _]) = model(CUSTOM, 1, FILE / 4, 0);
    tensor(&mut flat, &tensors, 4000, 1, 0);
    let fields = flat.shared_table(&operators, &[0, 1]);
    flat.vector(fields[1], vec![0; 100].into_iter());
    flat.0
}

fn many_copies() -> Vec<u8> {
    let (count, size) = (500, FILE - 50_000);
    let (mut flat, [tensors, operators, buffers]) = model(CONCATENATION, count, 1, count);
    for (place, at) in tensors.iter().enumerate() {
        tensor(&mut flat, &[*at], 0, size, place);
    }
    let fields = flat.shared_table(&operators, &[0, 1, 2, 3, 4]);
    flat.vector(fields[1], 1..count);
    flat.vector(fields[2], [0].into_iter());
    flat.set(fields[3], 10);
    flat.shared_table(&fields[4..], &[0]);
    let field = flat.shared_table(&buffers, &[0])[0];
    flat.bytes(field, size);
    flat.0
}

#[test]
fn hostile_files_take_little_memory_and_time() {
    for (name, bytes) in [("names", many_names()), ("reasons", many_reasons()), ("copies", many_copies())] {
        ALLOCATOR.reset_peak_usage();
        let (before, start) = (ALLOCATOR.current_usage(), Instant::now());
        let error = read(&bytes).expect_err(name).to_string();
        let (peak, time) = (ALLOCATOR.peak_usage() - before, start.elapsed());
        println!("{name}: {} bytes of file, {peak} bytes of memory, {time:?}: {error:.80}", bytes.len());
        assert!(error.contains("parts of it overlap"), "{name}: {error:.200}");
        assert!(peak < MOST, "{name}: {peak} bytes");
        assert!(time < Duration::from_secs(1), "{name}: {time:?}");
    }
}
