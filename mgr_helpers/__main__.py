"""`python -m mgr_helpers <command>`: record, pico, evaluate, firmware.

Arguments are declared here, and a command's module is imported only when it runs. So `--help` loads no library.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from .config import DATA, PRETRAINED
from .host.command_line import run_command

SHIPPED_MODEL = PRETRAINED / "model_int8.tflite"


def record_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``record``."""
    parser.add_argument("--label", help="genre of the takes (without it, the script asks)")
    parser.add_argument("--port", help="serial port (without it, the Pico is found by its USB ID)")
    parser.add_argument("--seconds", type=float, default=0.0, help="length of a take; 0: until the button is pressed")
    parser.add_argument("--takes", type=int, default=0, help="stop after this many takes (0: never)")
    parser.add_argument("--start", action="store_true", help="start each take at once, without the button")
    parser.add_argument("--yes", action="store_true", help="keep every take without asking")
    parser.add_argument("--output", type=Path, default=DATA / "recordings", help="folder of the recordings")
    parser.add_argument("--format", choices=("frames", "text"), default="frames",
                        help="what the Pico sends: frames of our recorder, or text of the book's sketch")
    parser.add_argument("--drive-folder", metavar="NAME", help="upload to this folder of Google Drive (name or ID)")
    parser.add_argument("--client-secrets", type=Path, default=Path("client_secrets.json"),
                        help="OAuth client or service account for Drive, from the Google Cloud console")


def pico_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``pico``."""
    parser.add_argument("--audio", required=True, help="recording to play to the emulated microphone; with --clips a "
                        "folder with one sub-folder per genre, or mini, or gtzan")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--gain", type=float, default=-6.0, metavar="DB", help="level at the ADC (default -6 dB)")
    parser.add_argument("--noise", type=float, default=1.0, metavar="LSB", help="noise in ADC steps (default 1)")
    parser.add_argument("--compiler", choices=("gcc", "zig"), help="default: gcc if present, else zig")
    parser.add_argument("--seconds", type=float, help="listen to the first seconds only")
    parser.add_argument("--clips", type=int, metavar="N", help="play N clips of the folder, and compare every "
                        "decision with Python's")
    parser.add_argument("--mic", type=float, default=0.0, metavar="DB", help="with --clips: level in the microphone "
                        "simulation (default 0 dB)")
    parser.add_argument("--room", action="store_true", help="with --clips: add a random room")
    parser.add_argument("--model", type=Path, help="with --clips: int8 .tflite file (default: the one that ships)")


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``evaluate``."""
    parser.add_argument("--audio", required=True, help="folder with one sub-folder per genre, or mini, or gtzan")
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL, help="int8 .tflite file")
    parser.add_argument("--engine", choices=("float", "litert", "tflm", "c"), default="tflm",
                        help="what computes the scores")
    parser.add_argument("--mic", type=float, metavar="DB", help="through the microphone simulation at this level")
    parser.add_argument("--room", action="store_true", help="add a random room (at 0 dB without --mic)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def firmware_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``firmware``."""
    parser.add_argument("--generated", type=Path, help="folder with C headers of your own model")


# name: (module whose run(arguments) returns the exit status, its arguments, what it does)
COMMANDS = {
    "record": ("record.session", record_arguments, "record labelled takes from a Pico with a microphone"),
    "pico": ("pico.clips", pico_arguments, "play a recording to the emulated Pico and print what it says"),
    "evaluate": ("pico.engines", evaluate_arguments, "print the accuracy of a model on a folder of songs"),
    "firmware": ("host.toolchain", firmware_arguments, "write Arduino sketch folders and zips to build/sketches/"),
}


def main(words: list[str] | None = None) -> int:
    """Run a command; an expected error is one line on stderr, and the exit status is 1."""
    parser = argparse.ArgumentParser(prog="python -m mgr_helpers")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, add_arguments, what) in COMMANDS.items():
        add_arguments(commands.add_parser(name, help=what, description=what))
    arguments = parser.parse_args(words)
    module = importlib.import_module(f".{COMMANDS[arguments.command][0]}", __package__)
    return run_command(module.run, arguments)


if __name__ == "__main__":
    sys.exit(main())
