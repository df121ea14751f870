// SPDX-License-Identifier: MIT
// Lines for the serial monitor. Listening never waits for a host that reads slowly or not at all: a line is sent whole
// or not at all. The window numbers show which lines are missing.
#ifndef LINES_H
#define LINES_H

#include <stddef.h>

// Opens USB serial, or UART 0 (GP0, GP1) with LOW_POWER 12.
void linesBegin();

// Whether a host listens. A UART cannot know: true.
bool linesOpen();

// Adds to the line, as printf does.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Ends the line.
void endLine();

// Hands over as much as the port takes without waiting.
void sendLines();

// A character from the host, or -1.
int hearLines();

#endif
