"""Record labelled takes from a Pico that runs firmware/recorder: ``python -m mgr_helpers record --label jazz``.

A take is kept whether it ends by itself, is stopped, or its cable is pulled: see `takes`.

Notebooks: 01.
"""

import contextlib
import dataclasses
import errno
import queue
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import serial
import soundfile
from serial.tools import list_ports
from tqdm.auto import tqdm

from ..config import CONFIG
from ..host.command_line import ask
from ..host.files import shown
from . import drive, takes
from .book_text import TextDecoder
from .protocol import BAUD_RATE, Decoder, End, Error, Event, Gap, Header, Samples
from .takes import say

PICO_VENDOR = 0x2E8A  # Raspberry Pi's USB vendor id; Waveshare and Seeed use it too, Adafruit, Arduino, SparkFun don't
RETRY_SECONDS = 0.3  # between two looks for the port
PATIENT_TRIES = 3  # a port that comes or goes can't be opened for a moment: that is not worth a message
SILENT_SECONDS = 5.0  # a port without a frame for so long is not our sketch, or hangs
STOP_SECONDS = 2.0  # after Ctrl-C the Pico has so long to end its take
METER_DB, METER_WIDTH = 48, 24  # range and characters of the level meter
LONGEST_SECONDS = (2**32 - takes.WAV_HEADER) // 2 / Header().rate  # of a WAV file; the Pico counts to 2**32 samples
OPEN_ADVICE = {  # what to do when a port can't be opened
    errno.EAGAIN: "close the program that uses it",  # another program has locked it
    errno.EBUSY: "another program uses it. ModemManager lets go in ten seconds (`sudo systemctl stop ModemManager`)",
    **dict.fromkeys((errno.ENOTTY, errno.EISDIR, errno.EINVAL),
                    "this is no serial port: choose the board's with --port"),
    errno.EIO: "the board does not answer. Pull its cable and plug it in again",
    errno.EPROTO: "the USB connection fails. Try another cable, and a socket of the computer itself, not of a hub",
}
LASTING = errno.EAGAIN, errno.ENOTTY, errno.EISDIR  # reasons that don't pass by themselves


def ports_of(vendor: int = PICO_VENDOR) -> list[str]:
    """Names of the ports of boards with this USB vendor id."""
    return sorted(info.device for info in list_ports.comports() if info.vid == vendor)


def find_port(port: str | None = None, vendor: int = PICO_VENDOR, before: str | None = None) -> str | None:
    """The board's port, or `port` if it is there; None without one. Of several boards it is that at `before`.

    ValueError when there are several, and none at `before`.
    """
    if port is not None:
        return port if Path(port).exists() or port in [info.device for info in list_ports.comports()] else None
    boards = ports_of(vendor)
    if len(boards) > 1 and before not in boards:
        raise ValueError(f"several boards are plugged in ({', '.join(boards)}): choose one with --port")
    return before if before in boards else boards[0] if boards else None


def why_closed(name: str, error: Exception) -> tuple[str, str]:
    """What to tell about a port that can't be opened, and the kind of reason: "denied", "lasting" or "passing"."""
    if "ermission" in str(error):  # in Windows also when another program uses it
        return (f"{name} cannot be opened ({error}): close the program that uses it; on Linux, "
                "`sudo usermod -aG dialout $USER` and a new login give you the right to"), "denied"
    numbers = *error.args, *getattr(error.__context__, "args", ())  # pyserial leaves out that of termios.error
    code = next((code for code in numbers if code in OPEN_ADVICE), None)
    return (f"{name} cannot be opened ({error}): {OPEN_ADVICE.get(code, 'plug the board in again')}",
            "lasting" if code in LASTING else "passing")


def ports_found(port: str | None) -> str:
    """What to tell while `port` (None: a Pico) is missing: the USB ports that are there; "" if there are none."""
    usb = [f"{info.device} ({info.description})" for info in list_ports.comports() if info.vid is not None]
    return f"no {port or 'Pico'} yet, but {', '.join(usb)}: if one is yours, stop and name it by --port" if usb else ""


