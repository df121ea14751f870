"""The MFCC recipe of the TinyML Cookbook 2e (chapters 5 and 6) in q15 fixed point, with its tables.

==========  =====================  ==========================================================
stage       number format          what happens
==========  =====================  ==========================================================
frame       int16, Q0.15           2048 samples, every 1024
windowed    int16, Q0.15           ``arm_mult_q15`` with a Hann table
fft         int16, Q11.4           ``arm_rfft_q15``: divided by 2048
magnitude   int16, Q12.3           ``arm_cmplx_mag_q15``: halved
mel         int16, Q12.3           ``arm_mat_vec_mult_q15`` with a dense table, 40 x 1025
log_mel     int16, Q12.3           a table of 32767 entries: 8 ln(index / 8 + 1e-6)
mfcc        int16, Q12.3           ``arm_mat_vec_mult_q15``; divided by 8.0 for the float model
==========  =====================  ==========================================================

(The book writes Q12.4 and Q13.3, counting the sign bit.) The recipe is the book's; this code is not. It is here to be
measured against `mfcc_q15`, which the Pico runs: with as many coefficients as that has (`CONFIG`), so that the two can
be compared; only the bytes of its tables are counted with the book's own number (`BOOK`).

Explained in notebooks/04_mfcc_fixed_point.ipynb.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ..config import CONFIG, Config
from ..host.quiet import import_tf
from . import mfcc
from .mfcc_q15 import fft_instance

FRACTION_BITS = {"frame": 15, "windowed": 15, "fft": 4, "magnitude": 3, "mel": 3, "log_mel": 3, "mfcc": 3}
BOOK = dataclasses.replace(CONFIG, n_mfcc=18)  # the book's number of coefficients, for what its tables cost
LOG_FLOOR = 1e-6  # the book's
LOG_STEPS = 8  # of the log table, in and out: three fraction bits
LEVELS_DB = (0, -12, -24, -36)


# --- tables -----------------------------------------------------------------------------------------------------------

def truncate_to_q15(values) -> np.ndarray:
    """``arm_float_to_q15``: times 32768, cut towards zero, saturated at 32767. Any shape, kept; int16."""
    import cmsisdsp
    values = np.ascontiguousarray(values, dtype=np.float32)
    return cmsisdsp.arm_float_to_q15(values.ravel()).astype(np.int16).reshape(values.shape)


@functools.lru_cache
def hann_table(config: Config = CONFIG) -> np.ndarray:
    """TensorFlow's Hann window, int16 Q0.15 (frame_length,)."""
    return truncate_to_q15(import_tf().signal.hann_window(config.frame_length))


@functools.lru_cache
def mel_table(config: Config = CONFIG) -> np.ndarray:
    """TensorFlow's Mel weights transposed, int16 Q0.15 (n_mels, n_bins): dense, 95 % zeros."""
    weights = import_tf().signal.linear_to_mel_weight_matrix(
        config.n_mels, config.n_bins, config.sample_rate, config.lower_hz, config.upper_hz).numpy()
    return np.ascontiguousarray(truncate_to_q15(weights).T)


def log_value(index) -> np.ndarray:
    """What the log table holds at `index` (0 to 32767, Q12.3): 8 ln(index / 8 + 1e-6), cut towards zero; int16."""
    value = np.log(np.asarray(index) / LOG_STEPS + LOG_FLOOR)
    return np.trunc(LOG_STEPS * value).astype(np.int16)


@functools.lru_cache
def log_table() -> np.ndarray:
    """The book's log table: int16, 32767 entries, so that index 32767 (a saturated Mel sum) is not in it."""
    return log_value(np.arange(32767))


@functools.lru_cache
def dct_table(config: Config = CONFIG) -> np.ndarray:
    """DCT weights, int16 Q0.15 (n_mfcc, n_mels)."""
    return truncate_to_q15(mfcc.dct_matrix(config))


