/* Start-up of the Cortex-M boards: variables, floating point, then main. newlib's semihosting does the printing. */

#include <stdint.h>
#include <stdlib.h>

extern uint32_t __stack, __data_start, __data_end, __data_image, __bss_start, __bss_end;
extern void initialise_monitor_handles(void);
extern int main(void);

void start(void)
{
    uint32_t *from = &__data_image;
    uint32_t *to;
#if defined(__ARM_FP)
    /* Full access to the floating-point unit (CPACR), which is off after reset. */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm volatile("dsb\n isb");
#endif
    for (to = &__data_start; to < &__data_end; to++) {
        *to = *from++;
    }
    for (to = &__bss_start; to < &__bss_end; to++) {
        *to = 0;
    }
    initialise_monitor_handles();
    exit(main());
}

/* newlib calls these around main; there are no constructors. */
void _init(void) {}
void _fini(void) {}

static void fault(void)
{
    _Exit(102);
}

/* An operating system defines these, by the names that CMSIS gives them. */
void SVC_Handler(void) __attribute__((weak, alias("fault")));
void PendSV_Handler(void) __attribute__((weak, alias("fault")));
void SysTick_Handler(void) __attribute__((weak, alias("fault")));

/* The stack's top, reset, and fourteen exceptions. */
__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &__stack, start, fault, fault, fault, fault, fault, fault, fault, fault, fault,
    SVC_Handler, fault, fault, PendSV_Handler, SysTick_Handler,
};
