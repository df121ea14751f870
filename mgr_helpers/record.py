"""Record labelled takes from a Pico that runs firmware/recorder: ``python -m mgr_helpers record --label jazz``.

A take goes to disk while it is recorded: `data/recordings/<label>/.<name>.wav.part` grows, and becomes `<name>.wav`
when the take ends, is stopped, or its cable is pulled. Beside it, `<name>.json` says how it was made and what is
missing.
Explained in notebooks/01_record_audio.ipynb.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import queue
import re
import secrets
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

from . import serial_audio
from .config import CONFIG, DATA
from .files import shown, write_whole
from .serial_audio import Decoder, End, Error, Event, Gap, Header, Samples, TextDecoder

PICO_VENDOR = 0x2E8A  # Raspberry Pi's USB vendor id
BAUD = 921600  # a USB port doesn't care
RETRY_SECONDS = 0.3  # between looks for the port
SILENT_SECONDS = 5.0  # a port that sends no frame for so long is not our sketch
STOP_SECONDS = 2.0  # that the Pico has to end a take after Ctrl-C
ABANDONED_SECONDS = 10.0  # a .part file that was not written to for so long belongs to no running script
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


# --- the file -----------------------------------------------------------------------------------------------

def check_label(label: str) -> str:
    """The label, if it can be a folder's name.

    Raises
    ------
    ValueError
        When it has other characters than letters, digits, - and _.
    """
    if not re.fullmatch(r"[\w-]{1,40}", label):
        raise ValueError(f"{label!r} can't be a label: use letters, digits, - and _")
    return label


class TakeWriter:
    """Writes one take: WAV as it comes, JSON beside it, both under their final names only when the take is over.

    Parameters
    ----------
    folder : Path
        `data/recordings`; the take goes to a sub-folder named after its label.
    label : str
    """

    def __init__(self, folder: Path, label: str) -> None:
        self.folder, self.label = Path(folder) / check_label(label), label
        self.started = datetime.datetime.now().astimezone()
        self.stem = f"{label}_{self.started:%Y%m%d-%H%M%S}_{secrets.token_hex(3)}"
        self.header: Header | None = None
        self.gaps: list[dict] = []
        self.errors = self.samples = self.clipped = self.saturated = self.peak = 0
        self._sum = 0
        self._waiting: list[np.ndarray] = []  # samples that came before any header
        self._wav = self._file = None

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self.samples / (self.header or Header()).rate

    def add(self, event: Event) -> None:
        """Take in a header, samples, a gap or an error."""
        if isinstance(event, Header):
            self._open(event)
        elif isinstance(event, Samples):
            self._waiting.append(event.values)
            self.samples += len(event.values)
            if self.header:
                self._write()
        elif isinstance(event, Gap):
            self.gaps.append({"at": self.samples, "missing": event.count, "cause": event.cause})
            if self.header:
                self._prepare_recovery()
        elif isinstance(event, Error):
            self.errors += 1

    def finish(self, end: End) -> Path | None:
        """Close the take. Returns the WAV, None when there is nothing in it."""
        if self.samples == 0:
            self.discard()
            return None
        if self.header is None:  # none came: the nominal rate, and the mean as bias
            mean = np.concatenate(self._waiting).mean()
            self._open(Header(bias=round(float(mean)), firmware="unknown"))
            self._write()
        self._wav.close()
        self._file.close()
        write_json(self.folder / f"{self.stem}.json", self._sidecar(end))  # first, so that a WAV always has one
        path = self.folder / f"{self.stem}.wav"
        self._part.replace(path)
        return path

    def discard(self) -> None:
        """Forget the take and its files."""
        if self._wav is not None:
            self._wav.close()
            self._file.close()
            self._part.unlink()
            self._part.with_suffix(".json").unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self.folder / f".{self.stem}.wav.part"

    def _open(self, header: Header) -> None:
        if self.header is not None:
            return
        self.header = header
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = open(self._part, "wb")
        self._wav = wave.open(self._file, "wb")
        self._wav.setparams((1, 2, round(header.rate), 0, "NONE", ""))
        self._prepare_recovery()

    def _prepare_recovery(self) -> None:
        """The sidecar for `recover`, should this process be killed: `dataset` cuts the take at the gaps it names."""
        killed = End(0, 0, 0, 0, 0, "the script was killed", complete=False)
        write_json(self.folder / f"{self.stem}.json", self._sidecar(killed))

    def _write(self) -> None:
        values = np.concatenate(self._waiting).astype(np.int32)
        self._waiting.clear()
        if not len(values):
            return
        audio = serial_audio.to_audio(values, self.header.bias, self.header.bits)
        distance = values - self.header.bias
        self.peak = max(self.peak, int(np.abs(distance).max()))
        self.saturated += int((distance > 32767 >> (16 - self.header.bits)).sum())
        self.clipped += int(((values == 0) | (values == 2**self.header.bits - 1)).sum()) if self.header.bias else 0
        self._sum += int(values.sum())
        try:
            self._wav.writeframes(audio.astype("<i2").tobytes())  # corrects the WAV's header too
            self._file.flush()
        except OSError as error:
            raise OSError(f"{shown(self._part)} can't be written ({error}): make room and run again; what was recorded "
                          "until now is in it and will be recovered") from error

    def _sidecar(self, end: End) -> dict:
        header = self.header
        return {
            "file": f"{self.stem}.wav", "label": self.label, "recorded_at": self.started.isoformat(timespec="seconds"),
            "samples": self.samples, "seconds": round(self.seconds, 3), "sample_rate": round(header.rate),
            "true_sample_rate": header.rate, "adc_bits": header.bits, "bias": header.bias,
            "mean": round(self._sum / max(1, self.samples), 2), "shift": 16 - header.bits, "peak": self.peak,
            "clipped": self.clipped, "saturated": self.saturated, "complete": end.complete and not self.gaps,
            "end": end.reason, "gaps": self.gaps, "missing": sum(gap["missing"] for gap in self.gaps),
            "unused_pieces": self.errors, "session": header.session, "take": header.take, "board": header.board,
            "firmware": header.firmware, "protocol": header.version,
        }


def write_json(path: Path, values: dict) -> None:
    """Write a JSON file whole."""
    write_whole(path, lambda file: file.write(json.dumps(values, indent=1).encode() + b"\n"))


def recover(folder: Path) -> list[Path]:
    """Give takes of a script that was killed their final names; their sidecars say so. Returns their WAVs."""
    found = []
    for part in sorted(Path(folder).glob("*/.*.wav.part")):
        if time.time() - part.stat().st_mtime < ABANDONED_SECONDS:
            continue
        path = part.with_name(part.name[1:-len(".part")])
        sidecar = path.with_suffix(".json")
        with open(part, "rb") as file:
            samples = max(0, (file.seek(0, 2) - 44) // 2)
        if samples == 0:
            part.unlink()
            sidecar.unlink(missing_ok=True)
            continue
        _mend_wav(part, samples)
        values = json.loads(sidecar.read_text()) if sidecar.exists() else {"file": path.name, "label": path.parent.name}
        rate = values.get("sample_rate", CONFIG.sample_rate)
        write_json(sidecar, {**values, "samples": samples, "seconds": round(samples / rate, 3), "complete": False,
                             "recovered": True})
        part.replace(path)
        found.append(path)
    return found


def _mend_wav(path: Path, samples: int) -> None:
    """Write the true sizes into the header of a WAV that was cut off."""
    with open(path, "r+b") as file:
        for at, value in ((4, 36 + 2 * samples), (40, 2 * samples)):
            file.seek(at)
            file.write(value.to_bytes(4, "little"))
        file.truncate(44 + 2 * samples)


def relabel(path: Path, label: str) -> Path:
    """Move a take and its sidecar to another label. Returns the WAV's new path."""
    new = path.parent.parent / check_label(label) / (label + path.name.removeprefix(path.parent.name))
    values = json.loads(path.with_suffix(".json").read_text())
    new.parent.mkdir(parents=True, exist_ok=True)
    write_json(new.with_suffix(".json"), {**values, "label": label, "file": new.name})
    path.replace(new)
    path.with_suffix(".json").unlink()
    return new


