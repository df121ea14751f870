"""`python -m mgr_helpers <command>`; a command's module is loaded only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys

# command: module with add_arguments(parser) and run(arguments) -> exit status, and what the command does
COMMANDS = {
    "notebooks": ("series", "run the notebook series on a data set"),
    "html": ("html_pages", "write the series as web pages, to be read, below build/site/"),
    "pico": ("pico", "play a recording to the emulated Pico and print what it says"),
    "readme": ("readme", "write the measured results into README.md"),
    "exactness": ("exactness", "compare Python with the C here and on the emulated Pico, bit by bit"),
    "firmware": ("toolchain", "complete Arduino sketch folders and zips under build/sketches/"),
    "bench": ("bench", "cycles, bytes and latency on the emulated Pico, ours beside the book's; speed of this machine"),
    "tables": ("mfcc_q15_book", "the book's q15 tables and the smaller ones: equal values, bytes of each"),
    "record": ("record", "record labelled takes from a Pico with a microphone"),
    "bench-decoder": ("serial_audio", "how many times faster than real time the serial decoder is"),
    "evaluate": ("evaluate", "accuracy of the models on a data set"),
    "experiments": ("experiments", "change one thing of the shipped recipe at a time: docs/experiments.md"),
    "pretrained": ("pretrained", "train on a data set and rebuild data/pretrained/ and the firmware's headers"),
}


def main(words: list[str] | None = None) -> int:
    """Run a command; a foreseen error is one line on stderr and exit status 1."""
    words = sys.argv[1:] if words is None else words
    parser = argparse.ArgumentParser(prog="python -m mgr_helpers")
    commands = parser.add_subparsers(dest="command", required=True)
    parsers = {name: commands.add_parser(name, help=what, description=what) for name, (_, what) in COMMANDS.items()}
    module = None
    if words and words[0] in parsers:
        module = importlib.import_module(f".{COMMANDS[words[0]][0]}", __package__)
        module.add_arguments(parsers[words[0]])
    arguments = parser.parse_args(words)
    try:
        return module.run(arguments)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
