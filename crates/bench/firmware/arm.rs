//! Start-up, faults and semihosting of Arm's M profile.

use core::arch::{asm, global_asm};

use crate::semihosting;

global_asm!(
    // The vector table: the stack's top, reset, and every exception a fault.
    ".section .vectors, \"a\"",
    ".word __stack_top",
    ".word rasbora_reset",
    ".rept 14",
    ".word rasbora_fault",
    ".endr",
    ".section .text.start, \"ax\"",
    ".thumb",
    ".global rasbora_reset",
    ".type rasbora_reset, %function",
    ".thumb_func",
    "rasbora_reset:",
    // Variables: copied from their image in flash, or zeroed.
    "ldr r0, =__data_start",
    "ldr r1, =__data_end",
    "ldr r2, =__data_image",
    "1: cmp r0, r1",
    "bhs 2f",
    "ldr r3, [r2]",
    "str r3, [r0]",
    "adds r0, #4",
    "adds r2, #4",
    "b 1b",
    "2: ldr r0, =__bss_start",
    "ldr r1, =__bss_end",
    "movs r2, #0",
    "3: cmp r0, r1",
    "bhs 4f",
    "str r2, [r0]",
    "adds r0, #4",
    "b 3b",
    "4:",
    "bl rasbora_set_up_core",
    "bl rasbora_main",
    "udf #0",
    ".global rasbora_fault",
    ".type rasbora_fault, %function",
    ".thumb_func",
    "rasbora_fault:",
    "mrs r0, msp",
    "bl rasbora_report_fault",
    "udf #0",
    ".pool",
    // The markers between which the plugin counts, and that of its clock: one block each.
    ".global rasbora_run_begin",
    ".type rasbora_run_begin, %function",
    ".thumb_func",
    "rasbora_run_begin:",
    "bx lr",
    ".size rasbora_run_begin, . - rasbora_run_begin",
    ".global rasbora_run_end",
    ".type rasbora_run_end, %function",
    ".thumb_func",
    "rasbora_run_end:",
    "bx lr",
    ".size rasbora_run_end, . - rasbora_run_end",
    ".global rasbora_clock",
    ".type rasbora_clock, %function",
    ".thumb_func",
    "rasbora_clock:",
    "bx lr",
    ".size rasbora_clock, . - rasbora_clock",
    ".global rasbora_paint",
    ".type rasbora_paint, %function",
    ".thumb_func",
    "rasbora_paint:",
    "mov r2, sp",
    "5: cmp r0, r2",
    "bhs 6f",
    "str r1, [r0]",
    "adds r0, #4",
    "b 5b",
    "6: mov r0, r2",
    "bx lr",
);

/// A register of the core, and what is set in it after reset. The floating-point unit, and Helium with it, is coprocessor 10
/// and 11 in the CPACR, and off. Armv6-M has no unaligned accesses, and the emulated boards' cores do: they fault on them by
/// bit 3 of the CCR.
const CORE: [u32; 2] = if cfg!(target_abi = "eabihf") {
    [0xE000_ED88, 0x00F0_0000]
} else if cfg!(not(target_has_atomic = "32")) {
    [0xE000_ED14, 1 << 3]
} else {
    [0xE000_ED14, 0]
};

global_asm!(
    ".section .text.start, \"ax\"",
    ".thumb",
    ".thumb_func",
    "rasbora_set_up_core:",
    "ldr r0, ={register}",
    "ldr r1, [r0]",
    "ldr r2, ={bits}",
    "orrs r1, r2",
    "str r1, [r0]",
    "dsb",
    "isb",
    "bx lr",
    ".pool",
    register = const CORE[0],
    bits = const CORE[1],
);

/// Index, in words, of the return address in the frame that the processor pushes on an exception.
const FRAME_PC: usize = 6;

#[unsafe(no_mangle)]
extern "C" fn rasbora_report_fault(frame: *const u32) -> ! {
    semihosting::print(c"the firmware faulted (HardFault or an unexpected exception); program counter, link register:");
    // SAFETY: the processor has just pushed eight words there.
    unsafe {
        semihosting::print_hexadecimal(frame.add(FRAME_PC).read());
        semihosting::print_hexadecimal(frame.add(FRAME_PC - 1).read());
    }
    semihosting::exit(102)
}

/// A semihosting operation with a block of parameters.
pub fn call(operation: usize, parameters: &[usize]) -> usize {
    call_with(operation, parameters.as_ptr() as usize)
}

/// A semihosting operation with the parameter itself.
pub fn call_with(operation: usize, parameter: usize) -> usize {
    let result;
    // SAFETY: the breakpoint is taken by the emulator, which reads and writes what the operation names.
    unsafe { asm!("bkpt #0xAB", inout("r0") operation => result, in("r1") parameter, options(nostack)) };
    result
}
