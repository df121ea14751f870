/* SPDX-License-Identifier: MIT
   Raw MFCCs of several frames on this computer: the stages of mfcc_q15.c side by side, with the same bits. What is a
   number there is a vector here, with a lane for each frame. clang turns these vectors into the instructions of any
   processor. Nothing saturates: m0plus.h says why no sum of a windowed frame can. */
#include "host_lanes.h"

#if HOST_LANES
#include <math.h>

#include "cmsis/arm_const_structs.h"
#include "generated/tables.h"
#include "mfcc_q15.h"
#include "mfcc_stages.h"

#define EACH_LANE for (int l = 0; l < HOST_LANES; l++)
#define WIDE(v) __builtin_convertvector(v, wide_t)
#define NARROW(v) __builtin_convertvector(v, row_t)
enum { POINTS = FFT_LENGTH / 2 };

typedef int16_t row_t __attribute__((vector_size(2 * HOST_LANES)));
typedef int32_t wide_t __attribute__((vector_size(4 * HOST_LANES)));

typedef struct {
    row_t re, im;
} point_t;

typedef struct {
    point_t points[POINTS];  // in place: windowed frames, bins in the order of reversed bits
    row_t magnitudes[N_BINS];
    wide_t frame_shift, spectrum_shift, logs[N_MELS];
} lanes_t;

/* A quarter of the windowed frames, as the first pass wants it. Sample 2 p is the real part of point p. */
static void window(lanes_t *all, const int16_t *const *frames)
{
    row_t up;  // 2^shift
    EACH_LANE
    {
        all->frame_shift[l] = mfcc_frame_shift(frames[l]);
        up[l] = (int16_t)(1 << all->frame_shift[l]);
    }
    for (int p = 0; p < POINTS; p++) {
        const int from_end = FFT_LENGTH - 2 * p;
        const int32_t even = HANN[2 * p <= POINTS ? 2 * p : from_end];
        const int32_t odd = HANN[2 * p < POINTS ? 2 * p + 1 : from_end - 1];
        row_t re, im;
        EACH_LANE
        {
            re[l] = frames[l][2 * p];
            im[l] = frames[l][2 * p + 1];
        }
        all->points[p].re = NARROW(WIDE(re * up) * even >> 17);
        all->points[p].im = NARROW(WIDE(im * up) * odd >> 17);
    }
}

/* (re, im) turned by a twiddle (cos, sin), halved. */
static inline point_t turned(row_t re, row_t im, const int16_t twiddle[2])
{
    const int32_t co = twiddle[0], si = twiddle[1];
    const wide_t x = WIDE(re), y = WIDE(im);
    return (point_t){NARROW((co * x + si * y) >> 16), NARROW((co * y - si * x) >> 16)};
}

/* A radix-4 butterfly of points that are `stride` apart. The first pass has taken quarters: `half` is 0, later 1. */
static inline void butterfly(point_t *a, int stride, int half, const int16_t *twiddle, int at)
{
    point_t *const b = a + stride, *const c = b + stride, *const d = c + stride;
    const row_t ac_re = a->re + c->re, ac_im = a->im + c->im, bd_re = b->re + d->re, bd_im = b->im + d->im;
    const row_t re = (a->re - c->re) >> half, im = (a->im - c->im) >> half;
    const row_t turn_re = (b->im - d->im) >> half, turn_im = (b->re - d->re) >> half;
    a->re = ((ac_re >> 1) + (bd_re >> 1)) >> half;
    a->im = ((ac_im >> 1) + (bd_im >> 1)) >> half;
    *b = turned((ac_re >> half) - (bd_re >> half), (ac_im >> half) - (bd_im >> half), twiddle + 2 * at);
    *c = turned(re + turn_re, im - turn_im, twiddle + at);
    *d = turned(re - turn_re, im + turn_im, twiddle + 3 * at);
}

/* The last pass turns nothing. */
static inline void last_butterfly(point_t *a)
{
    point_t *const b = a + 1, *const c = a + 2, *const d = a + 3;
    const row_t ac_re = (a->re + c->re) >> 1, ac_im = (a->im + c->im) >> 1;
    const row_t bd_re = (b->re + d->re) >> 1, bd_im = (b->im + d->im) >> 1;
    const row_t re = (a->re - c->re) >> 1, im = (a->im - c->im) >> 1;
    const row_t turn_re = (b->im - d->im) >> 1, turn_im = (b->re - d->re) >> 1;
    *a = (point_t){ac_re + bd_re, ac_im + bd_im};
    *b = (point_t){ac_re - bd_re, ac_im - bd_im};
    *c = (point_t){re + turn_re, im - turn_im};
    *d = (point_t){re - turn_re, im + turn_im};
}

