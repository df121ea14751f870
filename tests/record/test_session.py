"""The record command over pseudo-terminals: with a Pico that the test plays, and with the emulated Pico."""

import contextlib
import errno
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
import wave

import numpy as np
import pytest
import serial

from mgr_helpers.__main__ import main
from mgr_helpers.pico import emulator
from mgr_helpers.pico.image import build_image
from mgr_helpers.record import protocol, takes, wiring
from mgr_helpers.record import session as record_session
from mgr_helpers.record.session import (LONGEST_SECONDS, RETRY_SECONDS, Link, Session, Settings, find_port, level_meter,
                                        list_ports, ports_found, record_take, review)
from tests import serial_port

pty = pytest.importorskip("pty", reason="pseudo-terminals are for Linux and macOS")
import termios  # noqa: E402
import tty  # noqa: E402

LONG = bool(os.environ.get("MGR_LONG"))
BIAS = 1551
PATIENCE = 120  # seconds to wait on a busy machine


class FakePico:
    """A recorder behind a pseudo-terminal, which sends as fast as the host reads. Tests `plug` and `unplug` it."""

    def __init__(self, link_name):
        self.link_name, self.session, self.ours = link_name, 0, -1

    def plug(self):
        self.ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self.theirs = theirs
        self.link_name.unlink(missing_ok=True)
        self.link_name.symlink_to(os.ttyname(theirs))
        self.session, self.sequence, self.take = self.session + 1, 0, 0
        self.commands = queue.Queue()
        self.plugged = True
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.idle()

    def _read(self):
        while self.plugged:
            if select.select([self.ours], [], [], 0.05)[0]:
                for line in os.read(self.ours, 100).decode().split():
                    self.commands.put(line)

    def wait_for(self, command):
        while not self.commands.get(timeout=PATIENCE).startswith(command):
            pass

    def send(self, frame):
        self.sequence += 1
        self.raw(frame)

    def raw(self, data):
        while data:
            data = data[os.write(self.ours, data):]

    def header(self, **changes):
        return protocol.Header(session=self.session, take=self.take, bias=BIAS, firmware="fake", **changes)

    def idle(self):
        self.send(protocol.header_frame(self.header(), self.sequence))

    def start(self, values):
        """Send the frames of a take but not its end."""
        self.take += 1
        for frame in protocol.take_frames(values, self.header(), self.sequence)[:-1]:
            self.send(frame)

    def end(self, total, lost=0):
        self.send(protocol.end_frame(protocol.End(self.session, self.take, total, lost, BIAS, "button"), self.sequence))

    def unplug(self):
        self.plugged = False
        self.reader.join()  # or its waiting read would keep the terminal open
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def pico(tmp_path):
    fake = FakePico(tmp_path / "board")
    fake.plug()
    yield fake
    fake.link_name.unlink()


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(BIAS - 900, BIAS + 900, count)


def read(path):
    """Counts and sidecar of a take on disk."""
    sidecar = json.loads(path.with_suffix(".json").read_text())
    with wave.open(str(path)) as file:
        assert file.getparams()[:3] == (1, 2, 22050)
        audio = np.frombuffer(file.readframes(10**9), "<i2")
    return (audio.astype(np.int32) >> 4).astype(np.int16) + sidecar["bias"], sidecar


@contextlib.contextmanager
def session_of(pico, tmp_path, **settings):
    """A session that is connected. Frames sent before would be lost, since opening a port empties it."""
    with Link(str(pico.link_name)) as link:
        session = Session(link, Settings("jazz", tmp_path / "recordings", **settings))
        wait_connected(pico, session)
        yield session


