// SPDX-License-Identifier: MIT
#include "recognizer.h"

#include <string.h>

#include "generated/labels.h"

static void start_window(recognizer_t *r)
{
    r->frame_of_window = 0;
    r->silent = true;
    mfcc_reset(&r->mfcc);
}

void recognizer_init(recognizer_t *r)
{
    r->filled = 0;
    r->sum = 0;
    r->has_bias = false;
    r->n_windows = 0;
    r->steps_left = 0;
    memset(r->voted, 0, sizeof r->voted);
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

// 2^up value + offset for n values, of which any may saturate. Returns them for mfcc_headroom().
static uint32_t convert_by_one(int16_t *values, int n, int up, int32_t offset)
{
    uint32_t seen = 0;
    for (int i = 0; i < n; i++) {
        const int32_t value = values[i] * (1 << up) + offset;
        values[i] = (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
        seen |= (uint32_t)(values[i] ^ (values[i] * 2));
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
        seen |= convert_by_one(step, 8, UP, offset);
        step += 8;
    }
#else
    for (; step < end; step += 8) {
        pair_t *const pair = (pair_t *)step;
        uint32_t a = pair[0] + steps, b = pair[1] + steps, c = pair[2] + steps, d = pair[3] + steps;
        if ((a | b | c | d) & too_high) {
            seen |= convert_by_one(step, 8, UP, offset);
            continue;
        }
        pair[0] = a = (a << UP) ^ rest, pair[1] = b = (b << UP) ^ rest;
        pair[2] = c = (c << UP) ^ rest, pair[3] = d = (d << UP) ^ rest;
        seen |= (a ^ (a << 1)) | (b ^ (b << 1)) | (c ^ (c << 1)) | (d ^ (d << 1));
    }
#endif
    return seen;
}

// The step is full: subtract the tracked bias, then shift values of so many bits to full scale.
static void convert_step(recognizer_t *r, int16_t *step, int bits)
{
    const int down = FRAME_STEP_BITS - (16 - bits);
    const int32_t mean = (int32_t)r->sum;  // with FRAME_STEP_BITS fraction bits
    if (!r->has_bias) {
        r->bias = mean;
    }
    r->has_bias = true;
    r->bias += (mean - r->bias) >> BIAS_SHIFT;
    r->sum = 0;
    r->seen[0] = r->seen[1];
    const int32_t offset = ((1 << (down - 1)) - r->bias) >> down;
    r->seen[1] = bits == ADC_BITS ? convert_counts(step, offset) : convert_by_one(step, FRAME_STEP, 0, offset);
}

// 2^(-x / 64), Q0.15.
static uint32_t power_of_half(uint32_t x) { return x >> 6 < 16 ? (uint32_t)HALVES[x & 63] >> (x >> 6) : 0; }

// Sums of the logarithms over the last windows that have a vote. Returns how many they are.
static int sum_votes(const recognizer_t *r, int32_t sums[N_CLASSES])
{
    int n = 0;
    memset(sums, 0, N_CLASSES * sizeof sums[0]);
    for (int w = 0; w < VOTE_WINDOWS; w++) {
        if (r->voted[w]) {
            n++;
            for (int i = 0; i < N_CLASSES; i++) {
                sums[i] += r->votes[w][i];
            }
        }
    }
    return n;
}

static int largest_of(const int32_t *values, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        best = values[i] > values[best] ? i : best;
    }
    return best;
}

// Softmax over the mean logarithms of all classes. The vote is the best genre, the confidence is its share.
static void vote(recognizer_t *r, decision_t *decision)
{
    int32_t sums[N_CLASSES];
    uint32_t shares[N_CLASSES], total = 0;
    const int n = sum_votes(r, sums);
    const int32_t most = sums[largest_of(sums, N_CLASSES)];
    const int32_t unit = (n ? n : 1) << (VOTE_FRACTION_BITS - 6);
    for (int i = 0; i < N_CLASSES; i++) {
        shares[i] = power_of_half((uint32_t)((most - sums[i] + unit / 2) / unit));
        total += shares[i];
    }
    decision->vote = (uint8_t)largest_of(sums, N_GENRES);
    decision->confidence = (uint8_t)(n ? 100 * shares[decision->vote] / total : 0);
    decision->unsure = decision->confidence < UNSURE_BELOW;
}

static void decide(recognizer_t *r, decision_t *decision)
{
    const unsigned at = r->n_windows % VOTE_WINDOWS;
    int32_t scores[N_CLASSES];
    decision->window = r->n_windows++;
    decision->silent = r->features_silent;
    lstm_scores(&r->lstm, decision->scores);
    r->voted[at] = !decision->silent;
    for (int i = 0; i < N_CLASSES; i++) {
        scores[i] = decision->scores[i];
        r->votes[at][i] = LOG_SCORES[scores[i] + 128];
    }
    decision->label = (uint8_t)largest_of(scores, N_CLASSES);
    vote(r, decision);
}

bool recognizer_pending(const recognizer_t *r) { return r->steps_left > 0; }

bool recognizer_step(recognizer_t *r, decision_t *decision)
{
    if (!recognizer_pending(r)) {
        return false;
    }
    if (--r->steps_left) {
        lstm_step(&r->lstm, r->features[N_FRAMES - r->steps_left]);
        return false;
    }
    decide(r, decision);
    return true;
}

static void end_window(recognizer_t *r)
{
    decision_t untold;
    while (recognizer_pending(r)) {
        recognizer_step(r, &untold);
    }
    mfcc_features(r->raw, r->features);
    r->features_silent = r->silent;
    r->steps_left = N_FRAMES + 1;
    lstm_reset(&r->lstm);
    start_window(r);
}

// The frame is full: compute its MFCCs, and make room for the next FRAME_STEP counts.
static void take_frame(recognizer_t *r)
{
    const int shift = mfcc_headroom(r->seen[0] | r->seen[1]);
    mfcc_shifted_frame(&r->mfcc, r->frame, shift, r->raw[r->frame_of_window]);
    if (shift < 15 - SILENCE_BITS) {
        r->silent = false;
    }
    memmove(r->frame, r->frame + FRAME_STEP, (FRAME_LENGTH - FRAME_STEP) * sizeof r->frame[0]);
    r->filled = FRAME_LENGTH - FRAME_STEP;
    if (++r->frame_of_window == N_FRAMES) {
        end_window(r);
    }
}

// How many of n values go to the end of the frame: at most as many as fill the step.
static size_t room_for(const recognizer_t *r, size_t n)
{
    const size_t room = FRAME_STEP - r->filled % FRAME_STEP;
    return n < room ? n : room;
}

// n values of so many bits have been added to the frame.
static void added(recognizer_t *r, size_t n, int bits)
{
    r->filled += n;
    if (r->filled % FRAME_STEP == 0) {
        convert_step(r, r->frame + r->filled - FRAME_STEP, bits);
    }
    if (r->filled == FRAME_LENGTH) {
        take_frame(r);
    }
}

void recognizer_push(recognizer_t *r, const uint16_t *counts, size_t n)
{
    for (size_t taken; n; counts += taken, n -= taken) {
        taken = room_for(r, n);
        r->sum += copy_counts(r->frame + r->filled, counts, taken);
        added(r, taken, ADC_BITS);
    }
}

void recognizer_push_samples(recognizer_t *r, const int16_t *samples, size_t n)
{
    for (size_t taken; n; samples += taken, n -= taken) {
        taken = room_for(r, n);
        for (size_t i = 0; i < taken; i++) {
            const int32_t sample = samples[i];
            r->frame[r->filled + i] = (int16_t)sample;
            r->sum += (uint32_t)sample;
        }
        added(r, taken, 16);
    }
}

const char *recognizer_label(int label) { return LABELS[label]; }

const char *recognizer_says(const decision_t *decision)
{
    if (decision->silent) {
        return "silence";
    }
    return decision->unsure ? "unsure" : LABELS[decision->vote];
}
