// SPDX-License-Identifier: MIT
// The recorder without its board: samples and commands in, bytes for the host out. It never waits for the host:
// samples that find no room in the queue are dropped, and a frame reports how many. Portable C99, no allocation.
//
// Commands from the host, each ended by a newline:
//     R       start a take
//     S       stop the take
//     H       send a header now
//     L<n>    from now on a take is n samples long (0: until stopped)
//     W<n>    do nothing for n milliseconds, to show what happens when samples are read too late
#ifndef RECORDER_H
#define RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framing.h"

#ifdef __cplusplus
extern "C" {
#endif

// A block is SAMPLES_PER_FRAME samples: what a frame holds, and what the ADC's DMA fills at a time.
#define RECORDER_QUEUE 65536u        // bytes for the host: nearly two seconds of samples; must be a power of two
#define RECORDER_RESERVE 256u        // bytes of the queue for the frames that report drops and the end of a take
#define RECORDER_SETTLE 16u          // blocks until the bias is known

typedef struct {
    const char *firmware, *board;
    uint8_t bits;                        // of a sample: 12 of the ADC, 16 of a digital microphone
    uint32_t clock_hz, period;           // the sampling rate is clock_hz * 256 / period
    uint32_t session, sequence;
    uint16_t take;
    bool recording, start_when_settled;
    uint32_t length, planned;            // samples of the next takes and of this one; 0: until stopped
    uint32_t position, lost;             // samples of this take so far, and how many of them were dropped
    uint32_t unreported;                 // samples dropped just before `position` that no frame has reported
    uint32_t settled, blocks;            // blocks since power-on (up to RECORDER_SETTLE), and since the last header
    int32_t bias_q8;                     // follows the input all the time; 8 fraction bits
    uint16_t bias, peak;                 // bias of this take; largest distance from it since the last header
    uint16_t block[SAMPLES_PER_FRAME];
    size_t filled;                       // samples in the block
    char line[16];                       // the command that is arriving
    size_t line_length;
    uint32_t stall_ms;                   // set by the command W; the sketch does the waiting
    uint32_t in, out;                    // bytes ever written to the queue, and ever taken from it
    uint8_t queue[RECORDER_QUEUE];
} recorder_t;

void recorder_init(recorder_t *recorder, uint8_t bits, uint32_t clock_hz, uint32_t period, const char *firmware,
                   const char *board);

// Takes in samples in the order in which they were taken: counts of the ADC (0 to 4095), or with 16 bits those of a
// digital microphone plus 32768.
void recorder_samples(recorder_t *recorder, const uint16_t *values, size_t count);

// Call when `count` samples were taken but never reached recorder_samples: the microphone's ring had no room for them.
void recorder_lost(recorder_t *recorder, uint32_t count);

void recorder_start(recorder_t *recorder);

// Ends the take. The reason is one of END_BUTTON, END_HOST and END_LENGTH.
void recorder_stop(recorder_t *recorder, uint8_t reason);

// Takes in one character from the host.
void recorder_command(recorder_t *recorder, char character);

// Points *bytes at bytes for the host and returns how many lie there in one piece, 0 if there are none.
size_t recorder_waiting(const recorder_t *recorder, const uint8_t **bytes);

// Call when `count` of these bytes were sent.
void recorder_sent(recorder_t *recorder, size_t count);

// Call when no host is listening: empties the queue. The host sees the loss in the sequence numbers.
void recorder_discard(recorder_t *recorder);

#ifdef __cplusplus
}
#endif
#endif
