// SPDX-License-Identifier: MIT
// Frames of the serial stream: COBS, CRC-32, samples of 12 or 16 bits. mgr_helpers/record/protocol.py is the other side, and
// describes the layout of every frame. Portable C99, no allocation.
#ifndef FRAMING_H
#define FRAMING_H

#include <stddef.h>
#include <stdint.h>

#include "generated/constants.h"

#ifdef __cplusplus
extern "C" {
#endif

// Bytes of a frame before COBS: samples of at most 16 bits, 17 of other fields, 4 of CRC, 7 spare.
#define FRAMING_BODY_MAX (SAMPLES_PER_FRAME * 2u + 28u)
// And as sent: COBS adds one byte, and one more for every 254. The zero byte ends the frame; one byte is spare.
#define FRAMING_WIRE_MAX (FRAMING_BODY_MAX + FRAMING_BODY_MAX / 254u + 3u)

#if FRAMING_WIRE_MAX > LONGEST_FRAME
#error "the host takes no frame of this length: lower SAMPLES_PER_FRAME"
#endif

typedef struct {
    uint8_t bytes[FRAMING_BODY_MAX];
    size_t count;
} frame_t;

void framing_begin(frame_t *frame, uint8_t type, uint32_t session, uint16_t take, uint32_t sequence);
void framing_u8(frame_t *frame, uint8_t value);
void framing_u16(frame_t *frame, uint16_t value);
void framing_u32(frame_t *frame, uint32_t value);
void framing_text(frame_t *frame, const char *text);                            // with its zero byte
void framing_samples(frame_t *frame, const uint16_t *values, size_t count);     // two 12-bit samples in three bytes
void framing_samples_16(frame_t *frame, const uint16_t *values, size_t count);

// Adds the CRC, encodes, adds the zero byte. Returns the number of bytes written to wire[FRAMING_WIRE_MAX].
size_t framing_end(frame_t *frame, uint8_t *wire);

// CRC-32 as in zlib.
uint32_t framing_crc32(const uint8_t *bytes, size_t count);

// Consistent Overhead Byte Stuffing (Cheshire and Baker 1999): the output has no zero byte. Returns its length.
size_t framing_cobs(const uint8_t *bytes, size_t count, uint8_t *encoded);

#ifdef __cplusplus
}
#endif
#endif
