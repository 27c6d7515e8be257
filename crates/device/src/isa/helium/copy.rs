//! Copies of pieces that start at multiples of a step.

use core::arch::naked_asm;

/// Copies `count` pieces of `len` elements, which start at multiples of a step: a piece after the other; short ones by their
/// first elements, then their second ones, eight in 5 instructions. The parameter does nothing: it keeps the function out of
/// objects that do not use it.
///
/// r0 and r1 where a piece starts, or where an element of all pieces does, r2 count, r3 length, r4 and r5 steps, r6 and r7 where
/// it goes on, r8 and r12 eight steps, q1 and q2 steps of eight pieces.
///
/// # Safety
/// There must be a piece and an element, and all pieces must be readable and writable.
#[unsafe(naked)]
pub unsafe extern "C" fn copy<const UNUSED: u32>(
    from: *const i8,
    to: *mut i8,
    count: usize,
    len: usize,
    from_step: usize,
    to_step: usize,
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r8, lr}}",
        "ldrd r4, r5, [sp, #24]",
        // Seven steps must have 16 bits.
        "orr r6, r4, r5",
        "cmp r6, #8192",
        "bhs 10f",
        "cmp r3, #8",
        "bls 20f",
        "10:",
        "mov r6, r0",
        "mov r7, r1",
        "dlstp.8 lr, r3",
        "11:",
        "vldrb.u8 q0, [r6], #16",
        "vstrb.8 q0, [r7], #16",
        "letp lr, 11b",
        "add r0, r0, r4",
        "add r1, r1, r5",
        "subs r2, r2, #1",
        "bne 10b",
        "pop {{r4-r8, pc}}",
        "20:",
        "movs r6, #0",
        "vidup.u16 q0, r6, #1",
        "vmul.i16 q1, q0, r4",
        "vmul.i16 q2, q0, r5",
        "lsl r8, r4, #3",
        "lsl r12, r5, #3",
        "21:",
        "mov r6, r0",
        "mov r7, r1",
        "dlstp.16 lr, r2",
        "22:",
        "vldrb.u16 q0, [r6, q1]",
        "vstrb.16 q0, [r7, q2]",
        "add r6, r6, r8",
        "add r7, r7, r12",
        "letp lr, 22b",
        "adds r0, r0, #1",
        "adds r1, r1, #1",
        "subs r3, r3, #1",
        "bne 21b",
        "pop {{r4-r8, pc}}",
    )
}