def run_until(session, condition):
    """Handle messages until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not so within {PATIENCE} s"
        session.run(0.05)


def wait_connected(pico, session):
    run_until(session, lambda: not pico.commands.empty())
    pico.commands.queue.clear()


def test_takes_are_written_completely(pico, tmp_path):
    with session_of(pico, tmp_path, count=2) as session:
        for seed in (1, 2):
            pico.start(noise(5000, seed))
            pico.end(5000)
        session.run(PATIENCE)
    assert len(session.kept) == 2
    for seed, path in enumerate(session.kept, 1):
        values, sidecar = read(path)
        assert (values == noise(5000, seed)).all() and path.parent.name == "jazz"
        assert sidecar["complete"] and sidecar["end"] == "button" and sidecar["firmware"] == "fake"
    assert not list(tmp_path.glob("recordings/*/.*"))


def test_damaged_frames_become_gaps_in_the_sidecar(pico, tmp_path):
    values = noise(256 * 8)
    pico.take = 1
    frames = protocol.take_frames(values, pico.header(), pico.sequence)
    frames[3] = frames[3][:50] + b"\x01" + frames[3][51:]
    del frames[6]
    with session_of(pico, tmp_path, count=1) as session:
        pico.raw(b"".join(frames))
        session.run(PATIENCE)
    kept, sidecar = read(session.kept[0])
    assert kept.tolist() == np.delete(values, [*range(512, 768), *range(1280, 1536)]).tolist()
    assert not sidecar["complete"] and sidecar["missing"] == 512
    assert sidecar["gaps"] == [{"at": 512, "missing": 256, "cause": "transport"},
                               {"at": 1024, "missing": 256, "cause": "transport"}]


def test_unplug_keeps_the_take_and_goes_on(pico, tmp_path, capsys):
    with session_of(pico, tmp_path, count=2) as session:
        pico.start(noise(7000))
        run_until(session, lambda: session.writer and session.writer.samples == 7000)
        pico.unplug()
        run_until(session, lambda: session.kept)
        values, sidecar = read(session.kept[0])
        assert (values == noise(7000)).all() and not sidecar["complete"] and sidecar["end"] == "unplugged"
        pico.plug()
        wait_connected(pico, session)
        pico.start(noise(1000, 5))
        pico.end(1000)
        session.run(PATIENCE)
    values, sidecar = read(session.kept[1])
    assert (values == noise(1000, 5)).all() and sidecar["complete"]
    said = capsys.readouterr().out
    assert "unplugged" in said and said.count("connected to") == 2


def test_take_joined_in_the_middle_is_marked_incomplete(pico, tmp_path):
    pico.take = 1
    frames = protocol.take_frames(noise(2560), pico.header(), 0)[5:]
    with session_of(pico, tmp_path, count=1) as session:
        pico.raw(b"".join(frames))
        session.run(PATIENCE)
    _, sidecar = read(session.kept[0])
    assert sidecar["gaps"][0] == {"at": 0, "missing": 1024, "cause": "transport"} and not sidecar["complete"]
    assert sidecar["firmware"] == "unknown"  # no header came; the bias is the mean of the samples


def start_script(pico, tmp_path, *words):
    command = [sys.executable, "-m", "mgr_helpers", "record", "--label", "metal", "--port", str(pico.link_name),
               "--output", str(tmp_path / "recordings"), "--yes", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def part_of(tmp_path, samples):
    """The .part file, once it holds so many samples."""
    for _ in range(200):
        parts = list((tmp_path / "recordings" / "metal").glob(".*.wav.part"))
        if parts and parts[0].stat().st_size >= 44 + 2 * samples:
            return parts[0]
        time.sleep(0.05)
    raise AssertionError("the script wrote no take")


def test_script_starts_takes_and_stops_after_them(pico, tmp_path):
    script = start_script(pico, tmp_path, "--start", "--takes", "2", "--seconds", "0.1")
    pico.wait_for("L2205")
    pico.wait_for("H")
    pico.idle()
    for seed in (1, 2):
        pico.wait_for("R")
        pico.start(noise(2205, seed))
        pico.end(2205)
        pico.idle()
    out, err = script.communicate(timeout=20)
    assert script.returncode == 0 and "2 takes" in out and not err
    assert len(list(tmp_path.glob("recordings/metal/metal_*.wav"))) == 2


def interrupted_take(pico, tmp_path, count):
    """A script in the middle of a take, to which Ctrl-C has come."""
    script = start_script(pico, tmp_path)
    pico.wait_for("H")
    pico.start(noise(count))
    part_of(tmp_path, count)
    script.send_signal(signal.SIGINT)
    return script


def test_ctrl_c_keeps_what_was_recorded(pico, tmp_path):
    script = interrupted_take(pico, tmp_path, 9000)
    pico.wait_for("S")  # the script asks the Pico to end the take, and waits for its end
    pico.end(9000)
    out, err = script.communicate(timeout=20)
    assert script.returncode == 0 and "Traceback" not in err
    (path,) = tmp_path.glob("recordings/metal/*.wav")
    values, sidecar = read(path)
    assert (values == noise(9000)).all() and sidecar["complete"]


def test_ctrl_c_with_a_silent_pico(pico, tmp_path):
    script = interrupted_take(pico, tmp_path, 3000)
    assert script.wait(timeout=20) == 0
    (path,) = tmp_path.glob("recordings/metal/*.wav")
    values, sidecar = read(path)
    assert (values == noise(3000)).all() and sidecar["end"] == "stopped" and not sidecar["complete"]
    script.communicate()


def test_ctrl_c_before_all_takes_are_there(pico, tmp_path):
    """A script that wants two takes must see that there is but one."""
    script = start_script(pico, tmp_path, "--takes", "2")
    pico.wait_for("H")
    pico.start(noise(300))
    pico.end(300)
    while "s, peak" not in script.stdout.readline():
        pass
    script.send_signal(signal.SIGINT)
    assert "1 takes in" in script.communicate(timeout=20)[0] and script.returncode == 130


def test_ctrl_c_again_names_how_to_recover_the_take(pico, tmp_path):
    script = interrupted_take(pico, tmp_path, 3000)
    pico.wait_for("S")
    script.send_signal(signal.SIGINT)
    out, err = script.communicate(timeout=20)
    assert "unfinished take: record to this folder again to recover it" in out
    assert script.returncode == 130 and err == "\nstopped\n"
    (path,) = takes.recover(tmp_path / "recordings")
    assert (read(path)[0] == noise(3000)).all()


@pytest.mark.parametrize("key", ["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize("answers", [[], ["r"], ["r", "metal"]])
def test_ctrl_c_or_ctrl_d_at_the_question_keeps_the_take(pico, tmp_path, monkeypatch, key, answers):
    told, words = [], iter(answers)

    def answer(prompt):
        if (word := next(words, None)) is not None:
            return word
        if key == "ctrl-d":
            raise EOFError
        session.interrupt()

    monkeypatch.setattr(review, "__defaults__", (answer,))
    with session_of(pico, tmp_path, ask=True) as session:
        session.on_take = told.append
        pico.start(noise(300))
        pico.end(300)
        session.run(PATIENCE)
    (path,) = session.kept
    assert session.done and session.interrupted and told == [path] and read(path)[1]["complete"]
    assert path.parent.name == (answers[1] if len(answers) > 1 else "jazz")


def no_room(*args, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_file(path, mode):
    """A file of a disk that has become full."""
    path.touch()
    return open("/dev/full", mode)


def samples(first, count=500):
    return protocol.Samples(0, 0, first, noise(first + count)[first:].astype(np.int16))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
@pytest.mark.parametrize("since", ["the start", "the middle", "the end"])
def test_full_disk_is_explained_and_nothing_is_lost(tmp_path, monkeypatch, since):
    unraisable, writer = [], takes.TakeWriter(tmp_path, "jazz")
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="jazz.*part can't be.*No space left.*make room"):
        if since == "the start":
            patch.setattr(takes, "write_json", no_room)
        elif since == "the middle":
            patch.setattr(takes, "open", full_file, raising=False)
        writer.add(protocol.Header(bias=BIAS))
        writer.add(samples(0))
        patch.setattr(takes, "write_json", no_room)
        writer.finish(protocol.End(0, 0, 500, 0, BIAS, "host"))
    del writer
    assert not unraisable, "the file complained when it was deleted"
    found = takes.recover(tmp_path)
    assert [read(path)[0].tolist() for path in found] == ([noise(500).tolist()] if since == "the end" else [])
    assert not list(tmp_path.glob("*/.*"))


def test_recovery_on_a_full_disk_is_explained_and_can_be_repeated_at_once(tmp_path, monkeypatch):
    writer = takes.TakeWriter(tmp_path, "jazz")
    for event in (protocol.Header(bias=BIAS), samples(0)):
        writer.add(event)
    assert takes.recover(tmp_path) == [], "a take that is still written was taken away"
    del writer, event  # as when the script ends
    with monkeypatch.context() as patch, pytest.raises(OSError, match="part can't be written.*make room"):
        patch.setattr(takes, "write_json", no_room)
        takes.recover(tmp_path)
    (path,) = takes.recover(tmp_path)
    assert read(path)[0].tolist() == noise(500).tolist()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_full_disk_is_told_before_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(takes.tempfile, "TemporaryFile", lambda dir: open("/dev/full", "wb"))
    with pytest.raises(ValueError, match="can't be written.*No space left"):
        takes.check_folder(tmp_path)


@pytest.mark.parametrize("bits, counts", [
    (12, [1, 0, 4095, 3042, 3000, BIAS, BIAS + 2047]), (12, [BIAS - 80, BIAS + 3]), (16, [32000, 0, 65535, 40000])])
def test_recovered_take_has_the_figures_of_its_samples(tmp_path, bits, counts):
    """All but what the WAV's int16 can't hold: beyond it the peak is the limit."""
    bias, sidecars = BIAS if bits == 12 else 32768, []
    for killed in (False, True):
        writer = takes.TakeWriter(tmp_path / str(killed), "jazz")
        for event in (protocol.Header(bias=bias, bits=bits),
                      protocol.Samples(0, 0, 0, np.array(counts, np.int16 if bits == 12 else np.uint16))):
            writer.add(event)
        if not killed:
            path = writer.finish(protocol.End(0, 0, len(counts), 0, bias, "host"))
        else:
            del writer
            (path,) = takes.recover(tmp_path / str(killed))
        sidecars.append(json.loads(path.with_suffix(".json").read_text()))
    whole, recovered = sidecars
    assert (recovered["clipped"], recovered["saturated"]) == (whole["clipped"], whole["saturated"])
    assert recovered["peak"] == (min(whole["peak"], 2048) if bits == 12 else whole["peak"])
    assert whole["saturated"] or recovered["mean"] == whole["mean"]
    assert f"peak {takes.level(recovered['peak'], bits):.0f} dB" in takes.summary(path)


def test_killed_script_loses_nothing(pico, tmp_path):
    script = start_script(pico, tmp_path)
    pico.wait_for("H")
    pico.start(noise(6000))
    part_of(tmp_path, 6000)
    assert takes.recover(tmp_path / "recordings") == []  # it is still written
    script.kill()
    script.communicate()
    assert not list(tmp_path.glob("recordings/metal/*.wav"))
    (path,) = takes.recover(tmp_path / "recordings")
    values, sidecar = read(path)
    assert (values == noise(6000)).all() and sidecar["recovered"] and not sidecar["complete"]
    assert sidecar["samples"] == 6000 and not list(tmp_path.glob("recordings/*/.*"))


def test_recover_corrects_the_header_of_a_cut_off_wav(tmp_path):
    folder = tmp_path / "jazz"
    folder.mkdir()
    part = folder / ".jazz_1.wav.part"
    with wave.open(str(part), "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", ""))
        file.writeframes(np.arange(100, dtype="<i2").tobytes())
    with open(part, "ab") as file:
        file.write(b"\1\0\2")  # one sample and a half, not counted in the header
    (path,) = takes.recover(tmp_path)
    with wave.open(str(path)) as file:
        assert file.getnframes() == 101
    assert "101" in path.with_suffix(".json").read_text() and "INCOMPLETE" in takes.summary(path)  # it had no sidecar
    (folder / ".jazz_2.wav.part").write_bytes(b"RIFF")
    assert takes.recover(tmp_path) == [] and not list(folder.glob(".*"))


def a_part(folder):
    (folder / "jazz").mkdir()
    part = folder / "jazz" / ".jazz_1.wav.part"
    with wave.open(str(part), "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", ""))
        file.writeframes(np.arange(100, dtype="<i2").tobytes())
    return part


@pytest.mark.parametrize("damaged", ['{"gap', "[]", "7"])
def test_a_damaged_sidecar_prevents_no_recovery(tmp_path, damaged):
    a_part(tmp_path).with_name("jazz_1.json").write_text(damaged)
    (path,) = takes.recover(tmp_path)
    assert read(path)[1]["samples"] == 100 and "INCOMPLETE" in takes.summary(path)


def test_without_locks_a_fresh_part_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(takes, "_lock", lambda file: None)
    part = a_part(tmp_path)
    assert takes.recover(tmp_path) == []
    os.utime(part, (0, 0))
    assert len(takes.recover(tmp_path)) == 1


def test_a_part_of_another_user_is_named_and_left_alone(tmp_path, monkeypatch, capsys):
    part = a_part(tmp_path)
    denied = (PermissionError(13, "Permission denied") for _ in range(1))
    monkeypatch.setattr(takes, "open", lambda *_: denied.throw(next(denied)), False)
    assert takes.recover(tmp_path) == [] and part.exists()
    assert ".jazz_1.wav.part is left alone: Permission denied" in capsys.readouterr().out


def test_memory_does_not_grow_with_a_take(pico, tmp_path):
    psutil = pytest.importorskip("psutil")
    script = start_script(pico, tmp_path)
    pico.wait_for("H")
    pico.take, block = 1, noise(256)
    pico.send(protocol.header_frame(pico.header(recording=True), pico.sequence))
    sizes = []
    for index in range(86 * 60 * 4):  # four minutes of samples
        pico.send(protocol.samples_frame(pico.session, 1, pico.sequence, 256 * index, block))
        if index % (86 * 60) == 86 * 30:
            sizes.append(psutil.Process(script.pid).memory_info().rss)
    part_of(tmp_path, 256 * 86 * 60 * 4)
    script.send_signal(signal.SIGINT)
    script.communicate(timeout=20)
    assert sizes[-1] - sizes[1] < 4e6, sizes  # two minutes of samples are 5 MB, as frames or as audio
    (path,) = tmp_path.glob("recordings/metal/*.wav")
    assert read(path)[1]["samples"] == 256 * 86 * 60 * 4


def test_take_in_the_text_format(pico, tmp_path):
    with session_of(pico, tmp_path, count=1, text_format=True) as session:
        pico.raw(b"22050\r\n1000\r\n" + b"".join(b"%d\r\n" % (n % 300 - 150) for n in range(1000)))
        session.run(PATIENCE)
    values, sidecar = read(session.kept[0])
    assert (values == np.arange(1000) % 300 - 150).all() and sidecar["firmware"] == "text format"


def test_port_in_use_is_explained(pico, tmp_path):
    with Link(str(pico.link_name)) as first:
        assert first.messages.get(timeout=5)[0] == "connected"
        with Link(str(pico.link_name), patient=False) as second:
            kind, error = second.messages.get(timeout=5)
        assert kind == "failed" and "close the program that uses it" in str(error)
        with Link(str(pico.link_name)) as third:
            kind, text = third.messages.get(timeout=5)
            assert kind == "waiting" and "close the program that uses it. Trying again" in text
            first.__exit__()
            assert third.messages.get(timeout=5)[0] == "connected"


def test_find_port(monkeypatch):
    from types import SimpleNamespace as Info
    boards = [Info(device="COM3", vid=0x2E8A), Info(device="COM1", vid=0x1234)]
    monkeypatch.setattr(list_ports, "comports", lambda: boards)
    assert find_port() == "COM3" and find_port("COM1") == "COM1" and find_port("COM9") is None
    boards.append(Info(device="COM4", vid=0x2E8A))
    with pytest.raises(ValueError, match="COM3, COM4.*--port"):
        find_port()
    assert find_port(before="COM4") == "COM4"


def test_a_second_board_does_not_end_the_session(pico, tmp_path, monkeypatch):
    """It is plugged in while the first one is away: that one is used again."""
    from types import SimpleNamespace as Info
    names = [str(pico.link_name)]
    monkeypatch.setattr(list_ports, "comports", lambda: [Info(device=name, vid=0x2E8A) for name in names])
    with Link() as link:
        session = Session(link, Settings("jazz", tmp_path, count=1))
        wait_connected(pico, session)
        pico.unplug()
        names.append(str(tmp_path / "another"))
        pico.plug()
        wait_connected(pico, session)
        pico.start(noise(300))
        pico.end(300)
        session.run(PATIENCE)
    assert len(session.kept) == 1


def test_port_that_is_no_serial_port_is_told_once_and_tried_again(tmp_path):
    command = [sys.executable, "-m", "mgr_helpers", "record", "--label", "jazz", "--port", os.devnull, "--yes",
               "--output", str(tmp_path)]
    script = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = script.stdout.readline()
    time.sleep(5 * RETRY_SECONDS)
    assert script.poll() is None, "it gave up"
    script.send_signal(signal.SIGINT)
    rest, err = script.communicate(timeout=20)
    assert script.returncode == 130 and rest.startswith("0 takes")
    assert line.startswith(f"{os.devnull} cannot be opened") and "no serial port" in line and "--port" in line
    assert "cannot be opened" not in rest + err and "Traceback" not in err


def fails(name, number, by_termios):
    """An error as pyserial raises it."""
    text = f"[Errno {number}] {os.strerror(number)}: {name!r}"
    if not by_termios:
        raise serial.SerialException(number, f"could not open port {name}: {text}")
    try:
        raise termios.error(number, os.strerror(number))
    except termios.error as error:
        raise serial.SerialException(f"Could not configure port: {error}")  # noqa: B904 - as pyserial does


@pytest.mark.parametrize("number, by_termios, advice", [
    (errno.EAGAIN, False, "close the program"), (errno.EBUSY, False, "ModemManager"),
    (errno.EIO, False, "plug it in again"), (errno.EIO, True, "plug it in again"),
    (errno.EPROTO, True, "another cable"), (errno.EISDIR, False, "--port"),
    (errno.EINVAL, True, "--port"), (errno.ENOTTY, True, "--port"), (errno.ENXIO, False, "plug the board in"),
])
def test_port_that_opens_in_the_end(pico, tmp_path, monkeypatch, capsys, number, by_termios, advice):
    """The reason is told once, with what to do, and the port is used as soon as it can be opened."""
    tries, real = [], serial.Serial

    def serial_port_of(name, *args, **options):
        tries.append(name)
        return real(name, *args, **options) if len(tries) > 6 else fails(name, number, by_termios)

    monkeypatch.setattr(serial, "Serial", serial_port_of)
    with session_of(pico, tmp_path, count=1) as session:
        pico.start(noise(500))
        pico.end(500)
        session.run(PATIENCE)
    told = [line for line in capsys.readouterr().out.splitlines() if "cannot be opened" in line]
    assert len(told) == 1 and advice in told[0] and os.strerror(number) in told[0] and len(session.kept) == 1


def test_error_of_a_moment_is_not_told(pico, tmp_path, monkeypatch, capsys):
    """While a board is plugged in its port exists but can't be opened yet: also the right to use it comes late."""
    tries, real = [], serial.Serial

    def serial_port_of(name, *args, **options):
        tries.append(name)
        return real(name, *args, **options) if len(tries) > 2 else fails(name, errno.EACCES, False)

    monkeypatch.setattr(serial, "Serial", serial_port_of)
    with session_of(pico, tmp_path):
        assert "cannot be opened" not in capsys.readouterr().out


