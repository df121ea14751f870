// SPDX-License-Identifier: MIT
// Where the constants of the inner loops live. On the RP2040 a read from flash costs some 50 cycles when it misses the
// 16 KB cache. So these constants lie in a section that the pico-sdk's linker script copies to RAM at start. Define
// HOT_IN_FLASH to leave them in flash, for a sketch that needs the RAM. All are read by words, too.
#ifndef HOT_H
#define HOT_H

#include "m0plus/m0plus.h"

#if defined(__arm__) && !defined(HOT_IN_FLASH)
#define HOT_IN_RAM
#define HOT __attribute__((section(".time_critical.constants"), aligned(4)))
#else
#define HOT __attribute__((aligned(4)))
#endif

// What only the portable C reads at every frame.
#if MGR_M0PLUS
#define HOT_PORTABLE
#else
#define HOT_PORTABLE HOT
#endif

#endif
