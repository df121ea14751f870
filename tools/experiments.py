"""What the shipped model is compared with, and what else was tried.

`compare` measures ours and every baseline: figures for README, model card and notebook 07. The command
``python -m tools.experiments --data FOLDER`` changes one thing of our recipe at a time and writes docs/experiments.md.
Everything is measured by five folds by artist, with several seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
from tqdm.auto import tqdm

from mgr_helpers.audio import adc, dataset, gtzan, microphone, splits
from mgr_helpers.config import CONFIG, ROOT, Config, build_dir
from mgr_helpers.features import mfcc, mfcc_book, mfcc_q15
from mgr_helpers.features.windows import stream_windows
from mgr_helpers.host.command_line import as_path, main
from mgr_helpers.host import files
from mgr_helpers.host.processes import in_parallel
from mgr_helpers.host.quiet import import_tf
from mgr_helpers.model import evaluate, quantize
from mgr_helpers.model.network import build_model, calibration_choice, fit_normalisation, predict
from mgr_helpers.model.tflite import front_end_dict
from mgr_helpers.model.training import N_WINDOWS, SHIPPED, SPEECH, Recipe, train_on, training_windows
from mgr_helpers.pico.engines import engine_scores

SEEDS = (0, 1, 2)
COVERAGE = 0.8  # share of music through the microphone to which the Pico says a genre; below that it is unsure
N_JOBS = 2  # folds at a time; each process needs about 1 GB
CONDITIONS = {"clean": (None, False), "microphone 0 dB": (0.0, False), "microphone -12 dB": (-12.0, False),
              "microphone -24 dB": (-24.0, False), "microphone 0 dB, room": (0.0, True)}
BOOK_EPOCHS, BOOK_BATCH = 30, 50
BOOK_BIAS = 1552  # the book's sketch subtracts this constant, 1.25 V, from each ADC count; the rest is its q15 audio
LOG_MEL, POOLING = "log-Mel bands instead of MFCCs", "no recurrence: mean and maximum, Dense(32)"
FIRST = "as in the first round: no other music, no mean taken off, 15 epochs"
VARIANTS = {  # measured in this order: the most important questions first
    "what ships": SHIPPED,
    FIRST: Recipe(other=False, mean_share=0.0, epochs=15),
    POOLING: Recipe("pooling", recurrent_dropout=0.0),
    "no mean taken off": Recipe(mean_share=0.0),
    "half of the mean taken off": Recipe(mean_share=0.5),
    "all of the mean taken off": Recipe(mean_share=1.0),
    "no other music": Recipe(other=False),
    LOG_MEL: Recipe(log_mel=True),
    "the first 18 MFCCs, as the book": Recipe(n_mfcc=18),
    "trained on clean windows only": Recipe(heard=("clean",)),
    "no noise on the input": Recipe(noise=0.0),
    "a third of the training windows": Recipe(n_windows=N_WINDOWS // 3),
    "the book's network, two LSTM(32), last step": Recipe("lstm2"),
    "no room in training": Recipe(heard=("clean", "microphone")),
    "LSTM(20)": Recipe(units=20),
    "LSTM(48)": Recipe(units=48),
    "a third of the steps": Recipe(epochs=17),
    "twice the steps": Recipe(epochs=100),
}


def test_windows(songs: list, seed: int, config: Config = CONFIG) -> dict[str, dict]:
    """Windows of every song, other music too, in every condition; each seed has its own draws of the microphone simulation."""
    return {name: evaluate.windows_of(songs, level, room, seed=[1000 + index, seed], config=config)
            for index, (name, (level, room)) in enumerate(CONDITIONS.items())}


def view(raw: np.ndarray, recipe: Recipe, config: Config = CONFIG) -> np.ndarray:
    """The recipe's features: all MFCCs, the first few, or log Mel bands (inverse DCT of all MFCCs but the first).

    Another share of the mean is taken off by giving a part of it back: what is left of it is known.
    """
    if recipe.mean_share != config.mean_share:
        given_back = raw.mean(axis=-2, keepdims=True) * ((config.mean_share - recipe.mean_share) / (1 - config.mean_share))
        given_back[..., 0] = 0
        raw = (raw + given_back).astype(np.int32)
    if not recipe.log_mel:
        return raw[..., : recipe.n_mfcc]
    level_free = np.concatenate([np.zeros_like(raw[..., :1]), raw[..., 1:]], axis=-1)
    return (level_free @ mfcc.dct_matrix(config)).astype(np.int32)


def chosen(training: dict, recipe: Recipe) -> dict:
    """The training windows that the recipe takes."""
    kept = np.isin(training["heard"], recipe.heard) & (recipe.other | (training["genre"] < len(CONFIG.genres)))
    kept &= np.arange(len(kept)) % (N_WINDOWS // (recipe.n_windows or N_WINDOWS)) == 0
    return {name: values if name == "labels" else values[kept] for name, values in training.items()}


def fit_engines(raw: np.ndarray, genre: np.ndarray, seed: int, recipe: Recipe = SHIPPED, labels: list | None = None,
                config: Config = CONFIG) -> dict:
    """Train, for `cross_validate`. Returns functions from raw to scores: "float", and with `labels` also "tflm"."""
    import_tf().config.experimental.enable_op_determinism()
    seen = view(raw, recipe)
    network, mean, std, _ = train_on(seen, genre, seed, recipe, config=config)
    engines = {"float": lambda test: predict(network, mfcc_q15.normalise(view(test, recipe), mean, std))}
    if labels is not None:
        calibration = mfcc_q15.normalise(seen[calibration_choice(genre)], mean, std)
        model = quantize.convert(network, calibration, front_end_dict(mean, std, labels, config))
        engines["tflm"] = lambda test: engine_scores("tflm", model, test)
    return engines


def measure(training: dict, tests: list[dict], recipe: Recipe = SHIPPED, int8: bool = False,
            config: Config = CONFIG) -> dict:
    """Scores of a recipe by five folds by artist: array (n_seeds, n, n_classes) by engine and condition.

    Parameters
    ----------
    training : dict
        From `training_windows`.
    tests : list of dict
        For each seed, from `test_windows`.
    """
    fit = functools.partial(fit_engines, recipe=recipe, labels=training["labels"] if int8 else None, config=config)
    return cross_validate(chosen(training, recipe), tests, fit, seeds=SEEDS[: len(tests)], n_jobs=N_JOBS,
                          config=config)


def published(training: dict, tests: list[dict], config: Config = CONFIG) -> dict:
    """Figures of ours by GTZAN's published fault-filtered split. Empty if its train or test part lacks a genre."""
    clean = tests[0]["clean"]
    tested = {name: values[clean["split"] == "test"] for name, values in clean.items()}
    for part in ("train", "test"):
        if len(np.unique(clean["genre"][clean["split"] == part])) < len(config.genres):
            return {}
    fit = functools.partial(fit_engines, recipe=SHIPPED, labels=training["labels"])
    runs = [published_split(training, tests[seed], fit, seed) for seed in SEEDS]
    return {f"{SHIPPED.architecture}, published split": figures_of(stack_seeds(runs), tested)}


