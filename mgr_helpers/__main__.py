"""`python -m mgr_helpers <command>`: record, pico, evaluate, firmware, flash.

Arguments are declared here, and a command's module is imported only when it runs. So `--help` loads no library.
"""

from .host import ctrl_c  # noqa: F401 - first: Ctrl-C then ends in one line while the rest is loaded

import argparse
import importlib
import re
import sys

from .config import DATA, PRETRAINED
from .host.boards import BOARDS
from .host.command_line import (
    Arguments, add_number, as_path, as_text, at_once, new_parser, refuse_unused, run_command)

DB = -96.0, 24.0  # levels that make sense
DAY = 86400.0  # seconds
PORT = {"type": lambda word: str(as_path(word)), "help": "serial port of a board that runs (default: the one found)"}


def record_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``record``."""
    parser.add_argument("--label", type=as_text, help="genre of the takes (without it, the script asks)")
    parser.add_argument("--port", **PORT)
    add_number(parser, "--seconds", 0.0, DAY, "length of a take; 0, the default: until the button is pressed")
    add_number(parser, "--takes", 0, 100_000, "stop after this many takes; 0, the default: never", default=0)
    parser.add_argument("--start", action="store_true", help="start each take at once, without the button")
    parser.add_argument("--yes", action="store_true", help="keep every take without asking")
    parser.add_argument("--output", type=as_path, default=DATA / "recordings",
                        help="folder of the recordings (default: data/recordings in the project)")
    parser.add_argument("--format", choices=("frames", "text"), default="frames",
                        help="what the Pico sends: frames of our recorder (default), or text of the book's sketch")
    parser.add_argument("--drive-folder", type=as_text, metavar="NAME",
                        help="upload to this folder of Google Drive (name or ID)")
    parser.add_argument("--client-secrets", type=as_path, metavar="FILE",
                        help="with --drive-folder: OAuth client or service account for Drive, from the Google Cloud "
                             "console (default: client_secrets.json)")


def check_record(parser: argparse.ArgumentParser, arguments: Arguments) -> None:
    """The book's sketch takes no commands. Fills in what was left out."""
    if arguments.format == "text":
        refuse_unused(parser, arguments, "--format text", "seconds", "start")
    if not arguments.drive_folder:
        refuse_unused(parser, arguments, "record without --drive-folder", "client-secrets")
    arguments.seconds = arguments.seconds or 0.0
    arguments.client_secrets = arguments.client_secrets or as_path("client_secrets.json")


def pico_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``pico``."""
    parser.add_argument("--audio", type=as_path, required=True, help="recording to play to the emulated "
                        "microphone; with --clips a folder with one sub-folder per genre, or mini, or gtzan")
    parser.add_argument("--model", type=as_path, metavar="FILE", help="int8 .tflite file (default: the one that ships)")
    parser.add_argument("--compiler", choices=("gcc", "zig"), help="default: gcc if present, else zig")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    one, many = parser.add_argument_group("one recording"), parser.add_argument_group("clips of a folder")
    add_number(one, "--gain", *DB, "level at the ADC (default -6 dB)", metavar="DB")
    add_number(one, "--noise", 0.0, 4096.0, "noise in ADC steps (default 1)", metavar="LSB")
    add_number(one, "--seconds", 1.0, DAY, "listen to the first seconds only (default: all)")
    add_number(many, "--clips", 1, 100_000, "play so many clips of it, and compare every decision with Python's",
               metavar="N")
    many.add_argument("--other", type=as_path, nargs="+", metavar="DIR",
                      help="folders of other music: clips of it, too (default: none)")
    add_number(many, "--mic", *DB, "level in the microphone simulation (default 0 dB)", metavar="DB")
    many.add_argument("--room", action="store_true", help="add a random room")


def check_pico(parser: argparse.ArgumentParser, arguments: Arguments) -> None:
    """Each mode has options of its own."""
    mode, names = ("with", ("gain", "noise", "seconds")) if arguments.clips else ("without", ("mic", "room", "other"))
    refuse_unused(parser, arguments, f"pico {mode} --clips", *names)


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``evaluate``."""
    parser.add_argument("--audio", type=as_path, required=True,
                        help="folder with one sub-folder per genre, or mini, or gtzan")
    parser.add_argument("--model", type=as_path, default=PRETRAINED / "model_int8.tflite", metavar="FILE",
                        help="int8 .tflite file (default: the one that ships)")
    parser.add_argument("--engine", choices=("float", "litert", "tflm", "c"),
                        help="what computes the scores (default: tflm; c where tflm has no wheel)")
    parser.add_argument("--other", type=as_path, nargs="+", metavar="DIR",
                        help="folders of music and sounds of no genre, in sub-folders by kind or flat (default: none)")
    add_number(parser, "--mic", *DB, "through the microphone simulation at this level (default: clean)", metavar="DB")
    parser.add_argument("--room", action="store_true", help="add a random room (at 0 dB without --mic)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def firmware_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``firmware``."""
    add_generated(parser)
    parser.add_argument("--board", choices=BOARDS,
                        help="also build them for this board, with arduino-cli (default: for none)")


def add_generated(parser: argparse.ArgumentParser) -> None:
    """Add the option for a model of one's own."""
    parser.add_argument("--generated", type=as_path, metavar="FOLDER",
                        help="C headers of your own model, as notebook 08 writes them (default: those that ship)")


def flash_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``flash``."""
    parser.add_argument("--board", choices=BOARDS, default="pico", help="default: pico")
    parser.add_argument("--sketch", choices=("genre_recognizer", "recorder"), default="genre_recognizer",
                        help="default: genre_recognizer")
    parser.add_argument("--port", **PORT)
    add_generated(parser)


def check_flash(parser: argparse.ArgumentParser, arguments: Arguments) -> None:
    """The recorder has no model."""
    if arguments.sketch == "recorder":
        refuse_unused(parser, arguments, "flash --sketch recorder", "generated")


# name: (module whose run(arguments) returns the exit status, its arguments, a check of them or None, what it does)
COMMANDS = {
    "record": ("record.session", record_arguments, check_record, "record labelled takes from a Pico with a microphone"),
    "pico": ("pico.clips", pico_arguments, check_pico, "play a recording to the emulated Pico and print what it says"),
    "evaluate": ("pico.engines", evaluate_arguments, None, "print the accuracy of a model on a folder of songs"),
    "firmware": ("host.arduino", firmware_arguments, None,
                 "write Arduino sketch folders and zips to build/sketches/"),
    "flash": ("pico.flash", flash_arguments, check_flash, "build a sketch, put it on a board and hear that it works"),
}


def main(words: list[str] | None = None) -> int:
    """Run a command; an expected error is one line on stderr, and the exit status is 1."""
    parser, own = new_parser("Commands of the project.", "python -m mgr_helpers"), {}
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, add_arguments, _, what) in COMMANDS.items():
        own[name] = commands.add_parser(name, help=what, description=what)
        own[name]._negative_number_matcher = re.compile(r"-\.?\d")  # argparse's own takes -1e1 for an option
        add_arguments(own[name])
    arguments = parser.parse_args(words)
    module, _, check, _ = COMMANDS[arguments.command]
    if check:
        check(own[arguments.command], arguments)
    return run_command(lambda arguments: importlib.import_module(f".{module}", __package__).run(arguments), arguments)


if __name__ == "__main__":
    sys.exit(at_once(main()))
