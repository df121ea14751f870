// SPDX-License-Identifier: MIT
// The int8 LSTM, one step a frame, with the bits of TensorFlow Lite Micro's UNIDIRECTIONAL_SEQUENCE_LSTM.
// Portable C99, no allocation, no float. Explained in notebooks/08_deploy_to_pico.ipynb.
#ifndef LSTM_H
#define LSTM_H

#include <stdint.h>

#include "generated/constants.h"

#ifdef __cplusplus
extern "C" {
#endif

// Forget everything: the start of a window.
void lstm_reset(void);

// One frame of features.
void lstm_step(const int8_t features[N_MFCC]);

// Softmax over the genres after N_FRAMES steps: -128 is 0, 127 is almost 1.
void lstm_scores(int8_t scores[N_GENRES]);

#ifdef __cplusplus
}
#endif
#endif
