/* SPDX-License-Identifier: MIT */
#ifndef HOST_LANES_H
#define HOST_LANES_H

#include <stdint.h>

#include "generated/constants.h"

/* Frames that host_lanes() takes at once. 0: it isn't made for these lengths, or the compiler is GCC, which takes
   conversions of vectors apart. */
#if FFT_LENGTH == 2048 && FRAME_LENGTH == 2048 && defined(__clang__)
#define HOST_LANES 8
#else
#define HOST_LANES 0
#endif

/* Raw MFCCs of HOST_LANES frames, the level still in c0. */
void host_lanes(const int16_t *const *frames, int32_t *const *raw);

#endif
