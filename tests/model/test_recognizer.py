"""The vote, *unsure* and *silence*: Python, the C on this computer and the emulated Pico say the same."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgr_helpers.audio import gtzan, mini_set
from mgr_helpers.audio.adc import ideal_counts
from mgr_helpers.config import CONFIG, PRETRAINED, build_dir
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


@pytest.fixture(scope="module")
def halfway(adc):
    """The model with a threshold that about half of the confidences reach: it says genres, and unsure."""
    confidences = [row["confidence"] for row in decisions(adc, MODEL) if not row["silent"]]
    return MODEL.with_threshold(max(1, int(np.median(confidences))))


# --- the vote

def two_windows(vote_windows=2):
    return dataclasses.replace(CONFIG, vote_windows=vote_windows)


def test_vote_of_five_windows():
    """Four classes, the last of which is no genre. Numbers by hand: the geometric mean of the shares."""
    scores = np.array([[127, -128, -128, -128], [-64, 64, -128, -128], [-128, 64, -128, -64], [-128, -128, -128, 127],
                       [-128, -128, -128, 127]], np.int8)
    winner, confidence = recognizer.vote(scores, np.array([False, False, False, True, False]), two_windows())
    assert winner.tolist() == [0, 0, 1, 1, 0]
    # 255:0; sqrt(255 * 64) : sqrt(.256 * 192); 192:16 and less; 192:64; nothing but the last class
    assert confidence[[0, 1, 3, 4]].tolist() == [99, 94, 74, 0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-128, 127)] * 5, st.booleans()), min_size=1, max_size=40),
       st.integers(1, 20))
def test_vote_is_near_the_same_in_floating_point(rows, vote_windows):
    scores, silent = np.array([row[:5] for row in rows], np.int8), np.array([row[5] for row in rows])
    winner, confidence = recognizer.vote(scores, silent, two_windows(vote_windows))
    for i in range(len(rows)):
        own = slice(max(0, i + 1 - vote_windows), i + 1)
        heard = (scores[own][~silent[own]] + 128.0) / 256
        if not len(heard):
            assert winner[i] == confidence[i] == 0
            continue
        shares = np.exp(np.log(heard + CONFIG.vote_floor).mean(axis=0))
        shares /= shares.sum()
        assert abs(100 * shares[winner[i]] - confidence[i]) < 1.5
        assert shares[winner[i]] > shares[:3].max() - 1e-3


def test_sound_of_no_genre_gets_no_confidence():
    scores = np.full((3, 5), -128, np.int8)
    scores[:, 4] = 127
    assert recognizer.vote(scores, np.zeros(3, bool), CONFIG)[1].tolist() == [0, 0, 0]


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

def test_python_says_unsure_below_the_threshold_and_silence(adc, halfway):
    heard = decisions(adc, halfway)
    said = {row["says"] for row in heard}
    assert {"silence", "unsure"} < said
    for row in heard:
        assert row["unsure"] == (row["confidence"] < halfway.unsure_below)
        assert row["says"] == ("silence" if row["silent"] else "unsure" if row["unsure"] else row["vote"])
    sure = sum(row["says"] in CONFIG.genres for row in heard)
    assert sum(row["says"] in CONFIG.genres for row in decisions(adc, NEVER)) < sure


def test_c_on_this_computer_decides_like_python(adc, halfway):
    theirs = host_decisions.decisions(host_c.host_library(generated(halfway, "sure")), adc)
    ours = decisions(adc, halfway)
    assert len(ours) == len(theirs["window"]) >= 12
    for key in ("confidence", "silent", "unsure"):
        assert theirs[key].tolist() == [row[key] for row in ours]
    assert [CONFIG.genres[vote] for vote in theirs["vote"]] == [row["vote"] for row in ours]
    assert [MODEL.labels[label] for label in theirs["label"]] == [row["label"] for row in ours]


def test_the_emulated_pico_decides_like_python(adc, halfway):
    image = build_image("genre_recognizer", generated=generated(halfway, "sure"))
    assert image["warnings"] == ""
    result = emulator.emulate(image, adc, seconds=len(adc) / CONFIG.sample_rate)
    heard = listen.parse_decisions(result["uart"].decode())
    expected = decisions(result["adc"], halfway)[: len(heard)]
    assert len(heard) >= 12
    for key in ("window", "vote", "confidence", "says", "scores"):
        assert [row[key] for row in heard] == [row[key] for row in expected]
    # the LED: on for a genre, off in silence, on and off in turn while unsure
    led = [(seconds, level) for seconds, pin, level in result["pins"] if pin == 25]
    for row in heard:
        now = [level for seconds, level in led if seconds < row["time_ms"] / 1000 + 0.02][-1]
        assert now == (row["says"] in CONFIG.genres or row["says"] == "unsure" and row["window"] % 2 == 0)


LATE = """#include "emulator.h"
#include "recognizer.h"
static recognizer_t recognizer;
static uint16_t block[FRAME_STEP];
int main(void)
{
    decision_t decision;
    recognizer_init(&recognizer);
    for (int n = 0; emulator_read(block, sizeof block) == sizeof block; n++) {
        recognizer_push(&recognizer, block, FRAME_STEP);
        if (n < 40) continue;  // nobody asks for the first window's decision
        while (recognizer_pending(&recognizer))
            if (recognizer_step(&recognizer, &decision)) emulator_write(&decision, sizeof decision);
    }
    emulator_exit(recognizer_step(&recognizer, &decision));  // nothing is pending: false
    return 0;
}
"""


def test_who_asks_late_loses_no_vote(tmp_path, adc):
    """Windows end whether or not somebody takes steps. The votes of those never told count."""
    (tmp_path / "late.c").write_text(LATE)
    counts = np.ascontiguousarray(adc[2 * CONFIG.sample_rate :][: 102 * CONFIG.frame_step], "<u2")
    output = emulator.emulate(build_image(tmp_path / "late.c"), data=counts.tobytes())["output"]
    n, width = len(MODEL.labels), len(output) // 4
    rows = np.frombuffer(output, np.uint8).reshape(4, width)
    expected = decisions(counts, MODEL)[1:]
    assert rows[:, :4].copy().view("<u4").ravel().tolist() == [row["window"] for row in expected]
    assert rows[:, 4 + n + 2].tolist() == [row["confidence"] for row in expected]


def test_a_model_of_an_older_version_is_refused():
    config = {name: value for name, value in CONFIG.to_dict().items() if name != "mean_share"}
    older = open_model(embed_front_end(MODEL.content, {**MODEL.metadata, "config": config}))
    with pytest.raises(ValueError, match="made by another version.*notebook 06"):
        older.front_end


# --- ten genres

@pytest.fixture(scope="module")
def ten():
    return load_model(PRETRAINED / "ten_genres.tflite")


def test_ten_genres_reach_the_headers(ten):
    assert ten.config.genres == gtzan.GENRES and ten.labels[10:] == ["speech", "synthetic"]
    texts = headers.headers(ten)
    assert "#define N_GENRES 10\n" in texts["constants.h"] and "#define N_CLASSES 12\n" in texts["constants.h"]
    assert ",\n    ".join(f'"{label}"' for label in ten.labels) in texts["labels.h"]


def test_ten_genres_on_the_emulated_pico_equal_python(ten, adc):
    heard = listen.listen_to_counts(adc[3 * CONFIG.sample_rate :][: 6 * CONFIG.sample_rate], build_image(
        "genre_recognizer", generated=generated(ten, "ten")), ten.config)
    expected = decisions(heard["adc"], ten)
    assert heard["self_test"] and len(heard["decisions"]) >= 5
    for ours, theirs in zip(expected, heard["decisions"]):
        assert all(ours[key] == theirs[key] for key in ("vote", "confidence", "says", "scores"))
        assert theirs["label"] in (*ten.labels, "silence")
