"""Events of the serial stream to a WAV file and its sidecar, whatever interrupts the take.

Used by notebooks/01_record_audio.ipynb.
"""

from __future__ import annotations

import datetime
import json
import re
import secrets
import time
import wave
from pathlib import Path

import numpy as np

from ..audio import adc
from ..config import CONFIG, DATA
from ..host.files import shown, write_whole
from .protocol import Decoder, End, Error, Event, Gap, Header, Samples

ABANDONED_SECONDS = 10.0  # a .part file that was not written to for so long belongs to no running script


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
        audio = adc.counts_to_audio(values, self.header.bias, self.header.bits)
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


def summary(path: Path) -> str:
    """One line about a take on disk."""
    values = json.loads(path.with_suffix(".json").read_text())
    text = f"{shown(path)}  {values['seconds']:.1f} s, peak {level(values['peak']):.0f} dB"
    if values["clipped"]:
        text += f", {values['clipped']} samples clipped: turn the volume down"
    if not values["complete"]:
        text += f"  INCOMPLETE: {values['missing']} samples missing in {len(values['gaps'])} gaps, end: {values['end']}"
    return text


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
