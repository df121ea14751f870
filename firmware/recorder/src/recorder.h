// SPDX-License-Identifier: MIT
// The recorder without its board: ADC counts and commands in, bytes for the host out. Nothing here waits: what the host
// doesn't take in time is dropped whole frames at a time, counted, and told. Portable C99, no allocation.
// Explained in notebooks/01_record_audio.ipynb.
//
// Commands from the host, each ended by a newline:
//     R       start a take        S       stop it        H    send a header now
//     L<n>    the next takes are n samples long (0: until stopped)
//     W<n>    look away for n milliseconds, to see what an overrun of the sampling looks like
#ifndef RECORDER_H
#define RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framing.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RECORDER_BLOCK 256u          // samples in a frame, and in a block of the ADC's DMA
#define RECORDER_QUEUE 65536u        // bytes that wait for the host, nearly two seconds of samples; a power of two
#define RECORDER_RESERVE 256u        // of them, kept for the frames that tell what was dropped and that a take ended
#define RECORDER_SETTLE 16u          // blocks before the bias is known
#define RECORDER_DRAINS 8u           // readings of the clock that decide whether samples are missing

typedef enum { END_BUTTON, END_HOST, END_LENGTH } end_reason_t;

typedef struct {
    const char *firmware, *board;
    uint32_t clock_hz, period;           // sampling: clock_hz * 256 / period a second
    uint32_t session, sequence;
    uint16_t take;
    bool recording, start_when_settled;
    uint32_t length, planned;            // samples: of the takes to come, of this one; 0 is until stopped
    uint32_t position, lost;             // samples of this take, and those of them that were dropped
    uint32_t untold;                     // dropped ones before `position` that no frame has told of
    uint32_t settled, blocks;            // blocks since power-on (up to RECORDER_SETTLE), since the last header
    int32_t bias_q8;                     // tracked all the time, 8 fractional bits
    uint16_t bias, peak;                 // bias as announced for this take; loudest since the last header
    uint16_t block[RECORDER_BLOCK];
    size_t filled;
    char line[16];                       // of a command
    size_t line_length;
    uint32_t stall_ms;                   // asked for by W
    uint64_t clock_phase;                // see recorder_missing
    uint32_t clock_last, expected, received;
    int32_t least_late;
    unsigned drains;
    bool clock_runs;
    uint32_t in, out;                    // bytes ever written to and taken from the queue
    uint8_t queue[RECORDER_QUEUE];
} recorder_t;

void recorder_init(recorder_t *recorder, uint32_t clock_hz, uint32_t period, const char *firmware, const char *board);

// Counts of the ADC (0 to 4095) in the order they were taken.
void recorder_samples(recorder_t *recorder, const uint16_t *values, size_t count);

// `count` samples were taken by the ADC and never reached recorder_samples.
void recorder_lost(recorder_t *recorder, uint32_t count);

// Call after each draining of the ADC. Samples that the clock says were taken and that never came: whole DMA blocks.
// Clock and ADC run from the same crystal, so that they can't drift apart. They are found within 2 * RECORDER_DRAINS
// blocks after the place where they are missing.
uint32_t recorder_missing(recorder_t *recorder, uint32_t now_us);

void recorder_start(recorder_t *recorder);
void recorder_stop(recorder_t *recorder, end_reason_t reason);

// A character from the host.
void recorder_command(recorder_t *recorder, char character);

// Bytes for the host that lie in one piece, 0 when there are none; then say how many were sent.
size_t recorder_waiting(const recorder_t *recorder, const uint8_t **bytes);
void recorder_sent(recorder_t *recorder, size_t count);

// No host is listening: forget what waits. The sequence numbers will show it.
void recorder_discard(recorder_t *recorder);

#ifdef __cplusplus
}
#endif
#endif
