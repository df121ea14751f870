/* SPDX-License-Identifier: MIT
   Stand-in for the core's ADCInput: two chained DMA channels fill a ring of buffers from the FIFO of the ADC. As in
   the core, sizes and available() count 32-bit words of two samples. A block that finds no free buffer is lost
   silently, but onReceive() is called for it, too. */
#pragma once
#include <Arduino.h>

class ADCInput {
public:
    explicit ADCInput(pin_size_t pin) : pin_(pin) {}
    bool setBuffers(size_t buffers, size_t words);
    bool setFrequency(int hertz);
    void onReceive(void (*callback)()) { callback_ = callback; }
    bool begin();
    bool begin(int hertz) { return setFrequency(hertz) && begin(); }
    void end();
    int available();
    int read();
    void blockDone(unsigned channel);  // for the interrupt handler

private:
    void startChannel(unsigned channel);

    static constexpr size_t MOST_BUFFERS = 64;
    pin_size_t pin_;
    int hertz_ = 48000;
    bool running_ = false;
    size_t buffers_ = 8, words_ = 16;
    uint16_t *memory_ = nullptr;
    size_t memoryWords_ = 0;
    // Every buffer is in one of three places: with a DMA channel, in the queue of filled buffers, or free.
    uint8_t with_[2], queue_[MOST_BUFFERS], free_[MOST_BUFFERS];
    volatile size_t first_ = 0, filled_ = 0, freeCount_ = 0;
    size_t taken_ = 0;  // samples read from the queue's first buffer
    void (*callback_)() = nullptr;
};
