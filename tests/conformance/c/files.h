/* The files of a run: by stdio where there is a C library, else by semihosting. What fails ends the program. */

#ifndef FILES_H
#define FILES_H

#include <stddef.h>
#include <stdint.h>

void open_files(void);
void read_input(void *bytes, size_t count);
void write_output(const void *bytes, size_t count);
void close_files(void);
void finish(int status) __attribute__((noreturn));

#endif
