// SPDX-License-Identifier: MIT
// Sends the text format of the TinyML Cookbook, 2nd edition, chapter 5. The book's mistake is kept on purpose: the
// period is in whole microseconds. 1000000 / 22050 is 45.35, the timer gets 45, and a clip that says 22050 Hz was
// sampled at 22222 Hz. Notebook 01 shows how to see it. To record a data set use firmware/recorder.
#include <ADCInput.h>
#include <Arduino.h>
#include <hardware/adc.h>

constexpr pin_size_t MICROPHONE = A0, BUTTON = 10;
constexpr int SAMPLE_RATE = 22050, CLIP_LENGTH = SAMPLE_RATE, BIAS = 1552;  // 1.25 V of 3.3 V
constexpr int PERIOD_US = 1000000 / SAMPLE_RATE;

static ADCInput adc(MICROPHONE);
static int16_t clip[CLIP_LENGTH];

void setup()
{
    Serial.begin(921600);
    pinMode(LED_BUILTIN, OUTPUT);
    pinMode(BUTTON, INPUT_PULLUP);
    adc_gpio_init(MICROPHONE);
    adc.setBuffers(8, 128);
}

void loop()
{
    if (digitalRead(BUTTON) == HIGH) {
        delay(1);
        return;
    }
    digitalWrite(LED_BUILTIN, HIGH);
    adc.begin(1000000 / PERIOD_US);
    for (int i = 0; i < CLIP_LENGTH; i++) {
        clip[i] = adc.read() - BIAS;
    }
    adc.end();
    digitalWrite(LED_BUILTIN, LOW);

    Serial.println(SAMPLE_RATE);
    Serial.println(CLIP_LENGTH);
    for (int i = 0; i < CLIP_LENGTH; i++) {
        Serial.println(clip[i]);
    }
}
