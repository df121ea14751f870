"""How good a model is: windows of songs, accuracies with intervals, votes, when to say *unsure*, and other music.

Windows are those that the Pico hears in a stream. A song's genre is the vote of its windows. Intervals come from
resampling songs, since windows of one song aren't independent.

Notebooks: 05, 07.
"""

import joblib
import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm.auto import tqdm

from ..audio import dataset, microphone, other_sounds
from ..config import CONFIG, Config
from ..features.windows import features_of, stream_windows
from ..host.processes import in_parallel
from . import recognizer, runtimes
from .tflite import Model

BOOTSTRAP = 2000  # draws
OTHER_LEVEL_DB = -12.0  # of sounds that are no music, at the microphone


def windows_of(songs: list, level_db: float | None = None, room: bool = False, seed: int | list[int] = 0,
               config: Config = CONFIG) -> dict[str, np.ndarray]:
    """Raw features of all windows that the Pico would hear in these songs.

    Parameters
    ----------
    songs : list of dataset.Song
    level_db : float, optional
        Play them through the microphone simulation at this level; None: the clean samples.
    room : bool
        With `level_db`: in a random room.
    seed : int or list of int
        Of the simulation; each song draws its own parameters.

    Returns
    -------
    dict of arrays
        raw int32 (n, n_frames, n_mfcc); genre int64 (n,), -1 for other music; kind (its genre or kind), song, group,
        split str (n,). Windows that are silent in the clean audio are left out: the Pico says *silence* to them.
    """
    label = "clean" if level_db is None else f"microphone {level_db:g} dB{', room' if room else ''}"
    work = in_parallel(
        joblib.delayed(_windows_of_song)(song, level_db, room, [*np.atleast_1d(seed), index], config)
        for index, song in enumerate(songs))
    raw = list(tqdm(work, total=len(songs), desc=f"features, {label}", unit="song", leave=False))
    counts = [len(part) for part in raw]
    number = {name: index for index, name in enumerate(config.genres)}
    genre = np.array([number.get(song.genre, -1) for song in songs], np.int64)
    texts = {"kind": "genre", "song": "song", "group": "group", "split": "split"}
    return {"raw": np.concatenate(raw), "genre": np.repeat(genre, counts),
            **{key: np.repeat([getattr(song, name) for song in songs], counts) for key, name in texts.items()}}


def _windows_of_song(song, level_db: float | None, room: bool, seed: list[int], config: Config) -> np.ndarray:
    samples = whole_steps(song, config)
    if level_db is not None:
        samples = microphone.hear(samples, np.random.default_rng(seed), level_db, room, microphone.TESTING, config)
    return features_of(stream_windows(samples, config)[loud_windows(song, config)], 1, config)


