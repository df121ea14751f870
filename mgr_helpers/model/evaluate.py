"""How good a model is, measured so that a sceptic can repeat it.

Windows are those that the Pico hears in a stream, features are the integer ones, a song's genre is the vote of its
windows, and intervals come from resampling songs (windows of one song aren't independent).

Explained in notebooks/07_evaluate_model.ipynb.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tqdm.auto import tqdm

from ..audio import microphone, other_sounds
from ..config import CONFIG, Config
from ..features import windows
from . import recognizer
from .tflite import Model

BOOTSTRAP = 2000


# --- windows ----------------------------------------------------------------------------------------------------------

def windows_of(songs: list, level_db: float | None = None, room: bool = False, seed: int | list[int] = 0,
               ranges: microphone.Ranges = microphone.TESTING, config: Config = CONFIG,
               hear: Callable = microphone.hear, features: Callable = windows.features_of) -> dict[str, np.ndarray]:
    """Raw features of all windows that the Pico would hear if it were played these songs, one every 20480 samples.

    Parameters
    ----------
    songs : list of dataset.Song
    level_db : float, optional
        Play them through the microphone simulation at this level; None: the clean samples.
    room : bool
        With `level_db`: in a random room.
    seed : int or list of int
        Of the simulation; each song draws its own parameters.
    hear, features : callable
        Of another recipe, to compare with: from samples to what the model's front end gets, and from windows to raw
        features.

    Returns
    -------
    dict of arrays
        raw int32 (n, n_frames, n_mfcc); genre int64 (n,); song, group, split str (n,). Windows that are silent in the
        clean audio are left out, as the Pico says *silence* to them.

    Explained in notebooks/07_evaluate_model.ipynb.
    """
    raw, genre, names, groups, splits = [], [], [], [], []
    label = "clean" if level_db is None else f"microphone {level_db:g} dB{', room' if room else ''}"
    for index, song in enumerate(tqdm(songs, desc=f"features, {label}", unit="song", leave=False)):
        clean = samples = song.samples[: len(song.samples) // config.frame_step * config.frame_step]
        if level_db is not None:
            samples = hear(clean, np.random.default_rng([*np.atleast_1d(seed), index]), level_db, room, ranges, config)
        loud = np.abs(windows.stream_windows(clean, config).astype(int)).max(axis=1) >= config.silence_peak
        raw.append(features(windows.stream_windows(samples, config)[loud], config=config))
        genre += [config.genres.index(song.genre)] * int(loud.sum())
        names += [song.song] * int(loud.sum())
        groups += [song.group] * int(loud.sum())
        splits += [song.split] * int(loud.sum())
    return {"raw": np.concatenate(raw), "genre": np.array(genre, np.int64), "song": np.array(names),
            "group": np.array(groups), "split": np.array(splits)}


# --- figures ----------------------------------------------------------------------------------------------------------

def song_votes(scores: np.ndarray, genre: np.ndarray, song: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each song's genre by the sum of its windows' scores.

    Parameters
    ----------
    scores : array (n, n_genres)
        Probabilities, or int8 scores.
    genre : int array (n,)
    song : array (n,)

    Returns
    -------
    songs, true, voted : arrays (n_songs,)
    """
    songs, first, inverse = np.unique(song, return_index=True, return_inverse=True)
    sums = np.zeros((len(songs), scores.shape[1]))
    np.add.at(sums, inverse, scores + (128.0 if scores.dtype == np.int8 else 0.0))
    return songs, genre[first], sums.argmax(axis=1)


def bootstrap_interval(correct: np.ndarray, total: np.ndarray, seed: int = 0) -> list[float]:
    """95 % interval of sum(correct) / sum(total) when songs are drawn again and again with replacement.

    Parameters
    ----------
    correct, total : arrays (n_songs,)
        Right windows and windows of each song (or 0/1 and 1 for votes).

    Returns
    -------
    [low, high]
        Percentile bootstrap (Efron and Tibshirani 1993) with 2000 draws.
    """
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), size=BOOTSTRAP)
    accuracy = times @ correct / np.maximum(times @ total, 1)
    return [float(value) for value in np.percentile(accuracy, [2.5, 97.5])]


