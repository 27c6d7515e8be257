/* Runs networks of a C library by the calls that the file `input` lists, and writes their outputs to `output`.
 *
 * A call is three words of 32 bits: the network, whether to initialise it, and the budget of a step (0: run at once);
 * then the bytes of its inputs. `networks.h` is written by the test: the table of networks, and the size of the arena,
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

static int infer(const struct network *network, uint32_t budget)
{
    int code;
    if (budget == 0) {
        return network->run();
    }
    do {
        code = network->step(budget);
    } while (code == 1);
    return code;
}

static void call(const struct network *network, uint32_t initialise, uint32_t budget)
{
    size_t i;
    if (initialise && network->init(aligned_arena(), ARENA_BYTES) != 0) {
        finish(3);
    }
    for (i = 0; i < network->inputs; i++) {
        read_input(network->input(i), network->input_bytes[i]);
    }
    if (network->input(network->inputs) || network->output(network->outputs)) {
        finish(4);
    }
    if (infer(network, budget) != 0) {
        finish(5);
    }
    for (i = 0; i < network->outputs; i++) {
        write_output(network->output(i), network->output_bytes[i]);
    }
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
