"""Random training windows, and the recipe of the model that ships.

Notebooks: 05, 07.
"""

import dataclasses
from dataclasses import dataclass

import joblib
import numpy as np
import soxr
from tqdm.auto import tqdm

from ..audio import adc, microphone, other_sounds
from ..config import CONFIG, Config
from ..features import mfcc_q15
from ..features.windows import features_of
from .network import NO_GENRE, build_model, fit_normalisation, train

N_WINDOWS, N_OTHER = 24000, 6000
WINDOW_BATCH = 512  # windows whose audio `random_windows` holds at a time: 22 MB
CLEAN = 0.45  # share of training windows that stay clean; the others go through the simulated microphone
ROOM = 0.3  # share of these others that are heard in a room
STRETCH = 0.16  # largest |ln(speed)| at which a window is played


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; the defaults are those of the model that ships.

    Attributes
    ----------
    architecture, units, dropout, recurrent_dropout, noise
        See `network.build_model`.
    epochs, learning_rate
        See `network.train`.
    n_mfcc, log_mel, heard, other, n_windows
        For `tools.experiments`: number of MFCCs (None: all); log Mel bands instead of MFCCs; windows by how they were
        heard; whether sounds of no genre are among them; number of windows (None: all).
    """

    architecture: str = "lstm_mean"
    units: int | None = None
    dropout: float = 0.1
    recurrent_dropout: float = 0.2
    noise: float = 0.3
    epochs: int = 15
    learning_rate: float = 5e-3
    n_mfcc: int | None = None
    log_mel: bool = False
    heard: tuple[str, ...] = ("clean", "microphone", "room")
    other: bool = True
    n_windows: int | None = None


SHIPPED = Recipe()


def training_windows(songs: list, n: int = N_WINDOWS, n_other: int | None = None, seed: int = 0,
                     config: Config = CONFIG) -> dict:
    """`random_windows` of `n` windows of music, then `other_windows`, whose genre is NO_GENRE.

    There are `n_other` of the latter. Default: the same share as for the model that ships.
    """
    n_other = n * N_OTHER // N_WINDOWS if n_other is None else n_other
    music = random_windows(songs, n, seed, config=config)
    other = {"genre": np.full(n_other, NO_GENRE), **other_windows(n_other, seed, config=config)}
    return {name: np.concatenate([music[name], other[name]]) for name in music}


def random_windows(songs: list, n: int, seed: int, clean: float = CLEAN, config: Config = CONFIG) -> dict:
    """Feature windows cut from songs at random, most of them heard through the microphone.

    All genres are equally likely. Within a genre, a song's chance grows with the square root of its length. Each window
    is played a little faster or slower, which changes pitch and tempo. Window i depends on `seed` and i alone.

    Parameters
    ----------
    songs : list of dataset.Song
    n, seed : int
    clean : float
        Share of windows that stay clean.

    Returns
    -------
    dict of arrays
        raw int32 (n, n_frames, n_mfcc), as of `mfcc_q15.mfcc_windows`; genre int (n,); song, group str (n,); heard str
        (n,): "clean", "microphone" or "room".
    """
    genre = np.array([config.genres.index(song.genre) for song in songs])
    weight = np.sqrt([len(song.samples) for song in songs])

    def one(index: int) -> tuple[int, str, np.ndarray]:
        rng = np.random.default_rng([seed, index])
        likely = weight * (genre == index % len(config.genres))
        pick = int(rng.choice(len(songs), p=likely / likely.sum()))
        window = _cut_window(songs[pick].samples, np.exp(rng.uniform(-STRETCH, STRETCH)), rng, config)
        if rng.random() < clean:
            return pick, "clean", window
        in_room = bool(rng.random() < ROOM)
        heard = microphone.hear(window, rng, None, in_room, microphone.TRAINING, config)
        return pick, "room" if in_room else "microphone", heard

    raw, picks, heard = np.zeros((n, config.n_frames, config.n_mfcc), np.int32), np.zeros(n, int), np.zeros(n, "U10")
    for start in tqdm(range(0, n, WINDOW_BATCH), desc="training windows", unit="batch", leave=False):
        part = slice(start, min(start + WINDOW_BATCH, n))
        picks[part], heard[part], windows = zip(*microphone.in_threads(one, range(part.start, part.stop)))
        raw[part] = features_of(np.stack(windows), config=config)
    return {"raw": raw, "genre": genre[picks], "song": np.array([songs[p].song for p in picks]),
            "group": np.array([songs[p].group for p in picks]), "heard": heard}


def _cut_window(samples: np.ndarray, speed: float, rng: np.random.Generator, config: Config) -> np.ndarray:
    """A window from a random place of int16 samples, played at `speed`."""
    length = config.window_length
    needed = min(int(np.ceil(length * speed)) + 8, len(samples))
    start = rng.integers(0, len(samples) - needed + 1)
    part = samples[start : start + needed]
    played = soxr.resample(part.astype(np.float32), config.sample_rate * speed, config.sample_rate, quality="MQ")
    played = np.pad(played, (0, max(0, length - len(played))), mode="reflect")[:length]
    return np.clip(np.round(played), -32768, 32767).astype(np.int16)


def other_windows(n: int, seed: int, clean: float = CLEAN, room: float = ROOM, config: Config = CONFIG) -> dict:
    """Feature windows of `other_sounds.TRAINED`, heard as `random_windows` hears music.

    `clean` and `room` are shares, as in `CLEAN` and `ROOM`.

    Returns
    -------
    dict of arrays
        As `random_windows` gives them, without genre; song is the kind of sound, group "".
    """
    kinds = [other_sounds.TRAINED[i % len(other_sounds.TRAINED)] for i in range(n)]
    jobs = [joblib.delayed(_other_window)(i, kind, seed, clean, room, config) for i, kind in enumerate(kinds)]
    heard, raw = zip(*tqdm(joblib.Parallel(-1, return_as="generator")(jobs), total=n, desc="other sounds",
                           unit="window", leave=False))
    return {"raw": np.stack(raw), "heard": np.array(heard), "song": np.array(kinds), "group": np.full(n, "")}


def _other_window(index: int, kind: str, seed: int, clean: float, room: float, config: Config) -> tuple:
    """How a sound is heard, and the features of its last window.

    The sound lasts three seconds. So a voice may pause in the last one, and the microphone's gain has settled by then.
    """
    rng, seconds, heard = np.random.default_rng([seed, 1, index]), 3.0, "clean"
    if kind != other_sounds.OPEN_PIN and rng.random() < clean:
        samples = other_sounds.make(kind, seconds, rng, config)
    else:
        in_room = bool(rng.random() < room) and kind != other_sounds.OPEN_PIN
        heard = "room" if in_room else "microphone"
        samples = adc.adc_to_q15(microphone.other_counts(kind, seconds, rng, None, in_room, config=config), config)
    return heard, mfcc_q15.mfcc_windows(samples[None, -config.window_length :], config)[0]


def train_on(raw: np.ndarray, genre: np.ndarray, seed: int = 0, recipe: Recipe = SHIPPED,
             validation: tuple[np.ndarray, np.ndarray] | None = None, config: Config = CONFIG) -> tuple:
    """Train one model on raw features; `validation` are raw features and genres of other artists.

    Returns
    -------
    network (keras.Model), mean, std (see `fit_normalisation`), curves (see `train`)
    """
    mean, std = fit_normalisation(raw)
    config = dataclasses.replace(config, n_mfcc=raw.shape[-1])
    network = build_model(recipe.architecture, recipe.units, recipe.dropout, recipe.recurrent_dropout, seed, config,
                          recipe.noise)
    if validation is not None:
        validation = (mfcc_q15.normalise(validation[0], mean, std), validation[1])
    curves = train(network, mfcc_q15.normalise(raw, mean, std), genre, validation, recipe.epochs, recipe.learning_rate)
    return network, mean, std, curves
