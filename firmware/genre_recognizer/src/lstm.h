// SPDX-License-Identifier: MIT
// The int8 LSTM, one step a frame, with the bits of TensorFlow Lite Micro's UNIDIRECTIONAL_SEQUENCE_LSTM.
// Portable C99, no allocation, no float. Explained in notebooks/08_deploy_to_pico.ipynb.
#ifndef LSTM_H
#define LSTM_H

#include <stdint.h>

#include "../config.h"
#include "generated/constants.h"
#include "m0plus/m0plus.h"

#ifdef __cplusplus
extern "C" {
#endif

#if LSTM_TFLM  // lstm_tflm.cpp, which runs a whole window at once
typedef struct {
    int n_steps;
    int8_t features[N_FRAMES][N_MFCC];
} lstm_t;
#else
typedef struct {
    int8_t hidden[N_LSTM][MAX_UNITS];
    int16_t cell[N_LSTM][MAX_UNITS];
    int32_t pooled[MAX_UNITS];                // sum of the last layer's hidden states
    int32_t values[MAX_INPUTS + MAX_UNITS];   // working memory: a layer's inputs, then its hidden state
#if MGR_M0PLUS
    int32_t sums[MAX_UNITS][2][4];            // of each unit's gates, from inputs and from hidden state
#endif
} lstm_t;
#endif

// Start a window: forget everything.
void lstm_reset(lstm_t *lstm);

// Take the features of one frame.
void lstm_step(lstm_t *lstm, const int8_t features[N_MFCC]);

// Softmax over the classes after N_FRAMES steps: -128 is 0, 127 is almost 1.
void lstm_scores(const lstm_t *lstm, int8_t scores[N_CLASSES]);

#ifdef __cplusplus
}
#endif
#endif
