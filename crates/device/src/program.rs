//! The packed format: a program as bytes that lie in flash and are run in place.
//!
//! All numbers are little-endian. [`Interpreter::new`](crate::interpreter::Interpreter::new) checks everything once (sizes, hash, every step's parameters and
//! operands); after it nothing can fail.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic, `RASB` |
//! | 2, 2 | version of the format; number of steps |
//! | 8 | FNV-1a hash (64 bits) of all that follows |
//! | 4, 4, 4 | length of the whole; bytes of arena; bytes of state at the arena's front |
//! | 4, 4 | offset of the constants (a multiple of 16) and their length |
//! | 2, 2 | number of network inputs and of outputs |
//! | 44 each | inputs, then outputs: [`Io`] |
//! | state | initial bytes of the state, then zeros up to a multiple of 4 |
//! | steps | [`StepHeader`] (20), [`Operand`]s (8 each), parameters |
//! | constants | weights, biases, multipliers, tables |

use crate::memory::{Operand, Space, typed};
use crate::ops::{Fault, count};
use crate::params::{self, Field};

/// The version of the format that this build reads and writes.
pub const VERSION: u16 = 2;
/// The first four bytes.
pub const MAGIC: [u8; 4] = *b"RASB";

crate::params! {
    /// Type of a tensor's elements.
    pub enum DType {
        /// 8-bit signed, affine.
        I8 = 1,
        /// 8-bit unsigned, affine.
        U8 = 2,
        /// 32-bit float.
        F32 = 3,
        /// 32-bit signed.
        I32 = 4,
        /// 16-bit signed: samples of audio, and affine.
        I16 = 5,
    }

    /// The front of a packed program.
    pub struct Header {
        /// [`MAGIC`].
        pub magic: [u8; 4],
        /// [`VERSION`].
        pub version: u16,
        /// Number of steps.
        pub steps: u16,
        /// [`hash`] of all bytes from [`HASHED_FROM`] on.
        pub hash: [u32; 2],
        /// Length of the whole in bytes.
        pub bytes: u32,
        /// Bytes of arena, state and network inputs and outputs included.
        pub arena_bytes: u32,
        /// Bytes of state, at the front of the arena.
        pub state_bytes: u32,
        /// Offset of the constants: a multiple of 16.
        pub constants_offset: u32,
        /// Length of the constants.
        pub constants_bytes: u32,
        /// Number of network inputs.
        pub inputs: u16,
        /// Number of network outputs.
        pub outputs: u16,
    }

    /// A network input or output.
    pub struct Io {
        /// Type of the elements.
        pub dtype: DType,
        /// Number of axes, at most 6.
        pub rank: u8,
        /// Zero, twice.
        pub reserved: [u8; 2],
        /// First byte in the arena.
        pub offset: u32,
        /// Length in bytes.
        pub bytes: u32,
        /// Sizes of the axes; 1 beyond `rank`.
        pub shape: [u32; 6],
        /// Real value of one step of the integer; 0 where the tensor is not quantised.
        pub scale: f32,
        /// Integer that means zero.
        pub zero_point: i32,
    }

    /// The front of a step.
    pub struct StepHeader {
        /// Which kernel.
        pub opcode: u16,
        /// Number of operands.
        pub operands: u16,
        /// Length of the parameters in bytes.
        pub parameters: u32,
        /// How much there is to do.
        pub work: Work,
    }

    /// How much a step does, for [`Allowance`](crate::network::Allowance): a call of its kernel for `r` rows takes at most
    /// `call + r · row` instructions.
    pub struct Work {
        /// Number of output rows.
        pub rows: u32,
        /// Instructions of a call, whatever its rows: an upper estimate.
        pub call: u32,
        /// Instructions of a row: an upper estimate.
        pub row: u32,
    }
}

impl DType {
    /// Bytes of an element.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 => 2,
            Self::F32 | Self::I32 => 4,
        }
    }
}

/// Where the hashed bytes begin.
pub const HASHED_FROM: usize = 16;

/// FNV-1a, 64 bits, as two words (low, high).
pub fn hash(bytes: &[u8]) -> [u32; 2] {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        // Keeps the compiler from unrolling the loop: each byte waits for the one before it.
        core::hint::black_box(());
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    [hash as u32, (hash >> 32) as u32]
}

/// One step of a packed program, as it lies there.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Which kernel, and how much it does.
    pub header: &'a StepHeader,
    /// What it reads and writes.
    pub operands: &'a [Operand],
    /// The kernel's parameters, encoded.
    pub parameters: &'a [u8],
}

/// A packed program that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    header: &'a Header,
    io: &'a [u8],
    state: &'a [u8],
    steps: &'a [u8],
    constants: &'a [u8],
}

