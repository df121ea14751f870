// SPDX-License-Identifier: MIT
#include "self_test.h"

#include <string.h>

#include "generated/test_vector.h"

bool recognizer_self_test(recognizer_t *recognizer)
{
    int16_t *const frame = recognizer->frame;
    int8_t scores[N_CLASSES];
    mfcc_init(&recognizer->mfcc);
    lstm_reset(&recognizer->lstm);
    for (int i = 0; i < N_FRAMES; i++) {
        for (int j = 0; j < FRAME_LENGTH; j++) {
            frame[j] = (int16_t)(TEST_AUDIO[i * FRAME_STEP + j] * 256);
        }
        mfcc_frame(&recognizer->mfcc, frame, recognizer->raw[i]);
    }
    mfcc_features(recognizer->raw, recognizer->features);
    for (int i = 0; i < N_FRAMES; i++) {
        lstm_step(&recognizer->lstm, recognizer->features[i]);
    }
    lstm_scores(&recognizer->lstm, scores);
    return memcmp(scores, TEST_SCORES, sizeof scores) == 0 &&
           memcmp(recognizer->features, TEST_FEATURES, sizeof recognizer->features) == 0;
}
