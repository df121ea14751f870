// SPDX-License-Identifier: MIT
#include "lstm.h"

#if !LSTM_TFLM
#include <string.h>

#include "generated/model.h"

void lstm_reset(lstm_t *lstm)
{
    for (int i = 0; i < N_LSTM; i++) {
        memset(lstm->hidden[i], LSTM[i].zero_point, sizeof lstm->hidden[i]);
    }
    memset(lstm->cell, 0, sizeof lstm->cell);
    memset(lstm->pooled, 0, sizeof lstm->pooled);
}

// --- fixed-point arithmetic, rounding as TFLM rounds ---------------------------------------------------------------

// a * b / 2^31, halves rounded up.
static int32_t multiply_high(int32_t a, int32_t b)
{
#if MGR_M0PLUS
    return m0plus_product(a, b, 0x4000);
#else
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
#endif
}

// x / 2^bits, halves rounded away from zero.
static int32_t divide_by_power(int32_t x, int bits)
{
    const int32_t mask = (int32_t)((1u << bits) - 1);
    const int32_t rest = x & mask;
    return (x >> bits) + (rest > (mask >> 1) + (x < 0));
}

static int32_t rescale(int32_t x, scale_t scale)
{
    const int left = scale.shift > 0 ? scale.shift : 0;
    return divide_by_power(multiply_high((int32_t)((uint32_t)x << left), scale.multiplier), left - scale.shift);
}

static int32_t clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

static int32_t clamp16(int32_t x) { return clamp(x, -32768, 32767); }

// x / 2^bits with TFLM's two roundings: by one bit with halves up, then by the rest with halves away from zero.
static int32_t scale_down(int32_t x, int bits) { return divide_by_power((x + 1) >> 1, bits - 1); }

// --- activations: TFLM's table of the sigmoid, linear between its entries ----------------------------------------

// 1 / (1 + exp(-z)), z in Q3.12, result in Q0.15.
static inline __attribute__((always_inline)) int32_t sigmoid(int32_t z)
{
    const uint32_t a = (uint32_t)(z < 0 ? -3 * z : 3 * z);
    const uint32_t u = a >> 9;
    uint32_t r = 0x7FFFu << 10;
    if (u < 255) {
        r = ((uint32_t)SIGMOID[u] << 9) + (a & 511) * (uint32_t)(SIGMOID[u + 1] - SIGMOID[u]);
    }
    return (int32_t)((z < 0 ? (1u << 25) - r + 511 : r + 512) >> 10);
}

// tanh(z * 2^power), result in Q0.15: 2 sigmoid(2 z) - 1.
static inline __attribute__((always_inline)) int32_t hyperbolic_tangent(int32_t z, int power)
{
    const int shift = 12 + power;
    const int32_t v = shift >= 0 ? 3 * z * (1 << shift) : (3 * z + (1 << (-shift - 1))) >> -shift;
    const uint32_t a = (uint32_t)(v < 0 ? -v : v);
    const uint32_t u = a >> 8;
    int32_t r = 0xFFFF << 8;
    if (u < 255) {
        r = (int32_t)(((uint32_t)SIGMOID[u] << 8) + (a & 255) * (uint32_t)(SIGMOID[u + 1] - SIGMOID[u]));
    }
    return (v < 0 ? (1 << 23) - r + 127 : r - (1 << 23) + 128) >> 8;
}

// --- the layers ------------------------------------------------------------------------------------------------------

// A Cortex-M0+ loads 32-bit words faster than signed bytes.
// Returns 128 times their sum, by which m0plus_dot() is too high.
static int32_t widen(const int8_t *values, int32_t *words, int n)
{
    int32_t sum = 0;
    while (n--) {
        sum += *words++ = *values++;
    }
    return sum * 128;
}