def test_a_port_that_talks_but_sends_no_frames_is_told(tmp_path, monkeypatch, capsys):
    """Another program's board: its lines come more often than the script looks for silence."""
    monkeypatch.setattr(record_session, "SILENT_SECONDS", 0.4)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with Link(os.ttyname(theirs)) as link:
        session = Session(link, Settings("jazz", tmp_path))
        for _ in range(40):
            os.write(ours, b"hello\n")
            session.run(0.03)
    assert capsys.readouterr().out.count("no frame has come from this port") == 1
    os.close(ours), os.close(theirs)


def test_silence_of_a_board_is_told_once(pico, tmp_path, monkeypatch, capsys):
    """Before a take and in its middle, while its port stays."""
    monkeypatch.setattr(record_session, "SILENT_SECONDS", 0.4)
    with session_of(pico, tmp_path) as session:
        session.run(1)
        assert capsys.readouterr().out.count("no frame has come from this port") == 1  # it never answered
        pico.start(noise(300))
        run_until(session, lambda: session.writer and session.writer.samples == 300)
        session.run(1)
        said = capsys.readouterr().out
        assert said.count("the board sends nothing: what was recorded is kept") == 1 and "Ctrl-C" in said
        pico.end(300)
        run_until(session, lambda: session.kept)
    assert read(session.kept[0])[1]["complete"]


