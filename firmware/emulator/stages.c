/* SPDX-License-Identifier: MIT
   One stage of the chain after the other, each with a mark around it: cycles per stage (mgr_helpers/bench.py). */
#include "emulator.h"
#include "lstm.h"
#include "mfcc_q15.h"

static int16_t frame[FRAME_LENGTH];
static int16_t windowed[FFT_LENGTH], fft[2 * FFT_LENGTH];

#define STAGE(n, call) do { emulator_mark(n); call; emulator_mark(0); } while (0)

int main(void)
{
    lstm_reset();
    while (emulator_read(frame, sizeof frame) == sizeof frame) {
        uint16_t *const magnitude = (uint16_t *)windowed;
        int32_t logs[N_MELS];
        int32_t raw[N_MFCC];
        int8_t features[N_MFCC], scores[N_GENRES];
        int shift;
        STAGE(1, shift = block_scale_window(frame, windowed));
        STAGE(2, spectrum(windowed, fft));
        STAGE(3, shift += magnitudes(fft, magnitude));
        STAGE(4, log_mel(magnitude, shift, logs));
        STAGE(5, raw_mfcc(logs, raw));
        STAGE(6, quantize(raw, features));
        STAGE(7, lstm_step(features));
        STAGE(8, lstm_scores(scores));
    }
    emulator_exit(0);
    return 0;
}
