// SPDX-License-Identifier: MIT
#include "recorder.h"

#include <string.h>

#if SAMPLES_PER_FRAME % 256u
#error "measure() needs a multiple of 256"
#endif

// Blocks from one header to the next:
#define IDLE_BLOCKS 8u          // 93 ms, so that the host can show the level
#define RECORDING_BLOCKS 86u    // about a second

void recorder_init(recorder_t *r, uint8_t bits, uint32_t clock_hz, uint32_t period, const char *firmware,
                   const char *board)
{
    memset(r, 0, sizeof *r);
    r->bits = bits;
    r->clock_hz = clock_hz;
    r->period = period;
    r->firmware = firmware;
    r->board = board;
}

static uint32_t room(const recorder_t *r)
{
    return RECORDER_QUEUE - (r->in - r->out);
}

// Queues a frame, if there is room. Only a queued frame uses up a sequence number. So a missing number means that the
// cable lost a frame.
static bool send(recorder_t *r, frame_t *frame)
{
    uint8_t wire[FRAMING_WIRE_MAX];
    size_t count = framing_end(frame, wire);
    if (count > room(r)) {
        return false;
    }
    uint32_t at = r->in % RECORDER_QUEUE;
    size_t first = count < RECORDER_QUEUE - at ? count : RECORDER_QUEUE - at;
    memcpy(r->queue + at, wire, first);
    memcpy(r->queue, wire + first, count - first);
    r->in += (uint32_t)count;
    r->sequence++;
    return true;
}

static void begin(const recorder_t *r, frame_t *frame, uint8_t type)
{
    framing_begin(frame, type, r->session, r->take, r->sequence);
}

static void drop(recorder_t *r, uint32_t count)
{
    r->position += count;
    r->lost += count;
    r->unreported += count;
}

// Queues a frame about the samples that were dropped just before `position`.
static void report_overrun(recorder_t *r)
{
    frame_t frame;
    if (r->unreported) {
        begin(r, &frame, FRAME_OVERRUN);
        framing_u32(&frame, r->position - r->unreported);
        framing_u32(&frame, r->unreported);
        r->unreported = send(r, &frame) ? 0 : r->unreported;
    }
}

static void send_header(recorder_t *r)
{
    r->blocks = 0;
    if (room(r) < 2 * FRAMING_WIRE_MAX + RECORDER_RESERVE) {
        return;
    }
    report_overrun(r);
    frame_t frame;
    begin(r, &frame, FRAME_HEADER);
    framing_u8(&frame, PROTOCOL_VERSION);
    framing_u8(&frame, r->bits);
    framing_u8(&frame, r->recording);
    framing_u32(&frame, r->clock_hz);
    framing_u32(&frame, r->period);
    framing_u16(&frame, r->bias);
    framing_u16(&frame, r->peak);
    framing_u32(&frame, r->planned);
    framing_u32(&frame, r->position);
    framing_u32(&frame, r->lost);
    framing_text(&frame, r->firmware);
    framing_text(&frame, r->board);
    send(r, &frame);
    r->peak = 0;
}

static void send_block(recorder_t *r)
{
    uint32_t count = (uint32_t)r->filled;
    r->filled = 0;
    if (count == 0) {
        return;
    }
    if (room(r) < 2 * FRAMING_WIRE_MAX + RECORDER_RESERVE) {
        drop(r, count);
        return;
    }
    report_overrun(r);
    frame_t frame;
    begin(r, &frame, r->bits == 16 ? FRAME_SAMPLES_16 : FRAME_SAMPLES);
    framing_u32(&frame, r->position);
    framing_u16(&frame, (uint16_t)count);
    (r->bits == 16 ? framing_samples_16 : framing_samples)(&frame, r->block, count);
    send(r, &frame);
    r->position += count;
}

// Draws the session number from the noise in the lowest bits.
static void stir(recorder_t *r)
{
    for (size_t i = 0; i < SAMPLES_PER_FRAME; i++) {
        r->session = (r->session ^ r->block[i]) * 16777619u + 1u;
    }
}