#if MGR_M0PLUS
// The values of one gate of all units, 32 bytes apart: *gate = clamp16(rescale(*gate + *bias + offset)); then, with
// `add`, clamp16(*gate + gate[N_GATES]).
static void rescale_gates(int32_t *gate, const int32_t *bias, int32_t offset, scale_t scale, int n, int add)
{
    if (scale.shift < 0) {
        m0plus_rescale(gate, bias, offset, &scale, n, add);
        return;
    }
    for (; n > 0; n--, gate += 2 * N_GATES, bias += N_GATES) {
        *gate = clamp16(rescale(*gate + *bias + offset, scale));
        *gate = add ? clamp16(*gate + gate[N_GATES]) : *gate;
    }
}

// All gates of all units. `excess` is what m0plus_dot() adds too much for all gates but the last.
static void all_gates(lstm_t *lstm, const lstm_layer_t *layer, const int32_t excess[2])
{
    m0plus_dot(layer->weights, lstm->values, &layer->n_inputs, lstm->sums);
    for (int g = 0; g < N_GATES; g++) {
        const int last = g == N_GATES - 1;
        rescale_gates(&lstm->sums[0][1][g], layer->hidden_bias + g, last ? 0 : -excess[1], layer->hidden_scale[g],
                      layer->n_units, 0);
        rescale_gates(&lstm->sums[0][0][g], layer->input_bias + g, last ? 0 : -excess[0], layer->input_scale[g],
                      layer->n_units, 1);
    }
}
#else
// The products of all four gates of a unit. The four weights of a value are neighbours, so each value is loaded once.
// Returns the place after the last weight. Not inlined: unit_gates() needs the registers.
static __attribute__((noinline)) const int8_t *dot_gates(const int8_t *weights, const int32_t *values, int n,
                                                         int32_t sums[N_GATES])
{
    int32_t i = 0, f = 0, c = 0, o = 0;
    for (; n > 0; n--, weights += N_GATES) {
        const int32_t value = *values++;
        i += weights[INPUT_GATE] * value;
        f += weights[FORGET_GATE] * value;
        c += weights[CELL_GATE] * value;
        o += weights[OUTPUT_GATE] * value;
    }
    sums[INPUT_GATE] = i, sums[FORGET_GATE] = f, sums[CELL_GATE] = c, sums[OUTPUT_GATE] = o;
    return weights;
}

// The four gates of one unit before their activations.
static void unit_gates(const lstm_layer_t *layer, int unit, const int32_t *values, int32_t gate[N_GATES])
{
    const int8_t *weights = layer->weights + unit * N_GATES * (layer->n_inputs + layer->n_units);
    int32_t of_input[N_GATES], of_state[N_GATES];
    weights = dot_gates(weights, values, layer->n_inputs, of_input);
    dot_gates(weights, values + layer->n_inputs, layer->n_units, of_state);
    for (int g = 0; g < N_GATES; g++) {
        const int32_t x = of_input[g] + layer->input_bias[unit * N_GATES + g];
        const int32_t h = of_state[g] + layer->hidden_bias[unit * N_GATES + g];
        gate[g] = clamp16(clamp16(rescale(x, layer->input_scale[g])) + clamp16(rescale(h, layer->hidden_scale[g])));
    }
}
#endif

// One unit from its gates: its new cell state *c, and its next hidden state, which is returned.
static int8_t step_unit(const lstm_layer_t *layer, const int32_t gate[N_GATES], int16_t *c)
{
    const int32_t kept = clamp16(scale_down(sigmoid(gate[FORGET_GATE]) * *c, 15));
    const int32_t candidate = sigmoid(gate[INPUT_GATE]) * hyperbolic_tangent(gate[CELL_GATE], -12);
    const int32_t added = clamp16(scale_down(candidate, 30 + layer->cell_power));
    *c = (int16_t)clamp(clamp16(kept + added), -layer->cell_limit, layer->cell_limit);
    const int32_t out = sigmoid(gate[OUTPUT_GATE]) * hyperbolic_tangent(*c, layer->cell_power);
    return (int8_t)clamp(rescale(out, layer->output_scale) + layer->zero_point, -128, 127);
}

