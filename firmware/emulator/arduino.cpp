/* SPDX-License-Identifier: MIT
   The stand-ins for the Arduino core over the RP2040's registers (RP2040 datasheet, chapters 2 and 4). */
#include <ADCInput.h>
#include <Arduino.h>
#include <emulator.h>
#include <hardware/adc.h>
#include <hardware/sync.h>

namespace {

volatile uint32_t &reg(uint32_t address) { return *reinterpret_cast<volatile uint32_t *>(address); }

constexpr uint32_t IO_BANK0 = 0x40014000, PADS = 0x4001c000, UART0 = 0x40034000, ADC = 0x4004c000, TIMER = 0x40054000;
constexpr uint32_t DMA = 0x50000000, SIO = 0xd0000000, NVIC_ENABLE = 0xe000e100;
constexpr unsigned TIMER_IRQ = 0, DMA_IRQ = 11, UART_IRQ = 20;

void enableInterrupt(unsigned number) { reg(NVIC_ENABLE) = 1u << number; }

// Sleeps until `ready()`. With interrupts held back between the test and the WFI, none slips in between.
template <class Condition> void sleepUntil(Condition ready)
{
    while (true) {
        uint32_t status = save_and_disable_interrupts();
        bool done = ready();
        if (!done) {
            __wfi();
        }
        restore_interrupts(status);
        if (done) {
            return;
        }
    }
}

extern "C" uint8_t heap_start[], heap_end[];

// Memory that is never given back, as the core's ADCInput takes its buffers from the heap.
void *allocate(size_t bytes)
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

}  // namespace

// ---- pins

void pinMode(pin_size_t pin, PinMode mode)
{
    uint32_t pulls = mode == INPUT_PULLUP ? 1u << 3 : mode == INPUT_PULLDOWN ? 1u << 2 : 0;
    reg(PADS + 4 + 4 * pin) = (1u << 6) | (1u << 4) | (1u << 1) | pulls;  // input on, 4 mA, Schmitt trigger
    reg(IO_BANK0 + 4 + 8 * pin) = 5;                                       // function SIO
    reg(SIO + (mode == OUTPUT ? 0x24 : 0x28)) = 1u << pin;
}

void digitalWrite(pin_size_t pin, int value) { reg(SIO + (value ? 0x14 : 0x18)) = 1u << pin; }

int digitalRead(pin_size_t pin) { return (reg(SIO + 4) >> pin) & 1; }

extern "C" void adc_gpio_init(unsigned pin)
{
    reg(IO_BANK0 + 4 + 8 * pin) = 0x1f;
    reg(PADS + 4 + 4 * pin) = 1u << 7;
}

// ---- time

unsigned long micros() { return reg(TIMER + 0x28); }

unsigned long millis()
{
    uint32_t high, low;
    do {
        high = reg(TIMER + 0x24);
        low = reg(TIMER + 0x28);
    } while (high != reg(TIMER + 0x24));
    return (((uint64_t)high << 32) | low) / 1000;
}

extern "C" void timer_irq_0() { reg(TIMER + 0x34) = 1; }

void delayMicroseconds(unsigned int microseconds)
{
    uint32_t end = micros() + microseconds + 1;
    auto over = [end] { return (int32_t)(micros() - end) >= 0; };
    if (microseconds < 10) {  // the alarm might be set when its time has passed
        while (!over()) {
        }
        return;
    }
    reg(TIMER + 0x38) = 1;
    enableInterrupt(TIMER_IRQ);
    reg(TIMER + 0x10) = end + 1;
    sleepUntil(over);
}

void delay(unsigned long milliseconds)
{
    while (milliseconds) {
        unsigned long part = min(milliseconds, 1000000ul);  // half of what the 32-bit timer can tell apart
        delayMicroseconds(1000 * part);
        milliseconds -= part;
    }
}

void noInterrupts() { __asm volatile("cpsid i" ::: "memory"); }
void interrupts() { __asm volatile("cpsie i" ::: "memory"); }

// ---- serial

SerialPort Serial;

static uint8_t received[256];
static volatile uint32_t receivedIn, receivedOut;

