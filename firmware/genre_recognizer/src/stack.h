// SPDX-License-Identifier: MIT
// How much of the stack is used: it is painted first, and what has lost its paint later was used.
#ifndef STACK_H
#define STACK_H

#include <stddef.h>
#include <stdint.h>

constexpr size_t STACK_PAINTED = 2048;  // bytes below the caller; more than that is never seen
constexpr uint8_t STACK_PAINT = 0xa5;

static uintptr_t stackBottom;  // of what is painted

static __attribute__((noinline)) void paintStack()
{
    volatile uint8_t area[STACK_PAINTED];
    for (size_t i = 0; i < STACK_PAINTED; i++) {
        area[i] = STACK_PAINT;
    }
    stackBottom = reinterpret_cast<uintptr_t>(area);
}

// Bytes below the frame that called paintStack().
static unsigned usedStack()
{
    const volatile uint8_t *const bottom = reinterpret_cast<const volatile uint8_t *>(stackBottom);
    size_t unused = 0;
    while (unused < STACK_PAINTED && bottom[unused] == STACK_PAINT) {
        unused++;
    }
    return STACK_PAINTED - unused;
}

#endif
