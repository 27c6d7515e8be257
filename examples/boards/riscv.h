/* What firmware on QEMU's RISC-V virt machine has instead of a C library. */

#ifndef RISCV_H
#define RISCV_H

#include <stddef.h>

/* A call to the host that runs the emulator (semihosting). */
long semihosting(long operation, const void *parameters);

/* Prints a text on the emulator's console. */
void print(const char *text);

/* Ends the emulation. */
void finish(int status) __attribute__((noreturn));

#endif