def stack_seeds(runs: list[dict]) -> dict:
    """Stack dictionaries of arrays by engine and condition, one for each seed, into one dictionary."""
    return {engine: {name: np.stack([run[engine][name] for run in runs]) for name in parts}
            for engine, parts in runs[0].items()}


def figures_of(scores: dict, test: dict, config: Config = CONFIG) -> dict:
    """`evaluate.figures` of music by engine and condition; every condition holds the same windows as `test`."""
    music = test["genre"] >= 0
    return {engine: {name: evaluate.figures(part[:, music], test["genre"][music], test["song"][music], config)
                     for name, part in parts.items()} for engine, parts in scores.items()}


# --- what a listener meets --------------------------------------------------------------------------------------------

def threshold_of(confidence: np.ndarray) -> int:
    """The highest threshold, in percent, that `COVERAGE` of these confidences reach."""
    return max(percent for percent in range(1, 101) if percent == 1 or np.mean(confidence >= percent) >= COVERAGE)


def confidences(scores: dict[str, np.ndarray], test: dict, config: Config = CONFIG) -> np.ndarray:
    """Confidence of the vote after each window through the microphone, int (n_seeds, n_conditions, n)."""
    parts = [part for name, part in scores.items() if name != "clean"]
    return np.array([[evaluate.running_votes(part[seed], test["song"], config)[1] for part in parts]
                     for seed in range(len(parts[0]))])


