// SPDX-License-Identifier: MIT - stand-in for the pico-sdk's header of the same name
#pragma once
#include <stdbool.h>
#include <stdint.h>

// The ADC's registers, with the names of the SDK (RP2040 datasheet 4.9.6).
typedef struct {
    volatile uint32_t cs, result, fcs, fifo, div, intr, inte, intf, ints;
} adc_hw_t;
#define adc_hw ((adc_hw_t *)0x4004c000u)

enum { ADC_CS_EN = 1 << 0, ADC_CS_START_MANY = 1 << 3, ADC_FCS_LEVEL = 0xf << 16 };

#ifdef __cplusplus
extern "C" {
#endif
/* Makes a pin (26 to 29) an analogue input: no function, no pulls, no digital input. */
void adc_gpio_init(unsigned pin);
#ifdef __cplusplus
}
#endif

static inline void adc_init(void) { adc_hw->cs = ADC_CS_EN; }

static inline void adc_select_input(unsigned input) { adc_hw->cs = (adc_hw->cs & ~(7u << 12)) | input << 12; }

static inline void adc_fifo_setup(bool on, bool dma, uint16_t threshold, bool errors, bool bytes)
{
    const uint32_t clear = 3u << 10;  // over- and underflow
    adc_hw->fcs = (uint32_t)threshold << 24 | clear | (uint32_t)dma << 3 | (uint32_t)errors << 2 |
                  (uint32_t)bytes << 1 | (uint32_t)on;
}

static inline void adc_fifo_drain(void)
{
    while (adc_hw->fcs & ADC_FCS_LEVEL) {
        (void)adc_hw->fifo;
    }
}

static inline void adc_run(bool run)
{
    adc_hw->cs = run ? adc_hw->cs | ADC_CS_START_MANY : adc_hw->cs & ~(uint32_t)ADC_CS_START_MANY;
}
