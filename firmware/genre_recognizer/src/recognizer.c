// SPDX-License-Identifier: MIT
#include "recognizer.h"

#include <string.h>

#include "mfcc_q15.h"
#include "generated/labels.h"
#include "lstm.h"

typedef uint32_t __attribute__((may_alias)) pair_t;  // two counts in one load

static int16_t frame[FRAME_LENGTH] __attribute__((aligned(4)));  // Q0.15; its last step holds counts until it is full
static size_t filled;
static int32_t bias;                 // counts, with FRAME_STEP_BITS fraction bits
static bool has_bias;
static int frame_of_window;
static bool silent;                  // no sample of the window was loud
static uint32_t n_windows;
static uint8_t votes[VOTE_WINDOWS][N_GENRES];  // scores + 128 of the last windows, 0 where silent

static void start_window(void) {
    frame_of_window = 0;
    silent = true;
    features_reset();
    lstm_reset();
}

int16_t *recognizer_buffer(void) { return frame; }

void recognizer_init(void) {
    filled = 0;
    has_bias = false;
    n_windows = 0;
    memset(votes, 0, sizeof votes);
    features_init();
    start_window();
}

// Sum of a step's counts, two in a word: sixteen of 12 bits fit into 16 bits.
static int32_t sum_of(const int16_t *step) {
    const pair_t *pair = (const pair_t *)step;
    uint32_t sum = 0;
    for (int i = 0; i < FRAME_STEP / 16; i++, pair += 8) {
        uint32_t both = pair[0] + pair[1] + pair[2] + pair[3];
        both += pair[4] + pair[5] + pair[6] + pair[7];
        sum += (both & 0xFFFF) + (both >> 16);
    }
    return (int32_t)sum;
}

// Counts to Q0.15 in place: less the tracked bias, shifted to full scale.
static void convert_step(int16_t *step) {
    enum { DOWN = FRAME_STEP_BITS - (16 - ADC_BITS) };
    const int32_t mean = sum_of(step);  // with FRAME_STEP_BITS fraction bits
    if (!has_bias) bias = mean;
    has_bias = true;
    bias += (mean - bias) >> BIAS_SHIFT;
    const int32_t offset = (1 << (DOWN - 1)) - bias;
    const int32_t low = -((32768 * (1 << DOWN) + offset) >> FRAME_STEP_BITS);  // counts beyond these saturate
    const int32_t high = (32767 * (1 << DOWN) - offset) >> FRAME_STEP_BITS;
    for (int16_t *const end = step + FRAME_STEP; step < end; step++) {
        const int32_t count = *step;
        if (count > high) *step = 32767;
        else if (count < low) *step = -32768;
        else *step = (int16_t)((count * (1 << FRAME_STEP_BITS) + offset) >> DOWN);
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
    decision->unsure = decision->confidence < UNSURE_BELOW;
}

static void decide(decision_t *decision) {
    decision->window = n_windows;
    decision->silent = silent;
    lstm_scores(decision->scores);
    vote(decision);
    n_windows++;
    start_window();
}

// A whole frame: features, one LSTM step, and room for the next FRAME_STEP counts. True when the window has ended.
static bool take_frame(decision_t *decision) {
    int8_t features[N_MFCC];
    if (features_frame(frame, features) < 15 - SILENCE_BITS) silent = false;
    lstm_step(features);
    memmove(frame, frame + FRAME_STEP, (FRAME_LENGTH - FRAME_STEP) * sizeof frame[0]);
    filled = FRAME_LENGTH - FRAME_STEP;
    if (++frame_of_window < N_FRAMES) return false;
    decide(decision);
    return true;
}

// Room until the step is full.
static size_t room(void) { return FRAME_STEP - filled % FRAME_STEP; }

bool recognizer_push(const uint16_t *adc, size_t count, decision_t *decision) {
    bool decided = false;
    while (count) {
        const size_t n = count < room() ? count : room();
        memcpy(frame + filled, adc, n * sizeof *adc);
        filled += n;
        adc += n;
        count -= n;
        if (filled % FRAME_STEP) continue;
        convert_step(frame + filled - FRAME_STEP);
        if (filled == FRAME_LENGTH && take_frame(decision)) decided = true;
    }
    return decided;
}

const char *recognizer_says(const decision_t *decision) {
    if (decision->silent) return "silence";
    return decision->unsure ? "unsure" : GENRE_NAMES[decision->vote];
}
