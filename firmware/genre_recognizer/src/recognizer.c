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
    r->sum = 0;
    r->has_bias = false;
    r->n_windows = 0;
    memset(r->votes, 0, sizeof r->votes);
    mfcc_init(&r->mfcc);
    start_window(r);
}

// Copies counts and returns their sum, two in a word where both places allow it. A half-word holds the sum of sixteen
// 12-bit counts.
static uint32_t copy_counts(int16_t *to, const uint16_t *from, size_t n)
{
    uint32_t sum = 0;
    if (!(((uintptr_t)to | (uintptr_t)from) & 3)) {
#if MGR_M0PLUS
        const size_t eights = n & ~(size_t)7;
        sum = m0plus_copy(to, from, (int)n);
        n -= eights, to += eights, from += eights;
#else
        for (; n >= 8; n -= 8, to += 8, from += 8) {
            const pair_t *const source = (const pair_t *)from;
            pair_t *const target = (pair_t *)to;
            const uint32_t a = source[0], b = source[1], c = source[2], d = source[3];
            const uint32_t both = a + b + c + d;
            target[0] = a, target[1] = b, target[2] = c, target[3] = d;
            sum += (both & 0xFFFF) + (both >> 16);
        }
#endif
    }
    for (; n; n--) {
        sum += *from;
        *to++ = (int16_t)*from++;
    }
    return sum;
}

// 16 count + offset for eight counts, of which at least one may saturate. Returns them for mfcc_headroom().
static uint32_t convert_by_one(int16_t *counts, int32_t offset)
{
    uint32_t seen = 0;
    for (int i = 0; i < 8; i++) {
        const int32_t value = counts[i] * (1 << (16 - ADC_BITS)) + offset;
        counts[i] = (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
        seen |= (uint32_t)(counts[i] ^ (counts[i] * 2));
    }
    return seen;
}

// Counts to Q0.15 in place: 16 count + offset, two at once. `steps` is added to both counts of a word; if both sums
// have 12 bits, nothing saturates, and the rest of the offset fills the 4 bits below. Returns the samples for
// mfcc_headroom().
static uint32_t convert_counts(int16_t *step, int32_t offset)
{
    enum { UP = 16 - ADC_BITS };
    const uint32_t steps = (uint32_t)((offset + 32768) >> UP) * 0x10001u;
    const uint32_t rest = ((uint32_t)(offset & ((1 << UP) - 1)) * 0x10001u) ^ 0x80008000u;
    const uint32_t too_high = ((0xFFFFu << ADC_BITS) & 0xFFFF) * 0x10001u;
    int16_t *const end = step + FRAME_STEP;
    uint32_t seen = 0;
#if MGR_M0PLUS
    const uint32_t constants[3] = {steps, rest, too_high};
    while (step < end && (step = m0plus_convert(step, end, constants, &seen)) < end) {
        seen |= convert_by_one(step, offset);
        step += 8;
    }
#else
    for (; step < end; step += 8) {
        pair_t *const pair = (pair_t *)step;
        uint32_t a = pair[0] + steps, b = pair[1] + steps, c = pair[2] + steps, d = pair[3] + steps;
        if ((a | b | c | d) & too_high) {
            seen |= convert_by_one(step, offset);
            continue;
        }
        pair[0] = a = (a << UP) ^ rest, pair[1] = b = (b << UP) ^ rest;
        pair[2] = c = (c << UP) ^ rest, pair[3] = d = (d << UP) ^ rest;
        seen |= (a ^ (a << 1)) | (b ^ (b << 1)) | (c ^ (c << 1)) | (d ^ (d << 1));
    }
#endif
    return seen;
}

// The step is full: subtract the tracked bias, then shift to full scale.
static void convert_step(recognizer_t *r, int16_t *step)
{
    enum { DOWN = FRAME_STEP_BITS - (16 - ADC_BITS) };
    const int32_t mean = (int32_t)r->sum;  // with FRAME_STEP_BITS fraction bits
    if (!r->has_bias) {
        r->bias = mean;
    }
    r->has_bias = true;
    r->bias += (mean - r->bias) >> BIAS_SHIFT;
    r->sum = 0;
    r->seen[0] = r->seen[1];
    r->seen[1] = convert_counts(step, ((1 << (DOWN - 1)) - r->bias) >> DOWN);
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
    const int shift = mfcc_headroom(r->seen[0] | r->seen[1]);
    mfcc_shifted_frame(&r->mfcc, r->frame, shift, features);
    if (shift < 15 - SILENCE_BITS) {
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
        r->sum += copy_counts(r->frame + r->filled, counts, taken);
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