// Bias and peak from a full block. The bias is the mean of the first RECORDER_SETTLE blocks; then it moves by 1/16 of
// its error at each block.
static void measure(recorder_t *r)
{
    uint32_t sum = 0, peak = r->peak;
    for (size_t i = 0; i < SAMPLES_PER_FRAME; i++) {
        int32_t distance = (int32_t)r->block[i] - r->bias;
        uint32_t size = (uint32_t)(distance < 0 ? -distance : distance);
        sum += r->block[i];
        peak = size > peak ? size : peak;
    }
    const int32_t mean_q8 = (int32_t)(sum / (SAMPLES_PER_FRAME / 256u));
    if (r->settled < RECORDER_SETTLE) {
        stir(r);
        r->settled++;
        r->bias_q8 += (mean_q8 - r->bias_q8) / (int32_t)r->settled;
    } else {
        r->bias_q8 += (mean_q8 - r->bias_q8) / 16;
    }
    if (!r->recording) {
        r->bias = (uint16_t)((r->bias_q8 + 128) >> 8);
    }
    r->peak = r->settled < RECORDER_SETTLE ? 0 : (uint16_t)peak;
}

static void block_done(recorder_t *r)
{
    measure(r);
    r->blocks++;
    if (r->recording) {
        send_block(r);
    }
    r->filled = 0;
    if (r->settled < RECORDER_SETTLE) {
        return;
    }
    if (r->start_when_settled) {
        recorder_start(r);
    } else if (r->blocks >= (r->recording ? RECORDING_BLOCKS : IDLE_BLOCKS)) {
        send_header(r);
    }
}

void recorder_samples(recorder_t *r, const uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        r->block[r->filled++] = values[i];
        if (r->recording && r->planned && r->position + r->filled == r->planned) {
            recorder_stop(r, END_LENGTH);
        } else if (r->filled == SAMPLES_PER_FRAME) {
            block_done(r);
        }
    }
}

void recorder_lost(recorder_t *r, uint32_t count)
{
    if (!r->recording || count == 0) {
        return;
    }
    send_block(r);
    if (r->planned && r->position + count >= r->planned) {
        drop(r, r->planned - r->position);
        recorder_stop(r, END_LENGTH);
    } else {
        drop(r, count);
    }
}

void recorder_start(recorder_t *r)
{
    if (r->recording) {
        return;
    }
    r->start_when_settled = r->settled < RECORDER_SETTLE;
    if (r->start_when_settled) {
        return;
    }
    r->take++;
    r->recording = true;
    r->planned = r->length;
    r->position = r->lost = r->unreported = 0;
    r->filled = 0;
    send_header(r);
}

void recorder_stop(recorder_t *r, uint8_t reason)
{
    r->start_when_settled = false;
    if (!r->recording) {
        return;
    }
    send_block(r);
    report_overrun(r);
    frame_t frame;
    begin(r, &frame, FRAME_END);
    framing_u32(&frame, r->position);
    framing_u32(&frame, r->lost);
    framing_u16(&frame, (uint16_t)((r->bias_q8 + 128) >> 8));
    framing_u8(&frame, reason);
    send(r, &frame);
    r->recording = false;
    send_header(r);
}

static void execute(recorder_t *r)
{
    uint32_t number = 0;
    for (size_t i = 1; i < r->line_length && r->line[i] >= '0' && r->line[i] <= '9'; i++) {
        number = 10 * number + (uint32_t)(r->line[i] - '0');
    }
    switch (r->line[0]) {
    case 'R':
        recorder_start(r);
        break;
    case 'S':
        recorder_stop(r, END_HOST);
        break;
    case 'L':
        r->length = number;
        break;
    case 'W':
        r->stall_ms = number;
        break;
    case 'H':
        if (r->settled == RECORDER_SETTLE) {
            send_header(r);
        }
        break;
    default:  // noise on the line
        break;
    }
}

void recorder_command(recorder_t *r, char character)
{
    if (character == '\n' || character == '\r') {
        if (r->line_length && r->line_length < sizeof r->line) {
            execute(r);
        }
        r->line_length = 0;
    } else if (r->line_length < sizeof r->line) {  // a line that is too long is no command
        if (r->line_length < sizeof r->line - 1) {
            r->line[r->line_length] = character;
        }
        r->line_length++;
    }
}

size_t recorder_waiting(const recorder_t *r, const uint8_t **bytes)
{
    uint32_t at = r->out % RECORDER_QUEUE, count = r->in - r->out;
    *bytes = r->queue + at;
    return count < RECORDER_QUEUE - at ? count : RECORDER_QUEUE - at;
}

void recorder_sent(recorder_t *r, size_t count)
{
    r->out += (uint32_t)count;
}

void recorder_discard(recorder_t *r)
{
    r->out = r->in;
}
