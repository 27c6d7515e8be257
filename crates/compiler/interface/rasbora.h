/* The interpreter of Rasbora @version@ for @platform@: it runs packed programs, `rasbora compile --emit packed`, of
   version @format@ of the format, where they lie in flash. These kernels are linked, by their numbers in the format:

@kernels@

   One inference: fill the inputs, rasbora_run(), read the outputs. The caller owns the memory:

       static rasbora_interpreter network;
       static _Alignas(RASBORA_ALIGN) unsigned char arena[8192];
       int code = rasbora_init(&network, program, program_bytes, arena, sizeof arena);

   The program must start at a multiple of RASBORA_ALIGN, and stay as it is. The arena may be another network's between
   two inferences, where the network keeps no state. Several interpreters may run at the same time, each in an arena of
   its own; the functions of one are not to be called at the same time. */

#ifndef RASBORA_H
#define RASBORA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the addresses of program and arena are multiples of. */
#define RASBORA_ALIGN 16

@stack@
/* The version of the packed format that is read. */
#define RASBORA_FORMAT_VERSION @format@

/* What the functions return. rasbora_detail() says more of an error, as noted in brackets. */
#define RASBORA_DONE 0 /* it is done */
#define RASBORA_PENDING 1 /* the inference is not at its end: call rasbora_step again */
#define RASBORA_ERROR_NO_MEMORY (-1) /* a null pointer instead of memory */
#define RASBORA_ERROR_ARENA_MISALIGNED (-2) /* the arena's address is no multiple of RASBORA_ALIGN */
#define RASBORA_ERROR_ARENA_SMALL (-3) /* the arena is smaller than the program needs [bytes that it needs] */
#define RASBORA_ERROR_NOT_READY (-4) /* rasbora_init has not succeeded yet */
#define RASBORA_ERROR_NO_TENSOR (-5) /* there is no input or output of that number */
#define RASBORA_ERROR_PROGRAM_MISALIGNED (-6) /* the program's address is no multiple of RASBORA_ALIGN */
#define RASBORA_ERROR_FORMAT (-7) /* these bytes are no packed program */
#define RASBORA_ERROR_VERSION (-8) /* the program is of another version of the format */
#define RASBORA_ERROR_TRUNCATED (-9) /* the program ends too early, or points outside itself or its arena */
#define RASBORA_ERROR_DAMAGED (-10) /* the program's content does not match its hash */
#define RASBORA_ERROR_KERNEL (-11) /* the program needs a kernel that is not linked [its number] */
#define RASBORA_ERROR_LAYOUT (-12) /* a step's constants are packed in a layout that is not known [the step] */
#define RASBORA_ERROR_PARAMETERS (-13) /* a step's parameters contradict each other [the step] */
#define RASBORA_ERROR_OPERANDS (-14) /* a step's operands do not fit its parameters or the memory [the step] */

/* Types of elements. */
#define RASBORA_INT8 1
#define RASBORA_UINT8 2
#define RASBORA_FLOAT32 3
#define RASBORA_INT32 4
#define RASBORA_INT16 5

/* An interpreter with its program. What it holds is its own. */
typedef struct {
    union {
        void *words[32];
        uint64_t align;
    } own;
} rasbora_interpreter;

/* A network input or output. */
typedef struct {
    uint32_t dtype; /* RASBORA_INT8 and so on */
    uint32_t rank; /* number of axes, at most 6 */
    uint32_t shape[6]; /* sizes of the axes, row-major; 1 beyond the rank */
    uint32_t bytes; /* length in bytes */
    float scale; /* real value of one step of the integer; 0 where it is not quantised */
    int32_t zero_point; /* the integer that means zero */
} rasbora_tensor;

/* Checks the program, takes the arena and sets the network's state to its initial values. Nothing that is wrong with a
   program is left for later: what this accepts runs without a fault. Returns RASBORA_DONE, or what is wrong. */
int rasbora_init(rasbora_interpreter *interpreter, const void *program, size_t program_bytes, void *arena,
                 size_t arena_bytes);

/* What the error of rasbora_init is about: the number in brackets above, else 0. */
uint32_t rasbora_detail(const rasbora_interpreter *interpreter);

/* Bytes of arena that a program needs, inputs and outputs included; 0 where it is no program of this version. */
size_t rasbora_arena_bytes(const void *program, size_t program_bytes);

/* Where input `index` lies, row-major, to be filled before an inference; NULL where there is no such input, or before
   rasbora_init. The place stays the same, so that a DMA may write there. The contents do not last over an inference. */
void *rasbora_input(rasbora_interpreter *interpreter, size_t index);

/* Where output `index` lies, row-major, valid after an inference; NULL where there is no such output, or before
   rasbora_init. */
const void *rasbora_output(rasbora_interpreter *interpreter, size_t index);

/* What input or output `index` is. Returns RASBORA_DONE, RASBORA_ERROR_NO_TENSOR or RASBORA_ERROR_NOT_READY. */
int rasbora_input_tensor(rasbora_interpreter *interpreter, size_t index, rasbora_tensor *tensor);
int rasbora_output_tensor(rasbora_interpreter *interpreter, size_t index, rasbora_tensor *tensor);

/* One inference; one that rasbora_step has begun is given up. Returns RASBORA_DONE or RASBORA_ERROR_NOT_READY. */
int rasbora_run(rasbora_interpreter *interpreter);

/* A part of an inference, of about `budget` instructions: no more, unless one row of one layer takes more. Call it until
   it returns RASBORA_DONE; leave the inputs alone until then. The first call after that begins the next inference. */
int rasbora_step(rasbora_interpreter *interpreter, uint32_t budget);

/* Sets the network's state to its initial values, and gives up an inference that is begun. */
int rasbora_reset(rasbora_interpreter *interpreter);

#ifdef __cplusplus
}
#endif

#endif
