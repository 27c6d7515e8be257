//! What every kernel is: parameters that know their operands, their rows, and how to run.

use core::fmt;
use core::hint::black_box;
use core::ops::Range;

use super::count;
use crate::isa::Isa;
use crate::memory::{Memory, Operand, Space};
use crate::params::Plain;

/// A kernel with its parameters. [`check`] once, then [`Kernel::run`] as often as wanted.
pub trait Kernel: Plain {
    /// The kernel's number in the packed format; never reused.
    const OPCODE: u16;
    /// `[Operand; N]`: what is read, then what is written.
    type Operands: OperandList;

    /// Whether the parameters are consistent in themselves. Arithmetic here must not overflow for any values.
    fn valid(&self) -> bool;
    /// Whether this build reads the layout in which the step's constants are packed.
    fn layout_known(&self) -> bool {
        true
    }
    /// Number of output rows: the whole layer is the range `0..rows()`.
    fn rows(&self) -> u32;
    /// What the instructions of [`Kernel::run`] grow with; for the compiler, which writes down what they are at most.
    fn effort(&self) -> Effort {
        Effort::of_row(&[])
    }
    /// What each operand must be.
    fn needs(&self) -> <Self::Operands as OperandList>::Needs;
    /// How the output may overlap operand `read` (a position in [`Kernel::needs`]).
    fn overlap(&self, read: usize) -> Overlap {
        let _ = read;
        Overlap::None
    }
    /// Computes the output rows `rows`.
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &Self::Operands);
}

/// What the instructions of a call of [`Kernel::run`] grow with: `c₀ + c₁ · call + r · (b₀ + Σᵢ bᵢ · row[i])` for `r` rows.
///
/// The coefficients are the compiler's, which fits them from above to instructions counted under emulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effort {
    /// A size that each call has to do with, whatever its rows.
    pub call: u64,
    /// Sizes that each row has to do with; zeros behind those that the kernel names.
    pub row: [u64; Self::SIZES],
}

impl Effort {
    /// Most sizes of a row.
    pub const SIZES: usize = 8;

    /// No effort for a call, and `sizes` for a row.
    pub fn of_row(sizes: &[u64]) -> Self {
        let mut row = [0; Self::SIZES];
        for (to, &size) in row.iter_mut().zip(sizes) {
            *to = size;
        }
        Self { call: 0, row }
    }
}

/// How an output may lie over an input that is not needed afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overlap {
    /// Not at all.
    None,
    /// Output and input start at the same byte, and the output is not longer.
    SameOffset,
    /// Rows are computed from the first to the last: the output starts so many bytes before the input, or more.
    Forward {
        /// Bytes.
        lead: u32,
    },
    /// Rows are computed from the last to the first: the output ends so many bytes behind the input, or more.
    Backward {
        /// Bytes.
        lead: u32,
    },
}

/// What an operand must be.
///
/// Kernels write factors down, and one loop for all kernels multiplies them: a check in each kernel costs flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Need {
    /// Number of elements: the product of these.
    factors: [u32; 4],
    /// Who may hold it.
    pub role: Role,
    /// Bytes of an element.
    pub element_bytes: u8,
}

/// Who may hold an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Role {
    /// Read, from either memory.
    Read = Space::Constants as u8 | Space::Arena as u8,
    /// Read, among the constants.
    Constant = Space::Constants as u8,
    /// Written, in the arena.
    Write = Space::Arena as u8,
}

impl Need {
    /// A tensor of `T` that is read, of shape `shape`.
    #[inline(always)]
    pub fn read<T>(shape: &[u32]) -> Self {
        Self::of(Role::Read, size_of::<T>() as u8, shape)
    }

    /// Constant elements of `T`, of shape `shape`.
    #[inline(always)]
    pub fn constant<T>(shape: &[u32]) -> Self {
        Self::of(Role::Constant, size_of::<T>() as u8, shape)
    }

    /// A tensor of `T` that is written, of shape `shape`.
    #[inline(always)]
    pub fn write<T>(shape: &[u32]) -> Self {
        Self::of(Role::Write, size_of::<T>() as u8, shape)
    }

    /// Elements of `element_bytes` bytes, of shape `shape`.
    #[inline(always)]
    pub fn of(role: Role, element_bytes: u8, shape: &[u32]) -> Self {
        let mut factors = [1; 4];
        for (axis, &size) in shape.iter().enumerate() {
            if let Some(factor) = factors.get_mut(axis % 4) {
                *factor = size.saturating_mul(*factor);
            }
        }
        Self { factors, role, element_bytes }
    }

    /// Bytes, `u32::MAX` where there are more.
    pub fn bytes(&self) -> u32 {
        count(&self.factors).saturating_mul(self.element_bytes.into())
    }
}

