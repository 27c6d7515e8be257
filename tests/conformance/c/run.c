/* Runs networks of a C library by the calls that the file `input` lists, and writes their outputs to `output`.
 *
 * A call is three words of 32 bits: the network, whether to initialise it, and the budget of a step (0: run at once);
 * then the bytes of its inputs. After the outputs comes the stack that the call took, where that can be seen.
 * `networks.h` is written by the test: the table of networks, and the size of the arena,
 * which they all share. */

#include "files.h"
#include "networks.h"

static union {
    unsigned char bytes[ARENA_BYTES + 16];
    long long aligned;
} memory;

static unsigned char *aligned_arena(void)
{
    return memory.bytes + (16 - (uintptr_t)memory.bytes % 16) % 16;
}

/* So many bytes below the stack pointer are painted. */
#define PAINTED 16384u
#define PAINT 0xA55A5AA5u
#define SPARED 64u

static inline uintptr_t stack_pointer(void)
{
    uintptr_t pointer = 0;
#if defined(__arm__)
    __asm volatile("mov %0, sp" : "=r"(pointer));
#elif defined(__riscv)
    __asm volatile("mv %0, sp" : "=r"(pointer));
#endif
    return pointer;
}

static __attribute__((noinline)) void paint(void)
{
    /* A compiler may save registers after the stack pointer is read: their place is left out. */
    volatile uint32_t *word = (volatile uint32_t *)(stack_pointer() - SPARED);
    uint32_t words = PAINTED / 4;
    while (stack_pointer() && words-- > 0) {
        *--word = PAINT;
    }
}

/* Bytes below `pointer` that are not painted any more. */
static __attribute__((noinline)) uint32_t stack_below(uintptr_t pointer)
{
    /* The lowest bytes are left out, for this frame may be larger than that of paint(). */
    volatile uint32_t *word = (volatile uint32_t *)(stack_pointer() - PAINTED + SPARED);
    if (!pointer) {
        return 0;
    }
    while (*word == PAINT) {
        word++;
    }
    return (uint32_t)(pointer - (uintptr_t)word);
}

/* One inference, and the stack that it took below this function. */
static __attribute__((noinline)) int infer(const struct network *network, uint32_t budget, uint32_t *stack)
{
    int code;
    paint();
    if (budget == 0) {
        code = network->run();
    } else {
        do {
            code = network->step(budget);
        } while (code == 1);
    }
    *stack = stack_below(stack_pointer());
    return code;
}

static void call(const struct network *network, uint32_t initialise, uint32_t budget)
{
    size_t i;
    uint32_t stack;
    if (initialise && network->init(aligned_arena(), ARENA_BYTES) != 0) {
        finish(3);
    }
    for (i = 0; i < network->inputs; i++) {
        read_input(network->input(i), network->input_bytes[i]);
    }
    if (network->input(network->inputs) || network->output(network->outputs)) {
        finish(4);
    }
    if (infer(network, budget, &stack) != 0) {
        finish(5);
    }
    for (i = 0; i < network->outputs; i++) {
        write_output(network->output(i), network->output_bytes[i]);
    }
    write_output(&stack, sizeof stack);
}

int main(void)
{
    uint32_t words[3], calls;
    open_files();
    read_input(&calls, sizeof calls);
    while (calls-- > 0) {
        read_input(words, sizeof words);
        if (words[0] >= sizeof networks / sizeof *networks) {
            finish(6);
        }
        call(networks[words[0]], words[1], words[2]);
    }
    close_files();
    finish(0);
}
