"""ADC counts to decisions in Python, as the firmware's `recognizer.c` does it.

Features come from cmsisdsp, scores from TensorFlow Lite Micro, unless the caller brings another engine. Nothing here
runs the firmware's own C, so that the two can be compared.

Notebooks: 00, 08.
"""

from collections.abc import Callable

import numpy as np

from ..audio.adc import adc_to_q15
from ..features import mfcc_q15
from ..features.windows import stream_windows
from . import runtimes
from .tflite import Model


def said(decisions: list[dict]) -> dict[str, float]:
    """What decisions (of `decisions` or `listen.listen`) say: windows (how many), genre, unsure, silence (shares)."""
    says = [row["says"] for row in decisions]
    unsure, silence = (says.count(word) / max(len(says), 1) for word in ("unsure", "silence"))
    return {"windows": len(says), "genre": 1 - unsure - silence if says else 0.0, "unsure": unsure, "silence": silence}


def vote(scores: np.ndarray, silent: np.ndarray, vote_windows: int) -> tuple[np.ndarray, np.ndarray]:
    """Running vote of the last `vote_windows` windows.

    Parameters
    ----------
    scores : int8 array (n, n_genres)
    silent : bool array (n,)
        A silent window has no vote.
    vote_windows : int

    Returns
    -------
    winner : int array (n,)
        Index of the genre with the largest sum of scores (the first one in a tie).
    confidence : int array (n,)
        Its share of all sums, in percent, rounded down.
    """
    weights = np.where(silent[:, None], 0, scores.astype(np.int64) + 128)
    sums = np.stack([weights[max(0, i + 1 - vote_windows) : i + 1].sum(axis=0) for i in range(len(weights))])
    winner, total = sums.argmax(axis=1), sums.sum(axis=1)
    return winner, 100 * sums.max(axis=1) // np.maximum(total, 1)


def decisions(adc: np.ndarray, model: Model,
              run: Callable[[Model, np.ndarray], np.ndarray] = runtimes.run_tflm) -> list[dict]:
    """Decisions over a stream of ADC counts, unsigned integers (n,), by an int8 model.

    `run(model, features)` gives the scores; `pico.headers.run_reference` also works where TFLM is missing.

    Returns
    -------
    list of dict
        One a window: window (its number), label (genre of this window alone), vote (genre of the last windows
        together), confidence (percent), scores (list of int8), silent, unsure (confidence below the model's threshold),
        and says, what the Pico tells its listener: "silence", "unsure" or the vote.
    """
    config = model.config
    windows = stream_windows(adc_to_q15(adc, config), config)
    if not len(windows):
        return []
    scores = run(model, mfcc_q15.quantize_features(mfcc_q15.mfcc_windows(windows, config), model.front_end))
    silent = np.max(windows ^ (windows >> 15), axis=1) < 1 << config.silence_bits  # ~x for negative x, as in C
    winner, confidence = vote(scores, silent, config.vote_windows)
    rows = []
    for i, (label, own) in enumerate(zip(scores.argmax(axis=1), scores)):
        genre, unsure = config.genres[winner[i]], bool(confidence[i] < model.unsure_below)
        rows.append({"window": i, "label": config.genres[label], "vote": genre, "confidence": int(confidence[i]),
                     "scores": own.tolist(), "silent": bool(silent[i]), "unsure": unsure,
                     "says": "silence" if silent[i] else "unsure" if unsure else genre})
    return rows