/// A fixed number of operands.
pub trait OperandList: Sized + AsRef<[Operand]> {
    /// `[Need; N]`.
    type Needs: AsRef<[Need]>;
    /// These operands, where there are just as many.
    fn of(operands: &[Operand]) -> Option<&Self>;
}

impl<const N: usize> OperandList for [Operand; N]
where
    [Need; N]: AsRef<[Need]>,
{
    type Needs = [Need; N];
    #[inline(always)]
    fn of(operands: &[Operand]) -> Option<&Self> {
        operands.try_into().ok()
    }
}

/// Why a program is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The bytes end too early, or an offset points outside them.
    Truncated,
    /// The bytes are no packed program.
    Magic,
    /// The format's version is not this build's.
    Version,
    /// The content hash does not match: the bytes were damaged.
    Hash,
    /// The constants do not start at a multiple of 16.
    Misaligned,
    /// A step needs a kernel that this build does not link.
    Kernel {
        /// The kernel's number.
        opcode: u16,
    },
    /// A step's constants are packed in a layout that this build does not read.
    Layout {
        /// The step.
        step: u16,
    },
    /// A step's parameters contradict each other.
    Parameters {
        /// The step.
        step: u16,
    },
    /// A step's operands do not fit its parameters or its memory.
    Operands {
        /// The step.
        step: u16,
    },
    /// The arena that was given is smaller than the program needs, or not aligned to 16.
    Arena {
        /// Bytes that the program needs.
        needed: u32,
    },
}

impl Fault {
    /// The fault as a number, for interfaces that know no enums: always the same one, and negative.
    pub const fn code(self) -> i32 {
        match self {
            Self::Arena { .. } => -3,
            Self::Misaligned => -6,
            Self::Magic => -7,
            Self::Version => -8,
            Self::Truncated => -9,
            Self::Hash => -10,
            Self::Kernel { .. } => -11,
            Self::Layout { .. } => -12,
            Self::Parameters { .. } => -13,
            Self::Operands { .. } => -14,
        }
    }

    /// The number that the fault carries: bytes, a kernel or a step; else 0.
    pub const fn detail(self) -> u32 {
        match self {
            Self::Arena { needed } => needed,
            Self::Kernel { opcode } => opcode as u32,
            Self::Layout { step } | Self::Parameters { step } | Self::Operands { step } => step as u32,
            Self::Misaligned | Self::Magic | Self::Version | Self::Truncated | Self::Hash => 0,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the program ends too early"),
            Self::Magic => write!(f, "this is no packed Rasbora program"),
            Self::Version => write!(f, "the program was packed in a version of the format that this build lacks"),
            Self::Hash => write!(f, "the program's content does not match its hash: it was damaged"),
            Self::Misaligned => write!(f, "the program must start at a multiple of 16 bytes"),
            Self::Kernel { opcode } => write!(f, "kernel {opcode} is not linked into this build"),
            Self::Layout { step } => {
                write!(f, "the constants of step {step} are packed in a layout that this build lacks")
            }
            Self::Parameters { step } => write!(f, "the parameters of step {step} contradict each other"),
            Self::Operands { step } => write!(f, "the operands of step {step} do not fit its parameters"),
            Self::Arena { needed } => write!(f, "the arena needs {needed} bytes, aligned to 16"),
        }
    }
}

impl core::error::Error for Fault {}

/// What is wrong with a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misfit {
    /// See [`Fault::Kernel`].
    Kernel,
    /// See [`Fault::Layout`].
    Layout,
    /// See [`Fault::Parameters`].
    Parameters,
    /// See [`Fault::Operands`].
    Operands,
}

/// Checks one step: its parameters, and its operands against them. Whether an operand lies inside its memory is the
/// program's to check.
///
/// # Errors
/// [`Misfit`] says what is wrong.
#[inline(always)]
pub fn check<K: Kernel>(kernel: &K, operands: &[Operand]) -> Result<(), Misfit> {
    if !kernel.layout_known() {
        return Err(Misfit::Layout);
    }
    if !kernel.valid() {
        return Err(Misfit::Parameters);
    }
    if all_fit(kernel.needs().as_ref(), operands) { Ok(()) } else { Err(Misfit::Operands) }
}

// One copy for all kernels.
#[inline(never)]
fn all_fit(needs: &[Need], operands: &[Operand]) -> bool {
    // Keeps the compiler from unrolling the loop for each number of operands.
    let needs = black_box(needs);
    needs.len() == operands.len() && needs.iter().zip(operands).all(|(need, operand)| fits(need, operand))
}

#[inline(always)]
fn fits(need: &Need, operand: &Operand) -> bool {
    let space = need.role as u8 & operand.space() as u8 != 0;
    let aligned = operand.offset() & u32::from(need.element_bytes.wrapping_sub(1)) & 3 == 0;
    // As many bytes as that may be more.
    space && aligned && need.bytes() == operand.bytes && operand.bytes < u32::MAX
}
