/* SPDX-License-Identifier: MIT
   The firmware's portable C as a program that sanitizers can watch. It reads windows or ADC counts from stdin and writes
   results to stdout; its argument is `windows` or `adc`. Each window ends where its block of memory ends, so that a
   sanitizer sees a read beyond the end. Every second window starts at an odd sample. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lstm.h"
#include "mfcc_q15.h"
#include "recognizer.h"
#include "self_test.h"

void batch_mfcc(const int16_t *windows, int32_t n, int64_t stride, int32_t *raw);

static void *block_of(size_t bytes)
{
    void *const block = malloc(bytes);
    if (!block) {
        exit(2);
    }
    return block;
}

static void take_windows(void)
{
    static int16_t samples[WINDOW_LENGTH];
    static mfcc_t mfcc;
    static lstm_t lstm;
    for (int odd = 0; fread(samples, sizeof samples, 1, stdin) == 1; odd ^= 1) {
        int16_t *const block = block_of(sizeof samples + (odd ? 2 : 0)), *const window = block + odd;
        int32_t *const raw = block_of(sizeof(int32_t) * N_FRAMES * N_MFCC);
        int8_t *const features = block_of(N_FRAMES * N_MFCC), scores[N_CLASSES];
        static int32_t mfccs[N_FRAMES][N_MFCC];
        memcpy(window, samples, sizeof samples);
        mfcc_init(&mfcc);
        lstm_reset(&lstm);
        for (int i = 0; i < N_FRAMES; i++) {
            mfcc_frame(&mfcc, window + i * FRAME_STEP, mfccs[i]);
        }
        mfcc_features(mfccs, (int8_t(*)[N_MFCC])features);
        for (int i = 0; i < N_FRAMES; i++) {
            lstm_step(&lstm, features + i * N_MFCC);
        }
        lstm_scores(&lstm, scores);
        batch_mfcc(window, 1, WINDOW_LENGTH, raw);
        fwrite(raw, sizeof(int32_t), N_FRAMES * N_MFCC, stdout);
        fwrite(features, 1, N_FRAMES * N_MFCC, stdout);
        fwrite(scores, 1, sizeof scores, stdout);
        free(block), free(raw), free(features);
    }
}

/* Pushes pieces of changing length, because a board delivers pieces of any length. */
static void take_adc(void)
{
    static uint16_t piece[FRAME_STEP];
    static recognizer_t recognizer;
    recognizer_init(&recognizer);
    for (size_t wanted = 1, n; (n = fread(piece, 2, wanted, stdin)) > 0; wanted = wanted * 7 % FRAME_STEP + 1) {
        decision_t d;
        recognizer_push(&recognizer, piece, n);
        while (recognizer_pending(&recognizer)) {
            if (recognizer_step(&recognizer, &d)) {
                printf("%u %d %d %d %d %s\n", (unsigned)d.window, d.vote, d.confidence, d.silent, d.unsure,
                       recognizer_says(&d));
            }
        }
    }
}

int main(int count, char **words)
{
    static recognizer_t recognizer;
    if (!recognizer_self_test(&recognizer)) {
        return 1;
    }
    if (count > 1 && !strcmp(words[1], "adc")) {
        take_adc();
    } else {
        take_windows();
    }
    return 0;
}
