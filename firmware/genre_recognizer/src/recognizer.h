// SPDX-License-Identifier: MIT
// From ADC counts to a genre: bias, frames, windows, vote. Streaming: no sample is skipped between windows.
// Portable C99, no allocation; knows no board. Explained in notebooks/08_deploy_to_pico.ipynb.
#ifndef RECOGNIZER_H
#define RECOGNIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated/constants.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t window;            // windows before this one
    int8_t scores[N_GENRES];    // softmax of this window: -128 is 0, 127 is almost 1
    uint8_t label;              // the genre of this window
    uint8_t vote;               // the genre of the last VOTE_WINDOWS windows together
    uint8_t confidence;         // of the vote, in percent
    bool silent;                // too quiet to say; a silent window has no vote
    bool unsure;                // the vote's confidence is below the model's threshold, or nothing has been heard
} decision_t;

extern const char *const GENRE_NAMES[N_GENRES];

// The buffer of FRAME_LENGTH samples, which the self-test borrows before recognizer_init().
int16_t *recognizer_buffer(void);

void recognizer_init(void);

// Take counts of the ADC, at most FRAME_STEP at once. True when they ended a window: then *decision is filled.
bool recognizer_push(const uint16_t *adc, size_t count, decision_t *decision);

// What to tell the listener: "silence", "unsure" or the genre of the vote.
const char *recognizer_says(const decision_t *decision);

#ifdef __cplusplus
}
#endif
#endif
