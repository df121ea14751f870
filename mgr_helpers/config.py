"""Every constant of the pipeline, and where files live.

Python reads these numbers here; the C headers of the firmware are generated from them (`c_headers`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Numbers of the pipeline, from audio to genre.

    Frequencies are in Hz, lengths in samples. The defaults are those of the TinyML Cookbook 2e, chapters 5 and 6,
    where the book has one; see each notebook for what they do.
    """

    genres: tuple[str, ...] = ("disco", "jazz", "metal")
    # audio (notebook 02)
    sample_rate: int = 22050
    clip_length: int = 22050
    # MFCC (notebooks 03 and 04)
    frame_length: int = 2048
    frame_step: int = 1024
    fft_length: int = 2048
    lower_hz: float = 20.0
    upper_hz: float = 11025.0
    n_mels: int = 40
    n_mfcc: int = 40  # as many as bands; the book keeps 18
    n_frames: int = 20
    # the q15 front end (notebook 04)
    log_floor_bits: int = 14  # log2 of what is added to each Mel sum, far below the largest (mel_sum_bound)
    log_fraction_bits: int = 9  # log2 of a Mel sum is Q6.9
    dct_fraction_bits: int = 13  # DCT matrix is Q2.13, so a raw MFCC is Q.22 in 32 bits
    # the Pico (notebook 08)
    adc_bits: int = 12
    bias_shift: int = 4  # the tracked bias moves by 1/16 of its error at each frame step
    vote_windows: int = 10
    silence_bits: int = 8  # a window whose q15 samples all fit 8 bits and a sign (16 ADC steps) is silence

    def __post_init__(self) -> None:
        needed = self.frame_length + (self.n_frames - 1) * self.frame_step
        if needed > self.clip_length:
            raise ValueError(f"{self.n_frames} frames need {needed} samples, a clip has {self.clip_length}: "
                             "lower n_frames or frame_step, or raise clip_length")
        if self.frame_length > self.fft_length:
            raise ValueError(f"frame_length {self.frame_length} must not exceed fft_length {self.fft_length}")
        if not 0 <= self.lower_hz < self.upper_hz <= self.sample_rate / 2:
            raise ValueError(f"need 0 <= lower_hz < upper_hz <= {self.sample_rate / 2} (half the sample rate), "
                             f"got {self.lower_hz} and {self.upper_hz}")
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc {self.n_mfcc} must not exceed n_mels {self.n_mels}")

    @property
    def n_bins(self) -> int:
        """Bins of the spectrum from 0 Hz to half the sample rate: fft_length / 2 + 1."""
        return self.fft_length // 2 + 1

    @property
    def window_step(self) -> int:
        """Samples from one window of `n_frames` frames to the next, when the Pico listens without a gap."""
        return self.n_frames * self.frame_step

    @property
    def window_length(self) -> int:
        """Samples that one window of `n_frames` frames covers."""
        return self.frame_length + (self.n_frames - 1) * self.frame_step

    @property
    def silence_peak(self) -> int:
        """Audio whose largest |sample| stays below this is silence."""
        return 1 << self.silence_bits

    def to_dict(self) -> dict:
        """Plain dictionary, for JSON."""
        return {**dataclasses.asdict(self), "genres": list(self.genres)}

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        """The configuration that `to_dict` gave; a field it doesn't know is an error."""
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"unknown configuration fields {sorted(unknown)}: made by a newer version?")
        return cls(**{**values, "genres": tuple(values["genres"])})

    def fingerprint(self) -> str:
        """Twelve hex digits that change with any field: part of a cache's key."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


CONFIG = Config()

REPO_URL = "https://github.com/music-genre-pico/music-genre-pico"  # the notebooks repeat it; a test compares them

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
DATA = ROOT / "data"
PRETRAINED = DATA / "pretrained"


def work_dir() -> Path:
    """Folder where one notebook leaves what the next one reads.

    `data/work/`, or what the environment variable MGR_WORK names (relative to the project). Made when missing.
    """
    return _made(ROOT / os.environ.get("MGR_WORK", "data/work"), "MGR_WORK")


def build_dir() -> Path:
    """Folder for what is built or fetched (`build/`, or MGR_BUILD). Made when missing."""
    return _made(ROOT / os.environ.get("MGR_BUILD", "build"), "MGR_BUILD")


def _made(folder: Path, variable: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # read-only, no permission, or a file of that name
        raise OSError(f"the folder {folder.name}/ can't be made ({error.strerror}): set the environment variable "
                      f"{variable} to a folder that you may write to") from error
    return folder


def artifact(name: str) -> Path:
    """Newest of what an earlier notebook wrote, else what ships pretrained.

    Parameters
    ----------
    name : str
        File name, the same in the work folder and in `data/pretrained/`.

    Raises
    ------
    FileNotFoundError
        When neither has it; the message says which notebook writes it.
    """
    for folder in (work_dir(), PRETRAINED):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} is neither in {work_dir().name}/ nor in data/pretrained/: "
                            "run the notebooks before this one, or `make pretrained DATA=<folder>`")
