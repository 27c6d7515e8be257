//! What the kernels' property tests share: lists of random numbers, and a kernel run over bytes.

use std::vec;
use std::vec::Vec;

use core::ops::Range;

pub use super::drawing::{Draw, Random};
use super::{Kernel, Need, Overlap, Role, Scaling, check};
use crate::isa::paired::{self, FINE_SHIFT, Rounding, SHIFT};
use crate::isa::{Armv6m, Armv7em, Armv7m, Helium, Portable, Rv32im, Wide};
use crate::memory::{Memory, Multiplier, Operand, Space};
use crate::params::Field;

impl Random {
    /// A number in `low..high`.
    pub fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * f64::from(self.below(1 << 31)) / f64::from(1u32 << 31)
    }

    /// Any bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }

    /// Any int8 values.
    pub fn i8s(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| self.below(256) as u8 as i8).collect()
    }

    /// Floats in −1..1.
    pub fn f32s(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    /// Multipliers that bring sums of a few thousand into the range of int8.
    pub fn multipliers(&mut self, count: usize) -> Vec<Multiplier> {
        (0..count)
            .map(|_| Multiplier { value: (1 << 30) + self.below(1 << 30) as i32, shift: self.below(10) as i32 - 9 })
            .collect()
    }

    /// Biases and multipliers of a layer with so many outputs.
    pub fn scales(&mut self, outputs: u32) -> Scales {
        let multipliers = if self.below(2) == 0 { 1 } else { outputs };
        let (once, signed) = (self.below(3) > 0, self.below(2) == 0);
        let mut scaling = Scaling { once, ..Scaling::twice(self.requantise(), multipliers) };
        if !once {
            let words = self.multipliers(multipliers as usize).into_iter().flat_map(|m| [m.value, m.shift]).collect();
            let bias = (0..outputs).map(|_| self.between(-10_000, 10_000)).collect();
            return Scales { scaling, bias, multipliers: words };
        }
        scaling = Scaling { signed, shift: [SHIFT, FINE_SHIFT][self.below(2) as usize], ..scaling };
        scaling.zero = self.between(-1 << 16, 1 << 16);
        let words = (0..multipliers).map(|_| self.between(1 << 20, 1 << 26)).collect();
        let bias = (0..outputs).map(|_| self.between(-1 << 20, 1 << 20)).collect();
        Scales { scaling, bias, multipliers: words }
    }
}

/// How the sums of a layer become its outputs.
pub struct Scales {
    pub scaling: Scaling,
    pub bias: Vec<i32>,
    /// As the kernel wants them.
    pub multipliers: Vec<i32>,
}

impl Scales {
    /// Output `o` of `sum`, by the formula.
    pub fn output(&self, sum: i32, o: usize) -> i8 {
        let Scaling { requantise, once, signed, multipliers, zero, shift } = self.scaling;
        let o_multiplier = if multipliers == 1 { 0 } else { o };
        let words = self.multipliers.chunks(self.multipliers.len() / multipliers as usize).nth(o_multiplier);
        match (once, words) {
            (true, Some(&[m])) => {
                let sum = 256 * sum + self.bias[o];
                let below = if signed && sum < 0 { 2 * (sum & 255) } else { 0 };
                paired::requantise(sum - below, m, 0, Rounding { zero, shift })
            }
            (false, Some(&[value, shift])) => requantise.apply(sum + self.bias[o], Multiplier { value, shift }),
            _ => panic!("a multiplier"),
        }
    }
}

/// What a drawn kernel reads: any inputs, and the constants that go with it.
pub fn reads<K: Draw<Operands = [Operand; N]>, const N: usize>(kernel: &K, random: &mut Random) -> Vec<Vec<u8>>
where
    [Operand; N]: super::OperandList<Needs = [Need; N]>,
{
    let of = |(operand, need): (usize, &Need)| {
        let mut bytes = vec![0; need.bytes() as usize];
        match need.role {
            Role::Constant => kernel.constant(operand, random, &mut bytes),
            Role::Read => super::drawing::fill(random, &mut bytes),
            Role::Write => return None,
        }
        Some(bytes)
    };
    kernel.needs().iter().enumerate().filter_map(of).collect()
}

