/* The files of a run by semihosting, on the RISC-V board; `finish` is the board's. */

#include "files.h"
#include "riscv.h"

enum { OPEN = 0x01, WRITE = 0x05, READ = 0x06 };

static long input, output;

static long opened(const char *name, size_t length, long mode)
{
    const long block[3] = {(long)name, mode, (long)length};
    const long handle = semihosting(OPEN, block);
    if (handle < 0) {
        finish(2);
    }
    return handle;
}

void open_files(void)
{
    input = opened("input", 5, 1);
    output = opened("output", 6, 5);
}

void read_input(void *bytes, size_t count)
{
    const long block[3] = {input, (long)bytes, (long)count};
    if (count > 0 && semihosting(READ, block) != 0) {
        finish(2);
    }
}

void write_output(const void *bytes, size_t count)
{
    const long block[3] = {output, (long)bytes, (long)count};
    if (count > 0 && semihosting(WRITE, block) != 0) {
        finish(2);
    }
}

void close_files(void) {}
