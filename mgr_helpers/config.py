"""Every constant of the pipeline, and where files live.

Python reads these numbers here. The C headers of the firmware are generated from them (`pico.headers`).
"""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Numbers of the pipeline, from audio to genre.

    Frequencies are in Hz, lengths in samples. Defaults are those of the TinyML Cookbook 2e, chapters 5 and 6. A comment
    says where one differs. Numbers that the book does not have are ours. Each group names a notebook that explains it.

    Raises
    ------
    ValueError
        When the numbers contradict each other: the message names the fields.
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
    n_mfcc: int = 40  # one for each Mel band; the book keeps 18
    n_frames: int = 20
    # the q15 front end (notebook 04)
    log_floor_bits: int = 14  # 2**14 is added to each Mel sum before its logarithm; the largest sums are far above it
    log_fraction_bits: int = 9  # the logarithm of a Mel sum is in the format Q6.9
    dct_fraction_bits: int = 13  # the DCT matrix is in Q2.13, so a raw MFCC is in Q9.22 (32 bits)
    mean_share: float = 0.75  # so much of each MFCC's mean over the window is taken off: what a room or microphone adds
    # the Pico (notebook 08)
    adc_bits: int = 12
    bias_shift: int = 4  # at each frame step the tracked bias moves by 1/2**4 of its error
    vote_windows: int = 10
    vote_floor: float = 1e-3  # added to each probability before its logarithm, so that no window has a veto
    silence_bits: int = 8  # silence: every q15 sample of the window is below 2**8, which is 16 ADC steps

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
        if not 0 <= self.mean_share <= 1:
            raise ValueError(f"mean_share {self.mean_share} must lie between 0 and 1")
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc {self.n_mfcc} must not exceed n_mels {self.n_mels}")

    @property
    def n_bins(self) -> int:
        """Bins of the spectrum from 0 Hz to half the sample rate: fft_length / 2 + 1."""
        return self.fft_length // 2 + 1

    @property
    def window_step(self) -> int:
        """Samples from the start of one window to the start of the next, as the Pico hears them."""
        return self.n_frames * self.frame_step

    @property
    def window_length(self) -> int:
        """Samples that one window of `n_frames` frames covers."""
        return self.frame_length + (self.n_frames - 1) * self.frame_step

    @property
    def silence_peak(self) -> int:
        """Audio is silence when every |sample| is below this number (int16)."""
        return 1 << self.silence_bits

    def to_dict(self) -> dict:
        """The fields as a dictionary that JSON can hold."""
        return {**dataclasses.asdict(self), "genres": list(self.genres)}

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        """The configuration from what `to_dict` returned; raises ValueError for an unknown or a missing field."""
        differing = set(values) ^ {field.name for field in dataclasses.fields(cls)}
        if differing:
            raise ValueError(f"configuration fields {sorted(differing)} are unknown or missing: made by another version")
        return cls(**{**values, "genres": tuple(values["genres"])})


CONFIG = Config()

# the notebooks repeat this address, and a test compares them
REPO_URL = "https://github.com/music-genre-pico/music-genre-pico"

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
DATA = ROOT / "data"
PRETRAINED = DATA / "pretrained"


def work_dir() -> Path:
    """Folder for what the notebooks write: `data/work/`, or the environment variable MGR_WORK. It is made when missing."""
    return _made(ROOT / os.path.expanduser(os.environ.get("MGR_WORK") or "data/work"), "MGR_WORK")


def build_dir() -> Path:
    """Folder for what is built or fetched: `build/`, or the environment variable MGR_BUILD. It is made when missing."""
    return _made(ROOT / os.path.expanduser(os.environ.get("MGR_BUILD") or "build"), "MGR_BUILD")


def _made(folder: Path, variable: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a read-only disk, no permission, or a file of that name
        raise OSError(f"the folder {folder.name}/ can't be made ({error.strerror}): set the environment variable "
                      f"{variable} to a folder that you may write to") from error
    return folder


def artifact(name: str) -> Path:
    """Path of the file of this name that an earlier notebook wrote, else of the one that ships; FileNotFoundError."""
    for folder in (work_dir(), PRETRAINED):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} is neither in {work_dir().name}/ nor in data/pretrained/: "
                            "run the notebooks before this one, or `make pretrained DATA=<folder>`")
