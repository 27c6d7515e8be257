//! What every emitted network offers to code that is generic over networks, such as a measuring harness.

use crate::program::DType;

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

/// What an input or output of a network is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorInfo {
    /// The file's name for it.
    pub name: &'static str,
    /// Sizes of the axes, row-major.
    pub shape: &'static [usize],
    /// Type of the elements.
    pub dtype: DType,
    /// Real value of one step of the integer; 0 where the tensor is not quantised.
    pub scale: f32,
    /// Integer that means zero.
    pub zero_point: i32,
}

impl TensorInfo {
    /// The integer for a real number, rounded half away from zero and saturated to the type's range.
    pub fn quantise(&self, real: f32) -> i32 {
        let (least, most) = match self.dtype {
            DType::U8 => (0.0, 255.0),
            DType::I8 => (-128.0, 127.0),
            DType::F32 | DType::I32 => (i32::MIN as f32, i32::MAX as f32),
        };
        let integer = libm::roundf(real / self.scale) + self.zero_point as f32;
        integer.clamp(least, most) as i32
    }

    /// The real number that an integer means.
    pub fn dequantise(&self, integer: i32) -> f32 {
        self.scale * integer.wrapping_sub(self.zero_point) as f32
    }
}
