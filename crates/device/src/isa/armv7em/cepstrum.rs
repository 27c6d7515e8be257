//! Cepstral coefficients, see [`Cepstrum`].
//!
//! By the M4 model a logarithm takes 23 cycles, of which 8 are its load, store and loop; a sum and a difference of two take
//! 13; four products of a coefficient 18: 8 loads in two instructions (10), the products, and the loop (4).

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::cepstrum::{Cepstrum, FRACTION};
use crate::memory::ViewMut;

/// Arguments of [`cepstrum`]. The first seven are loaded as they stand here.
#[repr(C)]
pub struct Call {
    sums: *mut i32,
    sums_end: *mut i32,
    logarithms: *const i32,
    short_floor: u32,
    short_scale: i32,
    long_floor: u32,
    long_scale: i32,
    /// Half of the bands.
    half: usize,
    cosines: *const i32,
    /// The upper word of what sums over cosines start with.
    start: i32,
    out: *mut i8,
    coefficients: usize,
}

impl Call {
    /// `half` are the bands of [`Cepstrum::half`].
    pub fn new(cepstrum: &Cepstrum<'_>, half: usize, sums: *mut i32, out: ViewMut<'_, i8>) -> Self {
        // The logarithm's whole part is 31 less the zeros before the number.
        let ([short_floor, long_floor], scales) =
            ([cepstrum.short.0, cepstrum.long.0], [cepstrum.short.1, cepstrum.long.1]);
        let [short_scale, long_scale] = scales.map(|scale| scale.wrapping_add(31 << 16));
        Self {
            sums,
            sums_end: sums.wrapping_add(2 * half),
            logarithms: cepstrum.logarithms.as_ptr(),
            short_floor,
            short_scale,
            long_floor,
            long_scale,
            half,
            cosines: cepstrum.cosines.as_ptr(),
            start: cepstrum.zero_point << (FRACTION - 32),
            out: out.as_mut_ptr(),
            coefficients: out.len(),
        }
    }
}

/// Cepstral coefficients. The parameter does nothing: it keeps the function out of the objects that do not call it.
///
/// # Safety
/// There must be `2 · half` sums that may be written, a table of logarithms, `half` cosines for each coefficient, room for
/// those, and a band and a coefficient.
#[unsafe(naked)]
pub unsafe extern "C" fn cepstrum<const UNUSED: u32>(call: &Call) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "mov lr, r0",
        "ldm r0, {{r0, r1, r2, r6, r7, r8, r9}}",
        "1:",
        "ldr r4, [r0]",
        "lsrs r5, r4, #16",
        "itete eq",
        "addeq r4, r6, r4, lsl #16",
        "addne r4, r4, r8",
        "moveq r5, r7",
        "movne r5, r9",
        "clz r10, r4",
        "lsl r4, r4, r10",
        "ubfx r11, r4, #24, #7",
        "ldr r11, [r2, r11, lsl #2]",
        "ubfx r4, r4, #8, #16",
        "sub r5, r5, r10, lsl #16",
        "add r5, r5, r11, lsr #16",
        "smlawb r5, r4, r11, r5",
        "str r5, [r0], #4",
        "cmp r0, r1",
        "bne 1b",
        // Sums and differences.
        "ldr r0, [lr]",
        "ldr r3, [lr, #{half}]",
        "add r1, r0, r3, lsl #2",
        "vmov s0, s1, r0, r1",
        "vmov s2, r3",
        "sub r0, r1, #4",
        "2:",
        "ldr r4, [r0]",
        "ldr r5, [r1]",
        "add r6, r4, r5",
        "sub r5, r5, r4",
        "str r6, [r0], #-4",
        "str r5, [r1], #4",
        "subs r3, r3, #1",
        "bne 2b",
        // Coefficients.
        "ldr r2, [lr, #{cosines}]",
        "vldr s3, [lr, #{start}]",
        "vldr s4, [lr, #{out}]",
        "vldr s5, [lr, #{coefficients}]",
        "3:",
        // Sums and differences in turn.
        "vmov r0, r1, s0, s1",
        "vmov s0, s1, r1, r0",
        "vmov r3, s2",
        "mov r12, #0",
        "vmov lr, s3",
        "subs r3, r3, #4",
        "blo 5f",
        "4:",
        "ldm r0!, {{r4-r7}}",
        "ldm r2!, {{r8-r11}}",
        "smlal r12, lr, r4, r8",
        "smlal r12, lr, r5, r9",
        "smlal r12, lr, r6, r10",
        "smlal r12, lr, r7, r11",
        "subs r3, r3, #4",
        "bhs 4b",
        "5:",
        "adds r3, r3, #4",
        "beq 7f",
        "6:",
        "ldr r4, [r0], #4",
        "ldr r8, [r2], #4",
        "smlal r12, lr, r4, r8",
        "subs r3, r3, #1",
        "bne 6b",
        "7:",
        // Towards zero: a negative sum has the largest fraction added.
        "subs r12, r12, #1",
        "movw r4, #{fraction}",
        "adc r4, r4, lr",
        "cmp lr, #0",
        "it pl",
        "movpl r4, lr",
        "ssat r4, #8, r4, asr #{fraction_bits}",
        "vmov r5, r6, s4, s5",
        "strb r4, [r5], #1",
        "subs r6, r6, #1",
        "vmov s4, s5, r5, r6",
        "bne 3b",
        "pop {{r4-r11, pc}}",
        half = const offset_of!(Call, half),
        cosines = const offset_of!(Call, cosines),
        start = const offset_of!(Call, start),
        out = const offset_of!(Call, out),
        coefficients = const offset_of!(Call, coefficients),
        fraction = const (1 << (FRACTION - 32)) - 1,
        fraction_bits = const FRACTION - 32,
    )
}
