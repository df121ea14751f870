// SPDX-License-Identifier: MIT
// Recorder: samples from a MAX9814 microphone on A0 (GP26) go to the host over USB serial. A push button between GP10
// and ground starts a take and ends it; so can the host: `python -m mgr_helpers record`.
// For the arduino-pico core (Earle Philhower). The portable C in src/ does the work; this file is the board.
#include <ADCInput.h>
#include <Arduino.h>
#include <hardware/adc.h>
#include <hardware/sync.h>

#include "src/button.h"
#include "src/generated/constants.h"
#include "src/recorder.h"

#ifndef BOARD_NAME
#define BOARD_NAME "Raspberry Pi Pico"
#endif

constexpr pin_size_t MICROPHONE = A0, BUTTON = 10;

static ADCInput adc(MICROPHONE);
static recorder_t recorder;
static button_t button;

// Clock cycles from one sample to the next, with 8 fraction bits: the ADC's divider plus 1 (RP2040 datasheet 4.9.5).
static uint32_t samplingPeriod() { return adc_hw->div + 256; }

void setup()
{
    Serial.begin(BAUD_RATE);
    pinMode(LED_BUILTIN, OUTPUT);
    pinMode(BUTTON, INPUT_PULLUP);
    adc_gpio_init(MICROPHONE);                  // the core's ADCInput sets up another pin (5.3 and 6.0)
    adc.setBuffers(16, SAMPLES_PER_FRAME / 2);  // in words of two samples: 186 ms
    adc.begin(SAMPLE_RATE);
    recorder_init(&recorder, ADC_CLOCK_HZ, samplingPeriod(), "recorder 1.0", BOARD_NAME);
}

static void takeSamples()
{
    int words = adc.available();
    if (words == 0) {
        return;
    }
    for (; words > 0; words = adc.available()) {
        uint16_t values[16];
        int count = 2 * min(words, 8);
        for (int i = 0; i < count; i++) {
            values[i] = adc.read();
        }
        recorder_samples(&recorder, values, count);
    }
    recorder_lost(&recorder, recorder_missing(&recorder, micros()));
}

static void listenToUser()
{
    if (button_pressed(&button, digitalRead(BUTTON) == LOW, millis())) {
        recorder.recording ? recorder_stop(&recorder, END_BUTTON) : recorder_start(&recorder);
    }
    while (Serial.available() > 0) {
        recorder_command(&recorder, Serial.read());
    }
    digitalWrite(LED_BUILTIN, recorder.recording);
}

// Never waits for the host: when the USB buffer is full, the other bytes are sent by a later loop.
static void sendBytes()
{
    if (!Serial) {
        recorder_discard(&recorder);
    }
    const uint8_t *bytes;
    size_t count, written = 1;
    int space;
    while (written && (count = recorder_waiting(&recorder, &bytes)) > 0 && (space = Serial.availableForWrite()) > 0) {
        written = Serial.write(bytes, min(count, (size_t)space));
        recorder_sent(&recorder, written);
    }
}

void loop()
{
    takeSamples();
    listenToUser();
    sendBytes();
    if (recorder.stall_ms) {
        delay(recorder.stall_ms);
        recorder.stall_ms = 0;
    }
    const uint8_t *bytes;
    if (recorder_waiting(&recorder, &bytes) == 0) {
        __wfi();  // until a block of samples or a byte from the host arrives
    }
}
