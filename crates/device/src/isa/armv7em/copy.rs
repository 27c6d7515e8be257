//! Copying bytes of any alignment by whole words: 15 cycles for 16 bytes by the M4 model, 23 for 32 in pieces.

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
/// r0 and r1 where to read and write, r2 pieces and r12 bytes that are left, s0 and s1 from the end of a piece to the next.
///
/// # Safety
/// There must be a piece, and all pieces must be readable and writable.
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
        "push {{r4-r11, lr}}",
        "ldrd r4, r5, [sp, #36]",
        "sub r4, r4, r3",
        "sub r5, r5, r3",
        "vmov s0, r4",
        "vmov s1, r5",
        "1:",
        "subs r12, r3, #32",
        "blo 3f",
        "2:",
        "ldr r4, [r0]",
        "ldr r5, [r0, #4]",
        "ldr r6, [r0, #8]",
        "ldr r7, [r0, #12]",
        "ldr r8, [r0, #16]",
        "ldr r9, [r0, #20]",
        "ldr r10, [r0, #24]",
        "ldr r11, [r0, #28]",
        "str r4, [r1]",
        "str r5, [r1, #4]",
        "str r6, [r1, #8]",
        "str r7, [r1, #12]",
        "str r8, [r1, #16]",
        "str r9, [r1, #20]",
        "str r10, [r1, #24]",
        "str r11, [r1, #28]",
        "add r0, r0, #32",
        "add r1, r1, #32",
        "subs r12, r12, #32",
        "bhs 2b",
        "3:",
        "adds r12, r12, #28",
        "bmi 5f",
        "4:",
        "ldr r4, [r0], #4",
        "str r4, [r1], #4",
        "subs r12, r12, #4",
        "bpl 4b",
        "5:",
        // Bit 1 becomes the carry, bit 0 the sign.
        "lsls r12, r3, #31",
        "itt cs",
        "ldrhcs r4, [r0], #2",
        "strhcs r4, [r1], #2",
        "itt mi",
        "ldrbmi r4, [r0], #1",
        "strbmi r4, [r1], #1",
        "vmov r4, s0",
        "vmov r5, s1",
        "add r0, r0, r4",
        "add r1, r1, r5",
        "subs r2, r2, #1",
        "bne 1b",
        "pop {{r4-r11, pc}}",
    )
}
