// SPDX-License-Identifier: MIT
// Two 16-bit numbers in one 32-bit load or store, the first in the lower half.
#ifndef PAIR_H
#define PAIR_H

#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) pair_t;

// For arrays of 16-bit numbers that are read as pairs.
#define PAIR_ALIGNED __attribute__((aligned(4)))

#endif
