//! Runs a packed program, on the chip and on the host.
//!
//! Generic over the set of kernels that it links: a kernel outside the set costs nothing and is refused by its number.

use core::marker::PhantomData;
use core::ops::Range;

use crate::isa::Isa;
use crate::memory::{self, Memory};
use crate::network::{Allowance, Progress};
use crate::ops::{self, Fault, Kernel, Misfit, OperandList};
use crate::params;
use crate::program::{Io, Program, Step, Steps};

/// A set of kernels. Declared by [`kernel_set!`](crate::kernel_set).
pub trait KernelSet {
    /// Checks a step's parameters, rows and operands.
    ///
    /// # Errors
    /// [`Misfit`], also where the kernel is not in the set.
    fn check(step: &Step<'_>) -> Result<(), Misfit>;
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
            ) -> Result<(), $crate::ops::Misfit> {
                match step.header.opcode {
                    $(<$kernel as $crate::ops::Kernel>::OPCODE =>
                        $crate::interpreter::check_step::<$kernel>(step),)*
                    _ => Err($crate::ops::Misfit::Kernel),
                }
            }
            #[inline(never)]
            fn run<I: $crate::isa::Isa>(
                step: &$crate::program::Step<'_>,
                rows: ::core::ops::Range<u32>,
                memory: $crate::memory::Memory<'_>,
            ) {
                match step.header.opcode {
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
#[inline(never)]
pub fn check_step<K: Kernel>(step: &Step<'_>) -> Result<(), Misfit> {
    let kernel: &K = params::view(step.parameters).ok_or(Misfit::Parameters)?;
    ops::check(kernel, step.operands)?;
    if kernel.rows() == step.header.work.rows { Ok(()) } else { Err(Misfit::Parameters) }
}

/// Runs one step as kernel `K`.
#[doc(hidden)]
#[inline(never)]
pub fn run_step<K: Kernel, I: Isa>(step: &Step<'_>, rows: Range<u32>, memory: Memory<'_>) {
    if let (Some(kernel), Some(operands)) = (params::view::<K>(step.parameters), K::Operands::of(step.operands)) {
        kernel.run::<I>(rows, memory, operands);
    }
}

/// A packed program with its arena, ready to run.
pub struct Interpreter<'a, S, I> {
    program: Program<'a>,
    arena: &'a mut [u8],
    /// The steps that are left, and the next row of the first of them.
    rest: Steps<'a>,
    row: u32,
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
        let rest = program.steps();
        let mut steps = rest;
        for index in 0..program.step_count() as u16 {
            let next = steps.next();
            let step = next.as_ref().ok_or(Fault::Truncated)?;
            let inside =
                |()| if step.operands.iter().all(|it| program.holds(it)) { Ok(()) } else { Err(Misfit::Operands) };
            S::check(step).and_then(inside).map_err(|misfit| match misfit {
                Misfit::Kernel => Fault::Kernel { opcode: step.header.opcode },
                Misfit::Layout => Fault::Layout { step: index },
                Misfit::Parameters => Fault::Parameters { step: index },
                Misfit::Operands => Fault::Operands { step: index },
            })?;
        }
        let needed = program.arena_bytes();
        let aligned = arena.as_ptr().addr() & 15 == 0;
        let arena = arena.get_mut(..needed).filter(|_| aligned).ok_or(Fault::Arena { needed: needed as u32 })?;
        memory::fill(arena, program.state());
        Ok(Self { program, arena, rest, row: 0, kernels: PhantomData })
    }

    /// Sets the state to its initial values; an inference that [`Interpreter::step`] has begun is given up.
    pub fn reset(&mut self) {
        self.restart();
        memory::fill(self.arena, self.program.state());
    }

    /// The program that is run.
    pub fn program(&self) -> &Program<'a> {
        &self.program
    }

    /// The bytes of network input `index`; empty where there is no such input.
    pub fn input_mut(&mut self, index: usize) -> &mut [u8] {
        self.program.input(index).map_or(&mut [], |io| self.bytes_mut(io))
    }

    /// The bytes of network output `index`; empty where there is no such output.
    pub fn output(&self, index: usize) -> &[u8] {
        self.program.output(index).and_then(|io| self.arena.get(range(io))).unwrap_or_default()
    }

    /// The bytes of an input or output of the program.
    pub fn bytes_mut(&mut self, io: &Io) -> &mut [u8] {
        self.arena.get_mut(range(io)).unwrap_or_default()
    }

    /// One inference from its beginning; one that [`Interpreter::step`] has begun is given up.
    pub fn run(&mut self) {
        self.restart();
        while self.step(u32::MAX) == Progress::Pending {}
    }

    /// One inference; after each step `after` gets the step's index and the arena.
    pub fn run_traced(&mut self, mut after: impl FnMut(usize, &[u8])) {
        self.restart();
        for (index, step) in self.program.steps().enumerate() {
            self.run_rows(&step, 0..step.header.work.rows);
            after(index, self.arena);
        }
    }

    /// Goes on with the inference, or begins one, for about `budget` instructions; see [`Allowance`].
    ///
    /// Until it says [`Progress::Done`] inputs must be left alone, and outputs mean nothing.
    // One copy, which `run` calls too.
    #[inline(never)]
    pub fn step(&mut self, budget: u32) -> Progress {
        let mut allowance = Allowance::new(budget);
        let mut rest = self.rest;
        while let Some(step) = &rest.next() {
            let Some(rows) = allowance.take(&step.header.work, self.row) else { return Progress::Pending };
            self.row = rows.end;
            self.run_rows(step, rows);
            if self.row < step.header.work.rows {
                return Progress::Pending;
            }
            self.rest = rest;
            // Else the compiler holds the loop twice: first for any row, then for row 0.
            self.row = core::hint::black_box(0);
        }
        self.restart();
        Progress::Done
    }

    fn run_rows(&mut self, step: &Step<'_>, rows: Range<u32>) {
        S::run::<I>(step, rows, Memory::new(self.program.constants(), self.arena));
    }

    // One copy for all who begin an inference.
    #[inline(never)]
    fn restart(&mut self) {
        self.rest = self.program.steps();
        self.row = 0;
    }
}

fn range(io: &Io) -> Range<usize> {
    io.offset as usize..(io.offset as usize).saturating_add(io.bytes as usize)
}