/// The encoding of `values`.
pub fn bytes<T: Field>(values: &[T]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * T::BYTES];
    for (value, bytes) in values.iter().zip(bytes.chunks_mut(T::BYTES)) {
        value.encode(bytes);
    }
    bytes
}

/// The values that `bytes` encode.
pub fn values<T: Field>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks(T::BYTES).map(|bytes| T::decode(bytes).expect("whole values")).collect()
}

/// Runs `kernel` over what it reads, in the order of its operands, and returns what it writes: the last operand, the
/// others are scratch memory. Runs it row by row and as a whole, which must be the same.
pub fn run<K: Kernel<Operands = [Operand; N]>, const N: usize>(kernel: &K, reads: &[Vec<u8>]) -> Vec<u8>
where
    [Operand; N]: super::OperandList<Needs = [Need; N]>,
{
    let needs = kernel.needs();
    let (mut constants, mut arena) = (Vec::new(), Vec::new());
    let mut reads = reads.iter();
    let operands = needs.map(|need| match need.role {
        Role::Constant => {
            let bytes = reads.next().expect("all constants");
            Operand::constant(append(&mut constants, bytes), bytes.len() as u32)
        }
        Role::Read => {
            let bytes = reads.next().expect("all inputs");
            Operand::arena(append(&mut arena, bytes), bytes.len() as u32)
        }
        Role::Write => {
            let bytes = vec![0x55; need.bytes() as usize];
            Operand::arena(append(&mut arena, &bytes), bytes.len() as u32)
        }
    });
    assert_eq!(check(kernel, &operands), Ok(()), "{kernel:?}");
    let written = operands[N - 1].offset() as usize..(operands[N - 1].offset() + operands[N - 1].bytes) as usize;
    let ((constants, constants_start), (mut arena, arena_start)) = (aligned(&constants), aligned(&arena));
    let constants = &constants[constants_start..];
    let arena = &mut arena[arena_start..];
    kernel.run::<Portable>(0..kernel.rows(), Memory::new(constants, arena), &operands);
    let whole = arena[written.clone()].to_vec();
    arena[written.clone()].fill(0xaa);
    for row in (0..kernel.rows()).rev() {
        kernel.run::<Portable>(row..row + 1, Memory::new(constants, arena), &operands);
    }
    assert_eq!(arena[written.clone()], whole, "row by row and as a whole differ: {kernel:?}");
    for (isa, run) in [
        ("Armv6m", K::run::<Armv6m> as fn(&K, Range<u32>, Memory<'_>, &[Operand; N])),
        ("Armv7m", K::run::<Armv7m>),
        ("Rv32im", K::run::<Rv32im>),
        ("Armv7em", K::run::<Armv7em>),
        ("Helium", K::run::<Helium>),
        ("Wide", K::run::<Wide>),
    ] {
        arena[written.clone()].fill(0xaa);
        run(kernel, 0..kernel.rows(), Memory::new(constants, arena), &operands);
        assert_eq!(arena[written.clone()], whole, "{isa} differs: {kernel:?}");
        for read in 0..N {
            if let Some(overlaid) = overlaid(kernel, operands, read) {
                let found = run_overlaid(kernel, run, constants, (arena, &operands), &overlaid);
                assert_eq!(found, whole, "{isa} differs with its output over operand {read}: {kernel:?}");
            }
        }
    }
    whole
}

/// `operands`, with the output as far over operand `read` as the kernel allows where it computes rows in order, and the
/// others behind both; `None` where it allows nothing.
fn overlaid<K: Kernel, const N: usize>(kernel: &K, operands: [Operand; N], read: usize) -> Option<[Operand; N]> {
    let (input, output) = (operands[read], operands[N - 1]);
    let starts = match kernel.overlap(read) {
        Overlap::Forward { lead } if lead < output.bytes => [lead, 0],
        Overlap::Backward { lead } if lead < output.bytes => {
            let end = output.bytes.max(input.bytes + lead);
            [end - lead - input.bytes, end - output.bytes]
        }
        _ => return None,
    };
    let mut end = (starts[0] + input.bytes).max(starts[1] + output.bytes);
    let mut moved = operands;
    for (index, operand) in moved.iter_mut().enumerate().filter(|(_, operand)| operand.space() == Space::Arena) {
        let start = match index {
            _ if index == read => starts[0],
            _ if index == N - 1 => starts[1],
            _ => end.next_multiple_of(16),
        };
        end = end.max(start + operand.bytes);
        *operand = Operand::arena(start, operand.bytes);
    }
    Some(moved)
}

/// Runs `kernel` in two parts over `overlaid`, and returns what it writes. What it reads is in `arena`, at its operands.
fn run_overlaid<K: Kernel<Operands = [Operand; N]>, const N: usize>(
    kernel: &K,
    run: fn(&K, Range<u32>, Memory<'_>, &[Operand; N]),
    constants: &[u8],
    (arena, operands): (&[u8], &[Operand; N]),
    overlaid: &[Operand; N],
) -> Vec<u8> {
    let place = |operand: &Operand| operand.offset() as usize..(operand.offset() + operand.bytes) as usize;
    let in_arena = |&index: &usize| overlaid[index].space() == Space::Arena;
    let end = (0..N).filter(in_arena).map(|index| place(&overlaid[index]).end).max().unwrap_or(0);
    let (mut memory, start) = aligned(&vec![0x55; end]);
    let memory = &mut memory[start..];
    for (index, need) in kernel.needs().into_iter().enumerate() {
        if need.role == Role::Read && in_arena(&index) {
            memory[place(&overlaid[index])].copy_from_slice(&arena[place(&operands[index])]);
        }
    }
    let middle = kernel.rows() / 2;
    for rows in [0..middle, middle..kernel.rows()] {
        run(kernel, rows, Memory::new(constants, memory), overlaid);
    }
    memory[place(&overlaid[N - 1])].to_vec()
}

/// Runs `kernel` with its output over operand 0, in two parts, and returns what it writes.
pub fn run_in_place<K: Kernel<Operands = [Operand; N]>, const N: usize>(kernel: &K, reads: &[Vec<u8>]) -> Vec<u8>
where
    [Operand; N]: super::OperandList<Needs = [Need; N]>,
{
    assert_eq!(kernel.overlap(0), Overlap::SameOffset);
    let (mut constants, mut arena) = (Vec::new(), Vec::new());
    let mut reads = reads.iter();
    let operands = kernel.needs().map(|need| match need.role {
        Role::Write => Operand::arena(0, need.bytes()),
        Role::Read | Role::Constant => {
            let bytes = reads.next().expect("all that is read");
            match need.role {
                Role::Constant => Operand::constant(append(&mut constants, bytes), bytes.len() as u32),
                _ => Operand::arena(append(&mut arena, bytes), bytes.len() as u32),
            }
        }
    });
    assert_eq!(check(kernel, &operands), Ok(()), "{kernel:?}");
    let ((constants, constants_start), (mut arena, arena_start)) = (aligned(&constants), aligned(&arena));
    let middle = kernel.rows() / 2;
    for rows in [0..middle, middle..kernel.rows()] {
        kernel.run::<Portable>(rows, Memory::new(&constants[constants_start..], &mut arena[arena_start..]), &operands);
    }
    arena[arena_start..][..operands[N - 1].bytes as usize].to_vec()
}

/// Appends `piece` at the next multiple of 16; returns its offset.
fn append(memory: &mut Vec<u8>, piece: &[u8]) -> u32 {
    let offset = memory.len().next_multiple_of(16);
    memory.resize(offset, 0);
    memory.extend(piece);
    offset as u32
}

/// A copy of `memory`, and where in it the copy starts: at an address that is a multiple of 16.
fn aligned(memory: &[u8]) -> (Vec<u8>, usize) {
    let mut copy = vec![0; memory.len() + 16];
    let start = copy.as_ptr().align_offset(16);
    copy[start..start + memory.len()].copy_from_slice(memory);
    (copy, start)
}
