// SPDX-License-Identifier: MIT
// From ADC counts, or the samples of a digital microphone, to a genre: bias, frames, windows, vote. No sample is skipped
// between windows.
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
    int8_t scores[N_CLASSES];   // softmax of this window: -128 is 0, 127 is almost 1
    uint8_t label;              // the class of this window; those from N_GENRES on are no genre
    uint8_t vote;               // the genre of the last VOTE_WINDOWS windows together
    uint8_t confidence;         // of the vote, in percent
    bool silent;                // too quiet to say; a silent window has no vote
    bool unsure;                // the vote's confidence is below the model's threshold, or nothing has been heard
} decision_t;

typedef struct {
    size_t filled;              // samples in `frame`
    uint32_t sum;               // of the values in the incomplete step, modulo 2^32
    uint32_t seen[2];           // of the last two steps, for mfcc_headroom()
    int32_t bias;               // their mean, with FRAME_STEP_BITS fraction bits
    bool has_bias;
    bool silent;                // no sample of this window was loud
    int frame_of_window;
    uint32_t n_windows;
    int32_t raw[N_FRAMES][N_MFCC];          // MFCCs of this window
    int8_t features[N_FRAMES][N_MFCC];      // of the window before, which waits for recognizer_step()
    int steps_left;                         // of that window: N_FRAMES of the LSTM and one for the vote
    bool features_silent;                   // that window is silent
    int16_t votes[VOTE_WINDOWS][N_CLASSES]; // logarithms of the scores of the last windows
    bool voted[VOTE_WINDOWS];               // whether a window has a vote
    lstm_t lstm;
    mfcc_t mfcc;
    int16_t frame[FRAME_LENGTH] PAIR_ALIGNED;  // Q0.15; an incomplete step still has its bias
} recognizer_t;

void recognizer_init(recognizer_t *recognizer);

// Take counts of the ADC, at most FRAME_STEP at once, and compute the features of the frames that they fill.
void recognizer_push(recognizer_t *recognizer, const uint16_t *counts, size_t n);

// The same for samples of a digital microphone, Q0.15. Their mean is tracked and taken off, too. A recognizer takes
// either counts or samples.
void recognizer_push_samples(recognizer_t *recognizer, const int16_t *samples, size_t n);

// Whether a window waits for recognizer_step().
bool recognizer_pending(const recognizer_t *recognizer);

// Do a small part of what a window that has ended still needs: a step of the LSTM, or at last the vote. True when it is
// done: then *decision is filled. Call it while recognizer_pending() and no counts wait. Who is late loses no vote: the
// next window's end does what is left, but that decision is never told.
bool recognizer_step(recognizer_t *recognizer, decision_t *decision);

// Name of the class that a decision gives as `label` or `vote`.
const char *recognizer_label(int label);

// What to tell the listener: "silence", "unsure" or the genre of the vote.
const char *recognizer_says(const decision_t *decision);

#ifdef __cplusplus
}
#endif
#endif
