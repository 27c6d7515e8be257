/* Every code of rasbora.h that the functions give, on the packed program of the digits model. Prints what is wrong. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "networks.h"

#define HEADER_HASH 8
#define HASHED_FROM 16

static unsigned char program[1 << 16] __attribute__((aligned(16)));
static unsigned char arena[ARENA_BYTES + 16] __attribute__((aligned(16)));
static rasbora_interpreter network;
static size_t bytes;
static int failed;

static void expect(const char *what, long found, long wanted)
{
    if (found != wanted) {
        printf("%s: %ld instead of %ld\n", what, found, wanted);
        failed = 1;
    }
}

/* The program as it was packed. */
static void restore(void)
{
    bytes = (size_t)(digits_program_end - digits_program);
    memcpy(program, digits_program, bytes);
}

/* FNV-1a over what is hashed. */
static void rehash(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    size_t i;
    for (i = HASHED_FROM; i < bytes; i++) {
        hash = (hash ^ program[i]) * 0x100000001b3u;
    }
    memcpy(program + HEADER_HASH, &hash, sizeof hash);
}

static int init(void)
{
    return rasbora_init(&network, program, bytes, arena, ARENA_BYTES);
}

/* Offset of the first step: behind header, inputs, outputs and state. */
static size_t first_step(void)
{
    uint32_t state;
    uint16_t ports[2];
    memcpy(&state, program + 24, sizeof state);
    memcpy(ports, program + 36, sizeof ports);
    return 40 + 44 * (size_t)(ports[0] + ports[1]) + (state + 3) / 4 * 4;
}

int main(void)
{
    rasbora_tensor tensor;
    uint16_t opcode = 999;
    restore();
    expect("before init", rasbora_run(&network), RASBORA_ERROR_NOT_READY);
    expect("input before init", rasbora_input(&network, 0) == NULL, 1);
    expect("no memory", rasbora_init(&network, program, bytes, NULL, 0), RASBORA_ERROR_NO_MEMORY);
    expect("misaligned arena", rasbora_init(&network, program, bytes, arena + 4, ARENA_BYTES),
           RASBORA_ERROR_ARENA_MISALIGNED);
    expect("small arena", rasbora_init(&network, program, bytes, arena, 16), RASBORA_ERROR_ARENA_SMALL);
    expect("bytes needed", (long)rasbora_detail(&network), ARENA_BYTES);
    expect("arena bytes", (long)rasbora_arena_bytes(program, bytes), ARENA_BYTES);
    expect("truncated", rasbora_init(&network, program, bytes - 1, arena, ARENA_BYTES), RASBORA_ERROR_TRUNCATED);
    memmove(program + 4, program, bytes);
    expect("misaligned program", rasbora_init(&network, program + 4, bytes, arena, ARENA_BYTES),
           RASBORA_ERROR_PROGRAM_MISALIGNED);
    restore();
    program[0] ^= 1;
    expect("other bytes", init(), RASBORA_ERROR_FORMAT);
    expect("no arena bytes", (long)rasbora_arena_bytes(program, bytes), 0);
    restore();
    program[4] ^= 64;
    expect("another version", init(), RASBORA_ERROR_VERSION);
    restore();
    program[bytes - 1] ^= 1;
    expect("damaged", init(), RASBORA_ERROR_DAMAGED);
    restore();
    memcpy(program + first_step(), &opcode, sizeof opcode);
    rehash();
    expect("a kernel that is not linked", init(), RASBORA_ERROR_KERNEL);
    expect("its number", (long)rasbora_detail(&network), opcode);
    restore();
    memset(program + first_step() + 8, 0xff, 4);
    rehash();
    expect("wrong rows", init(), RASBORA_ERROR_PARAMETERS);
    restore();
    memset(program + first_step() + 20 + 4, 0x11, 4);
    rehash();
    expect("wrong operand", init(), RASBORA_ERROR_OPERANDS);
    expect("after a refusal", rasbora_step(&network, 1), RASBORA_ERROR_NOT_READY);
    restore();
    expect("whole", init(), RASBORA_DONE);
    expect("input", rasbora_input_tensor(&network, 0, &tensor), RASBORA_DONE);
    expect("its bytes", (long)tensor.bytes, (long)digits_ins[0]);
    expect("no such input", rasbora_input_tensor(&network, 9, &tensor), RASBORA_ERROR_NO_TENSOR);
    expect("output", rasbora_output_tensor(&network, 0, &tensor), RASBORA_DONE);
    expect("pending", rasbora_step(&network, 1), RASBORA_PENDING);
    expect("reset", rasbora_reset(&network), RASBORA_DONE);
    expect("run", rasbora_run(&network), RASBORA_DONE);
    return failed;
}
