/* SPDX-License-Identifier: MIT
   Stand-in for the PDM library of SparkFun's Apollo3 core 2.x: blocks of 4096 samples from the runner's input, zeros
   after its end. As there, a block goes to the first buffer if that is free, else to the second; if none is, all three
   blocks are dropped; getData() reads the first buffer first. */
#pragma once
#include <Arduino.h>

enum am_hal_pdm_clkspd_e { AM_HAL_PDM_CLK_6MHZ = 6000000, AM_HAL_PDM_CLK_1_5MHZ = 1500000 };
enum am_hal_pdm_gain_e { AM_HAL_PDM_GAIN_0DB, AM_HAL_PDM_GAIN_P90DB };

struct am_hal_pdm_config_t {
    am_hal_pdm_gain_e eLeftGain, eRightGain;
    uint32_t ui32DecimationRate;
    am_hal_pdm_clkspd_e ePDMClkSpeed;
};
constexpr am_hal_pdm_config_t ap3_pdm_config_default = {AM_HAL_PDM_GAIN_0DB, AM_HAL_PDM_GAIN_0DB, 64,
                                                        AM_HAL_PDM_CLK_6MHZ};

class AP3_PDM {
public:
    bool begin();
    bool updateConfig(am_hal_pdm_config_t configuration);
    bool available() { return full_[0] || full_[1]; }
    bool isOverrun();
    uint32_t getData(uint16_t *to, uint32_t samples);
    void blockDone();  // for the interrupt handler

private:
    static constexpr size_t BLOCK = 4096;
    uint16_t buffers_[2][BLOCK];
    volatile bool full_[2] = {}, overrun_ = false;
};
