"""Random training windows, and the recipe of the model that ships.

Notebooks: 05, 07.
"""

import dataclasses
from dataclasses import dataclass

import joblib
import numpy as np
import soxr
from tqdm.auto import tqdm

from ..audio import adc, dataset, microphone, other_sounds
from ..config import CONFIG, Config
from ..features import mfcc_q15
from ..features.windows import features_of
from ..host.processes import in_parallel
from .network import build_model, fit_normalisation, train

N_WINDOWS = 30000
WINDOW_BATCH = 256  # windows whose audio a process holds at a time: 11 MB
CLEAN = 0.3  # share of training windows that stay clean; the others go through the simulated microphone
ROOM = 0.5  # share of these others that are heard in a room
STRETCH = 0.16  # largest |ln(speed)| at which a window is played
SPEECH, SYNTHETIC = "speech", "synthetic"  # the kind of spoken words; the class of `other_sounds`
OTHER_SHARES = {"music": 0.34, SPEECH: 0.08, SYNTHETIC: 0.08}  # of training windows; all genres share the rest


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; the defaults are those of the model that ships.

    Attributes
    ----------
    architecture, units, dropout, recurrent_dropout, noise
        See `network.build_model`.
    epochs, learning_rate
        See `network.train`.
    n_mfcc, log_mel, mean_share, heard, other, n_windows
        For `tools.experiments`: number of MFCCs (None: all); log Mel bands instead of MFCCs; the share of the mean that
        is taken off, see `config.Config`; windows by how they were heard; whether music and sounds of no genre are
        among them; number of windows (None: all).
    """

    architecture: str = "lstm_mean"
    units: int | None = None
    dropout: float = 0.1
    recurrent_dropout: float = 0.2
    noise: float = 0.3
    epochs: int = 50
    learning_rate: float = 5e-3
    n_mfcc: int | None = None
    log_mel: bool = False
    mean_share: float = CONFIG.mean_share
    heard: tuple[str, ...] = ("clean", "microphone", "room")
    other: bool = True
    n_windows: int | None = None


SHIPPED = Recipe()


def labels_of(others: list, config: Config = CONFIG) -> list[str]:
    """Names of the classes: the genres, the kinds of other songs (dataset.Song), and SYNTHETIC."""
    return [*config.genres, *sorted({song.genre for song in others}), SYNTHETIC]


def class_shares(labels: list[str], config: Config = CONFIG) -> np.ndarray:
    """The share of each class among training windows: genres get equally much, and so do kinds of other music."""
    kinds = [label for label in labels if label not in (*config.genres, SPEECH, SYNTHETIC)]
    other = {**OTHER_SHARES, **dict.fromkeys(kinds, OTHER_SHARES["music"] / max(len(kinds), 1))}
    shares = np.array([0.0 if label in config.genres else other[label] for label in labels])
    shares[: len(config.genres)] = (1 - shares.sum()) / len(config.genres)
    return shares


def training_windows(songs: list, others: list, n: int = N_WINDOWS, seed: int = 0, config: Config = CONFIG) -> dict:
    """Feature windows of songs, of other music and of synthetic sounds, most of them heard through the microphone.

    A class is drawn by `class_shares`, then a song of it: its chance grows with the square root of its length. Each
    window is played a little faster or slower, which changes pitch and tempo. Window i depends on `seed` and i alone.

    Parameters
    ----------
    songs, others : list of dataset.Song
        Of the genres, and of none of them (see `dataset.SongSet`).
    n, seed : int

    Returns
    -------
    dict of arrays
        raw int32 (n, n_frames, n_mfcc), as of `mfcc_q15.mfcc_windows`; genre int (n,), the class's index; song, group
        str (n,), of synthetic sounds the kind and ""; heard str (n,): "clean", "microphone" or "room"; labels str
        (n_classes,).
    """
    labels = labels_of(others, config)
    pool = _pool([*songs, *others], labels)
    work = in_parallel(
        joblib.delayed(_draw_windows)(pool, labels, range(start, min(start + WINDOW_BATCH, n)), seed, config)
        for start in range(0, n, WINDOW_BATCH))
    parts = list(tqdm(work, total=-(-n // WINDOW_BATCH), desc="training windows", unit="batch", leave=False))
    genre, song, group, heard, raw = (np.concatenate(columns) for columns in zip(*parts))
    return {"raw": raw, "genre": genre, "song": song, "group": group, "heard": heard, "labels": np.array(labels)}


def _pool(songs: list, labels: list[str]) -> dict[str, np.ndarray]:
    """The songs as a few large arrays, which joblib maps into all processes instead of copying them."""
    pool = {"samples": np.concatenate([song.samples for song in songs]),
            "end": np.cumsum([len(song.samples) for song in songs]),
            "genre": np.array([labels.index(song.genre) for song in songs])}
    names = {name: np.array([getattr(song, name) for song in songs]) for name in ("song", "group")}
    return {**pool, **names, "length": np.diff(pool["end"], prepend=0)}


def _draw_windows(pool: dict, labels: list[str], numbers: range, seed: int, config: Config) -> tuple:
    """genre, song, group, heard and raw of the windows of these numbers, an array each."""
    shares, columns, audio = class_shares(labels, config), [], []
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        genre = int(rng.choice(len(labels), p=shares))
        if labels[genre] == SYNTHETIC:
            song, group = other_sounds.TRAINED[rng.integers(len(other_sounds.TRAINED))], ""
            heard, window = _synthetic_window(song, rng, config)
        else:
            likely = np.sqrt(pool["length"]) * (pool["genre"] == genre)
            pick = int(rng.choice(len(likely), p=likely / likely.sum()))
            samples = pool["samples"][pool["end"][pick] - pool["length"][pick] : pool["end"][pick]]
            song, group = pool["song"][pick], pool["group"][pick]
            heard, window = _hear(_cut_window(samples, np.exp(rng.uniform(-STRETCH, STRETCH)), rng, config), rng, config)
        columns.append((genre, song, group, heard))
        audio.append(window)
    return (*(np.array(column) for column in zip(*columns)), features_of(np.stack(audio), n_jobs=1, config=config))


def _hear(window: np.ndarray, rng: np.random.Generator, config: Config) -> tuple[str, np.ndarray]:
    """How a window of music is heard, and what is heard."""
    if rng.random() < CLEAN:
        return "clean", window
    in_room = bool(rng.random() < ROOM)
    heard = microphone.hear(window, rng, None, in_room, microphone.TRAINING, config)
    return "room" if in_room else "microphone", heard


def _cut_window(samples: np.ndarray, speed: float, rng: np.random.Generator, config: Config) -> np.ndarray:
    """A window from a random place of int16 samples, played at `speed`."""
    length = config.window_length
    needed = min(int(np.ceil(length * speed)) + 8, len(samples))
    looped = len(samples) < dataset.SHORT * config.sample_rate  # its windows may begin anywhere
    start = rng.integers(0, len(samples) if looped else len(samples) - needed + 1)
    part = np.take(samples, range(start, start + needed), mode="wrap") if looped else samples[start : start + needed]
    played = soxr.resample(part.astype(np.float32), config.sample_rate * speed, config.sample_rate, quality="MQ")
    played = np.pad(played, (0, max(0, length - len(played))), mode="reflect")[:length]
    return np.clip(np.round(played), -32768, 32767).astype(np.int16)


def _synthetic_window(kind: str, rng: np.random.Generator, config: Config) -> tuple[str, np.ndarray]:
    """How a synthetic sound is heard, and its last window.

    The sound lasts three seconds. So a voice may pause in the last one, and the microphone's gain has settled by then.
    """
    seconds, heard = 3.0, "clean"
    if kind != other_sounds.OPEN_PIN and rng.random() < CLEAN:
        samples = other_sounds.make(kind, seconds, rng, config)
    else:
        in_room = bool(rng.random() < ROOM) and kind != other_sounds.OPEN_PIN
        heard = "room" if in_room else "microphone"
        samples = adc.adc_to_q15(microphone.other_counts(kind, seconds, rng, None, in_room, config=config), config)
    return heard, samples[-config.window_length :]


def train_on(raw: np.ndarray, genre: np.ndarray, seed: int = 0, recipe: Recipe = SHIPPED,
             validation: tuple[np.ndarray, np.ndarray] | None = None, config: Config = CONFIG) -> tuple:
    """Train one model on raw features; `validation` are raw features and genres of other artists.

    It has as many classes as `genre` has, but at least the genres.

    Returns
    -------
    network (keras.Model), mean, std (see `fit_normalisation`), curves (see `train`)
    """
    mean, std = fit_normalisation(raw)
    config = dataclasses.replace(config, n_mfcc=raw.shape[-1])
    network = build_model(recipe.architecture, recipe.units, recipe.dropout, recipe.recurrent_dropout, seed, config,
                          recipe.noise, n_classes=max(len(config.genres), int(genre.max()) + 1))
    if validation is not None:
        validation = (mfcc_q15.normalise(validation[0], mean, std), validation[1])
    curves = train(network, mfcc_q15.normalise(raw, mean, std), genre, validation, recipe.epochs, recipe.learning_rate,
                   config=config)
    return network, mean, std, curves
