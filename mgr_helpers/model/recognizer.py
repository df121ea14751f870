"""What the Pico makes of a stream, computed in Python: ADC counts to decisions, as `recognizer.c` does it.

Features come from cmsisdsp, scores from TensorFlow Lite Micro; nothing here runs the firmware's own C, so that the two
can be compared. Explained in notebooks/08_deploy_to_pico.ipynb.
"""

from __future__ import annotations

import numpy as np

from ..audio.adc import adc_to_q15
from ..features import mfcc_q15
from ..features.windows import stream_windows
from . import runtimes
from .tflite import Model


def said(decisions: list[dict]) -> dict[str, float]:
    """Number of decisions (from `recognizer.decisions` or `listen.listen`), and the share that said what."""
    says = [row["says"] for row in decisions]
    unsure, silence = (says.count(word) / max(len(says), 1) for word in ("unsure", "silence"))
    return {"windows": len(says), "genre": 1 - unsure - silence if says else 0.0, "unsure": unsure, "silence": silence}


def vote(scores: np.ndarray, silent: np.ndarray, vote_windows: int) -> tuple[np.ndarray, np.ndarray]:
    """Running vote over the last windows.

    Parameters
    ----------
    scores : int8, shape (n, n_genres)
    silent : bool, shape (n,)
        A silent window has no vote.
    vote_windows : int
        How many windows vote together.

    Returns
    -------
    winner : int, shape (n,)
        Index of the genre with the largest sum of scores (the first one in a tie).
    confidence : int, shape (n,)
        Its share of all sums, in percent, rounded down.
    """
    weights = np.where(silent[:, None], 0, scores.astype(np.int64) + 128)
    sums = np.stack([weights[max(0, i + 1 - vote_windows) : i + 1].sum(axis=0) for i in range(len(weights))])
    winner, total = sums.argmax(axis=1), sums.sum(axis=1)
    return winner, 100 * sums.max(axis=1) // np.maximum(total, 1)


def says(vote: str, silent: bool, unsure: bool) -> str:
    """What the Pico tells its listener: "silence", "unsure" or the genre of the vote."""
    return "silence" if silent else "unsure" if unsure else vote


def decisions(adc: np.ndarray, model: Model) -> list[dict]:
    """Decisions over a stream of ADC counts.

    Parameters
    ----------
    adc : unsigned integers, shape (n,)
        Counts of the ADC from the first sample on.
    model : Model
        int8 (notebook 06).

    Returns
    -------
    list of dict
        One a window: ``window``, ``label`` (its genre), ``vote`` (genre of the last windows together), ``confidence``
        in percent, ``scores`` (list of int8), ``silent``, ``unsure`` (confidence below the model's threshold), and
        ``says``: what the Pico tells its listener, "silence", "unsure" or the vote.
    """
    front_end = model.front_end
    config = front_end.config
    windows = stream_windows(adc_to_q15(adc, config), config)
    if not len(windows):
        return []
    features = mfcc_q15.quantize_features(mfcc_q15.mfcc_windows(windows, config), front_end)
    scores = runtimes.run_tflm(model, features)
    silent = np.max(windows ^ (windows >> 15), axis=1) < 1 << config.silence_bits  # |x|, with -32768 as 32767
    winner, confidence = vote(scores, silent, config.vote_windows)
    unsure = confidence < model.unsure_below
    return [{"window": i, "label": config.genres[scores[i].argmax()], "vote": config.genres[winner[i]],
             "confidence": int(confidence[i]), "scores": scores[i].tolist(), "silent": bool(silent[i]),
             "unsure": bool(unsure[i]), "says": says(config.genres[winner[i]], silent[i], unsure[i])}
            for i in range(len(windows))]