def book_table_sizes(config: Config = BOOK) -> dict[str, int]:
    """Bytes of the book's four tables (CMSIS-DSP's own FFT tables not counted).

    Explained in notebooks/04_mfcc_fixed_point.ipynb.
    """
    return {"Hann window": hann_table(config).nbytes, "Mel weights": mel_table(config).nbytes,
            "log": log_table().nbytes, "DCT": dct_table(config).nbytes}


# --- stages -----------------------------------------------------------------------------------------------------------

def rfft_q15(windowed: np.ndarray) -> np.ndarray:
    """Spectrum of int16 Q0.15 samples (n,), n a power of two.

    Returns
    -------
    int16 (n + 2,)
        Real and imaginary parts in turn, bins 0 to n / 2, divided by n.
    """
    import cmsisdsp
    return cmsisdsp.arm_rfft_q15(fft_instance(len(windowed)), windowed)[:len(windowed) + 2]


def book_magnitude(spectrum: np.ndarray) -> np.ndarray:
    """Magnitudes of a spectrum of int16 pairs (n_bins, 2): int16 (n_bins,), with one fraction bit less.

    As in the book, the two ends stay as they are: bin 0 is the real part of bin 0, the last bin its imaginary part
    (the book takes that place for the real part at half the sample rate, where old versions of CMSIS-DSP put it). No
    Mel band looks at either.
    """
    import cmsisdsp
    inner = cmsisdsp.arm_cmplx_mag_q15(spectrum[2:-2])
    return np.concatenate((spectrum[:1], inner, spectrum[1:2])).astype(np.int16)


