"""Sounds that are not disco, jazz or metal: what a Pico on a shelf hears most of the time.

Silence, noise, mains hum, synthetic speech, a piano and a pad: a few lines synthesise each. One more is what the ADC
reads when no microphone is connected. Training draws from `TRAINING_SOUNDS`. Tests draw from `TESTING_SOUNDS`, with
wider ranges and other seeds.
**They are synthetic: a share measured on them is a hint about real speech and real rooms, no more.**

Notebooks: 07.
"""

from dataclasses import dataclass

import numpy as np
import scipy.signal

from ..config import CONFIG, Config
from . import adc

LEVEL = 0.2  # root mean square of what is made, full scale 1
# Formants of men's vowels, Hz: Peterson and Barney, Control methods used in a study of the vowels, JASA 1952, table II
VOWELS = {"i": (270, 2290, 3010), "e": (530, 1840, 2480), "a": (730, 1090, 2440), "o": (570, 840, 2410),
          "u": (300, 870, 2240), "er": (490, 1350, 1690)}
BANDWIDTHS = (60, 90, 150, 250)  # Hz, of the three formants and a fourth at 3500 Hz (Klatt 1980)
CHORDS = ((0, 4, 7, 12), (9, 12, 16, 21), (5, 9, 12, 17), (7, 11, 14, 19))  # semitones: C, Am, F, G


@dataclass(frozen=True)
class SoundRanges:
    """The range of each parameter. It is drawn evenly, or evenly in its logarithm (where `_between` draws it).

    Attributes
    ----------
    noise_slope_db : by how many dB the power of coloured noise falls per octave.
    hum_hz : mains frequency, one of these.
    hum_tilt_db : each harmonic of the hum is this much below the one before.
    pitch_hz : of the voice: men speak at 85 to 180 Hz, women and children at 165 to 300 Hz.
    tract : factor on the formants: shorter vocal tracts have higher ones.
    syllables : per second; running speech has 3 to 5.
    pause_seconds : between phrases.
    root_midi : lowest note of piano and pad, in semitones (60 is middle C).
    notes : of the piano, per second.
    pin_level : where an open pin rests, as a share of the ADC's range.
    pin_drift : standard deviation of that level's step from one sample to the next, counts (a random walk).
    pin_hum : amplitude of the hum that an open pin picks up, counts; from hardly any to the whole range.
    pin_tilt_db : each harmonic of that hum is this much below the one before.
    """

    noise_slope_db: tuple[float, float] = (1.0, 8.0)
    hum_hz: tuple[float, ...] = (50.0,)
    hum_tilt_db: tuple[float, float] = (2.0, 5.0)
    pitch_hz: tuple[float, float] = (90.0, 200.0)
    tract: tuple[float, float] = (0.95, 1.1)
    syllables: tuple[float, float] = (3.5, 4.5)
    pause_seconds: tuple[float, float] = (0.2, 0.5)
    root_midi: tuple[float, float] = (45.0, 57.0)
    notes: tuple[float, float] = (3.0, 6.0)
    pin_level: tuple[float, float] = (0.15, 0.85)
    pin_drift: tuple[float, float] = (0.05, 1.0)
    pin_hum: tuple[float, float] = (4.0, 1400.0)
    pin_tilt_db: tuple[float, float] = (3.0, 40.0)


TRAINING_SOUNDS = SoundRanges()
TESTING_SOUNDS = SoundRanges((0.0, 9.0), (50.0, 60.0), (1.0, 8.0), (75.0, 300.0), (0.85, 1.25), (3.0, 5.0), (0.1, 0.8),
                             (36.0, 62.0), (1.5, 9.0), (0.1, 0.9), (0.03, 1.5), (2.0, 2000.0), (2.0, 60.0))
OPEN_PIN = "open pin"


def _between(rng: np.random.Generator, pair: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(pair))))


def _sloping(n: int, rng: np.random.Generator, slope_db: float, rate: int) -> np.ndarray:
    """Noise whose power falls by `slope_db` per octave, from 20 Hz up."""
    falls = np.maximum(np.fft.rfftfreq(n, 1 / rate), 20) ** (-slope_db / (20 * np.log10(2)))
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * falls, n)


def _coloured(n: int, rng: np.random.Generator, ranges: SoundRanges, rate: int) -> np.ndarray:
    """Wind, rain, ventilators, a room's own noise: from nearly white to darker than brown."""
    return _sloping(n, rng, rng.uniform(*ranges.noise_slope_db), rate)


