//! Start-up, faults and semihosting of RV32.

use core::arch::{asm, global_asm};

use crate::semihosting;

global_asm!(
    ".section .vectors, \"ax\"",
    ".global rasbora_reset",
    "rasbora_reset:",
    "la sp, __stack_top",
    "la t0, rasbora_fault",
    "csrw mtvec, t0",
    // Variables: copied from their image, or zeroed.
    "la t0, __data_start",
    "la t1, __data_end",
    "la t2, __data_image",
    "1: bgeu t0, t1, 2f",
    "lw t3, 0(t2)",
    "sw t3, 0(t0)",
    "addi t0, t0, 4",
    "addi t2, t2, 4",
    "j 1b",
    "2: la t0, __bss_start",
    "la t1, __bss_end",
    "3: bgeu t0, t1, 4f",
    "sw zero, 0(t0)",
    "addi t0, t0, 4",
    "j 3b",
    "4: call rasbora_main",
    "unimp",
    ".balign 4",
    "rasbora_fault:",
    "csrr a0, mepc",
    "csrr a1, mcause",
    "call rasbora_report_fault",
    "unimp",
    // The markers between which the plugin counts, and that of its clock: one block each.
    ".section .text.start, \"ax\"",
    ".global rasbora_run_begin",
    ".type rasbora_run_begin, @function",
    "rasbora_run_begin:",
    "ret",
    ".size rasbora_run_begin, . - rasbora_run_begin",
    ".global rasbora_run_end",
    ".type rasbora_run_end, @function",
    "rasbora_run_end:",
    "ret",
    ".size rasbora_run_end, . - rasbora_run_end",
    ".global rasbora_clock",
    ".type rasbora_clock, @function",
    "rasbora_clock:",
    "ret",
    ".size rasbora_clock, . - rasbora_clock",
    ".global rasbora_paint",
    ".type rasbora_paint, @function",
    "rasbora_paint:",
    "5: bgeu a0, sp, 6f",
    "sw a1, 0(a0)",
    "addi a0, a0, 4",
    "j 5b",
    "6: mv a0, sp",
    "ret",
);

#[unsafe(no_mangle)]
extern "C" fn rasbora_report_fault(address: u32, cause: u32) -> ! {
    semihosting::print(c"the firmware trapped; program counter, cause:");
    semihosting::print_hexadecimal(address);
    semihosting::print_hexadecimal(cause);
    semihosting::exit(102)
}

/// A semihosting operation with a block of parameters.
pub fn call(operation: usize, parameters: &[usize]) -> usize {
    call_with(operation, parameters.as_ptr() as usize)
}

/// A semihosting operation with the parameter itself.
pub fn call_with(operation: usize, parameter: usize) -> usize {
    let result;
    // SAFETY: the emulator knows the breakpoint by the two shifts around it, all three uncompressed and in one
    // page, and reads and writes what the operation names.
    unsafe {
        asm!(
            ".balign 16",
            ".option push",
            ".option norvc",
            "slli zero, zero, 0x1f",
            "ebreak",
            "srai zero, zero, 7",
            ".option pop",
            inout("a0") operation => result,
            in("a1") parameter,
            options(nostack),
        );
    }
    result
}
