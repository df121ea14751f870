// SPDX-License-Identifier: MIT
// The PDM microphone of a SparkFun RedBoard Artemis Nano, by the PDM library of the Apollo3 core 2.x. The library keeps
// two blocks of 4096 samples. When a third one is complete, it drops all three. It reads the two in the wrong order if
// another one came in between. So microphoneAvailable() must be called at least every 186 ms, the length of a block: it
// takes over what waits.
#include "microphone.h"

#if MICROPHONE == MICROPHONE_PDM
#include <Arduino.h>
#include <PDM.h>

static constexpr size_t BLOCK = 4096, ROOM = 3;  // the library's block; how many of them are kept here
static constexpr uint32_t CLOCK = 1500000, DECIMATION = 34;
static constexpr uint32_t BLOCK_US = 1000000ull * BLOCK * 2 * DECIMATION / CLOCK;

static AP3_PDM *pdm;
static uint16_t ring[ROOM][BLOCK];
static size_t first, waiting, taken;  // the oldest block, how many there are, samples read from the oldest one
static size_t before;                 // how many of them are older than a loss
static uint32_t lost, lossAhead;      // before the samples read last; and behind these blocks
static uint32_t lastBlock;            // when it was taken, in microseconds
static bool sampling;

static am_hal_pdm_config_t configuration()
{
    am_hal_pdm_config_t chosen = ap3_pdm_config_default;
    chosen.ePDMClkSpeed = AM_HAL_PDM_CLK_1_5MHZ;
    chosen.ui32DecimationRate = DECIMATION;
    chosen.eLeftGain = chosen.eRightGain = AM_HAL_PDM_GAIN_P90DB;  // 9 dB, as in the library's example for this board
    return chosen;
}

// The rate is that of the nearest divider: 22058.8 Hz. The ring is the library's and the one here, whatever is asked for.
bool microphoneBegin(uint32_t, size_t, size_t)
{
    pdm = new AP3_PDM;
    sampling = pdm->begin() && pdm->updateConfig(configuration());
    lastBlock = micros();
    return sampling;
}

const char *microphoneProblem() { return sampling ? nullptr : "the PDM library does not start"; }

const char *microphoneName() { return "PDM"; }

microphone_clock_t microphoneClock() { return {CLOCK, 256 * 2 * DECIMATION}; }

// Each overrun drops three blocks, but the library only tells that there were some. How many, the clock tells.
static uint32_t countLost(uint32_t now, size_t blocks)
{
    const uint32_t passed = (now - lastBlock + BLOCK_US / 2) / BLOCK_US;
    const uint32_t dropped = passed > blocks ? (passed - blocks + 1) / 3 : 0;
    return 3 * BLOCK * (dropped ? dropped : 1);
}

// Takes over the library's blocks when there is room for both: so their order is that in which they were filled.
static void takeBlocks()
{
    const size_t older = waiting;
    while (older + 2 <= ROOM && waiting < older + 2 && pdm->available()) {
        pdm->getData(ring[(first + waiting++) % ROOM], BLOCK);
    }
    const uint32_t now = micros(), blocks = waiting - older;
    const bool overrun = pdm->isOverrun();
    if (overrun) {
        before = lossAhead ? before : older;
        lossAhead += countLost(now, blocks);
    }
    lastBlock = overrun || blocks ? now : lastBlock;
}

size_t microphoneAvailable()
{
    if (sampling) {
        takeBlocks();
    }
    return waiting * BLOCK - taken;
}

size_t microphoneRead(sample_t *to, size_t n)
{
    size_t done = 0, available = microphoneAvailable();
    if (lossAhead && before) {
        available = before * BLOCK - taken;
    } else {
        lost += lossAhead;
        lossAhead = 0;
    }
    while (done < n && done < available) {
        to[done++] = static_cast<sample_t>(ring[first][taken++]);
        if (taken == BLOCK) {
            taken = 0;
            first = (first + 1) % ROOM;
            waiting--;
            before -= before > 0;
        }
    }
    return done;
}

uint32_t microphoneLost() { return lost; }

void microphoneWait(size_t n)
{
    if (microphoneAvailable() < n) {
        delay(1);
    }
}
#endif