def delete(path: Path) -> None:
    """Delete a take and its sidecar."""
    path.unlink()
    path.with_suffix(".json").unlink(missing_ok=True)


# --- what the user sees -------------------------------------------------------------------------------------

def level(peak: float, full_scale: float = 2048.0) -> float:
    """Decibels relative to full scale of a peak in ADC counts."""
    return float(20 * np.log10(max(peak, 0.5) / full_scale))


def level_meter(peak: float, width: int = 24) -> str:
    """A bar for a peak in ADC counts, and its level."""
    filled = round(width * float(np.clip(1 + level(peak) / METER_DB, 0, 1)))
    return f"[{'#' * filled}{'-' * (width - filled)}] {level(peak):4.0f} dB"


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


def summary(path: Path) -> str:
    """One line about a take on disk."""
    values = json.loads(path.with_suffix(".json").read_text())
    text = f"{shown(path)}  {values['seconds']:.1f} s, peak {level(values['peak']):.0f} dB"
    if values["clipped"]:
        text += f", {values['clipped']} samples clipped: turn the volume down"
    if not values["complete"]:
        text += f"  INCOMPLETE: {values['missing']} samples missing in {len(values['gaps'])} gaps, end: {values['end']}"
    return text


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
                path = relabel(path, ask("label > ").strip())
                say(shown(path))
            elif answer == "d":
                delete(path)
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
        self.writer: TakeWriter | None = None
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

    def _writer(self) -> TakeWriter:
        if self.writer is None:
            self.writer = TakeWriter(self.settings.folder, self.settings.label)
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
        say(summary(path))
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


