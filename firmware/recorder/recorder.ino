// SPDX-License-Identifier: MIT
// Recorder: samples from a MAX9814 microphone on A0 (GP26), or another one of config.h, go to the host over USB serial.
// A push button between GP10 and ground starts a take and ends it; so can the host: `python -m mgr_helpers record`.
// For the arduino-pico core (Earle Philhower). The portable C in src/ does the work; this file is the board.
#include <Arduino.h>

#include "config.h"
#include "src/button.h"
#include "src/generated/constants.h"
#include "src/microphone/microphone.h"
#include "src/recorder.h"

#ifndef BOARD_NAME
#define BOARD_NAME "Raspberry Pi Pico"
#endif

constexpr pin_size_t BUTTON = 10;
constexpr size_t BLOCKS = 16;  // 186 ms
constexpr bool DIGITAL = MICROPHONE != MICROPHONE_ADC;

static recorder_t recorder;
static button_t button;

void setup()
{
    Serial.begin(BAUD_RATE);
    pinMode(LED_BUILTIN, OUTPUT);
    pinMode(BUTTON, INPUT_PULLUP);
    microphoneBegin(SAMPLE_RATE, SAMPLES_PER_FRAME, BLOCKS);
    const microphone_clock_t clock = microphoneClock();
    recorder_init(&recorder, DIGITAL ? 16 : ADC_BITS, clock.hertz, clock.period, "recorder 1.0", BOARD_NAME);
}

static void takeSamples()
{
    static uint32_t lostTold;
    alignas(4) sample_t values[32];
    uint16_t counts[32];
    while (const size_t count = microphoneRead(values, 32)) {
        for (size_t i = 0; i < count; i++) {
            counts[i] = values[i] + (DIGITAL ? 32768 : 0);
        }
        const uint32_t lost = microphoneLost();
        recorder_lost(&recorder, lost - lostTold);
        lostTold = lost;
        recorder_samples(&recorder, counts, count);
    }
}

// The LED is written only when it changes: on a Pico W that is a message to the wireless chip.
static void light(bool on)
{
    static bool lit;
    if (on != lit) {
        digitalWrite(LED_BUILTIN, on ? HIGH : LOW);
        lit = on;
    }
}

static void listenToUser()
{
    if (button_pressed(&button, digitalRead(BUTTON) == LOW, millis())) {
        recorder.recording ? recorder_stop(&recorder, END_BUTTON) : recorder_start(&recorder);
    }
    while (Serial.available() > 0) {
        recorder_command(&recorder, Serial.read());
    }
    light(recorder.recording);
}

// How many bytes the port takes without waiting. The UART of an Artemis does not know, and says 0; its write() waits for
// each byte, 11 us.
static int roomForBytes()
{
#ifdef ARDUINO_ARCH_APOLLO3
    return 64;
#else
    return Serial.availableForWrite();
#endif
}

// Never waits for the host: when the USB buffer is full, the other bytes are sent by a later loop.
static void sendBytes()
{
    if (!Serial) {
        recorder_discard(&recorder);
    }
    const uint8_t *bytes;
    size_t count, written = 1;
    int room;
    while (written && (count = recorder_waiting(&recorder, &bytes)) > 0 && (room = roomForBytes()) > 0) {
        written = Serial.write(bytes, min(count, static_cast<size_t>(room)));
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
        microphoneWait(2);  // until a block of samples or a byte from the host arrives
    }
}
