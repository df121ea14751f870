// SPDX-License-Identifier: MIT - stand-in for the pico-sdk's header of the same name
#pragma once
#ifdef __cplusplus
extern "C" {
#endif
/* Makes a pin (26 to 29) an analogue input: no function, no pulls, no digital input. */
void adc_gpio_init(unsigned pin);
#ifdef __cplusplus
}
#endif