def save_takes(data: bytes, label: str, folder: Path = DATA / "recordings", decoder=None) -> list[Path]:
    """Write the takes in a stream that is in memory to disk, as the script would have done. Returns their WAVs."""
    decoder, writer, paths = decoder or Decoder(), None, []
    for event in [*decoder.feed(data), *decoder.finish()]:
        if isinstance(event, Header) and not event.recording or isinstance(event, Error) and writer is None:
            continue
        writer = writer or TakeWriter(folder, label)
        if isinstance(event, End):
            paths.append(writer.finish(event))
            writer = None
        else:
            writer.add(event)
    return [path for path in paths if path is not None]


# --- the command --------------------------------------------------------------------------------------------

def add_arguments(parser) -> None:
    """Arguments of `python -m mgr_helpers record`."""
    parser.add_argument("--label", help="genre of the takes (asked for when not given)")
    parser.add_argument("--port", help="serial port (found by its USB id when not given)")
    parser.add_argument("--seconds", type=float, default=0.0, help="length of a take; 0: until the button is pressed")
    parser.add_argument("--takes", type=int, default=0, help="stop after so many takes")
    parser.add_argument("--start", action="store_true", help="start the takes from here instead of by the button")
    parser.add_argument("--yes", action="store_true", help="keep every take without asking")
    parser.add_argument("--output", type=Path, default=DATA / "recordings", help="folder of the recordings")
    parser.add_argument("--format", choices=("frames", "text"), default="frames", help="text: the book's sketch")
    parser.add_argument("--drive-folder", metavar="NAME", help="upload to this folder of Google Drive (name or ID)")
    parser.add_argument("--client-secrets", type=Path, default=Path("client_secrets.json"),
                        help="OAuth client or service account for Drive, from the Google Cloud console")


def run(args) -> int:
    """`python -m mgr_helpers record`. Returns 0, also after Ctrl-C."""
    interactive = sys.stdin.isatty() and not args.yes
    if args.label is None and not interactive:
        raise ValueError("--label is needed where nobody can be asked")
    label = check_label(args.label or input(f"label ({', '.join(CONFIG.genres)} or another) > ").strip())
    for path in recover(args.output):
        say(f"recovered {summary(path)}")
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
    from . import drive
    uploader = drive.Uploader(drive.connect_local(args.client_secrets), args.drive_folder, args.output)
    uploader.start()
    return uploader