def thresholds_by_fold(scores: dict[str, np.ndarray], test: dict, config: Config = CONFIG) -> np.ndarray:
    """A threshold for each seed and window, from music of the other folds: int (n_seeds, n)."""
    found, music = confidences(scores, test, config), test["genre"] >= 0
    thresholds = np.zeros((len(found), len(music)), int)
    for number, (seed, rows) in enumerate(zip(SEEDS, found)):
        fold = folds_by_group(test, seed=seed, config=config)
        for k in np.unique(fold):
            thresholds[number, fold == k] = threshold_of(rows[:, music & (fold != k)])
    return thresholds


def heard_once(scores: np.ndarray, test: dict, thresholds: np.ndarray, config: Config = CONFIG) -> dict:
    """Figures of one seed and condition: what the Pico says to music of its genres, to other music and to speech.

    Returns
    -------
    dict
        accuracy, coverage, right : of decisions, see `evaluate.decisions`; with other sounds among the windows also
        named (share of decisions over other music that name a genre), speech (the same over speech), auroc (against
        other music), false_genres_per_hour (of both), and by kind the share that is named.
    """
    music, speech = test["genre"] >= 0, test["kind"] == SPEECH
    own = evaluate.decisions(scores[music], test["genre"][music], test["song"][music], thresholds[music], config)
    found = {name: own[name] for name in ("accuracy", "coverage", "right")}
    rest, pieces = ~music, ~music & ~speech
    if rest.any():
        other = evaluate.other_decisions(scores[rest], test["kind"][rest], test["song"][rest], thresholds[rest], config)
        found |= {"false_genres_per_hour": other["false_genres_per_hour"], **other["by_kind"]}
    if pieces.any():
        found["named"] = evaluate.other_decisions(scores[pieces], test["kind"][pieces], test["song"][pieces],
                                                  thresholds[pieces], config)["named"]
        found["auroc"] = evaluate.auroc(scores[music], test["song"][music], scores[pieces], test["song"][pieces], config)
    return found


def listened(scores: dict[str, np.ndarray], test: dict, config: Config = CONFIG) -> dict:
    """`heard_once` by condition with thresholds from the other folds: mean and spread (deviation) of the seeds."""
    thresholds, result = thresholds_by_fold(scores, test, config), {}
    for name, part in scores.items():
        runs = [heard_once(run, test, own, config) for run, own in zip(part, thresholds)]
        result[name] = {key: {"mean": float(np.mean([run[key] for run in runs])),
                              "spread": float(np.std([run[key] for run in runs], ddof=1)) if len(runs) > 1 else 0.0}
                        for key in runs[0]}
    return result


def times(scores: dict[str, np.ndarray], test: dict, unsure_below: int, config: Config = CONFIG) -> dict:
    """`evaluate.time_to_decide` after silence and after another song, by condition; all seeds together."""
    music, result = test["genre"] >= 0, {}
    for name, part in scores.items():
        runs = np.concatenate([run[music] for run in part])
        song = np.concatenate([np.char.add(f"{seed} ", test["song"][music]) for seed in range(len(part))])
        given = runs, np.tile(test["genre"][music], len(part)), song, unsure_below
        result[name] = {key: evaluate.time_to_decide(*given, after, config) for key, after in
                        (("after_silence", False), ("after_song", True))}
    return result