class Link(threading.Thread):
    """Reads the port in a thread, and opens it again when the board comes back.

    `messages` receives ("connected", port name), ("data", bytes), ("gone" or "waiting", why) and ("failed", exception).
    With `patient` False a port that is locked, or no serial port, is a failure. A denied one always is.
    """

    def __init__(self, port: str | None = None, baud_rate: int = BAUD_RATE, patient: bool = True) -> None:
        super().__init__(daemon=True)
        self.messages: queue.Queue = queue.Queue()
        self.baud_rate, self._final = baud_rate, ("denied",) if patient else ("denied", "lasting")
        self._wanted, self._port, self._stop_asked = port, None, threading.Event()
        self._told, self._failures, self._used = {""}, 0, None

    def __enter__(self) -> "Link":
        self.start()
        return self

    def __exit__(self, *error) -> None:
        self._stop_asked.set()
        self.join(2)

    def send(self, command: str) -> None:
        """Send a command, if a board is there."""
        port = self._port
        if port is not None:
            with contextlib.suppress(serial.SerialException, OSError):  # run() reports it
                port.write(command.encode() + b"\n")

    def run(self) -> None:
        """Body of the thread."""
        try:
            while not self._stop_asked.is_set():
                name = find_port(self._wanted, before=self._used)
                port = self._open(name) if name else self.tell(ports_found(self._wanted))
                if port is not None:
                    self._read_until_gone(port, name)
                self._stop_asked.wait(RETRY_SECONDS)
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self.messages.put(("failed", error))

    def tell(self, text: str) -> None:
        """Send a text as a message, but once."""
        if text not in self._told:
            self._told.add(text)
            self.messages.put(("waiting", text))

    def _open(self, name: str) -> serial.Serial | None:
        """Open the port. When that fails, tell why; RuntimeError when trying again is no use."""
        try:
            exclusive = None if sys.platform == "win32" else True  # a port of Windows always is
            port = serial.Serial(name, self.baud_rate, timeout=0.1, write_timeout=1.0, exclusive=exclusive)
            self._failures = 0
            return port
        except Exception as error:  # noqa: BLE001 - an OSError, or termios.error, which Windows doesn't know
            self._failures += 1
            if self._failures < PATIENT_TRIES:
                return None
            why, kind = why_closed(name, error)
            if kind in self._final:
                raise RuntimeError(why) from error
            self.tell(f"{why}. Trying again until it works, or Ctrl-C")

    def _read_until_gone(self, port: serial.Serial, name: str) -> None:
        """Read the port until it goes away."""
        with port:
            self._port, self._used = port, name
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


def level_meter(level: float, width: int = METER_WIDTH) -> str:
    """A bar for a level in dB, and its number."""
    filled = round(width * float(np.clip(1 + level / METER_DB, 0, 1)))
    return f"[{'#' * filled}{'-' * (width - filled)}] {level:4.0f} dB"


class Display:
    """The bottom line of the terminal: the level, and during a take also its time and progress."""

    def __init__(self) -> None:
        self._bar, self._recording, self._shown = None, False, 0.0

    def show(self, recording: bool, level: float, seconds: float = 0.0, planned: float = 0.0) -> None:
        """Update the line, at most ten times a second."""
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
        self._bar.set_description_str(f"{text}  {level_meter(level)}")

    def clear(self) -> None:
        """Remove the line."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def play(path: Path) -> None:
    """Play a take through the loudspeakers; RuntimeError when the package sounddevice is missing."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise RuntimeError("playing needs the package sounddevice: pip install sounddevice "
                           "(on Linux also: sudo apt install libportaudio2)") from error
    sounddevice.play(*soundfile.read(path, dtype="int16"), blocking=True)


