"""The campaigns of tests/stress/numbers.py and pico.py in a fast form, and that they notice what is wrong."""

import numpy as np
import pytest
from tests.stress import numbers
from tests.stress import pico as stress_pico
from tests.tflm import NEEDS_TFLM

from mgr_helpers.config import CONFIG
from mgr_helpers.host import host_c
from mgr_helpers.model import runtimes
from tests import host_decisions


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.delenv("MGR_STRESS_SCALE", raising=False)
    monkeypatch.delenv("MGR_DATA", raising=False)


def held(found):
    assert found["broke"] == [] and found["held"] == found["times"] > 0
    return found["figures"]


def test_frames_at_the_limits_reach_full_scale_and_every_shift():
    windows = numbers.frames(2 * len(numbers.KINDS))
    assert windows.dtype == np.int16 and windows.shape == (24, CONFIG.window_length)
    assert windows.min() == -32768 and windows.max() == 32767
    assert np.array_equal(windows, numbers.frames(24)) and not np.array_equal(windows, numbers.frames(24, 1))
    peaks = {int(numbers.mfcc_q15.headroom(numbers.every_shift(np.random.default_rng(i)).astype(np.int32).clip(
        -32768, 32767).astype(np.int16))) for i in range(200)}
    assert peaks == set(range(16))


@NEEDS_TFLM
def test_c_equals_python_at_the_limits():
    figures = held(numbers.on_this_machine(36))
    assert figures["frames"] == 720 and figures["features_at_-128"] > 0 and figures["features_at_127"] > 0
    held(numbers.of_the_model(50))
    assert held(numbers.of_streams(10))["saturated_samples"] > 0


@NEEDS_TFLM
def test_a_wrong_value_is_reported(monkeypatch):
    right = runtimes.run_tflm
    def wrong(model, features):
        scores = right(model, features)
        scores[3, 0] ^= 1
        return scores
    monkeypatch.setattr(runtimes, "run_tflm", wrong)
    found = numbers.on_this_machine(12)
    assert found["broke"] == ["scores of window 3 (alternating) differ"] and found["held"] == 11
    assert len(numbers.of_the_model(12)["broke"]) == 1


def test_sanitizers_find_nothing():
    found = numbers.under_sanitizers(12, 2)
    if "not_run" in found["figures"]:
        pytest.skip(found["figures"]["not_run"])
    held(found)


def test_what_a_sanitizer_finds_is_reported(monkeypatch):
    monkeypatch.setattr(numbers, "sanitized_program", lambda folder: folder)
    monkeypatch.setattr(numbers, "_sanitized", lambda program, what, data: (b"", "runtime error: something"))
    found = numbers.under_sanitizers(12, 1)
    assert len(found["broke"]) == 2 and "runtime error" in found["broke"][0]


def test_static_analysis_finds_nothing():
    held(numbers.static_analysis())


# --- the Pico

def test_faults_of_a_run_are_listed():
    run = {"decisions": [{}] * 3, "equal": 3, "missed": 0, "overruns": 0, "self_test": True, "stack_bytes": 700}
    assert stress_pico.faults(run, "x") == []
    bad = {**run, "equal": 2, "missed": 1, "overruns": 4, "self_test": False, "stack_bytes": 8192}
    assert stress_pico.faults(bad, "x") == ["x: 1 decisions missing, 1 of 3 decisions are not Python's, 4 overruns, "
                                            "self-test failed, stack of 8192 bytes"]


def test_sounds_and_stalls_of_the_campaign_are_what_their_names_say():
    for name in ("unplugged, at ground", "unplugged, at the supply", "unplugged, floating", "clipping", "speech"):
        adc = stress_pico.sound(name, np.random.default_rng(0))
        assert adc.dtype == np.uint16 and adc.max() < 4096 and len(adc) == 220500
    assert stress_pico.sound("unplugged, at the supply", np.random.default_rng(0)).min() > 4080
    clipped = stress_pico.sound("clipping", np.random.default_rng(0))
    assert np.isin(clipped, (0, 4095)).mean() > 0.2
    found = stress_pico.stalls(np.random.default_rng(0), 30)
    assert all(0 < a < b <= 28 for a, b in found) and all(b < a for (_, b), (a, _) in zip(found, found[1:]))


def test_an_unplugged_microphone_is_silence():
    for name in stress_pico.NO_GENRE:
        adc = stress_pico.sound(name, np.random.default_rng(1))[:90000]
        heard = host_decisions.decisions(host_c.host_library(), adc)
        assert len(heard["silent"]) == 4 and heard["silent"].all()


def test_music_and_stalls_on_the_emulated_pico(monkeypatch):
    monkeypatch.setattr(stress_pico, "MINUTES", 0.08)
    monkeypatch.setattr(stress_pico, "STALLED_SECONDS", 7.0)
    figures = held(stress_pico.ten_minutes())
    assert figures["decisions"] == 5 and 0 < figures["stack_high_water_bytes"] < 8192
    assert held(stress_pico.host_stops_reading(1))["decisions"] == 7
