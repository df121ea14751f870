"""Record labelled takes from a Pico that runs firmware/recorder: ``python -m mgr_helpers record --label jazz``.

A take goes to disk while it is recorded: `data/recordings/<label>/.<name>.wav.part` grows, and becomes `<name>.wav`
when the take ends, is stopped, or its cable is pulled. Beside it, `<name>.json` says how it was made and what is
missing.
Explained in notebooks/01_record_audio.ipynb.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import signal
import sys
import threading
import time
import wave
from pathlib import Path

import numpy as np
import serial
from serial.tools import list_ports
from tqdm.auto import tqdm

from ..config import CONFIG, DATA
from ..host.files import shown
from . import drive, takes
from .book_text import TextDecoder
from .protocol import Decoder, End, Event, Gap, Header, Samples

PICO_VENDOR = 0x2E8A  # Raspberry Pi's USB vendor id
BAUD = 921600  # a USB port doesn't care
RETRY_SECONDS = 0.3  # between looks for the port
SILENT_SECONDS = 5.0  # a port that sends no frame for so long is not our sketch
STOP_SECONDS = 2.0  # that the Pico has to end a take after Ctrl-C
METER_DB = 48


# --- the port -----------------------------------------------------------------------------------------------

def find_port(port: str | None = None) -> str | None:
    """Name of the Pico's serial port, None while there is none.

    Parameters
    ----------
    port : str, optional
        The port to use, by name. Without it, the one whose USB vendor id is Raspberry Pi's.

    Raises
    ------
    ValueError
        When several boards are plugged in; the message names their ports.
    """
    known = list(list_ports.comports())
    if port is not None:
        return port if Path(port).exists() or port in [info.device for info in known] else None
    picos = sorted(info.device for info in known if info.vid == PICO_VENDOR)
    if len(picos) > 1:
        raise ValueError(f"several boards are plugged in ({', '.join(picos)}): choose one with --port")
    return picos[0] if picos else None


class Link(threading.Thread):
    """Reads the port in the background, opens it again after it was unplugged, and queues what happens.

    `messages` holds ("connected", port name), ("data", bytes), ("gone", reason), ("failed", exception).
    """

    def __init__(self, port: str | None = None) -> None:
        super().__init__(daemon=True)
        self.messages: queue.Queue = queue.Queue()
        self._wanted, self._port, self._stop_asked = port, None, threading.Event()

    def __enter__(self) -> "Link":
        self.start()
        return self

    def __exit__(self, *error) -> None:
        self._stop_asked.set()
        self.join(2)

    def send(self, command: str) -> None:
        """Send a command; nothing happens while no board is there."""
        port = self._port
        if port is not None:
            with contextlib.suppress(serial.SerialException, OSError):  # the reading thread says "gone" then
                port.write(command.encode() + b"\n")

    def run(self) -> None:
        """Body of the thread."""
        try:
            while not self._stop_asked.is_set():
                name = find_port(self._wanted)
                if name is None or not self._read_until_gone(name):
                    self._stop_asked.wait(RETRY_SECONDS)
        except Exception as error:  # noqa: BLE001 - goes to the main thread, which raises it
            self.messages.put(("failed", error))

    def _read_until_gone(self, name: str) -> bool:
        """Read the port until it goes away; False when it could not be opened."""
        try:
            port = serial.Serial(name, BAUD, timeout=0.1, write_timeout=1.0, exclusive=_exclusive())
        except (serial.SerialException, OSError) as error:
            if "ermission" in str(error) or "lock" in str(error):  # not one that is about to come or go
                raise RuntimeError(f"{name} cannot be opened ({error}): close the program that uses it; on Linux, "
                                   "`sudo usermod -aG dialout $USER` and a new login give you the right to") from error
            return False
        with port:
            self._port = port
            self.messages.put(("connected", name))
            try:
                while not self._stop_asked.is_set():
                    data = port.read(max(1, port.in_waiting))
                    if data:
                        self.messages.put(("data", data))
            except (serial.SerialException, OSError) as error:
                self.messages.put(("gone", str(error)))
            finally:
                self._port = None
        return True


def _exclusive() -> bool | None:
    return None if sys.platform == "win32" else True


def level_meter(peak: float, width: int = 24) -> str:
    """A bar for a peak in ADC counts, and its level."""
    filled = round(width * float(np.clip(1 + takes.level(peak) / METER_DB, 0, 1)))
    return f"[{'#' * filled}{'-' * (width - filled)}] {takes.level(peak):4.0f} dB"


class Display:
    """The line at the bottom: level while idle; level, time and progress during a take."""

    def __init__(self) -> None:
        self._bar, self._recording, self._shown = None, False, 0.0

    def show(self, recording: bool, peak: float, seconds: float = 0.0, planned: float = 0.0) -> None:
        """Bring the line up to date, at most ten times a second."""
        if self._bar is None or recording != self._recording:
            self.clear()
            self._recording = recording
            shape = "{desc} {bar:20} {n:.1f} of {total:.1f} s" if planned else "{desc}"
            self._bar = tqdm(total=planned or None, bar_format=shape, disable=None, leave=False)
        if time.monotonic() - self._shown < 0.1:
            return
        self._shown = time.monotonic()
        self._bar.n = round(seconds, 1)
        text = "press the button" if not recording else "recording" if planned else f"recording {seconds:6.1f} s"
        self._bar.set_description_str(f"{text}  {level_meter(peak)}")

    def clear(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def say(text: str) -> None:
    """A line above the display."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def play(path: Path) -> None:
    """Play a take through the loudspeakers.

    Raises
    ------
    RuntimeError
        When the package sounddevice isn't there.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise RuntimeError("playing needs the package sounddevice: pip install sounddevice "
                           "(on Linux also: sudo apt install libportaudio2)") from error
    with wave.open(str(path), "rb") as file:
        audio = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        sounddevice.play(audio, file.getframerate(), blocking=True)


def review(path: Path, ask=input) -> Path | None:
    """Let the user listen to a take, keep, relabel or discard it. Returns where it is, None when discarded."""
    while True:
        try:
            answer = ask("Enter keeps it · p play · r relabel · d discard > ").strip().lower()
            if answer == "":
                return path
            if answer == "p":
                play(path)
            elif answer == "r":
                path = takes.relabel(path, ask("label > ").strip())
                say(shown(path))
            elif answer == "d":
                takes.delete(path)
                return None
        except (RuntimeError, ValueError) as error:
            say(str(error))
        except EOFError:
            return path


# --- the session --------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Settings:
    """What `record` is asked for; `seconds` 0 is until stopped, `takes` 0 until Ctrl-C."""

    label: str
    folder: Path = DATA / "recordings"
    seconds: float = 0.0
    takes: int = 0
    start: bool = False
    ask: bool = False
    text_format: bool = False


class Session:
    """Takes messages of the link and leaves takes on disk. `on_take(path)` is called for each one that is kept."""

    def __init__(self, link: Link, settings: Settings, on_take=lambda path: None) -> None:
        self.link, self.settings, self.on_take = link, settings, on_take
        self.display, self.kept = Display(), []
        self.writer: takes.TakeWriter | None = None
        self.decoder = self._new_decoder()
        self.connected_at: float | None = None
        self.interrupted = False
        self._peak, self._asked_to_start, self._takes = 0, False, 0
        self._asking = self._stopping = False

    def _new_decoder(self) -> Decoder | TextDecoder:
        return TextDecoder() if self.settings.text_format else Decoder()

    @property
    def done(self) -> bool:
        """Whether all takes that were asked for are recorded, or the last one before Ctrl-C has ended."""
        if self._stopping:
            return self.writer is None
        return self.interrupted or bool(self.settings.takes) and self._takes >= self.settings.takes

    def interrupt(self, *signal_and_frame) -> None:
        """Handler of Ctrl-C: the message in hand is handled first. At a question, or the second time, it is at once."""
        if self._asking or self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def run(self, seconds: float = float("inf")) -> None:
        """Handle messages until the takes are done, or for so many seconds."""
        deadline = time.monotonic() + seconds
        while not self.done and time.monotonic() < deadline:
            try:
                kind, value = self.link.messages.get(timeout=0.1)
            except queue.Empty:
                self._check_silence()
                continue
            self.handle(kind, value)

    def handle(self, kind: str, value) -> None:
        """Handle one message of the link."""
        if kind == "data":
            self._events(self.decoder.feed(value))
        elif kind == "connected":
            say(f"connected to {value}")
            self.decoder, self.connected_at, self._asked_to_start = self._new_decoder(), time.monotonic(), False
            self.link.send(f"L{round(self.settings.seconds * Header().rate)}")
            self.link.send("H")
        elif kind == "gone":
            self._events(self.decoder.finish("unplugged"))
            self.display.clear()
            self.connected_at = None
            say("unplugged: what was recorded is kept; waiting for the board to come back")
        else:
            raise value

    def stop(self) -> None:
        """End a running take: ask the Pico to, and keep what there is if it doesn't answer."""
        self._stopping, self.settings.ask = True, False
        if self.writer is not None:
            self.link.send("S")
            self.run(STOP_SECONDS)
        if self.writer is not None:
            self._events(self.decoder.finish("stopped"))
        self.display.clear()

    def _check_silence(self) -> None:
        if self.connected_at and time.monotonic() - self.connected_at > SILENT_SECONDS:
            self.connected_at = None
            if not self.settings.text_format:
                say("nothing that a recorder would send has come from this port: is firmware/recorder on the board? "
                    "(for the book's sketch: --format text)")

    def _events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Header):
                self._header(event)
            elif isinstance(event, End):
                self._end(event)
            elif isinstance(event, (Samples, Gap)):
                self._writer().add(event)
                if isinstance(event, Samples):
                    self._show_take(event)
            elif self.writer is not None:
                self.writer.add(event)

    def _writer(self) -> takes.TakeWriter:
        if self.writer is None:
            self.writer = takes.TakeWriter(self.settings.folder, self.settings.label)
        return self.writer

    def _header(self, header: Header) -> None:
        self.connected_at = None  # it talks
        if header.recording:
            self._writer().add(header)
        elif self.writer is None:
            self.display.show(False, header.peak)
            if self.settings.start and not self._asked_to_start and not self.done:
                self._asked_to_start = True
                self.link.send("R")

    def _show_take(self, event: Samples) -> None:
        bias = self.writer.header.bias if self.writer.header else int(event.values.mean())
        self._peak = max(0.8 * self._peak, float(np.abs(event.values.astype(np.int32) - bias).max()))
        self.display.show(True, self._peak, self.writer.seconds, self.settings.seconds)

    def _end(self, end: End) -> None:
        path = self._writer().finish(end)
        self.writer = None
        self.display.clear()
        if path is None:
            say("a take was lost before any of its samples arrived")
            return
        say(takes.summary(path))
        self._takes += 1
        self._asked_to_start = False
        if self.settings.ask:
            path = self._review(path)
        if path is not None:
            self.settings.label = path.parent.name
            self.kept.append(path)
            self.on_take(path)

    def _review(self, path: Path) -> Path | None:
        self._asking = True
        try:
            return review(path)
        except KeyboardInterrupt:  # keep it, and be done
            self.interrupted = True
            return path
        finally:
            self._asking = False


