"""Raw features of many windows at once, by the firmware's C where it gives the same bits.

Notebooks: 00, 04, 05, 06, 07.
"""

import functools

import joblib
import numpy as np
from tqdm.auto import tqdm

from ..config import CONFIG, Config
from ..host import host_c
from ..host.processes import in_parallel
from . import mfcc_q15

FEATURE_BATCH = 128  # windows: 5.5 MB of audio


def features_of(windows: np.ndarray, n_jobs: int = -1, config: Config = CONFIG) -> np.ndarray:
    """`mfcc_q15.mfcc_windows` of many windows: the same bits, about ten times as fast. Batches run in parallel.

    The firmware's C computes them if it compiles here and is built for `config`; else cmsisdsp does. joblib runs the
    batches. To choose its backend, call this in a context, for example with a Dask client
    ``with joblib.parallel_config(backend="dask"):``.

    Parameters
    ----------
    windows : int16 array or view (n, at least window_length)
        Only a few batches are copied at a time, so it may be a memory map, or a sliding view of long audio.
    n_jobs : int
        Batches at the same time; -1 is one per core.

    Returns
    -------
    int32 Q9.22, shape (n, n_frames, n_mfcc)
    """
    cut = windows[:, : config.window_length]
    by_c = _same_bits(config)  # threads suit the C; cmsisdsp holds Python's lock, so it needs processes
    starts = range(0, len(cut), FEATURE_BATCH)
    work = in_parallel((
        joblib.delayed(_batch_features)(np.ascontiguousarray(cut[start : start + FEATURE_BATCH]), by_c, config)
        for start in starts), n_jobs, prefer="threads" if by_c else "processes", max_nbytes=None)
    features = np.empty((len(cut), config.n_frames, config.n_mfcc), np.int32)
    work = tqdm(work, total=len(starts), desc="features", unit="batch", delay=2, leave=False)
    for part, start in zip(work, starts):
        features[start : start + FEATURE_BATCH] = part
    return features


@functools.cache
def _same_bits(config: Config) -> bool:
    """Whether the firmware's C compiles here, and gives cmsisdsp's features of noise in this configuration."""
    noise = np.random.default_rng(0).integers(-9000, 9000, (1, config.window_length)).astype(np.int16)
    try:
        return np.array_equal(_batch_features(noise, True, config), mfcc_q15.mfcc_windows(noise, config))
    except (RuntimeError, ValueError):  # no compiler; the firmware is built for windows of another shape
        return False


def _batch_features(windows: np.ndarray, by_c: bool, config: Config) -> np.ndarray:
    return (mfcc_q15.window_features(_library().mfcc(windows), config) if by_c
            else mfcc_q15.mfcc_windows(windows, config))


@functools.cache
def _library() -> host_c.HostLibrary:
    return host_c.host_library()


def stream_windows(samples: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """The windows that the Pico hears in a stream: one every n_frames * frame_step samples, without a gap.

    Returns
    -------
    int16 view, shape (n_windows, window_length)
    """
    if len(samples) < config.window_length:
        return np.zeros((0, config.window_length), np.int16)
    return np.lib.stride_tricks.sliding_window_view(samples, config.window_length)[:: config.window_step]
