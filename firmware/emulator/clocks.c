/* SPDX-License-Identifier: MIT
   The stand-ins of the pico-sdk's clock set-up over the RP2040's registers (RP2040 datasheet, 2.15 and 2.18). */
#include <hardware/clocks.h>
#include <hardware/pll.h>

enum { CRYSTAL_HZ = 12000000, ENABLE = 1 << 11, PLL_DOWN = 0x2d };

static uint32_t hertz[10];

void pll_init(PLL pll, unsigned ref_div, unsigned vco_freq, unsigned post_div1, unsigned post_div2)
{
    pll->cs = ref_div;
    pll->prim = post_div1 << 16 | post_div2 << 12;
    pll->fbdiv_int = vco_freq / (CRYSTAL_HZ / ref_div);
    pll->pwr = 0;
}

void pll_deinit(PLL pll) { pll->pwr = PLL_DOWN; }

bool clock_configure(clock_handle_t clock, uint32_t src, uint32_t auxsrc, uint32_t src_freq, uint32_t freq)
{
    const bool glitchless = clock == clk_ref || clock == clk_sys;
    if (src_freq != freq) {
        return false;
    }
    clocks_hw->clk[clock].ctrl = auxsrc << 5 | src | (glitchless ? 0 : ENABLE);
    hertz[clock] = freq;
    return true;
}

void clock_stop(clock_handle_t clock)
{
    clocks_hw->clk[clock].ctrl &= ~(uint32_t)ENABLE;
    hertz[clock] = 0;
}

uint32_t clock_get_hz(clock_handle_t clock) { return hertz[clock]; }

// clk_sys first: so the emulated Pico, which starts at 125 MHz, never sees another clock.
void clocks_init(void)
{
    clock_configure(clk_sys, CLOCKS_CLK_SYS_CTRL_SRC_VALUE_CLKSRC_CLK_SYS_AUX,
                    CLOCKS_CLK_SYS_CTRL_AUXSRC_VALUE_CLKSRC_PLL_SYS, 125000000, 125000000);
    pll_init(pll_sys, 1, 1500000000, 6, 2);
    pll_init(pll_usb, 1, 480000000, 5, 2);
    clock_configure(clk_ref, CLOCKS_CLK_REF_CTRL_SRC_VALUE_XOSC_CLKSRC, 0, CRYSTAL_HZ, CRYSTAL_HZ);
    clock_configure(clk_peri, 0, CLOCKS_CLK_PERI_CTRL_AUXSRC_VALUE_CLK_SYS, 125000000, 125000000);
    clock_configure(clk_usb, 0, CLOCKS_CLK_USB_CTRL_AUXSRC_VALUE_CLKSRC_PLL_USB, 48000000, 48000000);
    clock_configure(clk_adc, 0, CLOCKS_CLK_ADC_CTRL_AUXSRC_VALUE_CLKSRC_PLL_USB, 48000000, 48000000);
}
