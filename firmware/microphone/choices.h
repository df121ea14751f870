// SPDX-License-Identifier: MIT
// The microphones, and what config.h of a sketch may choose; these are the defaults.
#ifndef MICROPHONE_CHOICES_H
#define MICROPHONE_CHOICES_H

// record/wiring.py of the package draws the wiring of each. The data sheet of the ICS-43434 says nothing of 22 kHz: it
// leaves out 18.75 to 23 kHz.
#define MICROPHONE_ADC 1  // Pico: MAX9814, an analogue microphone, on A0 (GP26)
#define MICROPHONE_I2S 2  // Pico: INMP441, ICS-43434 or SPH0645, digital, on GP18 (SCK), GP19 (WS) and GP20 (SD)
#define MICROPHONE_PDM 3  // RedBoard Artemis Nano: the one on the board
#ifndef MICROPHONE
#ifdef ARDUINO_ARCH_APOLLO3
#define MICROPHONE MICROPHONE_PDM
#else
#define MICROPHONE MICROPHONE_ADC
#endif
#endif

// I2S: 0 left (the microphone's pin L/R or SEL is at GND), 1 right (at 3V3).
#ifndef I2S_CHANNEL
#define I2S_CHANNEL 0
#endif

// I2S: gain in bits, 6 dB each. Full scale of these microphones is 120 dB SPL, louder than music ever is; 3 leaves 102.
#ifndef I2S_GAIN
#define I2S_GAIN 3
#endif

// I2S: by how many bits samples come too late. INMP441 and ICS-43434: 0. A SPH0645 changes its bits where others are
// read, on the clock's rising edge; the core reads just before it, so 0 fits, too. Should it not (loud noise instead of
// sound): -1 when they come a bit too early, 1 when too late.
#ifndef I2S_LATE
#define I2S_LATE 0
#endif

#endif
