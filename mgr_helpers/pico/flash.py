"""Build a sketch, put it on a board and hear that it works: ``python -m mgr_helpers flash``.

In BOOTSEL mode a Pico is a USB drive. It runs what is copied there as a UF2 file, and tells its chip in INFO_UF2.TXT
(boot ROM in the datasheets of RP2040 and RP2350; https://github.com/microsoft/uf2). A board that runs a sketch gets
there when its port is opened at 1200 baud and closed. An Artemis is loaded by arduino-cli.

Notebooks: none.
"""

import contextlib
import errno
import glob
import os
import queue
import re
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import serial
from tqdm.auto import tqdm

from ..host import arduino
from ..host.arduino import wait_for
from ..host.boards import BOARDS
from ..host.files import shown
from ..record.protocol import BAUD_RATE, Decoder, Header
from ..record.session import Link, find_port, ports_found, ports_of, why_closed
from ..record.takes import say

MOUNTS = ("/media/*", "/media/*/*", "/run/media/*/*", "/mnt/*", "/Volumes/*")  # of drives, on Linux and on a Mac
CHIPS = {"Raspberry Pi RP2": "RP2040", "Raspberry Pi RP2350": "RP2350"}  # by the model in INFO_UF2.TXT
FAMILIES = {"RP2040": 0xE48BFF56, "RP2350": 0xE48BFF59}  # in the blocks of a UF2 file
UF2_MAGIC, UF2_BLOCK, UF2_FAMILY = (0x0A324655, 0x9E5D5157), 512, 28  # first two words, bytes, offset of the family
ARTEMIS_VENDOR = 0x1A86  # of its USB bridge, a CH340
TOUCH_BAUD, RECOGNIZER_BAUD = 1200, 115200  # the second is the .ino's; only an Artemis needs it
BOARD_SECONDS, DRIVE_SECONDS, RESTART_SECONDS, HEAR_SECONDS, ASK_SECONDS = 60.0, 15.0, 15.0, 20.0, 2.0  # to wait for
BOOTSEL = ("Hold its button BOOTSEL down, plug in the USB cable, let go: a drive RPI-RP2 appears (Pico 2: RP2350)."
           " On Linux without a desktop, mount it: `udisksctl mount -b /dev/disk/by-label/RPI-RP2`")
GONE = (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EPIPE)  # errors of a drive that is no longer there
AGAIN = "pull the board's cable, plug it in again with BOOTSEL held down, and repeat the command"
COPY_ADVICE = {
    errno.EROFS: f"the drive is read-only: {AGAIN}. If it stays so, let the system mount it for writing",
    errno.EACCES: "you may not write there: let your desktop mount it, or mount it with the option uid=$(id -u)",
    errno.ENOSPC: f"the drive says that it is full: {AGAIN}",
    **dict.fromkeys(GONE, f"the drive vanished: {AGAIN}, with another cable or socket if it happens twice"),
}


def find_drives() -> dict[Path, str]:
    """Folders of drives of boards in BOOTSEL mode, each with its chip ("RP2040" or "RP2350")."""
    found = {}
    for info in (Path(name) for mount in MOUNTS for name in glob.glob(f"{mount}/INFO_UF2.TXT")):
        with contextlib.suppress(OSError):  # it went away just now: then it is no drive to use
            model = re.search(r"^Model: (.*\S)", info.read_text(errors="replace"), re.MULTILINE)
            if model and model[1] in CHIPS:
                found[info.parent] = CHIPS[model[1]]
    return found


def touch(port: str) -> str:
    """Open and close a port at 1200 baud, with DTR low. Returns why that failed, "" if it didn't.

    A board may leave so fast that the opening fails. RuntimeError for a reason that lasts.
    """
    board = serial.Serial(baudrate=TOUCH_BAUD, exclusive=None if sys.platform == "win32" else True)
    board.port, board.dtr = port, False
    try:
        with board:
            return ""
    except Exception as error:  # noqa: BLE001 - an OSError, or termios.error, which Windows doesn't know
        why, kind = why_closed(port, error)
        if kind != "passing":
            raise RuntimeError(why) from error
        return why