def record_take(label: str, seconds: float, port: str | None = None, folder: Path = DATA / "recordings") -> Path | None:
    """Record one take of a fixed length, started from here: for notebooks. Returns its WAV.

    Raises
    ------
    TimeoutError
        When no take has come within ten seconds more than its length.
    """
    with Link(port) as link:
        session = Session(link, Settings(label, Path(folder), seconds, takes=1, start=True))
        session.run(seconds + 10)
        session.stop()
    if not session.kept:
        raise TimeoutError(f"no take came from {port or 'a Pico'}: is it plugged in, with firmware/recorder on it?")
    return session.kept[0]


# --- the command --------------------------------------------------------------------------------------------

def run(args) -> int:
    """`python -m mgr_helpers record`. Returns 0, also after Ctrl-C."""
    interactive = sys.stdin.isatty() and not args.yes
    if args.label is None and not interactive:
        raise ValueError("--label is needed where nobody can be asked")
    label = takes.check_label(args.label or input(f"label ({', '.join(CONFIG.genres)} or another) > ").strip())
    for path in takes.recover(args.output):
        say(f"recovered {takes.summary(path)}")
    uploader = _start_uploader(args)
    settings = Settings(label, args.output, args.seconds, args.takes, args.start, interactive, args.format == "text")
    with Link(args.port) as link:
        session = Session(link, settings, uploader.add_take if uploader else lambda path: None)
        if find_port(args.port) is None:
            say(f"waiting for {args.port or 'a Pico'}: plug it in")
        before = signal.signal(signal.SIGINT, session.interrupt)
        try:
            session.run()
            session.stop()
        finally:
            signal.signal(signal.SIGINT, before)
            session.display.clear()
    say(f"{len(session.kept)} takes in {shown(args.output)}")
    if uploader:
        uploader.close()
    return 0


def _start_uploader(args):
    """A background uploader that has taken up what an earlier run left, None without --drive-folder."""
    if not args.drive_folder:
        return None
    uploader = drive.Uploader(drive.connect_local(args.client_secrets), args.drive_folder, args.output)
    uploader.start()
    return uploader
