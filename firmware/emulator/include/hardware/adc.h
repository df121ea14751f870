// SPDX-License-Identifier: MIT - stand-in for the pico-sdk's header of the same name
#pragma once
#include <stdint.h>

// The ADC's registers, with the names of the SDK (RP2040 datasheet 4.9.6).
typedef struct {
    volatile uint32_t cs, result, fcs, fifo, div, intr, inte, intf, ints;
} adc_hw_t;
#define adc_hw ((adc_hw_t *)0x4004c000u)

#ifdef __cplusplus
extern "C" {
#endif
/* Makes a pin (26 to 29) an analogue input: no function, no pulls, no digital input. */
void adc_gpio_init(unsigned pin);
#ifdef __cplusplus
}
#endif
