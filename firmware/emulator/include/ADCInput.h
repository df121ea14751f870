/* SPDX-License-Identifier: MIT
   Stand-in for the core's ADCInput, over AudioBufferManager. Sizes and available() count words of two samples. */
#pragma once
#include <AudioBufferManager.h>

class ADCInput {
public:
    explicit ADCInput(pin_size_t pin) : pin_(pin) {}
    bool setBuffers(size_t buffers, size_t words);
    bool setFrequency(int hertz);
    void onReceive(void (*callback)()) { callback_ = callback; }
    bool begin();
    bool begin(int hertz) { return setFrequency(hertz) && begin(); }
    void end();
    int available() { return running_ ? ring_->available() : 0; }
    int read();

private:
    pin_size_t pin_;
    int hertz_ = 48000;
    bool running_ = false, holding_ = false;
    uint32_t held_ = 0;
    size_t buffers_ = 8, words_ = 16;
    AudioBufferManager *ring_ = nullptr;
    void (*callback_)() = nullptr;
};
