/* Start-up of QEMU's RISC-V virt machine, printing by semihosting, and the three functions that a compiler may call. */

#include "riscv.h"

/* Else the loops below become calls of the functions that they are in. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

__asm(".section .vectors, \"ax\"\n"
      ".option arch, +zicsr\n"
      ".global _start\n"
      "_start:\n"
      "  la sp, __stack\n"
      "  la t0, fault\n"
      "  csrw mtvec, t0\n"
      "  la t0, __bss_start\n"
      "  la t1, __bss_end\n"
      "1: bgeu t0, t1, 2f\n"
      "  sw zero, 0(t0)\n"
      "  addi t0, t0, 4\n"
      "  j 1b\n"
      "2: la t0, __data_start\n"
      "  la t1, __data_end\n"
      "  la t2, __data_image\n"
      "3: bgeu t0, t1, 4f\n"
      "  lw t3, 0(t2)\n"
      "  sw t3, 0(t0)\n"
      "  addi t0, t0, 4\n"
      "  addi t2, t2, 4\n"
      "  j 3b\n"
      "4: call main\n"
      "  call finish\n"
      ".balign 4\n"
      "fault:\n"
      "  li a0, 102\n"
      "  call finish\n"
      ".text\n");

long semihosting(long operation, const void *parameters)
{
    register long a0 __asm("a0") = operation;
    register const void *a1 __asm("a1") = parameters;
    __asm volatile(".balign 16\n"
                   ".option push\n"
                   ".option norvc\n"
                   "slli zero, zero, 0x1f\n"
                   "ebreak\n"
                   "srai zero, zero, 7\n"
                   ".option pop\n"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
    return a0;
}

void print(const char *text)
{
    semihosting(0x04, text);
}

void finish(int status)
{
    const long exit[2] = {0x20026, status};
    for (;;) {
        semihosting(0x20, exit);
    }
}

void *memcpy(void *to, const void *from, size_t bytes)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (bytes--) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t <= f) {
        return memcpy(to, from, bytes);
    }
    while (bytes--) {
        t[bytes] = f[bytes];
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    unsigned char *t = to;
    while (bytes--) {
        *t++ = (unsigned char)value;
    }
    return to;
}
