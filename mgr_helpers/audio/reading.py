"""Any sound file to mono int16 samples at the pipeline's rate, or the reason why it can't be used.

Notebooks: 02.
"""

from __future__ import annotations

import array
import re
import zlib
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..config import CONFIG, Config

SHORTFALL = 0.1  # seconds that may be missing at the end: MP3 pads, and some writers claim a byte too many
STREAMED = 2**31 - 2**16  # a WAV or AU that claims as many bytes or more was written before its length was known
CLAIM = re.compile(r"^\s*(?:RIFF|data|Riff size|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
LOUDEST = 100.0  # times full scale: larger numbers are no sound from -1 to 1
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class UnusableFile(ValueError):
    """A file that can't become a song; the text is the reason."""


def read_audio(path: Path, config: Config = CONFIG) -> np.ndarray:
    """A sound file as mono int16 samples (n,) at the configuration's rate, read and resampled block by block.

    WAV, FLAC, AU, MP3 or OGG; any rate from 4 to 384 kHz, any number of channels (averaged), any length. Full scale is
    32768; samples beyond it are clipped. Memory stays near the size of the result (43 KB a second).

    Raises
    ------
    UnusableFile
        When the file is corrupt, cut short, empty, shorter than a clip, silent, or holds NaN, infinity or numbers
        far beyond full scale. Damage that the format can't show, such as one changed sample of a WAV, stays unnoticed.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise UnusableFile("is a folder, not a sound file" if path.is_dir() else "missing, or not a regular file")
        if path.stat().st_size == 0:
            raise UnusableFile("empty file")
        with soundfile.SoundFile(path) as file:
            samples = _read_blocks(file, config.sample_rate)
            ogg = file.format == "OGG"
        if ogg:
            _check_pages(path)
    except PermissionError:
        raise UnusableFile("no permission to read it") from None
    except UnicodeEncodeError:
        raise UnusableFile("its name is not valid Unicode: rename it") from None
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise UnusableFile(f"corrupt or not audio: {str(error).split(': ')[-1]}") from error
    check_samples(samples, config)
    return samples


def _read_blocks(file: soundfile.SoundFile, rate: int) -> np.ndarray:
    if not 4000 <= file.samplerate <= 384000:
        raise UnusableFile(f"sample rate {file.samplerate} Hz is outside 4 to 384 kHz")
    resampler = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32")
    samples = array.array("h")  # grows in place: the length that a file claims may be wrong
    block, decoded = np.zeros(1), 0
    while len(block):
        block = file.read(2 ** 18 // file.channels, dtype="float32", always_2d=True)
        decoded += len(block)
        _check_numbers(block)
        mono = block.mean(axis=1, dtype=np.float32)
        if file.samplerate != rate:
            mono = resampler.resample_chunk(mono, last=not len(block))
        samples.frombytes(np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16).tobytes())
    _check_length(file, decoded)
    return np.frombuffer(samples, np.int16) if samples else np.zeros(0, np.int16)


def _check_numbers(block: np.ndarray) -> None:
    peak = np.abs(block).max(initial=0)
    if not np.isfinite(peak):
        raise UnusableFile("holds NaN or infinity")
    if peak > LOUDEST:
        raise UnusableFile(f"its samples reach {peak:.3g} times full scale: floating-point audio lies in -1 to 1")


def _check_length(file: soundfile.SoundFile, decoded: int) -> None:
    """Raise where fewer frames were decoded than the file's header promises."""
    promised = file.frames
    for claimed, there in CLAIM.findall(file.extra_info):  # libsndfile corrects `frames`; its log has the claim
        if int(claimed) < STREAMED:
            promised = max(promised, round(decoded * int(claimed) / max(1, int(there))))
    if promised - decoded > SHORTFALL * file.samplerate:
        raise UnusableFile(f"cut short or damaged: {decoded / file.samplerate:.2f} of "
                           f"{promised / file.samplerate:.2f} s can be read")


def _check_pages(path: Path) -> None:
    """Raise where a page of an Ogg file (RFC 3533) is damaged or cut. Decoders skip such a page without an error."""
    with open(path, "rb") as file:
        while head := file.read(27):
            start, table = file.tell() - len(head), file.read(head[26]) if len(head) == 27 else b""
            body = file.read(sum(table))
            page = head[:22] + bytes(4) + head[26:] + table + body
            whole = head[:4] == b"OggS" and len(head) == 27 and len(table) == head[26] and len(body) == sum(table)
            if not whole or _ogg_crc(page) != int.from_bytes(head[22:26], "little"):
                raise UnusableFile(f"damaged: the Ogg page at byte {start} is broken or cut short")
            if head[5] & 4 and file.read(4) != b"OggS":  # end of the stream: what follows isn't Ogg
                return
            file.seek(start + len(page))


def _ogg_crc(page: bytes) -> int:
    """Ogg's CRC-32: zlib's with reversed bits, and without zlib's inversion at start and end."""
    crc = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)


def check_samples(samples: np.ndarray, config: Config) -> None:
    """Raise UnusableFile where samples are no song: none at all, shorter than a clip, or silent."""
    if not len(samples):
        raise UnusableFile("holds no samples")
    if len(samples) < config.clip_length:
        seconds, needed = len(samples) / config.sample_rate, config.clip_length / config.sample_rate
        raise UnusableFile(f"{seconds:.2f} s long, a clip needs {needed:.2f} s")
    if peak(samples) < config.silence_peak:
        raise UnusableFile(f"silent: its peak is below {config.silence_peak} of 32768")


def peak(samples: np.ndarray) -> int:
    """Half the distance from the lowest to the highest sample, since a constant offset isn't sound."""
    return (int(samples.max()) - int(samples.min())) // 2