def figures(scores: np.ndarray, genre: np.ndarray, song: np.ndarray, config: Config = CONFIG) -> dict:
    """Accuracy of windows, songs and running votes, recall and confusion.

    Parameters
    ----------
    scores : array (n, n_genres), or (n_seeds, n, n_genres)
        Probabilities, or int8 scores; of several models of the same windows: figures are their mean.
    genre : int array (n,)
        True genre of each window.
    song : array (n,)
        Which song it is of; windows in the order in which they are heard.

    Returns
    -------
    dict
        windows, songs, votes : {"n", "accuracy" (0 to 1), "interval" [low, high]}, the 95 % interval by song; votes are
        those of `config.vote_windows` windows in a row, in songs that have so many (else n is 0). With seeds also
        "seeds" (each one's accuracy) and "spread" (their standard deviation);
        recall : {genre: share of its windows that were recognised}; confusion : windows by [true][predicted].

    Raises
    ------
    ValueError
        When there is no window.

    Explained in notebooks/07_evaluate_model.ipynb.
    """
    _need_windows(genre)
    runs = scores if scores.ndim == 3 else scores[None]
    songs, of_song = np.unique(song, return_inverse=True)
    each = np.ones(len(songs), int)
    right = np.array([run.argmax(axis=1) == genre for run in runs])
    voted = np.array([np.equal(*song_votes(run, genre, song)[1:]) for run in runs])
    after = [_whole_votes(run, genre, song, config) for run in runs]
    confusion = np.zeros((len(config.genres), len(config.genres)), int)
    np.add.at(confusion, (np.tile(genre, len(runs)), runs.argmax(axis=2).ravel()), 1)
    recall = {name: float(row[i] / row.sum())
              for i, (name, row) in enumerate(zip(config.genres, confusion)) if row.sum()}
    return {"windows": _share([np.bincount(of_song, run) for run in right], np.bincount(of_song)),
            "songs": _share(voted, each), "votes": _share([vote[0] for vote in after], after[0][1]),
            "recall": recall, "confusion": confusion.tolist()}


def _need_windows(genre: np.ndarray) -> None:
    if not len(genre):
        raise ValueError("no window to evaluate: are the songs shorter than a second, or silent?")


