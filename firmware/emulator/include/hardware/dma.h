// SPDX-License-Identifier: MIT - the part of the pico-sdk's header of the same name that microphone_adc.cpp needs
#pragma once
enum dma_channel_transfer_size { DMA_SIZE_8, DMA_SIZE_16, DMA_SIZE_32 };
#define DREQ_ADC 36
