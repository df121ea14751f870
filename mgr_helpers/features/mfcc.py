"""Mel-frequency cepstral coefficients (MFCCs) in floating point, stage by stage.

`numpy_stages` is plain numpy. Its numbers are those of `tf.signal`, the book's reference: tests compare the two.

Notebooks: 00, 02, 03, 04, 08.
"""

import numpy as np

from ..config import CONFIG, Config

LOG_FLOOR = 1e-6  # the book's; added before the logarithm, so that silence is -13.8 and not minus infinity
STAGES = ("frame", "windowed", "magnitude", "mel", "log_mel", "mfcc")


def to_float(samples) -> np.ndarray:
    """int16 samples as float64 from -1 to 1; floats as float64, unchanged."""
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
        Read-only view. Samples at the end that don't fill a frame are left out, as in TensorFlow.

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
    """Periodic Hann window, float64 (frame_length,), from 0 to 1: equal to `tf.signal.hann_window`."""
    n = config.frame_length
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


def hertz_to_mel(hertz):
    """Mel scale of HTK (O'Shaughnessy 1987), the one TensorFlow uses: 1127 ln(1 + f / 700)."""
    return 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)


def mel_matrix(config: Config = CONFIG) -> np.ndarray:
    """Weights from FFT bins to Mel bands, as `tf.signal.linear_to_mel_weight_matrix` defines them.

    Triangles of height 1; over the Mel scale their sides are straight. Bin 0 (0 Hz) belongs to no band.

    Returns
    -------
    float64 (n_bins, n_mels)
        Each column is one band.
    """
    bins = hertz_to_mel(np.linspace(0, config.sample_rate / 2, config.n_bins))[:, np.newaxis]
    edges = np.linspace(hertz_to_mel(config.lower_hz), hertz_to_mel(config.upper_hz), config.n_mels + 2)
    low, center, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - low) / (center - low), (high - bins) / (high - center))
    weights[0] = 0
    return np.maximum(weights, 0)


def dct_matrix(config: Config = CONFIG) -> np.ndarray:
    """First rows of the DCT-II, float64 (n_mfcc, n_mels), all scaled by sqrt(2 / n_mels) as in HTK and TensorFlow.

    The orthonormal DCT divides row 0 by sqrt(2).
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
