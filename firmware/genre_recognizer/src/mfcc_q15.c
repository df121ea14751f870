// SPDX-License-Identifier: MIT
#include "mfcc_q15.h"

#include <string.h>

#if !__has_include("cmsis/arm_math.h")
#error "CMSIS-DSP is missing here. Run `make firmware`, and open build/sketches/genre_recognizer instead."
#endif
#include "cmsis/arm_const_structs.h"
#include "cmsis/arm_math.h"
#include "generated/tables.h"
#include "m0plus/m0plus.h"
#include "mfcc_stages.h"

#if MGR_M0PLUS
static m0plus_row_t rows[FFT_LENGTH / 8];

static uint32_t pair_of(int16_t first, int16_t second) { return (uint16_t)first | (uint32_t)second << 16; }

static int16_t hann(int i) { return HANN[i <= FFT_LENGTH / 2 ? i : FFT_LENGTH - i]; }

// The table of m0plus.h: row b is of point b with its bits reversed.
static void copy_fft_constants(void)
{
    for (int b = 0; b < FFT_LENGTH / 8; b++) {
        int n = 0;
        for (int bit = 1; bit < FFT_LENGTH / 8; bit <<= 1) {
            n = 2 * n + ((b & bit) != 0);
        }
        rows[b].offset = (uint32_t)n * sizeof(pair_t);
        for (int i = 1; i < 4; i++) {
            rows[b].twiddle[i - 1] = pair_of(CFFT.pTwiddle[2 * i * n], CFFT.pTwiddle[2 * i * n + 1]);
        }
        for (int i = 0; i < 4; i++) {
            const int at = 2 * n + i * FFT_LENGTH / 4;
            rows[b].weight[i] = pair_of(hann(at), hann(at + 1));
        }
    }
}
#else
static const arm_cfft_instance_q15 *cfft = &CFFT;

// Copies CMSIS-DSP's constants of the FFT to RAM: 1.5 n numbers, and at most n for the order of bits.
static void copy_fft_constants(void)
{
#ifdef HOT_IN_RAM
    static int16_t twiddles[3 * FFT_LENGTH / 4] PAIR_ALIGNED;
    static uint16_t order[FFT_LENGTH / 2] PAIR_ALIGNED;
    static arm_cfft_instance_q15 copy;
    copy = CFFT;
    memcpy(twiddles, CFFT.pTwiddle, sizeof twiddles);
    memcpy(order, CFFT.pBitRevTable, CFFT.bitRevLength * sizeof order[0]);
    copy.pTwiddle = twiddles;
    copy.pBitRevTable = order;
    cfft = &copy;
#endif
}
#endif

void mfcc_init(mfcc_t *mfcc)
{
    copy_fft_constants();
    mfcc->n_frames = 0;
    mfcc_reset(mfcc);
}

void mfcc_reset(mfcc_t *mfcc) { mfcc->first_frame = true; }

int mfcc_frame(mfcc_t *mfcc, const int16_t frame[FRAME_LENGTH], int32_t raw[N_MFCC])
{
    const int frame_shift = mfcc_frame_shift(frame);
    mfcc_shifted_frame(mfcc, frame, frame_shift, raw);
    return frame_shift;
}

void mfcc_shifted_frame(mfcc_t *mfcc, const int16_t frame[FRAME_LENGTH], int frame_shift, int32_t raw[N_MFCC])
{
    mfcc_window(frame, frame_shift, mfcc->bins);
    mfcc_raw(frame_shift, mfcc->bins, mfcc->logs, raw);
    mfcc->n_frames++;

    const int32_t c0 = raw[0];
    raw[0] = mfcc->first_frame ? 0 : c0 - mfcc->level;
    mfcc->level = c0;
    mfcc->first_frame = false;
}

// Sums of 20 frames may need 35 bits.
void mfcc_features(int32_t raw[N_FRAMES][N_MFCC], int8_t features[N_FRAMES][N_MFCC])
{
    for (int k = 1; k < N_MFCC; k++) {
        int64_t sum = 0;
        for (int i = 0; i < N_FRAMES; i++) {
            sum += raw[i][k];
        }
        const int32_t taken = (int32_t)((sum * MEAN_MULTIPLIER + (1 << (MEAN_SHIFT - 1))) >> MEAN_SHIFT);
        for (int i = 0; i < N_FRAMES; i++) {
            raw[i][k] -= taken;
        }
    }
    for (int i = 0; i < N_FRAMES; i++) {
        mfcc_quantize(raw[i], features[i]);
    }
}

