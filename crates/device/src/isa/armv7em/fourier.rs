//! A stage of the Fourier transform: butterflies of radix 4 on 32-bit complex numbers.
//!
//! A butterfly takes 62 cycles by the M4 model: 14 loads in three groups (17), 12 `SMMUL` and `SMMLA`, 19 sums, 8 stores
//! (9), and the loop (5). It needs all registers at once, which the compiler does not manage without the stack.

use core::arch::naked_asm;

/// Runs `groups` groups of `4 · S / 8` points from `points` on, where `S` is the bytes from one input of a butterfly to the
/// next. `twiddles` are six numbers for each butterfly of a group: `w, w², w³`.
///
/// # Safety
/// `points` must be `groups · S / 2` complex numbers that may be written, `twiddles` `3 · S / 4` numbers, and both `S` and
/// `groups` more than 0.
#[unsafe(naked)]
pub unsafe extern "C" fn stage<const S: usize>(points: *mut i32, twiddles: *const i32, groups: u32) {
    naked_asm!(
        // LLVM gathers the symbols of assembly with no more than the triple, and that of Armv8-M lacks the DSP extension.
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "push {{r2, r3}}",
        "1:",
        "add r3, r0, #{s}",
        "2:",
        // b · w
        "ldr r4, [r0, #{s}]",
        "ldr r5, [r0, #{s} + 4]",
        "ldr r6, [r1]",
        "ldr r7, [r1, #4]",
        "smmul r8, r4, r7",
        "smmul r4, r4, r6",
        "smmla r8, r5, r6, r8",
        "smmul r5, r5, r7",
        "sub r4, r4, r5",
        // d · w³
        "ldr r5, [r0, #3 * {s}]",
        "ldr r6, [r0, #3 * {s} + 4]",
        "ldr r7, [r1, #16]",
        "ldr r9, [r1, #20]",
        "smmul r10, r5, r9",
        "smmul r5, r5, r7",
        "smmla r10, r6, r7, r10",
        "smmul r6, r6, r9",
        "sub r5, r5, r6",
        // Their sum (r11, r12) and difference (r4, r8).
        "add r11, r4, r5",
        "sub r4, r4, r5",
        "add r12, r8, r10",
        "sub r8, r8, r10",
        // c · w²
        "ldr r5, [r0, #2 * {s}]",
        "ldr r6, [r0, #2 * {s} + 4]",
        "ldr r7, [r1, #8]",
        "ldr r9, [r1, #12]",
        "ldr r10, [r0]",
        "ldr lr, [r0, #4]",
        "smmul r2, r5, r9",
        "smmul r5, r5, r7",
        "smmla r2, r6, r7, r2",
        "smmul r6, r6, r9",
        "sub r5, r5, r6",
        // a / 2 and that: sum (r6, r7) and difference (r5, r2).
        "add r6, r5, r10, asr #1",
        "rsb r5, r5, r10, asr #1",
        "add r7, r2, lr, asr #1",
        "rsb r2, r2, lr, asr #1",
        "add r9, r6, r11",
        "add r10, r7, r12",
        "sub r6, r6, r11",
        "sub r7, r7, r12",
        "add r11, r5, r8",
        "sub r5, r5, r8",
        "sub r12, r2, r4",
        "add r2, r2, r4",
        "str r10, [r0, #4]",
        "str r11, [r0, #{s}]",
        "str r12, [r0, #{s} + 4]",
        "str r6, [r0, #2 * {s}]",
        "str r7, [r0, #2 * {s} + 4]",
        "str r5, [r0, #3 * {s}]",
        "str r2, [r0, #3 * {s} + 4]",
        "str r9, [r0], #8",
        "add r1, r1, #24",
        "cmp r0, r3",
        "bne 2b",
        "add r0, r0, #3 * {s}",
        "sub r1, r1, #3 * {s}",
        "ldr r2, [sp]",
        "subs r2, r2, #1",
        "str r2, [sp]",
        "bne 1b",
        "pop {{r2, r3}}",
        "pop {{r4-r11, pc}}",
        s = const S,
    )
}