def mel_dense(magnitude: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """Mel spectrum as in the book, every weight multiplied: int16 (n_bins,) to int16 (n_mels,)."""
    import cmsisdsp
    return cmsisdsp.arm_mat_vec_mult_q15(mel_table(config), magnitude)


def look_up_log(mel: np.ndarray) -> np.ndarray:
    """Log by the table; int16 (...) to int16 (...).

    Raises
    ------
    ValueError
        For a Mel sum outside of the table, where the book's C would read whatever lies behind it.
    """
    mel = np.asarray(mel)
    if mel.size and (mel.min() < 0 or mel.max() >= len(log_table())):
        raise ValueError("a Mel sum saturated at 32767 (or is negative): the book's log table has no entry for it")
    return log_table()[mel]


def dct_q15(log_mel: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """MFCCs in Q12.3: int16 (n_mels,) to int16 (n_mfcc,)."""
    import cmsisdsp
    return cmsisdsp.arm_mat_vec_mult_q15(dct_table(config), log_mel)


def frame_stages(frame: np.ndarray, config: Config = CONFIG) -> dict[str, np.ndarray]:
    """Every stage of one frame.

    Parameters
    ----------
    frame : int16 Q0.15 (frame_length,)

    Returns
    -------
    dict
        int16 arrays by the names in `FRACTION_BITS`; divide by 2**FRACTION_BITS[name] for real values (the fft's are
        pairs of real and imaginary part). Explained in notebooks/04_mfcc_fixed_point.ipynb.

    Raises
    ------
    TypeError, ValueError
        When the frame isn't int16, or its length isn't that of frame and FFT.
    """
    import cmsisdsp
    frame = np.asarray(frame)
    if frame.dtype != np.int16:
        raise TypeError(f"q15 audio is int16, got {frame.dtype}: scale to 32767 and round first")
    if not len(frame) == config.frame_length == config.fft_length:
        raise ValueError(f"the book's recipe needs frame_length = fft_length, got {config.frame_length} and "
                         f"{config.fft_length}, and a frame of {len(frame)} samples")
    windowed = cmsisdsp.arm_mult_q15(frame, hann_table(config))
    spectrum = rfft_q15(windowed)
    magnitude = book_magnitude(spectrum)
    mel = mel_dense(magnitude, config)
    log_mel = look_up_log(mel)
    return dict(zip(FRACTION_BITS, (frame, windowed, spectrum, magnitude, mel, log_mel, dct_q15(log_mel, config))))


def book_mfcc(samples: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """MFCCs of int16 audio by the book's q15 recipe.

    Parameters
    ----------
    samples : int16 (n,)

    Returns
    -------
    float32 (frames, n_mfcc)
        In natural log units, in steps of 1/8: what the book's model is trained on. Explained in
        notebooks/04_mfcc_fixed_point.ipynb.
    """
    frames = mfcc.split_frames(samples, config)
    return np.stack([frame_stages(frame, config)["mfcc"] for frame in frames]).astype(np.float32) / LOG_STEPS


# --- the same values from smaller tables ------------------------------------------------------------------------------

@functools.lru_cache
def book_mel_spans(config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """The non-zero weights of each band: first bins and lengths, int (n_mels,) each; an empty band has length 0."""
    bins = [np.flatnonzero(band) for band in mel_table(config)]
    starts = np.array([band[0] if len(band) else 0 for band in bins])
    return starts, np.array([band[-1] + 1 - band[0] if len(band) else 0 for band in bins])


def mel_sparse(magnitude: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """The same as `mel_dense`, bit for bit, over each band's non-zero span only.

    ``arm_dot_prod_q15`` adds up in 64 bits; >> 15 and saturation are those of ``arm_mat_vec_mult_q15``.
    """
    import cmsisdsp
    sums = [cmsisdsp.arm_dot_prod_q15(magnitude[start:start + length], band[start:start + length]) if length else 0
            for band, start, length in zip(mel_table(config), *book_mel_spans(config))]
    return np.clip(np.array(sums, dtype=np.int64) >> 15, -32768, 32767).astype(np.int16)


@functools.lru_cache
def log_thresholds() -> tuple[np.ndarray, np.ndarray]:
    """The log table as steps: the index (uint16) at which each value begins, and the value (int8)."""
    table = log_value(np.arange(32768))
    starts = np.flatnonzero(np.diff(table, prepend=table[0] - 1))
    return starts.astype(np.uint16), table[starts].astype(np.int8)


def compact_log(mel: np.ndarray) -> np.ndarray:
    """The same as `look_up_log` by a binary search among the thresholds; knows index 32767 too."""
    starts, values = log_thresholds()
    return values[np.searchsorted(starts, mel, side="right") - 1].astype(np.int16)


def compact_sizes(config: Config = BOOK) -> dict[str, int]:
    """Bytes of the tables when Mel is sparse, the log a list of thresholds and the Hann window one half.

    Explained in notebooks/04_mfcc_fixed_point.ipynb.
    """
    weights = 2 * int(book_mel_spans(config)[1].sum())
    return {"Hann window": 2 * (config.frame_length // 2 + 1), "Mel weights": weights + 4 * config.n_mels,
            "log": sum(part.nbytes for part in log_thresholds()), "DCT": dct_table(config).nbytes}


# --- errors -----------------------------------------------------------------------------------------------------------

def at_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    """int16 samples made louder or softer by `decibels`, rounded to int16 again and saturated."""
    scaled = np.round(np.asarray(samples) * 10 ** (decibels / 20))
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def level_errors(clips: np.ndarray, method, levels=LEVELS_DB, config: Config = CONFIG) -> np.ndarray:
    """Mean absolute difference between a fixed-point method and float MFCCs of the same audio, per level.

    Parameters
    ----------
    clips : int16 (n, samples)
    method : callable
        int16 (samples,) to MFCCs in natural log units: `mfcc`, or the project's through `mfcc_q15.from_q15`.
    levels : sequence of float
        In dB, 0 is the clip as it is.

    Returns
    -------
    float64 (levels, n_mfcc)
        Explained in notebooks/04_mfcc_fixed_point.ipynb.
    """
    def error(clip):
        return np.abs(method(clip) - mfcc.numpy_mfcc(clip, config)).mean(axis=0)
    return np.array([np.mean([error(at_level(clip, level)) for clip in clips], axis=0) for level in levels])
