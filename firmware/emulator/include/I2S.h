/* SPDX-License-Identifier: MIT
   Stand-in for the core's I2S library, input of 32-bit words only: left and right in turn, from the runner's input, at
   the rate of the nearest divider of the PIO. Zeros come after the input's end. available() counts bytes, read() takes
   bytes and returns words. */
#pragma once
#include <AudioBufferManager.h>

class I2S {
public:
    explicit I2S(PinMode) {}
    bool setBCLK(pin_size_t pin) { return !running_ && pin < 29; }
    bool setDATA(pin_size_t pin) { return !running_ && pin < 30; }
    bool setBitsPerSample(int bits) { return !running_ && bits == 32; }
    bool setBuffers(size_t buffers, size_t words, int32_t silence = 0);
    void onReceive(void (*callback)()) { callback_ = callback; }
    bool begin(long hertz);
    int available() { return running_ ? 4 * ring_->available() : 0; }
    size_t read(const uint8_t *to, size_t bytes);  // the core's `to` is const, too

private:
    bool running_ = false;
    size_t buffers_ = 6, words_ = 128;
    AudioBufferManager *ring_ = nullptr;
    void (*callback_)() = nullptr;
};
