//! Sums of 16-bit inputs with 8-bit weights: eight taps of four filters take 9 instructions.

use core::arch::naked_asm;

/// Writes the sums of four filters, whose weights start `step` apart, with `taps` inputs. The parameter does nothing: it keeps
/// the function out of the objects that do not call it.
///
/// # Safety
/// There must be `taps` inputs, and as many weights of each filter.
#[unsafe(naked)]
pub unsafe extern "C" fn sums<const UNUSED: u32>(
    x: *const i16,
    weights: *const i8,
    step: usize,
    taps: usize,
    sums: &mut [i32; 4],
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r3-r11, lr}}",
        "add r5, r1, r2",
        "add r7, r5, r2",
        "add r2, r7, r2",
        "mov r4, #0",
        "mov r6, #0",
        "mov r8, #0",
        "mov r10, #0",
        "wlstp.16 lr, r3, 3f",
        "2:",
        "vldrh.u16 q0, [r0], #16",
        "vldrb.s16 q1, [r1], #8",
        "vmladava.s16 r4, q0, q1",
        "vldrb.s16 q2, [r5], #8",
        "vmladava.s16 r6, q0, q2",
        "vldrb.s16 q3, [r7], #8",
        "vmladava.s16 r8, q0, q3",
        "vldrb.s16 q1, [r2], #8",
        "vmladava.s16 r10, q0, q1",
        "letp lr, 2b",
        "3:",
        "ldr r0, [sp, #40]",
        "strd r4, r6, [r0]",
        "strd r8, r10, [r0, #8]",
        "pop {{r3-r11, pc}}",
    )
}
