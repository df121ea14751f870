"""The comparison, the table of what was tried and the headers of a new model, on a small scale with real training."""

import dataclasses

import numpy as np
import pytest

from mgr_helpers.audio import dataset, mini_set
from mgr_helpers.config import CONFIG, PRETRAINED
from mgr_helpers.model import network
from mgr_helpers.model.tflite import load_model
from mgr_helpers.model.training import N_OTHER, N_WINDOWS, SHIPPED, Recipe, training_windows
from mgr_helpers.pico import headers
from tests.tflm import NEEDS_TFLM
from tools import experiments, pretrained


@pytest.fixture(scope="module")
def songs():
    """Two songs a genre of twelve windows, each by another artist; one is in the published training part."""
    def one(genre, i):
        samples = mini_set.song(genre, 2 * i)[: CONFIG.window_length + 11 * CONFIG.window_step]
        return dataset.Song(f"{genre}/{i}.wav", genre, f"{genre}/{i}", f"{genre} artist {i}", samples,
                            ("train", "test")[i])

    return [one(genre, i) for genre in CONFIG.genres for i in range(2)]


@pytest.fixture(scope="module")
def windows(songs):
    training = training_windows(songs, 240, 12)
    return training, [experiments.test_windows(songs, seed) for seed in (0, 1)]


@pytest.fixture
def small(monkeypatch):
    """One seed, two folds, one process, short training; all variants without recurrence, but for what ships."""
    monkeypatch.setattr(experiments, "SEEDS", (0,))
    monkeypatch.setattr(pretrained, "SEEDS", (0,))
    monkeypatch.setattr(experiments, "BOOK_EPOCHS", 1)
    monkeypatch.setattr(experiments, "N_JOBS", 1)
    folds = experiments.folds_by_group
    monkeypatch.setattr(experiments, "folds_by_group", lambda clips, n_folds=2, seed=0, config=CONFIG: folds(
        clips, min(n_folds, 2), seed, config))
    cross_validate = experiments.cross_validate
    monkeypatch.setattr(experiments, "cross_validate",
                        lambda *args, **options: cross_validate(*args, **{**options, "n_folds": 2}))
    short = dataclasses.replace(SHIPPED, epochs=1, recurrent_dropout=0.0)
    monkeypatch.setattr(experiments, "SHIPPED", short)
    variants = {name: dataclasses.replace(recipe, architecture="pooling", epochs=1, recurrent_dropout=0.0)
                for name, recipe in experiments.VARIANTS.items()}
    monkeypatch.setattr(experiments, "VARIANTS", variants)


def test_training_windows_hold_music_and_other_sounds(windows):
    training = windows[0]
    assert len(training["raw"]) == 252 and np.sum(training["genre"] == network.NO_GENRE) == 12
    assert set(training["heard"]) == {"clean", "microphone", "room"}
    assert set(training["group"][training["genre"] == network.NO_GENRE]) == {""}


def test_share_of_other_sounds_is_that_of_the_shipped_model(songs):
    genre = training_windows(songs, 40)["genre"]
    assert np.sum(genre == network.NO_GENRE) == 40 * N_OTHER // N_WINDOWS


def test_a_recipe_chooses_its_windows(windows):
    training = windows[0]
    clean = experiments.chosen(training, Recipe(heard=("clean",), other=False))
    assert set(clean["heard"]) == {"clean"} and clean["genre"].min() >= 0
    third = experiments.chosen(training, experiments.VARIANTS["a third of the training windows"])
    assert len(third["raw"]) == len(training["raw"]) // 3


def test_view_gives_fewer_mfccs_or_log_mel_bands(windows):
    raw = windows[0]["raw"]
    assert experiments.view(raw, Recipe(n_mfcc=18)).shape[-1] == 18
    bands = experiments.view(raw, Recipe(log_mel=True))
    assert bands.shape == raw.shape and np.abs(bands.mean(axis=-1)).max() < 2**22 / 100  # no level is left


@NEEDS_TFLM
@pytest.mark.slow
def test_comparison_with_all_baselines(small, songs, windows, tmp_path, monkeypatch):
    training, tests = windows
    monkeypatch.setenv("MGR_BUILD", str(tmp_path))
    results, scores = experiments.compare(songs, training, tests)
    assert set(results) == {"lstm_mean", "lstm_mean, published split", "log-Mel", "pooling", "book", "book, leaking",
                            "majority"}
    ours = results["lstm_mean"]["tflm"]["microphone -12 dB"]
    assert ours["windows"]["n"] == len(tests[0]["clean"]["genre"])
    assert ours["votes"]["n"] == 6 * 3 and 0 <= ours["songs"]["accuracy"] <= 1
    assert results["majority"]["float"]["any"]["windows"]["accuracy"] == pytest.approx(1 / 3)
    assert scores["tflm"]["clean"].dtype == np.int8
    unsure = pretrained.unsure_figures(scores["tflm"], tests[0]["clean"])
    assert 1 <= unsure["threshold"] <= 100 and set(unsure["held_out"]) == set(experiments.CONDITIONS)


@pytest.mark.slow
def test_experiments_are_measured_once_and_written_as_a_table(small, windows, tmp_path, monkeypatch):
    training, tests = windows
    monkeypatch.setenv("MGR_BUILD", str(tmp_path))
    monkeypatch.setattr(experiments, "SEEDS", (0, 1))
    names = [experiments.LOG_MEL, experiments.POOLING]
    found = {name: experiments.cached_figures(name, training, tests) for name in names}
    monkeypatch.setattr(experiments, "measure", None)  # what is measured is not measured again
    assert experiments.cached_figures(names[0], training, tests) == found[names[0]]
    assert len(list((tmp_path / "experiments").iterdir())) == 2
    experiments.write_document(found, "mini", tmp_path / "experiments.md")
    text = (tmp_path / "experiments.md").read_text()
    assert all(f"| {name} |" in text for name in names) and "nan" not in text


# --- headers of a new model

@pytest.mark.parametrize("off", [0, 1])
def test_headers_are_written_only_when_c_equals_tflm(off, monkeypatch):
    written = []

    def scores(engine, model, raw):
        return np.full((len(raw), 3), off * (engine == "c"), np.int8)

    monkeypatch.setattr(pretrained, "engine_scores", scores)
    monkeypatch.setattr(headers, "write_headers", written.append)
    if off:
        with pytest.raises(RuntimeError, match="other scores than TFLM"):
            pretrained.write_checked_headers(PRETRAINED)
    else:
        pretrained.write_checked_headers(PRETRAINED)
    assert len(written) == 1 - off


@NEEDS_TFLM
@pytest.mark.slow
def test_c_equals_tflm_on_the_calibration_windows():
    raw, model = np.load(PRETRAINED / "calibration.npz")["raw"], load_model()
    assert np.array_equal(pretrained.engine_scores("c", model, raw), pretrained.engine_scores("tflm", model, raw))
