// On Arm the compiler fills memory by functions of its own, whose arguments stand in another order than those of C's
// `memset`; this leads to that one, which a C program has anyway.
#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    ".section .text.__aeabi_memset, \"ax\", %progbits",
    ".thumb",
    ".irp name, __aeabi_memset, __aeabi_memset4, __aeabi_memset8",
    ".global \\name",
    ".type \\name, %function",
    ".thumb_func",
    "\\name:",
    ".endr",
    "mov r3, r1",
    "mov r1, r2",
    "mov r2, r3",
    "push {{r7, lr}}",
    "bl memset",
    "pop {{r7, pc}}",
    ".irp name, __aeabi_memclr, __aeabi_memclr4, __aeabi_memclr8",
    ".global \\name",
    ".type \\name, %function",
    ".thumb_func",
    "\\name:",
    ".endr",
    "mov r2, r1",
    "movs r1, #0",
    "push {{r7, lr}}",
    "bl memset",
    "pop {{r7, pc}}",
    ".text",
);

unsafe extern "C" {
    /// Nowhere defined: where code that panics is left, the library is refused for this symbol.
    fn rasbora_code_that_panics() -> !;
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // SAFETY: a library that holds this call is never written.
    unsafe { rasbora_code_that_panics() }
}
