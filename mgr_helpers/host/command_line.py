"""What every command shares: a foreseen error is one line, without a traceback.

Notebooks: none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable


def run_command(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command. Returns its exit status, or 1 after the one line of a foreseen error."""
    try:
        return run(arguments)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def main(description: str, add_arguments: Callable[[argparse.ArgumentParser], None],
         run: Callable[[argparse.Namespace], int]) -> int:
    """Command line of a module that is a command of its own (``python -m tools.site``)."""
    parser = argparse.ArgumentParser(description=description)
    add_arguments(parser)
    return run_command(run, parser.parse_args())