extern "C" void uart0_irq()
{
    while (!(reg(UART0 + 0x18) & (1u << 4))) {
        uint8_t value = reg(UART0);
        if (receivedIn - receivedOut < sizeof received) {
            received[receivedIn++ % sizeof received] = value;
        }
    }
}

void SerialPort::begin(unsigned long baud)
{
    uint32_t divisor = 8 * F_CPU / baud;
    reg(UART0 + 0x24) = divisor >> 7;
    reg(UART0 + 0x28) = ((divisor & 0x7f) + 1) / 2;
    reg(UART0 + 0x2c) = (3u << 5) | (1u << 4);  // 8 bits, FIFOs
    reg(UART0 + 0x30) = (1u << 9) | (1u << 8) | 1u;
    reg(UART0 + 0x38) = 1u << 4;  // interrupt on receive
    enableInterrupt(UART_IRQ);
}

int SerialPort::available() { return receivedIn - receivedOut; }
int SerialPort::peek() { return available() ? received[receivedOut % sizeof received] : -1; }

int SerialPort::read()
{
    int value = peek();
    if (value >= 0) {
        receivedOut++;
    }
    return value;
}

// Room in the buffer of USB serial, which the runner stands in for.
int SerialPort::availableForWrite() { return emulator_call(EMULATOR_ROOM, nullptr, 0); }

// As the core's USB serial: where the host doesn't read, waits until a second after the last byte that was taken.
size_t SerialPort::write(uint8_t value)
{
    static uint32_t lastTaken;
    while (reg(UART0 + 0x18) & (1u << 5)) {
        if (micros() - lastTaken > 1000000) {
            return 0;
        }
    }
    reg(UART0) = value;
    lastTaken = micros();
    return 1;
}

size_t SerialPort::write(const uint8_t *bytes, size_t count)
{
    size_t written = 0;
    while (written < count && write(bytes[written])) {
        written++;
    }
    return written;
}

