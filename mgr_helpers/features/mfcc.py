"""Mel-frequency cepstral coefficients (MFCCs) in floating point, stage by stage.

Three ways to the same numbers: plain numpy (no import but numpy, so that tables for the Pico need nothing else),
TensorFlow's `tf.signal` (the book's reference) and librosa (made equal, or with the book's arguments).
Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config import CONFIG, Config
from ..host.quiet import import_tf

LOG_FLOOR = 1e-6  # added before the logarithm, so that silence is -13.8 and not minus infinity
STAGES = ("frame", "windowed", "magnitude", "mel", "log_mel", "mfcc")

# What the book passes to librosa.feature.mfcc leaves these at librosa's defaults.
BOOK_LIBROSA = {"htk": False, "norm": "slaney", "power": 2.0, "decibels": True, "scale_c0": False}


def to_float(samples) -> np.ndarray:
    """int16 samples (q15) as float64 from -1 up to 1; floats are passed through as float64."""
    samples = np.asarray(samples)
    return samples / 32768.0 if samples.dtype == np.int16 else samples.astype(np.float64)


def split_frames(samples, config: Config = CONFIG) -> np.ndarray:
    """Overlapping frames of a signal.

    Parameters
    ----------
    samples : array (n,)
        Any dtype, kept.

    Returns
    -------
    array (1 + (n - frame_length) // frame_step, frame_length)
        Read-only view; the last samples that don't fill a frame are left out, as in TensorFlow.

    Raises
    ------
    ValueError
        When there is less than one frame.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or len(samples) < config.frame_length:
        raise ValueError(f"need one channel of at least {config.frame_length} samples, got shape {samples.shape}")
    windows = np.lib.stride_tricks.sliding_window_view(samples, config.frame_length)
    return windows[::config.frame_step]


def hann_window(config: Config = CONFIG) -> np.ndarray:
    """Periodic Hann window, float64 (frame_length,), from 0 to 1: equal to `tf.signal.hann_window`.

    Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
    """
    n = config.frame_length
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


def hertz_to_mel(hertz):
    """Mel scale of HTK (O'Shaughnessy 1987), the one TensorFlow uses: 1127 ln(1 + f / 700)."""
    return 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)


def mel_to_hertz(mel):
    """Inverse of `hertz_to_mel`."""
    return 700.0 * np.expm1(np.asarray(mel, dtype=np.float64) / 1127.0)


def mel_matrix(config: Config = CONFIG) -> np.ndarray:
    """Weights from FFT bins to Mel bands, as `tf.signal.linear_to_mel_weight_matrix` defines them.

    Triangles of height 1 whose sides are straight in Mel; bin 0 (0 Hz) belongs to no band.

    Returns
    -------
    float64 (n_bins, n_mels)
        Each column is one band. Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
    """
    bins = hertz_to_mel(np.linspace(0, config.sample_rate / 2, config.n_bins))[:, np.newaxis]
    edges = np.linspace(hertz_to_mel(config.lower_hz), hertz_to_mel(config.upper_hz), config.n_mels + 2)
    low, center, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - low) / (center - low), (high - bins) / (high - center))
    weights[0] = 0
    return np.maximum(weights, 0)


def dct_matrix(config: Config = CONFIG) -> np.ndarray:
    """First rows of the DCT-II, all scaled by sqrt(2 / n_mels) as in HTK and TensorFlow.

    The orthonormal DCT has a row 0 smaller by sqrt(2).

    Returns
    -------
    float64 (n_mfcc, n_mels)
        Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
    """
    k, n = np.arange(config.n_mfcc)[:, np.newaxis], np.arange(config.n_mels)
    return np.sqrt(2 / config.n_mels) * np.cos(np.pi / config.n_mels * (n + 0.5) * k)


def numpy_stages(samples, config: Config = CONFIG) -> dict[str, np.ndarray]:
    """Every stage of the MFCCs, in plain numpy.

    Parameters
    ----------
    samples : array (n,)
        One channel; int16, or floats between -1 and 1.

    Returns
    -------
    dict
        float64 arrays, one row a frame, by the names in `STAGES`: frame and windowed (frames, frame_length),
        magnitude (frames, n_bins), mel and log_mel (frames, n_mels), mfcc (frames, n_mfcc).
        Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
    """
    frame = split_frames(to_float(samples), config)
    windowed = frame * hann_window(config)
    magnitude = np.abs(np.fft.rfft(windowed, config.fft_length))
    mel = magnitude @ mel_matrix(config)
    log_mel = np.log(mel + LOG_FLOOR)
    return dict(zip(STAGES, (frame, windowed, magnitude, mel, log_mel, log_mel @ dct_matrix(config).T)))


def numpy_mfcc(samples, config: Config = CONFIG) -> np.ndarray:
    """MFCCs of one signal in plain numpy: float64 (frames, n_mfcc). See `numpy_stages`."""
    return numpy_stages(samples, config)["mfcc"]


