// SPDX-License-Identifier: MIT
// The clocks of a Raspberry Pi Pico for LOW_POWER: 48 or 12 MHz instead of the 125 of the board's menu.
//
//     48  clk_sys from the USB's PLL; the PLL of clk_sys is off. USB works as before.
//     12  all clocks from the crystal; both PLLs and USB are off. What the sketch says goes to UART 0 (GP0).
//
// Clocks of parts that nothing uses are off. The core's voltage stays at 1.1 V: the datasheet names no lower one for a
// given frequency. Explained in notebooks/08_deploy_to_pico.ipynb, measured in docs/power.md.
#ifndef LOW_POWER_H
#define LOW_POWER_H

#if LOW_POWER != 0 && LOW_POWER != 12 && LOW_POWER != 48
#error "LOW_POWER: 0 (clock of the board's menu), 48 or 12 (MHz)"
#endif

#define CLOCK_HZ (LOW_POWER ? LOW_POWER * 1000000 : F_CPU)

#if LOW_POWER
#include <hardware/clocks.h>
#include <hardware/pll.h>

#if defined(PICO_RP2350) || defined(PICO_CYW43_SUPPORTED)
#error "LOW_POWER is made for the Raspberry Pi Pico (RP2040, no wireless chip): set it to 0"
#endif

static inline void low_power_stop_unused(void)
{
    const uint32_t buses = CLOCKS_WAKE_EN0_CLK_SYS_SPI0_BITS | CLOCKS_WAKE_EN0_CLK_PERI_SPI0_BITS |
                           CLOCKS_WAKE_EN0_CLK_SYS_SPI1_BITS | CLOCKS_WAKE_EN0_CLK_PERI_SPI1_BITS |
                           CLOCKS_WAKE_EN0_CLK_SYS_I2C0_BITS | CLOCKS_WAKE_EN0_CLK_SYS_I2C1_BITS;
    uint32_t others = CLOCKS_WAKE_EN0_CLK_SYS_PWM_BITS | CLOCKS_WAKE_EN0_CLK_SYS_RTC_BITS |
                      CLOCKS_WAKE_EN0_CLK_RTC_RTC_BITS | CLOCKS_WAKE_EN0_CLK_SYS_JTAG_BITS;
#if MICROPHONE != MICROPHONE_I2S  // which the PIO reads
    others |= CLOCKS_WAKE_EN0_CLK_SYS_PIO0_BITS | CLOCKS_WAKE_EN0_CLK_SYS_PIO1_BITS;
#endif
    uint32_t more = CLOCKS_WAKE_EN1_CLK_SYS_UART1_BITS | CLOCKS_WAKE_EN1_CLK_PERI_UART1_BITS;
#if LOW_POWER == 12
    more |= CLOCKS_WAKE_EN1_CLK_SYS_USBCTRL_BITS | CLOCKS_WAKE_EN1_CLK_USB_USBCTRL_BITS;
#endif
    clocks_hw->wake_en0 = clocks_hw->sleep_en0 = ~(buses | others);
    clocks_hw->wake_en1 = clocks_hw->sleep_en1 = ~more;
}

// Before anything else in setup(): serial ports and the microphone reckon with the clocks that they find.
static inline void low_power_begin(void)
{
    enum { HERTZ = LOW_POWER * 1000000 };
#if LOW_POWER == 12
    clock_configure(clk_sys, CLOCKS_CLK_SYS_CTRL_SRC_VALUE_CLK_REF, 0, HERTZ, HERTZ);
    clock_configure(clk_adc, 0, CLOCKS_CLK_ADC_CTRL_AUXSRC_VALUE_XOSC_CLKSRC, HERTZ, HERTZ);
    clock_stop(clk_usb);
    pll_deinit(pll_usb);
#else
    clock_configure(clk_sys, CLOCKS_CLK_SYS_CTRL_SRC_VALUE_CLKSRC_CLK_SYS_AUX,
                    CLOCKS_CLK_SYS_CTRL_AUXSRC_VALUE_CLKSRC_PLL_USB, HERTZ, HERTZ);
#endif
    clock_configure(clk_peri, 0, CLOCKS_CLK_PERI_CTRL_AUXSRC_VALUE_CLK_SYS, HERTZ, HERTZ);
    pll_deinit(pll_sys);
    low_power_stop_unused();
}
#endif
#endif
