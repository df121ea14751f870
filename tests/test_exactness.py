"""Python (cmsisdsp, TFLM), the C on this machine and the C on the emulated Cortex-M0+ have the same bits."""

import ctypes
import os
import shutil
import subprocess

import numpy as np
import pytest

from mgr_helpers.audio import mini_set
from mgr_helpers.audio.adc import ideal_counts
from mgr_helpers.config import CONFIG, ROOT
from mgr_helpers.features import mfcc_q15
from mgr_helpers.features.windows import stream_windows
from mgr_helpers.host import host_c, toolchain
from mgr_helpers.model import recognizer, runtimes
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import emulator, headers
from mgr_helpers.pico.image import build_image
from tests import exactness, host_decisions
from tests.tflm import NEEDS_TFLM

MODEL = load_model()
FRONT_END = MODEL.front_end
NEEDS_GCC = pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed")


def hard_windows() -> np.ndarray:
    """Windows at the limits of the number formats: rails, silence, an impulse of 1, square waves, tones, noise."""
    rng, n = np.random.default_rng(0), CONFIG.window_length
    square = np.where(np.arange(n) // 25 % 2, -32768, 32767)
    alternating = np.where(np.arange(n) % 2, -32768, 32767)
    impulse = np.zeros(n)
    impulse[5000] = 1
    tone = 32767 * np.sin(np.arange(n) * 0.7)
    noises = [np.clip(rng.normal(size=n) * 4.0**level, -32768, 32767) for level in range(8)]
    rows = [np.zeros(n), np.full(n, 32767), np.full(n, -32768), square, alternating, impulse, tone, tone / 4000]
    return np.stack([np.round(row) for row in [*rows, *noises]]).astype(np.int16)


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    music = [stream_windows(mini_set.song(genre, 3))[:3] for genre in CONFIG.genres]
    return np.concatenate([hard_windows(), *music])


@pytest.fixture(scope="module")
def expected(windows) -> tuple[np.ndarray, np.ndarray]:
    features = mfcc_q15.quantize_features(mfcc_q15.mfcc_windows(windows), FRONT_END)
    return features, headers.run_reference(MODEL, features)


def test_features_and_scores_of_c_on_this_machine(windows, expected):
    host = host_c.host_library()
    assert np.array_equal(host.features(windows), expected[0])
    assert np.array_equal(host.scores(expected[0]), expected[1])
    assert host_decisions.self_test(host)


@NEEDS_TFLM
def test_scores_of_random_features():
    features = np.random.default_rng(1).integers(-128, 128, (400, CONFIG.n_frames, CONFIG.n_mfcc)).astype(np.int8)
    features[:100] //= 8
    assert np.array_equal(host_c.host_library().scores(features), runtimes.run_tflm(MODEL, features))


@pytest.mark.slow
@pytest.mark.parametrize("compiler, optimize", [
    pytest.param("gcc", "-O2", marks=NEEDS_GCC), pytest.param("gcc", "-Os", marks=NEEDS_GCC), ("zig", "-O2")])
def test_features_and_scores_of_the_emulated_pico(windows, expected, compiler, optimize):
    image = build_image(ROOT / "firmware" / "emulator" / "pico_batch.c", compiler, optimize)
    some = slice(None, None, 1 if optimize == "-O2" else 4)
    features, scores = emulator.features_and_scores(windows[some], image)
    assert np.array_equal(features, expected[0][some])
    assert np.array_equal(scores, expected[1][some])


def test_decisions_on_a_stream_of_adc_counts():
    song = mini_set.song("metal", 5)
    quiet = np.zeros(3 * CONFIG.sample_rate, np.int16)
    adc = ideal_counts(np.concatenate([song[:150_000], quiet, song[:60_000]]), gain_db=-12, noise_lsb=0.4)
    theirs, ours = host_decisions.decisions(host_c.host_library(), adc), recognizer.decisions(adc, MODEL, headers.run_reference)
    assert len(ours) == len(theirs["window"]) > 10
    for i, decision in enumerate(ours):
        assert np.array_equal(theirs["scores"][i], decision["scores"])
        assert theirs["confidence"][i] == decision["confidence"]
        assert CONFIG.genres[theirs["vote"][i]] == decision["vote"]
        assert bool(theirs["silent"][i]) == decision["silent"] and bool(theirs["unsure"][i]) == decision["unsure"]
    assert any(decision["silent"] for decision in ours) and not all(decision["silent"] for decision in ours)


def test_root_equals_cmsis(tmp_path):
    """All x below 2^27, and the x above it near twice a square; with MGR_LONG=1 all 2^31 (a minute)."""
    end = "0x80000000u" if os.environ.get("MGR_LONG") else "1u << 27"
    source = tmp_path / "roots.c"
    source.write_text(f"#define END ({end})" + """
        #include <stdio.h>
        #include "mfcc_stages.h"
        #include "cmsis/arm_math.h"
        static int differs(uint32_t x) {
            q31_t r;
            arm_sqrt_q31((q31_t)x, &r);
            return (uint32_t)r >> 16 != mfcc_root(x);
        }
        int main(void) {
            uint32_t bad = 0;
            for (uint32_t x = 0; x < END; x++) bad += differs(x);
            for (uint32_t r = 8192; r < 32768; r++)
                for (uint32_t x = 2 * r * r - 40; x < 2 * r * r + 40; x++) bad += differs(x);
            printf("%u", bad);
        }""")
    sketch = toolchain.deploy_sketch("genre_recognizer") / "src"
    program = tmp_path / "roots"
    subprocess.run([*toolchain.find_host_compiler(), "-O2", "-w", "-I", sketch, source, sketch / "mfcc_q15.c",
                    *(sketch / "cmsis").glob("*.c"), "-o", program, "-lm"], check=True)
    assert subprocess.run([program], capture_output=True, check=True).stdout == b"0"


@pytest.mark.parametrize("value", [1, 2, 3, 127, 128, 2**31 - 1, 2**31, 2**32 - 1])
def test_log2_of_c_equals_python(value):
    library = host_c.host_library().library
    library.mfcc_log2_q9.argtypes = [ctypes.c_uint32]
    assert library.mfcc_log2_q9(value) == mfcc_q15.log2_q9(np.array([value]))[0]


def test_windows_are_taken_from_every_genre():
    genre = np.repeat([0, 1, 2], [400, 7, 90])
    chosen = exactness.some_of_each(genre, 60)
    assert np.bincount(genre[chosen]).tolist() == [20, 7, 20] and len(set(chosen)) == len(chosen)


def test_a_difference_is_counted():
    features, scores = np.zeros((4, 2, 3), np.int8), np.zeros((4, 3), np.int8)
    other = features.copy()
    other[1, 1, 1] = 1
    assert exactness.mismatches((other, scores), (features, scores)) == {"windows": 4, "features": 1, "scores": 0}
