"""Commands of maintainers: ``python -m tools.<name>``. Ctrl-C ends them in one line, also while they load libraries."""

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
