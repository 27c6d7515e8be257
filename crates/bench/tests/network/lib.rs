//! Small networks written by hand in the form of emitted ones, each to try one thing that a measurement must show.
#![no_std]

use rasbora_device::network::{Network, Position, Progress};

/// Defines a network in module `$name`: its arena, inputs and outputs as ranges of the arena, and its steps.
macro_rules! network {
    ($name:ident, arena $arena:literal, input $input:expr, output $output:expr, steps [$($step:path),*]) => {
        pub mod $name {
            use super::*;

            #[repr(C, align(16))]
            pub struct Arena([u8; $arena]);

            impl Arena {
                pub const fn new() -> Self {
                    Self([0; $arena])
                }
            }

            pub struct Model<'a>(&'a mut [u8; $arena]);

            const STEPS: &[fn(&mut [u8])] = &[$($step),*];

            impl<'a> Network<'a> for Model<'a> {
                const ARENA_BYTES: usize = $arena;
                const STEPS: usize = STEPS.len();
                const INPUTS: usize = 1;
                const OUTPUTS: usize = 1;
                type Arena = Arena;

                fn arena() -> Arena {
                    Arena::new()
                }
                fn new(arena: &'a mut Arena) -> Self {
                    Self(&mut arena.0)
                }
                fn input_bytes(&mut self, index: usize) -> &mut [u8] {
                    if index == 0 { self.0.get_mut($input).unwrap_or_default() } else { &mut [] }
                }
                fn output_bytes(&self, index: usize) -> &[u8] {
                    if index == 0 { self.0.get($output).unwrap_or_default() } else { &[] }
                }
                fn arena_bytes(&self) -> &[u8] {
                    &*self.0
                }
                fn run(&mut self) {
                    $($step(&mut *self.0);)*
                }
                fn step(&mut self, _position: &mut Position, _budget: u32) -> Progress {
                    self.run();
                    Progress::Done
                }
                fn run_kernel(&mut self, index: usize) {
                    if let Some(step) = STEPS.get(index) {
                        step(&mut *self.0);
                    }
                }
            }
        }
    };
}

network!(dense, arena 64, input 0..16, output 48..56, steps [sums, squash]);
network!(counted, arena 16, input 0..4, output 0..4, steps [count_down]);
network!(deep, arena 16, input 0..4, output 0..4, steps [use_stack]);
network!(hanging, arena 16, input 0..4, output 0..4, steps [hang]);
network!(faulting, arena 16, input 0..4, output 0..4, steps [fault]);
network!(panicking, arena 16, input 0..4, output 0..4, steps [panic]);
network!(large, arena 20000, input 0..4, output 0..4, steps [use_stack]);

/// Weights of `dense`: 8 outputs of 16 inputs, `weights[o][i] = 16 o + i - 64` as int8.
static WEIGHTS: [[i8; 16]; 8] = {
    let mut weights = [[0; 16]; 8];
    let mut index = 0;
    while index < 128 {
        weights[index / 16][index % 16] = (index as i32 - 64) as i8;
        index += 1;
    }
    weights
};

/// Bytes 16..48 of the arena become the eight sums of products, as int32.
fn sums(arena: &mut [u8]) {
    let Some((input, rest)) = arena.split_at_mut_checked(16) else { return };
    // The volatile read keeps the table a table, as larger weights are.
    for (out, weights) in rest.chunks_exact_mut(4).zip(&WEIGHTS) {
        let mut sum = 0i32;
        for (value, weight) in input.iter().zip(weights) {
            // SAFETY: a reference is valid to read.
            sum += i32::from(*value as i8) * i32::from(unsafe { core::ptr::read_volatile(weight) });
        }
        out.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Bytes 48..56 become the sums divided by 3, in float (the floating-point unit must be on), clamped to int8.
fn squash(arena: &mut [u8]) {
    let Some((front, out)) = arena.split_at_mut_checked(48) else { return };
    let Some(sums) = front.get(16..) else { return };
    for (out, sum) in out.iter_mut().zip(sums.chunks_exact(4)) {
        let &[a, b, c, d] = sum else { return };
        *out = (i32::from_le_bytes([a, b, c, d]) as f32 / 3.0) as i8 as u8;
    }
}

/// Counts the first word of the arena down in a loop of exactly two instructions.
fn count_down(arena: &mut [u8]) {
    let Some(word) = arena.first_chunk::<4>() else { return };
    let count = u32::from_le_bytes(*word);
    // SAFETY: only the register given is changed.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!(".p2align 2", "2: subs {0}, #1", "bne 2b", inout(reg) count => _, options(nomem, nostack));
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!("2: addi {0}, {0}, -1", "bnez {0}, 2b", inout(reg) count => _, options(nomem, nostack));
    }
}

/// Bytes that `deep` keeps on the stack.
const STACK: usize = 3000;

#[inline(never)]
fn use_stack(arena: &mut [u8]) {
    let Some(first) = arena.first_mut() else { return };
    let mut local = [*first; STACK];
    core::hint::black_box(&mut local);
    *first = local.iter().fold(0u8, |sum, value| sum.wrapping_add(*value));
}

fn hang(_arena: &mut [u8]) {
    loop {
        core::hint::spin_loop();
    }
}

fn fault(_arena: &mut [u8]) {
    // SAFETY: none: there is nothing at this address, and that is the point.
    unsafe { core::ptr::write_volatile(0xFFFF_FFF0u32 as *mut u32, 1) };
    #[cfg(target_arch = "arm")]
    // SAFETY: an undefined instruction, should the store have gone unnoticed.
    unsafe {
        core::arch::asm!("udf #0")
    };
}

fn panic(arena: &mut [u8]) {
    let index = usize::from(arena.first().copied().unwrap_or(0)) + 100;
    arena[index] = 1;
}
