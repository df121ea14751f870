"""Notebook 09: its filters do what the cookbook promises, blocks join without a seam, and the web page has its curves."""

import ast
import re

import numpy as np
import pytest
from scipy.signal import sosfilt, sosfreqz

from mgr_helpers.audio import microphone
from mgr_helpers.config import CONFIG, FIRMWARE
from tests.notebook_code import code_of, functions_of

NAMES = {"np": np, "sosfilt": sosfilt, "RATE": CONFIG.sample_rate, "BLOCK": 64, "GLIDE_SECONDS": 0.6, "config": CONFIG}
WEB = (FIRMWARE / "emulator" / "web" / "equaliser.js").read_text(encoding="utf-8")


def taken(*wanted):
    """Functions and constants of the page."""
    names = {**NAMES, **functions_of("09_equaliser", NAMES, "peak", "shelf")}
    for source in code_of("09_equaliser"):
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("BANDS", "CURVES", "FLAT"):
                exec(compile(ast.Module([node], []), "09", "exec"), names)
    names |= functions_of("09_equaliser", names, "sections", "room", "glide", "equalise", "targets_of")
    return [names[name] for name in wanted]


def level(section, hertz):
    return 20 * np.log10(np.abs(sosfreqz(np.atleast_2d(section), [hertz], fs=CONFIG.sample_rate)[1][0]))


@pytest.mark.parametrize("gain", (-12, 0, 5))
def test_filters_have_their_gain_where_they_should(gain):
    peak, shelf = taken("peak", "shelf")
    assert np.allclose([level(peak(1000, gain), hertz) for hertz in (0.01, 1000, 11000)], [0, gain, 0], atol=0.02)
    for side, expected in ((1, [gain, gain / 2, 0]), (-1, [0, gain / 2, gain])):
        assert np.allclose([level(shelf(2000, gain, side), hertz) for hertz in (1, 2000, 11000)], expected, atol=0.02)
    assert np.allclose(peak(700, gain, 1.0), microphone._peaking_filter(gain, 700, CONFIG.sample_rate))


def test_blocks_join_as_if_the_filter_never_stopped():
    equalise, sections, room = taken("equalise", "sections", "room")
    samples, gains = np.random.default_rng(0).standard_normal(64 * 50 + 7), (5, -1, 4)
    whole = sosfilt(sections(gains), room(gains) * samples)
    assert np.allclose(equalise(samples, np.tile(gains, (50, 1))), whole[: 64 * 50])


def test_gains_glide_to_the_curve_of_what_was_said_last():
    targets_of, glide, curves = taken("targets_of", "glide", "CURVES")
    said = [{"window": i, "says": says} for i, says in enumerate(("unsure", "metal", "no such genre"))]
    targets = targets_of(said, 4 * CONFIG.clip_length // 64)
    changes = np.flatnonzero(np.any(np.diff(targets, axis=0), axis=1)) + 1
    assert [targets[i].tolist() for i in (0, *changes)] == [[0, 0, 0], list(curves["metal"]), [0, 0, 0]]
    assert changes[0] == -(-(CONFIG.window_length + CONFIG.window_step) // 64)  # when the second window has ended
    largest = np.abs(np.diff(glide(targets), axis=0)).max()
    assert 0 < largest < 0.05 and np.abs(np.diff(targets, axis=0)).max() > 4  # decibels from block to block


def test_web_page_has_the_same_bands_and_curves():
    bands, curves = taken("BANDS", "CURVES")
    found = re.findall(r"(\w+): \[(-?\d+), (-?\d+), (-?\d+)\]", WEB)
    assert {name: tuple(map(int, gains)) for name, *gains in found} == curves
    rows = re.findall(r"name: '(\w+)', type: '\w+', frequency: (\d+)", WEB)
    assert [name for name, _ in rows] == list(bands)
    for (_, hertz), band, share in zip(rows, bands.values(), (0.5, 1, 0.5)):  # a shelf has half its decibels there
        assert level(band(8), int(hertz)) == pytest.approx(8 * share)
    assert "Q: 0.7" in WEB
