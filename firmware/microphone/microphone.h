// SPDX-License-Identifier: MIT
// A microphone that delivers samples in blocks. config.h of the sketch chooses which microphone_*.cpp is compiled. This
// folder is copied into both sketches when they are deployed.
#ifndef MICROPHONE_H
#define MICROPHONE_H

#include <stddef.h>
#include <stdint.h>

#include "../../config.h"

#if MICROPHONE == MICROPHONE_ADC
typedef uint16_t sample_t;  // counts of a 12-bit ADC: 0 to 4095, with a bias
#else
typedef int16_t sample_t;   // around 0
#endif

// The true sampling rate is hertz * 256 / period.
typedef struct {
    uint32_t hertz, period;
} microphone_clock_t;

// Starts sampling at nearly `rate` Hz, into a ring of `blocks` blocks of `length` samples. False: see
// microphoneProblem().
bool microphoneBegin(uint32_t rate, size_t length, size_t blocks);
const char *microphoneProblem();

const char *microphoneName();
microphone_clock_t microphoneClock();

// Samples that wait.
size_t microphoneAvailable();

// Takes up to `n` samples that wait, an even number, and returns how many. `to` is aligned to 4 bytes.
size_t microphoneRead(sample_t *to, size_t n);

// Samples that found no room in the ring, since the start and before those that were read last. Ask after each read.
uint32_t microphoneLost();

// Sleeps until `n` samples wait, or something else wakes the processor.
void microphoneWait(size_t n);

#endif