void mfcc_raw(int frame_shift, int16_t bins[2 * N_BINS], int32_t logs[N_MELS], int32_t raw[N_MFCC])
{
    uint16_t *const magnitude = (uint16_t *)bins;  // a magnitude overwrites only bins that are no longer needed
    mfcc_spectrum(bins);
    const int spectrum_shift = mfcc_magnitudes(bins, magnitude);
    mfcc_log_mel(magnitude, frame_shift, spectrum_shift, logs);
    mfcc_dct(logs, raw);
}

// The highest set bit of x ^ 2x shows how many bits x needs. A word holds two numbers, which are tested at once.
static uint32_t bits_seen(const int16_t *values, int n)
{
    const int16_t *const end = values + n;
    uint32_t seen = 0;
    for (; ((uintptr_t)values & 2) && values < end; values++) {
        seen |= (uint32_t)(*values ^ (*values * 2));
    }
    for (; values + 8 <= end; values += 8) {
        const pair_t *const pair = (const pair_t *)values;
        seen |= pair[0] ^ (pair[0] << 1);
        seen |= pair[1] ^ (pair[1] << 1);
        seen |= pair[2] ^ (pair[2] << 1);
        seen |= pair[3] ^ (pair[3] << 1);
    }
    for (; values < end; values++) {
        seen |= (uint32_t)(*values ^ (*values * 2));
    }
    return seen;
}

int mfcc_headroom(uint32_t seen)
{
    int shift = 15;
    for (seen = (seen | seen >> 16) & 0xFFFE; seen >>= 1;) {
        shift--;
    }
    return shift;
}

int mfcc_frame_shift(const int16_t frame[FRAME_LENGTH]) { return mfcc_headroom(bits_seen(frame, FRAME_LENGTH)); }

// arm_shift_q15 and arm_mult_q15 in one pass. The shift is at most the headroom and the window is below 1.0, so neither
// can saturate.
void mfcc_window(const int16_t frame[FRAME_LENGTH], int shift, int16_t out[2 * N_BINS])
{
#if MGR_M0PLUS
    m0plus_first_pass(frame, (pair_t *)out, rows, 17 - shift);
#else
    const int down = 15 - shift;
    const int half = FRAME_LENGTH / 2;
    const int16_t *up = frame + 1, *back = frame + FRAME_LENGTH - 1, *weight = HANN + 1;
    int16_t *low = out + 1, *high = out + FRAME_LENGTH - 1;
    out[0] = (int16_t)((frame[0] * HANN[0]) >> down);
    while (low < out + half) {  // HANN has the first half only: the window is symmetric
        const int32_t w = *weight++;
        *low++ = (int16_t)((*up++ * w) >> down);
        *high-- = (int16_t)((*back-- * w) >> down);
    }
    out[half] = (int16_t)((frame[half] * HANN[half]) >> down);
    for (int i = FRAME_LENGTH; i < FFT_LENGTH; i++) {
        out[i] = 0;
    }
#endif
}

// Bins k and n - k of the real FFT, X, from those of the complex FFT of n = FFT_LENGTH / 2 points, Z, in place:
//     X[k]     = (conj Z[n - k] + w (Z[k] - conj Z[n - k])) / 2
//     X[n - k] = conj(Z[k]      - w (Z[k] - conj Z[n - k])) / 2
// w = c + i s. `coefficients` holds c = (1 - sin) / 2 in its lower half and s = -cos / 2 in its upper half, both Q0.15.
// The bits are those of CMSIS-DSP's arm_split_rfft_q15, whose sums wrap at 2^32. It has 1 - c in a table, where 32768
// is clipped to 32767: `clipped` is 1 for these bins and 0 for the others.
static inline void split_pair(pair_t *low, pair_t *high, uint32_t coefficients, uint32_t clipped)
{
    const uint32_t c = coefficients & 0xFFFF, s = (uint32_t)((int32_t)coefficients >> 16);
    const uint32_t a_re = (uint32_t)(int16_t)*low, a_im = (uint32_t)((int32_t)*low >> 16);
    const uint32_t b_re = (uint32_t)(int16_t)*high, b_im = (uint32_t)((int32_t)*high >> 16);
    const uint32_t difference = a_re - b_re, sum = a_im + b_im;
    const uint32_t re = difference * c - sum * s, im = sum * c + difference * s;
    const uint32_t low_re = (b_re << 15) + re - clipped * b_re, low_im = im - (b_im << 15) + clipped * b_im;
    const uint32_t high_re = (a_re << 15) - re - clipped * a_re, high_im = im - (a_im << 15) + clipped * a_im;
    *low = (low_re >> 16) | (low_im & 0xFFFF0000u);
    *high = (high_re >> 16) | (high_im & 0xFFFF0000u);
}

