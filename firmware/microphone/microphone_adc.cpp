// SPDX-License-Identifier: MIT
// A MAX9814 on A0 (GP26) of a Raspberry Pi Pico or Pico 2: the ADC fills the blocks by DMA. The core's ADCInput does so,
// too, but reads sample by sample, and takes the ADC's clock for 48 MHz. So this uses the class beneath it.
#include "microphone.h"

#if MICROPHONE == MICROPHONE_ADC
#include <Arduino.h>
#include <AudioBufferManager.h>
#include <hardware/adc.h>
#include <hardware/clocks.h>

#include "microphone_ring.h"

static AudioBufferManager *ring;
static bool sampling;

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
#endif
