/* What the header of the network `digits` promises: its constants, and its functions where they are used wrongly. */

#include "digits.h"

#include <stdio.h>

#define EXPECT(condition) \
    if (!(condition)) { \
        printf("line %d: %s does not hold\n", __LINE__, #condition); \
        wrong = 1; \
    }

static union {
    unsigned char bytes[DIGITS_ARENA_BYTES + 2 * DIGITS_ARENA_ALIGN];
    long double aligned;
} memory;

static int wrong;

static void check_init(unsigned char *arena)
{
    digits_memory lent;
    lent.arena = arena;
    lent.arena_bytes = DIGITS_ARENA_BYTES;
    EXPECT(digits_run() == DIGITS_ERROR_NOT_READY);
    EXPECT(digits_step(1000) == DIGITS_ERROR_NOT_READY);
    EXPECT(digits_input(0) == NULL && digits_output(0) == NULL);
    EXPECT(digits_init(&lent) == DIGITS_DONE);
    EXPECT(digits_input(0) != NULL && digits_input(DIGITS_INPUTS) == NULL);
    EXPECT(digits_output(0) != NULL && digits_output(DIGITS_OUTPUTS) == NULL);
    lent.arena = arena + 1;
    EXPECT(digits_init(&lent) == DIGITS_ERROR_ARENA_MISALIGNED);
    EXPECT(digits_run() == DIGITS_ERROR_NOT_READY);
    lent.arena = arena;
    lent.arena_bytes = DIGITS_ARENA_BYTES - 1;
    EXPECT(digits_init(&lent) == DIGITS_ERROR_ARENA_SMALL);
    lent.arena = NULL;
    EXPECT(digits_init(&lent) == DIGITS_ERROR_NO_MEMORY);
    EXPECT(digits_init(NULL) == DIGITS_ERROR_NO_MEMORY);
    lent.arena = arena;
    lent.arena_bytes = DIGITS_ARENA_BYTES;
    EXPECT(digits_init(&lent) == DIGITS_DONE && digits_run() == DIGITS_DONE);
    /* Steps that are as small as can be come to an end, and run() gives up what they have begun. */
    EXPECT(digits_step(0) == DIGITS_PENDING && digits_run() == DIGITS_DONE && digits_step(0) == DIGITS_PENDING);
    while (digits_step(0) == DIGITS_PENDING) {
    }
}

static void check_constants(void)
{
    static const int shape[] = DIGITS_INPUT_0_SHAPE;
    int i, elements = 1;
    for (i = 0; i < DIGITS_INPUT_0_RANK; i++) {
        elements *= shape[i];
    }
    EXPECT(sizeof shape / sizeof *shape == DIGITS_INPUT_0_RANK && elements == DIGITS_INPUT_0_ELEMENTS);
    EXPECT(DIGITS_INPUT_0_BYTES == DIGITS_INPUT_0_ELEMENTS && DIGITS_INPUT_0_DTYPE == DIGITS_INT8);
    EXPECT(DIGITS_OUTPUT_0_ELEMENTS == 10 && digits_model_hash()[0] == DIGITS_MODEL_HASH[0]);
}

/* The integers for these reals, to be compared with what Rust makes of them. */
static void print_quantised(void)
{
    static const float reals[] = {REALS};
    size_t i;
    for (i = 0; i < sizeof reals / sizeof *reals; i++) {
        printf("%d ", digits_input_0_quantise(reals[i]));
    }
    for (i = 0; i < 256; i++) {
        printf("%.9g ", digits_input_0_dequantise((int8_t)((int)i - 128)));
    }
}

int main(void)
{
    unsigned char *arena = memory.bytes;
    while ((size_t)arena % DIGITS_ARENA_ALIGN != 0) {
        arena++;
    }
    check_init(arena);
    check_constants();
    print_quantised();
    return wrong;
}