#if MGR_M0PLUS
void mfcc_spectrum(int16_t bins[2 * N_BINS]) { m0plus_passes((pair_t *)bins, rows); }

// The least power of 4 that is more than the squares of both parts of a bin, or `limit` if that is more.
static uint32_t power_limit(pair_t bin, uint32_t limit)
{
    const int32_t re = (int16_t)bin, im = (int32_t)bin >> 16;
    const uint32_t most = (uint32_t)((re ^ (re >> 31)) | (im ^ (im >> 31)));
    while (most * most >= limit) {
        limit <<= 2;
    }
    return limit;
}

uint32_t m0plus_louder(const pair_t *low, const pair_t *high, uint32_t coefficients, uint32_t limit)
{
    pair_t first = *low, second = *high;
    split_pair(&first, &second, coefficients, 0);
    return power_limit(first, power_limit(second, limit));
}

// A bin to its power. Returns the limit, which only bins that the Mel bands use can raise.
static uint32_t take_bin(pair_t *bin, int k, uint32_t limit)
{
    const int32_t re = (int16_t)*bin, im = (int32_t)*bin >> 16;
    limit = k >= FIRST_BIN && k < END_BIN ? power_limit(*bin, limit) : limit;
    *bin = (uint32_t)(re * re) + (uint32_t)(im * im);
    return limit;
}

// Pairs of points from `first` to `last` to powers.
static uint32_t take_pairs(pair_t *all, int first, int last, uint32_t clipped, uint32_t limit)
{
    for (int k = first; k <= last; k++) {
        const int mirror = FFT_LENGTH / 2 - k;
        split_pair(all + k, all + mirror, SPLIT[k], clipped);
        limit = take_bin(all + k, k, limit);
        limit = mirror == k ? limit : take_bin(all + mirror, mirror, limit);
    }
    return limit;
}

// Pairs of which a bin is not used, and those in the middle, whose coefficients are clipped, are taken one by one, the
// others by assembly. From here on a bin's power re^2 + im^2 takes its place.
int mfcc_magnitudes(const int16_t bins[2 * N_BINS], uint16_t magnitude[N_BINS])
{
    enum { MIRROR = FFT_LENGTH / 2 + 1 - END_BIN, USED = FIRST_BIN > MIRROR ? FIRST_BIN : MIRROR };
    enum { FIRST = USED < SPLIT_CLIPPED ? USED : SPLIT_CLIPPED };
    pair_t *const all = (pair_t *)(uintptr_t)bins;
    int shift = 15;
    (void)magnitude;  // the same buffer
    uint32_t limit = take_pairs(all, 1, FIRST - 1, 0, 1);
    limit = take_pairs(all, SPLIT_CLIPPED, FFT_LENGTH / 4, 1, limit);
    if (FIRST < SPLIT_CLIPPED) {
        limit = m0plus_powers(all + FIRST, all + SPLIT_CLIPPED, (uintptr_t)SPLIT - (uintptr_t)all,
                              2 * (uintptr_t)all + FFT_LENGTH / 2 * sizeof *all, limit);
    }
    for (; limit > 1; limit >>= 2) {
        shift--;
    }
    return shift < MAX_SPECTRUM_SHIFT ? shift : MAX_SPECTRUM_SHIFT;
}
#else
void mfcc_spectrum(int16_t bins[2 * N_BINS])
{
    pair_t *low = (pair_t *)bins, *high = low + FFT_LENGTH / 2;
    arm_cfft_q15(cfft, bins, 0, 1);
    const int32_t re = bins[0], im = bins[1];
    *low++ = (uint32_t)((re + im) >> 1) & 0xFFFF;
    *high-- = (uint32_t)((re - im) >> 1) & 0xFFFF;
    const uint32_t *coefficients = SPLIT + 1;
    while (coefficients < SPLIT + SPLIT_CLIPPED) {
        split_pair(low++, high--, *coefficients++, 0);
    }
    while (low <= high) {
        split_pair(low++, high--, *coefficients++, 1);
    }
}
#endif

