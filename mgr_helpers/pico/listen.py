"""Play audio to the emulated Pico and read its decisions.

Notebooks: 00, 08, 09.
"""

import re
from pathlib import Path

import numpy as np

from ..audio import reading
from ..audio.adc import ideal_counts
from ..config import CONFIG, Config
from ..model.recognizer import log_scores
from . import emulator
from .image import build_image

EXTRA_SECONDS = 0.9  # for the sketch's self-test before it listens, and its work after the last sample, at 12 MHz, too
_DECISION = re.compile(r"DECISION window=(\d+) time_ms=(\d+) label=(.+) vote=(.+) confidence=(\d+) says=(.+) "
                       r"scores=([-\d,]+)")


def parse_decisions(text: str) -> list[dict]:
    """The sketch's DECISION lines as dictionaries: window, time_ms, label, vote, confidence, says, scores."""
    return [{"window": int(window), "time_ms": int(time), "label": label, "vote": vote, "confidence": int(confidence),
             "says": says, "scores": [int(score) for score in scores.split(",")]}
            for window, time, label, vote, confidence, says, scores in _DECISION.findall(text)]


def overall(decisions: list[dict], config: Config = CONFIG) -> str:
    """The genre of a whole recording: the largest sum of `recognizer.log_scores` over the windows that aren't silence.

    "unsure" if the sketch never said a genre, "silence" if all is silence.
    """
    heard = [decision for decision in decisions if decision["label"] != "silence"]
    if all(decision["says"] in ("silence", "unsure") for decision in heard):
        return "unsure" if heard else "silence"
    scores = np.array([decision["scores"][: len(config.genres)] for decision in heard])
    return config.genres[int(log_scores(config)[scores + 128].sum(axis=0, dtype=int).argmax())]


def listen(audio: str | Path | np.ndarray, gain_db: float = -6.0, noise_lsb: float = 1.0, seconds: float | None = None,
           image: dict | None = None, config: Config = CONFIG) -> dict:
    """Let the emulated Pico hear a recording through its ADC.

    Parameters
    ----------
    audio : file name, or int16 array (n,) at config.sample_rate
    gain_db, noise_lsb
        See `adc.ideal_counts`.
    seconds : float, optional
        Listen to the first seconds only.
    image : dict, optional
        From `build_image`; when not given, the shipped sketch, built with the first compiler found.

    Returns
    -------
    dict
        See `listen_to_counts`.

    Raises
    ------
    ValueError
        When the file is missing, not audio, silent or shorter than a clip, or the array is shorter than a window.
    """
    if not isinstance(audio, np.ndarray):
        try:
            audio = reading.read_audio(Path(audio), config)
        except reading.UnusableFile as error:
            raise ValueError(f"{audio}: {error}") from error
    samples = audio if seconds is None else audio[: int(seconds * config.sample_rate)]
    if len(samples) < config.window_length:
        raise ValueError(f"the recording has {len(samples)} samples: a window needs {config.window_length}")
    return listen_to_counts(ideal_counts(samples, gain_db, noise_lsb, config=config), image, config)


def listen_to_counts(adc: np.ndarray, image: dict | None = None, config: Config = CONFIG, **options) -> dict:
    """Let the sketch on the emulated Pico hear ADC counts (uint16). `options` are those of `emulate`.

    Returns
    -------
    dict
        genre (of the whole recording), decisions (list of dicts, one for each whole window that was played), self_test
        (bool), overruns (lines of the sketch), and what `emulate` returns.
    """
    seconds = len(adc) / config.sample_rate + EXTRA_SECONDS
    result = emulator.emulate(image or build_image("genre_recognizer"), adc, seconds, **options)
    text = result["uart"].decode(errors="replace")
    due = max(0, len(adc) - config.window_length) // config.window_step + 1  # a later one heard more than was played
    decisions = [decision for decision in parse_decisions(text) if decision["window"] < due]
    return {"genre": overall(decisions, config), "decisions": decisions, "self_test": "TEST PASSED" in text,
            "overruns": [line for line in text.splitlines() if "OVERRUN" in line], **result}
