"""Figures, votes, intervals, engines, thresholds and the evaluate command."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgr_helpers import __main__
from mgr_helpers.audio import dataset, mini_set
from mgr_helpers.config import CONFIG
from mgr_helpers.features import mfcc_q15
from mgr_helpers.model import evaluate, recognizer, training
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import engines, headers
from tests.tflm import NEEDS_TFLM
from tools import experiments, pretrained


@pytest.fixture(scope="module")
def songs():
    """Two short songs a genre, each by another artist."""
    def one(genre, i):
        samples = mini_set.song(genre, 2 * i)[: 4 * CONFIG.sample_rate]
        return dataset.Song(f"{genre}/{i}.wav", genre, f"{genre}/{i}", f"{genre} artist {i}", samples)

    return [one(genre, i) for genre in CONFIG.genres for i in range(2)]


@pytest.fixture(scope="module")
def windows(songs):
    return evaluate.windows_of(songs)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, windows):
    """A folder with a small model, as `pretrained` writes it."""
    folder = tmp_path_factory.mktemp("model")
    recipe = training.Recipe(epochs=2, recurrent_dropout=0.0)
    network, mean, std, _ = training.train_on(windows["raw"], windows["genre"], recipe=recipe)
    pretrained.write_models(folder, network, mean, std, {**windows, "labels": np.array(CONFIG.genres)})
    return folder


# --- figures

def test_figures_of_six_windows():
    scores = np.eye(3)[[0, 0, 1, 1, 1, 2]]
    genre, song = np.array([0, 0, 0, 1, 1, 2]), np.array(["a", "a", "a", "b", "b", "c"])
    result = evaluate.figures(scores, genre, song)
    assert result["windows"]["n"] == 6 and result["windows"]["accuracy"] == pytest.approx(5 / 6)
    assert result["songs"]["n"] == 3 and result["songs"]["accuracy"] == 1.0
    assert result["confusion"] == [[2, 1, 0], [0, 2, 0], [0, 0, 1]]
    assert result["recall"] == {"disco": pytest.approx(2 / 3), "jazz": 1.0, "metal": 1.0}
    json.dumps(result)


def test_int8_scores_vote_like_probabilities():
    scores = np.array([[127, -128, -128], [-128, 100, -100], [-128, 100, -100]], np.int8)
    _, true, voted = evaluate.song_votes(scores, np.zeros(3, int), np.array(["a"] * 3))
    assert true.tolist() == [0] and voted.tolist() == [1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(1, 10)), min_size=2, max_size=40))
def test_the_accuracy_lies_in_its_interval(pairs):
    correct, total = np.array([min(pair) for pair in pairs]), np.array([pair[1] for pair in pairs])
    low, high = evaluate.bootstrap_interval(correct, total)
    assert 0 <= low <= correct.sum() / total.sum() <= high <= 1


def test_more_songs_give_a_narrower_interval():
    few, many = (np.subtract(*evaluate.bootstrap_interval(np.arange(n) % 2, np.ones(n, int))) for n in (10, 1000))
    assert abs(many) < abs(few) / 3


def test_figures_need_at_least_one_window():
    with pytest.raises(ValueError, match="no window"):
        evaluate.figures(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0, str))


# --- windows

def test_windows_follow_one_another_without_a_gap(songs, windows):
    shortest = int(dataset.SHORT * CONFIG.sample_rate)  # a shorter song is repeated
    expected = sum((max(len(song.samples), shortest) // 1024 - 21) // 20 + 1 for song in songs)
    assert len(windows["raw"]) == expected == len(windows["genre"])
    first = mfcc_q15.mfcc_windows(songs[0].samples[None, : CONFIG.window_length])
    assert np.array_equal(windows["raw"][0], first[0])


def test_silent_windows_are_left_out(songs):
    half = songs[0].samples.copy()
    half[: 2 * CONFIG.window_length] = 0
    silent = dataset.Song("x", "disco", "x", "x", half)
    assert 0 < len(evaluate.windows_of([silent])["raw"]) < len(evaluate.windows_of([songs[0]])["raw"])


# --- engines and protocols

@NEEDS_TFLM
@pytest.mark.slow
def test_c_equals_tflm_and_other_engines_are_close(trained, windows):
    model, float_model = engines.load_models(trained / "model_int8.tflite")
    scores = {name: engines.engine_scores(name, model, windows["raw"], float_model) for name in engines.ENGINES}
    assert np.array_equal(scores["c"], scores["tflm"])
    for engine in ("litert", "tflm"):
        assert np.abs((scores[engine] + 128.0) / 256 - scores["float"]).max() < 0.1
    with pytest.raises(ValueError, match="unknown engine"):
        engines.engine_scores("abacus", model, windows["raw"])
    with pytest.raises(ValueError, match="model_float.tflite"):
        engines.engine_scores("float", model, windows["raw"])


def test_cross_validation_never_tests_on_an_artist_it_trained_on(songs, windows):
    seen = []

    def fit(raw, genre, seed):
        seen.append({window.tobytes() for window in raw})
        return {"spy": lambda test: np.array([[window.tobytes() in seen[-1]] * 3 for window in test], float)}

    scores = experiments.cross_validate(windows, [{"clean": windows}], fit, n_folds=2)
    assert len(seen) == 2 and scores["spy"]["clean"].shape == (1, len(windows["genre"]), 3)
    assert not scores["spy"]["clean"].any()


def test_shipped_files_are_valid_and_small():
    folder = pretrained.PRETRAINED
    load_model(folder / "model_int8.tflite")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["parameters"] <= 15000
    assert (folder / "MODEL_CARD.md").read_text() == pretrained.model_card(metrics)


@pytest.mark.slow
def test_evaluate_command_prints_json(trained, songs, tmp_path, capsys):
    import soundfile
    for song in songs:
        (tmp_path / song.genre).mkdir(exist_ok=True)
        soundfile.write(tmp_path / song.path, song.samples, CONFIG.sample_rate)
    (tmp_path / "jazz" / "bad.wav").write_bytes(b"RIFF")
    words = ["evaluate", "--audio", str(tmp_path), "--model", str(trained / "model_int8.tflite"), "--json"]
    for more in ([], ["--mic", "-12"], ["--room"], ["--engine", "float"]):
        assert __main__.main(words + more) == 0
        result = json.loads(capsys.readouterr().out)
        assert set(result) == {"windows", "songs", "votes", "recall", "confusion", "decisions", "time_to_decide",
                               "other", "auroc", "skipped", "model"}
        assert result["songs"]["n"] == 6 and result["skipped"][0]["file"] == "jazz/bad.wav"
        assert result["other"] is None and result["decisions"]["n"] == result["windows"]["n"]
    for kind in ("bells", "waltz"):
        (tmp_path / "other" / kind).mkdir(parents=True)
        soundfile.write(tmp_path / "other" / kind / "a.wav", mini_set.song(kind, 0), CONFIG.sample_rate)
    assert __main__.main([*words, "--other", str(tmp_path / "other")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["other"]["by_kind"]) == {"bells", "waltz"} and 0 <= result["auroc"] <= 1
    assert __main__.main([*words[:-1], "--other", str(tmp_path / "other")]) == 0
    assert "other sound is called a genre in" in capsys.readouterr().out
    assert __main__.main(["evaluate", "--audio", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err


# --- what a listener meets

def heard(*words):
    """int8 scores of windows, four classes, the last of no genre: letters d, j, m are sure, o is other."""
    rows = {letter: np.where(np.arange(4) == i, 127, -128) for i, letter in enumerate("djmo")}
    return (np.array([rows[letter] for word in words for letter in word], np.int8),
            np.repeat([f"song {i}" for i in range(len(words))], [len(word) for word in words]))


def test_decisions_count_from_the_first_window_on():
    scores, song = heard("dddd", "oooj", "jj")
    found = evaluate.decisions(scores, np.array([0] * 4 + [1] * 6), song, 50)
    assert found["n"] == 10 and found["coverage"] == 0.6 and found["right"] == 1.0
    assert found["accuracy"] == 0.7  # whatever the confidence: of four sums that are equal the first counts


def test_other_sound_by_kind_and_how_often_it_is_called_a_genre():
    scores, song = heard("oddo", "oooo", "dddj")
    kind = np.array(["pop"] * 8 + ["speech"] * 4)
    found = evaluate.other_decisions(scores, kind, song, 60, dataclasses.replace(CONFIG, vote_windows=1))
    assert found["by_kind"] == {"pop": 0.25, "speech": 1.0} and found["named"] == 0.5
    hours = 12 * CONFIG.window_step / CONFIG.sample_rate / 3600
    assert found["false_genres_per_hour"] == pytest.approx(3 / hours)  # once in the first song, twice in the last


def test_auroc_is_that_of_all_pairs():
    scores, song = heard("dd", "oj")
    other, other_song = heard("oo", "mo")
    known, unknown = (evaluate.running_votes(*pair)[1] for pair in ((scores, song), (other, other_song)))
    pairs = [(a > b) + (a == b) / 2 for a in known for b in unknown]
    assert evaluate.auroc(scores, song, other, other_song) == pytest.approx(np.mean(pairs))


def test_time_to_decide_after_silence_and_after_another_song():
    config = dataclasses.replace(CONFIG, vote_windows=4)
    scores, song = heard("oodddd", "jjjjjj", "oooooo", "jj")
    genre = np.array([0] * 6 + [1] * 6 + [2] * 6 + [1] * 2)
    seconds = (config.window_length + np.array([0, 1, 2, 3, 4]) * config.window_step) / config.sample_rate
    alone = evaluate.time_to_decide(scores, genre, song, 60, config=config)
    assert alone["n"] == 3 and alone["never"] == pytest.approx(1 / 3)
    assert alone["median"] == pytest.approx(seconds[4]) and alone["ninth_decile"] is None
    after = evaluate.time_to_decide(scores[:12], genre[:12], song[:12], 60, True, config)
    assert after["never"] == 0 and after["median"] == pytest.approx(seconds[2])  # three of four windows are jazz
    assert evaluate.time_to_decide(scores[-2:], genre[-2:], song[-2:], 60, config=config)["n"] == 0


# --- unsure

def test_running_votes_start_anew_with_each_song():
    scores = np.array([[127, -128, -128]] * 3 + [[-128, 127, -128]] * 2, np.int8)
    winner, confidence = evaluate.running_votes(scores, np.array(["a"] * 3 + ["b"] * 2))
    assert winner.tolist() == [0, 0, 0, 1, 1] and confidence.tolist() == [99] * 5
    mixed = evaluate.running_votes(scores, np.array(["a"] * 5))
    assert mixed[0].tolist() == [0] * 5 and mixed[1][[0, 1, 2, 4]].tolist() == [99, 99, 99, 79]  # 1000^(1/5) : 1
    as_probabilities = evaluate.running_votes((scores + 128.0) / 256, np.array(["a"] * 5))
    assert np.array_equal(as_probabilities, mixed)


def test_coverage_and_threshold_of_five_windows():
    rows = [(0.9, 0, 0), (0.8, 1, 1), (0.7, 2, 2), (0.6, 0, 1), (0.5, 0, 0)]  # confidence, winner, true genre
    scores = np.array([[share if i == winner else (1 - share) / 2 for i in range(3)] for share, winner, _ in rows])
    curve = evaluate.coverage_curve(scores, np.array([true for *_, true in rows]), np.array(list("abcde")))
    at = {int(t): (c, a) for t, c, a in zip(*curve.values())}
    assert at[1] == (1.0, 0.8) and at[55] == (0.8, 0.75) and at[65] == (pytest.approx(0.6), 1.0)
    assert at[100][0] == 0 and np.isnan(at[100][1])
    assert (np.diff(curve["coverage"]) <= 0).all()
    assert 50 < evaluate.threshold_for(curve) <= 60 < evaluate.threshold_for(curve, 0.6) <= 70
    assert evaluate.threshold_for(curve, 1.0) <= 50


@pytest.mark.parametrize("coverage", [0.0, 1.1])
def test_a_coverage_must_lie_between_0_and_1(coverage):
    with pytest.raises(ValueError, match="coverage"):
        evaluate.threshold_for({"threshold": np.array([1]), "coverage": np.array([1.0])}, coverage)


def test_a_higher_threshold_gives_fewer_other_sounds_a_genre(trained):
    model = load_model(trained / "model_int8.tflite")
    options = {"seconds": 4, "n": 1, "kinds": ("silence", "white noise", "speech"),
               "run": headers.run_reference}
    low, high = (evaluate.of_other_sounds(model.with_threshold(t), **options) for t in (1, 100))
    for kind in options["kinds"]:
        assert low[kind]["windows"] == high[kind]["windows"] == 4
        assert sum(low[kind][word] for word in ("genre", "unsure", "silence")) == pytest.approx(1)
        assert high[kind]["genre"] <= low[kind]["genre"] and low[kind]["unsure"] == 0
    assert low["white noise"]["genre"] == 1


def test_shares_of_genre_unsure_and_silence():
    rows = [{"says": word} for word in ("jazz", "unsure", "silence", "jazz")]
    assert recognizer.said(rows) == {"windows": 4, "genre": 0.5, "unsure": 0.25, "silence": 0.25}
    assert recognizer.said([])["genre"] == 0
