/* SPDX-License-Identifier: MIT
   The stand-ins for the Arduino core over the RP2040's registers (RP2040 datasheet, chapters 2 and 4). */
#include <ADCInput.h>
#include <Arduino.h>
#include <emulator.h>
#include <hardware/adc.h>
#include <hardware/sync.h>
#include <registers.h>

namespace {

constexpr unsigned TIMER_IRQ = 0, DMA_IRQ = 11, UART_IRQ = 20;
constexpr uint32_t UART_RX_EMPTY = 1u << 4, UART_TX_FULL = 1u << 5;    // of fr
constexpr uint32_t PIN_FUNCTION_SIO = 5, PIN_FUNCTION_NONE = 0x1f;     // of ctrl
constexpr uint32_t ADC_ENABLE = 1u << 0, ADC_START_MANY = 1u << 3;     // of cs
constexpr uint32_t ADC_FIFO_LEVEL = 0xfu << 16;                        // of fcs
constexpr uint32_t BOTH_CHANNELS = 3;                                  // of the DMA

void enableInterrupt(unsigned number) { nvic_hw->iser = 1u << number; }

// Sleeps until `ready()`. Interrupts are held back between the test and the WFI, so that none comes in between.
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

// Heap memory that is never freed: the core's ADCInput takes its buffers from the heap, too.
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
    pads_bank0_hw->io[pin] = (1u << 6) | (1u << 4) | (1u << 1) | pulls;  // input on, 4 mA, Schmitt trigger
    io_bank0_hw->io[pin].ctrl = PIN_FUNCTION_SIO;
    (mode == OUTPUT ? sio_hw->gpio_oe_set : sio_hw->gpio_oe_clr) = 1u << pin;
}

void digitalWrite(pin_size_t pin, int value) { (value ? sio_hw->gpio_set : sio_hw->gpio_clr) = 1u << pin; }

int digitalRead(pin_size_t pin) { return (sio_hw->gpio_in >> pin) & 1; }

extern "C" void adc_gpio_init(unsigned pin)
{
    io_bank0_hw->io[pin].ctrl = PIN_FUNCTION_NONE;
    pads_bank0_hw->io[pin] = 1u << 7;  // output off
}

// ---- time

unsigned long micros() { return timer_hw->timerawl; }

unsigned long millis()
{
    uint32_t high, low;
    do {
        high = timer_hw->timerawh;
        low = timer_hw->timerawl;
    } while (high != timer_hw->timerawh);
    return (((uint64_t)high << 32) | low) / 1000;
}

extern "C" void timer_irq_0() { timer_hw->intr = 1; }

void delayMicroseconds(unsigned int microseconds)
{
    uint32_t end = micros() + microseconds + 1;
    auto over = [end] { return (int32_t)(micros() - end) >= 0; };
    if (microseconds < 10) {  // too short for an alarm: its time might have passed before it is set
        while (!over()) {
        }
        return;
    }
    timer_hw->inte = 1;
    enableInterrupt(TIMER_IRQ);
    timer_hw->alarm[0] = end + 1;
    sleepUntil(over);
}

void delay(unsigned long milliseconds)
{
    while (milliseconds) {
        unsigned long part = min(milliseconds, 1000000ul);  // differences must stay below 2^31 us
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
    while (!(uart0_hw->fr & UART_RX_EMPTY)) {
        uint8_t value = uart0_hw->dr;
        if (receivedIn - receivedOut < sizeof received) {
            received[receivedIn++ % sizeof received] = value;
        }
    }
}

void SerialPort::begin(unsigned long baud)
{
    uint32_t divisor = 8 * F_CPU / baud;
    uart0_hw->ibrd = divisor >> 7;
    uart0_hw->fbrd = ((divisor & 0x7f) + 1) / 2;
    uart0_hw->lcr_h = (3u << 5) | (1u << 4);        // 8 bits, FIFOs
    uart0_hw->cr = (1u << 9) | (1u << 8) | 1u;      // receive, send, enabled
    uart0_hw->imsc = 1u << 4;                       // interrupt on receive
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

// Room in the buffer of USB serial, which runner.js simulates.
int SerialPort::availableForWrite() { return emulator_call(EMULATOR_ROOM, nullptr, 0); }

// Like the core's USB serial: when the host does not read, it gives up a second after the last byte that the host took.
size_t SerialPort::write(uint8_t value)
{
    static uint32_t lastTaken;
    while (uart0_hw->fr & UART_TX_FULL) {
        if (micros() - lastTaken > 1000000) {
            return 0;
        }
    }
    uart0_hw->dr = value;
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

// Writes the digits of a number to the end of `text`; returns the place of the first one.
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

// ---- ADC by DMA: channels 0 and 1 take turns; each starts the other when its block is full

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

// The divider has 8 bits after the point, rounded as in the SDK: 22050 Hz becomes 22049.9965 Hz.
bool ADCInput::setFrequency(int hertz)
{
    hertz_ = hertz;
    adc_hw->div = (uint32_t)((48000000ull * 256 + hertz / 2) / hertz) - 256;
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
    adc_hw->cs = ADC_ENABLE | ((uint32_t)(pin_ - 26) << 12);
    adc_hw->fcs = (1u << 24) | (1u << 11) | (1u << 10) | (1u << 3) | 1u;  // FIFO, and a DMA request for each entry
    setFrequency(hertz_);
    while (adc_hw->fcs & ADC_FIFO_LEVEL) {
        (void)adc_hw->fifo;
    }
    for (unsigned channel = 0; channel < 2; channel++) {
        with_[channel] = channel;
        startChannel(channel);
    }
    dma_hw->ints0 = BOTH_CHANNELS;
    dma_hw->inte0 = BOTH_CHANNELS;
    enableInterrupt(DMA_IRQ);
    dma_hw->multi_channel_trigger = 1;  // channel 0 first; it starts channel 1
    adc_hw->cs = adc_hw->cs | ADC_START_MANY;
    return true;
}

// Prepares a channel for a block; the other channel, or begin(), starts it.
void ADCInput::startChannel(unsigned channel)
{
    auto &dma = dma_hw->ch[channel];
    dma.read_addr = (uint32_t)(uintptr_t)&adc_hw->fifo;
    dma.write_addr = (uint32_t)(uintptr_t)(memory_ + 2 * words_ * with_[channel]);
    dma.transfer_count = 2 * words_;
    // requested by the ADC, chained to the other channel, write address counts up, 16 bits, enabled
    dma.al1_ctrl = (36u << 15) | ((channel ^ 1u) << 11) | (1u << 5) | (1u << 2) | 1u;
}

// Without a free buffer the block is lost: its channel overwrites it with the next one.
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
        if (dma_hw->ints0 & (1u << channel)) {
            dma_hw->ints0 = 1u << channel;
            sampling->blockDone(channel);
        }
    }
}

void ADCInput::end()
{
    running_ = false;
    adc_hw->cs = 0;
    dma_hw->inte0 = 0;
    dma_hw->abort = BOTH_CHANNELS;
    dma_hw->ints0 = BOTH_CHANNELS;
}

// A word counts as read when the first of its two samples has been read.
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