# --- ten genres -------------------------------------------------------------------------------------------------------

TEN = dataclasses.replace(CONFIG, genres=gtzan.GENRES)


def as_ten(training: dict, tests: list[dict]) -> tuple[dict, list[dict]]:
    """The same windows with GTZAN's ten genres as genres. Raises ValueError when one of them is missing."""
    labels = training["labels"].tolist()
    missing = sorted(set(TEN.genres) - set(labels))
    if missing:
        raise ValueError(f"no songs of {', '.join(missing)}: ten genres need GTZAN's other genres as other music")
    ten = [*TEN.genres, *(label for label in labels if label not in TEN.genres)]
    place, number = np.array([ten.index(label) for label in labels]), {name: i for i, name in enumerate(TEN.genres)}
    return ({**training, "genre": place[training["genre"]], "labels": np.array(ten)},
            [{name: {**test, "genre": np.array([number.get(kind, -1) for kind in test["kind"]])}
              for name, test in one.items()} for one in tests])


# --- baselines --------------------------------------------------------------------------------------------------------

def majority(test: dict, config: Config = CONFIG) -> dict:
    """Figures of always saying the genre that has most windows."""
    genre, song = (test[name][test["genre"] >= 0] for name in ("genre", "song"))
    scores = np.tile(np.eye(len(config.genres))[np.bincount(genre).argmax()], (len(genre), 1))
    return {"float": {"any": evaluate.figures(scores, genre, song)}}


def hear_as_the_book(samples: np.ndarray, rng: np.random.Generator, level_db: float, room: bool,
                     ranges: microphone.Ranges, config: Config) -> np.ndarray:
    """ADC counts less a constant, taken as q15 as in the book's sketch: only the lower 12 of 16 bits are used."""
    counts = microphone.adc_counts(samples, rng, level_db, room, ranges, config)
    return adc.counts_to_audio(counts, BOOK_BIAS, bits=16)  # as if it were a 16-bit ADC: no shift


def book_features(windows: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """The book's q15 MFCCs of windows, int32 (n, frames, 18). They are in Q9.22 like ours: the same code takes them."""
    config = dataclasses.replace(mfcc_book.BOOK, genres=config.genres)
    work = in_parallel(joblib.delayed(mfcc_book.book_mfcc)(window[: config.window_length], config) for window in windows)
    return (np.reshape(list(work), (len(windows), config.n_frames, config.n_mfcc)) * mfcc_q15.RAW_ONE).astype(np.int32)


def fit_book(raw: np.ndarray, genre: np.ndarray, seed: int) -> dict:
    """The book's training: its network, Adam at 1e-3, 30 epochs of batches of 50, no weights."""
    tf = import_tf()
    tf.config.experimental.enable_op_determinism()
    mean, std = fit_normalisation(raw)
    network = build_model("book", seed=seed, config=mfcc_book.BOOK)
    network.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=16)
    network.fit(mfcc_q15.normalise(raw, mean, std), genre, batch_size=BOOK_BATCH, epochs=BOOK_EPOCHS, verbose=0)
    return {"float": lambda test: predict(network, mfcc_q15.normalise(test, mean, std))}


def book_windows(songs: list, level_db: float | None, room: bool, seed: list[int]) -> np.ndarray:
    """`book_features` of all windows of songs that aren't silent, in the order of `evaluate.windows_of`."""
    raw = []
    for index, song in enumerate(songs):
        samples = evaluate.whole_steps(song)
        if level_db is not None:
            rng = np.random.default_rng([*seed, index])
            samples = hear_as_the_book(samples, rng, level_db, room, microphone.TESTING, CONFIG)
        raw.append(book_features(stream_windows(samples)[evaluate.loud_windows(song)]))
    return np.concatenate(raw)


