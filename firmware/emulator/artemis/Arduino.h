/* SPDX-License-Identifier: MIT
   Stand-in for Arduino.h of SparkFun's Apollo3 core 2.x, to compile the sketches for an Artemis: nothing runs here. It
   has the types of that core where they are stricter than arduino-pico's, and lacks what it lacks: F_CPU, analogue pins
   at fixed rates, and a UART that knows how much it takes. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum { LOW, HIGH, CHANGE, FALLING, RISING } PinStatus;
typedef enum { INPUT, OUTPUT, INPUT_PULLUP, INPUT_PULLDOWN, OUTPUT_OPENDRAIN } Arduino_PinMode;
typedef enum { LED_BUILTIN = 19 } PinName;
typedef uint8_t pin_size_t;
typedef uint8_t byte;
uint16_t makeWord(uint16_t value);
#define word(...) makeWord(__VA_ARGS__)

void pinMode(PinName pin, Arduino_PinMode mode);
void digitalWrite(PinName pin, PinStatus value);
PinStatus digitalRead(PinName pin);
extern "C" {
void setup();
void loop();
void pinMode(pin_size_t pin, Arduino_PinMode mode);
void digitalWrite(pin_size_t pin, PinStatus value);
PinStatus digitalRead(pin_size_t pin);
unsigned long millis();
unsigned long micros();
void delay(unsigned long milliseconds);
void delayMicroseconds(unsigned int microseconds);
}

template <class T, class L> auto min(const T &a, const L &b) -> decltype(b < a ? b : a) { return b < a ? b : a; }
template <class T, class L> auto max(const T &a, const L &b) -> decltype(a < b ? b : a) { return a < b ? b : a; }

class Print {
public:
    virtual size_t write(uint8_t value) = 0;
    virtual size_t write(const uint8_t *bytes, size_t count) = 0;
    size_t write(const char *bytes, size_t count) { return write(reinterpret_cast<const uint8_t *>(bytes), count); }
    virtual int availableForWrite() { return 0; }
};

class UART : public Print {
public:
    void begin(unsigned long baud);
    int available();
    int read();
    size_t write(uint8_t value) override;
    size_t write(const uint8_t *bytes, size_t count) override;
    using Print::write;
    operator bool() { return true; }
};
extern UART Serial, Serial1;
