"""The assembly for the Cortex-M0+, by both compilers on the emulated Pico: the bits of the portable C and of the rules.

Hard inputs for each function alone, and 2,780 hard frames through all of the front end. That the portable C has the
bits of cmsisdsp and of TFLM is proven in tests/test_exactness.py.
"""

import ctypes
import dataclasses
import re
import shutil

import numpy as np
import pytest

from mgr_helpers.audio.adc import adc_to_q15
from mgr_helpers.config import CONFIG, FIRMWARE
from mgr_helpers.features import mfcc_q15
from mgr_helpers.host import host_c, toolchain
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import emulator, headers
from mgr_helpers.pico.image import build_image

N, LOW, HIGH = CONFIG.frame_length, -32768, 32767
N_FRAMES = 2780
ASSEMBLY = sorted((FIRMWARE / "genre_recognizer" / "src" / "m0plus").glob("*.S"))
ASSEMBLY += [ASSEMBLY[0].parent / "function.h"]
both_compilers = pytest.mark.parametrize("compiler", [
    pytest.param("gcc", marks=pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc")),
    "zig"])


def run(tmp_path, name: str, compiler: str, loop: str, data: np.ndarray, declarations: str = "") -> bytes:
    """What an image writes that reads `data` row by row: `loop` is done for each, which is in `row`."""
    file = tmp_path / f"test_m0plus_{name}.c"
    kind = {"<i2": "int16_t", "<u2": "uint16_t", "<i4": "int32_t", "<u4": "uint32_t", "|i1": "int8_t"}[data.dtype.str]
    file.write_text(f"""#include "emulator.h"
        #include "m0plus/m0plus.h"
        #include "mfcc_stages.h"
        #include "recognizer.h"
        #if !MGR_M0PLUS
        #error the assembly is not chosen
        #endif
        static {kind} row[{data[0].size}] PAIR_ALIGNED;
        {declarations}
        int main(void) {{
            while (emulator_read(row, sizeof row) == sizeof row) {{ {loop} }}
            emulator_exit(0);
            return 0;
        }}""")
    image = build_image(file, compiler)
    assert image["warnings"] == ""
    return emulator.emulate(image, data=data.tobytes())["output"]


# --- hard frames ------------------------------------------------------------------------------------------------------

def hard_frames(n: int) -> np.ndarray:
    """Random frames of all levels, tones, rails, jumps between them, impulses, constants: int16 (n, frame_length)."""
    rng, t = np.random.default_rng(18), np.arange(N)

    def peaks():
        peak = 2 ** rng.integers(0, 16) + rng.integers(-1, 2)
        frame = np.round(rng.uniform(-1, 1, N) * peak)
        frame[rng.integers(0, N, 20)] = rng.choice([-peak, peak])
        return frame

    def impulses():
        frame = np.zeros(N)
        frame[rng.integers(0, N, rng.integers(1, 40))] = rng.choice([LOW, HIGH, 1, -1, 2**14])
        return frame

    kinds = (
        lambda: rng.standard_normal(N) * 2 ** rng.uniform(-2, 18),
        lambda: rng.integers(LOW, HIGH + 1, N),
        lambda: 2 ** rng.uniform(0, 16.5) * np.sin(2 * np.pi * 2 ** rng.uniform(-3, 11) * t / N + rng.uniform(0, 6.3)),
        lambda: np.where((t + rng.integers(N)) % (period := 2 ** rng.uniform(1, 11.5)) < period / 2, HIGH, LOW),
        lambda: np.where(np.cumsum(rng.random(N) < 2 ** -rng.uniform(1, 11)) % 2, HIGH, LOW),
        lambda: np.full(N, rng.choice([0, 1, -1, HIGH, LOW, -HIGH, rng.integers(LOW, HIGH)])),
        peaks, impulses)
    return np.clip(np.round([kinds[i % len(kinds)]() for i in range(n)]), LOW, HIGH).astype("<i2")


def stages_on_host(frames: np.ndarray) -> np.ndarray:
    """Shifts of frame and spectrum, logs and raw MFCCs by the portable C: int32 (n, 2 + n_mels + n_mfcc)."""
    library, rows = host_c.host_library().library, np.zeros((len(frames), 2 + CONFIG.n_mels + CONFIG.n_mfcc), np.int32)
    bins = np.zeros(2 * CONFIG.n_bins, np.int16)
    place = ctypes.c_void_p(bins.ctypes.data)
    for frame, row in zip(frames, rows):
        frame_at, logs, raw = (ctypes.c_void_p(part.ctypes.data) for part in (frame, row[2:], row[2 + CONFIG.n_mels :]))
        row[0] = library.mfcc_frame_shift(frame_at)
        library.mfcc_window(frame_at, int(row[0]), place)
        library.mfcc_spectrum(place)
        row[1] = library.mfcc_magnitudes(place, place)
        library.mfcc_log_mel(place, int(row[0]), int(row[1]), logs)
        library.mfcc_dct(logs, raw)
    return rows


@pytest.fixture(scope="module")
def frames() -> tuple[np.ndarray, np.ndarray]:
    hard = hard_frames(N_FRAMES)
    return hard, stages_on_host(hard)


def test_hard_frames_side_by_side(frames):
    """`HostLibrary.mfcc` takes several frames at once. 20 frames are no whole number of groups."""
    stream = np.lib.stride_tricks.sliding_window_view(frames[0].reshape(-1), CONFIG.window_length)[:: CONFIG.window_step]
    for windows in (stream, stream[:1]):
        raw = host_c.host_library().mfcc(windows).reshape(-1, CONFIG.n_mfcc)
        assert np.array_equal(raw[::2], frames[1][: 10 * len(windows), 2 + CONFIG.n_mels :])
        cut = np.lib.stride_tricks.sliding_window_view(windows, N, axis=1)[:, 1024 :: 2048].reshape(-1, N)
        assert np.array_equal(raw[1::2], stages_on_host(np.ascontiguousarray(cut))[:, 2 + CONFIG.n_mels :])


@both_compilers
def test_hard_frames(tmp_path, compiler, frames):
    output = run(tmp_path, "frames", compiler, """
        result.shift[0] = mfcc_frame_shift(row);
        mfcc_window(row, result.shift[0], bins);
        mfcc_spectrum(bins);
        result.shift[1] = mfcc_magnitudes(bins, (uint16_t *)bins);
        mfcc_log_mel((uint16_t *)bins, result.shift[0], result.shift[1], result.logs);
        mfcc_dct(result.logs, result.raw);
        emulator_write(&result, sizeof result);""", frames[0], """
        static int16_t bins[2 * N_BINS] PAIR_ALIGNED;
        static struct { int32_t shift[2], logs[N_MELS], raw[N_MFCC]; } result;
        static mfcc_t mfcc;
        static void __attribute__((constructor)) start(void) { mfcc_init(&mfcc); }""")
    differs = (np.frombuffer(output, "<i4").reshape(frames[1].shape) != frames[1]).any(axis=1)
    assert not differs.any(), f"frames {np.flatnonzero(differs)[:10]} differ"
    assert set(range(16)) == set(frames[1][:, 0]) and len(set(frames[1][:, 1])) > 5


# --- butterflies ------------------------------------------------------------------------------------------------------

def test_the_window_keeps_sums_in_16_bits():
    """What m0plus.h says: the weights of the four points of a butterfly add up to 2."""
    quarters = mfcc_q15.hann_q15(CONFIG).astype(int).reshape(4, -1)
    assert quarters.sum(axis=0).max() <= 2 * 32768


def limited(x: np.ndarray) -> np.ndarray:
    """As CMSIS-DSP limits a sum to 16 bits; a sum that it would change fails the test."""
    assert x.min() >= LOW and x.max() <= HIGH
    return x


def later_passes(points: np.ndarray, twiddles: np.ndarray) -> np.ndarray:
    """Passes 2 to 5 of arm_cfft_q15 in its own order of points, by the rules: int64 (n, 1024, 2) of re and im."""
    x = points.astype(np.int64)
    for stride in (64, 16, 4, 1):
        a, b, c, d = np.moveaxis(x.reshape(len(x), -1, 4, stride, 2), 2, 0)
        r, s, t, u = limited(a + c), limited(a - c), limited(b + d), limited(b - d)
        half_u = np.stack([u[..., 1] >> 1, -(u[..., 0] >> 1)], axis=-1)  # -i u / 2, rounded before the sign
        parts = [(r >> 1) + (t >> 1), (r >> 1) - (t >> 1), (s >> 1) + half_u, (s >> 1) - half_u]
        if stride > 1:
            parts[0] >>= 1
            for i, turns in ((1, 2), (2, 1), (3, 3)):
                co, si = np.moveaxis(twiddles[turns * np.arange(stride) * (256 // stride)], -1, 0)
                re, im = parts[i][..., 0], parts[i][..., 1]
                parts[i] = np.stack([(co * re + si * im) >> 16, (co * im - si * re) >> 16], axis=-1)
        x = np.stack(parts, axis=2).reshape(points.shape)
    return x


def hard_points(n: int) -> np.ndarray:
    """Points as long as pass 1 leaves them at most, 8192 sqrt(2), in hard directions and of all lengths."""
    rng = np.random.default_rng(5)
    longest = 8192 * np.sqrt(2)
    eighths = rng.integers(0, 8, (n, 1024)) * np.pi / 4
    angle = np.where(rng.random((n, 1024)) < 0.5, eighths, rng.uniform(0, 7, (n, 1024)))
    length = longest * np.where(rng.random((n, 1)) < 0.5, 1, 2 ** -rng.uniform(0, 14, (n, 1024)))
    points = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * length[..., None]
    points[0] = longest / np.sqrt(2)  # all the same: the largest sums
    points[1] = np.resize([[longest, 0], [0, longest], [-longest, 0], [0, -longest]], (1024, 2))
    return np.trunc(points).astype(np.int64)


@both_compilers
def test_butterflies(tmp_path, compiler):
    """Each call runs 1,024 butterflies, of all twiddles."""
    points = hard_points(150)
    order = np.array([int(f"{i:010b}"[::-1], 2) for i in range(1024)])
    words = (points[..., 1] * 65536 + points[..., 0])[:, order].astype(np.int32).view("<u4")
    output = run(tmp_path, "butterflies", compiler, """
        m0plus_passes(row, table);
        emulator_write(row, sizeof row);""", words, """
        #include "cmsis/arm_const_structs.h"
        static m0plus_row_t table[256];
        static void __attribute__((constructor)) start(void) {
            for (int b = 0; b < 256; b++) {
                const int n = (b & 1) << 7 | (b & 2) << 5 | (b & 4) << 3 | (b & 8) << 1 | (b & 16) >> 1 | (b & 32) >> 3
                    | (b & 64) >> 5 | (b & 128) >> 7;
                for (int i = 1; i < 4; i++) {
                    table[b].twiddle[i - 1] = (uint16_t)CFFT.pTwiddle[2 * i * n]
                        | (uint32_t)(uint16_t)CFFT.pTwiddle[2 * i * n + 1] << 16;
                }
            }
        }""")
    angle = 2 * np.pi * np.arange(768) / 1024
    twiddles = np.clip(np.floor(np.stack([np.cos(angle), np.sin(angle)], axis=-1).round(12) * 32768), LOW, HIGH)
    expected = later_passes(points, twiddles.astype(np.int64))[:, order]
    assert np.array_equal(np.frombuffer(output, "<i2").reshape(expected.shape), expected)


# --- powers, roots, counts, the LSTM ----------------------------------------------------------------------------------

@both_compilers
def test_powers(tmp_path, compiler):
    """Pairs of points by the formula of split_pair(): of all sizes, and parts that are a power of 2, or one less."""
    rng, n = np.random.default_rng(6), 500
    parts = np.trunc(8192 * 2 ** -rng.uniform(0, 13, (n, 1, 1)) * rng.uniform(-1, 1, (n, 16, 2))).astype(int)
    parts[::2] = 0
    parts[::2, 1] = rng.choice([-1, 1], (250, 1)) * 2 ** rng.integers(1, 14, (250, 1)) + rng.integers(-2, 3, (250, 2))
    parts[::4, 1, 1] = 0
    c, s = rng.integers(0, 32768, (n, 8)), rng.integers(-16384, 16385, (n, 8))
    c[::2], s[::2] = 0, 0  # these bins are half the points
    words = parts[..., 0] & 0xFFFF | parts[..., 1] << 16
    data = np.concatenate([words, c | s << 16], axis=1).astype(np.int32).view("<u4")
    output = run(tmp_path, "powers", compiler, """
        row[16] = m0plus_powers(row, row + 8, 64, 2 * (uintptr_t)row + 60, 1);
        emulator_write(row, 68);""", data)
    (a_re, a_im), (b_re, b_im) = (np.moveaxis(points, 2, 0) for points in (parts[:, :8], parts[:, :7:-1]))
    re, im = (a_re - b_re) * c - (a_im + b_im) * s, (a_im + b_im) * c + (a_re - b_re) * s
    low = np.stack([(b_re << 15) + re, im - (b_im << 15)]) >> 16
    high = np.stack([(a_re << 15) - re, im - (a_im << 15)]) >> 16
    both = np.concatenate([low, high[..., ::-1]], axis=2)
    bits = [int(largest).bit_length() for largest in (both ^ (both >> 63)).max(axis=(0, 2))]
    found = np.frombuffer(output, "<u4").reshape(n, 17)
    assert np.array_equal(found[:, :16], (both**2).sum(axis=0)) and found[:, 16].tolist() == [4**bit for bit in bits]


@both_compilers
def test_roots(tmp_path, compiler):
    """Around each square whose root may be one off, and of all sizes, against the portable C."""
    root, rng = host_c.host_library().library.mfcc_root, np.random.default_rng(3)
    squares = 4 * rng.permutation(23170)[:6000, None].astype(np.int64) ** 2 + np.arange(-4, 5)
    powers = np.concatenate([np.arange(5000), np.clip(squares.ravel(), 0, 2**31), 2 ** rng.uniform(0, 31, 9000)])
    powers = np.resize(powers.astype("<u4"), (-(-len(powers) // 100), 100))
    output = run(tmp_path, "roots", compiler, """
        for (int i = 0; i < 100; i++) segments[2 * i] = 1;
        for (int i = 0; i < 102; i++) sums[i] = 0;
        m0plus_mel(row, &tables, 0, sums);
        emulator_write(sums, sizeof row);""", powers, """
        #include "generated/tables.h"
        static uint8_t weights[100], segments[202];
        static uint32_t sums[102];
        static const m0plus_mel_t tables = {weights, ROOTS, segments, LOW_SQUARES};""")
    expected = [root(ctypes.c_uint32(int(power) >> 1)) for power in powers.ravel()]
    assert np.array_equal(np.frombuffer(output, "<u4"), 256 * np.array(expected))


@pytest.mark.parametrize("n_mels", [40, 64])
def test_pairs_of_mel_weights(n_mels):
    """Sums by one product a bin are those of the dense weights."""
    config = dataclasses.replace(CONFIG, n_mels=n_mels)
    (first, end), (rises, segments) = mfcc_q15.bin_range(config), mfcc_q15.mel_segments(config)
    magnitude = np.random.default_rng(4).integers(0, 2**15, config.n_bins)
    sums, at = np.zeros(n_mels + 2, np.int64), first
    for segment, (length, lack) in enumerate(segments[:-1].tolist()):
        root, rise = magnitude[at : at + length], rises[at - first :][:length].astype(int)
        sums[segment : segment + 2] += [256 * root.sum() - (root * rise).sum() - lack * root[-1], (root * rise).sum()]
        at += length
    assert at == end and np.array_equal(sums[1:-1], magnitude @ mfcc_q15.mel_weights(config).astype(int))


def test_other_weights_are_no_pairs(monkeypatch, tmp_path):
    """Then the roots are taken before the portable C's Mel sums, with the same bits."""
    shutil.copytree(headers.GENERATED, tmp_path / "generated")
    monkeypatch.setattr(mfcc_q15, "mel_weights", lambda config: 3 * (np.eye(1025, 40) > 0))
    monkeypatch.setattr(mfcc_q15, "mel_spans", lambda config: [(i, i + 1) for i in range(40)])
    assert mfcc_q15.mel_segments() is None
    tables = tmp_path / "generated" / "tables.h"
    tables.write_text(tables.read_text().replace("#define MEL_PAIRED", "//"))
    window = hard_frames(24).reshape(-1)[: CONFIG.window_length][None]
    image = build_image(toolchain.EMULATOR / "pico_batch.c", generated=tmp_path / "generated")
    assert np.array_equal(emulator.features_and_scores(window, image)[0], host_c.host_library().features(window))


@pytest.mark.parametrize("hertz", [(300.0, 11025.0), (20.0, 8000.0), (500.0, 3000.0)])
def test_other_bands(tmp_path, hertz):
    """Bins outside the Mel bands must not change the shift of the spectrum."""
    model = load_model()
    config = dataclasses.replace(CONFIG, lower_hz=hertz[0], upper_hz=hertz[1])
    front_end = dataclasses.replace(model.front_end, config=config)
    texts = {**headers.headers(model), "constants.h": headers.constants_h(config, len(model.labels), model.tensors["lstm"]),
             "tables.h": headers.tables_h(front_end)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    windows = hard_frames(84).reshape(8, -1)
    image = build_image(toolchain.EMULATOR / "pico_batch.c", generated=tmp_path)
    assert image["warnings"] == "" and "m0plus_powers" in image["symbols"]
    expected = mfcc_q15.quantize_features(mfcc_q15.mfcc_windows(windows, config), front_end)
    assert np.array_equal(emulator.features_and_scores(windows, image, config)[0], expected)


@both_compilers
def test_counts_at_the_rails(tmp_path, compiler):
    """A step of counts around any bias, in pieces that start anywhere, as in Python."""
    rng, step = np.random.default_rng(2), CONFIG.frame_step
    bias, level = rng.integers(0, 4096, (200, 1)), 2 ** rng.uniform(0, 12, (200, 1))
    counts = np.clip(np.round(bias + level * rng.standard_normal((200, step))), 0, 4095).astype("<u2")
    counts[0], counts[1], counts[2, ::2], counts[3, 1::2] = 0, 4095, 4095, 0
    output = run(tmp_path, "counts", compiler, f"""
        recognizer_init(&recognizer);
        recognizer_push(&recognizer, row, cut);
        recognizer_push(&recognizer, row + cut, {step} - cut);
        const int32_t shift = mfcc_headroom(recognizer.seen[1]);
        emulator_write(recognizer.frame, sizeof row);
        emulator_write(&shift, sizeof shift);
        cut = (cut + 37) % {step};""", counts, "static recognizer_t recognizer; static size_t cut = 256;")
    rows = np.frombuffer(output, "<i2").reshape(len(counts), step + 2)
    assert np.array_equal(rows[:, :step], [adc_to_q15(row) for row in counts])
    assert rows[:, step].tolist() == [mfcc_q15.headroom(row) for row in rows[:, :step]]


@both_compilers
def test_the_gates_are_rescaled_as_by_tflm(tmp_path, compiler):
    """Sums of all sizes, halves among them, by multipliers and shifts of all sizes."""
    rng, n = np.random.default_rng(8), 60
    sums = np.trunc(rng.choice([-1, 1], (400, n)) * 2 ** rng.uniform(0, 22, (400, n))).astype(np.int64)
    multiplier, shift = rng.integers(2**30, 2**31, (400, 1)), -rng.integers(1, 16, (400, 1))
    multiplier[::4] = 2**30  # halves
    bias = rng.integers(-500, 500, (400, 1)) % 2**22
    data = np.concatenate([sums - bias, multiplier, shift, bias], axis=1).astype("<i4")
    output = run(tmp_path, "rescale", compiler, f"""
        const scale_t scale = {{row[{n}], (int8_t)row[{n + 1}]}};
        for (int i = 0; i < {n}; i++) gates[i][0] = row[i], gates[i][4] = 7, biases[i][0] = row[{n + 2}] - 3;
        m0plus_rescale(gates[0], biases[0], 3, &scale, {n}, row[0] & 1);
        for (int i = 0; i < {n}; i++) row[i] = gates[i][0];
        emulator_write(row, {4 * n});""", data, f"""
        #include "lstm_layer.h"
        static int32_t gates[{n}][8], biases[{n}][4];""")
    high = (sums * multiplier + 2**30) >> 31
    scaled = np.sign(high) * ((np.abs(high) + (1 << (-shift - 1))) >> -shift)
    expected = np.clip(np.clip(scaled, LOW, HIGH) + 7 * (data[:, :1] & 1), LOW, HIGH)
    assert np.array_equal(np.frombuffer(output, "<i4").reshape(expected.shape), expected)


@both_compilers
def test_products_of_any_number_of_values(tmp_path, compiler):
    """Five units; n mod 4 values come first. All gates but the last are 128 times the values' sum too high."""
    rng, units = np.random.default_rng(9), 5
    for inputs in (1, 2, 3, 8, 13):
        weights = rng.integers(-128, 128, (40, units, inputs + units, 4))
        values = rng.integers(-128, 128, (40, inputs + units))
        weights[:2], values[:2] = rng.choice([-128, 127], weights[:2].shape), -128
        words = (weights + [128, 128, 128, 0] & 255).astype(np.uint8).reshape(40, -1).view("<i4")
        output = run(tmp_path, "dot", compiler, f"""
            m0plus_dot((const int8_t *)row, row + {words.shape[1]}, n, sums);
            emulator_write(sums, sizeof sums);""", np.concatenate([words, values.astype("<i4")], axis=1), f"""
            static const uint8_t n[2] = {{{inputs}, {units}}};
            static int32_t sums[{units}][2][4];""")
        found = np.frombuffer(output, "<i4").reshape(40, units, 2, 4)
        for part, some in enumerate((slice(0, inputs), slice(inputs, None))):
            expected = np.einsum("fuvg,fv->fug", weights[:, :, some], values[:, some])
            excess = 128 * values[:, some].sum(axis=1)[:, None, None] * [1, 1, 1, 0]
            assert np.array_equal(found[:, :, part], expected + excess)


@both_compilers
def test_scores_of_hard_features(tmp_path, compiler):
    rng = np.random.default_rng(1)
    features = rng.integers(-128, 128, (40, CONFIG.n_frames, CONFIG.n_mfcc)).astype(np.int8)
    features[:10] //= 8
    features[10:12], features[12] = [[[-128]], [[127]]], np.where(np.arange(CONFIG.n_mfcc) % 2, 127, -128)
    output = run(tmp_path, "lstm", compiler, """
        lstm_reset(&lstm);
        for (int i = 0; i < N_FRAMES; i++) lstm_step(&lstm, row + i * N_MFCC);
        lstm_scores(&lstm, scores);
        emulator_write(scores, sizeof scores);""", features, "static lstm_t lstm; static int8_t scores[N_CLASSES];")
    assert np.array_equal(np.frombuffer(output, np.int8).reshape(len(features), -1),
                          host_c.host_library().scores(features))


# --- the text ---------------------------------------------------------------------------------------------------------

def test_the_assembly_can_be_read():
    """At most 400 lines in all, comments aside; a line before each macro and function says what it computes."""
    lines = [line for file in ASSEMBLY for line in file.read_text().split("\n")]
    assert sum(1 for line in lines if line and not re.match(r" *//|#", line)) <= 400
    for before, line in zip(lines, lines[1:]):
        assert not re.match(r"\.macro|    FUNCTION ", line) or before.startswith("//"), line