def _whole_votes(scores: np.ndarray, genre: np.ndarray, song: np.ndarray,
                 config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Right and all votes of each song, where `config.vote_windows` windows vote: int arrays (n_songs,)."""
    winner, _ = running_votes(scores, song, config)
    songs, of_song = np.unique(song, return_inverse=True)
    place = np.zeros(len(song), int)
    for index in range(len(songs)):
        place[of_song == index] = np.arange(np.sum(of_song == index))
    whole = place >= config.vote_windows - 1
    return (np.bincount(of_song[whole], (winner == genre)[whole], len(songs)).astype(int),
            np.bincount(of_song[whole], minlength=len(songs)))


def _share(correct: list[np.ndarray], total: np.ndarray) -> dict:
    """Accuracy and its interval from right (of each seed) and all windows or votes of each song."""
    if not total.sum():
        return {"n": 0, "accuracy": None, "interval": None}
    seeds = [float(np.sum(part) / total.sum()) for part in correct]
    result = {"n": int(total.sum()), "accuracy": float(np.mean(seeds)),
              "interval": bootstrap_interval(np.mean(np.asarray(correct, float), axis=0), total)}
    return {**result, "seeds": seeds, "spread": float(np.std(seeds, ddof=1))} if len(seeds) > 1 else result


# --- unsure -----------------------------------------------------------------------------------------------------------

def running_votes(scores: np.ndarray, song: np.ndarray, config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """The vote that the Pico would say after each window of a song, and its confidence; each song starts anew.

    Parameters
    ----------
    scores : array (n, n_genres)
        int8 scores, or probabilities (rounded to the steps of int8 scores first).
    song : array (n,)
        Which song each window is of; windows in the order in which they are heard.

    Returns
    -------
    winner : int array (n,)
    confidence : int array (n,)
        In percent: the winner's share of the scores of the last `config.vote_windows` windows.
    """
    if scores.dtype != np.int8:
        scores = np.clip(np.round(scores * 256.0) - 128, -128, 127).astype(np.int8)
    winner, confidence = np.zeros(len(scores), int), np.zeros(len(scores), int)
    for name in np.unique(song):
        own = np.flatnonzero(song == name)
        winner[own], confidence[own] = recognizer.vote(scores[own], np.zeros(len(own), bool), config.vote_windows)
    return winner, confidence


def coverage_curve(scores: np.ndarray, genre: np.ndarray, song: np.ndarray,
                   config: Config = CONFIG) -> dict[str, np.ndarray]:
    """How often the Pico says a genre, and how often that is right, for every threshold on its confidence.

    Parameters
    ----------
    scores, song
        As in `running_votes`.
    genre : int array (n,)
        True genre of each window.

    Returns
    -------
    dict of arrays (100,)
        threshold : int, 1 to 100: *unsure* below this confidence; coverage : share of the votes that say a genre;
        accuracy : share of those that are right (NaN where there is none).

    Raises
    ------
    ValueError
        When there is no window.

    Explained in notebooks/07_evaluate_model.ipynb.
    """
    _need_windows(genre)
    winner, confidence = running_votes(scores, song, config)
    threshold = np.arange(1, 101)
    decided = confidence >= threshold[:, None]
    n = decided.sum(axis=1)
    right = (decided & (winner == genre)).sum(axis=1)
    return {"threshold": threshold, "coverage": n / len(genre),
            "accuracy": np.where(n, right / np.maximum(n, 1), np.nan)}


def threshold_for(curve: dict[str, np.ndarray], coverage: float = 0.8) -> int:
    """The highest threshold at which the Pico still says a genre to this share of music.

    A share of the votes is chosen, not an accuracy: the share is what a listener notices and needs no true genre to
    check, while the accuracy of a few dozen validation songs is known to some points only.

    Parameters
    ----------
    curve : dict
        From `coverage_curve`, on validation songs.
    coverage : float
        0 to 1.

    Returns
    -------
    int
        Percent, for `Model.with_threshold`.

    Explained in notebooks/07_evaluate_model.ipynb.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage {coverage} must lie above 0 and be 1 at most")
    return int(curve["threshold"][curve["coverage"] >= coverage].max())


def of_other_sounds(model: Model, level_db: float = -12.0, seconds: float = 15.0, n: int = 8, seed: int = 0,
                    kinds: tuple[str, ...] = other_sounds.KINDS, ranges: other_sounds.SoundRanges = other_sounds.TESTING_SOUNDS
                    ) -> dict[str, dict[str, float]]:
    """What the Pico says to sounds that are no music of its genres, through the microphone simulation.

    Parameters
    ----------
    model : Model
        int8, with its threshold.
    level_db, seconds : float
        Of each sound.
    n : int
        Sounds of each kind, each with parameters of its own.
    seed : int
    kinds : tuple of str
    ranges : other_sounds.SoundRanges

    Returns
    -------
    dict
        By kind: windows (how many decisions), and the share of them that said genre, unsure and silence.

    Explained in notebooks/07_evaluate_model.ipynb.
    """
    config, result = model.config, {}
    for code, kind in enumerate(tqdm(kinds, desc="other sounds", unit="kind", leave=False)):
        heard = []
        for i in range(n):
            rng = np.random.default_rng([seed, code, i])
            adc = microphone.other_counts(kind, seconds, rng, level_db, False, ranges, microphone.TESTING, config)
            heard += recognizer.decisions(adc, model)
        result[kind] = recognizer.said(heard)
    return result


def share(part: dict) -> str:
    """Accuracy with spread and interval, as text."""
    if not part["n"]:
        return "-"
    spread = f" ± {100 * part['spread']:.1f}" if "spread" in part else ""
    return f"{100 * part['accuracy']:.1f}{spread} % ({part['interval'][0]:.0%} to {part['interval'][1]:.0%})"
