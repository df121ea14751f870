// SPDX-License-Identifier: MIT
// Audio to int8 MFCC features: integers only, the same bits as mgr_helpers/features/mfcc_q15.py.
// Portable C99, no allocation. Explained in notebooks/04_mfcc_fixed_point.ipynb.
#ifndef MFCC_Q15_H
#define MFCC_Q15_H

#include <stdbool.h>
#include <stdint.h>

#include "generated/constants.h"
#include "pair.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t level;                           // c0 of the previous frame
    bool first_frame;                        // there is no previous frame
    uint32_t n_frames;                       // since the start
    int32_t logs[N_MELS];                    // of the last frame's Mel bands, Q6.9: for who wants to show them
    int16_t bins[2 * N_BINS] PAIR_ALIGNED;   // working memory of the stages
} mfcc_t;

// Call it once before the first frame. It also starts a window.
void mfcc_init(mfcc_t *mfcc);

// Start a window: its first frame has no previous frame, so its level change is 0.
void mfcc_reset(mfcc_t *mfcc);

// The MFCCs of a frame of Q0.15 samples, Q9.22, the level removed. Returns how many bits (0 to 15) its loudest sample
// leaves unused. On a Cortex-M0+ the frame must be aligned to 4 bytes (PAIR_ALIGNED).
int mfcc_frame(mfcc_t *mfcc, const int16_t frame[FRAME_LENGTH], int32_t raw[N_MFCC]);

// The same when these bits are known. mfcc_headroom() tells them from x ^ 2x of all samples x, put together by OR (in
// the lower half, the upper half, or both).
void mfcc_shifted_frame(mfcc_t *mfcc, const int16_t frame[FRAME_LENGTH], int frame_shift, int32_t raw[N_MFCC]);
int mfcc_headroom(uint32_t seen);

// The model's int8 input from a whole window's MFCCs: takes off a share of their mean, then scales.
void mfcc_features(int32_t raw[N_FRAMES][N_MFCC], int8_t features[N_FRAMES][N_MFCC]);

#ifdef __cplusplus
}
#endif
#endif