def review(path: Path, ask=input) -> tuple[Path | None, bool]:
    """Let the user keep, play, relabel or discard a take. Returns its path, if kept, and whether Ctrl-C or -D came."""
    while True:
        try:
            answer = ask("Enter keeps it · p play · r relabel · d discard > ").strip().lower()
            if answer == "":
                return path, False
            if answer == "p":
                play(path)
            elif answer == "r":
                path = takes.relabel(path, ask("label > ").strip())
                say(shown(path))
            elif answer == "d":
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
                return None, False
        except (OSError, RuntimeError, ValueError) as error:
            say(str(error))
        except (EOFError, KeyboardInterrupt):
            say("")  # the cursor is behind the question
            return path, True


@dataclasses.dataclass
class Settings:
    """Options of a session. `seconds` 0: a take lasts until it is stopped. `count` 0: record takes until Ctrl-C."""

    label: str
    folder: Path = takes.RECORDINGS
    seconds: float = 0.0
    count: int = 0
    start: bool = False
    ask: bool = False
    text_format: bool = False

    def __post_init__(self) -> None:
        if 0 < self.seconds < 1 / Header().rate:
            raise ValueError(f"a take of {self.seconds:g} s has no sample; 0 means: until the button is pressed")
        if not self.seconds <= LONGEST_SECONDS:
            raise ValueError(f"a take of {self.seconds:g} s is too long: a WAV file and the Pico's counter of samples "
                             f"hold {LONGEST_SECONDS:.0f} s (27 hours)")


class Session:
    """Turns messages of the link into takes on disk. `on_take(path)` is called for each take that is kept."""

    def __init__(self, link: Link, settings: Settings, on_take=lambda path: None) -> None:
        self.link, self.settings, self.on_take = link, settings, on_take
        self.display, self.kept = Display(), []
        self.writer: takes.TakeWriter | None = None
        self.new_decoder = TextDecoder if settings.text_format else Decoder
        self.decoder = self.new_decoder()
        self._quiet_since: float | None = None  # None: not connected, or told
        self._data_came = self._answered = False  # over this connection: any byte; a frame, or samples as text
        self._peak = self.ended = 0
        self.interrupted = self._asking = self._stopping = self._asked_to_start = False

    @property
    def done(self) -> bool:
        """Whether all takes are recorded, or after Ctrl-C the last one has ended."""
        if self._stopping:
            return self.writer is None
        return self.interrupted or bool(self.settings.count) and self.ended >= self.settings.count

    def interrupt(self, *signal_and_frame) -> None:
        """Handle Ctrl-C: stop after the current message; at once when it is the second, or while a question is open."""
        if self._asking or self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def run(self, seconds: float = float("inf")) -> None:
        """Handle messages until `done`, or for so many seconds."""
        deadline = time.monotonic() + seconds
        while not self.done and time.monotonic() < deadline:
            try:
                kind, value = self.link.messages.get(timeout=0.1)
            except queue.Empty:
                pass
            else:
                self.handle(kind, value)
            self._check_silence()

    def handle(self, kind: str, value) -> None:
        """Handle one message of the link."""
        if kind == "data":
            self._data_came = True
            self._events(self.decoder.feed(value))
            self._quiet_since = time.monotonic() if self._answered else self._quiet_since
        elif kind == "connected":
            say(f"connected to {value}")
            self.decoder, self._quiet_since = self.new_decoder(), time.monotonic()
            self._data_came = self._answered = self._asked_to_start = False
            self.link.send(f"L{round(self.settings.seconds * Header().rate)}")
            self.link.send("H")
        elif kind == "gone":
            self._events(self.decoder.finish("unplugged"))
            self.display.clear()
            self._quiet_since = None
            say("unplugged: what was recorded is kept; waiting for the board to come back")
        elif kind == "waiting":
            say(value)
        else:
            raise value

    def stop(self) -> None:
        """End a running take: ask the Pico to end it; if no answer comes, keep what has arrived."""
        self._stopping, self.settings.ask = True, False
        if self.writer is not None:
            self.link.send("S")
            self.run(STOP_SECONDS)
        if self.writer is not None:
            self._events(self.decoder.finish("stopped"))
        self.display.clear()

    def _check_silence(self) -> None:
        if self._quiet_since is None or time.monotonic() - self._quiet_since <= SILENT_SECONDS:
            return
        self._quiet_since, text = None, self.settings.text_format
        if self.writer is not None or self._answered and not text:
            say("the board sends nothing: what was recorded is kept; plug it in again, or stop with Ctrl-C")
        elif not self._answered:
            say(("this isn't the book's text: leave out --format text" if self._data_came else
                 "no text has come: is the book's sketch on the board? Then press its button") if text else
                "no frame has come from this port: is firmware/recorder on the board? (for the book's sketch: "
                "--format text)")

    def _events(self, events: list[Event]) -> None:
        for event in events:
            if not isinstance(event, Error):
                self._answered = True
            elif event.advice:
                self._quiet_since = self.link.tell(event.reason)  # None: that is told
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
        if header.recording:
            self._writer().add(header)
        elif self.writer is None:
            self.display.show(False, takes.level(header.peak, header.bits))
            if self.settings.start and not self._asked_to_start and not self.done:
                self._asked_to_start = True
                self.link.send("R")

    def _show_take(self, event: Samples) -> None:
        header = self.writer.header or Header(bias=int(event.values.mean()), bits=event.bits)
        self._peak = max(0.8 * self._peak, float(np.abs(event.values.astype(np.int32) - header.bias).max()))
        self.display.show(True, takes.level(self._peak, header.bits), self.writer.seconds, self.settings.seconds)

    def _end(self, end: End) -> None:
        path = self._writer().finish(end)
        self.writer = None
        self.display.clear()
        if path is None:
            say("a take was lost before any of its samples arrived")
            return
        say(takes.summary(path))
        self.ended += 1
        self._asked_to_start = False
        if self.settings.ask:
            self._asking = True
            path, stopped = review(path)
            self._asking, self.interrupted = False, self.interrupted or stopped
        if path is not None:
            self.settings.label = path.parent.name
            self.kept.append(path)
            self.on_take(path)


