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

(The book counts the sign bit and writes Q12.4 and Q13.3.) The recipe is the book's; this code is not. It is compared
with `mfcc_q15`, which the Pico runs. With `CONFIG` both have equally many coefficients. With `BOOK` the recipe
has the book's own number, to measure what it costs.

Notebooks: 04.
"""

import dataclasses
import functools

import numpy as np

from ..config import CONFIG, Config
from ..host.quiet import import_tf
from . import mfcc
from .mfcc_q15 import fft_instance

FRACTION_BITS = {"frame": 15, "windowed": 15, "fft": 4, "magnitude": 3, "mel": 3, "log_mel": 3, "mfcc": 3}
BOOK = dataclasses.replace(CONFIG, n_mfcc=18)  # the book's number of coefficients
LOG_STEPS = 8  # steps of 1 at the log table's input and output: three fraction bits


def truncate_to_q15(values) -> np.ndarray:
    """``arm_float_to_q15``: times 32768, cut towards zero, saturated at 32767. Gives int16 of the same shape."""
    import cmsisdsp
    values = np.ascontiguousarray(values, dtype=np.float32)
    return cmsisdsp.arm_float_to_q15(values.ravel()).astype(np.int16).reshape(values.shape)


def log_value(index) -> np.ndarray:
    """What the log table holds at `index` (0 to 32767, Q12.3): 8 ln(index / 8 + 1e-6), cut towards zero; int16."""
    return np.trunc(LOG_STEPS * np.log(np.asarray(index) / LOG_STEPS + mfcc.LOG_FLOOR)).astype(np.int16)


@functools.lru_cache
def book_tables(config: Config = CONFIG) -> dict[str, np.ndarray]:
    """The book's four tables; its Hann window and its Mel weights are TensorFlow's.

    Returns
    -------
    dict of int16 arrays
        "Hann window" Q0.15 (frame_length,); "Mel weights" Q0.15 (n_mels, n_bins), 95 % of them zeros; "log" Q12.3
        (32767,), without an entry for index 32767, a saturated Mel sum; "DCT" Q0.15 (n_mfcc, n_mels).
    """
    signal = import_tf().signal
    weights = signal.linear_to_mel_weight_matrix(config.n_mels, config.n_bins, config.sample_rate, config.lower_hz,
                                                 config.upper_hz).numpy()
    return {"Hann window": truncate_to_q15(signal.hann_window(config.frame_length)),
            "Mel weights": np.ascontiguousarray(truncate_to_q15(weights).T),
            "log": log_value(np.arange(32767)), "DCT": truncate_to_q15(mfcc.dct_matrix(config))}


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

    The two ends are as in the book: the first is the real part of bin 0, the last its imaginary part. (Old versions of
    CMSIS-DSP put the real part at half the sample rate there.) No Mel band takes either.
    """
    import cmsisdsp
    inner = cmsisdsp.arm_cmplx_mag_q15(spectrum[2:-2])
    return np.concatenate((spectrum[:1], inner, spectrum[1:2])).astype(np.int16)


def mel_dense(magnitude: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """Mel spectrum as in the book, every weight multiplied: int16 (n_bins,) to int16 (n_mels,)."""
    import cmsisdsp
    return cmsisdsp.arm_mat_vec_mult_q15(book_tables(config)["Mel weights"], magnitude)


def look_up_log(mel: np.ndarray) -> np.ndarray:
    """Log by the table; int16 (...) to int16 (...).

    Raises
    ------
    ValueError
        For a Mel sum outside of the table, where the book's C would read whatever lies behind it.
    """
    mel, table = np.asarray(mel), book_tables()["log"]
    if mel.size and (mel.min() < 0 or mel.max() >= len(table)):
        raise ValueError("a Mel sum saturated at 32767 (or is negative): the book's log table has no entry for it")
    return table[mel]


def frame_stages(frame: np.ndarray, config: Config = CONFIG) -> dict[str, np.ndarray]:
    """Every stage of one frame (int16 Q0.15).

    Returns
    -------
    dict
        int16 arrays by the names in `FRACTION_BITS`; divide by 2**FRACTION_BITS[name] for real values. The fft's are
        real and imaginary parts in turn.

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
    tables = book_tables(config)
    windowed = cmsisdsp.arm_mult_q15(frame, tables["Hann window"])
    spectrum = rfft_q15(windowed)
    magnitude = book_magnitude(spectrum)
    mel = mel_dense(magnitude, config)
    log_mel = look_up_log(mel)
    mfccs = cmsisdsp.arm_mat_vec_mult_q15(tables["DCT"], log_mel)
    return dict(zip(FRACTION_BITS, (frame, windowed, spectrum, magnitude, mel, log_mel, mfccs)))


def book_mfcc(samples: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """MFCCs of int16 audio by the book's q15 recipe.

    Returns
    -------
    float32 (frames, n_mfcc)
        In natural log units, in steps of 1/8: what the book's model is trained on.
    """
    frames = mfcc.split_frames(samples, config)
    return np.stack([frame_stages(frame, config)["mfcc"] for frame in frames]).astype(np.float32) / LOG_STEPS
