"""The project's MFCC front end: integers only, the same bits in Python and on the Pico.

Every stage is a small function; `q15_stages` and `mfcc_windows` chain them. The window, the FFT and the magnitude are
CMSIS-DSP's own functions (PyPI `cmsisdsp`). The rest is written here once in Python and once in C99
(`firmware/genre_recognizer/src/mfcc_q15.c`); tests compare the two bit for bit.

==============  ==========================  ===============================================================
stage           number format               what happens
==============  ==========================  ===============================================================
samples         int16, Q0.15                2048 samples, every 1024
block scaling   int16, Q0.15, and a shift   shifted left until the largest one uses all 16 bits
Hann window     int16, Q0.15                ``arm_mult_q15``
FFT             int16, Q11.4                ``arm_rfft_q15``: scaled down by 2048
block scaling   int16, and a second shift   the spectrum again, so that quiet bins keep their bits in the next step
magnitude       int16                       ``arm_cmplx_mag_q15``: half of |FFT| (CMSIS calls the format 2.14)
Mel sums        uint32                      exact sum of magnitude times Q0.8 weight over each filter's span
log2            int16, Q6.9                 of sum and floor; both shifts are taken back here
DCT             int32, Q9.22                weights in Q2.13
level removal   int32, Q9.22                c0 becomes its change from frame to frame
mean removal    int32, Q9.22                of c1 and up, a share of the window's mean is taken off: the *raw* MFCCs
model input     int8                        per-coefficient mean, deviation and the model's scale in one step
==============  ==========================  ===============================================================

Notebooks: 00, 04, 05, 06, 07, 08.
"""

import functools
from dataclasses import dataclass

import numpy as np

from ..config import CONFIG, Config
from . import mfcc

MEL_FRACTION_BITS = 8
LOG_SEGMENTS = 64
ROOT_FRACTION_BITS = 11
RAW_ONE = 1 << 22  # an MFCC of 1.0 with the default fraction bits
MEAN_SHIFT = 20  # fraction bits of the share of a frame in the mean that is taken off
FEATURE_SHIFT = 40  # of the multiplier that turns a raw MFCC into int8


@functools.lru_cache
def hann_q15(config: Config = CONFIG) -> np.ndarray:
    """Periodic Hann window, rounded to int16 Q0.15 (1.0 becomes 32767), shape (frame_length,)."""
    return np.clip(np.round(mfcc.hann_window(config) * 32768), -32768, 32767).astype(np.int16)


@functools.lru_cache
def mel_weights(config: Config = CONFIG) -> np.ndarray:
    """Mel filter bank, uint8 Q0.8 (1.0 becomes 255), shape (n_bins, n_mels); mostly zeros.

    Eight bits are enough: a weight is wrong by at most 0.2 % of the peak, and the sums fit 32 bits.
    """
    scaled = np.round(mfcc.mel_matrix(config) * (1 << MEL_FRACTION_BITS))
    return np.minimum(scaled, 255).astype(np.uint8)


def mel_segments(config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray] | None:
    """Mel weights for one product a bin: between two centres, the two weights of a bin add up to 256.

    Returns
    -------
    tuple or None (the weights are no such pairs)
        uint8 (bins used,): weight for the band whose centre comes next; uint8 (n_mels + 2, 2): bins up to each centre,
        and what the weights of the last lack of 256, then zeros.
    """
    weights = np.pad(mel_weights(config).astype(int), ((0, 0), (1, 1)))
    first, end = bin_range(config)
    starts = [first, *(start for start, _ in mel_spans(config)[1:]), int(weights[:, -2].argmax()) + 1, end]
    rises, segments, right = [], [], True
    for band, part in enumerate(weights[start:stop] for start, stop in zip(starts, starts[1:])):
        fall = part[:, band]
        rises.append(256 - fall if band == config.n_mels else part[:, band + 1])
        lack = 256 - rises[-1] - fall if band else 0 * fall
        right = right and 0 < len(fall) < 256 and part.sum() == part[:, band : band + 2].sum()
        right = right and not lack[:-1].any() and 0 <= lack[-1] < 256 > rises[-1].max()
        segments.append((len(fall), lack[-1:].sum()))
    return (np.concatenate(rises).astype(np.uint8), np.array([*segments, (0, 0)], np.uint8)) if right else None


