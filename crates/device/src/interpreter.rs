//! Runs a packed program, on the chip and on the host.
//!
//! Generic over the set of kernels that it links: a kernel outside the set costs nothing and is refused by its number.

use core::marker::PhantomData;
use core::ops::Range;

use crate::isa::Isa;
use crate::memory::{Memory, Operand};
use crate::ops::{self, Fault, Kernel, OperandList};
use crate::program::{Io, Program, Step};

/// A set of kernels. Declared by [`kernel_set!`](crate::kernel_set).
pub trait KernelSet {
    /// Checks a step's parameters and operands, and returns its number of rows.
    ///
    /// # Errors
    /// [`Fault`], also where the kernel is not in the set.
    fn check(step: &Step<'_>, index: u16) -> Result<u32, Fault>;
    /// Runs rows of a step that was checked.
    fn run<I: Isa>(step: &Step<'_>, rows: Range<u32>, memory: Memory<'_>);
}

/// Declares a [`KernelSet`] of the named kernels: `kernel_set!(pub Mine: Conv2d, FullyConnected)`.
#[macro_export]
macro_rules! kernel_set {
    ($(#[$meta:meta])* $visibility:vis $name:ident: $($kernel:ty),* $(,)?) => {
        $(#[$meta])*
        $visibility struct $name;

        impl $crate::interpreter::KernelSet for $name {
            fn check(
                step: &$crate::program::Step<'_>,
                index: u16,
            ) -> Result<u32, $crate::ops::Fault> {
                match step.opcode {
                    $(<$kernel as $crate::ops::Kernel>::OPCODE =>
                        $crate::interpreter::check_step::<$kernel>(step, index),)*
                    opcode => Err($crate::ops::Fault::Kernel { opcode }),
                }
            }
            fn run<I: $crate::isa::Isa>(
                step: &$crate::program::Step<'_>,
                rows: ::core::ops::Range<u32>,
                memory: $crate::memory::Memory<'_>,
            ) {
                match step.opcode {
                    $(<$kernel as $crate::ops::Kernel>::OPCODE =>
                        $crate::interpreter::run_step::<$kernel, I>(step, rows, memory),)*
                    _ => {}
                }
            }
        }
    };
}

macro_rules! all_kernels {
    ($($opcode:literal => $kernel:ident,)*) => {
        $crate::kernel_set! {
            /// Every kernel.
            #[derive(Clone, Copy, Debug)]
            pub AllKernels: $(ops::$kernel),*
        }
        $(const _: () = assert!(<ops::$kernel as Kernel>::OPCODE == $opcode);)*
    };
}
crate::for_every_kernel!(all_kernels);

/// Checks one step as kernel `K`.
#[doc(hidden)]
pub fn check_step<K: Kernel>(step: &Step<'_>, index: u16) -> Result<u32, Fault> {
    let kernel = K::decode(step.parameters)
        .filter(|_| step.parameters.len() == K::BYTES)
        .ok_or(Fault::Parameters { step: index })?;
    ops::check(&kernel, step.operands(), index)?;
    Ok(kernel.rows())
}

/// Runs one step as kernel `K`.
#[doc(hidden)]
pub fn run_step<K: Kernel, I: Isa>(step: &Step<'_>, rows: Range<u32>, memory: Memory<'_>) {
    if let (Some(kernel), Some(operands)) = (K::decode(step.parameters), K::Operands::from_slice(step.operands())) {
        kernel.run::<I>(rows, memory, &operands);
    }
}

/// A packed program with its arena, ready to run.
pub struct Interpreter<'a, S, I> {
    program: Program<'a>,
    arena: &'a mut [u8],
    kernels: PhantomData<(S, I)>,
}

impl<'a, S: KernelSet, I: Isa> Interpreter<'a, S, I> {
    /// Checks the program and takes the arena; after this nothing fails.
    ///
    /// `program` and `arena` must start at a multiple of 16.
    ///
    /// # Errors
    /// [`Fault`] says what the program lacks, or how much arena it needs.
    pub fn new(program: &'a [u8], arena: &'a mut [u8]) -> Result<Self, Fault> {
        let program = Program::parse(program)?;
        let mut count = 0;
        for (index, step) in (0..).zip(program.steps()) {
            S::check(&step, index)?;
            if !step.operands().iter().all(|operand: &Operand| program.holds(operand)) {
                return Err(Fault::Operands { step: index });
            }
            count += 1;
        }
        if count != program.step_count() {
            return Err(Fault::Truncated);
        }
        let needed = program.arena_bytes();
        if arena.as_ptr().addr() & 15 != 0 {
            return Err(Fault::Arena { needed: needed as u32 });
        }
        let arena = arena.get_mut(..needed).ok_or(Fault::Arena { needed: needed as u32 })?;
        let mut interpreter = Self { program, arena, kernels: PhantomData };
        interpreter.reset();
        Ok(interpreter)
    }

    /// Sets the state to its initial values.
    pub fn reset(&mut self) {
        for (byte, value) in self.arena.iter_mut().zip(self.program.state()) {
            *byte = *value;
        }
    }

    /// The program that is run.
    pub fn program(&self) -> &Program<'a> {
        &self.program
    }

    /// The bytes of network input `index`; empty where there is no such input.
    pub fn input_mut(&mut self, index: usize) -> &mut [u8] {
        self.program.input(index).and_then(|io| self.arena.get_mut(range(io))).unwrap_or_default()
    }

    /// The bytes of network output `index`; empty where there is no such output.
    pub fn output(&self, index: usize) -> &[u8] {
        self.program.output(index).and_then(|io| self.arena.get(range(io))).unwrap_or_default()
    }

    /// One inference.
    pub fn run(&mut self) {
        self.run_traced(|_, _| {});
    }

    /// One inference; after each step `after` gets the step's index and the arena.
    pub fn run_traced(&mut self, mut after: impl FnMut(usize, &[u8])) {
        for (index, step) in self.program.steps().enumerate() {
            if let Ok(rows) = S::check(&step, 0) {
                S::run::<I>(&step, 0..rows, Memory::new(self.program.constants(), self.arena));
            }
            after(index, self.arena);
        }
    }
}

fn range(io: Io) -> Range<usize> {
    io.offset as usize..(io.offset as usize).saturating_add(io.bytes as usize)
}
