/* SPDX-License-Identifier: MIT
   The stages of the firmware one after the other over windows of audio, each between two marks: cycles per stage
   (mgr_helpers/pico/costs.py). Writes the int8 features, which must be those of the whole firmware. */
#include "emulator.h"
#include "lstm.h"
#include "mfcc_stages.h"
#include "recognizer.h"

static int16_t window[WINDOW_LENGTH] PAIR_ALIGNED;
static uint16_t counts[FRAME_STEP];
static int16_t bins[2 * N_BINS] PAIR_ALIGNED;
static int32_t logs[N_MELS];
static recognizer_t recognizer;
static lstm_t lstm;
static volatile int32_t last_log;

/* The assembly for the Cortex-M0+ does butterflies in the window's pass: both are one stage there. */
enum { WINDOW_STAGE = 2, FFT_STAGE = MGR_M0PLUS ? WINDOW_STAGE : 3 };

#define STAGE(n, call) do { emulator_mark(n); call; emulator_mark(0); } while (0)

/* The first FRAME_STEP counts complete no frame: recognizer_push() only converts them. */
static void remove_bias(const int16_t *samples)
{
    for (int i = 0; i < FRAME_STEP; i++) {
        counts[i] = (uint16_t)((samples[i] >> (16 - ADC_BITS)) + (1 << (ADC_BITS - 1)));
    }
    recognizer_init(&recognizer);
    STAGE(1, recognizer_push(&recognizer, counts, FRAME_STEP));
}

/* Stage 5 includes the logarithms. Stage 6 is the logarithms alone, of Mel sums of the same size. */
static void take_logs(int frame_shift, int spectrum_shift)
{
    uint32_t sums[N_MELS];
    for (int band = 0; band < N_MELS; band++) {
        sums[band] = 0x9c3fb5a1u >> (31 - ((logs[band] >> 9) + frame_shift + spectrum_shift));
    }
    emulator_mark(6);
    for (int band = 0; band < N_MELS; band++) {
        last_log = mfcc_log2_q9(sums[band]);
    }
    emulator_mark(0);
}

static void frame_features(const int16_t *frame, int32_t *raw)
{
    static int32_t level;
    uint16_t *const magnitude = (uint16_t *)bins;
    const int frame_shift = mfcc_frame_shift(frame);  // the recognizer knows it from stage 1
    int spectrum_shift;
    STAGE(WINDOW_STAGE, mfcc_window(frame, frame_shift, bins));
    STAGE(FFT_STAGE, mfcc_spectrum(bins));
    STAGE(4, spectrum_shift = mfcc_magnitudes(bins, magnitude));
    STAGE(5, mfcc_log_mel(magnitude, frame_shift, spectrum_shift, logs));
    take_logs(frame_shift, spectrum_shift);
    STAGE(7, mfcc_dct(logs, raw));
    const int32_t c0 = raw[0];
    raw[0] = frame == window ? 0 : c0 - level;
    level = c0;
}

int main(void)
{
    static int32_t raw[N_FRAMES][N_MFCC];
    static int8_t features[N_FRAMES][N_MFCC];
    int8_t scores[N_CLASSES];
    while (emulator_read(window, sizeof window) == sizeof window) {
        for (int i = 0; i < N_FRAMES; i++) {
            remove_bias(window + i * FRAME_STEP);
        }
        lstm_reset(&lstm);
        for (int i = 0; i < N_FRAMES; i++) {
            frame_features(window + i * FRAME_STEP, raw[i]);
        }
        STAGE(8, mfcc_features(raw, features));
        for (int i = 0; i < N_FRAMES; i++) {
            STAGE(9, lstm_step(&lstm, features[i]));
        }
        emulator_write(features, sizeof features);
        STAGE(10, lstm_scores(&lstm, scores));
    }
    emulator_exit(0);
    return 0;
}