def record_take(label: str, seconds: float, port: str | None = None, folder: Path = takes.RECORDINGS) -> Path:
    """Record one take of a fixed length, started from here. Returns its WAV; TimeoutError 10 s after it was due."""
    with Link(port) as link:
        session = Session(link, Settings(label, Path(folder), seconds, count=1, start=True))
        session.run(seconds + 10)
        session.stop()
    if not session.kept:
        raise TimeoutError(f"no take came from {port or 'a Pico'}: is it plugged in, with firmware/recorder on it?")
    return session.kept[0]


def run(args) -> int:
    """`python -m mgr_helpers record`. Returns 0; 130 when Ctrl-C came before the first take, or before `--takes`."""
    interactive = sys.stdin is not None and sys.stdin.isatty() and not args.yes
    if args.label is None and not interactive:
        raise ValueError("--label is needed where nobody can be asked")
    label = takes.check_label(args.label or ask(f"label ({', '.join(CONFIG.genres)} or another) > ").strip())
    takes.check_folder(args.output / label)
    settings = Settings(label, args.output, args.seconds, args.takes, args.start, interactive, args.format == "text")
    for path in takes.recover(args.output):
        say(f"recovered {takes.summary(path)}")
    uploader = None
    if args.drive_folder:
        uploader = drive.Uploader(drive.connect_local(args.client_secrets), args.drive_folder, args.output)
        uploader.start()
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
            if (writer := session.writer) and writer.header and writer.samples:  # Ctrl-C came again, or a full disk
                say("unfinished take: record to this folder again to recover it")
    say(f"{len(session.kept)} takes in {shown(args.output)}")
    if uploader:
        uploader.close()
    return 130 if session.interrupted and session.ended < max(1, args.takes) else 0
