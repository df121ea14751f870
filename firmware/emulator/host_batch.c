/* SPDX-License-Identifier: MIT
   The firmware's portable C for the host, many windows at a call (mgr_helpers/pico.py loads it with ctypes). */
#include <stdint.h>

#include "lstm.h"
#include "mfcc_q15.h"
#include "recognizer.h"
#include "self_test.h"

/* `stride` samples from one window to the next. */
void batch_features(const int16_t *windows, int32_t n, int64_t stride, int8_t *features)
{
    for (int32_t w = 0; w < n; w++) {
        features_reset();
        for (int i = 0; i < N_FRAMES; i++, features += N_MFCC) {
            features_frame(windows + w * stride + i * FRAME_STEP, features);
        }
    }
}

/* MFCCs, c0 with its level: what a model is trained on comes from these. Several threads may call it, for the
   stages keep nothing. */
void batch_mfcc(const int16_t *windows, int32_t n, int64_t stride, int32_t *raw)
{
    int16_t bins[2 * N_BINS] __attribute__((aligned(4)));
    for (int32_t w = 0; w < n; w++) {
        for (int i = 0; i < N_FRAMES; i++, raw += N_MFCC) {
            raw_frame(block_scale_window(windows + w * stride + i * FRAME_STEP, bins), bins, raw);
        }
    }
}

void batch_scores(const int8_t *features, int32_t n, int8_t *scores)
{
    for (; n > 0; n--, scores += N_GENRES) {
        lstm_reset();
        for (int i = 0; i < N_FRAMES; i++, features += N_MFCC) {
            lstm_step(features);
        }
        lstm_scores(scores);
    }
}

/* The whole sketch's logic over a stream of ADC counts. A row per decision: window, label, vote, confidence, silent,
   unsure, scores. Returns the number of decisions; `rows` holds `most`. */
int32_t batch_decisions(const uint16_t *adc, int64_t count, int32_t *rows, int32_t most)
{
    int32_t n = 0;
    recognizer_init();
    for (int64_t i = 0; i < count; i++) {
        decision_t d;
        if (!recognizer_push(adc + i, 1, &d) || n == most) {
            continue;
        }
        int32_t *row = rows + n++ * (6 + N_GENRES);
        row[0] = (int32_t)d.window, row[1] = d.label, row[2] = d.vote, row[3] = d.confidence, row[4] = d.silent;
        row[5] = d.unsure;
        for (int genre = 0; genre < N_GENRES; genre++) {
            row[6 + genre] = d.scores[genre];
        }
    }
    return n;
}

int32_t host_self_test(void) { return self_test(); }

/* window length, frame step, frames, MFCCs, genres: the shapes of the arrays above */
const int32_t batch_shape[5] = {WINDOW_LENGTH, FRAME_STEP, N_FRAMES, N_MFCC, N_GENRES};