def test_another_version_of_the_protocol_is_told_once(pico, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record_session, "SILENT_SECONDS", 0.4)
    frames = [protocol.header_frame(pico.header(version=2), number) for number in range(20)]
    with session_of(pico, tmp_path) as session:
        for frame in frames:
            pico.raw(frame)
            session.run(0.05)
    said = capsys.readouterr().out
    assert said.count("the Pico speaks protocol 2, this helper 1: update the older one") == 1 and "no frame" not in said


@pytest.mark.parametrize("sent, told", [(b"\xff\0noise\n", "leave out --format text"), (b"", "press its button")])
def test_a_port_without_the_books_text_is_told(pico, tmp_path, monkeypatch, capsys, sent, told):
    monkeypatch.setattr(record_session, "SILENT_SECONDS", 0.4)
    with session_of(pico, tmp_path, text_format=True, count=1) as session:
        for _ in range(20):
            pico.raw(sent)
            session.run(0.05)
        assert capsys.readouterr().out.count(told) == 1
        pico.raw(b"22050\r\n2\r\n1\r\n2\r\n")
        session.run(PATIENCE)
        session.settings.count = 2
        session.run(1)  # after a take, silence is no fault
    assert told not in (said := capsys.readouterr().out) and "sends nothing" not in said and len(session.kept) == 1


