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

constexpr size_t LONGEST = 192;  // bytes of a line; what is too long is cut off
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

// Whether the port takes a byte without waiting. The UART of an Artemis does not know, and says 0; its write() waits for
// each byte, 87 us. So it gets some and then the microphone is looked after.
static bool portTakes(size_t sent)
{
#ifdef ARDUINO_ARCH_APOLLO3
    return sent < 32;
#else
    (void)sent;
    return PORT.availableForWrite() > 0;
#endif
}

void sendLines()
{
    if (!linesOpen()) {
        queuedOut = queuedIn;
    }
    for (size_t sent = 0; queuedOut != queuedIn && portTakes(sent); sent++) {
        PORT.write(static_cast<uint8_t>(queue[queuedOut++ % sizeof queue]));
    }
}

int hearLines() { return PORT.available() > 0 ? PORT.read() : -1; }