impl<'a> Program<'a> {
    /// Reads the outer layout. Steps are checked by the interpreter, which knows the kernels.
    ///
    /// # Errors
    /// [`Fault`] says what is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        if bytes.as_ptr().addr() & 15 != 0 {
            return Err(Fault::Misaligned);
        }
        let header = Header::of(bytes).ok_or(Fault::Truncated)?;
        if header.magic != MAGIC {
            return Err(Fault::Magic);
        }
        if header.version != VERSION {
            return Err(Fault::Version);
        }
        if header.constants_offset & 15 != 0 {
            return Err(Fault::Misaligned);
        }
        let (bytes, _) = split(bytes, header.bytes as usize)?;
        if hash(split(bytes, HASHED_FROM)?.1) != header.hash {
            return Err(Fault::Hash);
        }
        let (front, constants) = split(bytes, header.constants_offset as usize)?;
        let (constants, _) = split(constants, header.constants_bytes as usize)?;
        let (_, front) = split(front, Header::BYTES)?;
        let (io, front) = split(front, (usize::from(header.inputs) + usize::from(header.outputs)) * Io::BYTES)?;
        let (state, steps) = split(front, header.state_bytes as usize)?;
        let (_, steps) = split(steps, state.len().wrapping_neg() & 3)?;
        let program = Self { header, io, state, steps, constants };
        if program.ports_fit() { Ok(program) } else { Err(Fault::Truncated) }
    }

    /// Bytes of arena that a program asks for, before anything else of it is checked; none where these bytes are no
    /// program of this version, or not aligned.
    pub fn arena_bytes_of(bytes: &[u8]) -> Option<usize> {
        let header = Header::of(bytes)?;
        (header.magic == MAGIC && header.version == VERSION).then_some(header.arena_bytes as usize)
    }

    /// Whether state, inputs and outputs lie in the arena, and have the lengths of their shapes.
    fn ports_fit(&self) -> bool {
        let arena = self.header.arena_bytes;
        self.header.state_bytes <= arena
            && self.io.chunks_exact(Io::BYTES).all(|io| {
                let Some(io) = params::view::<Io>(io) else { return false };
                let bytes = count(&io.shape).saturating_mul(io.dtype.bytes());
                inside(io.offset, io.bytes, arena) && io.rank <= 6 && bytes == io.bytes
            })
    }

    /// Whether `operand` lies inside its memory.
    pub(crate) fn holds(&self, operand: &Operand) -> bool {
        let limit = match operand.space() {
            Space::Constants => self.header.constants_bytes,
            Space::Arena => self.header.arena_bytes,
        };
        inside(operand.offset(), operand.bytes, limit)
    }

    /// Network output `index`, or input `index`; none where there is no such one.
    // One copy for all who ask.
    #[inline(never)]
    pub fn port(&self, outputs: bool, index: usize) -> Option<&'a Io> {
        let (first, count) = if outputs { (self.inputs(), self.outputs()) } else { (0, self.inputs()) };
        let start = (first + Some(index).filter(|&index| index < count)?) * Io::BYTES;
        params::view(self.io.get(start..start + Io::BYTES)?)
    }

    /// Network input `index`.
    pub fn input(&self, index: usize) -> Option<&'a Io> {
        self.port(false, index)
    }

    /// Network output `index`.
    pub fn output(&self, index: usize) -> Option<&'a Io> {
        self.port(true, index)
    }

    /// Number of network inputs.
    pub fn inputs(&self) -> usize {
        self.header.inputs.into()
    }

    /// Number of network outputs.
    pub fn outputs(&self) -> usize {
        self.header.outputs.into()
    }

    /// Bytes of arena that a run needs, aligned to 16.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes as usize
    }

    /// Weights, biases, multipliers, tables.
    pub fn constants(&self) -> &'a [u8] {
        self.constants
    }

    /// Initial bytes of the state, at the front of the arena.
    pub fn state(&self) -> &'a [u8] {
        self.state
    }

    /// Number of steps.
    pub fn step_count(&self) -> usize {
        self.header.steps.into()
    }

    /// The steps in order; ends early where the bytes do.
    pub fn steps(&self) -> Steps<'a> {
        Steps { bytes: self.steps, left: self.header.steps }
    }
}

impl Header {
    /// The header at the front of `bytes`; none where they are too short, or misaligned.
    #[inline(always)]
    fn of(bytes: &[u8]) -> Option<&Self> {
        params::view(bytes.get(..Self::BYTES)?)
    }
}

/// The first `len` bytes, and the others.
#[inline(always)]
fn split(bytes: &[u8], len: usize) -> Result<(&[u8], &[u8]), Fault> {
    bytes.split_at_checked(len).ok_or(Fault::Truncated)
}

/// Whether `bytes` bytes from `offset` on lie inside a memory of `limit` bytes.
fn inside(offset: u32, bytes: u32, limit: u32) -> bool {
    offset.checked_add(bytes).is_some_and(|end| end <= limit)
}

/// Iterates over the steps of a packed program.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    bytes: &'a [u8],
    left: u16,
}

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Step<'a>> {
        let left = self.left.checked_sub(1)?;
        let (header, rest) = self.bytes.split_at_checked(StepHeader::BYTES)?;
        let header: &StepHeader = params::view(header)?;
        let (operands, rest) = rest.split_at_checked(usize::from(header.operands) * Operand::BYTES)?;
        let (parameters, rest) = rest.split_at_checked(header.parameters as usize)?;
        *self = Self { bytes: rest, left };
        Some(Step { header, operands: typed(operands), parameters })
    }
}
