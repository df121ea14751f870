"""Ctrl-C ends a command in one line, also while it loads libraries: import this module first of all.

Notebooks: none.
"""

import os
import sys


def _end(kind, error, trace) -> None:
    """Print an error that nobody caught; of Ctrl-C only that it came."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("\nstopped", file=sys.stderr, flush=True)
    os._exit(130)


sys.excepthook = _end
