//! The Fourier transform of audio front ends, and the sums of mel bands of it, in 32-bit fixed point.
//!
//! A butterfly of radix 4 takes 55 cycles by the M4 model: 14 loads in three groups (17), 12 `SMMUL`, `SMMLA` and `SMMLS`,
//! 16 sums, 8 stores, and its part of the loop. Under the window it takes 37: 8 loads in a group (9), 8 products of which
//! half are summed, 12 sums, 8 stores. A bin takes 41: 7 loads (10), 6 sums, 4 products, 15 for the modulus, 2 for the sums of
//! bands, and the loop (4). All need all registers at once, which the compiler does not manage without the stack.

use core::arch::naked_asm;

use crate::spectrum::{Bins, Complex, EMPHASIS, POINTS};

/// Runs `groups` groups of `4 · S / 8` points from `points` on, where `S` is the bytes from one input of a butterfly to the
/// next. `twiddles` are six numbers for each butterfly of a group: `w, w², w³`. The term without a twiddle is shifted right
/// by `SHIFT`.
///
/// # Safety
/// `points` must be `groups · S / 2` complex numbers that may be written, `twiddles` `3 · S / 4` numbers, `S` a multiple of
/// 32, and both `S` and `groups` more than 0.
#[unsafe(naked)]
pub unsafe extern "C" fn stage<const S: usize, const SHIFT: u32>(points: *mut i32, twiddles: *const i32, groups: u32) {
    naked_asm!(
        // LLVM gathers the symbols of assembly with no more than the triple, and that of Armv8-M lacks the DSP extension.
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "push {{r2, r3}}",
        "1:",
        "add r3, r0, #{s}",
        "2:",
        ".irp o, 0, 8, 16, 24",
        // b · w
        "ldr r4, [r0, #{s} + \\o]",
        "ldr r5, [r0, #{s} + \\o + 4]",
        "ldr r6, [r1, #3 * \\o]",
        "ldr r7, [r1, #3 * \\o + 4]",
        "smmul r8, r4, r7",
        "smmul r4, r4, r6",
        "smmla r8, r5, r6, r8",
        "smmls r4, r5, r7, r4",
        // d · w³
        "ldr r5, [r0, #3 * {s} + \\o]",
        "ldr r6, [r0, #3 * {s} + \\o + 4]",
        "ldr r7, [r1, #3 * \\o + 16]",
        "ldr r9, [r1, #3 * \\o + 20]",
        "smmul r10, r5, r9",
        "smmul r5, r5, r7",
        "smmla r10, r6, r7, r10",
        "smmls r5, r6, r9, r5",
        // Their sum (r11, r12) and difference (r4, r8).
        "add r11, r4, r5",
        "sub r4, r4, r5",
        "add r12, r8, r10",
        "sub r8, r8, r10",
        // c · w²
        "ldr r5, [r0, #2 * {s} + \\o]",
        "ldr r6, [r0, #2 * {s} + \\o + 4]",
        "ldr r7, [r1, #3 * \\o + 8]",
        "ldr r9, [r1, #3 * \\o + 12]",
        "ldr r10, [r0, #\\o]",
        "ldr lr, [r0, #\\o + 4]",
        "smmul r2, r5, r9",
        "smmul r5, r5, r7",
        "smmla r2, r6, r7, r2",
        "smmls r5, r6, r9, r5",
        // a and that: sum (r6, r7) and difference (r5, r2).
        "add r6, r5, r10, asr #{shift}",
        "rsb r5, r5, r10, asr #{shift}",
        "add r7, r2, lr, asr #{shift}",
        "rsb r2, r2, lr, asr #{shift}",
        "add r9, r6, r11",
        "add r10, r7, r12",
        "sub r6, r6, r11",
        "sub r7, r7, r12",
        "add r11, r5, r8",
        "sub r5, r5, r8",
        "sub r12, r2, r4",
        "add r2, r2, r4",
        "str r9, [r0, #\\o]",
        "str r10, [r0, #\\o + 4]",
        "str r11, [r0, #{s} + \\o]",
        "str r12, [r0, #{s} + \\o + 4]",
        "str r6, [r0, #2 * {s} + \\o]",
        "str r7, [r0, #2 * {s} + \\o + 4]",
        "str r5, [r0, #3 * {s} + \\o]",
        "str r2, [r0, #3 * {s} + \\o + 4]",
        ".endr",
        "add r0, r0, #32",
        "add r1, r1, #96",
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
        shift = const SHIFT,
    )
}

