// SPDX-License-Identifier: MIT - stand-in for the pico-sdk's header of the same name (RP2040 datasheet 2.15)
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef enum { clk_ref = 4, clk_sys, clk_peri, clk_usb, clk_adc, clk_rtc } clock_handle_t;

typedef struct {
    struct {
        volatile uint32_t ctrl, div, selected;
    } clk[10];
    volatile uint32_t resus_ctrl, resus_status, fc0[8], wake_en0, wake_en1, sleep_en0, sleep_en1;
} clocks_hw_t;
#define clocks_hw ((clocks_hw_t *)0x40008000u)

enum {
    CLOCKS_CLK_REF_CTRL_SRC_VALUE_XOSC_CLKSRC = 2,
    CLOCKS_CLK_SYS_CTRL_SRC_VALUE_CLK_REF = 0,
    CLOCKS_CLK_SYS_CTRL_SRC_VALUE_CLKSRC_CLK_SYS_AUX = 1,
    CLOCKS_CLK_SYS_CTRL_AUXSRC_VALUE_CLKSRC_PLL_SYS = 0,
    CLOCKS_CLK_SYS_CTRL_AUXSRC_VALUE_CLKSRC_PLL_USB = 1,
    CLOCKS_CLK_PERI_CTRL_AUXSRC_VALUE_CLK_SYS = 0,
    CLOCKS_CLK_USB_CTRL_AUXSRC_VALUE_CLKSRC_PLL_USB = 0,
    CLOCKS_CLK_ADC_CTRL_AUXSRC_VALUE_CLKSRC_PLL_USB = 0,
    CLOCKS_CLK_ADC_CTRL_AUXSRC_VALUE_XOSC_CLKSRC = 3,
};

#define CLOCKS_WAKE_EN0_CLK_SYS_SPI1_BITS (1u << 27)
#define CLOCKS_WAKE_EN0_CLK_PERI_SPI1_BITS (1u << 26)
#define CLOCKS_WAKE_EN0_CLK_SYS_SPI0_BITS (1u << 25)
#define CLOCKS_WAKE_EN0_CLK_PERI_SPI0_BITS (1u << 24)
#define CLOCKS_WAKE_EN0_CLK_SYS_RTC_BITS (1u << 22)
#define CLOCKS_WAKE_EN0_CLK_RTC_RTC_BITS (1u << 21)
#define CLOCKS_WAKE_EN0_CLK_SYS_PWM_BITS (1u << 17)
#define CLOCKS_WAKE_EN0_CLK_SYS_PIO1_BITS (1u << 13)
#define CLOCKS_WAKE_EN0_CLK_SYS_PIO0_BITS (1u << 12)
#define CLOCKS_WAKE_EN0_CLK_SYS_JTAG_BITS (1u << 9)
#define CLOCKS_WAKE_EN0_CLK_SYS_I2C1_BITS (1u << 7)
#define CLOCKS_WAKE_EN0_CLK_SYS_I2C0_BITS (1u << 6)
#define CLOCKS_WAKE_EN1_CLK_USB_USBCTRL_BITS (1u << 11)
#define CLOCKS_WAKE_EN1_CLK_SYS_USBCTRL_BITS (1u << 10)
#define CLOCKS_WAKE_EN1_CLK_SYS_UART1_BITS (1u << 9)
#define CLOCKS_WAKE_EN1_CLK_PERI_UART1_BITS (1u << 8)

#ifdef __cplusplus
extern "C" {
#endif
// Feed a clock from another source; freq must be src_freq here, as the stand-in divides nothing.
bool clock_configure(clock_handle_t clock, uint32_t src, uint32_t auxsrc, uint32_t src_freq, uint32_t freq);
void clock_stop(clock_handle_t clock);
uint32_t clock_get_hz(clock_handle_t clock);
// What a board's start-up code does: both PLLs on, clk_sys at 125 MHz, the ADC at 48 MHz.
void clocks_init(void);
#ifdef __cplusplus
}
#endif
