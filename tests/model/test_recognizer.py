"""The vote, *unsure* and *silence*: Python, the C on this computer and the emulated Pico say the same."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgr_helpers.audio import mini_set
from mgr_helpers.audio.adc import ideal_counts
from mgr_helpers.config import CONFIG, build_dir
from mgr_helpers.host import host_c
from mgr_helpers.model import recognizer
from mgr_helpers.model.tflite import embed_front_end, load_model, open_model
from mgr_helpers.pico import emulator, headers, listen
from mgr_helpers.pico.image import build_image
from tests import host_decisions

MODEL = load_model()
SURE, NEVER = MODEL.with_threshold(90), MODEL.with_threshold(100)


def decisions(adc, model):
    return recognizer.decisions(adc, model, headers.run_reference)


def generated(model, name):
    folder = build_dir() / "models" / f"test_{name}"
    headers.write_headers(model, folder)
    return folder


@pytest.fixture(scope="module")
def adc():
    """Silence, three genres one after another, so that a vote spans two genres, and silence again."""
    quiet = np.zeros(2 * CONFIG.sample_rate, np.int16)
    songs = [mini_set.song(genre, 3)[: 3 * CONFIG.sample_rate] for genre in CONFIG.genres]
    return ideal_counts(np.concatenate([quiet, *songs, quiet]), gain_db=-12, noise_lsb=0.4)


# --- the vote

def test_vote_of_four_windows():
    scores = np.array([[127, -128, -128], [-128, 27, -28], [-128, 27, -28], [-128, -128, 127]], np.int8)
    winner, confidence = recognizer.vote(scores, np.array([False, False, False, True]), 2)
    assert winner.tolist() == [0, 0, 1, 1]
    assert confidence.tolist() == [100, 50, 60, 60]  # 255:0:0, 255:155:100, 0:310:200, 0:155:100


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-128, 127)] * 3, st.booleans()), min_size=1, max_size=40),
       st.integers(1, 12))
def test_confidence_is_at_least_a_third_or_0_without_scores(rows, vote_windows):
    scores, silent = np.array([row[:3] for row in rows], np.int8), np.array([row[3] for row in rows])
    _, confidence = recognizer.vote(scores, silent, vote_windows)
    nothing = [all(silent[max(0, i + 1 - vote_windows) : i + 1]
                   | (scores[max(0, i + 1 - vote_windows) : i + 1] == -128).all(axis=1)) for i in range(len(rows))]
    assert ((confidence == 0) == nothing).all() and ((confidence >= 33) | nothing).all() and (confidence <= 100).all()


# --- the threshold in the file

def test_without_a_threshold_the_model_never_says_unsure(adc):
    without = {key: value for key, value in MODEL.metadata.items() if key != "unsure_below"}
    old = open_model(embed_front_end(MODEL.content, without))
    assert old.unsure_below == 1
    heard = decisions(adc, old)
    assert {row["says"] for row in heard} <= {"silence", *CONFIG.genres}
    assert [row["unsure"] for row in heard] == [row["confidence"] == 0 for row in heard]


def test_with_threshold_changes_only_the_threshold():
    assert SURE.unsure_below == 90
    assert SURE.description["tensors"] == MODEL.description["tensors"]
    assert SURE.metadata == {**MODEL.metadata, "unsure_below": 90}
    assert json.dumps(SURE.metadata)


@pytest.mark.parametrize("percent", [0, 101, -5])
def test_a_threshold_must_be_a_percentage(percent):
    with pytest.raises(ValueError, match="from 1 to 100"):
        MODEL.with_threshold(percent)


@pytest.mark.parametrize("value", [True, 55.5, "55", None, 0, 101])
def test_a_damaged_threshold_is_refused(value):
    damaged = open_model(embed_front_end(MODEL.content, {**MODEL.metadata, "unsure_below": value}))
    with pytest.raises(ValueError, match="unsure below"):
        headers.headers(damaged)


# --- what is said

def test_python_says_unsure_below_the_threshold_and_silence(adc):
    heard = decisions(adc, SURE)
    said = {row["says"] for row in heard}
    assert {"silence", "unsure"} < said
    for row in heard:
        assert row["unsure"] == (row["confidence"] < 90)
        assert row["says"] == ("silence" if row["silent"] else "unsure" if row["unsure"] else row["vote"])
    sure = sum(row["says"] in CONFIG.genres for row in heard)
    assert sum(row["says"] in CONFIG.genres for row in decisions(adc, NEVER)) < sure


def test_c_on_this_computer_decides_like_python(adc):
    theirs = host_decisions.decisions(host_c.host_library(generated(SURE, "sure")), adc)
    ours = decisions(adc, SURE)
    assert len(ours) == len(theirs["window"]) >= 12
    for key in ("confidence", "silent", "unsure"):
        assert theirs[key].tolist() == [row[key] for row in ours]
    assert [CONFIG.genres[vote] for vote in theirs["vote"]] == [row["vote"] for row in ours]


def test_the_emulated_pico_decides_like_python(adc):
    image = build_image("genre_recognizer", generated=generated(SURE, "sure"))
    assert image["warnings"] == ""
    result = emulator.emulate(image, adc, seconds=len(adc) / CONFIG.sample_rate)
    heard = listen.parse_decisions(result["uart"].decode())
    expected = decisions(result["adc"], SURE)[: len(heard)]
    assert len(heard) >= 12
    for key in ("window", "vote", "confidence", "says", "scores"):
        assert [row[key] for row in heard] == [row[key] for row in expected]
    # the LED: on for a genre, off in silence, on and off in turn while unsure
    led = [(seconds, level) for seconds, pin, level in result["pins"] if pin == 25]
    for row in heard:
        now = [level for seconds, level in led if seconds < row["time_ms"] / 1000 + 0.02][-1]
        assert now == (row["says"] in CONFIG.genres or row["says"] == "unsure" and row["window"] % 2 == 0)