/// The first stage of the transform of 256 pairs of samples, each times its part of the window.
///
/// # Safety
/// `samples` and `window` must be 512 numbers, of which the latter start at a word, and `points` 256 complex ones that may
/// be written. `N` is 0: a symbol for each use, see the others of this folder.
#[unsafe(naked)]
pub unsafe extern "C" fn windowed<const UNUSED: u32>(samples: *const i16, window: *const i16, points: *mut i32) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "mov lr, #4",
        "1:",
        "mov r12, #4",
        "2:",
        ".irp o, 0, 1, 2, 3",
        "ldr r3, [r0, #4 * \\o]",
        "ldr r4, [r0, #4 * \\o + 256]",
        "ldr r5, [r0, #4 * \\o + 512]",
        "ldr r6, [r0, #4 * \\o + 768]",
        "ldr r7, [r1, #4 * \\o]",
        "ldr r8, [r1, #4 * \\o + 256]",
        "ldr r9, [r1, #4 * \\o + 512]",
        "ldr r10, [r1, #4 * \\o + 768]",
        // a + c (r7, r5) and a - c (r11, r3)
        "smulbb r11, r3, r7",
        "smultt r3, r3, r7",
        "smlabb r7, r5, r9, r11",
        "smlatt r5, r5, r9, r3",
        "rsb r11, r7, r11, lsl #1",
        "rsb r3, r5, r3, lsl #1",
        // b + d (r8, r6) and b - d (r9, r4)
        "smulbb r9, r4, r8",
        "smultt r4, r4, r8",
        "smlabb r8, r6, r10, r9",
        "smlatt r6, r6, r10, r4",
        "rsb r9, r8, r9, lsl #1",
        "rsb r4, r6, r4, lsl #1",
        "add r10, r7, r8",
        "sub r7, r7, r8",
        "add r8, r5, r6",
        "sub r5, r5, r6",
        "add r6, r11, r4",
        "sub r11, r11, r4",
        "sub r4, r3, r9",
        "add r3, r3, r9",
        "str r10, [r2, #512 * \\o]",
        "str r8, [r2, #512 * \\o + 4]",
        "str r6, [r2, #512 * \\o + 8]",
        "str r4, [r2, #512 * \\o + 12]",
        "str r7, [r2, #512 * \\o + 16]",
        "str r5, [r2, #512 * \\o + 20]",
        "str r11, [r2, #512 * \\o + 24]",
        "str r3, [r2, #512 * \\o + 28]",
        ".endr",
        "add r0, r0, #16",
        "add r1, r1, #16",
        "add r2, r2, #128",
        "subs r12, r12, #1",
        "bne 2b",
        "sub r2, r2, #512 - 32",
        "subs lr, lr, #1",
        "bne 1b",
        "pop {{r4-r11, pc}}",
    )
}

/// The first stage of the transform of every second of 512 pairs of emphasised samples, each times its part of the window.
/// A quarter of such a butterfly takes 14 cycles: 3 loads in a group (4), 5 or 7 products and sums, 2 sums, 2 stores.
///
/// # Safety
/// `samples` must be 1023 numbers, `window` 1022, and `points` 256 complex ones that may be written.
#[unsafe(naked)]
pub unsafe extern "C" fn emphasised<const UNUSED: u32>(samples: *const i16, window: *const i16, points: *mut i32) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "movw r11, #{before} & 0xffff",
        "movt r11, #{sample}",
        "mov lr, #16",
        "1:",
        ".irp o, 0, 1, 2, 3",
        // The first (r3, r4) and third quarter: sums (r6, r7) and differences (r3, r4).
        "ldr r3, [r0, #8 * \\o]",
        "ldrh r4, [r0, #8 * \\o + 4]",
        "ldr r5, [r1, #8 * \\o]",
        "ldr r6, [r0, #8 * \\o + 1024]",
        "ldrh r7, [r0, #8 * \\o + 1028]",
        "ldr r8, [r1, #8 * \\o + 1024]",
        "pkhbt r4, r4, r3",
        "smuad r3, r3, r11",
        "smuadx r4, r4, r11",
        "smulwb r3, r3, r5",
        "smulwt r4, r4, r5",
        "pkhbt r7, r7, r6",
        "smuad r6, r6, r11",
        "smuadx r7, r7, r11",
        "smlawb r6, r6, r8, r3",
        "smlawt r7, r7, r8, r4",
        "rsb r3, r6, r3, lsl #1",
        "rsb r4, r7, r4, lsl #1",
        // The second and fourth: sums (r9, r10) and differences (r5, r8).
        "ldr r5, [r0, #8 * \\o + 512]",
        "ldrh r8, [r0, #8 * \\o + 516]",
        "ldr r9, [r1, #8 * \\o + 512]",
        "pkhbt r8, r8, r5",
        "smuad r5, r5, r11",
        "smuadx r8, r8, r11",
        "smulwb r5, r5, r9",
        "smulwt r8, r8, r9",
        "ldr r9, [r0, #8 * \\o + 1536]",
        "ldrh r10, [r0, #8 * \\o + 1540]",
        "ldr r12, [r1, #8 * \\o + 1536]",
        "pkhbt r10, r10, r9",
        "smuad r9, r9, r11",
        "smuadx r10, r10, r11",
        "smlawb r9, r9, r12, r5",
        "smlawt r10, r10, r12, r8",
        "rsb r5, r9, r5, lsl #1",
        "rsb r8, r10, r8, lsl #1",
        "add r12, r6, r9",
        "sub r6, r6, r9",
        "add r9, r7, r10",
        "sub r7, r7, r10",
        "add r10, r3, r8",
        "sub r3, r3, r8",
        "sub r8, r4, r5",
        "add r4, r4, r5",
        "str r12, [r2, #512 * \\o]",
        "str r9, [r2, #512 * \\o + 4]",
        "str r10, [r2, #512 * \\o + 8]",
        "str r8, [r2, #512 * \\o + 12]",
        "str r6, [r2, #512 * \\o + 16]",
        "str r7, [r2, #512 * \\o + 20]",
        "str r3, [r2, #512 * \\o + 24]",
        "str r4, [r2, #512 * \\o + 28]",
        ".endr",
        "add r0, r0, #32",
        "add r1, r1, #32",
        "add r2, r2, #128",
        "subs lr, lr, #1",
        "tst lr, #3",
        "bne 1b",
        "sub r2, r2, #512 - 32",
        "cmp lr, #0",
        "bne 1b",
        "pop {{r4-r11, pc}}",
        before = const EMPHASIS[0],
        sample = const EMPHASIS[1],
    )
}

