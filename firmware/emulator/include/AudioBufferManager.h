/* SPDX-License-Identifier: MIT
   Stand-in for the arduino-pico core's class of the same name: two chained DMA channels fill a ring of buffers. As in
   the core, a block that finds no empty buffer stays where it is, the next one overwrites the block after it, and
   the callback comes for each. */
#pragma once
#include <Arduino.h>
#include <hardware/dma.h>

class AudioBufferManager {
public:
    AudioBufferManager(size_t buffers, size_t words, int32_t silence, PinMode direction,
                       dma_channel_transfer_size size);
    void setCallback(void (*callback)()) { callback_ = callback; }
    bool begin(int request, volatile void *fifo);
    void end();
    int available() const;  // words
    size_t read(const uint32_t *to, size_t words, bool wait);  // the core's `to` is const, too
    void blockDone(unsigned channel);                          // for the interrupt handler

private:
    struct Queue {
        static constexpr size_t MOST = 64;
        volatile size_t first = 0, count = 0;
        uint32_t *buffer[MOST];

        void add(uint32_t *one) { buffer[(first + count++) % MOST] = one; }
        uint32_t *take()
        {
            uint32_t *const one = buffer[first];
            first = (first + 1) % MOST;
            count = count - 1;
            return one;
        }
    };

    void setChannel(unsigned channel);

    const size_t words_;
    const dma_channel_transfer_size size_;
    int request_ = 0;
    volatile void *fifo_ = nullptr;
    uint32_t *active_[2];  // what the DMA fills now, and next
    Queue empty_, filled_;
    size_t taken_ = 0;  // words read from the first filled buffer
    void (*callback_)() = nullptr;
};
