"""A stand-in for arduino-cli: it takes the same words, and refuses those that the real one (1.x) would refuse.

What it finds and does is in the folder STAND_IN: `cores` lists installed cores, `binary` is what a build writes, and
`compile_fails` or `upload_fails` is what it says when that fails. It writes each call to `calls`.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(os.environ["STAND_IN"])
# Names and values of menus in boards.txt of arduino-pico and of Apollo3 2.x
PICO_MENU = {"opt": {"Small", "Optimize", "Optimize2", "Optimize3", "Fast", "Debug"},
             "freq": {"50", "100", "120", "125", "133", "150", "175", "200", "225", "240", "250", "275", "300"}}
MENUS = {**{f"rp2040:rp2040:{name}": PICO_MENU for name in ("rpipico", "rpipicow", "rpipico2", "rpipico2w")},
         "SparkFun:apollo3:sfe_artemis_nano": {"svl_baud": {"57600", "115200", "230400", "460800", "921600"}}}


def check_fqbn(fqbn):
    core, board, options = ":".join(fqbn.split(":")[:2]), ":".join(fqbn.split(":")[:3]), fqbn.split(":")[3:]
    if core not in (FOLDER / "cores").read_text():
        sys.exit(f"Error during build: Platform '{core}' not found: platform not installed")
    if board not in MENUS:
        sys.exit(f"Error during build: board {board} not found")
    for option in ",".join(options).split(",") if options else []:
        name, value = option.split("=")
        if value not in MENUS[board].get(name, ()):
            sys.exit(f"Error during build: Invalid FQBN: invalid value '{value}' for option '{name}'")


def check_sketch(folder):
    """What a compiler would miss first: the sketch itself, and headers that its own files name."""
    sketch = folder / f"{folder.name}.ino"
    if not sketch.is_file():
        sys.exit(f"Can't open sketch: main file missing from sketch: {sketch}")
    for file in [sketch, *folder.glob("src/*.[ch]")]:
        for line in file.read_text().splitlines():
            name = line.split('"')[1] if line.startswith('#include "') else None
            if name and not (file.parent / name).is_file():
                sys.exit(f"{file}: fatal error: {name}: No such file or directory")


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("core").add_argument("action", choices=["list"])
    for name, folder in (("compile", "--output-dir"), ("upload", "--input-dir")):
        command = commands.add_parser(name)
        command.add_argument("--fqbn", required=True)
        command.add_argument(folder, type=Path, required=True)
        command.add_argument("--port", required=name == "upload")
        command.add_argument("sketch", type=Path)
    arguments = parser.parse_args()
    with open(FOLDER / "calls", "a") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    if arguments.command == "core":
        print("ID            Installed Latest Name")
        print("".join(f"{core} 9.9.9     9.9.9  Boards\n" for core in (FOLDER / "cores").read_text().split()))
        return
    check_fqbn(arguments.fqbn)
    check_sketch(arguments.sketch)
    fails = FOLDER / f"{arguments.command}_fails"
    if fails.exists():
        print(fails.read_text(), file=sys.stderr)
        sys.exit("Error during build: exit status 1")
    name = f"{arguments.sketch.name}.ino"
    suffix = ".bin" if "apollo3" in arguments.fqbn else ".uf2"
    if arguments.command == "upload":
        shutil.copy(arguments.input_dir / f"{name}{suffix}", FOLDER / "uploaded")
        return
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / "binary", arguments.output_dir / f"{name}{suffix}")
    print("Sketch uses 106640 bytes (5%) of program storage space. Maximum is 2093056 bytes.")


if __name__ == "__main__":
    main()
