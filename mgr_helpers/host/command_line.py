"""What every command of the project shares: an expected error is printed as one line, without a traceback.

Notebooks: none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable


def run_command(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command and return its exit status; an expected error is printed as one line, and the status is 1."""
    try:
        return run(arguments)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def main(description: str, add_arguments: Callable[[argparse.ArgumentParser], None],
         run: Callable[[argparse.Namespace], int]) -> int:
    """Parse the arguments of a module that is a command (``python -m tools.site``), and run it."""
    parser = argparse.ArgumentParser(description=description)
    add_arguments(parser)
    return run_command(run, parser.parse_args())
