// SPDX-License-Identifier: MIT
// What to choose before building. Another choice is a number here, or a -D of the compiler.
#ifndef CONFIG_H
#define CONFIG_H

// The microphone: MICROPHONE_ADC, MICROPHONE_I2S or MICROPHONE_PDM. Without a line here it is the usual one of the board.
// src/microphone/choices.h tells which they are, and has more choices for I2S; those, too, may be made here.
// #define MICROPHONE MICROPHONE_I2S
#if !__has_include("src/microphone/choices.h")
#error "This folder is incomplete. Run `make firmware`, and open build/sketches/genre_recognizer instead."
#endif
#include "src/microphone/choices.h"

// Clock of a Raspberry Pi Pico: 0 is that of the board's menu. 48 or 12 (MHz) save power: src/low_power.h.
#ifndef LOW_POWER
#define LOW_POWER 0
#endif

// The LSTM: 0 is src/lstm.c; 1 is TensorFlow Lite Micro, for a model that lstm.c does not know: src/lstm_tflm.cpp.
#ifndef LSTM_TFLM
#define LSTM_TFLM 0
#endif

#endif
