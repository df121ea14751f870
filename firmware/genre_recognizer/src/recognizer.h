// SPDX-License-Identifier: MIT
// From ADC counts to a genre: bias, frames, windows, vote. No sample is skipped between windows.
// Portable C99, no allocation; knows no board. Explained in notebooks/08_deploy_to_pico.ipynb.
#ifndef RECOGNIZER_H
#define RECOGNIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated/constants.h"
#include "lstm.h"
#include "mfcc_q15.h"
#include "pair.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t window;            // number of this window, from 0
    int8_t scores[N_GENRES];    // softmax of this window: -128 is 0, 127 is almost 1
    uint8_t label;              // the genre of this window
    uint8_t vote;               // the genre of the last VOTE_WINDOWS windows together
    uint8_t confidence;         // of the vote, in percent
    bool silent;                // too quiet to say; a silent window has no vote
    bool unsure;                // the vote's confidence is below the model's threshold, or nothing has been heard
} decision_t;

typedef struct {
    size_t filled;              // samples in `frame`
    uint32_t sum;               // of the counts in the incomplete step
    uint32_t seen[2];           // of the last two steps, for mfcc_headroom()
    int32_t bias;               // counts, with FRAME_STEP_BITS fraction bits
    bool has_bias;
    bool silent;                // no sample of this window was loud
    int frame_of_window;
    uint32_t n_windows;
    uint8_t votes[VOTE_WINDOWS][N_GENRES];  // scores + 128 of the last windows, 0 where silent
    lstm_t lstm;
    mfcc_t mfcc;
    int16_t frame[FRAME_LENGTH] PAIR_ALIGNED;  // Q0.15; an incomplete step still holds counts
} recognizer_t;

void recognizer_init(recognizer_t *recognizer);

// Take counts of the ADC, at most FRAME_STEP at once. True when they ended a window: then *decision is filled.
bool recognizer_push(recognizer_t *recognizer, const uint16_t *counts, size_t n, decision_t *decision);

// Name of the genre that a decision gives as `label` or `vote`.
const char *recognizer_genre(int genre);

// What to tell the listener: "silence", "unsure" or the genre of the vote.
const char *recognizer_says(const decision_t *decision);

#ifdef __cplusplus
}
#endif
#endif
