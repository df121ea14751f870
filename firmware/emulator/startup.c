/* SPDX-License-Identifier: MIT
   Start-up of an image for the emulated Pico: vector table, .data, .bss, C++ constructors, then main(). */
#include <stdint.h>

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
extern void (*init_array_start[])(void), (*init_array_end[])(void);
int main(void);

void reset_handler(void);
static void unexpected_exception(void);

#define WEAK_HANDLER __attribute__((weak, alias("unexpected_exception")))
void hard_fault_handler(void) WEAK_HANDLER;
void timer_irq_0(void) WEAK_HANDLER;
void timer_irq_1(void) WEAK_HANDLER;
void dma_irq_0(void) WEAK_HANDLER;
void uart0_irq(void) WEAK_HANDLER;

typedef void (*handler_t)(void);
__attribute__((section(".vectors"), used)) static const handler_t vectors[16 + 26] = {
    [0] = (handler_t)stack_top,
    [1] = reset_handler,
    [2] = unexpected_exception,
    [3] = hard_fault_handler,
    [4 ... 15] = unexpected_exception,
    [16 + 0] = timer_irq_0,
    [16 + 1] = timer_irq_1,
    [16 + 2 ... 16 + 10] = unexpected_exception,
    [16 + 11] = dma_irq_0,
    [16 + 12 ... 16 + 19] = unexpected_exception,
    [16 + 20] = uart0_irq,
    [16 + 21 ... 16 + 25] = unexpected_exception,
};

static void unexpected_exception(void)
{
    __asm volatile("udf #1");  // runner.js stops and tells the address
    for (;;) {
    }
}

void reset_handler(void)
{
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
    for (handler_t *init = init_array_start; init < init_array_end; init++) {
        (*init)();
    }
    main();
    __asm volatile("udf #2");  // main() must not return
    for (;;) {
    }
}