def test_port_without_permission_ends_the_script(pico, monkeypatch):
    monkeypatch.setattr(serial, "Serial", lambda name, *args, **options: fails(name, errno.EACCES, False))
    with Link(str(pico.link_name)) as link:
        kind, error = link.messages.get(timeout=5)
    assert kind == "failed" and "usermod -aG dialout" in str(error)


@pytest.mark.parametrize("vendor, name", [(0x239A, "Feather RP2040"), (0x1B4F, "Thing Plus RP2040"),
                                          (0x2341, "Nano RP2040 Connect"), (0x3343, "Beetle RP2040")])
def test_boards_of_other_makers_are_listed(tmp_path, monkeypatch, capsys, vendor, name):
    from types import SimpleNamespace as Info
    boards = [Info(device="/dev/ttyS0", vid=None, description="n/a"),
              Info(device="/dev/ttyACM7", vid=vendor, description=name)]
    monkeypatch.setattr(list_ports, "comports", lambda: boards)
    with Link() as link:
        Session(link, Settings("jazz", tmp_path)).run(4 * RETRY_SECONDS)
    said = capsys.readouterr().out
    assert said.count(f"/dev/ttyACM7 ({name})") == 1 and "--port" in said and "ttyS0" not in said
    assert "/dev/ttyACM9 yet" in ports_found("/dev/ttyACM9")
    boards[1].vid = 0x2E8A  # Waveshare, Seeed: found as a Pico is
    assert find_port() == "/dev/ttyACM7"


