/* Reads the test digits on RISC-V without any C library. */

#include "digits.h"
#include "riscv.h"
#include "samples.h"

static _Alignas(DIGITS_ARENA_ALIGN) unsigned char arena[DIGITS_ARENA_BYTES];

int main(void)
{
    const digits_memory memory = {arena, sizeof arena};
    if (digits_init(&memory) != DIGITS_DONE) {
        return 1;
    }
    for (int sample = 0; sample < SAMPLES; sample++) {
        for (int i = 0; i < DIGITS_INPUT_0_ELEMENTS; i++) {
            digits_input_0()[i] = digits_input_0_quantise(samples[sample][i]);
        }
        digits_run();
        int best = 0;
        for (int i = 1; i < DIGITS_OUTPUT_0_ELEMENTS; i++) {
            best = digits_output_0()[i] > digits_output_0()[best] ? i : best;
        }
        const char text[] = {(char)('0' + best), 0};
        print(text);
    }
    print("\n");
    return 0;
}