// Digits of a number, right-aligned in 12 bytes; returns the first.
static char *digits(char text[12], unsigned long value, unsigned base)
{
    char *first = text + 11;
    *first = 0;
    do {
        *--first = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    return first;
}

size_t SerialPort::print(unsigned long value, int base)
{
    char text[12];
    return print(digits(text, value, base));
}

size_t SerialPort::print(long value, int base)
{
    if (value < 0 && base == DEC) {
        return print('-') + print(0 - (unsigned long)value, base);
    }
    return print((unsigned long)value, base);
}

size_t SerialPort::printf(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    size_t count = 0;
    for (; *format; format++) {
        if (*format != '%') {
            count += print(*format);
            continue;
        }
        bool zeros = format[1] == '0';
        int width = 0;
        while (*++format == 'l' || (*format >= '0' && *format <= '9')) {
            width = *format == 'l' ? width : 10 * width + *format - '0';
        }
        char text[12], *first = text;
        bool negative = false;
        switch (*format) {
        case 's': count += print(va_arg(values, const char *)); continue;
        case 'c': count += print((char)va_arg(values, int)); continue;
        case 'x': first = digits(text, va_arg(values, unsigned), HEX); break;
        case 'u': first = digits(text, va_arg(values, unsigned), DEC); break;
        case 'd':
        case 'i': {
            int value = va_arg(values, int);
            negative = value < 0;
            first = digits(text, negative ? 0u - value : value, DEC);
            break;
        }
        default: count += print(*format); continue;
        }
        int fill = width - (int)strlen(first) - negative;
        count += negative && zeros ? print('-') : 0;
        for (; fill > 0; fill--) {
            count += print(zeros ? '0' : ' ');
        }
        count += (negative && !zeros ? print('-') : 0) + print(first);
    }
    va_end(values);
    return count;
}

// ---- ADC by DMA: channels 0 and 1 take turns, each starting the other when its block is full

static ADCInput *sampling;

bool ADCInput::setBuffers(size_t buffers, size_t words)
{
    if (running_ || buffers < 3 || buffers > MOST_BUFFERS || words < 8) {
        return false;
    }
    buffers_ = buffers;
    words_ = words;
    return true;
}

// The divider has 8 bits after the point: 22050 Hz becomes 22050.036 Hz.
bool ADCInput::setFrequency(int hertz)
{
    hertz_ = hertz;
    reg(ADC + 0x10) = (uint32_t)(48000000ull * 256 / hertz) - 256;
    return true;
}

bool ADCInput::begin()
{
    if (running_ || pin_ < 26 || pin_ > 29) {
        return false;
    }
    if (memoryWords_ < buffers_ * words_) {
        memory_ = static_cast<uint16_t *>(allocate(4 * buffers_ * words_));
        memoryWords_ = buffers_ * words_;
    }
    running_ = true;
    sampling = this;
    first_ = filled_ = freeCount_ = taken_ = 0;
    for (size_t buffer = 2; buffer < buffers_; buffer++) {
        free_[freeCount_] = buffer;
        freeCount_ = freeCount_ + 1;
    }
    reg(ADC) = 1u | ((uint32_t)(pin_ - 26) << 12);
    reg(ADC + 0x08) = (1u << 24) | (1u << 11) | (1u << 10) | (1u << 3) | 1u;  // FIFO, and a DMA request for each entry
    setFrequency(hertz_);
    while (reg(ADC + 0x08) & (0xfu << 16)) {
        (void)*&reg(ADC + 0x0c);
    }
    for (unsigned channel = 0; channel < 2; channel++) {
        with_[channel] = channel;
        startChannel(channel);
    }
    reg(DMA + 0x40c) = 3;
    reg(DMA + 0x404) = 3;
    enableInterrupt(DMA_IRQ);
    reg(DMA + 0x430) = 1;  // channel 0 first; it starts channel 1
    reg(ADC) = reg(ADC) | (1u << 3);
    return true;
}

// Readies a channel for a block; the other channel, or begin(), starts it.
void ADCInput::startChannel(unsigned channel)
{
    uint32_t base = DMA + 0x40 * channel;
    reg(base + 0x00) = ADC + 0x0c;
    reg(base + 0x04) = (uint32_t)(uintptr_t)(memory_ + 2 * words_ * with_[channel]);
    reg(base + 0x08) = 2 * words_;
    // request by ADC, chained to the other channel, write address counts up, 16 bits, enabled
    reg(base + 0x10) = (36u << 15) | ((channel ^ 1u) << 11) | (1u << 5) | (1u << 2) | 1u;
}

// A block without a free buffer to follow it is lost: its channel takes the same buffer again.
void ADCInput::blockDone(unsigned channel)
{
    if (freeCount_) {
        queue_[(first_ + filled_) % MOST_BUFFERS] = with_[channel];
        filled_ = filled_ + 1;
        freeCount_ = freeCount_ - 1;
        with_[channel] = free_[freeCount_];
    }
    startChannel(channel);
    if (callback_) {
        callback_();
    }
}

extern "C" void dma_irq_0()
{
    for (unsigned channel = 0; channel < 2; channel++) {
        if (reg(DMA + 0x40c) & (1u << channel)) {
            reg(DMA + 0x40c) = 1u << channel;
            sampling->blockDone(channel);
        }
    }
}

void ADCInput::end()
{
    running_ = false;
    reg(ADC) = 0;
    reg(DMA + 0x404) = 0;
    reg(DMA + 0x444) = 3;
    reg(DMA + 0x40c) = 3;
}

// A word counts as read with the first of its two samples.
int ADCInput::available() { return running_ ? filled_ * words_ - (taken_ + 1) / 2 : 0; }

int ADCInput::read()
{
    if (!running_) {
        return -1;
    }
    sleepUntil([this] { return filled_ > 0; });
    int sample = memory_[2 * words_ * queue_[first_] + taken_++];
    if (taken_ == 2 * words_) {
        uint32_t status = save_and_disable_interrupts();
        free_[freeCount_] = queue_[first_];
        freeCount_ = freeCount_ + 1;
        first_ = (first_ + 1) % MOST_BUFFERS;
        filled_ = filled_ - 1;
        taken_ = 0;
        restore_interrupts(status);
    }
    return sample;
}

extern "C" int main()  // clang mangles it when freestanding
{
    setup();
    while (true) {
        loop();
    }
}
