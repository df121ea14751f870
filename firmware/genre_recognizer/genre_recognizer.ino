// SPDX-License-Identifier: MIT
// Listens to music and says disco, jazz or metal. For a Raspberry Pi Pico with the arduino-pico core
// (https://github.com/earlephilhower/arduino-pico) and a MAX9814 microphone module; config.h has other microphones:
//
//     MAX9814 VDD -> Pico 3V3(OUT), pin 36        MAX9814 OUT  -> Pico GP26 (ADC0), pin 31
//     MAX9814 GND -> Pico AGND, pin 33            MAX9814 GAIN -> 3V3 for 40 dB (open: 60 dB)
//
// Serial monitor at 115200: what this is, TEST PASSED, then a line for each window of about a second. These characters
// ask for more: ? what this is, v a FRAME line for each frame (again: off), s statistics. The LED is on while a genre is
// heard, blinks while the Pico is unsure, and is off in silence. Explained in notebooks/08_deploy_to_pico.ipynb.
#include <Arduino.h>

#include "config.h"
#if !__has_include("src/cmsis/arm_math.h")
#error "This folder is incomplete. Run `make firmware`, and open build/sketches/genre_recognizer instead."
#endif
#include "src/generated/labels.h"
#include "src/lines.h"
#include "src/low_power.h"
#include "src/microphone/microphone.h"
#include "src/recognizer.h"
#include "src/self_test.h"
#include "src/stack.h"

constexpr size_t BLOCK = 256, BLOCKS = 8;  // a block is 11.6 ms, the ring 93 ms
constexpr unsigned TELL_AGAIN = 10;        // decisions until the result of the self-test is told again

static recognizer_t recognizer;
static bool passed, verbose;
static uint32_t overruns, lostTold, framesTold, startedAt;
static uint64_t asleep;  // microseconds

static void sayResult()
{
    say(passed ? "TEST PASSED" : "TEST FAILED");
    endLine();
    if (microphoneProblem()) {
        say("ERROR %s", microphoneProblem());
        endLine();
    }
}

static void sayWhatThisIs()
{
    const microphone_clock_t clock = microphoneClock();
    const uint64_t hertz100 = static_cast<uint64_t>(clock.hertz) * 25600 / clock.period;
    say("READY sketch=music-genre-pico version=%s model=%s genres=", SKETCH_VERSION, MODEL_HASH);
    for (int i = 0; i < N_GENRES; i++) {
        say(i ? ",%s" : "%s", recognizer_label(i));
    }
    say(" clock_mhz=%u microphone=%s rate=%u.%02u", static_cast<unsigned>(CLOCK_HZ / 1000000), microphoneName(),
        static_cast<unsigned>(hertz100 / 100), static_cast<unsigned>(hertz100 % 100));
    endLine();
    sayResult();
}

static void sayStatistics()
{
    const uint64_t time = 1000ull * (millis() - startedAt) + 1;
    say("STATS overruns=%u lost=%u awake_permille=%u stack=%u windows=%u", static_cast<unsigned>(overruns),
        static_cast<unsigned>(microphoneLost()), static_cast<unsigned>(1000 - 1000 * asleep / time), usedStack(),
        static_cast<unsigned>(recognizer.n_windows));
    endLine();
}

// The logarithms of the Mel bands, Q6.9, shortened to a byte.
static void sayFrame()
{
    if (!verbose || recognizer.mfcc.n_frames == framesTold) {
        return;
    }
    framesTold = recognizer.mfcc.n_frames;
    say("FRAME n=%u mel=", static_cast<unsigned>(framesTold));
    for (int band = 0; band < N_MELS; band++) {
        const int32_t value = recognizer.mfcc.logs[band] >> 6;
        const unsigned shown = value < 0 ? 0 : value > 255 ? 255 : value;
        say("%x%x", shown >> 4, shown & 15);  // %02x is not known to the printf of an Artemis
    }
    endLine();
}

static void sayOverrun()
{
    const uint32_t lost = microphoneLost();
    if (lost != lostTold) {
        overruns++;
        say("OVERRUN lost=%u", static_cast<unsigned>(lost - lostTold));
        endLine();
        lostTold = lost;
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

static void sayDecision(const decision_t &decision)
{
    const char *label = decision.silent ? "silence" : recognizer_label(decision.label);
    const unsigned window = decision.window, time = millis();
    light(!decision.silent && !(decision.unsure && window % 2));
    say("DECISION window=%u time_ms=%u label=%s vote=%s confidence=%d says=%s scores=", window, time, label,
        recognizer_label(decision.vote), decision.confidence, recognizer_says(&decision));
    for (int i = 0; i < N_CLASSES; i++) {
        say(i ? ",%d" : "%d", decision.scores[i]);
    }
    endLine();
    if (window % TELL_AGAIN == TELL_AGAIN - 1) {
        sayResult();
    }
}

static void listenToUser()
{
    static bool wasOpen;
    const bool open = linesOpen();
    const int asked = hearLines();
    if ((open && !wasOpen) || asked == '?') {
        sayWhatThisIs();
    } else if (asked == 'v') {
        verbose = !verbose;
    } else if (asked == 's') {
        sayStatistics();
    }
    wasOpen = open;
}

void setup()
{
#if LOW_POWER
    low_power_begin();
#endif
    paintStack();
    pinMode(LED_BUILTIN, OUTPUT);
    linesBegin();
    passed = recognizer_self_test(&recognizer);
    recognizer_init(&recognizer);
    microphoneBegin(SAMPLE_RATE, BLOCK, BLOCKS);
    startedAt = millis();
}

static void waitForSound()
{
    const uint32_t start = micros();
    microphoneProblem() ? delay(10) : microphoneWait(BLOCK);
    asleep += micros() - start;
}

void loop()
{
    alignas(4) static sample_t block[BLOCK];
    decision_t decision;
    if (microphoneAvailable() >= BLOCK) {
        microphoneRead(block, BLOCK);
#if MICROPHONE == MICROPHONE_ADC
        recognizer_push(&recognizer, block, BLOCK);
#else
        recognizer_push_samples(&recognizer, block, BLOCK);
#endif
        sayFrame();
        sayOverrun();
    } else if (!recognizer_pending(&recognizer)) {
        waitForSound();
    } else if (recognizer_step(&recognizer, &decision)) {
        sayDecision(decision);
    }
    listenToUser();
    sendLines();
}
