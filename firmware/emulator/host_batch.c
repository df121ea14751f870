/* SPDX-License-Identifier: MIT
   The firmware's portable C for this computer, many windows in one call. mgr_helpers/host/host_c.py loads it by ctypes.
   pico_batch.c does the same on the emulated Pico. Several threads may call these functions: all state is local. */
#include <stdint.h>

#include "host_lanes.h"
#include "lstm.h"
#include "mfcc_q15.h"
#include "mfcc_stages.h"
#include "recognizer.h"
#include "self_test.h"

/* int8 features. A window starts `stride` samples after the one before it. */
void batch_features(const int16_t *windows, int32_t n, int64_t stride, int8_t *features)
{
    mfcc_t mfcc;
    int32_t raw[N_FRAMES][N_MFCC];
    mfcc_init(&mfcc);
    for (int32_t w = 0; w < n; w++) {
        mfcc_reset(&mfcc);
        for (int i = 0; i < N_FRAMES; i++) {
            mfcc_frame(&mfcc, windows + w * stride + i * FRAME_STEP, raw[i]);
        }
        mfcc_features(raw, (int8_t(*)[N_MFCC])features + w * N_FRAMES);
    }
}

static void raw_frame(const int16_t *frame, int32_t *raw)
{
    int16_t bins[2 * N_BINS] PAIR_ALIGNED;
    int32_t logs[N_MELS];
    const int shift = mfcc_frame_shift(frame);
    mfcc_window(frame, shift, bins);
    mfcc_raw(shift, bins, logs, raw);
}

/* MFCCs, the level still in c0. The features of a model are made from these. The stages keep no state, so frames may be
   taken side by side. */
void batch_mfcc(const int16_t *windows, int32_t n, int64_t stride, int32_t *raw)
{
    const int64_t frames = (int64_t)n * N_FRAMES;
    int64_t i = 0;
#if HOST_LANES
    for (; i + HOST_LANES <= frames; i += HOST_LANES) {
        const int16_t *from[HOST_LANES];
        int32_t *to[HOST_LANES];
        for (int l = 0; l < HOST_LANES; l++) {
            from[l] = windows + (i + l) / N_FRAMES * stride + (i + l) % N_FRAMES * FRAME_STEP;
            to[l] = raw + (i + l) * N_MFCC;
        }
        host_lanes(from, to);
    }
#endif
    for (; i < frames; i++) {
        raw_frame(windows + i / N_FRAMES * stride + i % N_FRAMES * FRAME_STEP, raw + i * N_MFCC);
    }
}

void batch_scores(const int8_t *features, int32_t n, int8_t *scores)
{
    lstm_t lstm;
    for (; n > 0; n--, scores += N_CLASSES) {
        lstm_reset(&lstm);
        for (int i = 0; i < N_FRAMES; i++, features += N_MFCC) {
            lstm_step(&lstm, features);
        }
        lstm_scores(&lstm, scores);
    }
}

/* All that the sketch does with a stream of ADC counts (bits: ADC_BITS) or samples (bits: 16). `rows` has room for `most`
   decisions, a row for each: window, label, vote, confidence, silent, unsure, scores. Returns how many there are. */
int32_t batch_decisions(const void *stream, int64_t count, int32_t bits, int32_t *rows, int32_t most)
{
    recognizer_t recognizer;
    decision_t d;
    int32_t n = 0;
    recognizer_init(&recognizer);
    for (int64_t i = 0; i < count || recognizer_pending(&recognizer); i++) {
        if (i < count && bits == 16) {
            recognizer_push_samples(&recognizer, (const int16_t *)stream + i, 1);
        } else if (i < count) {
            recognizer_push(&recognizer, (const uint16_t *)stream + i, 1);
        }
        if (!recognizer_step(&recognizer, &d) || n == most) {
            continue;
        }
        int32_t *row = rows + n++ * (6 + N_CLASSES);
        row[0] = (int32_t)d.window, row[1] = d.label, row[2] = d.vote, row[3] = d.confidence, row[4] = d.silent;
        row[5] = d.unsure;
        for (int label = 0; label < N_CLASSES; label++) {
            row[6 + label] = d.scores[label];
        }
    }
    return n;
}

int32_t batch_self_test(void)
{
    recognizer_t recognizer;
    return recognizer_self_test(&recognizer);
}

/* window length, frame step, frames, MFCCs, classes: the shapes of the arrays above */
const int32_t batch_shape[5] = {WINDOW_LENGTH, FRAME_STEP, N_FRAMES, N_MFCC, N_CLASSES};