@functools.lru_cache
def mel_spans(config: Config = CONFIG) -> list[tuple[int, int]]:
    """First bin and one past the last bin of each filter's non-zero weights; ValueError when a filter has no bin."""
    weights = mel_weights(config)
    spans = []
    for band in range(config.n_mels):
        bins = np.flatnonzero(weights[:, band])
        if not len(bins):
            raise ValueError(f"Mel band {band} of {config.n_mels} holds no bin of the {config.fft_length}-point FFT: "
                             "use fewer bands, a higher lower_hz or a longer FFT")
        spans.append((int(bins[0]), int(bins[-1]) + 1))
    return spans


def bin_range(config: Config = CONFIG) -> tuple[int, int]:
    """First bin and one past the last bin that any Mel filter takes; the others are not computed."""
    spans = mel_spans(config)
    return min(start for start, _ in spans), max(stop for _, stop in spans)


def mel_sum_bound(config: Config = CONFIG) -> float:
    """Upper bound of every Mel sum, floor included, of a spectrum before its block scaling.

    By Cauchy-Schwarz it is the norm of the magnitudes times the norm of a filter's weights. By Parseval the norm of the
    magnitudes is at most ``32768 sqrt(sum(hann**2) / 2 / fft_length) / 2``, plus 8 steps of rounding in each bin.
    """
    hann = mfcc.hann_window(config)
    norm = 32768 * np.sqrt(np.sum(hann**2) / 2 / config.fft_length) / 2 + 8 * np.sqrt(config.n_bins)
    return float(np.linalg.norm(mel_weights(config).astype(float), axis=0).max() * norm + (1 << config.log_floor_bits))


@functools.lru_cache
def largest_spectrum_shift(config: Config = CONFIG) -> int:
    """Bits by which a spectrum may be shifted left so that every Mel sum stays below 2**32; ValueError if not even 0."""
    shift = int(np.floor(np.log2(2**32 / mel_sum_bound(config))))
    if shift < 0:
        raise ValueError("a Mel sum could need more than 32 bits: use more bands or a shorter FFT")
    return shift


@functools.lru_cache
def log2_table() -> np.ndarray:
    """log2(1 + i/64) in Q0.15 for i = 0..64: uint16, 130 bytes (the book's log table takes 64 KB)."""
    return np.round(np.log2(1 + np.arange(LOG_SEGMENTS + 1) / LOG_SEGMENTS) * 32768).astype(np.uint16)