static uint32_t slow_root(uint32_t x)
{
    q31_t result;
    arm_sqrt_q31((q31_t)x, &result);
    return (uint32_t)result >> 16;
}

// The root of x / 2 with the bits of CMSIS-DSP. CMSIS-DSP's root is exact except near x = 2 r^2, where it can be one
// off: for x < 2^27 only at 2 r^2 itself, above that within 13 of it (a test tries every x). So there are three steps:
//   1. A table and a chord between its entries, corrected to the exact root.
//   2. LOW_SQUARES: a bit for each r where CMSIS-DSP is one too low.
//   3. CMSIS-DSP itself for the few x >= 2^27 where it may be off.

// Step 1 for y = x / 2: y >> bits must be in 64..1023, or bits must be 0 and y below 1024. The result is the root or
// one less.
static inline uint32_t chord(uint32_t y, int bits)
{
    const uint32_t index = y >> bits;
    const uint16_t *const left = ROOTS + index;
    const uint32_t rise = (uint32_t)(left[1] - left[0]) * (y - (index << bits));
    return (left[0] + (rise >> bits)) >> (ROOT_FRACTION_BITS - bits / 2);
}

// All three steps for x >= 2^27.
static __attribute__((noinline)) uint32_t large_root(uint32_t x)
{
    uint32_t r = chord(x >> 1, 20);
    while ((r + 1) * (r + 1) <= x >> 1) {
        r++;
    }
    const uint32_t rest = x - 2 * r * r;  // 0 to 4 r + 1
    return rest <= 13 || rest + 13 > 4 * r + 1 ? slow_root(x) : r;
}

static inline uint32_t root_inline(uint32_t x)
{
    const uint32_t y = x >> 1;
    uint32_t r;
    if (y >> 18) {
        if (y >> 26) {
            return large_root(x);
        }
        r = y >> 22 ? chord(y, 16) : chord(y, 12);
    } else if (y >> 10) {
        r = y >> 14 ? chord(y, 8) : chord(y, 4);
    } else {
        r = chord(y, 0);
    }
    uint32_t square = r * r;
    if (square + 2 * r + 1 <= y) {
        square += 2 * r + 1;
        r++;
    }
    return 2 * square == x ? r - ((LOW_SQUARES[r >> 5] >> (r & 31)) & 1) : r;
}

uint32_t mfcc_root(uint32_t x) { return root_inline(x); }

#if MGR_M0PLUS
uint32_t m0plus_large_root(uint32_t x) { return large_root(x); }
#else
int mfcc_magnitudes(const int16_t bins[2 * N_BINS], uint16_t magnitude[N_BINS])
{
    int shift = mfcc_headroom(bits_seen(bins + 2 * FIRST_BIN, 2 * (END_BIN - FIRST_BIN)));
    if (shift > MAX_SPECTRUM_SHIFT) {
        shift = MAX_SPECTRUM_SHIFT;
    }
    for (int bin = FIRST_BIN; bin < END_BIN; bin++) {
        const int32_t re = bins[2 * bin] * (1 << shift);
        const int32_t im = bins[2 * bin + 1] * (1 << shift);
        magnitude[bin] = (uint16_t)root_inline(((uint32_t)(re * re) + (uint32_t)(im * im)) >> 1);
    }
    return shift;
}
#endif

int32_t mfcc_log2_q9(uint32_t value)
{
    const int exponent = 31 - __builtin_clz(value);
    const uint32_t mantissa = value << (31 - exponent);
    const uint32_t index = (mantissa >> 25) & (LOG_SEGMENTS - 1);
    const uint32_t fraction = (mantissa >> 9) & 0xFFFF;
    const uint32_t left = LOG2[index];
    const uint32_t fine = left + (((LOG2[index + 1] - left) * fraction) >> 16);
    return (exponent << LOG_FRACTION_BITS) + (int32_t)((fine + 32) >> 6);
}

