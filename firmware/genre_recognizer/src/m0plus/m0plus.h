// SPDX-License-Identifier: MIT
// The inner loops of front end and LSTM for a Cortex-M0+ (RP2040), with the bits of the portable C beside them. It is
// chosen by one define: MGR_M0PLUS, 1 on such a core unless the build says 0. It is made for frames of 2048 samples.
//
// FFT. The word of a point holds im * 65536 + re. CMSIS-DSP's butterflies limit sums to 16 bits; here none can reach
// them: after pass 1, which takes a quarter of four windowed samples, no point is longer than 8192 sqrt(2), as the four
// weights of the window add up to 2; each later pass takes the mean of four points, and only pairs are added before.
// Point p lies where p's 10 bits reversed say. So pass 1 writes four words that are neighbours, later passes find all
// butterflies with the same twiddles side by side, and the result is in order. The table's rows are in that order, too.
//
// Bins. The split of a real FFT gives each bin's power re^2 + im^2 in place of the bin, and the power of 4 above all
// their parts. Only where a power exceeds it are the parts themselves looked at: m0plus_louder().
//
// Mel. Between two centres a bin has two weights, which add up to 256. So one product a bin is enough: with its root r
// and its weight w for the band whose centre comes next, that band gets r w, the one before 256 r - r w.
// generated/tables.h says how many bins a segment has, and what the weights of its last bin lack of 256.
//
// LSTM. A word has a value's weights for four gates, the upper byte signed, the others 128 too high: GATES in
// lstm_layer.h. With shifts by 8, 16 and 24 bits one word gives four sums, each too high by 256 times the next.
#ifndef M0PLUS_H
#define M0PLUS_H

#include "../generated/constants.h"

#ifndef MGR_M0PLUS
#if defined(__ARM_ARCH_6M__) && FFT_LENGTH == 2048 && FRAME_LENGTH == 2048 && FIRST_BIN > 0 && END_BIN <= 1024
#define MGR_M0PLUS 1
#else
#define MGR_M0PLUS 0
#endif
#endif

#ifndef __ASSEMBLER__
#include <stdint.h>

#include "../pair.h"

// A row for each butterfly of the first pass.
typedef struct {
    uint32_t offset;      // of its first point in the frame, in bytes
    uint32_t twiddle[3];  // cos and sin of 1, 2 and 3 times its angle
    uint32_t weight[4];   // of its four points in the window
} m0plus_row_t;

// What m0plus_mel() reads, in this order.
typedef struct {
    const uint8_t *weights;
    const uint16_t *roots;
    const uint8_t *segments;
    const uint32_t *low_squares;
} m0plus_mel_t;

// Each is described where it is written.
uint32_t m0plus_copy(void *to, const void *from, int n);
int16_t *m0plus_convert(int16_t *step, int16_t *end, const uint32_t constants[3], uint32_t *seen);
void m0plus_first_pass(const int16_t *frame, uint32_t *points, const m0plus_row_t *table, int shift);
void m0plus_passes(uint32_t *points, const m0plus_row_t *table);
uint32_t m0plus_powers(uint32_t *low, uint32_t *end, uintptr_t split, uintptr_t mirror, uint32_t limit);
uint32_t m0plus_louder(const pair_t *low, const pair_t *high, uint32_t coefficients, uint32_t limit);
void m0plus_mel(const uint32_t *powers, const m0plus_mel_t *tables, int shift, uint32_t *sums);
uint32_t m0plus_large_root(uint32_t x);
void m0plus_dot(const int8_t *weights, const int32_t *values, const uint8_t *n, int32_t (*sums)[2][4]);
void m0plus_rescale(int32_t *sums, const int32_t *bias, int32_t offset, const void *scale, int n, int add);

// (a * b + half * 2^16) / 2^31, rounded down, by products of 16 bits.
static inline int32_t m0plus_product(int32_t a, int32_t b, uint32_t half)
{
    const int32_t a_high = a >> 16, b_high = b >> 16;
    const uint32_t a_low = (uint16_t)a, b_low = (uint16_t)b;
    const uint32_t middle = ((a_low * b_low) >> 16) + a_low * (uint32_t)b_high, other = (uint32_t)a_high * b_low;
    const uint32_t low = (middle & 0xFFFF) + (other & 0xFFFF) + half;
    const int32_t high = a_high * b_high + ((int32_t)middle >> 16) + ((int32_t)other >> 16);
    return (int32_t)(((uint32_t)high << 1) + (low >> 15));
}
#endif
#endif
