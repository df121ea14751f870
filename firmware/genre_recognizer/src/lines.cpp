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

void sendLines()
{
    if (!linesOpen()) {
        queuedOut = queuedIn;
    }
    while (queuedOut != queuedIn && PORT.availableForWrite() > 0) {
        PORT.write(static_cast<uint8_t>(queue[queuedOut++ % sizeof queue]));
    }
}

int hearLines() { return PORT.available() > 0 ? PORT.read() : -1; }
