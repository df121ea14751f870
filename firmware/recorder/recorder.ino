// SPDX-License-Identifier: MIT
// Recorder: a MAX9814 microphone on A0 (GP26), a push button from GP10 to ground; samples leave over USB serial.
// Press the button to start a take and again to end it, or let the host do so: `python -m mgr_helpers record`.
// For the arduino-pico core (Earle Philhower). The work is done by the portable C in src/; this file is the board.
#include <ADCInput.h>
#include <Arduino.h>
#include <hardware/adc.h>
#include <hardware/sync.h>

#include "src/button.h"
#include "src/recorder.h"

#ifndef BOARD_NAME
#define BOARD_NAME "Raspberry Pi Pico"
#endif

constexpr pin_size_t MICROPHONE = A0, BUTTON = 10;
constexpr int SAMPLE_RATE = 22050;
constexpr uint32_t ADC_CLOCK = 48000000;  // from the USB PLL, whatever the CPU's clock

static ADCInput adc(MICROPHONE);
static recorder_t recorder;
static button_t button;

// Clock cycles between samples, times 256, as the ADC's divider has them now (RP2040 datasheet 4.9.5).
static uint32_t samplingPeriod()
{
    return *reinterpret_cast<volatile uint32_t *>(0x4004c010) + 256;
}

void setup()
{
    Serial.begin(921600);
    pinMode(LED_BUILTIN, OUTPUT);
    pinMode(BUTTON, INPUT_PULLUP);
    adc_gpio_init(MICROPHONE);                // begin() of arduino-pico 5.3 and 6.0 readies the wrong pin
    adc.setBuffers(16, RECORDER_BLOCK / 2);   // in words of two samples: 186 ms
    adc.begin(SAMPLE_RATE);
    recorder_init(&recorder, ADC_CLOCK, samplingPeriod(), "recorder 1.0", BOARD_NAME);
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

// Never waits for the host: a full USB buffer is tried again in the next loop.
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
        __wfi();  // until the next block of samples, or a byte from the host
    }
}