def whole_steps(song, config: Config = CONFIG) -> np.ndarray:
    """The song's samples, cut to whole frame steps. A song of less than five seconds is repeated until it has as many.

    No song that a Pico hears ends after two seconds. GTZAN's excerpts may, and then no vote would ever be long.
    """
    samples, least = song.samples, int(dataset.SHORT * config.sample_rate)
    samples = samples if len(samples) >= least else np.resize(samples, least)
    return samples[: len(samples) // config.frame_step * config.frame_step]


def loud_windows(song, config: Config = CONFIG) -> np.ndarray:
    """Which of the song's windows aren't silence: bool (n_windows,)."""
    windows = stream_windows(whole_steps(song, config), config)
    return np.abs(windows.astype(int)).max(axis=1) >= config.silence_peak


def int8_scores(scores: np.ndarray) -> np.ndarray:
    """Scores as the Pico has them: probabilities are rounded to the steps of int8 scores."""
    return scores if scores.dtype == np.int8 else np.clip(np.round(scores * 256.0) - 128, -128, 127).astype(np.int8)


def song_votes(scores: np.ndarray, genre: np.ndarray, song: np.ndarray,
               config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each song's genre by the vote of all its windows: songs, true genres, voted genres (n_songs,).

    `scores` (n, n_classes) are probabilities or int8 scores; `genre` and `song` (n,) are those of each window.
    """
    songs, first, inverse = np.unique(song, return_index=True, return_inverse=True)
    sums = np.zeros((len(songs), len(config.genres)), int)
    np.add.at(sums, inverse, recognizer.log_scores(config)[int8_scores(scores)[:, : len(config.genres)] + np.int64(128)])
    return songs, genre[first], sums.argmax(axis=1)


def bootstrap_interval(correct: np.ndarray, total: np.ndarray) -> list[float]:
    """95 % interval, low and high, of the accuracy sum(correct) / sum(total).

    `correct` and `total` count the right and all windows (or votes) of each song. Percentile bootstrap (Efron and
    Tibshirani 1993): songs are drawn with replacement, 2000 times.
    """
    rng = np.random.default_rng(0)
    times = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), size=BOOTSTRAP)
    accuracy = times @ correct / np.maximum(times @ total, 1)
    return [float(value) for value in np.percentile(accuracy, [2.5, 97.5])]


def figures(scores: np.ndarray, genre: np.ndarray, song: np.ndarray, config: Config = CONFIG) -> dict:
    """Accuracy of windows, songs and running votes, recall and confusion.

    Parameters
    ----------
    scores : array (n, n_classes), or (n_seeds, n, n_classes)
        Probabilities, or int8 scores; genres first. Of several models of the same windows: figures are their mean.
    genre : int array (n,)
        True genre of each window.
    song : array (n,)
        Which song it is of; windows in the order in which they are heard.

    Returns
    -------
    dict
        windows, songs, votes : of the genres' scores alone; {"n", "accuracy" (0 to 1), "interval" [low, high]}, the
        95 % interval by song; a vote is that of `config.vote_windows` windows in a row, in songs that have as many (n
        is 0 without such a song). With seeds also "seeds" (each one's accuracy) and "spread" (their standard deviation);
        recall : {genre: share of its windows that were recognised}; confusion : windows by [true][predicted].

    Raises
    ------
    ValueError
        When there is no window.
    """
    _need_windows(genre)
    runs = scores if scores.ndim == 3 else scores[None]
    songs, of_song = np.unique(song, return_inverse=True)
    guesses = runs[..., : len(config.genres)].argmax(axis=2)
    right = guesses == genre
    voted = np.array([np.equal(*song_votes(run, genre, song, config)[1:]) for run in runs])
    after = [_whole_votes(run, genre, song, config) for run in runs]
    confusion = np.zeros((len(config.genres), len(config.genres)), int)
    np.add.at(confusion, (np.tile(genre, len(runs)), guesses.ravel()), 1)
    recall = {name: float(row[i] / row.sum())
              for i, (name, row) in enumerate(zip(config.genres, confusion)) if row.sum()}
    return {"windows": _accuracy([np.bincount(of_song, run) for run in right], np.bincount(of_song)),
            "songs": _accuracy(voted, np.ones(len(songs), int)),
            "votes": _accuracy([vote[0] for vote in after], after[0][1]),
            "recall": recall, "confusion": confusion.tolist()}


def _need_windows(genre: np.ndarray) -> None:
    if not len(genre):
        raise ValueError("no window to evaluate: are the songs shorter than a second, or silent?")


def _whole_votes(scores: np.ndarray, genre: np.ndarray, song: np.ndarray,
                 config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Right votes and all votes of each song, int arrays (n_songs,): only where `config.vote_windows` windows vote."""
    winner, _ = running_votes(scores, song, config)
    whole = [np.flatnonzero(song == name)[config.vote_windows - 1 :] for name in np.unique(song)]
    return np.array([np.sum(winner[own] == genre[own]) for own in whole]), np.array([len(own) for own in whole])


def _accuracy(correct: list[np.ndarray], total: np.ndarray) -> dict:
    """Accuracy and its interval. `correct` counts the right ones of each song, by seed; `total` counts all of each."""
    if not total.sum():
        return {"n": 0, "accuracy": None, "interval": None}
    seeds = [float(np.sum(part) / total.sum()) for part in correct]
    result = {"n": int(total.sum()), "accuracy": float(np.mean(seeds)),
              "interval": bootstrap_interval(np.mean(np.asarray(correct, float), axis=0), total)}
    return {**result, "seeds": seeds, "spread": float(np.std(seeds, ddof=1))} if len(seeds) > 1 else result


def running_votes(scores: np.ndarray, song: np.ndarray, config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """The vote that the Pico would say after each window of a song, and its confidence; each song starts anew.

    Parameters
    ----------
    scores : array (n, n_classes)
        Probabilities or int8 scores.
    song : array (n,)
        Which song each window is of; windows in the order in which they are heard.

    Returns
    -------
    winner, confidence : int arrays (n,)
        See `recognizer.vote`.
    """
    scores = int8_scores(scores)
    winner, confidence = np.zeros(len(scores), int), np.zeros(len(scores), int)
    for name in np.unique(song):
        own = np.flatnonzero(song == name)
        winner[own], confidence[own] = recognizer.vote(scores[own], np.zeros(len(own), bool), config)
    return winner, confidence


def coverage_curve(scores: np.ndarray, genre: np.ndarray, song: np.ndarray,
                   config: Config = CONFIG) -> dict[str, np.ndarray]:
    """For every threshold on the confidence: how often the Pico says a genre, and how often that is right.

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
    """The highest threshold, in percent, at which the Pico still says a genre to this share of music.

    We choose a coverage, not an accuracy. The coverage is known better, since it needs no true genre. The accuracy of a
    few dozen songs is only known to within some points.

    Parameters
    ----------
    curve : dict
        From `coverage_curve`, on validation songs.
    coverage : float
        Above 0, at most 1; else a ValueError.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage {coverage} must lie above 0 and be 1 at most")
    return int(curve["threshold"][curve["coverage"] >= coverage].max())


def decisions(scores: np.ndarray, genre: np.ndarray, song: np.ndarray, unsure_below: int,
              config: Config = CONFIG) -> dict:
    """What the Pico says to music of its genres, from each song's first window on.

    Returns
    -------
    dict
        n : decisions; accuracy, interval : of the vote's genre, whatever its confidence; coverage : share of decisions
        that name a genre; right : share of these that are right, None where there is none.
    """
    _need_windows(genre)
    winner, confidence = running_votes(scores, song, config)
    _, of_song = np.unique(song, return_inverse=True)
    all_of = _accuracy([np.bincount(of_song, winner == genre)], np.bincount(of_song))
    sure = confidence >= unsure_below
    return {**all_of, "coverage": float(sure.mean()),
            "right": float((winner == genre)[sure].mean()) if sure.any() else None}


def other_decisions(scores: np.ndarray, kind: np.ndarray, song: np.ndarray, unsure_below: int,
                    config: Config = CONFIG) -> dict:
    """What the Pico says to music and sounds of no genre.

    Returns
    -------
    dict
        n : decisions, each piece alone; named : share of them that name a genre; by_kind : the same by kind; hours : of
        sound; false_genres_per_hour : how often it begins to say a genre, or changes it, while all pieces play without
        a pause.
    """
    _need_windows(kind)
    named = running_votes(scores, song, config)[1] >= unsure_below
    winner, confidence = running_votes(scores, np.zeros(len(song), int), config)
    said = np.where(confidence >= unsure_below, winner, -1)
    hours = len(said) * config.window_step / config.sample_rate / 3600
    return {"n": len(said), "named": float(named.mean()), "hours": round(hours, 3),
            "by_kind": {str(name): float(named[kind == name].mean()) for name in np.unique(kind)},
            "false_genres_per_hour": float(np.sum((said >= 0) & (said != np.append(-1, said[:-1]))) / hours)}


def auroc(scores: np.ndarray, song: np.ndarray, other_scores: np.ndarray, other_song: np.ndarray,
          config: Config = CONFIG) -> float:
    """How well the confidence tells music of the genres from other sound: the chance that it is higher for the former.

    Of two decisions drawn at random, one of each; 0.5 is a coin, 1 is perfect (Hanley and McNeil 1982).
    """
    known, other = (running_votes(*pair, config)[1] for pair in ((scores, song), (other_scores, other_song)))
    return float(roc_auc_score(np.repeat([1, 0], [len(known), len(other)]), np.concatenate([known, other])))


def time_to_decide(scores: np.ndarray, genre: np.ndarray, song: np.ndarray, unsure_below: int, after_song: bool = False,
                   config: Config = CONFIG) -> dict:
    """How many seconds after a song starts the Pico first says its genre.

    Before it there was silence, or with `after_song` a song of another genre: the next one in the list.
    Songs with fewer windows than a vote are left out.

    Returns
    -------
    dict
        n : songs; median, ninth_decile : seconds, None where so many songs never get their genre; never : their share.
    """
    rows = [np.flatnonzero(song == name) for name in dict.fromkeys(song)]
    rows = [own for own in rows if len(own) >= config.vote_windows]
    if not rows:
        return {"n": 0, "median": None, "ninth_decile": None, "never": None}
    seconds = []
    for number, own in enumerate(rows):
        others = [row for row in rows[number:] + rows[:number] if genre[row[0]] != genre[own[0]]]
        before = scores[others[0][-config.vote_windows :]] if after_song and others else scores[:0]
        heard = int8_scores(np.concatenate([before, scores[own]]))
        winner, confidence = recognizer.vote(heard, np.zeros(len(heard), bool), config)
        right = np.flatnonzero((winner == genre[own[0]]) & (confidence >= unsure_below))
        right = right[right >= len(before)] - len(before)
        seconds.append(config.window_length + right[0] * config.window_step if len(right) else np.inf)
    low, high = (np.quantile(seconds, share, method="inverted_cdf") / config.sample_rate for share in (0.5, 0.9))
    return {"n": len(rows), "median": float(low) if np.isfinite(low) else None,
            "ninth_decile": float(high) if np.isfinite(high) else None, "never": float(np.mean(np.isinf(seconds)))}


def of_other_sounds(model: Model, seconds: float = 15.0, n: int = 8,
                    kinds: tuple[str, ...] = other_sounds.KINDS, run=runtimes.run_tflm) -> dict[str, dict[str, float]]:
    """What the Pico says to sounds that are not music of its genres, through the microphone simulation.

    Parameters
    ----------
    model : Model
        int8, with its threshold.
    seconds : float
        Length of each sound.
    n : int
        Sounds of each kind, each with parameters of its own.
    kinds : tuple of str
    run : see `recognizer.decisions`

    Returns
    -------
    dict
        By kind: see `recognizer.said`.
    """
    config, result = model.config, {}
    for code, kind in enumerate(tqdm(kinds, desc="other sounds", unit="kind", leave=False)):
        heard = []
        for i in range(n):
            rng = np.random.default_rng([0, code, i])
            adc = microphone.other_counts(kind, seconds, rng, OTHER_LEVEL_DB, False, other_sounds.TESTING_SOUNDS,
                                          microphone.TESTING, config)
            heard += recognizer.decisions(adc, model, run)
        result[kind] = recognizer.said(heard)
    return result
