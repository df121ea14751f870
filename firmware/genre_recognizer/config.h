// SPDX-License-Identifier: MIT
// What to choose before building. Another choice is a number here, or a -D of the compiler.
#ifndef CONFIG_H
#define CONFIG_H

// The microphone; README.md and notebooks/01_record_audio.ipynb show the wiring of each.
#define MICROPHONE_ADC 1  // Pico: MAX9814, an analogue microphone, on A0 (GP26)
#ifndef MICROPHONE
#define MICROPHONE MICROPHONE_ADC
#endif

// Clock of a Raspberry Pi Pico: 0 is that of the board's menu. 48 or 12 (MHz) save power: src/low_power.h.
#ifndef LOW_POWER
#define LOW_POWER 0
#endif

#endif
