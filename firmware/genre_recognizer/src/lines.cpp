// SPDX-License-Identifier: MIT
#include "lines.h"

#include <Arduino.h>
#include <stdarg.h>
#include <stdio.h>

#include "../config.h"

#if LOW_POWER == 12
#define PORT Serial1
#else
#define PORT Serial
#endif

constexpr size_t LONGEST = 320;  // bytes of a line: two dozen scores and long names; what is too long is cut off
static char line[LONGEST];
static size_t length;
static char queue[512];
static size_t queuedIn, queuedOut;  // ever written to the queue, ever taken from it

void linesBegin() { PORT.begin(115200); }

bool linesOpen() { return static_cast<bool>(PORT); }

void say(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    const int added = vsnprintf(line + length, sizeof line - length, format, values);
    va_end(values);
    length += added > 0 ? added : 0;
    length = length < sizeof line ? length : sizeof line - 1;
}

void endLine()
{
    if (linesOpen() && length + 2 <= sizeof queue - (queuedIn - queuedOut)) {
        for (size_t i = 0; i < length; i++) {
            queue[queuedIn++ % sizeof queue] = line[i];
        }
        queue[queuedIn++ % sizeof queue] = '\r';
        queue[queuedIn++ % sizeof queue] = '\n';
    }
    length = 0;
}

// How many bytes the port takes without waiting. The UART of an Artemis does not know, and says 0; its write() waits for
// each byte, 87 us: a full queue takes 44 ms of the 186 that the microphone has.
static int roomForBytes()
{
#ifdef ARDUINO_ARCH_APOLLO3
    return sizeof queue;
#else
    return PORT.availableForWrite();
#endif
}

// In pieces: over USB each call of write() costs the same for a byte as for a line.
void sendLines()
{
    if (!linesOpen()) {
        queuedOut = queuedIn;
    }
    int room;
    size_t written = 1;
    while (written && queuedOut != queuedIn && (room = roomForBytes()) > 0) {
        const size_t from = queuedOut % sizeof queue, waiting = queuedIn - queuedOut, whole = sizeof queue - from;
        const size_t piece = waiting < whole ? waiting : whole, space = static_cast<size_t>(room);
        written = PORT.write(queue + from, piece < space ? piece : space);
        queuedOut += written;
    }
}

int hearLines() { return PORT.available() > 0 ? PORT.read() : -1; }
