// SPDX-License-Identifier: MIT
// Types of the constants in generated/model.h.
#ifndef LSTM_LAYER_H
#define LSTM_LAYER_H

#include <stdint.h>

#include "m0plus/m0plus.h"

// The weights of a value for the four gates, in the order that m0plus.h tells.
#if MGR_M0PLUS
#define GATES(i, f, c, o) (int8_t)((i) ^ -128), (int8_t)((f) ^ -128), (int8_t)((c) ^ -128), o
#else
#define GATES(i, f, c, o) i, f, c, o
#endif

// A positive real factor, multiplier / 2^31 * 2^shift, as TFLM rounds it.
typedef struct {
    int32_t multiplier;
    int8_t shift;
} scale_t;

enum { INPUT_GATE, FORGET_GATE, CELL_GATE, OUTPUT_GATE, N_GATES };

typedef struct {
    uint8_t n_inputs, n_units;
    const int8_t *weights;        // [unit][value][gate]; the values are the inputs, then the hidden state
    const int32_t *input_bias;    // [unit][gate]; includes the zero point of the inputs
    const int32_t *hidden_bias;   // [unit][gate]; includes the zero point of the hidden state
    scale_t input_scale[N_GATES], hidden_scale[N_GATES];
    scale_t output_scale;         // of tanh(c) * o to the hidden state
    int8_t cell_power;            // the scale of the cell state is 2^cell_power
    int16_t cell_limit;           // the cell state is clipped to -cell_limit .. cell_limit
    int8_t zero_point;            // of the hidden state
} lstm_layer_t;

#endif