def measure_book(songs: list) -> dict:
    """Figures of the book's recipe: with windows dealt at random as in the book, which leaks, and split by artist."""
    ours = evaluate.windows_of(songs)  # for the genre, song and group of each window
    clean = {**ours, "raw": book_windows(songs, None, False, [])}
    tests = [{"clean": clean, **{name: {**ours, "raw": book_windows(songs, level, room, [1000 + index, seed])}
                                 for index, (name, (level, room)) in enumerate(CONDITIONS.items())
                                 if level is not None}} for seed in SEEDS]
    alone = {**clean, "group": np.arange(len(clean["genre"])).astype(str)}  # a window is its own group: a random deal
    by_artist = cross_validate(clean, tests, fit_book, seeds=SEEDS, n_jobs=N_JOBS)
    leaking = cross_validate(alone, [{"clean": alone}] * len(SEEDS), fit_book, seeds=SEEDS, n_jobs=N_JOBS)
    return {"book": figures_of(by_artist, clean), "book, leaking": figures_of(leaking, clean)}


def compare(songs: list, training: dict, tests: list[dict]) -> tuple[dict, dict, dict]:
    """Figures of ours and of all baselines, by five folds.

    Parameters
    ----------
    songs : list of dataset.Song
        Of the genres.
    training, tests
        As in `measure`.

    Returns
    -------
    results : dict
        results[row][engine][condition], see `evaluate.figures`; rows are ours (its architecture's name, and again by
        the published split where there is one), "first round", "pooling", "book", "book, leaking" and "majority".
    listener : dict
        listener[row][condition], see `listened`; rows are ours (int8 by TFLM), "first round" and "pooling".
    scores : dict
        Of ours by engine and condition, as `measure` gives them.
    """
    clean, name = tests[0]["clean"], SHIPPED.architecture
    scores = measure(training, tests, SHIPPED, int8=True)
    results, listener = {name: figures_of(scores, clean)}, {name: listened(scores["tflm"], clean)}
    kept(variant_file("what ships", training, tests), lambda: variant_figures(scores["float"], clean))
    results |= published(training, tests)
    for row, variant in {"first round": FIRST, "pooling": POOLING}.items():
        found = cached_figures(variant, training, tests)
        results[row] = {"float": found["figures"]}
        listener[row] = found["listened"]
    return {**results, **measure_book(songs), "majority": majority(clean)}, listener, scores


def variant_figures(scores: dict[str, np.ndarray], test: dict) -> dict:
    """figures and listened, by condition, of one engine's scores."""
    return {"figures": figures_of({"float": scores}, test)["float"], "listened": listened(scores, test)}


# --- docs/experiments.md ----------------------------------------------------------------------------------------------

