// SPDX-License-Identifier: MIT
// Audio frames to int8 MFCC features: integers only, the same bits as mgr_helpers/mfcc_q15.py.
// Portable C99, no allocation. Explained in notebooks/04_mfcc_fixed_point.ipynb.
#ifndef MFCC_Q15_H
#define MFCC_Q15_H

#include <stdint.h>

#include "generated/constants.h"

#ifdef __cplusplus
extern "C" {
#endif

// Once, before the first frame.
void features_init(void);

// Start a window: the first frame after it has no frame before it, so its level change is 0.
void features_reset(void);

// One frame of Q0.15 samples to the model's int8 input. Returns the bits that its loudest sample leaves free, 0 to 15.
int features_frame(const int16_t frame[FRAME_LENGTH], int8_t features[N_MFCC]);

// The stages, one by one, for tests and for the benchmark. They work in place on one buffer, on a word's boundary: the
// windowed frame becomes the complex FFT, the bins (real and imaginary part in turn), the magnitudes. Those that scale a
// block return their shift.
int block_scale_window(const int16_t frame[FRAME_LENGTH], int16_t windowed[2 * N_BINS]);
void spectrum(int16_t bins[2 * N_BINS]);
int magnitudes(const int16_t bins[2 * N_BINS], uint16_t magnitude[N_BINS]);
void log_mel(const uint16_t magnitude[N_BINS], int frame_shift, int spectrum_shift, int32_t logs[N_MELS]);
void raw_mfcc(const int32_t logs[N_MELS], int32_t raw[N_MFCC]);
void quantize(const int32_t raw[N_MFCC], int8_t features[N_MFCC]);

// All stages from the windowed frame to raw MFCCs; c0 still holds the level.
void raw_frame(int frame_shift, int16_t windowed[2 * N_BINS], int32_t raw[N_MFCC]);

// floor(sqrt(x / 2)) as arm_sqrt_q31(x) >> 16 gives it, its own rounding included; x below 2^31.
uint32_t root(uint32_t x);
// log2 in Q6.9 of 1 to 2^32 - 1.
int32_t log2_q9(uint32_t value);

#ifdef __cplusplus
}
#endif
#endif
