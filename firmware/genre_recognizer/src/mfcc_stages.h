// SPDX-License-Identifier: MIT
// The stages of mfcc_q15.c one by one, for tests and benchmarks. The firmware itself calls mfcc_frame().
//
// The stages work in place, in one buffer that is aligned to 4 bytes: the windowed frame becomes the bins of the FFT
// (real and imaginary part in turn), then the magnitudes. Stages that scale a block return their shift. No stage keeps
// state. On a Cortex-M0+ the stages share out the work otherwise (m0plus/m0plus.h), so what lies between them differs.
#ifndef MFCC_STAGES_H
#define MFCC_STAGES_H

#include <stdint.h>

#include "generated/constants.h"

#ifdef __cplusplus
extern "C" {
#endif

int mfcc_frame_shift(const int16_t frame[FRAME_LENGTH]);
void mfcc_window(const int16_t frame[FRAME_LENGTH], int frame_shift, int16_t windowed[2 * N_BINS]);
void mfcc_spectrum(int16_t bins[2 * N_BINS]);
int mfcc_magnitudes(const int16_t bins[2 * N_BINS], uint16_t magnitude[N_BINS]);
void mfcc_log_mel(const uint16_t magnitude[N_BINS], int frame_shift, int spectrum_shift, int32_t logs[N_MELS]);
void mfcc_dct(const int32_t logs[N_MELS], int32_t raw[N_MFCC]);
void mfcc_quantize(const int32_t raw[N_MFCC], int8_t features[N_MFCC]);

// All stages from the windowed frame to logarithms and raw MFCCs. Their c0 is the level itself, not its change.
void mfcc_raw(int frame_shift, int16_t windowed[2 * N_BINS], int32_t logs[N_MELS], int32_t raw[N_MFCC]);

// floor(sqrt(x / 2)) for x below 2^31, with the bits of arm_sqrt_q31(x) >> 16, which is sometimes one off.
uint32_t mfcc_root(uint32_t x);

// log2 of 1 to 2^32 - 1, Q6.9.
int32_t mfcc_log2_q9(uint32_t value);

#ifdef __cplusplus
}
#endif
#endif
