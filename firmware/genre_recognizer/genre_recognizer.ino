// SPDX-License-Identifier: MIT
// Listens to music and says disco, jazz or metal. For a Raspberry Pi Pico with the arduino-pico core
// (https://github.com/earlephilhower/arduino-pico) and a MAX9814 microphone module:
//
//     MAX9814 VDD -> Pico 3V3(OUT), pin 36        MAX9814 OUT  -> Pico GP26 (ADC0), pin 31
//     MAX9814 GND -> Pico AGND, pin 33            MAX9814 GAIN -> 3V3 for 40 dB (open: 60 dB)
//
// Serial monitor at 115200: TEST PASSED, then a line for each window of about a second. The LED is on while a genre is
// heard, blinks while the Pico is unsure, and is off in silence. Explained in notebooks/08_deploy_to_pico.ipynb.
#include <ADCInput.h>
#include <Arduino.h>
#include <hardware/adc.h>
#include <hardware/sync.h>

#include "src/recognizer.h"
#include "src/self_test.h"

constexpr size_t BUFFERS = 8, WORDS = 128;  // ring of DMA blocks, in words of two samples: a block is 11.6 ms
constexpr size_t BLOCK = 2 * WORDS;         // samples
constexpr int LINE = 192;                   // bytes: longer than any line, shorter than USB serial's buffer of 256

static ADCInput mic(A0);
static recognizer_t recognizer;
static volatile uint32_t blocksDone;  // filled by the DMA, including those that the ring had no room for
static uint32_t samplesRead, samplesLost;

static void onBlock() { blocksDone = blocksDone + 1; }

// Sleeps until a block is there. Interrupts are held back between the test and the sleep, so that none comes in
// between: it would be missed, and the sleep would last until the next one.
static void waitForBlock()
{
    while (true) {
        const uint32_t status = save_and_disable_interrupts();
        const bool ready = mic.available() >= static_cast<int>(WORDS);
        if (!ready) {
            __wfi();
        }
        restore_interrupts(status);
        if (ready) {
            return;
        }
    }
}

// A host that does not read must not stop the listening: Serial.printf() would wait for it up to a second, but the ring
// holds only 70 ms. So a line is sent whole or not at all. The window numbers show which lines are missing.
static bool roomForLine() { return Serial.availableForWrite() >= LINE; }

// The ring silently drops blocks when the loop is too slow: lost = sampled - read - waiting.
static void reportOverrun()
{
    const uint32_t status = save_and_disable_interrupts();
    const uint32_t lost = blocksDone * BLOCK - samplesRead - 2 * mic.available();
    restore_interrupts(status);
    if (lost == samplesLost || !roomForLine()) {
        return;
    }
    Serial.printf("OVERRUN lost=%u\n", static_cast<unsigned>(lost - samplesLost));
    samplesLost = lost;
}

static void report(const decision_t &decision)
{
    const bool blink = decision.unsure && decision.window % 2;
    digitalWrite(LED_BUILTIN, decision.silent || blink ? LOW : HIGH);
    if (!roomForLine()) {
        return;
    }
    const char *label = decision.silent ? "silence" : recognizer_label(decision.label);
    const unsigned window = decision.window, time = millis();
    Serial.printf("DECISION window=%u time_ms=%u label=%s vote=%s confidence=%d says=%s scores=", window, time, label,
                  recognizer_label(decision.vote), decision.confidence, recognizer_says(&decision));
    for (int i = 0; i < N_CLASSES; i++) {
        Serial.printf(i ? ",%d" : "%d", decision.scores[i]);
    }
    Serial.println();
}

void setup()
{
    pinMode(LED_BUILTIN, OUTPUT);
    Serial.begin(115200);
    while (!Serial && millis() < 3000) {
        delay(10);  // until somebody opens the USB port
    }
    Serial.println(recognizer_self_test(&recognizer) ? "TEST PASSED" : "TEST FAILED");
    recognizer_init(&recognizer);
    adc_gpio_init(A0);  // ADCInput of arduino-pico 5.3 and 6.0 sets up the wrong pin
    mic.setBuffers(BUFFERS, WORDS);
    mic.setFrequency(SAMPLE_RATE);
    mic.onReceive(onBlock);
    if (!mic.begin()) {
        Serial.println("ERROR no DMA channel for the microphone");
    }
}

void loop()
{
    static uint16_t block[BLOCK];
    decision_t decision;
    if (recognizer_pending(&recognizer) && mic.available() < static_cast<int>(WORDS)) {
        if (recognizer_step(&recognizer, &decision)) {
            report(decision);
        }
        return;
    }
    waitForBlock();
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = mic.read();
    }
    samplesRead += BLOCK;
    recognizer_push(&recognizer, block, BLOCK);
    reportOverrun();
}
