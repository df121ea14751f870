// SPDX-License-Identifier: MIT
// A push button without its bouncing. Portable C99.
#ifndef BUTTON_H
#define BUTTON_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BUTTON_SETTLE_MS 25u

typedef struct {
    bool down;          // after debouncing
    bool last;          // as read last
    uint32_t since_ms;  // when `last` changed
} button_t;

// Take the contact as read now (any number of times a second). True once for each press.
bool button_pressed(button_t *button, bool contact, uint32_t now_ms);

#ifdef __cplusplus
}
#endif
#endif
