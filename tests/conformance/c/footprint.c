/* The least program around the network NETWORK, for its size. */

#include <stddef.h>

#define QUOTED(name) #name
#define HEADER(name) QUOTED(name.h)
#include HEADER(NETWORK)
#define JOINED(name, verb) name##_##verb
#define FUNCTION(name, verb) JOINED(name, verb)

static unsigned char arena[1 << 16] __attribute__((aligned(16)));

int main(void)
{
    FUNCTION(NETWORK, memory) memory;
    memory.arena = arena;
    memory.arena_bytes = sizeof arena;
    if (FUNCTION(NETWORK, init)(&memory) != 0) {
        return 1;
    }
    *(volatile char *)FUNCTION(NETWORK, input)(0) = 1;
    FUNCTION(NETWORK, run)();
    return *(const char *)FUNCTION(NETWORK, output)(0);
}
