/* SPDX-License-Identifier: MIT
   The stand-ins for the Arduino core over the RP2040's registers (RP2040 datasheet, chapters 2 and 4). */
#include <Arduino.h>
#include <emulator.h>
#include <hardware/clocks.h>
#include <hardware/sync.h>
#include <registers.h>
#include <stdio.h>

namespace {

constexpr unsigned TIMER_IRQ = 0, UART_IRQ = 20;
constexpr uint32_t UART_RX_EMPTY = 1u << 4, UART_TX_FULL = 1u << 5;    // of fr
constexpr uint32_t PIN_FUNCTION_SIO = 5;                               // of ctrl

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
    timer_hw->inte |= 1u << TIMER_IRQ;
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

SerialPort Serial(true), Serial1(false);

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
    const uint32_t hertz = clock_get_hz(clk_peri), divisor = 8 * hertz / baud;
    uart0_hw->ibrd = divisor >> 7;
    uart0_hw->fbrd = ((divisor & 0x7f) + 1) / 2;
    uart0_hw->lcr_h = (3u << 5) | (1u << 4);        // 8 bits, FIFOs
    uart0_hw->cr = (1u << 9) | (1u << 8) | 1u;      // receive, send, enabled
    uart0_hw->imsc = 1u << 4;                       // interrupt on receive
    enableInterrupt(UART_IRQ);
    if (!usb_) {
        emulator_call(EMULATOR_UART, nullptr, 0);
    }
}

SerialPort::operator bool() { return !usb_ || emulator_call(EMULATOR_OPEN, nullptr, 0); }

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

// Room in the buffer of USB serial, which runner.js simulates. Of a UART the core only says whether a byte fits.
int SerialPort::availableForWrite()
{
    return usb_ ? emulator_call(EMULATOR_ROOM, nullptr, 0) : !(uart0_hw->fr & UART_TX_FULL);
}

// As the core's USB serial: nothing is sent while the port is closed, and when the host does not read, it gives up a
// second after the last byte that the host took. A UART waits.
size_t SerialPort::write(uint8_t value)
{
    static uint32_t lastTaken;
    if (!*this) {
        return 0;
    }
    while (uart0_hw->fr & UART_TX_FULL) {
        if (usb_ && micros() - lastTaken > 1000000) {
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

namespace {

// What vsnprintf() writes to: characters after the last place are only counted.
struct Text {
    char *next, *end;
    int count;

    void put(char value)
    {
        if (next < end) {
            *next++ = value;
        }
        count++;
    }
    void put(const char *text)
    {
        while (*text) {
            put(*text++);
        }
    }
};

// Writes a value for the conversion that `format` points at, padded to a width.
void convert(Text &text, char conversion, int width, bool zeros, va_list &values)
{
    char number[12], *first = number;
    bool negative = false;
    switch (conversion) {
    case 's': text.put(va_arg(values, const char *)); return;
    case 'c': text.put((char)va_arg(values, int)); return;
    case 'x': first = digits(number, va_arg(values, unsigned), HEX); break;
    case 'u': first = digits(number, va_arg(values, unsigned), DEC); break;
    case 'd':
    case 'i': {
        const int value = va_arg(values, int);
        negative = value < 0;
        first = digits(number, negative ? 0u - value : value, DEC);
        break;
    }
    default: text.put(conversion); return;
    }
    if (negative && zeros) {
        text.put('-');
    }
    for (int fill = width - (int)strlen(first) - negative; fill > 0; fill--) {
        text.put(zeros ? '0' : ' ');
    }
    if (negative && !zeros) {
        text.put('-');
    }
    text.put(first);
}

}  // namespace

extern "C" int vsnprintf(char *to, size_t size, const char *format, va_list values)
{
    Text text = {to, to + (size ? size - 1 : 0), 0};
    for (; *format; format++) {
        if (*format != '%') {
            text.put(*format);
            continue;
        }
        const bool zeros = format[1] == '0';
        int width = 0;
        while (*++format == 'l' || (*format >= '0' && *format <= '9')) {
            width = *format == 'l' ? width : 10 * width + *format - '0';
        }
        convert(text, *format, width, zeros, values);
    }
    if (size) {
        *text.next = 0;
    }
    return text.count;
}

size_t SerialPort::printf(const char *format, ...)
{
    char text[256];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return print(text);
}

extern "C" int main()  // clang mangles it when freestanding
{
    clocks_init();
    setup();
    while (true) {
        loop();
    }
}
