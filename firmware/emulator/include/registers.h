/* SPDX-License-Identifier: MIT
   The RP2040's registers that the stand-ins use, with the names of the pico-sdk (RP2040 datasheet, chapters 2 and 4).
   Those of the ADC are in hardware/adc.h. */
#pragma once
#include <stdint.h>

typedef volatile uint32_t io_rw_32;

typedef struct {
    struct {
        io_rw_32 status, ctrl;
    } io[30];
} io_bank0_hw_t;
#define io_bank0_hw ((io_bank0_hw_t *)0x40014000u)

typedef struct {
    io_rw_32 voltage_select, io[30];
} pads_bank0_hw_t;
#define pads_bank0_hw ((pads_bank0_hw_t *)0x4001c000u)

typedef struct {
    io_rw_32 dr, rsr, reserved[4], fr, reserved1, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc;
} uart_hw_t;
#define uart0_hw ((uart_hw_t *)0x40034000u)

typedef struct {
    io_rw_32 timehw, timelw, timehr, timelr, alarm[4], armed, timerawh, timerawl, dbgpause, pause, intr, inte;
} timer_hw_t;
#define timer_hw ((timer_hw_t *)0x40054000u)

typedef struct {
    struct {
        io_rw_32 read_addr, write_addr, transfer_count, ctrl_trig, al1_ctrl, reserved[11];
    } ch[16];  // the RP2040 has 12
    io_rw_32 intr, inte0, intf0, ints0, reserved[8], multi_channel_trigger, sniff_ctrl, sniff_data, reserved1;
    io_rw_32 fifo_levels, abort;
} dma_hw_t;
#define dma_hw ((dma_hw_t *)0x50000000u)

typedef struct {
    io_rw_32 cpuid, gpio_in, gpio_hi_in, reserved, gpio_out, gpio_set, gpio_clr, gpio_togl, gpio_oe, gpio_oe_set;
    io_rw_32 gpio_oe_clr;
} sio_hw_t;
#define sio_hw ((sio_hw_t *)0xd0000000u)

typedef struct {
    io_rw_32 iser;
} nvic_hw_t;
#define nvic_hw ((nvic_hw_t *)0xe000e100u)

#ifdef __cplusplus
#define REGISTER_AT(type, member, offset) static_assert(__builtin_offsetof(type, member) == offset, #member)
REGISTER_AT(uart_hw_t, fr, 0x18);
REGISTER_AT(uart_hw_t, imsc, 0x38);
REGISTER_AT(timer_hw_t, timerawl, 0x28);
REGISTER_AT(timer_hw_t, inte, 0x38);
REGISTER_AT(dma_hw_t, inte0, 0x404);
REGISTER_AT(dma_hw_t, multi_channel_trigger, 0x430);
REGISTER_AT(dma_hw_t, abort, 0x444);
REGISTER_AT(sio_hw_t, gpio_oe_clr, 0x28);
#undef REGISTER_AT
#endif