def _hum(n: int, rng: np.random.Generator, ranges: SoundRanges, rate: int) -> np.ndarray:
    """Mains hum: twenty harmonics, the even ones stronger (rectifiers), a hiss 40 dB below."""
    k = np.arange(1, 21)
    wave = _harmonics(n, k, np.where(k % 2, 0.5, 1.0), rng, ranges.hum_hz, ranges.hum_tilt_db, rate)
    return wave + 0.01 * np.std(wave) * rng.standard_normal(n)


def _harmonics(n: int, k: np.ndarray, levels, rng: np.random.Generator, mains_hz: tuple, tilt_db: tuple,
               rate: int) -> np.ndarray:
    """Harmonics `k` of the mains, with random phases. Each is one `tilt_db`, drawn once, below the one before."""
    mains, tilt = rng.choice(mains_hz), rng.uniform(*tilt_db)
    phases = 2 * np.pi * (mains * np.outer(k, np.arange(n) / rate) + rng.random((len(k), 1)))
    return (10 ** (-tilt * (k - 1) / 20) * levels) @ np.sin(phases)


def _glottis(n: int, pitch: np.ndarray, rng: np.random.Generator, rate: int) -> np.ndarray:
    """A pulse each period, with 1 % of jitter, through a low-pass of 12 dB an octave; and a little breath noise."""
    source, at = 0.02 * rng.standard_normal(n), 0.0
    while at < n:
        source[int(at)] += rng.normal(1.0, 0.05)
        at += rate / pitch[int(at)] * rng.normal(1.0, 0.01)
    return scipy.signal.lfilter([1.0], np.poly([np.exp(-2 * np.pi * 100 / rate)] * 2), source)


def _vowel(source: np.ndarray, name: str, tract: float, rate: int) -> np.ndarray:
    """Four resonances in a row, and the 6 dB an octave that the lips add."""
    sound = np.diff(source, prepend=0.0)
    for hertz, width in zip((*VOWELS[name], 3500), BANDWIDTHS):
        pole = np.exp(np.pi / rate * (-width + 2j * min(hertz * tract, 0.45 * rate)))
        a = np.real(np.poly([pole, np.conj(pole)]))
        sound = scipy.signal.lfilter([a.sum()], a, sound)
    return sound / max(np.std(sound), 1e-9)


def _syllable(n: int, pitch: float, tract: float, rng: np.random.Generator, rate: int) -> np.ndarray:
    """Perhaps a fricative, then one vowel that glides into another."""
    n_noise = int(n * rng.uniform(0.2, 0.35)) if rng.random() < 0.6 else 0
    n_voice = n - n_noise
    source = _glottis(n_voice, pitch * np.linspace(rng.uniform(0.95, 1.2), rng.uniform(0.8, 1.0), n_voice), rng, rate)
    first, second = (_vowel(source, rng.choice(list(VOWELS)), tract, rate) for _ in range(2))
    glide = np.linspace(0, 1, n_voice)
    voice = ((1 - glide) * first + glide * second) * np.sin(np.pi * np.linspace(0, 1, n_voice)) ** 0.5
    corner = min(rng.uniform(2500, 5000), 0.4 * rate)
    hiss = scipy.signal.sosfilt(scipy.signal.butter(2, corner, "highpass", fs=rate, output="sos"),
                                rng.standard_normal(n))[:n_noise]
    return np.concatenate([0.3 * hiss * np.hanning(n_noise), voice])


def _speech(n: int, rng: np.random.Generator, ranges: SoundRanges, rate: int) -> np.ndarray:
    """Phrases of a few syllables, pauses between them; the source-filter model of the voice (Fant 1960)."""
    pitch, tract, pace = (_between(rng, pair) for pair in (ranges.pitch_hz, ranges.tract, ranges.syllables))
    parts, length = [], 0
    while length < n:
        for _ in range(rng.integers(3, 9)):
            size = int(rate / pace * rng.uniform(0.7, 1.3))
            parts.append(_syllable(size, pitch * rng.uniform(0.9, 1.15), tract, rng, rate))
        parts.append(np.zeros(int(rate * rng.uniform(*ranges.pause_seconds))))
        length = sum(map(len, parts))
    return np.concatenate(parts)[:n]


def _note(midi: float, n: int, harmonics: int, tilt: float, rate: int, stretch: float = 0.0) -> np.ndarray:
    """Harmonics whose level is k**-tilt. With `stretch` above 0 they are a little too high, as on a stiff string."""
    k = np.arange(1, harmonics + 1)
    hertz = 440 * 2 ** ((midi - 69) / 12) * k * np.sqrt(1 + stretch * k**2)
    heard = hertz < 0.45 * rate
    return k[heard] ** -tilt @ np.sin(2 * np.pi * np.outer(hertz[heard], np.arange(n) / rate))


