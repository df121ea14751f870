"""What music turns into on its way through a loudspeaker, a room, a MAX9814 microphone and the Pico's ADC.

Used to train on what the Pico will hear, and to measure what that costs. Clean audio is int16 at full scale; what comes
out are ADC counts, which go through `mfcc_q15.adc_to_q15` exactly as on the Pico.

Explained in notebooks/05_train_lstm.ipynb and 07_evaluate_model.ipynb.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
import soxr
from tqdm.auto import tqdm

from . import mfcc_q15
from .config import CONFIG, Config

BIAS_VOLTS, SUPPLY_VOLTS = 1.23, 3.3  # MAX9814 data sheet: output bias 1.23 V; the ADC's reference is the Pico's 3.3 V


@dataclass(frozen=True)
class Ranges:
    """From where each parameter is drawn, evenly (frequencies and noise: evenly in their logarithm).

    Attributes
    ----------
    level_db : of the music: at 0 dB its int16 full scale is the ADC's full scale; -24 dB leaves a few dozen counts.
    high_pass_hz : corner of a first-order high-pass: small loudspeakers and the coupling capacitors of the module.
    low_pass_hz : corner of a first-order low-pass: loudspeaker, air, distance.
    noise_lsb : standard deviation of Gaussian noise in ADC steps. The RP2040's data sheet states 8.7 effective bits,
        which is noise of 2.9 steps; the microphone's own and the room's come on top.
    room_seconds : time in which the room's echo decays by 60 dB (T60): 0.2 s is a furnished room, 0.7 s a bare one.
    direct_to_reverberant_db : direct sound over echoes; near 0 dB a metre or two from the loudspeaker.
    """

    level_db: tuple[float, float] = (-30.0, 0.0)
    high_pass_hz: tuple[float, float] = (60.0, 250.0)
    low_pass_hz: tuple[float, float] = (5000.0, 10500.0)
    noise_lsb: tuple[float, float] = (0.5, 5.0)
    room_seconds: tuple[float, float] = (0.2, 0.7)
    direct_to_reverberant_db: tuple[float, float] = (-3.0, 12.0)


TRAINING = Ranges()
CLEAN, ROOM, STRETCH = 0.4, 0.3, 0.12  # of training windows: share that stays clean, share in a room, change of speed
# wider, so that a test also holds what training never heard
TESTING = Ranges((-36.0, 0.0), (40.0, 300.0), (4000.0, 11000.0), (0.4, 6.0), (0.15, 0.9), (-5.0, 12.0))


def room_response(rng: np.random.Generator, ranges: Ranges = TRAINING, config: Config = CONFIG) -> np.ndarray:
    """A random impulse response: the direct sound, then exponentially decaying noise (Polack's model, 1988).

    Returns
    -------
    float64 array (n,)
        At config.sample_rate; its energy is 1, so that the room alone doesn't change the level.
    """
    seconds, ratio_db = rng.uniform(*ranges.room_seconds), rng.uniform(*ranges.direct_to_reverberant_db)
    time = np.arange(int(seconds * config.sample_rate)) / config.sample_rate
    echoes = rng.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    echoes[: int(0.002 * config.sample_rate)] = 0  # the first reflection comes a few milliseconds late
    echoes *= 10 ** (-ratio_db / 20) / np.linalg.norm(echoes)
    echoes[0] = 1
    return echoes / np.linalg.norm(echoes)


def adc_counts(samples: np.ndarray, rng: np.random.Generator, level_db: float | None = None, room: bool = False,
               ranges: Ranges = TRAINING, config: Config = CONFIG) -> np.ndarray:
    """What the Pico's ADC delivers when music is played to the microphone.

    Parameters
    ----------
    samples : int16 array (n,)
        Clean audio.
    rng : numpy Generator
        Draws the parameters and the noise.
    level_db : float, optional
        Level of the music; drawn from `ranges` when not given.
    room : bool
        Put a random room before the microphone.

    Returns
    -------
    uint16 array (n,)
        Counts from 0 to 4095 around the microphone's bias; what exceeds them is clipped.

    Explained in notebooks/05_train_lstm.ipynb.
    """
    level_db = rng.uniform(*ranges.level_db) if level_db is None else level_db
    corners = [np.exp(rng.uniform(*np.log(pair))) for pair in (ranges.high_pass_hz, ranges.low_pass_hz)]
    noise = np.exp(rng.uniform(*np.log(ranges.noise_lsb)))
    sound = samples.astype(np.float64)
    if room:
        sound = scipy.signal.oaconvolve(sound, room_response(rng, ranges, config))[: len(sound)]
    for corner, kind in zip(corners, ("highpass", "lowpass")):
        sos = scipy.signal.butter(1, corner, kind, fs=config.sample_rate, output="sos")
        sound = scipy.signal.sosfilt(sos, sound)
    steps = 2**config.adc_bits
    counts = sound * 10 ** (level_db / 20) * steps / 65536 + BIAS_VOLTS / SUPPLY_VOLTS * steps
    return np.clip(np.round(counts + noise * rng.normal(size=len(counts))), 0, steps - 1).astype(np.uint16)


def hear(samples: np.ndarray, rng: np.random.Generator, level_db: float | None = None, room: bool = False,
         ranges: Ranges = TRAINING, config: Config = CONFIG) -> np.ndarray:
    """`adc_counts` and back to int16 as the Pico does it (bias removed, shifted to full scale); whole frame steps."""
    return mfcc_q15.adc_to_q15(adc_counts(samples, rng, level_db, room, ranges, config), config)


def hear_clips(clips: np.ndarray, seed: int, level_db: float | None = None, room: float = 0.0,
               ranges: Ranges = TRAINING, config: Config = CONFIG) -> np.ndarray:
    """Each clip through the microphone, with parameters of its own.

    Parameters
    ----------
    clips : int16 array (n, n_samples)
    seed : int
    level_db : float, optional
        Level of the music; drawn from `ranges` when not given.
    room : float
        Share of clips that are heard in a room.

    Returns
    -------
    int16 array (n, n_samples down to a whole number of frame steps)

    Explained in notebooks/05_train_lstm.ipynb.
    """
    rng = np.random.default_rng(seed)
    heard = [hear(clip, rng, level_db, bool(rng.random() < room), ranges, config) for clip in clips]
    return np.stack(heard) if heard else clips[:, : clips.shape[1] // config.frame_step * config.frame_step]


def random_windows(songs: list, n: int, seed: int, clean: float = CLEAN, room: float = ROOM,
                   stretch: float = STRETCH, ranges: Ranges = TRAINING, config: Config = CONFIG) -> dict:
    """Feature windows cut at random from songs, most of them heard through the microphone: what the model trains on.

    Genres come equally often; a genre's songs by the square root of their length. Each window is played a little faster
    or slower (up to e^+-stretch), which changes pitch and tempo.

    Parameters
    ----------
    songs : list of dataset.Song
    n : int
        Number of windows.
    seed : int
    clean, room : float
        Share of windows that stay clean, and share of the others that get a room.
    stretch : float
        Largest change of speed, as a logarithm.

    Returns
    -------
    dict of arrays
        raw int32 (n, n_frames, n_mfcc), from `mfcc_q15.mfcc_windows`; genre int (n,); song, group str (n,).

    Explained in notebooks/05_train_lstm.ipynb.
    """
    rng = np.random.default_rng(seed)
    genre = np.array([config.genres.index(song.genre) for song in songs])
    weight = np.sqrt([len(song.samples) for song in songs])
    picks = [_pick(weight * (genre == i % len(config.genres)), rng) for i in range(n)]
    raw = np.zeros((n, config.n_frames, config.n_mfcc), np.int32)
    for i, pick in enumerate(tqdm(picks, desc="training windows", unit="window", leave=False)):
        window = _cut(songs[pick].samples, np.exp(rng.uniform(-stretch, stretch)), rng, config)
        if rng.random() >= clean:
            window = hear(window, rng, room=rng.random() < room, ranges=ranges, config=config)
        raw[i] = mfcc_q15.mfcc_windows(window[None], config)[0]
    return {"raw": raw, "genre": genre[picks], "song": np.array([songs[p].song for p in picks]),
            "group": np.array([songs[p].group for p in picks])}


def _pick(weight: np.ndarray, rng: np.random.Generator) -> int:
    return int(rng.choice(len(weight), p=weight / weight.sum()))


def _cut(samples: np.ndarray, speed: float, rng: np.random.Generator, config: Config) -> np.ndarray:
    """One window of int16 samples from a random place, played at `speed`; in whole frame steps."""
    length = config.window_length
    needed = min(int(np.ceil(length * speed)) + 8, len(samples))
    start = rng.integers(0, len(samples) - needed + 1)
    part = samples[start : start + needed]
    played = soxr.resample(part.astype(np.float32), config.sample_rate * speed, config.sample_rate, quality="MQ")
    played = np.pad(played, (0, max(0, length - len(played))), mode="reflect")[:length]
    return np.clip(np.round(played), -32768, 32767).astype(np.int16)
