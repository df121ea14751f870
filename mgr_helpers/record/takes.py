"""Takes on disk: events of the serial stream to a WAV file, with a JSON file (its sidecar) beside it.

A take is written while it is recorded, as `<label>/.<name>.wav.part`. It gets its final name when it is over.

Notebooks: 01.
"""

import contextlib
import datetime
import errno
import json
import re
import secrets
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm.auto import tqdm

from ..audio import adc
from ..config import CONFIG, DATA
from ..host.files import shown, write_text
from .protocol import Decoder, End, Error, Event, Gap, Header, Samples

RECORDINGS = DATA / "recordings"
ABANDONED_SECONDS = 10.0  # where nothing can be locked: a .part file that hasn't changed for so long has no writer
WAV_HEADER = 44  # bytes
AMPLIFIER_TOP = adc.OUTPUT_VOLTS[1] / adc.SUPPLY_VOLTS  # of the ADC's range: the microphone clips there, not at its end


def check_label(label: str) -> str:
    """The label, if it can be a folder's name; ValueError if not."""
    if not re.fullmatch(r"\w[\w-]{0,39}", label):
        raise ValueError(f"{label!r} can't be a label: use letters, digits, - and _, and begin with no -")
    return label


def say(text: str) -> None:
    """Print a line above any progress bar."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def write_json(path: Path, values) -> None:
    """Write a JSON file that is whole or absent."""
    write_text(path, json.dumps(values, indent=1) + "\n")


@contextlib.contextmanager
def _explained(part: Path, close=lambda: None):
    """Let an error of the disk tell what to do. `close` is called first."""
    try:
        yield
    except OSError as error:
        close()
        remedy = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that"
        raise OSError(f"{shown(part)} can't be written ({error.strerror or error}): {remedy} and run again; what was "
                      "recorded until now is in it and will be recovered") from error


def _lock(file: BinaryIO) -> bool | None:
    """Lock a .part file until it is closed, or its script ends.

    False when another script has locked it; None where nothing can be locked, which must not prevent a recording.
    """
    try:
        import fcntl  # Windows has none
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


class Figures(dict):
    """What a sidecar tells about the counts of a take: mean, shift, peak, how many are clipped or saturated."""

    def __init__(self, bias: int, bits: int) -> None:
        super().__init__(mean=0.0, shift=16 - bits, peak=0, clipped=0, saturated=0)
        self.bias, self.bits, self.samples, self.sum = bias, bits, 0, 0

    def add(self, values: np.ndarray) -> None:
        """Take in counts, int32 (n,)."""
        self.samples, self.sum = self.samples + len(values), self.sum + int(values.sum())
        self["mean"] = round(self.sum / self.samples, 2)
        self["peak"] = max(self["peak"], int(np.abs(values - self.bias).max()))
        self["saturated"] += int((values - self.bias > 32767 >> (16 - self.bits)).sum())
        if self.bias:  # 0 in the book's text format: no ADC counts there
            top = 2**self.bits - 1 if self.bits == 16 else 2**self.bits * AMPLIFIER_TOP
            self["clipped"] += int(((values == 0) | (values >= top)).sum())


class TakeWriter:
    """Writes one take to `folder/label`. Its methods raise an OSError that tells what to do when the disk is full."""

    def __init__(self, folder: Path, label: str) -> None:
        self.folder, self.label = Path(folder) / check_label(label), label
        self.started = datetime.datetime.now().astimezone()
        self.stem = f"{label}_{self.started:%Y%m%d-%H%M%S}_{secrets.token_hex(3)}"
        self.header: Header | None = None
        self.gaps: list[dict] = []
        self.errors = self.samples = self._bits = 0
        self._waiting: list[np.ndarray] = []  # samples that came before any header
        self.figures = self._wav = self._file = None

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self.samples / (self.header or Header()).rate

    def add(self, event: Event) -> None:
        """Take in a header, samples, a gap or an error."""
        with _explained(self._part, self._give_up):
            if isinstance(event, Header) and self.header is None:
                self._open(event)
            elif isinstance(event, Samples):
                self._waiting.append(event.values)
                self._bits = event.bits
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
        """Close the take. Returns its WAV file, None when there is no sample."""
        with _explained(self._part, self._give_up):
            if self.samples == 0:
                if self._wav is not None:
                    self._give_up()
                    self._part.unlink()
                    (self.folder / f"{self.stem}.json").unlink(missing_ok=True)
                return None
            if self.header is None:  # the header was lost: assume the nominal rate, and the mean as bias
                bias = round(float(np.concatenate(self._waiting).mean()))
                self._open(Header(bias=bias, bits=self._bits, firmware="unknown"))
                self._write()
            self._wav.close()
            self._write_sidecar(end)  # before the WAV gets its name: no WAV is ever without its sidecar
            self._file.close()  # this unlocks it, so not before all is written
            return self._part.replace(self.folder / f"{self.stem}.wav")

    @property
    def _part(self) -> Path:
        return self.folder / f".{self.stem}.wav.part"

    def _open(self, header: Header) -> None:
        self.header, self.figures = header, Figures(header.bias, header.bits)
        self.folder.mkdir(parents=True, exist_ok=True)
        while self._file is None or _lock(self._file) is False or not self._part.exists():  # an empty one is deleted
            self._file = open(self._part, "wb")
        self._wav = wave.open(self._file, "wb")
        self._wav.setparams((1, 2, round(header.rate), 0, "NONE", ""))
        self._prepare_recovery()

    def _give_up(self) -> None:
        """Close the file after an error. What is in it stays, for `recover`."""
        for file in filter(None, (self._wav, self._file)):
            with contextlib.suppress(OSError):  # it is told already
                file.close()

    def _write(self) -> None:
        values = np.concatenate(self._waiting).astype(np.int32)
        self._waiting.clear()
        if len(values):
            self.figures.add(values)
            audio = adc.counts_to_audio(values, self.header.bias, self.header.bits)
            self._wav.writeframes(audio.astype("<i2").tobytes())  # also corrects the lengths in the WAV's header
            self._file.flush()

    def _prepare_recovery(self) -> None:
        """Write a sidecar now, in case this process is killed. `recover` keeps its gaps."""
        self._write_sidecar(End(0, 0, 0, 0, 0, "the script ended before the take", complete=False))

    def _write_sidecar(self, end: End) -> None:
        header = self.header
        write_json(self.folder / f"{self.stem}.json", {
            "file": f"{self.stem}.wav", "label": self.label, "recorded_at": self.started.isoformat(timespec="seconds"),
            "samples": self.samples, "seconds": round(self.seconds, 3), "sample_rate": round(header.rate),
            "true_sample_rate": header.rate, "adc_bits": header.bits, "bias": header.bias,
            **self.figures, "complete": end.complete and not self.gaps, "end": end.reason, "gaps": self.gaps,
            "missing": sum(gap["missing"] for gap in self.gaps), "unused_pieces": self.errors,
            "session": header.session, "take": header.take, "board": header.board, "firmware": header.firmware,
            "protocol": header.version,
        })


def recover(folder: Path) -> list[Path]:
    """Give the takes of killed scripts their final names. Their sidecars say "recovered". Returns their WAV files."""
    found = []
    for part in sorted(Path(folder).glob("*/.*.wav.part")):
        with _explained(part):
            try:
                with open(part, "r+b") as file:
                    locked = _lock(file)
                    if locked or locked is None and time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                        found += _recover(part, file)
            except FileNotFoundError:  # another script has just given it its name
                continue
            except PermissionError as error:
                say(f"{shown(part)} is left alone: {error.strerror or error}")
    return found


def _recover(part: Path, file: BinaryIO) -> list[Path]:
    if not part.exists():  # it got its name before it was locked
        return []
    path = part.with_name(part.name[1:-len(".part")])
    sidecar = path.with_suffix(".json")
    samples = max(0, (part.stat().st_size - WAV_HEADER) // 2)
    if samples == 0:
        part.unlink()
        sidecar.unlink(missing_ok=True)
        return []
    values = {"file": path.name, "label": path.parent.name, "sample_rate": CONFIG.sample_rate, "bias": 0, "gaps": [],
              "adc_bits": CONFIG.adc_bits, "missing": 0, "end": "unknown",
              **_sidecar_of_part(path)}
    figures = _mend_wav(file, samples, values["bias"], values["adc_bits"])
    write_json(sidecar, {**values, **figures, "samples": samples, "seconds": round(samples / values["sample_rate"], 3),
                         "complete": False, "recovered": True})
    return [part.replace(path)]


def _sidecar_of_part(path: Path) -> dict:
    try:
        return dict(read_sidecar(path))
    except (OSError, TypeError, ValueError):  # none, or damaged: the samples are worth more
        return {}


def _mend_wav(file: BinaryIO, samples: int, bias: int, bits: int) -> Figures:
    """Write the true sizes into the header of a WAV file that was cut off. Returns the figures of its samples."""
    for at, value in ((4, WAV_HEADER - 8 + 2 * samples), (40, 2 * samples)):
        file.seek(at)
        file.write(value.to_bytes(4, "little"))
    file.truncate(WAV_HEADER + 2 * samples)
    file.seek(WAV_HEADER)
    figures = Figures(bias, bits)
    while block := file.read(2**16):  # rounding up makes saturated counts too large again, so they count
        figures.add(-(-np.frombuffer(block, "<i2").astype(np.int32) >> 16 - bits) + bias)
    return figures


def read_sidecar(path: Path) -> dict:
    """The sidecar of a take, given its WAV file."""
    return json.loads(path.with_suffix(".json").read_text())


def check_folder(folder: Path) -> None:
    """Make the folder of a label and try to write there, before anything is recorded. ValueError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**16))  # an empty file fits on a full disk, too
    except OSError as error:
        raise ValueError(f"takes can't be written to {shown(folder)} ({error.strerror}): mend that, or choose another "
                         "folder by --output") from error


