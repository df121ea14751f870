// SPDX-License-Identifier: MIT
// A digital microphone on I2S of a Raspberry Pi Pico or Pico 2: INMP441, ICS-43434 or SPH0645, by the core's I2S library
// (5.3 or later). A channel of I2S is a word of 32 bits; the microphone's 24 (SPH0645: 18) come first.
#include "microphone.h"

#if MICROPHONE == MICROPHONE_I2S
#include <Arduino.h>
#include <I2S.h>
#include <hardware/clocks.h>

#include "microphone_ring.h"

static constexpr pin_size_t BIT_CLOCK = 18, DATA = 20;  // the word clock is on the pin after the bit clock's, GP19
static constexpr uint32_t CYCLES = 128;                 // of the library's PIO program for two words, left and right

static I2S *i2s;
static uint32_t divider;  // of the PIO, with 8 fraction bits
static bool sampling;

bool microphoneBegin(uint32_t rate, size_t length, size_t blocks)
{
    const uint64_t cycles = static_cast<uint64_t>(rate) * CYCLES;
    divider = (static_cast<uint64_t>(clock_get_hz(clk_sys)) * 256 + cycles / 2) / cycles;
    blockLength = length;
    i2s = new I2S(INPUT);
    i2s->setBCLK(BIT_CLOCK);
    i2s->setDATA(DATA);
    i2s->setBitsPerSample(32);
    i2s->setBuffers(blocks, 2 * length);
    i2s->onReceive(onBlock);
    sampling = i2s->begin(static_cast<long>(rate));
    return sampling;
}

const char *microphoneProblem() { return sampling ? nullptr : "no PIO or DMA channel for the microphone"; }

const char *microphoneName() { return "I2S"; }

microphone_clock_t microphoneClock() { return {clock_get_hz(clk_sys), divider * CYCLES}; }

size_t microphoneAvailable() { return sampling ? i2s->available() / (2 * sizeof(int32_t)) : 0; }

// What begins I2S_LATE bits after the start of a word (-1: with the last bit of the word before), as 16 bits.
static sample_t sampleOf(uint32_t before, uint32_t word)
{
    const uint64_t both = static_cast<uint64_t>(before) << 32 | word;
    const int32_t value = static_cast<int32_t>(both << 1 >> (1 - I2S_LATE)) >> (16 - I2S_GAIN);
    return static_cast<sample_t>(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

size_t microphoneRead(sample_t *to, size_t n)
{
    static uint32_t words[1 + 2 * 32];  // the last one of the time before, then left and right in turn
    size_t done = 0;
    while (sampling && done < n) {
        const size_t bytes = min<size_t>(n - done, 32) * 2 * sizeof words[0];
        const size_t pairs = i2s->read(reinterpret_cast<const uint8_t *>(words + 1), bytes) / 2;
        if (pairs == 0) {
            break;
        }
        for (size_t i = 0; i < pairs; i++) {
            const uint32_t *const word = words + 1 + 2 * i + I2S_CHANNEL;
            to[done++] = sampleOf(word[-1], word[0]);
        }
        words[0] = words[2 * pairs];
    }
    samplesRead += done;
    return done;
}
#endif