static void step_layer(lstm_t *lstm, int i, const int8_t *input)
{
    const lstm_layer_t *layer = &LSTM[i];
    int32_t excess[2];
    excess[0] = widen(input, lstm->values, layer->n_inputs);
    excess[1] = widen(lstm->hidden[i], lstm->values + layer->n_inputs, layer->n_units);
#if MGR_M0PLUS
    all_gates(lstm, layer, excess);
#else
    (void)excess;  // only the assembly's sums need it
#endif
    for (int unit = 0; unit < layer->n_units; unit++) {
#if MGR_M0PLUS
        const int32_t *const gate = lstm->sums[unit][0];
#else
        int32_t gate[N_GATES];
        unit_gates(layer, unit, lstm->values, gate);
#endif
        lstm->hidden[i][unit] = step_unit(layer, gate, &lstm->cell[i][unit]);
    }
}

void lstm_step(lstm_t *lstm, const int8_t features[N_MFCC])
{
    const int8_t *input = features;
    for (int i = 0; i < N_LSTM; i++) {
        step_layer(lstm, i, input);
        input = lstm->hidden[i];
    }
    for (int unit = 0; unit < DENSE_INPUTS; unit++) {
        lstm->pooled[unit] += input[unit];
    }
}

// --- the head: pooling over time, dense, softmax --------------------------------------------------------------------

static void pool(const lstm_t *lstm, int8_t values[DENSE_INPUTS])
{
    for (int unit = 0; unit < DENSE_INPUTS; unit++) {
#ifdef POOL_MEAN
        const int32_t sum = lstm->pooled[unit] - N_FRAMES * POOL_INPUT_ZERO_POINT;
        values[unit] = (int8_t)clamp(rescale(sum, POOL_SCALE) + POOL_OUTPUT_ZERO_POINT, -128, 127);
#else
        values[unit] = lstm->hidden[N_LSTM - 1][unit];
#endif
    }
}

// 1 / (1 + x) for x in [0, 1), Q0.31, by gemmlowp's three Newton steps. y is Q2.29.
static int32_t reciprocal(int32_t x)
{
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) >> 1);
    int32_t y = RECIPROCAL_START + multiply_high(half_denominator, RECIPROCAL_SLOPE);
    for (int i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - multiply_high(half_denominator, y);
        y += multiply_high(y, error) * 4;
    }
    return y > INT32_MAX / 2 ? INT32_MAX : y * 2;
}

static void softmax(const int8_t logits[N_CLASSES], int8_t scores[N_CLASSES])
{
    int8_t largest = logits[0];
    for (int i = 1; i < N_CLASSES; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    int32_t sum = 0;  // Q12.19
    for (int i = 0; i < N_CLASSES; i++) {
        sum += divide_by_power(EXP[largest - logits[i]], 12);
    }
    const int zeros = __builtin_clz((uint32_t)sum);
    const int32_t scale = reciprocal((int32_t)(((uint32_t)sum << zeros) - (1u << 31)));
    for (int i = 0; i < N_CLASSES; i++) {
        const int32_t product = multiply_high(scale, EXP[largest - logits[i]]);
        scores[i] = (int8_t)clamp(divide_by_power(product, 12 - zeros + 31 - 8) - 128, -128, 127);
    }
}

void lstm_scores(const lstm_t *lstm, int8_t scores[N_CLASSES])
{
    int8_t values[DENSE_INPUTS], logits[N_CLASSES];
    const int8_t *weight = DENSE_WEIGHTS;
    pool(lstm, values);
    for (int i = 0; i < N_CLASSES; i++) {
        int32_t sum = DENSE_BIAS[i];
        for (int unit = 0; unit < DENSE_INPUTS; unit++) {
            sum += *weight++ * values[unit];
        }
        logits[i] = (int8_t)clamp(rescale(sum, DENSE_SCALE[i]) + DENSE_ZERO_POINT, -128, 127);
    }
    softmax(logits, scores);
}
#endif
