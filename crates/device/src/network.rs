//! What every emitted network offers to code that is generic over networks, such as a measuring harness.

/// A network emitted as Rust. The caller owns the arena; inputs and outputs live in it and are lent as bytes.
pub trait Network<'a>: Sized {
    /// Bytes of working memory, network inputs and outputs included.
    const ARENA_BYTES: usize;
    /// Number of steps of one inference.
    const STEPS: usize;
    /// Number of network inputs.
    const INPUTS: usize;
    /// Number of network outputs.
    const OUTPUTS: usize;
    /// The memory that the network works in: `ARENA_BYTES` bytes, aligned to 16.
    type Arena: 'a;

    /// An arena of zeros.
    fn arena() -> Self::Arena;
    /// Takes the arena and sets the network's state to its initial values.
    fn new(arena: &'a mut Self::Arena) -> Self;
    /// The bytes of input `index`, to be filled before [`Network::run`]; empty where there is no such input.
    fn input_bytes(&mut self, index: usize) -> &mut [u8];
    /// The bytes of output `index`, valid after [`Network::run`]; empty where there is no such output.
    fn output_bytes(&self, index: usize) -> &[u8];
    /// The whole arena, for tracing intermediate tensors.
    fn arena_bytes(&self) -> &[u8];
    /// One inference.
    fn run(&mut self);
    /// Step `index` alone: `run` is `step(0)` to `step(STEPS - 1)`.
    fn step(&mut self, index: usize);
}
