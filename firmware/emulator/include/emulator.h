/* SPDX-License-Identifier: MIT
   How an image talks to runner.js: it writes to two unused SIO addresses. They do nothing on a real RP2040. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define EMULATOR_MARK (*(volatile uint32_t *)0xd0000180u)
#define EMULATOR_CALL (*(volatile uint32_t *)0xd0000184u)

enum { EMULATOR_READ, EMULATOR_WRITE, EMULATOR_EXIT, EMULATOR_HEAP, EMULATOR_ROOM, EMULATOR_OPEN,
       EMULATOR_UART };

/* Starts a stage (1 to 255): cycles count for it until the next mark. 0 only ends a stage. */
static inline void emulator_mark(uint32_t stage) { EMULATOR_MARK = stage; }

static inline uint32_t emulator_call(uint32_t operation, const volatile void *address, uint32_t count)
{
    volatile uint32_t request[3] = {operation, (uint32_t)(uintptr_t)address, count};
    __asm volatile("" ::: "memory");  // the bytes at `address` must be in memory now
    EMULATOR_CALL = (uint32_t)(uintptr_t)request;
    __asm volatile("" ::: "memory");
    return request[0];
}

/* Reads the next bytes of the runner's input file. Returns how many there were. */
static inline uint32_t emulator_read(void *to, uint32_t bytes) { return emulator_call(EMULATOR_READ, to, bytes); }

/* Appends to the runner's output file. */
static inline void emulator_write(const void *from, uint32_t bytes) { emulator_call(EMULATOR_WRITE, from, bytes); }

/* Ends the run with an exit status. */
static inline void emulator_exit(uint32_t status) { emulator_call(EMULATOR_EXIT, NULL, status); }
