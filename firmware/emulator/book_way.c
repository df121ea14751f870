/* SPDX-License-Identifier: MIT
   The features of the TinyML Cookbook's recipe, frame by frame, each stage between two marks: the benchmark compares
   ours with them (mgr_helpers/pico/costs.py). Written anew from the recipe, like mgr_helpers/features/mfcc_book.py:
   dense Mel, a log table of 64 KB, float output. book_tables.h is generated when the image is built. */
#include "cmsis/arm_math.h"
#include "book_tables.h"
#include "emulator.h"

static q15_t frame[FRAME_LENGTH];   /* in the book, a part of the clip's buffer */
static q15_t windowed[FFT_LENGTH];  /* later the magnitudes */
static q15_t fft[2 * FFT_LENGTH];   /* later Mel, log Mel and MFCCs */
static float features[BOOK_N_MFCC];

#define STAGE(n, call) do { emulator_mark(n); call; emulator_mark(0); } while (0)

/* As in the recipe, the first and the last bin get no magnitude: no Mel band reads them. */
static void magnitudes(q15_t *magnitude)
{
    magnitude[0] = fft[0];
    arm_cmplx_mag_q15(fft + 2, magnitude + 1, N_BINS - 2);
    magnitude[N_BINS - 1] = fft[1];
}

static void look_up_log(const q15_t *mel, q15_t *log_mel)
{
    for (int band = 0; band < N_MELS; band++) {
        log_mel[band] = LOG_TABLE[mel[band]];
    }
}

static void to_float(const q15_t *mfcc)
{
    for (int k = 0; k < BOOK_N_MFCC; k++) {
        features[k] = (float)mfcc[k] / 8.0f;
    }
}

int main(void)
{
    const arm_matrix_instance_q15 mel_matrix = {N_MELS, N_BINS, (q15_t *)MEL_TABLE};
    const arm_matrix_instance_q15 dct_matrix = {BOOK_N_MFCC, N_MELS, (q15_t *)DCT_TABLE};
    q15_t *const magnitude = windowed, *const mel = fft, *const log_mel = mel + N_MELS, *const mfcc = log_mel + N_MELS;
    arm_rfft_instance_q15 rfft;
    _Static_assert(FFT_LENGTH == 2048, "the call below names the length");
    arm_rfft_init_2048_q15(&rfft, 0, 1);
    while (emulator_read(frame, sizeof frame) == sizeof frame) {
        STAGE(1, arm_mult_q15(frame, HANN_TABLE, windowed, FRAME_LENGTH));
        STAGE(2, arm_rfft_q15(&rfft, windowed, fft));
        STAGE(3, magnitudes(magnitude));
        STAGE(4, arm_mat_vec_mult_q15(&mel_matrix, magnitude, mel));
        STAGE(5, look_up_log(mel, log_mel));
        STAGE(6, arm_mat_vec_mult_q15(&dct_matrix, log_mel, mfcc));
        STAGE(7, to_float(mfcc));
        emulator_write(features, sizeof features);
    }
    emulator_exit(0);
    return 0;
}