def test_take_longer_than_its_counters_is_refused(tmp_path):
    assert LONGEST_SECONDS * protocol.Header().rate < 2**32  # the firmware's `planned`
    Settings("jazz", tmp_path, seconds=LONGEST_SECONDS)
    with pytest.raises(ValueError, match="has no sample"):
        Settings("jazz", tmp_path, seconds=1e-5)
    for seconds in (LONGEST_SECONDS + 1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="too long.*27 hours"):
            Settings("jazz", tmp_path, seconds=seconds)
    command = [sys.executable, "-m", "mgr_helpers", "record", "--label", "jazz", "--port", os.devnull, "--yes",
               "--seconds", "200000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode and "from 0 to 86400" in done.stderr and "Traceback" not in done.stderr


def kept_take(tmp_path, label="jazz"):
    writer = takes.TakeWriter(tmp_path, label)
    writer.add(protocol.Header(bias=BIAS))
    writer.add(protocol.Samples(0, 0, 0, noise(500).astype(np.int16)))
    return writer.finish(protocol.End(0, 0, 500, 0, BIAS, "host"))


def test_save_takes_from_memory(tmp_path):
    header = protocol.Header(bias=BIAS)
    second_header = protocol.replace(header, take=1)
    frames = protocol.take_frames(noise(1000), header) + protocol.take_frames(noise(600, 1), second_header, 6)
    del frames[2]
    first, second = takes.save_takes(b"".join(frames), "jazz", tmp_path)
    assert read(first)[0].tolist() == np.delete(noise(1000), range(256, 512)).tolist()
    assert read(first)[1]["missing"] == 256
    assert (read(second)[0] == noise(600, 1)).all() and read(second)[1]["complete"]


def test_review_relabels_and_discards(tmp_path):
    path = kept_take(tmp_path, "old_label")
    answers = iter(["r", "no/label", "r", "metal", ""])
    new, stopped = review(path, lambda prompt: next(answers))
    assert not stopped and new.parent.name == "metal" and new.name == f"metal_{path.name.removeprefix('old_label_')}"
    assert read(new)[1]["label"] == "metal" and not list(path.parent.iterdir())
    assert review(new, lambda prompt: "d") == (None, False) and not list(new.parent.iterdir())


def test_relabelling_to_the_same_label_loses_nothing(tmp_path):
    path = kept_take(tmp_path, "jazz")
    answers = iter(["r", "jazz", ""])
    assert review(path, lambda prompt: next(answers)) == (path, False)
    assert read(path)[1]["label"] == "jazz"


def test_a_folder_that_takes_no_takes_is_told_before_recording(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    words = ["record", "--label", "jazz", "--port", os.devnull, "--yes", "--output"]
    for folder in (tmp_path / "file", tmp_path):
        (tmp_path / "jazz").write_text("")
        assert main([*words, str(folder)]) == 1
        said = capsys.readouterr()
        assert "takes can't be written to" in said.err and "--output" in said.err and said.out == ""


def test_clipping_and_saturation_are_counted(tmp_path):
    writer = takes.TakeWriter(tmp_path, "jazz")
    writer.add(protocol.Header(bias=BIAS))
    writer.add(protocol.Samples(0, 0, 0, np.array([0, 4095, 3042, 3000, 1551], dtype=np.int16)))
    path = writer.finish(protocol.End(0, 0, 5, 0, BIAS, "host"))
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert (sidecar["clipped"], sidecar["saturated"], sidecar["peak"]) == (3, 1, 4095 - BIAS)
    assert "clipped" in takes.summary(path)


def test_labels_must_be_folder_names():
    for label in ("", "a/b", "..", "a b", "x" * 41):
        with pytest.raises(ValueError, match="label"):
            takes.check_label(label)
    assert takes.check_label("jazz-2_é") == "jazz-2_é"


def test_level_meter():
    assert level_meter(takes.level(2048), 10) == "[##########]    0 dB"
    assert level_meter(takes.level(0), 10).startswith("[----------]")


def test_wiring_is_drawn(monkeypatch):
    pytest.importorskip("schemdraw", reason="schemdraw is an extra: pip install schemdraw")
    picture = wiring.draw_wiring().get_imagedata("svg").decode()
    assert all(name in picture for name in ("GP26 (31)", "3V3 (36)", "OUT", "push"))
    names = {"I2S": ("GP18 (24)", "GP19 (25)", "GP20 (26)", "SCK", "WS", "SD", "L/R"), "PDM": ("Artemis", "D10")}
    for microphone, expected in names.items():
        picture = wiring.draw_wiring(microphone).get_imagedata("svg").decode()
        assert all(name in picture for name in (*expected, "push")) and "GP26" not in picture
    monkeypatch.setitem(sys.modules, "schemdraw", None)
    with pytest.raises(ImportError, match="pip install schemdraw"):
        wiring.draw_wiring()


def pin_at(column, row):
    """What a hole of the breadboard is connected to. The Pico's USB is to the left: 40 to 21 above, 1 to 20 below."""
    if column <= 20:
        return str(41 - column if row < "f" else column)
    if column >= 25 and row < "f":
        return wiring.MICROPHONE[column - 25]
    return {21: "button", 23: "button, other side"}[column]


def test_wires_of_the_breadboard_join_the_pins_of_the_circuit():
    joined = {name: (pin_at(*one), pin_at(*other)) for name, _, one, other in wiring.WIRES}
    assert joined == {"3V3 (36)": ("36", "VDD"), "VDD to GAIN": ("VDD", "GAIN"), "AGND (33)": ("33", "GND"),
                      "GP26 (31)": ("31", "OUT"), "GND (13)": ("13", "button, other side"),
                      "GP10 (14)": ("14", "button")}
    texts = {text.get_text() for text in wiring.draw_breadboard().texts}
    assert texts >= {*joined, *wiring.MICROPHONE, "Raspberry Pi Pico", "MAX9814", "button"}


# --- the sketch itself --------------------------------------------------------------------------------------

def music(seconds, seed=0):
    """ADC counts of a tone and noise, at a changing level."""
    t = np.arange(round(seconds * 22050)) / 22050
    wave_ = np.sin(2 * np.pi * 440 * t) * (1 + np.sin(2 * np.pi * 0.7 * t)) * 300
    return np.clip(np.rint(BIAS + wave_ + np.random.default_rng(seed).normal(0, 60, len(t))), 0, 4095).astype(np.uint16)


@pytest.fixture(scope="module")
def image():
    try:
        return build_image("recorder")
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no compiler for the emulated Pico: {error}")


def find(delivered, values):
    """Places in the delivered counts where the whole take stands."""
    starts = np.flatnonzero(delivered[:len(delivered) - len(values) + 1] == values[0])
    return [at for at in starts if np.array_equal(delivered[at:at + len(values)], values)]


@pytest.mark.slow
def test_emulated_pico_loses_no_sample(image, tmp_path):
    """Sketch and script together: every sample arrives as the ADC delivered it."""
    seconds = 60 if LONG else 4
    with serial_port.serial_port(image, music(seconds + 300)) as board:  # enough for a slow start
        command = [sys.executable, "-m", "mgr_helpers", "record", "--label", "jazz", "--port", board["port"], "--yes",
                   "--seconds", str(seconds), "--takes", "1", "--start", "--output", str(tmp_path)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        board["unplug"]()
        result = board["result"]()
    (path,) = tmp_path.glob("jazz/*.wav")
    values, sidecar = read(path)
    assert len(find(result["adc"].astype(np.int16), values)) == 1
    assert sidecar["complete"] and sidecar["missing"] == 0 and abs(sidecar["seconds"] - seconds) < 0.001
    assert abs(sidecar["true_sample_rate"] / result["adc_rate"] - 1) < 1e-4
    spectrum = np.abs(np.fft.rfft((values[:22050 * 3] - BIAS) * np.hanning(22050 * 3)))
    assert abs(spectrum.argmax() / 3 - 440) < 0.5  # the right pitch


def test_button_and_led_of_the_emulated_pico(image):
    adc = music(3)
    bounces = [[0.0, 10, 1], [0.5, 10, 0], [0.504, 10, 1], [0.508, 10, 0], [0.7, 10, 1], [1.5, 10, 0], [1.8, 10, 1]]
    result = emulator.emulate(image, adc, seconds=2.2, events=bounces)
    takes, errors = protocol.decode_takes(result["uart"])
    assert len(takes) == 1 and not errors and not takes[0].gaps and takes[0].end.reason == "button"
    assert len(find(result["adc"].astype(np.int16), takes[0].values)) == 1
    led = [(round(at, 1), value) for at, pin, value in result["pins"] if pin == 25]
    assert led[-2:] == [(0.5, 1), (1.5, 0)]


def test_record_take(image, tmp_path):
    with serial_port.serial_port(image, music(10)) as board:
        path = record_take("disco", 1.0, board["port"], tmp_path)
    assert read(path)[1]["complete"] and abs(read(path)[1]["seconds"] - 1.0) < 0.001
    with pytest.raises(TimeoutError, match="plugged in"):
        record_take("disco", -9.5, str(tmp_path / "no port"), tmp_path)


@pytest.mark.slow
@pytest.mark.alone
def test_overrun_of_the_sampling_is_reported(image, tmp_path):
    """The sketch does nothing for half a second: blocks of the ADC are lost, and it reports how many samples."""
    with serial_port.serial_port(image, music(30), pace=1.0) as board:  # else a busy host sends its command too late
        link = Link(board["port"])
        session = Session(link, Settings("jazz", tmp_path, seconds=3.0, count=1, start=True))
        with link:
            run_until(session, lambda: session.writer and session.writer.samples >= 22050)
            link.send("W500")
            session.run(PATIENCE)
        board["unplug"]()
        delivered = board["result"]()["adc"].astype(np.int16)
    values, sidecar = read(session.kept[0])
    assert sidecar["gaps"] and not sidecar["complete"] and {gap["cause"] for gap in sidecar["gaps"]} == {"overrun"}
    (start,) = find(delivered, values[: sidecar["gaps"][0]["at"]])
    after = values[sidecar["gaps"][-1]["at"]:]
    assert find(delivered, after) == [start + len(values) - len(after) + sidecar["missing"]]


def test_unplugging_the_emulated_pico(image, tmp_path):
    """The cable is pulled during a take: what was sampled is on disk, and the next board is used."""
    place, adc = tmp_path / "board", music(12)
    with Link(str(place)) as link:
        session = Session(link, Settings("jazz", tmp_path, count=2, start=True, seconds=2.0))
        with serial_port.serial_port(image, adc, pace=1.0) as board:
            place.symlink_to(board["port"])
            run_until(session, lambda: session.writer and session.writer.samples >= 9000)
            board["unplug"]()
            delivered = board["result"]()["adc"].astype(np.int16)
        run_until(session, lambda: session.kept)
        place.unlink()
        with serial_port.serial_port(image, adc) as board:
            place.symlink_to(board["port"])
            session.run(PATIENCE)
    (first, about), (_, second) = map(read, session.kept)
    assert len(first) >= 9000 and len(find(delivered, first)) == 1 and about["end"] == "unplugged"
    assert not about["complete"] and second["complete"] and abs(second["seconds"] - 2.0) < 0.001


@pytest.mark.skipif(not LONG, reason="takes 15 minutes: MGR_LONG=1")
def test_soak_of_half_an_hour(image, tmp_path):
    """30 emulated minutes in one take: no sample is lost, and the script's memory does not grow."""
    import psutil
    with serial_port.serial_port(image, music(1840)) as board:
        command = [sys.executable, "-m", "mgr_helpers", "record", "--label", "jazz", "--port", board["port"], "--yes",
                   "--seconds", "1800", "--takes", "1", "--start", "--output", str(tmp_path)]
        script, sizes = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE), []
        while script.poll() is None:
            sizes.append(psutil.Process(script.pid).memory_info().rss / 1e6)
            time.sleep(5)
        board["unplug"]()
        delivered = board["result"]()["adc"].astype(np.int16)
    (path,) = tmp_path.glob("jazz/*.wav")
    values, sidecar = read(path)
    sizes = [size for size in sizes[3:] if size]  # without its start; 0 is a process that has just ended
    print(f"{len(values)} samples, {sidecar['missing']} missing; memory {min(sizes):.1f} to {max(sizes):.1f} MB")
    assert sidecar["complete"] and len(find(delivered, values)) == 1 and len(values) > 1799 * 22050
    assert max(sizes) - sizes[0] < 5


def test_gaps_of_a_killed_take_are_recovered(tmp_path):
    writer = takes.TakeWriter(tmp_path, "jazz")
    writer.add(protocol.Header())
    for event in (protocol.Samples(1, 1, 0, np.full(500, 1600)), protocol.Gap(1, 1, 500, 70, "transport"),
                  protocol.Samples(1, 1, 570, np.full(300, 1600))):
        writer.add(event)
    del writer  # the script is killed here
    path, = takes.recover(tmp_path)
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["recovered"] and sidecar["samples"] == 800
    assert sidecar["gaps"] == [{"at": 500, "missing": 70, "cause": "transport"}]
