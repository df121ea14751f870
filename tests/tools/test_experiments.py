"""The comparison, the table of what was tried and the headers of a new model, on a small scale with real training."""

import dataclasses

import numpy as np
import pytest

from mgr_helpers.audio import dataset, gtzan, mini_set
from mgr_helpers.config import CONFIG, PRETRAINED
from mgr_helpers.features import mfcc_q15
from mgr_helpers.model.tflite import load_model
from mgr_helpers.model.training import N_WINDOWS, SHIPPED, SYNTHETIC, Recipe, training_windows
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
def others():
    """Two pieces of each kind, in groups of their own."""
    return [dataset.Song("", kind, f"{kind}/{i}", f"{kind}/{i}", mini_set.song("waltz", i)[: 3 * CONFIG.sample_rate])
            for kind in ("pop", "speech") for i in range(2)]


@pytest.fixture(scope="module")
def windows(songs, others):
    training = training_windows(songs, others, 240)
    return training, [experiments.test_windows([*songs, *others], seed) for seed in (0, 1)]


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


def test_a_recipe_chooses_its_windows(windows):
    training = windows[0]
    clean = experiments.chosen(training, Recipe(heard=("clean",), other=False))
    assert set(clean["heard"]) == {"clean"} and set(clean["genre"]) == {0, 1, 2}
    assert clean["labels"].tolist() == [*CONFIG.genres, "pop", "speech", SYNTHETIC]
    third = experiments.chosen(training, experiments.VARIANTS["a third of the training windows"])
    assert len(third["raw"]) == len(training["raw"]) // 3


def test_view_gives_fewer_mfccs_or_log_mel_bands(windows):
    raw = windows[0]["raw"]
    assert experiments.view(raw, Recipe(n_mfcc=18)).shape[-1] == 18
    bands = experiments.view(raw, Recipe(log_mel=True))
    assert bands.shape == raw.shape and np.abs(bands.mean(axis=-1)).max() < 2**22 / 100  # no level is left


def test_another_share_of_the_mean_is_that_of_the_front_end():
    rng = np.random.default_rng(0)
    mfccs = (rng.normal(0, 2, (3, CONFIG.n_frames, CONFIG.n_mfcc)) * 2**22).astype(np.int32)
    for share in (0.0, 0.5, 1.0):
        wanted = mfcc_q15.remove_mean(mfccs, dataclasses.replace(CONFIG, mean_share=share))
        found = experiments.view(mfcc_q15.remove_mean(mfccs), Recipe(mean_share=share))
        assert np.abs(found - wanted).max() < 2**22 / 1000


def test_folds_of_other_music_share_no_group():
    names = {"genre": [0, 1, 2] * 10 + [-1] * 40, "kind": ["disco", "jazz", "metal"] * 10 + ["pop"] * 20 + ["rock"] * 20,
             "group": [f"a{i}" for i in range(30)] + [f"b{i // 4}" for i in range(40)]}
    clips = {name: np.array(values) for name, values in names.items()}
    fold = experiments.folds_by_group(clips)
    for kind in ("pop", "rock"):
        own = clips["kind"] == kind
        assert set(fold[own]) == set(range(5)) and all(len(set(fold[clips["group"] == g])) == 1
                                                       for g in clips["group"][own])


def test_thresholds_come_from_the_other_folds(monkeypatch):
    """In one fold all music is sure, in the other half of it is: each gets the threshold of the other."""
    monkeypatch.setattr(experiments, "folds_by_group", lambda test, **_: np.repeat([0, 1], 10))
    sure, split = [[127, -128, -128]], [[-20, -64, -64]]
    scores = {"clean": np.zeros((1, 20, 3), np.int8),
              "microphone": np.array([sure * 10 + sure * 5 + split * 5], np.int8)}
    test = {"genre": np.zeros(20, int), "song": np.array([str(i) for i in range(20)])}
    found = experiments.thresholds_by_fold(scores, test)[0]
    assert set(found[:10]) == {45} and set(found[10:]) == {99}


def test_the_highest_threshold_that_covers_four_fifths():
    assert experiments.threshold_of(np.array([10, 50, 60, 70, 80])) == 50
    assert experiments.threshold_of(np.zeros(5)) == 1


def test_ten_genres_are_the_same_windows_with_other_numbers():
    labels = np.array([*CONFIG.genres, "blues", "classical", "country", "hiphop", "pop", "reggae", "rock", SYNTHETIC])
    training = {"genre": np.arange(11), "labels": labels, "raw": np.zeros(11)}
    test = {"genre": np.array([0, -1, -1]), "kind": np.array(["disco", "rock", "speech"])}
    own, ((found,),) = experiments.as_ten(training, [{"clean": test}])[0], [[experiments.as_ten(
        training, [{"clean": test}])[1][0]["clean"]]]
    assert own["labels"].tolist() == [*gtzan.GENRES, SYNTHETIC]
    assert (own["labels"][own["genre"]] == labels).all() and found["genre"].tolist() == [3, 9, -1]
    with pytest.raises(ValueError, match="no songs of blues"):
        experiments.as_ten({**training, "labels": labels[4:]}, [])


@NEEDS_TFLM
@pytest.mark.slow
def test_comparison_with_all_baselines(small, songs, windows, tmp_path, monkeypatch):
    training, tests = windows
    monkeypatch.setenv("MGR_BUILD", str(tmp_path))
    results, listener, scores = experiments.compare(songs, training, tests[:1])
    assert set(results) == {"lstm_mean", "lstm_mean, published split", "first round", "pooling", "book",
                            "book, leaking", "majority"}
    ours = results["lstm_mean"]["tflm"]["microphone -12 dB"]
    assert ours["windows"]["n"] == np.sum(tests[0]["clean"]["genre"] >= 0)
    assert set(listener) == {"lstm_mean", "first round", "pooling"} and set(listener["pooling"]) == set(
        experiments.CONDITIONS)
    assert {"accuracy", "named", "speech", "auroc", "pop"} < set(listener["lstm_mean"]["clean"])
    assert ours["votes"]["n"] == 6 * 3 and 0 <= ours["songs"]["accuracy"] <= 1
    assert results["majority"]["float"]["any"]["windows"]["accuracy"] == pytest.approx(1 / 3)
    assert scores["tflm"]["clean"].dtype == np.int8
    unsure = pretrained.unsure_figures(scores["tflm"], tests[0]["clean"])
    assert 1 <= unsure["threshold"] <= 100 and len(unsure["curve"]["coverage"]) == 100
    times = experiments.times(scores["tflm"], tests[0]["clean"], unsure["threshold"])
    assert times["clean"]["after_silence"]["n"] == 6


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
        return np.full((len(raw), 12), off * (engine == "c"), np.int8)

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