def _piano(n: int, rng: np.random.Generator, ranges: SoundRanges, rate: int) -> np.ndarray:
    """Arpeggios over four chords, each note struck and dying away."""
    out, root, step = np.zeros(n), rng.uniform(*ranges.root_midi), rate / _between(rng, ranges.notes)
    for i, at in enumerate(np.arange(0, n, step).astype(int)):
        chord = CHORDS[i // 8 % len(CHORDS)]
        size = min(int(1.5 * rate), n - at)
        struck = np.exp(-np.arange(size) / (0.4 * rate)) * np.minimum(1, np.arange(size) / (0.003 * rate))
        midi = root + chord[(i + rng.integers(2)) % 4] + 12 * rng.integers(2)
        out[at : at + size] += rng.uniform(0.6, 1) * struck * _note(midi, size, 12, 1.3, rate, 4e-4)
    return out


def _pad(n: int, rng: np.random.Generator, ranges: SoundRanges, rate: int) -> np.ndarray:
    """Slow chords of detuned voices that fade into one another."""
    out, root, size = np.zeros(n), rng.uniform(*ranges.root_midi), int(rate * rng.uniform(3, 6))
    for i, at in enumerate(range(-size // 2, n, size // 2)):
        tones = [root + 12 + tone + detune for tone in CHORDS[i // 2 % len(CHORDS)] for detune in (-0.06, 0.05)]
        start, stop = max(at, 0), min(at + size, n)  # notes are made only as far as they are heard
        chord = sum(_note(tone, stop - start, 8, 1.8, rate) for tone in tones)
        out[start:stop] += chord * np.hanning(size)[start - at : stop - at]
    return out


_MAKERS = {"silence": lambda n, rng, ranges, rate: np.zeros(n),
           "white noise": lambda n, rng, ranges, rate: rng.standard_normal(n),
           "pink noise": lambda n, rng, ranges, rate: _sloping(n, rng, 10 * np.log10(2), rate),
           "coloured noise": _coloured, "hum": _hum, "speech": _speech, "piano": _piano, "pad": _pad}
KINDS = (*_MAKERS, OPEN_PIN)
# a model is trained with these in turn; what is easily taken for music, or varies more, comes twice
TRAINED = ("white noise", "pink noise", "coloured noise", "hum", "speech", "piano", "pad", OPEN_PIN, "pink noise",
           "coloured noise", "speech", "piano")


def make(kind: str, seconds: float, rng: np.random.Generator, config: Config = CONFIG,
         ranges: SoundRanges = TRAINING_SOUNDS) -> np.ndarray:
    """A sound that is none of the genres, its parameters drawn from `ranges`.

    Parameters
    ----------
    kind : str
        One of `KINDS`, except `OPEN_PIN`: that is no sound (see `open_pin`).

    Returns
    -------
    int16 array (n,)
        At config.sample_rate, root mean square a fifth of full scale (silence: zeros). Loud peaks are clipped.

    Raises
    ------
    ValueError
        For an unknown kind.
    """
    if kind not in _MAKERS:
        raise ValueError(f"unknown sound {kind!r}: choose one of {', '.join(_MAKERS)}")
    sound = _MAKERS[kind](int(seconds * config.sample_rate), rng, ranges, config.sample_rate)
    scaled = sound * (LEVEL * 32768 / max(np.sqrt(np.mean(sound**2)), 1e-9))
    return np.clip(np.round(scaled), -32768, 32767).astype(np.int16)


def open_pin(n: int, rng: np.random.Generator, config: Config = CONFIG,
             ranges: SoundRanges = TRAINING_SOUNDS) -> np.ndarray:
    """What the ADC reads when nothing is connected to its pin: a level that wanders, and the mains' hum.

    Returns
    -------
    uint16 array (n,)
        Counts.
    """
    hum = _harmonics(n, np.arange(1, 8), 1.0, rng, ranges.hum_hz, ranges.pin_tilt_db, config.sample_rate)
    hum *= _between(rng, ranges.pin_hum)
    walk = _between(rng, ranges.pin_drift) * np.cumsum(rng.standard_normal(n))
    level = rng.uniform(*ranges.pin_level) * (2**config.adc_bits - 1) + walk + hum + rng.normal(0, 1.5, n)
    return adc.round_to_counts(level, config)
