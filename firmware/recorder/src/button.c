// SPDX-License-Identifier: MIT
#include "button.h"

bool button_pressed(button_t *button, bool contact, uint32_t now_ms)
{
    if (contact != button->last) {
        button->last = contact;
        button->since_ms = now_ms;
    }
    if (contact == button->down || now_ms - button->since_ms < BUTTON_SETTLE_MS) {
        return false;
    }
    button->down = contact;
    return contact;
}
