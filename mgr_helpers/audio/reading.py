"""Any sound file to mono int16 samples at the pipeline's rate, or the reason why it can't be used.

Notebooks: 02, 09.
"""

import array
import itertools
from pathlib import Path
from typing import Iterator

import av
import numpy as np
import soxr

from ..config import CONFIG, Config
from .decoding import UnusableFile, decode

KINDS = str.maketrans("sd", "if")  # FFmpeg's names of sample formats begin with u, s, f or d
LOUDEST = 100.0  # times full scale: larger numbers are no sound from -1 to 1


def read_audio(path: Path, config: Config = CONFIG) -> np.ndarray:
    """A sound file as mono int16 samples (n,) at the configuration's rate, read and resampled piece by piece.

    Any format of `dataset.SUFFIXES`, any rate from 4 to 384 kHz, any number of channels (averaged), any length. Full
    scale is 32768; samples beyond it are clipped. Memory stays near the size of the result (43 KB a second).

    Raises
    ------
    UnusableFile
        When the file is corrupt, cut short, empty, shorter than a clip, silent, or holds NaN, infinity or numbers
        far beyond full scale. Damage that the format can't show, such as one changed sample of a WAV, stays unnoticed.
    """
    samples, loudest = array.array("h"), 0.0  # it grows in place: the length that a file claims may be wrong
    try:
        for mono, swing in _resampled(Path(path), config.sample_rate):
            samples.frombytes(np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16).tobytes())
            loudest = max(loudest, swing * 32768 / 2)
    except PermissionError:
        raise UnusableFile("no permission to read it") from None
    except (av.FFmpegError, OSError) as error:
        raise UnusableFile(f"corrupt or not audio: {error.strerror}") from error
    check_samples(np.asarray(samples), config, loudest)
    return np.asarray(samples)


def _resampled(path: Path, target: int) -> Iterator[tuple[np.ndarray, float]]:
    """Yield each piece's mean of channels as float32 (n,) at the target's rate, and the largest swing of a channel."""
    for rate, frames in itertools.groupby(decode(path), lambda frame: frame.sample_rate):  # joined files may differ
        if not 4000 <= rate <= 384000:
            raise UnusableFile(f"sample rate {rate} Hz is outside 4 to 384 kHz")
        resampler = soxr.ResampleStream(rate, target, 1, dtype="float32")
        for block in map(_floats, frames):
            mono = block.mean(axis=1, dtype=np.float32)
            yield mono if rate == target else resampler.resample_chunk(mono), np.ptp(block, axis=0).max(initial=0)
        yield resampler.resample_chunk(mono[:0], last=True), 0.0


def _floats(frame: av.AudioFrame) -> np.ndarray:
    """A piece as float32 (n, channels); integers become exact fractions."""
    if frame.format.is_planar:  # PyAV's own to_ndarray reads beyond the planes of 8 channels or more
        kind = f"{frame.format.name[0].translate(KINDS)}{frame.format.bytes}"
        planes = itertools.islice(frame.planes, frame.layout.nb_channels)
        values = np.stack([np.frombuffer(plane, kind, frame.samples) for plane in planes], axis=1)
    else:
        values = frame.to_ndarray().reshape(frame.samples, -1)
    block = values.astype(np.float32)
    if values.dtype.kind in "iu":
        block = (block - 128 * (values.dtype.kind == "u")) / np.float32(2 ** (8 * values.itemsize - 1))
    highest = np.abs(block).max(initial=0)
    if not highest <= LOUDEST:
        raise UnusableFile(f"its samples reach {highest:.3g} times full scale: floating-point audio lies in -1 to 1"
                           if np.isfinite(highest) else "holds NaN or infinity")
    return block


def check_samples(samples: np.ndarray, config: Config, loudest: float = 0.0) -> None:
    """Raise UnusableFile where samples are no song: fewer than a clip's, or silent (while a channel isn't)."""
    if len(samples) < config.clip_length:
        seconds, needed = len(samples) * 100 // config.sample_rate / 100, config.clip_length / config.sample_rate
        raise UnusableFile(f"{seconds:.2f} s long, a clip needs {needed:.2f} s")
    if peak(samples) < config.silence_peak:
        raise UnusableFile("its channels cancel each other: their mean is silent" if loudest >= config.silence_peak
                           else f"silent: its peak is below {config.silence_peak} of 32768")


def peak(samples: np.ndarray) -> int:
    """Half the distance from the lowest to the highest sample, since a constant offset isn't sound."""
    return (int(samples.max()) - int(samples.min())) // 2