/// Arguments of [`band_sums`].
#[repr(C)]
pub struct Call {
    /// The point of the first bin, and that with which it makes one.
    points: [*const Complex; 2],
    bins: *const [i32; 3],
    roots: *const i32,
    /// The first count, and the end of them.
    counts: [*const u8; 2],
    sums: *mut i32,
}

impl Call {
    /// As many `sums` as there are runs.
    pub fn new(bins: &Bins<'_>, sums: *mut i32) -> Self {
        let points = bins.points.as_ptr();
        Self {
            points: [bins.first, POINTS - bins.first].map(|point| points.wrapping_add(point)),
            bins: bins.bins.as_ptr(),
            roots: bins.roots.as_ptr(),
            counts: [bins.counts.as_ptr(), bins.counts.as_ptr_range().end],
            sums,
        }
    }
}

/// Sums of the moduli of bins, as [`crate::spectrum::band_sums`].
///
/// # Safety
/// There must be a count, as many points up and down, bins and sums as the counts say, and a table of roots.
#[unsafe(naked)]
pub unsafe extern "C" fn band_sums<const UNUSED: u32>(call: &Call) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "vldmia r0, {{s0-s6}}",
        "vmov r0, r1, s0, s1",
        "vmov r2, r3, s2, s3",
        "vmov r7, s4",
        // The sum so far (r4), and half of what of it is the next band's (r5).
        "mov r4, #0",
        "1:",
        "ldrb r6, [r7], #1",
        "vmov s4, r7",
        "mov r5, #0",
        "cmp r6, #0",
        "beq 3f",
        "2:",
        "ldm r0!, {{r7, r8}}",
        "ldrd r9, r10, [r1], #-8",
        "ldm r2!, {{r11, r12, lr}}",
        // Sum and difference of the imaginary parts (r8, r10) and of the real ones (r7, -r9).
        "add r8, r8, r10",
        "sub r10, r8, r10, lsl #1",
        "add r7, r7, r9",
        "rsb r9, r7, r9, lsl #1",
        "asr r7, r7, #1",
        "asr r10, r10, #1",
        "smmla r7, r8, r11, r7",
        "smmls r7, r9, r12, r7",
        "smmla r10, r8, r12, r10",
        "smmla r10, r9, r11, r10",
        // The modulus.
        "eor r8, r7, r7, asr #31",
        "eor r9, r10, r10, asr #31",
        "orr r8, r8, r9",
        "clz r8, r8",
        "sub r8, r8, #1",
        "lsl r7, r7, r8",
        "lsl r10, r10, r8",
        "smmul r7, r7, r7",
        "smmla r7, r10, r10, r7",
        "lsr r9, r7, #23",
        "ldr r9, [r3, r9, lsl #2]",
        "ubfx r7, r7, #8, #15",
        "smlabb r7, r7, r9, r9",
        "lsr r7, r7, r8",
        "add r4, r4, r7",
        "smmla r5, r7, lr, r5",
        "subs r6, r6, #1",
        "bne 2b",
        "3:",
        "vmov r8, s6",
        "vmov r7, r9, s4, s5",
        "sub r4, r4, r5, lsl #1",
        "str r4, [r8], #4",
        "vmov s6, r8",
        "lsl r4, r5, #1",
        "cmp r7, r9",
        "bne 1b",
        "pop {{r4-r11, pc}}",
    )
}
