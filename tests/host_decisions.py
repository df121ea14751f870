"""What the firmware's C, compiled for this computer, decides: to compare with Python and the emulated Pico."""

import numpy as np

from mgr_helpers.config import CONFIG
from mgr_helpers.host.host_c import HostLibrary

COLUMNS = ("window", "label", "vote", "confidence", "silent", "unsure")  # then the scores


def decisions(host: HostLibrary, adc: np.ndarray, bits: int = CONFIG.adc_bits) -> dict[str, np.ndarray]:
    """A stream of ADC counts, or samples of 16 bits, to decisions: `COLUMNS` and int8 scores (n, classes)."""
    adc = np.ascontiguousarray(adc, np.int16 if bits == 16 else np.uint16)
    most = len(adc) // (host.n_frames * host.frame_step) + 1
    rows = np.empty((most, len(COLUMNS) + host.n_classes), np.int32)
    n = host.library.batch_decisions(adc.ctypes.data, len(adc), bits, rows.ctypes.data, most)
    columns = {name: rows[:n, i] for i, name in enumerate(COLUMNS)}
    return {**columns, "scores": rows[:n, len(columns):].astype(np.int8)}


def self_test(host: HostLibrary) -> bool:
    """The sketch's self-test, on this computer."""
    return bool(host.library.batch_self_test())
