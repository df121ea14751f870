/* SPDX-License-Identifier: MIT
   The stand-ins of the core's audio classes: the ADC's FIFO to a ring of buffers by DMA (RP2040 datasheet 2.5, 4.9). */
#include <ADCInput.h>
#include <Arduino.h>
#include <AudioBufferManager.h>
#include <emulator.h>
#include <hardware/adc.h>
#include <hardware/clocks.h>
#include <hardware/sync.h>
#include <registers.h>

static constexpr unsigned DMA_IRQ = 11;
static constexpr uint32_t BOTH_CHANNELS = 3, PIN_FUNCTION_NONE = 0x1f;

extern "C" uint8_t heap_start[], heap_end[];

// Heap memory that is never freed: the core takes its buffers from the heap, too.
static void *allocate(size_t bytes)
{
    static uint8_t *next = heap_start;
    void *memory = next;
    next += (bytes + 3) & ~size_t(3);
    if (next > heap_end) {
        __asm volatile("udf #3");
    }
    emulator_call(EMULATOR_HEAP, nullptr, next - heap_start);
    return memory;
}

void *operator new(size_t bytes) { return allocate(bytes); }

extern "C" void adc_gpio_init(unsigned pin)
{
    io_bank0_hw->io[pin].ctrl = PIN_FUNCTION_NONE;
    pads_bank0_hw->io[pin] = 1u << 7;  // output off
}

static AudioBufferManager *sampling;

// The core has one more buffer, of silence, which only an output needs.
AudioBufferManager::AudioBufferManager(size_t buffers, size_t words, int32_t, PinMode, dma_channel_transfer_size size)
    : words_(words), size_(size)
{
    allocate(4 * words);
    for (size_t i = 0; i < buffers; i++) {
        empty_.add(static_cast<uint32_t *>(allocate(4 * words)));
    }
}

bool AudioBufferManager::begin(int request, volatile void *fifo)
{
    sampling = this;
    request_ = request;
    fifo_ = fifo;
    for (unsigned channel = 0; channel < 2; channel++) {
        active_[channel] = empty_.take();
        dma_hw->ch[channel].write_addr = (uint32_t)(uintptr_t)active_[channel];
        setChannel(channel);
    }
    if (fifo) {  // else digital.cpp fills the blocks
        dma_hw->ints0 = BOTH_CHANNELS;
        dma_hw->inte0 = BOTH_CHANNELS;
        nvic_hw->iser = 1u << DMA_IRQ;
        dma_hw->multi_channel_trigger = 1;  // channel 0 first; it starts channel 1
    }
    return true;
}

void AudioBufferManager::end()
{
    dma_hw->inte0 = 0;
    dma_hw->abort = BOTH_CHANNELS;
    dma_hw->ints0 = BOTH_CHANNELS;
    while (filled_.count) {
        empty_.add(filled_.take());
    }
    empty_.add(active_[0]);
    empty_.add(active_[1]);
    taken_ = 0;
}

// Prepares a channel for a block; the other channel, or begin(), starts it.
void AudioBufferManager::setChannel(unsigned channel)
{
    auto &dma = dma_hw->ch[channel];
    dma.read_addr = (uint32_t)(uintptr_t)fifo_;
    dma.transfer_count = size_ == DMA_SIZE_16 ? 2 * words_ : words_;
    // requested by the source, chained to the other channel, write address counts up, size of a transfer, enabled
    dma.al1_ctrl = ((uint32_t)request_ << 15) | ((channel ^ 1u) << 11) | (1u << 5) | ((uint32_t)size_ << 2) | 1u;
}

void AudioBufferManager::blockDone(unsigned channel)
{
    if (empty_.count) {
        filled_.add(active_[0]);
        active_[0] = active_[1];
        active_[1] = empty_.take();
    }
    dma_hw->ch[channel].write_addr = (uint32_t)(uintptr_t)active_[1];
    setChannel(channel);
    if (callback_) {
        callback_();
    }
}

extern "C" void dma_irq_0()
{
    for (unsigned channel = 0; channel < 2; channel++) {
        if (dma_hw->ints0 & (1u << channel)) {
            dma_hw->ints0 = 1u << channel;
            sampling->blockDone(channel);
        }
    }
}

int AudioBufferManager::available() const { return filled_.count * words_ - taken_; }

size_t AudioBufferManager::read(const uint32_t *to, size_t words, bool wait)
{
    size_t done = 0;
    while (done < words) {
        while (wait && !filled_.count) {
            __wfi();
        }
        if (!filled_.count) {
            break;
        }
        const size_t part = min(words - done, words_ - taken_);
        memcpy(const_cast<uint32_t *>(to) + done, filled_.buffer[filled_.first] + taken_, 4 * part);
        done += part;
        taken_ += part;
        if (taken_ == words_) {
            const uint32_t status = save_and_disable_interrupts();
            empty_.add(filled_.take());
            restore_interrupts(status);
            taken_ = 0;
        }
    }
    return done;
}

// ---- ADCInput

bool ADCInput::setBuffers(size_t buffers, size_t words)
{
    if (running_ || buffers < 3 || words < 8) {
        return false;
    }
    buffers_ = buffers;
    words_ = words;
    return true;
}

// As the SDK does, the divider is rounded to 8 bits after the point: 22050 Hz becomes 22049.9965 Hz.
bool ADCInput::setFrequency(int hertz)
{
    hertz_ = hertz;
    adc_hw->div = (48000000ull * 256 + hertz / 2) / hertz - 256;
    return true;
}

bool ADCInput::begin()
{
    if (running_ || pin_ < 26 || pin_ > 29) {
        return false;
    }
    adc_init();
    adc_select_input(pin_ - 26);
    adc_fifo_setup(true, true, 1, false, false);
    setFrequency(hertz_);
    ring_ = ring_ ? ring_ : new AudioBufferManager(buffers_, words_, 0, INPUT, DMA_SIZE_16);
    ring_->setCallback(callback_);
    running_ = ring_->begin(DREQ_ADC, &adc_hw->fifo);
    adc_fifo_drain();
    adc_run(true);
    return true;
}

void ADCInput::end()
{
    running_ = holding_ = false;
    adc_run(false);
    ring_->end();
}

int ADCInput::read()
{
    if (!running_) {
        return -1;
    }
    if (!holding_) {
        ring_->read(&held_, 1, true);
        holding_ = true;
        return held_ & 0xfff;
    }
    holding_ = false;
    return held_ >> 16 & 0xfff;
}
