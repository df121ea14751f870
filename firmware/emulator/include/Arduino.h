/* SPDX-License-Identifier: MIT
   Stand-in for the arduino-pico core's Arduino.h: the calls of this project's sketches, over the RP2040's registers.
   Serial and Serial1 are both UART 0 here. On the board Serial is USB: runner.js gives it the buffer of the core's. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum PinStatus { LOW, HIGH };
enum PinMode { INPUT, OUTPUT, INPUT_PULLUP, INPUT_PULLDOWN };
enum { DEC = 10, HEX = 16 };
#ifdef PICO_CYW43_SUPPORTED  // a board with the wireless chip, which has the LED
constexpr uint8_t LED_BUILTIN = 64;
#else
constexpr uint8_t LED_BUILTIN = 25;
#endif
constexpr uint8_t A0 = 26, A1 = 27, A2 = 28;
typedef uint8_t pin_size_t;
typedef uint8_t byte;
#ifndef F_CPU
#define F_CPU 125000000L
#endif
#define __not_in_flash(group) __attribute__((section(".time_critical." group)))

void setup();
void loop();
void pinMode(pin_size_t pin, PinMode mode);
void digitalWrite(pin_size_t pin, int value);
int digitalRead(pin_size_t pin);
unsigned long millis();
unsigned long micros();
void delay(unsigned long milliseconds);
void delayMicroseconds(unsigned int microseconds);
void noInterrupts();
void interrupts();
static inline void yield() {}
template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }

class SerialPort {
public:
    explicit SerialPort(bool usb) : usb_(usb) {}
    void begin(unsigned long baud);
    void end() {}
    explicit operator bool();  // whether a host has opened it
    int available();
    int availableForWrite();
    int read();
    int peek();
    void flush() {}
    size_t write(uint8_t value);
    size_t write(const uint8_t *bytes, size_t count);
    size_t write(const char *bytes, size_t count) { return write(reinterpret_cast<const uint8_t *>(bytes), count); }
    size_t print(const char *text) { return write(text, strlen(text)); }
    size_t print(char value) { return write(static_cast<uint8_t>(value)); }
    size_t print(int value, int base = DEC) { return print(static_cast<long>(value), base); }
    size_t print(unsigned value, int base = DEC) { return print(static_cast<unsigned long>(value), base); }
    size_t print(long value, int base = DEC);
    size_t print(unsigned long value, int base = DEC);
    size_t println() { return print("\r\n"); }
    template <class... T> size_t println(T... values) { return print(values...) + println(); }
    // %d %i %u %x %c %s %%, with l, width and leading zeros
    size_t printf(const char *format, ...) __attribute__((format(printf, 2, 3)));

private:
    const bool usb_;
};
extern SerialPort Serial, Serial1;
