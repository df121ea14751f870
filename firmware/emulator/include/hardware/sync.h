// SPDX-License-Identifier: MIT - stand-in for the pico-sdk's header of the same name
#pragma once
#include <stdint.h>

#define __wfi pico_wfi  // clang has a builtin of this name
static inline void __wfi(void) { __asm volatile("wfi" ::: "memory"); }

static inline uint32_t save_and_disable_interrupts(void)
{
    uint32_t status;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(status)::"memory");
    return status;
}

static inline void restore_interrupts(uint32_t status) { __asm volatile("msr primask, %0" ::"r"(status) : "memory"); }
