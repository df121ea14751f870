"""The flash command with a stand-in arduino-cli, folders that look like drives, and boards behind pseudo-terminals."""

import contextlib
import errno
import fcntl
import json
import os
import re
import select
import shutil
import stat
import struct
import subprocess
import sys
import threading
from types import SimpleNamespace as Info

import pytest
import serial
from serial.tools import list_ports

from mgr_helpers.__main__ import main
from mgr_helpers.config import FIRMWARE, ROOT
from mgr_helpers.host import arduino, boards
from mgr_helpers.host.boards import BOARDS
from mgr_helpers.pico import emulator, flash
from mgr_helpers.pico.image import FLASH_START, build_image
from tests import serial_port

pty = pytest.importorskip("pty", reason="pseudo-terminals are for Linux and macOS")
import termios  # noqa: E402
import tty  # noqa: E402

# INFO_UF2.TXT as the boot ROMs write it
INFO = {"RP2040": "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n",
        "RP2350": "UF2 Bootloader v1.0\r\nModel: Raspberry Pi RP2350\r\nBoard-ID: RP2350\r\n"}
FAMILY = {"RP2040": 0xE48BFF56, "RP2350": 0xE48BFF59}
PASSED = b"TEST PASSED\r\n"


def uf2(data, chip="RP2040"):
    """A UF2 file of what is to lie at the start of the flash. Before an RP2350's stands one more block."""
    def block(at, payload, number, total, family):
        fields = 0x2000, at, 256, number, total, family
        return struct.pack("<8I476sI", 0x0A324655, 0x9E5D5157, *fields, payload, 0x0AB16F30)

    total = -(-len(data) // 256)
    blocks = [block(FLASH_START + 256 * n, data[256 * n:256 * n + 256], n, total, FAMILY[chip]) for n in range(total)]
    return b"".join(([block(0x10FFFF00, b"\xef" * 256, 0, 2, 0xE48BFF57)] if chip == "RP2350" else []) + blocks)


def flashed(file, chip):
    """What a boot ROM writes to the flash; None while blocks for its chip are missing."""
    blocks = [struct.unpack("<8I476sI", file[at:at + 512]) for at in range(0, len(file) // 512 * 512, 512)]
    ours = {number: (total, payload) for _, _, _, _, size, number, total, family, payload, _ in blocks
            if family == FAMILY[chip]}
    if not ours or len(ours) < next(iter(ours.values()))[0]:
        return None
    return b"".join(ours[number][1][:256] for number in sorted(ours))


class Pico:
    """A board: a drive while it is in BOOTSEL mode, a port while a sketch runs. `says`: what the new sketch sends."""

    def __init__(self, folder, name="RPI-RP2", chip="RP2040", says=PASSED):
        self.drive, self.port, self.chip, self.says = folder / "media" / name, folder / f"{name}.port", chip, says
        self.new_sketch, self.got, self.takes_files, self.stop = self.talk, None, True, threading.Event()
        self.thread = None

    def start(self, work):
        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def bootsel(self):
        """Plugged in with the button held down."""
        self.show_drive()
        self.start(self.wait_for_file)

    def running(self):
        """Plugged in with a sketch of its own."""
        self.start(lambda: self.talk(None, b"something else\r\n"))
        while not self.port.exists():
            self.stop.wait(0.01)

    def show_drive(self):
        hidden = self.drive.with_name(f".{self.drive.name}")
        hidden.mkdir(parents=True)
        (hidden / "INFO_UF2.TXT").write_bytes(INFO[self.chip].encode())
        hidden.rename(self.drive)

    def wait_for_file(self):
        while not self.stop.wait(0.02):
            for file in self.drive.glob("*.uf2") if self.takes_files else ():
                self.got = file.read_bytes() if flashed(file.read_bytes(), self.chip) else None
            if self.got:
                shutil.rmtree(self.drive)
                return self.new_sketch(flashed(self.got, self.chip), self.says)

    def talk(self, program, says):
        """Send a text again and again to who opens the port; at 1200 baud, go into BOOTSEL mode."""
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self.port.symlink_to(os.ttyname(theirs))
        try:
            while not self.stop.wait(0.05):
                if termios.tcgetattr(theirs)[4] == termios.B1200:
                    self.port.unlink()
                    self.show_drive()
                    return self.wait_for_file()
                if select.select([], [ours], [], 0)[1]:
                    os.write(ours, says)
        finally:
            self.port.unlink(missing_ok=True)
            os.close(ours)
            os.close(theirs)

    def close(self):
        self.stop.set()
        if self.thread:
            self.thread.join(10)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A computer with arduino-cli, both cores and no board. Boards that are made by `new` are found, and closed."""
    folder, made = tmp_path / "stand_in", []
    (folder / "bin").mkdir(parents=True)
    (folder / "cores").write_text("rp2040:rp2040 SparkFun:apollo3")
    (folder / "binary").write_bytes(uf2(bytes(range(256)) * 40))
    program = folder / "bin" / "arduino-cli"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/pico/arduino_cli.py" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("STAND_IN", str(folder))
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(arduino, "build_dir", lambda: tmp_path / "build")
    monkeypatch.setattr(flash, "MOUNTS", (f"{tmp_path}/media/*",))
    monkeypatch.setattr(list_ports, "comports", lambda: [
        Info(device=str(board.port), vid=vendor, description="a board")
        for board, vendor in made if board.port.exists()])

    def new(*args, vendor=0x2E8A, **options):
        made.append((Pico(tmp_path, *args, **options), vendor))
        return made[-1][0]

    yield Info(folder=folder, new=new, build=tmp_path / "build" / "boards",
               calls=lambda: [json.loads(line) for line in (folder / "calls").read_text().splitlines()])
    for board, _ in made:
        board.close()


@pytest.fixture
def hurry(monkeypatch):
    """Nobody waits long for what will not come."""
    for name in ("BOARD_SECONDS", "DRIVE_SECONDS", "RESTART_SECONDS", "HEAR_SECONDS"):
        monkeypatch.setattr(flash, name, 1.5)


def fails(capsys, *words, status=1):
    """The message of a command that must fail in one error."""
    assert main(["flash", *map(str, words)]) == status
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "Traceback" not in err
    return err


@pytest.mark.parametrize("name", [name for name, board in BOARDS.items() if board.chip])
def test_drive_in_bootsel_mode(world, capsys, name):
    chip = BOARDS[name].chip
    (world.folder / "binary").write_bytes(uf2(bytes(range(256)) * 40, chip))
    board = world.new("RP2350" if chip == "RP2350" else "RPI-RP2", chip)
    board.bootsel()
    assert main(["flash", "--board", name]) == 0
    said = capsys.readouterr().out
    assert board.got == (world.build / f"genre_recognizer-{name}.uf2").read_bytes() == uf2(bytes(range(256)) * 40, chip)
    assert "TEST PASSED" in said and "Sketch uses 106640 bytes" in said and "the board listens" in said
    assert world.calls()[-1][:3] == ["compile", "--fqbn", BOARDS[name].fqbn]


def test_board_that_runs_is_restarted_by_its_port(world, capsys):
    board = world.new()
    board.running()
    assert main(["flash"]) == 0
    said = capsys.readouterr().out
    assert board.got and f"restarting the board at {board.port}" in said and "TEST PASSED" in said
    assert "something else" not in said


def test_port_chooses_among_boards(world, capsys):
    """Another board waits in BOOTSEL mode, and a third one runs."""
    ours, waiting, other = world.new("ours"), world.new("waiting"), world.new("other")
    waiting.bootsel()
    ours.running()
    other.running()
    assert main(["flash", "--port", str(ours.port)]) == 0
    assert ours.got and not waiting.got and not other.got and "TEST PASSED" in capsys.readouterr().out


def test_board_in_bootsel_mode_comes_before_one_that_runs(world, capsys):
    ours, other = world.new("ours"), world.new("other", says=b"DECISION\r\n")
    other.running()
    ours.bootsel()
    assert main(["flash"]) == 0 and ours.got and not other.got
    assert f"listening at {ours.port}" in capsys.readouterr().out


def test_board_that_comes_later_is_waited_for(world, capsys, monkeypatch):
    board, real = world.new(), flash.wait_for
    monkeypatch.setattr(flash, "wait_for", lambda poll, what, seconds: (
        board.bootsel() if what == "waiting for a board" else None, real(poll, what, seconds))[1])
    assert main(["flash"]) == 0
    said = capsys.readouterr().out
    assert said.count("no board yet. Hold its button BOOTSEL down") == 1 and "TEST PASSED" in said


def test_recorder_runs_in_the_emulator_as_flashed(world, capsys, tmp_path):
    """The board of this test executes what lay on its drive: the real recorder, which then describes itself."""
    (world.folder / "binary").write_bytes(uf2(build_image("recorder")["bin"].read_bytes()))
    board = world.new()

    def execute(program, says):
        (tmp_path / "program.bin").write_bytes(program)
        with serial_port.serial_port({"bin": tmp_path / "program.bin"}) as emulated:
            board.port.symlink_to(emulated["port"])
            board.stop.wait()
            board.port.unlink()

    board.new_sketch = execute
    board.bootsel()
    assert main(["flash", "--sketch", "recorder"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"READY recorder [\d.]+ on Raspberry Pi Pico, 22050\.0 Hz, 12 bits", said), said
    assert "record --label" in said and (world.build / "recorder-pico.uf2").is_file()


def test_what_the_recognizer_says_in_the_emulator_is_understood(world, capsys):
    says = emulator.emulate(build_image("genre_recognizer"), seconds=0.3)["uart"]
    world.new(says=says).bootsel()
    assert main(["flash"]) == 0 and "TEST PASSED" in capsys.readouterr().out


def test_sketch_that_speaks_when_asked(world, capsys):
    """The recogniser may have said its result before the port was opened. `?` makes it say that again."""
    board = world.new()

    def answer(program, says):
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        board.port.symlink_to(os.ttyname(theirs))
        while not board.stop.is_set():
            if select.select([ours], [], [], 0.05)[0] and b"?" in os.read(ours, 100):
                os.write(ours, says)
        os.close(ours)
        os.close(theirs)

    board.new_sketch = answer
    board.bootsel()
    assert main(["flash"]) == 0 and "TEST PASSED" in capsys.readouterr().out


def test_baud_rate_is_that_of_the_sketch():
    texts = [file.read_text() for file in (FIRMWARE / "genre_recognizer").rglob("*.[ih]*")]
    assert any(str(flash.RECOGNIZER_BAUD) in text for text in texts)


def test_model_of_ones_own(world, capsys, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(FIRMWARE / "genre_recognizer" / "src" / "generated", own)
    (own / "labels.h").write_text((own / "labels.h").read_text() + "// mine\n")
    world.new().bootsel()
    assert main(["flash", "--generated", str(own)]) == 0
    sketch = world.calls()[-1][-1]
    assert "own_model" in sketch and "// mine" in open(f"{sketch}/src/generated/labels.h").read()


def test_without_arduino_cli_the_message_installs_it(world, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name, board in BOARDS.items():
        said = fails(capsys, "--board", name)
        assert "arduino-cli is not installed" in said and "install.sh | BINDIR=" in said
        assert f"arduino-cli core install {board.core} --additional-urls {boards.INDEXES[board.core]}" in said


def test_without_the_core_the_message_installs_it(world, capsys):
    (world.folder / "cores").write_text("rp2040:rp2040")
    said = fails(capsys, "--board", "artemis")
    assert "the core SparkFun:apollo3 is not installed" in said and "install.sh" not in said
    assert said.count("package_sparkfun_apollo3_index.json") == 2 and "core update-index" in said
    assert all(call[0] == "core" for call in world.calls())


def test_compiler_errors_are_shown_from_the_first_on(world, capsys):
    lines = [f"src/mfcc_q15.c:{n}:5: error: 'x{n}' undeclared" for n in range(1, 100)]
    (world.folder / "compile_fails").write_text("\n".join(["Detecting libraries used...", "In function 'f':", *lines]))
    said = fails(capsys)
    assert "building genre_recognizer for Raspberry Pi Pico failed" in said and "core upgrade rp2040:rp2040" in said
    assert "In function 'f'" in said and "'x1' undeclared" in said and "'x50'" not in said and "Detecting" not in said
    assert not list(world.build.glob("*.uf2"))


def test_build_that_writes_nothing_is_an_error(world, capsys, monkeypatch):
    monkeypatch.setattr(arduino, "run_cli", lambda command, *why: "rp2040:rp2040 9.9.9")
    assert "wrote no" in fails(capsys)


def test_no_board(world, capsys, hurry):
    assert re.search("no board found. Hold its button BOOTSEL .*RPI-RP2.*RP2350.*udisksctl", fails(capsys))
    other = world.new("other", vendor=0x1234)
    other.running()
    assert f"no Pico yet, but {other.port} (a board)" in fails(capsys)
    assert "no /dev/nothing yet" in fails(capsys, "--port", "/dev/nothing")


def test_drives_of_other_makers_are_left_alone(world, capsys, hurry, tmp_path):
    (tmp_path / "media" / "FEATHERBOOT").mkdir(parents=True)
    (tmp_path / "media" / "FEATHERBOOT" / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.6\r\nModel: Feather M0\r\n")
    assert "no board found" in fails(capsys)
    assert os.listdir(tmp_path / "media" / "FEATHERBOOT") == ["INFO_UF2.TXT"]


def test_several_boards(world, capsys):
    first, second = world.new("first"), world.new("second")
    first.bootsel()
    second.bootsel()
    assert re.search("several boards are in BOOTSEL mode.*first.*second.*unplug all but one", fails(capsys))
    third, fourth = world.new("third"), world.new("fourth")
    for board in (first, second):
        shutil.rmtree(board.drive)
    third.running()
    fourth.running()
    assert re.search("several boards are plugged in.*choose one with --port", fails(capsys))
    assert not any(board.got for board in (first, second, third, fourth))


@pytest.mark.parametrize("chip, name, other", [("RP2350", "picow", "pico2 or pico2w"),
                                               ("RP2040", "pico2", "pico or picow")])
def test_drive_of_the_other_chip_is_refused(world, capsys, chip, name, other):
    board = world.new("drive", chip)
    board.bootsel()
    said = fails(capsys, "--board", name)
    assert f"a board with an {chip}" in said and f"say --board {other}" in said
    assert os.listdir(board.drive) == ["INFO_UF2.TXT"]


@pytest.mark.parametrize("binary, message", [
    (uf2(b"x" * 3000, "RP2350"), "is not for an RP2040: delete it"),
    (uf2(b"x" * 3000) + uf2(b"x" * 3000, "RP2350"), "is not for an RP2040: delete it"),
    (uf2(b"x" * 3000)[:-1], "is no whole UF2 file"), (b"", "is no whole UF2 file"),
    (b"x" * 1024, "is no whole UF2 file")])
def test_file_that_the_board_could_not_use_is_not_copied(world, capsys, binary, message):
    (world.folder / "binary").write_bytes(binary)
    board = world.new()
    board.bootsel()
    assert message in fails(capsys)
    assert os.listdir(board.drive) == ["INFO_UF2.TXT"]


def failing_open(monkeypatch, drive, number, after):
    """From now on a file of this drive fails with an error after so many writes (-1: when it is opened)."""
    class Failing:
        def __init__(self, *args, **options):
            self.file, self.writes = open(*args, **options), 0
            if after < 0:
                raise OSError(number, os.strerror(number))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            if self.writes == after:
                raise OSError(number, os.strerror(number))
            self.writes += 1
            return self.file.write(data)

    monkeypatch.setattr(flash, "open", Failing, raising=False)


@pytest.mark.parametrize("number, after, message", [
    (errno.EROFS, -1, "0 of 20,480 bytes.*the drive is read-only: pull the board's cable"),
    (errno.EACCES, -1, "you may not write there.*uid="),
    (errno.ENOSPC, 2, "8,192 of 20,480 bytes.*says that it is full"),
    (errno.EIO, 3, "12,288 of 20,480 bytes.*the drive vanished.*another cable"),
    (errno.ENOENT, -1, "the drive vanished"),
    (errno.EFBIG, 0, "pull the board's cable")])
def test_copying_that_fails(world, capsys, monkeypatch, number, after, message):
    board = world.new()
    board.bootsel()
    failing_open(monkeypatch, board.drive, number, after)
    said = fails(capsys)
    assert re.search(message, said) and os.strerror(number) in said and not board.got


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
def test_drive_that_is_full(world, capsys):
    board = world.new()
    board.takes_files = False
    board.bootsel()
    (board.drive / "genre_recognizer-pico.uf2").symlink_to("/dev/full")
    assert re.search("No space left.*the drive says that it is full", fails(capsys))


@pytest.mark.parametrize("number", flash.GONE)
def test_drive_may_vanish_after_the_last_byte(world, capsys, monkeypatch, number):
    def gone(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", gone)
    world.new().bootsel()
    assert main(["flash"]) == 0 and "TEST PASSED" in capsys.readouterr().out


def test_full_drive_is_noticed_at_the_end_too(world, capsys, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    board = world.new()
    board.takes_files = False
    board.bootsel()
    assert "20,480 of 20,480 bytes" in fails(capsys)


def test_board_that_does_not_take_the_file(world, capsys, hurry):
    board = world.new()
    board.takes_files = False
    board.bootsel()
    assert re.search("did not take genre_recognizer-pico.uf2.*Pull the board's cable", fails(capsys))


def test_board_that_does_not_come_back(world, capsys, hurry):
    board = world.new()
    board.new_sketch = lambda program, says: None
    board.bootsel()
    assert re.search("the sketch is copied, but no serial port came back.*another socket", fails(capsys))
    assert board.got


def test_sketch_that_does_not_restart(world, capsys, hurry):
    """A port that is no board: 1200 baud do nothing."""
    ours, theirs = pty.openpty()
    try:
        said = fails(capsys, "--port", os.ttyname(theirs))
    finally:
        os.close(ours)
        os.close(theirs)
    assert re.search("no drive appeared after the restart. Its sketch may hang. Hold its button BOOTSEL", said)


def test_port_that_another_program_uses(world, capsys):
    board = world.new()
    board.running()
    with open(board.port, "rb+", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert re.search("cannot be opened.*close the program that uses it", fails(capsys))
    assert not board.got


@pytest.mark.parametrize("name", [os.devnull, str(ROOT / "LICENSE"), str(ROOT)])
def test_port_that_is_no_serial_port(world, capsys, monkeypatch, name):
    monkeypatch.setattr(flash, "DRIVE_SECONDS", float("inf"))  # no drive is waited for
    assert f"{name} cannot be opened" in (said := fails(capsys, "--port", name)) and "no serial port: choose" in said


def test_port_that_another_program_opens_first(world, capsys):
    """As ModemManager may do when the board comes back."""
    board = world.new()

    def locked(program, says):
        ours, theirs = pty.openpty()
        fcntl.flock(theirs, fcntl.LOCK_EX)
        board.port.symlink_to(os.ttyname(theirs))
        board.stop.wait()

    board.new_sketch = locked
    board.bootsel()
    assert re.search("cannot be opened.*close the program that uses it", fails(capsys))


def test_port_that_fails_to_open_at_1200_baud_is_told_only_if_no_drive_comes(world, capsys, hurry, monkeypatch):
    board = world.new()
    board.running()

    def fails_to_open(self):
        raise serial.SerialException(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(serial.Serial, "open", fails_to_open)
    assert re.search("no drive appeared.*cannot be opened.*does not answer", fails(capsys))


@pytest.mark.parametrize("says, message", [
    (b"TEST FAILED\r\n", "self-test failed: it computes other bits than Python.*newest core"),
    (b"ERROR no DMA channel for the microphone\r\n", "says: ERROR no DMA channel for the microphone. Pull the cable"),
    (b"", "in 1.5 s no bytes came.*Pull the cable"), (b"MicroPython v1.24\r\n", r"in 1.5 s \d+ bytes came.*none says"),
    (b"TEST PASSE\r\n\xff\xfe\r\n", r"\d+ bytes came.*none says that genre_recognizer works")])
def test_sketch_that_does_not_work(world, capsys, hurry, says, message):
    world.new(says=says).bootsel()
    assert re.search(message, fails(capsys))


def test_recorder_is_not_taken_for_ready_by_text(world, capsys, hurry):
    world.new(says=PASSED).bootsel()
    assert "none says that recorder works" in fails(capsys, "--sketch", "recorder")


def test_artemis_is_loaded_by_arduino_cli(world, capsys):
    (world.folder / "binary").write_bytes(b"a program")
    board = world.new("artemis", vendor=flash.ARTEMIS_VENDOR)
    board.start(lambda: board.talk(None, PASSED))
    assert main(["flash", "--board", "artemis"]) == 0 and "TEST PASSED" in capsys.readouterr().out
    call = world.calls()[-1]
    assert call[0] == "upload" and call[call.index("--port") + 1] == str(board.port)
    assert (world.folder / "uploaded").read_bytes() == (world.build / "genre_recognizer-artemis.bin").read_bytes()


def test_artemis_that_can_not_be_loaded(world, capsys, hurry):
    assert "no SparkFun RedBoard Artemis Nano found: plug it in" in fails(capsys, "--board", "artemis")
    board = world.new("artemis", vendor=flash.ARTEMIS_VENDOR)
    board.running()
    (world.folder / "upload_fails").write_text("Error: timed out at port")
    said = fails(capsys, "--board", "artemis")
    assert re.search("loading genre_recognizer.*failed.*Close programs that use the port", said) and "timed out" in said


def test_options_without_effect_are_refused(capsys):
    for words, message in ((["--sketch", "recorder", "--generated", "x"], "doesn't use --generated"),
                           (["--board", "uno"], "invalid choice: 'uno'")):
        with pytest.raises(SystemExit):
            main(["flash", *words])
        assert message in capsys.readouterr().err


def test_firmware_command_builds_both_sketches_for_a_board(world, capsys):
    assert main(["firmware", "--board", "pico2w"]) == 0
    assert sorted(file.name for file in world.build.glob("*.uf2")) == ["genre_recognizer-pico2w.uf2",
                                                                       "recorder-pico2w.uf2"]
    assert "recorder-pico2w.uf2" in capsys.readouterr().out


def test_build_of_a_board_needs_few_packages():
    """The workflow installs only these."""
    code = ("import sys, mgr_helpers.__main__, mgr_helpers.host.arduino\n"
            "print(*{name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))")
    done = subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
                          capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith(("_", "sitecustomize"))}
    assert {"filelock", "tqdm"} <= loaded, loaded
    assert not loaded & {"numpy", "tensorflow", "serial", "soundfile", "scipy", "requests"}, loaded


def test_workflow_builds_every_board():
    yaml = pytest.importorskip("yaml")
    text = (ROOT / ".github" / "workflows" / "firmware.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["build"]["strategy"]["matrix"]["board"] == list(BOARDS)
    uses = re.findall(r"uses: (\S+)", text)
    assert uses and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", use) for use in uses), uses
    for core, index in boards.INDEXES.items():
        assert index in text and re.search(rf"{core}@\d+\.\d+\.\d+", text)
    assert {name: job["permissions"]["contents"] for name, job in jobs.items()} == {"build": "read", "release": "write"}