def relabel(path: Path, label: str) -> Path:
    """Move a take and its sidecar to another label. Returns the WAV's new path."""
    new = path.parent.parent / check_label(label) / (label + path.name.removeprefix(path.parent.name))
    if new == path:
        return path
    new.parent.mkdir(parents=True, exist_ok=True)
    write_json(new.with_suffix(".json"), {**read_sidecar(path), "label": label, "file": new.name})
    path.replace(new)
    path.with_suffix(".json").unlink()
    return new


def level(peak: float, bits: int = CONFIG.adc_bits) -> float:
    """A peak, given in counts, in dB: 0 dB is half their range."""
    return float(20 * np.log10(max(peak, 0.5) / 2 ** (bits - 1)))


def summary(path: Path) -> str:
    """One line about a take on disk."""
    values = read_sidecar(path)
    text = f"{shown(path)}  {values['seconds']:.1f} s, peak {level(values['peak'], values['adc_bits']):.0f} dB"
    if values["clipped"]:
        text += f", {values['clipped']} samples clipped: turn the volume down"
    if not values["complete"]:
        text += f"  INCOMPLETE: {values['missing']} samples missing in {len(values['gaps'])} gaps, end: {values['end']}"
    return text


def save_takes(data: bytes, label: str, folder: Path = RECORDINGS) -> list[Path]:
    """Write the takes of a stream in memory to disk, as the record command would. Returns their WAV files."""
    decoder, writer, paths = Decoder(), None, []
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