// The sums fit 32 bits for shifts up to MAX_SPECTRUM_SHIFT: mfcc_q15.mel_sum_bound() proves it.
void mfcc_log_mel(const uint16_t magnitude[N_BINS], int frame_shift, int spectrum_shift, int32_t logs[N_MELS])
{
#if MGR_M0PLUS && defined(MEL_PAIRED)
    static const m0plus_mel_t tables = {MEL_RISE, ROOTS, MEL_SEGMENTS, LOW_SQUARES};
    uint32_t sums[N_MELS + 2] = {0};
    m0plus_mel((const pair_t *)magnitude + FIRST_BIN, &tables, 2 * spectrum_shift, sums);
    for (int band = 0; band < N_MELS; band++) {
        const uint32_t sum = sums[band + 1] + (LOG_FLOOR << spectrum_shift);
        logs[band] = mfcc_log2_q9(sum) - ((frame_shift + spectrum_shift) << LOG_FRACTION_BITS);
    }
#else
#if MGR_M0PLUS
    uint16_t *const roots = (uint16_t *)(uintptr_t)magnitude;  // of the powers that are there until now
    for (int bin = FIRST_BIN; bin < END_BIN; bin++) {
        roots[bin] = (uint16_t)root_inline((((const pair_t *)magnitude)[bin] << (2 * spectrum_shift)) >> 1);
    }
#endif
    const uint8_t *weight = MEL_WEIGHTS;
    for (int band = 0; band < N_MELS; band++) {
        const uint16_t *bin = magnitude + MEL_FIRST_BIN[band];
        const uint8_t *const end = weight + MEL_N_BINS[band];
        uint32_t sum = LOG_FLOOR << spectrum_shift;  // relative to the loudest sample, the floor is fixed
        for (; weight + 4 <= end; weight += 4, bin += 4) {
            sum += (uint32_t)bin[0] * weight[0] + (uint32_t)bin[1] * weight[1];
            sum += (uint32_t)bin[2] * weight[2] + (uint32_t)bin[3] * weight[3];
        }
        while (weight < end) {
            sum += (uint32_t)*bin++ * *weight++;
        }
        logs[band] = mfcc_log2_q9(sum) - ((frame_shift + spectrum_shift) << LOG_FRACTION_BITS);
    }
#endif
}

// The cosines of even rows are symmetric about the middle band, those of odd rows antisymmetric. So even rows weigh
// sums of a band and its mirror image, odd rows differences: half the table and half the products for the same result.
void mfcc_dct(const int32_t logs[N_MELS], int32_t raw[N_MFCC])
{
    enum { HALF = (N_MELS + 1) / 2 };
    int32_t folded[2][HALF];
    const int16_t *weight = DCT;
    for (int band = 0; band < N_MELS / 2; band++) {
        folded[0][band] = logs[band] + logs[N_MELS - 1 - band];
        folded[1][band] = logs[band] - logs[N_MELS - 1 - band];
    }
    if (N_MELS % 2) {
        folded[0][HALF - 1] = logs[HALF - 1];
        folded[1][HALF - 1] = 0;
    }
    for (int k = 0; k < N_MFCC; k++) {
        const int32_t *value = folded[k & 1], *const end = value + HALF;
        int32_t sum = 0;
        for (; HALF % 4 == 0 && value < end; value += 4, weight += 4) {
            const pair_t *const pair = (const pair_t *)weight;
            sum += value[0] * (int16_t)pair[0] + value[1] * ((int32_t)pair[0] >> 16);
            sum += value[2] * (int16_t)pair[1] + value[3] * ((int32_t)pair[1] >> 16);
        }
        while (value < end) {
            sum += *value++ * *weight++;
        }
        raw[k] = sum;
    }
}

// centred * multiplier / 2^FEATURE_SHIFT, halves rounded up.
static int32_t scale_feature(int32_t raw, int32_t offset, int32_t multiplier)
{
#if MGR_M0PLUS
    int32_t centred;
    if (__builtin_sub_overflow(raw, offset, &centred)) {
        centred = raw < 0 ? INT32_MIN : INT32_MAX;
    }
    return (m0plus_product(centred, multiplier, 0) + (1 << (FEATURE_SHIFT - 32))) >> (FEATURE_SHIFT - 31);
#else
    const int64_t product = ((int64_t)raw - offset) * multiplier;
    return (int32_t)((product + ((int64_t)1 << (FEATURE_SHIFT - 1))) >> FEATURE_SHIFT);
#endif
}

void mfcc_quantize(const int32_t raw[N_MFCC], int8_t features[N_MFCC])
{
    for (int k = 0; k < N_MFCC; k++) {
        const int32_t value = scale_feature(raw[k], FEATURE_OFFSET[k], FEATURE_MULTIPLIER[k]) + INPUT_ZERO_POINT;
        features[k] = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
    }
}
