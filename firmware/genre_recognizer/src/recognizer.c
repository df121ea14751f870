// SPDX-License-Identifier: MIT
#include "recognizer.h"

#include <string.h>

#include "mfcc_q15.h"
#include "generated/labels.h"
#include "lstm.h"

static int16_t frame[FRAME_LENGTH];  // Q0.15; counts of the ADC while the last FRAME_STEP of it fill up
static size_t filled;
static int32_t bias;                 // counts, with FRAME_STEP_BITS fraction bits
static bool has_bias;
static int frame_of_window;
static int32_t peak;                 // largest |sample| of the window
static uint32_t n_windows;
static uint8_t votes[VOTE_WINDOWS][N_GENRES];  // scores + 128 of the last windows, 0 where silent

static void start_window(void) {
    frame_of_window = 0;
    peak = 0;
    features_reset();
    lstm_reset();
}

void recognizer_init(void) {
    filled = 0;
    has_bias = false;
    n_windows = 0;
    memset(votes, 0, sizeof votes);
    start_window();
}

// Counts to Q0.15 in place: less the tracked bias, shifted to full scale.
static void convert_step(int16_t *step) {
    enum { DOWN = FRAME_STEP_BITS - (16 - ADC_BITS) };
    int32_t mean = 0;
    for (int i = 0; i < FRAME_STEP; i++) mean += step[i];
    if (!has_bias) bias = mean;
    has_bias = true;
    bias += (mean - bias) >> BIAS_SHIFT;
    const int32_t offset = (1 << (DOWN - 1)) - bias;
    for (int i = 0; i < FRAME_STEP; i++) {
        int32_t x = ((int32_t)step[i] * (1 << FRAME_STEP_BITS) + offset) >> DOWN;
        if (x > 32767) x = 32767;
        if (x < -32768) x = -32768;
        step[i] = (int16_t)x;
        const int32_t magnitude = x ^ (x >> 31);
        if (magnitude > peak) peak = magnitude;
    }
}

static void vote(decision_t *decision) {
    uint8_t *const own = votes[n_windows % VOTE_WINDOWS];
    uint32_t sums[N_GENRES] = {0}, total = 0;
    for (int i = 0; i < N_GENRES; i++) own[i] = decision->silent ? 0 : (uint8_t)(decision->scores[i] + 128);
    for (int w = 0; w < VOTE_WINDOWS; w++) {
        for (int i = 0; i < N_GENRES; i++) sums[i] += votes[w][i];
    }
    decision->label = decision->vote = 0;
    for (int i = 0; i < N_GENRES; i++) {
        total += sums[i];
        if (decision->scores[i] > decision->scores[decision->label]) decision->label = (uint8_t)i;
        if (sums[i] > sums[decision->vote]) decision->vote = (uint8_t)i;
    }
    decision->confidence = (uint8_t)(total ? 100 * sums[decision->vote] / total : 0);
}

static void decide(decision_t *decision) {
    decision->window = n_windows;
    decision->silent = peak < SILENCE_PEAK;
    lstm_scores(decision->scores);
    vote(decision);
    n_windows++;
    start_window();
}

// A whole frame: features, one LSTM step, and room for the next FRAME_STEP counts. True when the window has ended.
static bool take_frame(decision_t *decision) {
    int8_t features[N_MFCC];
    features_frame(frame, features);
    lstm_step(features);
    memmove(frame, frame + FRAME_STEP, (FRAME_LENGTH - FRAME_STEP) * sizeof frame[0]);
    filled = FRAME_LENGTH - FRAME_STEP;
    if (++frame_of_window < N_FRAMES) return false;
    decide(decision);
    return true;
}

bool recognizer_push(const uint16_t *adc, size_t count, decision_t *decision) {
    bool decided = false;
    for (size_t i = 0; i < count; i++) {
        frame[filled++] = (int16_t)adc[i];
        if (filled % FRAME_STEP == 0) convert_step(frame + filled - FRAME_STEP);
        if (filled == FRAME_LENGTH && take_frame(decision)) decided = true;
    }
    return decided;
}
