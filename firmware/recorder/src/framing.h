// SPDX-License-Identifier: MIT
// Frames of the recording protocol: COBS, CRC-32 and 12-bit packing. The Python side, with the layout of every frame,
// is mgr_helpers/serial_audio.py. Portable C99, no allocation. Explained in notebooks/01_record_audio.ipynb.
#ifndef FRAMING_H
#define FRAMING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FRAME_HEADER = 1, FRAME_SAMPLES = 2, FRAME_OVERRUN = 3, FRAME_END = 4 };

#define FRAME_BODY_MAX 412u                                   // before COBS: 256 packed samples and their numbers
#define FRAME_WIRE_MAX (FRAME_BODY_MAX + 4u)                  // COBS adds a byte for 254, and the delimiter

typedef struct {
    uint8_t bytes[FRAME_BODY_MAX];
    size_t count;
} frame_t;

void frame_begin(frame_t *frame, uint8_t type, uint32_t session, uint16_t take, uint32_t sequence);
void frame_u8(frame_t *frame, uint8_t value);
void frame_u16(frame_t *frame, uint16_t value);
void frame_u32(frame_t *frame, uint32_t value);
void frame_text(frame_t *frame, const char *text);                              // its zero byte included
void frame_samples(frame_t *frame, const uint16_t *values, size_t count);       // 12 bits each, two in three bytes

// Adds the CRC, encodes, adds the delimiter. Returns the bytes written to wire[FRAME_WIRE_MAX].
size_t frame_end(frame_t *frame, uint8_t *wire);

// CRC-32 as in zlib.
uint32_t frame_crc32(const uint8_t *bytes, size_t count);

// Consistent Overhead Byte Stuffing (Cheshire and Baker 1999): no zero byte in the output. Returns its length.
size_t cobs_encode(const uint8_t *bytes, size_t count, uint8_t *encoded);

#ifdef __cplusplus
}
#endif
#endif
