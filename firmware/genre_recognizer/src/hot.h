// SPDX-License-Identifier: MIT
// Where the constants of the inner loops live. On the RP2040 a read from flash that misses its cache (16 KB) costs some 50
// cycles, so they are copied to RAM at start, by the linker script's section of the pico-sdk for this purpose. Define
// HOT_IN_FLASH to leave them in flash, for a sketch that needs the RAM.
#ifndef HOT_H
#define HOT_H

#if defined(__arm__) && !defined(HOT_IN_FLASH)
#define HOT_IN_RAM
#define HOT __attribute__((section(".time_critical.constants")))
#else
#define HOT
#endif

#endif