def reach_drives(wanted: str | None) -> dict[Path, str]:
    """Drives that the board can be (see `find_drives`): those of boards in BOOTSEL mode, or of the one sent there.

    `wanted` is the port of a board that runs; None: any. RuntimeError when no board, and ValueError when several are
    found.
    """
    if not (find_drives() or find_port(wanted)):
        say(f"no board yet. {BOOTSEL}")
        wait_for(lambda: find_drives() or find_port(wanted), "waiting for a board", BOARD_SECONDS)
    before = find_drives()
    port = find_port(wanted) if wanted or not before else None
    if port is None:
        if not before:
            raise RuntimeError(f"no board found. {ports_found(wanted) or BOOTSEL}")
        return before
    say(f"restarting the board at {port} in BOOTSEL mode")
    trouble = touch(port)
    drives = wait_for(lambda: {folder: chip for folder, chip in find_drives().items() if folder not in before},
                      "waiting for its drive", DRIVE_SECONDS)
    if not drives:
        raise RuntimeError(f"no drive appeared after the restart. {trouble or 'Its sketch may hang'}. {BOOTSEL}")
    return drives


def choose_drive(drives: dict[Path, str], board: str) -> Path:
    """The one drive; RuntimeError when there are several, or when it is that of another chip."""
    if len(drives) > 1:
        raise RuntimeError(f"several boards are in BOOTSEL mode ({', '.join(map(str, drives))}): unplug all but one")
    (folder, chip), kind = *drives.items(), BOARDS[board]
    if chip != kind.chip:
        others = " or ".join(name for name, other in BOARDS.items() if other.chip == chip)
        raise RuntimeError(f"{folder} belongs to a board with an {chip}, but a {kind.name} has an {kind.chip}: say "
                           f"--board {others}, or take the right board. Plugged in again, it runs its old sketch")
    return folder


def check_uf2(file: Path, chip: str) -> bytes:
    """The bytes of a UF2 file; RuntimeError when it is not whole or not for this chip."""
    data = file.read_bytes()
    starts = range(0, len(data), UF2_BLOCK)
    whole = data and len(data) % UF2_BLOCK == 0
    if not whole or any(struct.unpack_from("<2I", data, start) != UF2_MAGIC for start in starts):
        raise RuntimeError(f"{shown(file)} is no whole UF2 file: delete {shown(file.parent)} and build again")
    families = {struct.unpack_from("<I", data, start + UF2_FAMILY)[0] for start in starts}
    if families & set(FAMILIES.values()) != {FAMILIES[chip]}:
        raise RuntimeError(f"{shown(file)} is not for an {chip}: delete it and build again")
    return data


def copy(file: Path, drive: Path, chip: str) -> None:
    """Copy a UF2 file to a board's drive; RuntimeError with a remedy.

    The board restarts when it has the last block, and takes its drive away: after the last byte that is no error.
    """
    data, written = check_uf2(file, chip), 0
    try:
        with (open(drive / file.name, "wb", buffering=0) as target,
              tqdm(total=len(data), desc="copying", unit="B", unit_scale=True, delay=2, leave=False,
                   disable=None) as bar):
            while written < len(data):
                count = target.write(data[written:written + 8 * UF2_BLOCK])
                written += count
                bar.update(count)
            os.fsync(target.fileno())
    except OSError as error:
        if written < len(data) or error.errno not in GONE:
            advice = COPY_ADVICE.get(error.errno, AGAIN)
            raise RuntimeError(f"{file.name} could not be copied to {drive} ({error.strerror}; {written:,} of "
                               f"{len(data):,} bytes are written): {advice}") from error
    say(f"copied {len(data):,} bytes to {drive}")


def flash_drive(file: Path, board: str, wanted: str | None) -> str:
    """Put a UF2 file on a board and wait for its restart. Returns its port."""
    drive, chip = choose_drive(reach_drives(wanted), board), BOARDS[board].chip
    others = ports_of()
    copy(file, drive, chip)
    port = wait_for(lambda: find_port(wanted) if wanted else next((p for p in ports_of() if p not in others), None),
                    "waiting for the board to restart", RESTART_SECONDS)
    if port:
        return port
    if drive in find_drives():
        raise RuntimeError(f"the board did not take {file.name}: its drive {drive} is still there. "
                           f"{AGAIN[0].upper()}{AGAIN[1:]}")
    raise RuntimeError(f"the sketch is copied, but no serial port came back. {ports_found(wanted)} Pull the cable and "
                       "plug it in again, or try another socket. The sketch runs without a port, too: its LED shows it")


