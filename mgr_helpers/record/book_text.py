"""The text format of the TinyML Cookbook 2e, chapter 5: sampling rate, number of samples, then one sample a line.

Notebooks: 01.
"""

import re

import numpy as np

from .protocol import End, Error, Event, Gap, Header, Samples

LEAST_RATE = 8000  # Hz; a number as large as this is not a sample but the rate of a new take


class TextDecoder:
    """Decoder of the text format, used like `protocol.Decoder`.

    Samples are ADC counts less the bias. The format has no checksum: if a digit of a line gets lost, the sample is
    wrong and nobody can see it. The rate is what the sketch claims: the book's says 22050 Hz and samples at 22222 Hz.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._rate: int | None = None
        self._take = self._count = self._position = 0  # a count of 0: no take is open

    def feed(self, data: bytes) -> list[Event]:
        """Events of the lines that end within `data`; neighbouring samples come in one event."""
        events: list[Event] = []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        values: list[int] = []
        for line in filter(None, map(bytes.strip, lines)):
            self._line(line, values, events)
        self._flush(values, events)
        return events

    def finish(self, reason: str = "the stream ended") -> list[Event]:
        """End the open take, if there is one. Lines that have not come are a gap."""
        count, self._count, self._rate = self._count, 0, None
        if count == 0:
            return []
        missing = count - self._position
        gap = [Gap(0, self._take, self._position, missing, "transport")] if missing else []
        return [*gap, End(0, self._take, count, 0, 0, reason, complete=not missing)]

    def _line(self, line: bytes, values: list[int], events: list[Event]) -> None:
        number = int(line) if re.fullmatch(rb"-?\d+", line) and len(line) < 12 else None
        if self._count == 0:
            self._start(number, len(line), events)
        elif number is not None and abs(number) < 4096:
            values.append(number)
            if self._position + len(values) == self._count:
                self._flush(values, events)
                events += self.finish("length")
        elif number is not None and number >= LEAST_RATE:  # the last lines of the take before were lost
            self._flush(values, events)
            events += self.finish("lines were lost")
            self._start(number, len(line), events)
        else:
            self._flush(values, events)
            events += [Error(f"not a sample: {line[:20]!r}", len(line)),
                       Gap(0, self._take, self._position, 1, "transport")]
            self._position += 1
            if self._position == self._count:
                events += self.finish("length")

    def _start(self, number: int | None, size: int, events: list[Event]) -> None:
        rate, self._rate = self._rate, None
        if number is None or number <= 0:
            events.append(Error("neither a sample rate nor a sample count", size))
        elif rate is None:
            self._rate = number
        else:
            self._take, self._count, self._position = self._take + 1, number, 0
            events.append(Header(take=self._take, recording=True, clock_hz=rate, period=256, planned=number,
                                 firmware="text format"))

    def _flush(self, values: list[int], events: list[Event]) -> None:
        if values:
            events.append(Samples(0, self._take, self._position, np.array(values, dtype=np.int16)))
            self._position += len(values)
            values.clear()
