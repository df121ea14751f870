// SPDX-License-Identifier: MIT
#include "self_test.h"

#include <string.h>

#include "mfcc_q15.h"
#include "generated/test_vector.h"
#include "lstm.h"
#include "recognizer.h"

bool self_test(void) {
    int16_t *const frame = recognizer_buffer();
    bool equal = true;
    features_init();
    features_reset();
    lstm_reset();
    for (int i = 0; i < N_FRAMES; i++) {
        int8_t features[N_MFCC];
        for (int j = 0; j < FRAME_LENGTH; j++) frame[j] = (int16_t)(TEST_AUDIO[i * FRAME_STEP + j] * 256);
        features_frame(frame, features);
        if (memcmp(features, TEST_FEATURES + i * N_MFCC, sizeof features) != 0) equal = false;
        lstm_step(features);
    }
    int8_t scores[N_GENRES];
    lstm_scores(scores);
    return memcmp(scores, TEST_SCORES, sizeof scores) == 0 && equal;
}