@functools.lru_cache
def dct_weights(config: Config = CONFIG) -> np.ndarray:
    """DCT-II (`mfcc.dct_matrix`), int16 Q2.13, shape (n_mfcc, n_mels); the right half mirrors the left one."""
    half = (config.n_mels + 1) // 2
    left = np.round(mfcc.dct_matrix(config)[:, :half] * (1 << config.dct_fraction_bits)).astype(np.int16)
    right = left[:, : config.n_mels // 2][:, ::-1].copy()
    right[1::2] *= -1
    return np.concatenate([left, right], axis=1)


@functools.lru_cache
def root_tables() -> tuple[np.ndarray, np.ndarray]:
    """Tables of the square root in mfcc_q15.c, which equals CMSIS-DSP's.

    Returns
    -------
    roots : uint16 (1025,)
        sqrt(i) in Q5.11 for i = 0..1024.
    low_squares : uint32 (256,)
        A bit for each r below 8192: 1 where CMSIS-DSP's root of 2 r^2 is r - 1.
    """
    import cmsisdsp
    roots = np.minimum(np.floor(np.sqrt(np.arange(1025)) * (1 << ROOT_FRACTION_BITS)), 65535).astype(np.uint16)
    low = np.array([cmsisdsp.arm_sqrt_q31(2 * r * r)[1] >> 16 != r for r in range(8192)])
    return roots, np.packbits(low, bitorder="little").view("<u4")


@functools.lru_cache
def split_table(config: Config = CONFIG) -> np.ndarray:
    """Coefficients that turn a complex FFT of half the length into a real one, for k = 0..fft_length / 4: uint32.

    Lower half-word (1 - sin) / 2, upper half-word -cos / 2. Both are Q0.15, rounded as CMSIS-DSP's realCoefAQ15.
    """
    angle = 2 * np.pi * np.arange(config.fft_length // 4 + 1) / config.fft_length
    c, s = (np.round(values * 32768).astype(np.int64) for values in ((1 - np.sin(angle)) / 2, -np.cos(angle) / 2))
    return (c | (s & 0xFFFF) << 16).astype(np.uint32)


def table_sizes(config: Config = CONFIG) -> dict[str, int]:
    """Bytes of each table of the front end on the Pico, without CMSIS-DSP's FFT tables."""
    spans = mel_spans(config)
    return {
        "Hann window": 2 * (config.frame_length // 2 + 1),  # symmetric: half of it is enough
        "FFT split": split_table(config).nbytes,
        "square root": sum(table.nbytes for table in root_tables()),
        "Mel weights": sum(stop - start for start, stop in spans),
        "Mel spans": 4 * len(spans),
        "log2": 2 * (LOG_SEGMENTS + 1),
        "DCT": 2 * config.n_mfcc * ((config.n_mels + 1) // 2),  # half of it, too
        "feature step": 8 * config.n_mfcc,
    }


def headroom(values: np.ndarray) -> int:
    """Bits by which int16 values can be shifted left with the largest one still in 16 bits: 0 to 15."""
    return 15 - int(np.max(values ^ (values >> 15))).bit_length()  # ~x for negative x: needs as many bits


def block_scale(frame: np.ndarray) -> tuple[np.ndarray, int]:
    """Shift a frame (int16) left until its largest sample needs all 16 bits; none saturates.

    Returns the scaled frame and the shift in bits: 0 to 15, and 15 for a frame of zeros.
    """
    import cmsisdsp
    shift = headroom(frame)
    return cmsisdsp.arm_shift_q15(frame, shift), shift


@functools.lru_cache
def fft_instance(fft_length: int):
    """CMSIS-DSP's instance of the real q15 FFT, made once for each length."""
    import cmsisdsp
    instance = cmsisdsp.arm_rfft_instance_q15()
    if cmsisdsp.arm_rfft_init_q15(instance, fft_length, 0, 1) != 0:
        raise ValueError(f"CMSIS-DSP has no q15 FFT of {fft_length} points: use a power of two from 32 to 8192")
    return instance


def spectrum_q15(frame: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """Hann window and FFT of a scaled frame (int16 Q0.15) by CMSIS-DSP.

    Returns int16, shape (2 * n_bins,): real and imaginary part of each bin in turn, divided by fft_length.
    """
    import cmsisdsp
    windowed = np.zeros(config.fft_length, np.int16)
    windowed[: config.frame_length] = cmsisdsp.arm_mult_q15(frame, hann_q15(config))
    return cmsisdsp.arm_rfft_q15(fft_instance(config.fft_length), windowed)[: 2 * config.n_bins]


def magnitude_q15(spectrum: np.ndarray, config: Config = CONFIG) -> tuple[np.ndarray, int]:
    """Block scaling of a spectrum, then its magnitudes by CMSIS-DSP.

    Without the shift, the magnitude of a quiet bin would be 0, 1 or 2, and its logarithm would jump.

    Parameters
    ----------
    spectrum : int16, shape (2 * n_bins,)

    Returns
    -------
    magnitudes : int16, shape (n_bins,)
        Half of the spectrum's, after the shift; 0 for bins that no Mel filter takes.
    shift : int
        0 to `largest_spectrum_shift` bits.
    """
    import cmsisdsp
    start, stop = bin_range(config)
    used = spectrum[2 * start : 2 * stop]
    shift = min(headroom(used), largest_spectrum_shift(config))
    magnitudes = np.zeros(config.n_bins, np.int16)
    magnitudes[start:stop] = cmsisdsp.arm_cmplx_mag_q15(cmsisdsp.arm_shift_q15(used, shift))
    return magnitudes, shift


def mel_sums(magnitudes: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """Exact Mel sums of magnitudes, int16 (..., n_bins) to int64 (..., n_mels); each fits 32 bits.

    Computed in float64, which is exact for integers below 2**53.
    """
    return (magnitudes.astype(np.float64) @ mel_weights(config).astype(np.float64)).astype(np.int64)


def log2_q9(values: np.ndarray) -> np.ndarray:
    """512 log2(value), within one step: int64 from 1 to 2**32 - 1, any shape, to int32 Q6.9.

    The place of the leading bit is the integer part; the fraction is interpolated in a table.
    """
    values = np.asarray(values, np.int64)
    exponent = np.frexp(values.astype(np.float64))[1] - 1
    mantissa = values << (31 - exponent)  # leading bit at bit 31
    index = (mantissa >> 25) & (LOG_SEGMENTS - 1)
    fraction = (mantissa >> 9) & 0xFFFF
    table = log2_table().astype(np.int64)
    fine = table[index] + (((table[index + 1] - table[index]) * fraction) >> 16)
    return ((exponent << 9) + ((fine + 32) >> 6)).astype(np.int32)


def log_mel(sums: np.ndarray, frame_shifts, spectrum_shifts, config: Config = CONFIG) -> np.ndarray:
    """Logarithm of Mel sums, with both block scalings taken back.

    The floor 2**log_floor_bits is added to each sum. It is shifted like the spectrum: so it lies a fixed number of dB
    below the frame's loudest sample. Bands below it hold mostly noise of microphone and ADC, and the floor hides it.

    Parameters
    ----------
    sums : int64, shape (n_frames, n_mels)
    frame_shifts, spectrum_shifts : int, shape (n_frames,)
        Bits, from `block_scale` and `magnitude_q15`.

    Returns
    -------
    int32 Q6.9, shape (n_frames, n_mels)
    """
    frame_shifts, spectrum_shifts = (np.asarray(s, np.int64)[:, None] for s in (frame_shifts, spectrum_shifts))
    logs = log2_q9(sums + (1 << config.log_floor_bits + spectrum_shifts))
    return (logs - (frame_shifts + spectrum_shifts << config.log_fraction_bits)).astype(np.int32)


def dct(log_mels: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """MFCCs, the level still in c0: int32 Q9.22, shape (..., n_mfcc), exact sums of Q6.9 times Q2.13."""
    return (log_mels.astype(np.int64) @ dct_weights(config).T.astype(np.int64)).astype(np.int32)


def q15_stages(samples: np.ndarray, config: Config = CONFIG) -> dict[str, np.ndarray]:
    """Every stage of the MFCCs of int16 audio, one row a frame.

    Returns
    -------
    dict
        frame int16 (n_frames, frame_length), scaled; fft int16 (n_frames, 2 * n_bins); magnitude int16 (n_frames,
        n_bins); mel int64 and log_mel int32 (n_frames, n_mels); mfcc int32 (n_frames, n_mfcc); frame_shift and
        spectrum_shift int (n_frames,), in bits.

    Raises
    ------
    TypeError
        When the samples are not int16 (float audio must be scaled and rounded first).
    ValueError
        When there is less than one frame.
    """
    samples = np.asarray(samples)
    if samples.dtype != np.int16:
        raise TypeError(f"the q15 front end takes int16 samples, got {samples.dtype}: scale to 32767 and round first")
    rows = []
    for frame in mfcc.split_frames(samples, config):
        scaled, frame_shift = block_scale(frame)
        spectrum = spectrum_q15(scaled, config)
        rows.append((scaled, frame_shift, spectrum, *magnitude_q15(spectrum, config)))
    names = ("frame", "frame_shift", "fft", "magnitude", "spectrum_shift")
    stages = {name: np.stack(values) for name, values in zip(names, zip(*rows))}
    stages["mel"] = mel_sums(stages["magnitude"], config)
    stages["log_mel"] = log_mel(stages["mel"], stages["frame_shift"], stages["spectrum_shift"], config)
    return {**stages, "mfcc": dct(stages["log_mel"], config)}


def q15_mfcc(samples: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """MFCCs of int16 audio, with their level in c0: int32 Q9.22 (n_frames, n_mfcc). See `q15_stages`.

    Divided by 2**22 they are in units of log2; `from_q15` gives natural logs.
    """
    return q15_stages(samples, config)["mfcc"]


def from_q15(mfccs, config: Config = CONFIG) -> np.ndarray:
    """MFCCs of `q15_mfcc` in the unit of `mfcc.numpy_mfcc` (natural log), to compare the two: float64, same shape.

    A Mel sum here is 2**bits times the float one: 15 bits of q15, less log2(fft_length), less 1 for the halved
    magnitude, plus 8 bits of the weights. After the logarithm this is a constant, and it changes only c0.
    """
    logs = np.asarray(mfccs) / 2.0**(config.log_fraction_bits + config.dct_fraction_bits)
    bits = 15 - np.log2(config.fft_length) - 1 + MEL_FRACTION_BITS
    logs[..., 0] -= bits * mfcc.dct_matrix(config)[0].sum()
    return logs * np.log(2)


def remove_level(mfccs: np.ndarray) -> np.ndarray:
    """MFCCs, int32 (..., n_frames, n_mfcc): c0 replaced by its change since the frame before, 0 in the first frame.

    A change of volume adds a constant to every c0 and changes no other coefficient. The difference removes it.
    """
    raw = mfccs.copy()
    raw[..., 0] = np.diff(mfccs[..., 0], axis=-1, prepend=mfccs[..., :1, 0])
    return raw


def mean_multiplier(config: Config = CONFIG) -> int:
    """`mean_share` of a frame's part in the window's mean, with MEAN_SHIFT fraction bits."""
    return round(config.mean_share / config.n_frames * (1 << MEAN_SHIFT))


def remove_mean(mfccs: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """int32 (..., n_frames, n_mfcc) less `mean_share` of each coefficient's mean over the window; c0 stays as it is.

    Loudspeaker, microphone and room weigh the bands. That adds a constant to each coefficient, as a long note does, too:
    so only a share of the mean is taken off. The sum of the frames needs up to 35 bits, its product up to 53.
    """
    total = mfccs.sum(axis=-2, keepdims=True, dtype=np.int64)
    taken = (total * mean_multiplier(config) + (1 << MEAN_SHIFT - 1)) >> MEAN_SHIFT
    taken[..., 0] = 0
    return (mfccs - taken).astype(np.int32)


def window_features(mfccs: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """Raw MFCCs of windows from those of `q15_mfcc`: int32 (..., n_frames, n_mfcc), level and mean removed."""
    return remove_mean(remove_level(mfccs), config)


def mfcc_windows(clips: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """Raw MFCCs of windows: what the model is trained on. `windows.features_of` is faster.

    Parameters
    ----------
    clips : int16, shape (n, at least window_length)

    Returns
    -------
    int32 Q9.22, shape (n, n_frames, n_mfcc)
    """
    clips = np.asarray(clips)
    if clips.ndim != 2 or clips.shape[1] < config.window_length:
        raise ValueError(f"need clips of at least {config.window_length} samples, got shape {clips.shape}")
    if not len(clips):
        return np.zeros((0, config.n_frames, config.n_mfcc), np.int32)
    return window_features(np.stack([q15_mfcc(clip[: config.window_length], config) for clip in clips]), config)


@dataclass(frozen=True)
class FrontEnd:
    """What stands between raw MFCCs and the model's int8 input.

    Attributes
    ----------
    mean, std : tuple of float, length n_mfcc
        Of the training windows, in units of log2 (raw / 2**22).
    scale, zero_point : float, int
        Quantisation of the model's input, from its .tflite file.
    config : Config
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float
    zero_point: int
    config: Config = CONFIG


def normalise(raw: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Raw MFCCs to float32 with mean 0 and deviation 1: what the float model takes."""
    return ((raw / RAW_ONE - np.asarray(mean)) / np.asarray(std)).astype(np.float32)


def feature_step(front_end: FrontEnd) -> tuple[np.ndarray, np.ndarray]:
    """Integer form of ``(raw / 2**22 - mean) / std / scale``: offset and multiplier of each coefficient.

    Returns
    -------
    offset : int32, shape (n_mfcc,)
    multiplier : int32, shape (n_mfcc,)
        With FEATURE_SHIFT fraction bits.

    Raises
    ------
    ValueError
        When a coefficient hardly varies (its deviation is too small for 32 bits).
    """
    offset = np.round(np.asarray(front_end.mean) * RAW_ONE)
    multiplier = np.round(2.0**FEATURE_SHIFT / RAW_ONE / (np.asarray(front_end.std) * front_end.scale))
    if not (np.all(np.abs(offset) < 2**30) and np.all(multiplier < 2**31)):
        raise ValueError("a coefficient's mean is too large or its deviation too small for 32 bits: is the training "
                         "audio silent?")
    return offset.astype(np.int32), multiplier.astype(np.int32)


def quantize_features(raw: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Raw MFCCs, int32 Q9.22 (..., n_mfcc), to the model's int8 input, in integers, as the Pico does it."""
    offset, multiplier = (part.astype(np.int64) for part in feature_step(front_end))
    scaled = ((raw.astype(np.int64) - offset) * multiplier + (1 << (FEATURE_SHIFT - 1))) >> FEATURE_SHIFT
    return np.clip(scaled + front_end.zero_point, -128, 127).astype(np.int8)
