"""The values of the book's tables from fewer bytes: sparse Mel weights, and a list of thresholds for the log.

Notebook 04 shows the same. `tools.bench` counts what is saved, and checks that every value is equal.
"""

from __future__ import annotations

import functools

import cmsisdsp
import numpy as np

from mgr_helpers.config import CONFIG, Config
from mgr_helpers.features.mfcc_book import BOOK, book_tables, log_value


@functools.lru_cache
def mel_spans(config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """The non-zero weights of each band: first bins and lengths, int (n_mels,) each; an empty band has length 0."""
    bins = [np.flatnonzero(band) for band in book_tables(config)["Mel weights"]]
    starts = np.array([band[0] if len(band) else 0 for band in bins])
    return starts, np.array([band[-1] + 1 - band[0] if len(band) else 0 for band in bins])


def mel_sparse(magnitude: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """The same as `mel_dense`, bit for bit, over each band's non-zero span only.

    ``arm_dot_prod_q15`` sums in 64 bits. The shift by 15 and the saturation are those of ``arm_mat_vec_mult_q15``.
    """
    bands = zip(book_tables(config)["Mel weights"], *mel_spans(config))
    sums = [cmsisdsp.arm_dot_prod_q15(magnitude[start:start + length], band[start:start + length]) if length else 0
            for band, start, length in bands]
    return np.clip(np.array(sums, dtype=np.int64) >> 15, -32768, 32767).astype(np.int16)


@functools.lru_cache
def log_thresholds() -> tuple[np.ndarray, np.ndarray]:
    """The log table as steps: the index (uint16) at which each value begins, and the value (int8)."""
    table = log_value(np.arange(32768))
    starts = np.flatnonzero(np.diff(table, prepend=table[0] - 1))
    return starts.astype(np.uint16), table[starts].astype(np.int8)


def compact_log(mel: np.ndarray) -> np.ndarray:
    """The same as `look_up_log`, by a binary search among the thresholds; also right for index 32767."""
    starts, values = log_thresholds()
    return values[np.searchsorted(starts, mel, side="right") - 1].astype(np.int16)


def compact_sizes(config: Config = BOOK) -> dict[str, int]:
    """Bytes of the tables when Mel is sparse, the log a list of thresholds and the Hann window one half."""
    weights = 2 * int(mel_spans(config)[1].sum())
    return {"Hann window": 2 * (config.frame_length // 2 + 1), "Mel weights": weights + 4 * config.n_mels,
            "log": sum(part.nbytes for part in log_thresholds()), "DCT": book_tables(config)["DCT"].nbytes}
