// SPDX-License-Identifier: MIT
#include "framing.h"

#include <string.h>

void framing_begin(frame_t *frame, uint8_t type, uint32_t session, uint16_t take, uint32_t sequence)
{
    frame->count = 0;
    framing_u8(frame, type);
    framing_u32(frame, session);
    framing_u16(frame, take);
    framing_u32(frame, sequence);
}

void framing_u8(frame_t *frame, uint8_t value)
{
    frame->bytes[frame->count++] = value;
}

void framing_u16(frame_t *frame, uint16_t value)
{
    framing_u8(frame, (uint8_t)value);
    framing_u8(frame, (uint8_t)(value >> 8));
}

void framing_u32(frame_t *frame, uint32_t value)
{
    framing_u16(frame, (uint16_t)value);
    framing_u16(frame, (uint16_t)(value >> 16));
}

void framing_text(frame_t *frame, const char *text)
{
    size_t count = strlen(text) + 1;
    memcpy(frame->bytes + frame->count, text, count);
    frame->count += count;
}

void framing_samples(frame_t *frame, const uint16_t *values, size_t count)
{
    uint8_t *to = frame->bytes + frame->count;
    for (size_t i = 0; i < count; i += 2) {
        uint32_t pair = values[i] | (i + 1 < count ? (uint32_t)values[i + 1] << 12 : 0u);
        *to++ = (uint8_t)pair;
        *to++ = (uint8_t)(pair >> 8);
        *to++ = (uint8_t)(pair >> 16);
    }
    frame->count = (size_t)(to - frame->bytes);
}

void framing_samples_16(frame_t *frame, const uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        framing_u16(frame, values[i]);
    }
}

size_t framing_end(frame_t *frame, uint8_t *wire)
{
    framing_u32(frame, framing_crc32(frame->bytes, frame->count));
    size_t count = framing_cobs(frame->bytes, frame->count, wire);
    wire[count] = 0;
    return count + 1;
}

uint32_t framing_crc32(const uint8_t *bytes, size_t count)
{
    // Four bits at a time: 64 bytes of table, where eight bits at a time would take 1 KB. Polynomial 0xedb88320.
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = table[crc & 15] ^ (crc >> 4);
        crc = table[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}

size_t framing_cobs(const uint8_t *bytes, size_t count, uint8_t *encoded)
{
    uint8_t *code = encoded, *to = encoded + 1;
    uint8_t run = 1;  // length of this run, with its code byte
    for (size_t i = 0; i < count; i++) {
        if (run == 255) {  // a run of full length stands for no zero
            *code = run;
            code = to++;
            run = 1;
        }
        if (bytes[i] == 0) {
            *code = run;
            code = to++;
            run = 1;
        } else {
            *to++ = bytes[i];
            run++;
        }
    }
    *code = run;
    return (size_t)(to - encoded);
}
