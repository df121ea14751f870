"""What every command of the project shares: numbers with a range, --version, and an end in one line, no traceback.

Notebooks: none.
"""

import argparse
import contextlib
import multiprocessing
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from .. import __version__

Arguments = argparse.Namespace


def new_parser(description: str, prog: str | None = None) -> argparse.ArgumentParser:
    """A parser with --version."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--version", action="version", version=f"mgr_helpers {__version__}")
    return parser


def as_path(word: str) -> Path:
    """An argparse type: a file, a folder or the name of a data set; `~` is the home folder."""
    return Path(os.path.expanduser(as_text(word)))


def as_text(word: str) -> str:
    """An argparse type: any text but an empty one, such as an unset variable of the shell leaves."""
    if not word.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return word


def add_number(parser: argparse.ArgumentParser, name: str, low: float, high: float, what: str, **options) -> None:
    """Add an option for a number from `low` to `high`, whole when `low` is an int. --help tells the range."""
    kind, noun = (int, "a whole number") if isinstance(low, int) else (float, "a number")

    def number(word: str) -> float:
        try:
            value = kind(word)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:  # nan is in no range
            raise argparse.ArgumentTypeError(f"{word!r} is not {noun} from {low:g} to {high:g}")
        return value

    parser.add_argument(name, type=number, help=f"{what}; {noun} from {low:g} to {high:g}", **options)


def refuse_unused(parser: argparse.ArgumentParser, arguments: Arguments, mode: str, *names: str) -> None:
    """End with a usage error when one of these options was given. The mode doesn't use them; their default is None."""
    values = {f"--{name}": getattr(arguments, name.replace("-", "_")) for name in names}
    if given := [name for name, value in values.items() if value is not None and value is not False]:
        parser.error(f"{mode} doesn't use {', '.join(given)}")


def ask(question: str) -> str:
    """What the user types; Ctrl-D ends the command, as Ctrl-C does. (In a terminal its EOFError has no text.)"""
    try:
        return input(question)
    except EOFError:
        raise KeyboardInterrupt from None


def advised(text: str) -> str:
    """The text of an error, or what to do about a full disk, of which Python, shutil and NumPy only tell."""
    full = re.match(r"(?s)(\[\(.*)?\[Errno \d+\] (No space left|Disk quota)|\d+ requested and \d+ written", text)
    return "the disk is full: make room, or set MGR_WORK, MGR_BUILD or TMPDIR to another place" if full else text


def run_command(run: Callable[[Arguments], int], arguments: Arguments) -> int:
    """Run a command and return its exit status.

    An expected error ends in one line and 1; Ctrl-C, or Ctrl-D at a question (`ask`), in one line and 130. What the
    terminal can't print is printed as "?".
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not under some test runners
            stream.reconfigure(errors="replace", line_buffering=True)  # else only the exit might see a broken pipe
    try:
        return run(arguments)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr, flush=True)
        return 130
    except BrokenPipeError:  # what read the output has left, as `head` does: nobody is there to be told
        return 141
    except (OSError, RuntimeError, ValueError) as error:
        print(f"error: {advised(str(error))}", file=sys.stderr)
        return 1


def at_once(status: int) -> int:
    """The exit status. After Ctrl-C, or when nobody reads on, the process ends here: libraries then say nothing."""
    with contextlib.suppress(OSError):  # of a full disk: `run_command` told of it, and Python's exit would once more
        if sys.stdout:  # None where it was closed before
            sys.stdout.flush()
        if status not in (130, 141):
            return status
    for process in multiprocessing.active_children():  # joblib's, too; they would finish their tasks first
        process.terminate()
    os._exit(status or 1)


def main(description: str, add_arguments: Callable[[argparse.ArgumentParser], None], run: Callable[[Arguments], int],
         check: Callable[[argparse.ArgumentParser, Arguments], None] = lambda *of: None) -> int:
    """Parse and check the arguments of a module that is a command (``python -m tools.site``), and run it."""
    spec = sys.modules["__main__"].__spec__  # None for a file that is run by its path
    parser = new_parser(description, spec and f"python -m {spec.name}")
    add_arguments(parser)
    arguments = parser.parse_args()
    check(parser, arguments)
    return at_once(run_command(run, arguments))
