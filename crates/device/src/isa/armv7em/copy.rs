//! Copying bytes of any alignment by whole words: 15 cycles for 16 bytes by the M4 model; and of pieces of words, 38 for 64.

use core::arch::naked_asm;

/// Copies `bytes` bytes. The parameter does nothing: it keeps the function out of the objects that do not call it.
///
/// # Safety
/// `from` and `to` must have `bytes` bytes. Where `to` lies over `from`, but not before it, other bytes come out.
#[unsafe(naked)]
pub unsafe extern "C" fn copy<const UNUSED: u32>(from: *const i8, to: *mut i8, bytes: usize) {
    naked_asm!(
        "push {{r4, r5}}",
        "subs r2, r2, #16",
        "blo 2f",
        "1:",
        "ldr r3, [r0]",
        "ldr r4, [r0, #4]",
        "ldr r5, [r0, #8]",
        "ldr r12, [r0, #12]",
        "str r3, [r1]",
        "str r4, [r1, #4]",
        "str r5, [r1, #8]",
        "str r12, [r1, #12]",
        "add r0, r0, #16",
        "add r1, r1, #16",
        "subs r2, r2, #16",
        "bhs 1b",
        "2:",
        "adds r2, r2, #16",
        "beq 4f",
        "3:",
        "ldrb r3, [r0], #1",
        "strb r3, [r1], #1",
        "subs r2, r2, #1",
        "bne 3b",
        "4:",
        "pop {{r4, r5}}",
        "bx lr",
    )
}

/// Copies `count` pieces of `len` bytes, which start at multiples of a step. The parameter does nothing: it keeps the function
/// out of the objects that do not call it.
///
/// r0 and r1 where to read and write, r2 pieces and r6 bytes that are left, r4 and r5 from the end of a piece to the next.
///
/// # Safety
/// There must be a piece, and all pieces must be readable and writable; addresses, steps and length must be multiples of 4.
#[unsafe(naked)]
pub unsafe extern "C" fn pieces<const UNUSED: u32>(
    from: *const i8,
    to: *mut i8,
    count: usize,
    len: usize,
    from_step: usize,
    to_step: usize,
) {
    naked_asm!(
        // LLVM gathers the symbols of assembly with no more than the triple, which has no floating-point unit.
        ".cpu cortex-m4",
        "push {{r4-r6, lr}}",
        "ldrd r4, r5, [sp, #16]",
        "sub r4, r4, r3",
        "sub r5, r5, r3",
        "1:",
        "subs r6, r3, #64",
        "blo 3f",
        "2:",
        "vldmia r0!, {{s0-s15}}",
        "vstmia r1!, {{s0-s15}}",
        "subs r6, r6, #64",
        "bhs 2b",
        "3:",
        "adds r6, r6, #64",
        "beq 7f",
        // Bit 5 becomes the carry, bit 4 the sign.
        "lsls r12, r6, #27",
        "bcc 4f",
        "vldmia r0!, {{s0-s7}}",
        "vstmia r1!, {{s0-s7}}",
        "4:",
        "bpl 5f",
        "vldmia r0!, {{s0-s3}}",
        "vstmia r1!, {{s0-s3}}",
        "5:",
        "lsls r12, r6, #29",
        "bcc 6f",
        "vldmia r0!, {{s0-s1}}",
        "vstmia r1!, {{s0-s1}}",
        "6:",
        "bpl 7f",
        "vldmia r0!, {{s0}}",
        "vstmia r1!, {{s0}}",
        "7:",
        "add r0, r0, r4",
        "add r1, r1, r5",
        "subs r2, r2, #1",
        "bne 1b",
        "pop {{r4-r6, pc}}",
    )
}
