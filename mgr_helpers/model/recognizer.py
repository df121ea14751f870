"""ADC counts to decisions in Python, as the firmware's `recognizer.c` does it.

Features come from cmsisdsp, scores from TensorFlow Lite Micro, unless the caller brings another engine. Nothing here
runs the firmware's own C, so that the two can be compared.

Notebooks: 00, 07, 08, 09.
"""

import functools
from collections.abc import Callable

import numpy as np

from ..audio.adc import adc_to_q15
from ..config import CONFIG, Config
from ..features import mfcc_q15
from ..features.windows import stream_windows
from . import runtimes
from .tflite import Model

VOTE_FRACTION_BITS = 11


def said(decisions: list[dict]) -> dict[str, float]:
    """What decisions (of `decisions` or `listen.listen`) say: windows (how many), genre, unsure, silence (shares)."""
    says = [row["says"] for row in decisions]
    unsure, silence = (says.count(word) / max(len(says), 1) for word in ("unsure", "silence"))
    return {"windows": len(says), "genre": 1 - unsure - silence if says else 0.0, "unsure": unsure, "silence": silence}


@functools.lru_cache
def log_scores(config: Config = CONFIG) -> np.ndarray:
    """log2(p + vote_floor) of the probability p = i / 256 that an int8 score i - 128 means: int16 Q4.11 (256,)."""
    return np.round(np.log2(np.arange(256) / 256 + config.vote_floor) * (1 << VOTE_FRACTION_BITS)).astype(np.int16)


@functools.lru_cache
def halves() -> np.ndarray:
    """2**(-i / 64) in Q0.15 for i = 0..63: uint16."""
    return np.round(2.0 ** (15 - np.arange(64) / 64)).astype(np.uint16)


def vote(scores: np.ndarray, silent: np.ndarray, config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """Running vote of the last `config.vote_windows` windows: softmax over the classes' mean logarithm of the scores.

    This is the product of the windows' probabilities, to the power of one over their number. Integers only.

    Parameters
    ----------
    scores : int8 array (n, n_classes)
        The first classes are the genres.
    silent : bool array (n,)
        A silent window has no vote.

    Returns
    -------
    winner : int array (n,)
        Index of the genre with the largest sum (the first one in a tie).
    confidence : int array (n,)
        Its share among all classes, in percent, rounded down; 0 where no window has a vote.
    """
    logs = np.where(silent[:, None], 0, log_scores(config)[scores.astype(np.int64) + 128]).astype(np.int64)
    firsts = [max(0, i + 1 - config.vote_windows) for i in range(len(logs))]
    sums = np.stack([logs[first : i + 1].sum(axis=0) for i, first in enumerate(firsts)])
    n = np.array([np.sum(~silent[first : i + 1]) for i, first in enumerate(firsts)])
    unit = np.maximum(n, 1)[:, None] << VOTE_FRACTION_BITS - 6
    below = (sums.max(axis=1, keepdims=True) - sums + unit // 2) // unit  # in 1/64 of a bit
    shares = halves().astype(np.int64)[below & 63] >> np.minimum(below >> 6, 62)
    winner = sums[:, : len(config.genres)].argmax(axis=1)
    return winner, np.where(n > 0, 100 * shares[np.arange(len(n)), winner] // shares.sum(axis=1), 0)


def decisions(adc: np.ndarray, model: Model, run: Callable[[Model, np.ndarray], np.ndarray] = runtimes.run_tflm,
              bits: int | None = None) -> list[dict]:
    """Decisions over a stream of ADC counts, unsigned integers (n,), by an int8 model.

    `run(model, features)` gives the scores; `pico.headers.run_reference` also works where TFLM is missing. With `bits`
    of 16, `adc` has the int16 samples of a digital microphone: see `adc.adc_to_q15`.

    Returns
    -------
    list of dict
        One a window: window (its number), label (class of this window alone), vote (genre of the last windows
        together), confidence (percent), scores (list of int8), silent, unsure (confidence below the model's threshold),
        and says, what the Pico tells its listener: "silence", "unsure" or the vote.
    """
    config = model.config
    windows = stream_windows(adc_to_q15(adc, config, bits), config)
    if not len(windows):
        return []
    scores = run(model, mfcc_q15.quantize_features(mfcc_q15.mfcc_windows(windows, config), model.front_end))
    silent = np.max(windows ^ (windows >> 15), axis=1) < 1 << config.silence_bits  # ~x for negative x, as in C
    winner, confidence = vote(scores, silent, config)
    rows = []
    for i, (label, own) in enumerate(zip(scores.argmax(axis=1), scores)):
        genre, unsure = config.genres[winner[i]], bool(confidence[i] < model.unsure_below)
        rows.append({"window": i, "label": model.labels[label], "vote": genre, "confidence": int(confidence[i]),
                     "scores": own.tolist(), "silent": bool(silent[i]), "unsure": unsure,
                     "says": "silence" if silent[i] else "unsure" if unsure else genre})
    return rows
