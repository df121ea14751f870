// SPDX-License-Identifier: MIT
#include "recognizer.h"

#include <string.h>

#include "generated/labels.h"

static void start_window(recognizer_t *r)
{
    r->frame_of_window = 0;
    r->silent = true;
    mfcc_reset(&r->mfcc);
    lstm_reset(&r->lstm);
}

void recognizer_init(recognizer_t *r)
{
    r->filled = 0;
    r->has_bias = false;
    r->n_windows = 0;
    memset(r->votes, 0, sizeof r->votes);
    mfcc_init(&r->mfcc);
    start_window(r);
}

// Sum of a step's counts, two in a word. A half-word has room for the sum of 16 counts of 12 bits.
static int32_t sum_of(const int16_t *step)
{
    const pair_t *pair = (const pair_t *)step;
    uint32_t sum = 0;
    for (int i = 0; i < FRAME_STEP / 16; i++, pair += 8) {
        uint32_t both = pair[0] + pair[1] + pair[2] + pair[3];
        both += pair[4] + pair[5] + pair[6] + pair[7];
        sum += (both & 0xFFFF) + (both >> 16);
    }
    return (int32_t)sum;
}

// Counts to Q0.15 in place: subtract the tracked bias, then shift to full scale.
static void convert_step(recognizer_t *r, int16_t *step)
{
    enum { DOWN = FRAME_STEP_BITS - (16 - ADC_BITS) };
    const int32_t mean = sum_of(step);  // with FRAME_STEP_BITS fraction bits
    if (!r->has_bias) {
        r->bias = mean;
    }
    r->has_bias = true;
    r->bias += (mean - r->bias) >> BIAS_SHIFT;
    const int32_t offset = (1 << (DOWN - 1)) - r->bias;
    const int32_t low = -((32768 * (1 << DOWN) + offset) >> FRAME_STEP_BITS);  // counts beyond these saturate
    const int32_t high = (32767 * (1 << DOWN) - offset) >> FRAME_STEP_BITS;
    for (int16_t *const end = step + FRAME_STEP; step < end; step++) {
        const int32_t count = *step;
        if (count > high) {
            *step = 32767;
        } else if (count < low) {
            *step = -32768;
        } else {
            *step = (int16_t)((count * (1 << FRAME_STEP_BITS) + offset) >> DOWN);
        }
    }
}

static void vote(recognizer_t *r, decision_t *decision)
{
    uint8_t *const own = r->votes[r->n_windows % VOTE_WINDOWS];
    uint32_t sums[N_GENRES] = {0}, total = 0;
    for (int i = 0; i < N_GENRES; i++) {
        own[i] = decision->silent ? 0 : (uint8_t)(decision->scores[i] + 128);
    }
    for (int w = 0; w < VOTE_WINDOWS; w++) {
        for (int i = 0; i < N_GENRES; i++) {
            sums[i] += r->votes[w][i];
        }
    }
    decision->label = decision->vote = 0;
    for (int i = 0; i < N_GENRES; i++) {
        total += sums[i];
        if (decision->scores[i] > decision->scores[decision->label]) {
            decision->label = (uint8_t)i;
        }
        if (sums[i] > sums[decision->vote]) {
            decision->vote = (uint8_t)i;
        }
    }
    decision->confidence = (uint8_t)(total ? 100 * sums[decision->vote] / total : 0);
    decision->unsure = decision->confidence < UNSURE_BELOW;
}

static void decide(recognizer_t *r, decision_t *decision)
{
    decision->window = r->n_windows;
    decision->silent = r->silent;
    lstm_scores(&r->lstm, decision->scores);
    vote(r, decision);
    r->n_windows++;
    start_window(r);
}

// The frame is full: compute its features, take one LSTM step, and make room for the next FRAME_STEP counts. True when
// this ended a window.
static bool take_frame(recognizer_t *r, decision_t *decision)
{
    int8_t features[N_MFCC];
    if (mfcc_frame(&r->mfcc, r->frame, features) < 15 - SILENCE_BITS) {
        r->silent = false;
    }
    lstm_step(&r->lstm, features);
    memmove(r->frame, r->frame + FRAME_STEP, (FRAME_LENGTH - FRAME_STEP) * sizeof r->frame[0]);
    r->filled = FRAME_LENGTH - FRAME_STEP;
    if (++r->frame_of_window < N_FRAMES) {
        return false;
    }
    decide(r, decision);
    return true;
}

bool recognizer_push(recognizer_t *r, const uint16_t *counts, size_t n, decision_t *decision)
{
    bool decided = false;
    while (n) {
        const size_t room = FRAME_STEP - r->filled % FRAME_STEP;  // until the step is full
        const size_t taken = n < room ? n : room;
        memcpy(r->frame + r->filled, counts, taken * sizeof *counts);
        r->filled += taken;
        counts += taken;
        n -= taken;
        if (r->filled % FRAME_STEP) {
            continue;
        }
        convert_step(r, r->frame + r->filled - FRAME_STEP);
        if (r->filled == FRAME_LENGTH && take_frame(r, decision)) {
            decided = true;
        }
    }
    return decided;
}

const char *recognizer_genre(int genre) { return GENRE_NAMES[genre]; }

const char *recognizer_says(const decision_t *decision)
{
    if (decision->silent) {
        return "silence";
    }
    return decision->unsure ? "unsure" : GENRE_NAMES[decision->vote];
}
