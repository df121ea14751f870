/* SPDX-License-Identifier: MIT
   An image for the emulated Pico: reads windows of audio, writes the int8 features and scores of each. They must equal
   Python's. host_batch.c does the same on this computer. */
#include "emulator.h"
#include "lstm.h"
#include "mfcc_q15.h"

static int16_t window[WINDOW_LENGTH] PAIR_ALIGNED;
static int32_t raw[N_FRAMES][N_MFCC];
static int8_t features[N_FRAMES][N_MFCC];
static int8_t scores[N_CLASSES];
static mfcc_t mfcc;
static lstm_t lstm;

int main(void)
{
    mfcc_init(&mfcc);
    while (emulator_read(window, sizeof window) == sizeof window) {
        mfcc_reset(&mfcc);
        lstm_reset(&lstm);
        for (int i = 0; i < N_FRAMES; i++) {
            mfcc_frame(&mfcc, window + i * FRAME_STEP, raw[i]);
        }
        mfcc_features(raw, features);
        for (int i = 0; i < N_FRAMES; i++) {
            lstm_step(&lstm, features[i]);
        }
        lstm_scores(&lstm, scores);
        emulator_write(features, sizeof features);
        emulator_write(scores, sizeof scores);
    }
    emulator_exit(0);
    return 0;
}