def cache_file(what: str, arrays: list[np.ndarray]) -> Path:
    """File for the figures of `what`. Its name depends on `what`, the seeds and the data."""
    digest = hashlib.sha256(f"{what} {SEEDS}".encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return build_dir() / "experiments" / f"{digest.hexdigest()[:16]}.json"


def variant_file(name: str, training: dict, tests: list[dict]) -> Path:
    """File for the figures of one of `VARIANTS`."""
    return cache_file(repr(VARIANTS[name]), [training["raw"], *(test["raw"] for one in tests for test in one.values())])


def kept(path: Path, measured: Callable[[], dict]) -> dict:
    """The figures in the file. If there is none, they are measured and written first."""
    if not path.exists():
        text = json.dumps(measured())
        files.write_text(path, text)
    return json.loads(path.read_text())


def cached_figures(name: str, training: dict, tests: list[dict]) -> dict:
    """`variant_figures` of a variant in float, measured once for these windows and this recipe."""
    return kept(variant_file(name, training, tests), lambda: variant_figures(
        measure(training, tests, VARIANTS[name])["float"], tests[0]["clean"]))


TEXT = """# What was tried

Written by `python -m tools.experiments --data {source}`. Each row changes one thing of the recipe that ships, and
is measured like it: five folds by artist, {n_seeds} seeds (folds, weights, and draws of the microphone simulation),
float. Windows in percent: the mean of the seeds, and in the first column and in the mean their standard deviation.
Then the means over the conditions: right decisions (the vote's genre after each window), AUROC of the confidence
against other music, and how much other music and speech is called a genre at {coverage:.0%} coverage. Differences of
less than about two points are within what other folds, seeds and songs would change.

| | clean | 0 dB | -12 dB | -24 dB | room | mean of windows | decisions | AUROC | other music named | speech named |
|---|---|---|---|---|---|---|---|---|---|---|
{rows}
"""


def variant_row(name: str, figures: dict) -> str:
    """One line of the table."""
    windows = [figures["figures"][condition]["windows"] for condition in CONDITIONS]
    means = np.mean([part["seeds"] for part in windows], axis=0)
    cells = [f"{100 * part['accuracy']:.1f}" for part in windows] + [f"{100 * means.mean():.1f}"]
    cells[0] += f" ± {100 * windows[0]['spread']:.1f}"
    cells[-1] += f" ± {100 * means.std(ddof=1):.1f}"
    parts = figures["listened"].values()
    for key in ("accuracy", "auroc", "named", SPEECH):
        known = [part[key]["mean"] for part in parts if key in part]
        cells.append(f"{100 * np.mean(known):.1f}" if known else "-")
    return f"| {' | '.join([name, *cells])} |"


def write_document(found: dict[str, dict], source: str, path: Path) -> None:
    """Write docs/experiments.md: what ships first, then the other variants from best to worst."""
    def mean(name):
        return np.mean([found[name]["figures"][condition]["windows"]["accuracy"] for condition in CONDITIONS])

    first, *rest = found
    rows = "\n".join(variant_row(name, found[name]) for name in [first, *sorted(rest, key=mean, reverse=True)])
    text = TEXT.format(source=source, n_seeds=len(SEEDS), rows=rows, coverage=COVERAGE)
    files.write_text(path, text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m tools.experiments``."""
    parser.add_argument("--data", type=as_path, required=True,
                        help="folder with one sub-folder per genre, or mini, or gtzan")
    parser.add_argument("--other", type=as_path, nargs="+", metavar="DIR", help="folders of other music and sounds")
    parser.add_argument("--output", type=as_path, default=ROOT / "docs" / "experiments.md",
                        help="file to write (default: docs/experiments.md in the project)")


def run(args: argparse.Namespace) -> int:
    """Measure every variant and write the table after each. It takes hours, but can be stopped and started again."""
    songs = dataset.load_songs(args.data, other=args.other)
    training = training_windows(songs.songs, songs.others)
    tests = [test_windows([*songs.songs, *songs.others], seed) for seed in SEEDS]
    found: dict[str, dict] = {}
    for name in tqdm(VARIANTS, desc="variants"):
        found[name] = cached_figures(name, training, tests)
        write_document(found, songs.source, args.output)
        tqdm.write(variant_row(name, found[name]))
    return 0


def folds_by_group(clips: dict, n_folds: int = 5, seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """Fold of each clip, int (n_clips,), for cross-validation: no group in two folds, every genre in each.

    Groups of other music (genre -1) are dealt by kind.

    Raises ValueError when a genre has fewer groups than folds, and names it.
    """
    music = clips["genre"] >= 0
    songs = {name: clips[name][music] for name in ("genre", "group")}
    splits.check_groups(songs, n_folds, config)
    share = np.full(n_folds, 1 / n_folds)
    best = min(splits.fold_numbers(songs, n_folds, seed),
               key=lambda fold: splits.imbalance(songs["genre"], fold, share, config))
    if not np.isfinite(splits.imbalance(songs["genre"], best, share, config)):
        raise ValueError(f"found no {n_folds} folds with every genre in each: use fewer folds, or add artists")
    fold, rng = np.zeros(len(music), int), np.random.default_rng(seed)
    fold[music] = best
    for kind in np.unique(clips["kind"][~music]) if not music.all() else ():
        own = ~music & (clips["kind"] == kind)
        groups, number = np.unique(clips["group"][own], return_inverse=True)
        fold[own] = rng.permutation(len(groups))[number] % n_folds
    return fold


def cross_validate(training: dict, tests: list[dict], fit: Callable, n_folds: int = 5, seeds: tuple[int, ...] = (0,),
                   n_jobs: int = 1, config: Config = CONFIG) -> dict[str, dict[str, np.ndarray]]:
    """Grouped cross-validation: every window is scored by a model that never heard its artist.

    Parameters
    ----------
    training : dict
        raw, genre, group: windows to train on (augmented ones too), see `training.training_windows`.
    tests : list of dict of dict
        For each seed, windows to test on by the name of their condition ("clean", "microphone -12 dB"), each as
        `windows_of` gives them; all conditions hold the same songs in the same order.
    fit : callable
        `fit(raw, genre, seed)` trains a model and returns {engine: function from raw to scores}.
    n_folds : int
    seeds : tuple of int
        Of the deals into folds, and of the trainings.
    n_jobs : int
        Trainings at the same time, each in a process of its own (joblib).

    Returns
    -------
    dict
        scores[engine][condition], array (n_seeds, n, n_genres), in the order of the condition's windows.

    Raises
    ------
    ValueError
        When a genre has fewer artists than folds.
    """
    dealt = [_fold_of(training, next(iter(test.values())), n_folds, seed, config) for seed, test in zip(seeds, tests)]
    plan = [(number, k) for number in range(len(seeds)) for k in range(n_folds)]
    work = in_parallel((joblib.delayed(_one_fold)(
        training["raw"], training["genre"], dealt[number][0] != k,
        {name: test["raw"][dealt[number][1] == k] for name, test in tests[number].items()}, fit, seeds[number] + k)
        for number, k in plan), n_jobs)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for (number, k), parts in zip(plan, tqdm(work, total=len(plan), desc="trainings", leave=False)):
        fold = dealt[number][1]
        for (engine, name), part in parts.items():
            whole = np.zeros((len(seeds), len(fold), part.shape[1]), part.dtype)
            scores.setdefault(engine, {}).setdefault(name, whole)[number, fold == k] = part
    return scores


def _fold_of(training: dict, test: dict, n_folds: int, seed: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """The fold of each training window (-1: in none, so always learnt from), and of each tested one."""
    folded = folds_by_group(test, n_folds, seed, config)
    by_group = dict(zip(test["group"], folded))
    return np.array([by_group.get(group, -1) for group in training["group"]]), folded


def published_split(training: dict, tests: dict[str, dict], fit: Callable,
                    seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """GTZAN's published split: train on the songs of its training and validation lists, test on its test list.

    Parameters
    ----------
    training, tests, fit, seed
        As in `cross_validate`.

    Returns
    -------
    dict
        scores[engine][condition], array (n_tested, n_genres), of the windows whose split is "test".
    """
    first = next(iter(tests.values()))
    known = np.unique(first["song"][np.isin(first["split"], ("train", "validation"))])
    kept = np.isin(training["song"], known) | (training["genre"] >= len(CONFIG.genres))
    parts = _one_fold(training["raw"], training["genre"], kept,
                      {name: test["raw"][test["split"] == "test"] for name, test in tests.items()}, fit, seed)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for (engine, name), part in parts.items():
        scores.setdefault(engine, {})[name] = part
    return scores


def _one_fold(raw: np.ndarray, genre: np.ndarray, kept: np.ndarray, tests: dict[str, np.ndarray], fit: Callable,
              seed: int) -> dict[tuple[str, str], np.ndarray]:
    """Train on what is kept; scores of the tested windows by engine and condition."""
    for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(threads, "1")  # the trainings share out the cores
    engines = fit(raw[kept], genre[kept], seed)
    return {(engine, name): run(test) for engine, run in engines.items() for name, test in tests.items()}


if __name__ == "__main__":
    sys.exit(main("Change one thing of the shipped recipe at a time: docs/experiments.md.", add_arguments, run))
