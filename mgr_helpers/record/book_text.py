"""The text format of the TinyML Cookbook 2e, chapter 5: sampling rate, sample count, one sample a line.

Used by notebooks/01_record_audio.ipynb.
"""

from __future__ import annotations

import numpy as np

from . import protocol


class TextDecoder:
    """Incremental decoder of the text format of the TinyML Cookbook 2e, chapter 5: rate, count, one sample a line.

    Samples are ADC counts with the bias already taken off. The format has no check: a digit lost within a line makes a
    wrong sample that nobody can see. The rate is what the sketch believes: the book's says 22050 and samples at 22222.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._rate: int | None = None
        self._count = self._position = self._take = 0

    def feed(self, data: bytes) -> list[protocol.Event]:
        """Events that `data` completes; the samples of one call in one event."""
        events: list[protocol.Event] = []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        values: list[int] = []
        for line in lines:
            if line.strip():
                self._line(line.strip(), values, events)
        self._flush(values, events)
        return events

    def finish(self, reason: str = "the stream ended") -> list[protocol.Event]:
        """Events of a stream that stops here."""
        events: list[protocol.Event] = []
        self._end_early(events, reason)
        return events

    def _line(self, line: bytes, values: list[int], events: list[protocol.Event]) -> None:
        number = int(line) if line.lstrip(b"-").isdigit() and len(line) < 12 else None
        if self._count == 0:
            self._start(number, len(line), events)
        elif number is not None and abs(number) < 4096:
            values.append(number)
            if self._position + len(values) == self._count:
                self._flush(values, events)
                events.append(protocol.End(0, self._take, self._count, 0, 0, "length"))
                self._count = 0
        elif number is not None and number >= 8000:  # no sample, but a rate: lines of the take before were lost
            self._flush(values, events)
            self._end_early(events, "lines were lost")
            self._start(number, len(line), events)
        else:
            self._flush(values, events)
            events.append(protocol.Error(f"not a sample: {line[:20]!r}", len(line)))
            events.append(protocol.Gap(0, self._take, self._position, 1, "transport"))
            self._position += 1
            if self._position == self._count:
                self._end_early(events, "length")

    def _start(self, number: int | None, size: int, events: list[protocol.Event]) -> None:
        if number is None or number <= 0:
            events.append(protocol.Error("neither a sample rate nor a sample count", size))
            self._rate = None
        elif self._rate is None:
            self._rate = number
        else:
            self._take, self._count, self._position = self._take + 1, number, 0
            events.append(protocol.Header(take=self._take, recording=True, clock_hz=self._rate, period=256, planned=number,
                                 firmware="text format"))
            self._rate = None

    def _flush(self, values: list[int], events: list[protocol.Event]) -> None:
        if values:
            events.append(protocol.Samples(0, self._take, self._position, np.array(values, dtype=np.int16)))
            self._position += len(values)
            values.clear()

    def _end_early(self, events: list[protocol.Event], reason: str) -> None:
        if self._count:
            missing = self._count - self._position
            if missing:
                events.append(protocol.Gap(0, self._take, self._position, missing, "transport"))
            events.append(protocol.End(0, self._take, self._count, 0, 0, reason, complete=not missing))
        self._count, self._rate = 0, None
