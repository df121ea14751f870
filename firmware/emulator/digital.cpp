/* SPDX-License-Identifier: MIT
   The stand-ins of the libraries for digital microphones: timer 1 completes a block after the other, with bytes from the
   runner's input. The build's macro MICROPHONE, that of a sketch's config.h, says which one is needed. */
#if defined(MICROPHONE) && MICROPHONE > 1
#include <Arduino.h>
#include <I2S.h>
#include <PDM.h>
#include <emulator.h>
#include <hardware/clocks.h>
#include <registers.h>

static constexpr unsigned TIMER_IRQ = 1;
static uint64_t blockNanos, nextNanos;
static void (*blockDone)();

static void startBlocks(uint64_t nanos, void (*callback)())
{
    blockDone = callback;
    blockNanos = nanos;
    nextNanos = 1000ull * micros() + nanos;
    timer_hw->inte |= 1u << TIMER_IRQ;
    nvic_hw->iser = 1u << TIMER_IRQ;
    timer_hw->alarm[TIMER_IRQ] = nextNanos / 1000;
}

extern "C" void timer_irq_1()
{
    timer_hw->intr = 1u << TIMER_IRQ;
    nextNanos += blockNanos;
    timer_hw->alarm[TIMER_IRQ] = nextNanos / 1000;
    blockDone();
}

static void readBlock(void *to, size_t bytes)
{
    const size_t read = emulator_read(to, bytes);
    memset(static_cast<uint8_t *>(to) + read, 0, bytes - read);
}

#if MICROPHONE == 2
static AudioBufferManager *words;
static size_t blockBytes;

// The ring believes that its DMA channels take turns.
static void wordsDone()
{
    static unsigned channel;
    readBlock(reinterpret_cast<void *>(dma_hw->ch[channel].write_addr), blockBytes);
    words->blockDone(channel);
    channel ^= 1;
}

bool I2S::setBuffers(size_t buffers, size_t words, int32_t)
{
    if (running_ || buffers < 3 || words < 8) {
        return false;
    }
    buffers_ = buffers;
    words_ = words;
    return true;
}

bool I2S::begin(long hertz)
{
    const uint64_t cycles = 128ull * hertz, clock = clock_get_hz(clk_sys);
    const uint64_t divider = (clock * 256 + cycles / 2) / cycles;
    ring_ = words = new AudioBufferManager(buffers_, words_, 0, INPUT, DMA_SIZE_32);
    ring_->setCallback(callback_);
    running_ = ring_->begin(0, nullptr);
    blockBytes = 4 * words_;
    startBlocks(1000000000ull * (words_ / 2) * 128 * divider / (256 * clock), wordsDone);
    return running_;
}

size_t I2S::read(const uint8_t *to, size_t bytes)
{
    return running_ && bytes % 4 == 0 ? ring_->read(reinterpret_cast<const uint32_t *>(to), bytes / 4, false) : 0;
}

#else
static AP3_PDM *pdm;

static void samplesDone() { pdm->blockDone(); }

bool AP3_PDM::begin()
{
    pdm = this;
    return true;
}

bool AP3_PDM::updateConfig(am_hal_pdm_config_t configuration)
{
    startBlocks(1000000000ull * BLOCK * 2 * configuration.ui32DecimationRate / configuration.ePDMClkSpeed, samplesDone);
    return true;
}

void AP3_PDM::blockDone()
{
    static uint16_t dropped[BLOCK];
    const bool room = !full_[0] || !full_[1];
    readBlock(!full_[0] ? buffers_[0] : !full_[1] ? buffers_[1] : dropped, sizeof dropped);
    if (!room) {  // the core forgets both
        overrun_ = true;
        full_[0] = full_[1] = false;
    } else {
        full_[full_[0] ? 1 : 0] = true;
    }
}

bool AP3_PDM::isOverrun()
{
    const bool overrun = overrun_;
    overrun_ = false;
    return overrun;
}

uint32_t AP3_PDM::getData(uint16_t *to, uint32_t samples)
{
    const unsigned from = full_[0] ? 0 : 1;
    if (available()) {
        memcpy(to, buffers_[from], 2 * min<uint32_t>(samples, BLOCK));
        full_[from] = false;
    }
    return samples;
}
#endif
#endif
