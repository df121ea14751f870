// SPDX-License-Identifier: MIT
// Debounces a push button. Portable C99.
#ifndef BUTTON_H
#define BUTTON_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BUTTON_SETTLE_MS 25u    // a contact counts when it has not changed for this long

typedef struct {
    bool down;          // debounced
    bool last;          // last reading of the contact
    uint32_t since_ms;  // when `last` changed
} button_t;

// Call with a reading of the contact, as often as you like. True once for each press.
bool button_pressed(button_t *button, bool contact, uint32_t now_ms);

#ifdef __cplusplus
}
#endif
#endif
