// SPDX-License-Identifier: MIT - the part of <stdlib.h> that the images use
#pragma once
#include <stddef.h>
static inline int abs(int value) { return value < 0 ? -value : value; }