static void fft(point_t *points)
{
    for (int n = POINTS; n > 4; n /= 4) {
        for (int i = 0; i < n / 4; i++) {
            for (point_t *a = points + i; a < points + POINTS; a += n) {
                butterfly(a, n / 4, n < POINTS, CFFT.pTwiddle, 2 * i * (POINTS / n));
            }
        }
    }
    for (point_t *a = points; a < points + POINTS; a += 4) {
        last_butterfly(a);
    }
}

/* Where the FFT leaves bin k: its 10 bits in reverse order. */
static inline int place(int k)
{
    int reversed = 0;
    for (int bit = 1; bit < POINTS; bit *= 2, k /= 2) {
        reversed = 2 * reversed + k % 2;
    }
    return reversed;
}

/* Bins k and n - k, as split_pair() of mfcc_q15.c makes them. */
static inline void split(point_t *low, point_t *high, uint32_t coefficients, int32_t clipped)
{
    const int32_t c = (int32_t)(coefficients & 0xFFFF), s = (int32_t)coefficients >> 16;
    const wide_t a_re = WIDE(low->re), a_im = WIDE(low->im), b_re = WIDE(high->re), b_im = WIDE(high->im);
    const wide_t difference = a_re - b_re, sum = a_im + b_im;
    const wide_t re = difference * c - sum * s, im = sum * c + difference * s;
    low->re = NARROW(((b_re << 15) + re - clipped * b_re) >> 16);
    low->im = NARROW((im - (b_im << 15) + clipped * b_im) >> 16);
    high->re = NARROW(((a_re << 15) - re - clipped * a_re) >> 16);
    high->im = NARROW((im - (a_im << 15) + clipped * a_im) >> 16);
}

/* The bins of the real FFT that the Mel bands use, and how far each lane may be shifted up. */
static void spectrum(lanes_t *all)
{
    row_t seen = {0};
    for (int k = 1; k <= POINTS / 2; k++) {
        split(all->points + place(k), all->points + place(POINTS - k), SPLIT[k], k >= SPLIT_CLIPPED);
    }
    for (int bin = FIRST_BIN; bin < END_BIN; bin++) {
        const point_t *const point = all->points + place(bin);
        seen |= (point->re ^ point->re << 1) | (point->im ^ point->im << 1);
    }
    EACH_LANE
    {
        const int shift = mfcc_headroom((uint16_t)seen[l]);
        all->spectrum_shift[l] = shift < MAX_SPECTRUM_SHIFT ? shift : MAX_SPECTRUM_SHIFT;
    }
}

/* mfcc_root() of each lane. A float root may be one off, and is corrected. Near 2 r^2 CMSIS-DSP's root may be another:
   these lanes are left to mfcc_root() itself. */
static row_t roots(wide_t x)
{
    typedef float float_t __attribute__((vector_size(sizeof(wide_t))));
    const wide_t y = x >> 1;
    float_t root = __builtin_convertvector(y, float_t);
    EACH_LANE
    {
        root[l] = sqrtf(root[l]);
    }
    wide_t r = WIDE(root);
    r += r * r > y;
    r -= (r + 1) * (r + 1) <= y;
    const wide_t rest = x - 2 * r * r, large = (x >> 27 != 0) & 13;
    const wide_t near = (rest <= large) | (rest + large > 4 * r + 1);
    EACH_LANE
    {
        if (near[l]) {
            r[l] = (int32_t)mfcc_root((uint32_t)x[l]);
        }
    }
    return NARROW(r);
}

static void magnitudes(lanes_t *all)
{
    const wide_t up = 1 << all->spectrum_shift;
    for (int bin = FIRST_BIN; bin < END_BIN; bin++) {
        const point_t *const point = all->points + place(bin);
        const wide_t re = WIDE(point->re) * up, im = WIDE(point->im) * up;
        all->magnitudes[bin] = roots((re * re >> 1) + (im * im >> 1) + (re & im & 1));
    }
}

static void log_mel(lanes_t *all)
{
    const uint8_t *weight = MEL_WEIGHTS;
    for (int band = 0; band < N_MELS; band++) {
        wide_t sum = (int32_t)LOG_FLOOR << all->spectrum_shift;
        for (int i = 0; i < MEL_N_BINS[band]; i++) {
            sum += WIDE(all->magnitudes[MEL_FIRST_BIN[band] + i]) * (int32_t)*weight++;
        }
        EACH_LANE
        {
            all->logs[band][l] = mfcc_log2_q9((uint32_t)sum[l]);
        }
        all->logs[band] -= (all->frame_shift + all->spectrum_shift) << LOG_FRACTION_BITS;
    }
}

void host_lanes(const int16_t *const *frames, int32_t *const *raw)
{
    lanes_t all;
    window(&all, frames);
    fft(all.points);
    spectrum(&all);
    magnitudes(&all);
    log_mel(&all);
    EACH_LANE
    {
        int32_t logs[N_MELS];
        for (int band = 0; band < N_MELS; band++) {
            logs[band] = all.logs[band][l];
        }
        mfcc_dct(logs, raw[l]);
    }
}
#endif
