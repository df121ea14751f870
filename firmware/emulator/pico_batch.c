/* SPDX-License-Identifier: MIT
   Reads windows of audio from the runner, writes each one's int8 features and scores: they must equal Python's. */
#include <string.h>

#include "emulator.h"
#include "lstm.h"
#include "mfcc_q15.h"

static int16_t window[WINDOW_LENGTH];
static int8_t features[N_FRAMES][N_MFCC];
static int8_t scores[N_GENRES];

int main(void)
{
    features_init();
    while (emulator_read(window, sizeof window) == sizeof window) {
        features_reset();
        lstm_reset();
        for (int i = 0; i < N_FRAMES; i++) {
            emulator_mark(1);
            features_frame(window + i * FRAME_STEP, features[i]);
            emulator_mark(2);
            lstm_step(features[i]);
            emulator_mark(0);
        }
        emulator_mark(3);
        lstm_scores(scores);
        emulator_mark(0);
        emulator_write(features, sizeof features);
        emulator_write(scores, sizeof scores);
    }
    emulator_exit(0);
    return 0;
}
