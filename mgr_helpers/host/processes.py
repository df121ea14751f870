"""Work on several cores, whose processes end when the command is stopped.

Notebooks: none.
"""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from multiprocessing import resource_tracker

import joblib


def in_parallel(tasks: Iterable, n_jobs: int = -1, **options) -> Iterator:
    """What joblib's tasks return, in their order. `options` are those of `joblib.Parallel`.

    joblib starts its processes here (with `prefer="threads"` it needs none). They never hear Ctrl-C, which would make
    each of them print a traceback: the command hears it, and ends them (`command_line.at_once`).
    """
    # its resource tracker removes what a stopped command left, and needn't tell of it
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    with contextlib.nullcontext() if options.get("prefer") == "threads" else _ctrl_c_waits():
        return joblib.Parallel(n_jobs, return_as="generator", **options)(tasks)


@contextlib.contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block; a process that is started in it never gets one (not on Windows)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # the first of joblib's processes would start it, and unblock Ctrl-C by that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
