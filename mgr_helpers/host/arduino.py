"""Build the sketches for a board with arduino-cli: ``python -m mgr_helpers firmware --board pico``.

What it says and which files it writes: https://arduino.github.io/arduino-cli. See `boards` for the boards.

Notebooks: none.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from ..config import FIRMWARE, build_dir
from .boards import BOARDS, INDEXES
from .files import shown, write_whole
from .toolchain import deploy_sketch

SHOWN_LINES = 20  # of what a compiler says
CLI = "curl -fsSL https://raw.githubusercontent.com/arduino/arduino-cli/master/install.sh | BINDIR=~/.local/bin sh"


def install_commands(core: str) -> list[str]:
    """The commands that install a core, with the index that its boards manager reads."""
    index = f"--additional-urls {INDEXES[core]}"
    return [f"arduino-cli core update-index {index}", f"arduino-cli core install {core} {index}"]


def find_cli(core: str) -> str:
    """Path of arduino-cli; RuntimeError with the commands that install it, or the core, when one is missing."""
    program = shutil.which("arduino-cli")
    lines = [] if program else [f"{CLI}    (on a Mac also: brew install arduino-cli)"]
    if program:
        listed = run_cli([program, "core", "list"], "asking arduino-cli for its cores", "Does it run by itself?")
        if any(line.split()[:1] == [core] for line in listed.splitlines()):
            return program
    missing = f"the core {core} is not" if program else "arduino-cli is not"
    commands = "\n".join(f"    {line}" for line in lines + install_commands(core))
    raise RuntimeError(f"{missing} installed (or not on the path). These commands do it:\n{commands}")


def wait_for(poll: Callable, what: str, seconds: float = float("inf")):
    """Call `poll` until it returns something true, or for so long; returns that. A line shows the time."""
    deadline = time.monotonic() + seconds
    with tqdm(desc=what, bar_format="{desc}: {elapsed}", delay=2, leave=False, disable=None) as line:
        while not (found := poll()) and time.monotonic() < deadline:
            time.sleep(0.1)
            line.update(0)
    return found


def run_cli(command: list, what: str, remedy: str) -> str:
    """Run arduino-cli and return what it said; when it fails, a RuntimeError with a remedy and the compiler's lines."""
    with ThreadPoolExecutor(1) as pool:
        words = [str(word) for word in command]
        work = pool.submit(subprocess.run, words, capture_output=True, text=True, errors="replace",
                           stdin=subprocess.DEVNULL)
        wait_for(work.done, what)
    done = work.result()
    said = (done.stderr + done.stdout).strip().splitlines()
    if done.returncode:
        wrong = re.compile("error|undefined reference|overflow", re.IGNORECASE)
        first = next((at for at, line in enumerate(said) if wrong.search(line)), len(said) - SHOWN_LINES)
        lines = "\n".join(said[max(0, first - 1):][:SHOWN_LINES])  # the line before an error names the function
        raise RuntimeError(f"{what} failed (exit status {done.returncode}). {remedy}\n{lines}")
    return "\n".join(said)


def build_folder(sketch: str, board: str) -> Path:
    """Where arduino-cli puts what it builds."""
    return build_dir() / "boards" / board / sketch


def build(sketch: str, board: str, generated: Path | None = None) -> Path:
    """Build a sketch of `firmware/` for a board of `BOARDS`; prints how much memory it needs.

    Returns ``build/boards/<sketch>-<board>.uf2`` (.bin for the Artemis). `generated` is as in `deploy_sketch`. A
    RuntimeError says what is missing, or what the compiler said.
    """
    kind = BOARDS[board]
    program, source = find_cli(kind.core), deploy_sketch(sketch, generated)
    folder, suffix = build_folder(sketch, board), ".uf2" if kind.chip else ".bin"
    shutil.rmtree(folder, ignore_errors=True)  # or a file of an older build could be taken for this one's
    said = run_cli([program, "compile", "--fqbn", kind.fqbn, "--output-dir", folder, source],
                   f"building {sketch} for {kind.name}", "Correct what the compiler's first lines name. If you changed "
                   f"nothing: the core may be too old (`arduino-cli core upgrade {kind.core}`)")
    for line in said.splitlines():
        if line.startswith(("Sketch uses", "Global variables")):
            print(line)
    built = folder / f"{sketch}.ino{suffix}"
    if not built.is_file():
        raise RuntimeError(f"arduino-cli wrote no {shown(built)}: is the core {kind.core} too old? `arduino-cli core "
                           f"upgrade {kind.core}`")
    return write_whole(folder.parent.parent / f"{sketch}-{board}{suffix}", lambda file: file.write(built.read_bytes()))


def run(arguments) -> int:
    """`python -m mgr_helpers firmware`: complete sketches and zips in build/sketches/, and the files for a --board."""
    for source in sorted(FIRMWARE.glob("*/*.ino")):
        name = source.parent.name
        own = arguments.generated if (source.parent / "src" / "generated" / "model.h").is_file() else None
        folder = deploy_sketch(name, own)
        print(f"{shown(folder)}  {shown(folder.with_suffix('.zip'))}")
        if arguments.board:
            print(shown(build(name, arguments.board, own)))
    return 0
