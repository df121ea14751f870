// SPDX-License-Identifier: MIT - stand-in for the pico-sdk's header of the same name (RP2040 datasheet 2.18)
#pragma once
#include <stdint.h>

typedef struct {
    volatile uint32_t cs, pwr, fbdiv_int, prim;
} pll_hw_t;
typedef pll_hw_t *PLL;
#define pll_sys ((PLL)0x40028000u)
#define pll_usb ((PLL)0x4002c000u)

#ifdef __cplusplus
extern "C" {
#endif
// Output: vco_freq / post_div1 / post_div2; vco_freq is a multiple of the crystal's 12 MHz.
void pll_init(PLL pll, unsigned ref_div, unsigned vco_freq, unsigned post_div1, unsigned post_div2);
void pll_deinit(PLL pll);
#ifdef __cplusplus
}
#endif