def tensorflow_stages(samples, config: Config = CONFIG) -> dict[str, np.ndarray]:
    """Every stage of the MFCCs by `tf.signal`, the book's recipe (TinyML Cookbook 2e, chapter 5).

    Returns
    -------
    dict
        float32 arrays by the names in `STAGES`, shapes as in `numpy_stages`.
        Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
    """
    tf = import_tf()
    frame = tf.signal.frame(to_float(samples).astype(np.float32), config.frame_length, config.frame_step)
    windowed = frame * tf.signal.hann_window(config.frame_length)
    magnitude = tf.abs(tf.signal.rfft(windowed, [config.fft_length]))
    weights = tf.signal.linear_to_mel_weight_matrix(config.n_mels, config.n_bins, config.sample_rate,
                                                    config.lower_hz, config.upper_hz)
    mel = tf.matmul(magnitude, weights)
    log_mel = tf.math.log(mel + LOG_FLOOR)
    mfccs = tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[:, :config.n_mfcc]
    return {name: value.numpy() for name, value in zip(STAGES, (frame, windowed, magnitude, mel, log_mel, mfccs))}


def tensorflow_mfcc(samples, config: Config = CONFIG) -> np.ndarray:
    """MFCCs of one signal by TensorFlow: float32 (frames, n_mfcc). See `tensorflow_stages`."""
    return tensorflow_stages(samples, config)["mfcc"]


def librosa_mfcc(samples, config: Config = CONFIG, *, htk: bool = True, norm: str | None = None, power: float = 1.0,
                 decibels: bool = False, scale_c0: bool = True) -> np.ndarray:
    """MFCCs by librosa. The defaults make them equal to TensorFlow's; `**BOOK_LIBROSA` gives the book's.

    Parameters
    ----------
    htk : bool
        HTK's Mel scale; False is Slaney's (straight up to 1 kHz).
    norm : None or "slaney"
        None: triangles of height 1; "slaney": of equal area.
    power : float
        1 sums magnitudes into Mel bands, 2 powers.
    decibels : bool
        True: `librosa.power_to_db`, clipped 80 dB below the loudest; False: natural log of Mel + LOG_FLOOR.
    scale_c0 : bool
        Multiply coefficient 0 by sqrt(2), which librosa's orthonormal DCT leaves out.

    Returns
    -------
    float64 (frames, n_mfcc)
        Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
    """
    import librosa
    mel = librosa.feature.melspectrogram(
        y=to_float(samples), sr=config.sample_rate, n_fft=config.fft_length, win_length=config.frame_length,
        hop_length=config.frame_step, center=False, n_mels=config.n_mels, fmin=config.lower_hz, fmax=config.upper_hz,
        htk=htk, norm=norm, power=power)
    log_mel = librosa.power_to_db(mel) if decibels else np.log(mel + LOG_FLOOR)
    mfccs = librosa.feature.mfcc(S=log_mel, n_mfcc=config.n_mfcc, norm="ortho").T.astype(np.float64)
    mfccs[:, 0] *= np.sqrt(2) if scale_c0 else 1
    return mfccs


def mean_difference(one, other) -> float:
    """Mean absolute difference of two arrays."""
    return float(np.mean(np.abs(np.asarray(one, dtype=np.float64) - other)))


def librosa_ladder(samples, config: Config = CONFIG) -> list[tuple[str, float]]:
    """From the book's librosa arguments to TensorFlow's MFCCs, one argument changed at a time.

    Returns
    -------
    list of (str, float)
        What was changed, and the mean absolute difference to TensorFlow's MFCCs after it.
        Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
    """
    reference = tensorflow_mfcc(samples, config)
    arguments = dict(BOOK_LIBROSA)
    ladder = [("the book's arguments", mean_difference(reference, librosa_mfcc(samples, config, **arguments)))]
    for name, value, label in (("decibels", False, "natural log instead of dB"),
                               ("power", 1.0, "magnitude instead of power (power=1)"),
                               ("norm", None, "triangles of height 1 (norm=None)"),
                               ("htk", True, "HTK's Mel scale (htk=True)"),
                               ("scale_c0", True, "coefficient 0 times sqrt(2)")):
        arguments[name] = value
        ladder.append((label, mean_difference(reference, librosa_mfcc(samples, config, **arguments))))
    return ladder


def stages_of_frame(samples, index: int = 0, config: Config = CONFIG) -> dict[str, np.ndarray]:
    """The stages of one frame only: 1-D arrays by the names in `STAGES`."""
    start = index * config.frame_step
    frame = np.asarray(samples)[start:start + config.frame_length]
    return {name: values[0] for name, values in numpy_stages(frame, config).items()}


def with_changes(config: Config = CONFIG, **changes) -> Config:
    """A copy of `config` with some fields changed, for the explorers in the notebooks."""
    return dataclasses.replace(config, **changes)
