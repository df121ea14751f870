// SPDX-License-Identifier: MIT
// What microphones share whose samples come through the arduino-pico core's ring of blocks (AudioBufferManager): how many
// samples it lost, and waiting for the next. For one microphone_*.cpp.
#ifndef MICROPHONE_RING_H
#define MICROPHONE_RING_H

#include <hardware/sync.h>

#include "microphone.h"

static size_t blockLength;
static volatile uint32_t blocksDone;  // filled by the DMA, including those that the ring had no room for
static uint32_t samplesRead;

static void onBlock() { blocksDone = blocksDone + 1; }

// The ring silently drops blocks when the sketch is too slow: lost = sampled - read - waiting. But it keeps the first one
// that it has no room for, and delivers it later. So a loss lies behind what waits and that block.
uint32_t microphoneLost()
{
    static uint32_t seen, told, place;
    const uint32_t status = save_and_disable_interrupts();
    const uint32_t waiting = microphoneAvailable(), lost = blocksDone * blockLength - samplesRead - waiting;
    restore_interrupts(status);
    if (lost != seen) {
        seen = lost;
        place = samplesRead + waiting + blockLength;
    }
    told = static_cast<int32_t>(samplesRead - place) > 0 ? seen : told;
    return told;
}

// Interrupts are held back between the test and the sleep, so that none comes in between: it would be missed, and the
// sleep would last until the next one.
void microphoneWait(size_t n)
{
    const uint32_t status = save_and_disable_interrupts();
    if (microphoneAvailable() < n) {
        __wfi();
    }
    restore_interrupts(status);
}

#endif
