// SPDX-License-Identifier: MIT
// A MAX9814 on A0 (GP26) of a Raspberry Pi Pico or Pico 2: the ADC fills the blocks by DMA. The core's ADCInput does so,
// too, but reads sample by sample, and takes the ADC's clock for 48 MHz. So this uses the class beneath it.
#include "microphone.h"

#if MICROPHONE == MICROPHONE_ADC
#include <Arduino.h>
#include <AudioBufferManager.h>
#include <hardware/adc.h>
#include <hardware/clocks.h>
#include <hardware/sync.h>

static AudioBufferManager *ring;
static size_t blockLength;
static volatile uint32_t blocksDone;  // filled by the DMA, including those that the ring had no room for
static uint32_t samplesRead;
static bool sampling;

static void onBlock() { blocksDone = blocksDone + 1; }

bool microphoneBegin(uint32_t rate, size_t length, size_t blocks)
{
    constexpr unsigned FIRST_PIN = 26;
    adc_init();
    adc_gpio_init(A0);
    adc_select_input(A0 - FIRST_PIN);
    adc_fifo_setup(true, true, 1, false, false);
    adc_hw->div = (static_cast<uint64_t>(clock_get_hz(clk_adc)) * 256 + rate / 2) / rate - 256;
    blockLength = length;
    ring = new AudioBufferManager(blocks, length / 2, 0, INPUT, DMA_SIZE_16);  // in words of two samples
    ring->setCallback(onBlock);
    sampling = ring->begin(DREQ_ADC, &adc_hw->fifo);
    adc_fifo_drain();
    adc_run(sampling);
    return sampling;
}

const char *microphoneProblem() { return sampling ? nullptr : "no DMA channel for the microphone"; }

const char *microphoneName() { return "MAX9814"; }

// The ADC counts clk_adc, its divider has 8 fraction bits (RP2040 datasheet 4.9.5).
microphone_clock_t microphoneClock() { return {clock_get_hz(clk_adc), adc_hw->div + 256}; }

size_t microphoneAvailable() { return sampling ? 2 * ring->available() : 0; }

size_t microphoneRead(sample_t *to, size_t n)
{
    n = sampling ? 2 * ring->read(reinterpret_cast<uint32_t *>(to), n / 2, false) : 0;
    samplesRead += n;
    return n;
}

// The ring silently drops blocks when the sketch is too slow: lost = sampled - read - waiting. But it keeps the first one
// that it has no room for, and delivers it later. So a loss lies behind what waits and that block.
uint32_t microphoneLost()
{
    static uint32_t seen, told, place;
    const uint32_t status = save_and_disable_interrupts();
    const uint32_t waiting = microphoneAvailable(), lost = blocksDone * blockLength - samplesRead - waiting;
    restore_interrupts(status);
    if (lost != seen) {
        seen = lost;
        place = samplesRead + waiting + blockLength;
    }
    told = static_cast<int32_t>(samplesRead - place) > 0 ? seen : told;
    return told;
}

// Interrupts are held back between the test and the sleep, so that none comes in between: it would be missed, and the
// sleep would last until the next one.
void microphoneWait(size_t n)
{
    const uint32_t status = save_and_disable_interrupts();
    if (microphoneAvailable() < n) {
        __wfi();
    }
    restore_interrupts(status);
}
#endif