def flash_artemis(sketch: str, board: str, wanted: str | None, generated: Path | None) -> str:
    """Let arduino-cli load a sketch that is built. Returns the port."""
    kind = BOARDS[board]
    port = wait_for(lambda: find_port(wanted, ARTEMIS_VENDOR), "waiting for a board", BOARD_SECONDS)
    if port is None:
        raise RuntimeError(f"no {kind.name} found: plug it in, or name its port by --port. {ports_found(wanted)}")
    source = arduino.deploy_sketch(sketch, generated)
    arduino.run_cli([arduino.find_cli(kind.core), "upload", "--fqbn", kind.fqbn, "--port", port, "--input-dir",
                     arduino.build_folder(sketch, board), source], f"loading {sketch} by {port}",
                    "Close programs that use the port, plug the board in again, and repeat the command")
    return port


def recognizer_listener() -> Callable[[bytes], bool]:
    """A function that prints the lines of what it is given and returns whether one says that the self-test passed.

    It raises RuntimeError when one says that the self-test failed, or an error.
    """
    rest = ""

    def hear(data: bytes) -> bool:
        nonlocal rest
        *lines, rest = (rest + data.decode(errors="replace")).split("\n")
        for line in map(str.strip, lines):
            say(f"    {line}")
            if "TEST FAILED" in line:
                raise RuntimeError("the sketch runs, but its self-test failed: it computes other bits than Python. "
                                   "Undo changes of the sketch, or of the headers that --generated names, and take "
                                   "the newest core. If it still fails, please report it with the lines above")
            if line.startswith("ERROR"):
                raise RuntimeError(f"the sketch runs, but says: {line}. Pull the cable and plug it in again. If that "
                                   "doesn't help, please report it with the lines above")
            if "TEST PASSED" in line:
                return True
        return False

    return hear


def recorder_listener() -> Callable[[bytes], bool]:
    """A function that returns whether the bytes it was given hold a frame in which the recorder describes itself."""
    decoder = Decoder()

    def hear(data: bytes) -> bool:
        header = next((event for event in decoder.feed(data) if isinstance(event, Header)), None)
        if header:
            say(f"    READY {header.firmware} on {header.board}, {header.rate:.1f} Hz, {header.bits} bits")
        return bool(header)

    return hear


# for each sketch: baud rate, what makes it tell its state, what hears it, what to do next
SKETCHES = {
    "genre_recognizer": (RECOGNIZER_BAUD, "?", recognizer_listener,
                         "the board listens. Its decisions: python -m serial.tools.miniterm {port} 115200"),
    "recorder": (BAUD_RATE, "H", recorder_listener,
                 "the board is ready: python -m mgr_helpers record --label jazz"),
}


def hear(port: str, sketch: str) -> None:
    """Read the board's port until it says that it works; RuntimeError when it says that it doesn't, or nothing."""
    baud_rate, question, new_listener, _ = SKETCHES[sketch]
    listener, count, asked = new_listener(), 0, time.monotonic()
    deadline = asked + HEAR_SECONDS
    with Link(port, baud_rate, patient=False) as link:
        while time.monotonic() < deadline:
            if time.monotonic() - asked > ASK_SECONDS:
                asked = time.monotonic()
                link.send(question)
            with contextlib.suppress(queue.Empty):
                kind, value = link.messages.get(timeout=0.1)
                if kind == "failed":
                    raise value
                if kind == "connected":
                    asked = 0.0
                elif kind == "waiting":
                    say(value)
                elif kind == "data":
                    count += len(value)
                    if listener(value):
                        return
    raise RuntimeError(f"the sketch is on the board, but in {HEAR_SECONDS:g} s {count or 'no'} bytes came from {port}, "
                       f"and none says that {sketch} works. Pull the cable and plug it in again, close programs that "
                       "read the port, and repeat the command")


def run(args) -> int:
    """`python -m mgr_helpers flash`. Returns 0 when the board said that it works."""
    file = arduino.build(args.sketch, args.board, args.generated)
    say(f"built {shown(file)}")
    port = (flash_drive(file, args.board, args.port) if BOARDS[args.board].chip else
            flash_artemis(args.sketch, args.board, args.port, args.generated))
    say(f"listening at {port}")
    hear(port, args.sketch)
    say(SKETCHES[args.sketch][3].format(port=port))
    return 0
