"""From serial bytes to samples: the recorder's framed stream, and the book's text format.

Everything here is bytes in, events out: no port, no file, no thread. The Pico's side of the same protocol is
firmware/recorder/src/framing.c. Explained in notebooks/01_record_audio.ipynb.

A frame is COBS-encoded (Cheshire and Baker 1999), so that the byte 0 occurs only as its delimiter:

    type u8 · session u32 · take u16 · sequence u32 · fields of the type · CRC-32 of all before      (little-endian)

    header   version u8 · bits u8 · recording u8 · clock_hz u32 · period u32 (clock cycles / 256 a sample) · bias u16
             · peak u16 · planned u32 · position u32 · lost u32 · firmware and board, each ended by a zero byte
    samples  first u32 · count u16 · two 12-bit samples in three bytes
    overrun  first u32 · count u32                                 (samples that the Pico took and had to drop)
    end      total u32 · lost u32 · bias u16 · reason u8

`session` is drawn at power-on, `take` counts recordings, `sequence` counts frames, `first` and `position` count samples
of the take. Sequence numbers show what the cable lost, sample numbers how many samples that was.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from cobs import cobs

from ..audio import adc
from ..config import CONFIG

PROTOCOL_VERSION = 1
HEADER, SAMPLES, OVERRUN, END = 1, 2, 3, 4
SAMPLES_PER_FRAME = 256
LONGEST_FRAME = 2048  # bytes; what is longer has lost its delimiters
END_REASONS = {0: "button", 1: "host", 2: "length"}

_PREFIX = struct.Struct("<BIHI")
_HEADER = struct.Struct("<BBBIIHHIII")
_SAMPLES = struct.Struct("<IH")
_OVERRUN = struct.Struct("<II")
_END = struct.Struct("<IIHB")
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class Header:
    """What the Pico says about itself: several times a second while idle, once a second during a take.

    `clock_hz * 256 / period` is the true sampling rate in Hz. `bias` and `peak` (largest distance from the bias since
    the last header) are ADC counts. `planned` samples make the take, 0 when it ends by button or command. `position`
    samples of the take are behind it, of which the Pico had to drop `lost`.
    """

    session: int = 0
    take: int = 0
    version: int = PROTOCOL_VERSION
    bits: int = CONFIG.adc_bits
    recording: bool = False
    clock_hz: int = 48_000_000
    period: int = round(48_000_000 * 256 / CONFIG.sample_rate)
    bias: int = 0
    peak: int = 0
    planned: int = 0
    position: int = 0
    lost: int = 0
    firmware: str = ""
    board: str = ""

    @property
    def rate(self) -> float:
        """True sampling rate in Hz."""
        return self.clock_hz * 256 / self.period


@dataclass(frozen=True)
class Samples:
    """Consecutive samples of a take: number of the first, and ADC counts (int16; audio is values - header.bias)."""

    session: int
    take: int
    first: int
    values: np.ndarray


@dataclass(frozen=True)
class Gap:
    """Samples `first` to `first + count - 1` are missing; cause "transport" (the cable) or "overrun" (the Pico)."""

    session: int
    take: int
    first: int
    count: int
    cause: str


@dataclass(frozen=True)
class End:
    """A take is over. `total` samples were taken; `reason` "button", "host" or "length", else why its end is unknown.

    `complete` is False when the end frame never came, so that samples may be missing without being counted.
    """

    session: int
    take: int
    total: int
    lost: int
    bias: int
    reason: str
    complete: bool = True


@dataclass(frozen=True)
class Error:
    """`size` bytes were not used, and why. The samples they held, if any, are reported as a `Gap`."""

    reason: str
    size: int


Event = Header | Samples | Gap | End | Error


def pack_12_bit(values) -> bytes:
    """Two 12-bit samples in three bytes, low bits first; an odd count is padded with a zero sample."""
    pairs = np.zeros((len(values) + 1) // 2 * 2, dtype=np.uint16)
    pairs[:len(values)] = values
    low, high = pairs[0::2], pairs[1::2]
    packed = np.stack([low & 0xFF, low >> 8 | (high & 0xF) << 4, high >> 4], axis=1)
    return packed.astype(np.uint8).tobytes()


def unpack_12_bit(data: bytes, count: int) -> np.ndarray:
    """`count` samples (int16, 0 to 4095) from the bytes of `pack_12_bit`."""
    packed = np.frombuffer(data, dtype=np.uint8).astype(np.int16).reshape(-1, 3)
    values = np.empty((len(packed), 2), dtype=np.int16)
    values[:, 0] = packed[:, 0] | (packed[:, 1] & 0xF) << 8
    values[:, 1] = packed[:, 1] >> 4 | packed[:, 2] << 4
    return values.ravel()[:count]


def frame(kind: int, session: int, take: int, sequence: int, fields: bytes) -> bytes:
    """One frame as it goes over the wire, its delimiter included."""
    body = _PREFIX.pack(kind, session, take, sequence) + fields
    return cobs.encode(body + _CRC.pack(zlib.crc32(body))) + b"\0"


def header_frame(header: Header, sequence: int) -> bytes:
    """Frame of a `Header`."""
    numbers = _HEADER.pack(header.version, header.bits, header.recording, header.clock_hz, header.period, header.bias,
                           header.peak, header.planned, header.position, header.lost)
    texts = header.firmware.encode() + b"\0" + header.board.encode() + b"\0"
    return frame(HEADER, header.session, header.take, sequence, numbers + texts)


def samples_frame(session: int, take: int, sequence: int, first: int, values) -> bytes:
    """Frame of consecutive samples (ADC counts from 0 to 4095) whose first is number `first` of the take."""
    return frame(SAMPLES, session, take, sequence, _SAMPLES.pack(first, len(values)) + pack_12_bit(values))


def overrun_frame(session: int, take: int, sequence: int, first: int, count: int) -> bytes:
    """Frame that owns up to `count` dropped samples."""
    return frame(OVERRUN, session, take, sequence, _OVERRUN.pack(first, count))


def end_frame(end: End, sequence: int) -> bytes:
    """Frame of an `End`."""
    reason = {text: code for code, text in END_REASONS.items()}[end.reason]
    return frame(END, end.session, end.take, sequence, _END.pack(end.total, end.lost, end.bias, reason))


def take_frames(values, header: Header = Header(), sequence: int = 0, reason: str = "host") -> list[bytes]:
    """The frames of a whole take as the Pico would send it: header, samples, end.

    Parameters
    ----------
    values : array of int, shape (n,)
        ADC counts, 0 to 4095.
    sequence : int
        Number of the first frame.
    """
    ids = header.session, header.take
    frames = [header_frame(replace(header, recording=True), sequence)]
    for first in range(0, len(values), SAMPLES_PER_FRAME):
        block = values[first:first + SAMPLES_PER_FRAME]
        frames.append(samples_frame(*ids, sequence + len(frames), first, block))
    end = End(*ids, total=len(values), lost=0, bias=header.bias, reason=reason)
    return [*frames, end_frame(end, sequence + len(frames))]


class Decoder:
    """Incremental decoder of the recorder's stream.

    `feed` takes any bytes, in any pieces, and gives the events they complete. After garbage it is in step again at the
    next delimiter. A sample is given at most once, in order, and only from a frame whose CRC is right; samples that
    are missing between two that arrived are a `Gap`. Frames that come late or twice are an `Error` and not used.

    Examples
    --------
    >>> decoder = Decoder()
    >>> [type(event).__name__ for event in decoder.feed(b"".join(take_frames(range(300))))]
    ['Header', 'Samples', 'Samples', 'End']
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._session: int | None = None
        self._old_sessions: set[int] = set()
        self._expected = 0  # sequence number of the next frame
        self._take = 0
        self._open = False  # within a take
        self._position = 0  # number of the next sample
        self._frames_missing = False  # since the last sample

    def feed(self, data: bytes) -> list[Event]:
        """Events that `data` completes, oldest first."""
        events: list[Event] = []
        pieces = data.split(b"\0")
        for piece in pieces[:-1]:
            encoded = bytes(self._buffer) + piece if self._buffer else piece
            self._buffer.clear()
            if encoded:
                self._frame(encoded, events)
        self._buffer += pieces[-1]
        if len(self._buffer) > LONGEST_FRAME:
            events.append(Error("no end of frame in sight", len(self._buffer)))
            self._buffer.clear()
        return events

    def finish(self, reason: str = "the stream ended") -> list[Event]:
        """Events of a stream that stops here: an open take ends incomplete, bytes of half a frame are an error."""
        events: list[Event] = []
        if self._buffer:
            events.append(Error("half a frame at the end", len(self._buffer)))
            self._buffer.clear()
        self._close(events, reason)
        return events

    def _frame(self, encoded: bytes, events: list[Event]) -> None:
        body = _checked_body(encoded)
        if body is None:
            events.append(Error("damaged frame", len(encoded)))
            return
        kind, session, take, sequence = _PREFIX.unpack_from(body)
        event = _parse(kind, session, take, body[_PREFIX.size:])
        if isinstance(event, Error):
            events.append(event)
        elif self._in_order(session, take, sequence, len(encoded), events):
            self._use(event, events)

    def _in_order(self, session: int, take: int, sequence: int, size: int, events: list[Event]) -> bool:
        if session != self._session:
            if session in self._old_sessions:
                events.append(Error("frame of the session before", size))
                return False
            self._new_session(session, take, sequence, events)
        if sequence < self._expected:
            events.append(Error("frame came late or twice", size))
            return False
        if sequence > self._expected:
            events.append(Error(f"{sequence - self._expected} frames are missing", 0))
            self._frames_missing = True
        self._expected = sequence + 1
        return True

    def _new_session(self, session: int, take: int, sequence: int, events: list[Event]) -> None:
        self._close(events, "the Pico started again")
        if self._session is not None:
            self._old_sessions.add(self._session)
        self._session, self._expected = session, sequence
        self._take, self._position = take, 0

    def _use(self, event: Event, events: list[Event]) -> None:
        if event.take != self._take:
            self._close(events, "its end was lost")
            self._take, self._position = event.take, 0
            self._open = isinstance(event, Header) and event.position > 0  # an idle one: no frame of that take came
        if isinstance(event, Header):
            self._use_header(event, events)
        elif isinstance(event, End):
            self._open = True
            self._skip_to(event.total, events)
            self._open = False
            events.append(event)
        elif event.first < self._position:
            events.append(Error("samples overlap those before", 0))
        else:
            self._open = True
            self._skip_to(event.first, events)
            count = event.count if isinstance(event, Gap) else len(event.values)
            self._position += count
            events.append(event)

    def _use_header(self, header: Header, events: list[Event]) -> None:
        self._open = self._open or header.recording
        if self._open:
            self._skip_to(header.position, events)
        events.append(header)
        if not header.recording:
            self._close(events, "its end was lost")

    def _skip_to(self, position: int, events: list[Event]) -> None:
        """Report the samples from here to `position` as missing."""
        if position > self._position:
            cause = "transport" if self._frames_missing or self._position == 0 else "overrun"
            events.append(Gap(self._session, self._take, self._position, position - self._position, cause))
            self._position = position
        self._frames_missing = False

    def _close(self, events: list[Event], reason: str) -> None:
        if self._open:
            events.append(End(self._session, self._take, self._position, 0, 0, reason, complete=False))
        self._open = False


def _checked_body(encoded: bytes) -> bytes | None:
    """Frame without COBS and CRC, None when either is wrong."""
    try:
        body = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    if len(body) < _PREFIX.size + _CRC.size:
        return None
    (crc,) = _CRC.unpack_from(body, len(body) - _CRC.size)
    return body[:-_CRC.size] if crc == zlib.crc32(memoryview(body)[:-_CRC.size]) else None


def _parse(kind: int, session: int, take: int, fields: bytes) -> Event:
    """Event of a frame whose CRC is right; an `Error` when a newer firmware sends what this doesn't know."""
    try:
        if kind == SAMPLES:
            first, count = _SAMPLES.unpack_from(fields)
            if len(fields) - _SAMPLES.size != (count + 1) // 2 * 3:
                return Error("samples frame of the wrong length", len(fields))
            return Samples(session, take, first, unpack_12_bit(fields[_SAMPLES.size:], count))
        if kind == HEADER:
            return _parse_header(session, take, fields)
        if kind == OVERRUN:
            return Gap(session, take, *_OVERRUN.unpack(fields), cause="overrun")
        if kind == END:
            total, lost, bias, reason = _END.unpack(fields)
            return End(session, take, total, lost, bias, END_REASONS.get(reason, f"reason {reason}"))
    except struct.error:
        return Error(f"frame type {kind} of the wrong length", len(fields))
    return Error(f"unknown frame type {kind}: newer firmware?", len(fields))


def _parse_header(session: int, take: int, fields: bytes) -> Header | Error:
    numbers = _HEADER.unpack_from(fields)
    if numbers[0] != PROTOCOL_VERSION:
        return Error(f"the Pico speaks protocol {numbers[0]}, this helper {PROTOCOL_VERSION}: update the older one",
                     len(fields))
    if numbers[4] == 0:
        return Error("header with a sampling period of zero", len(fields))
    firmware, board, *_ = (fields[_HEADER.size:] + b"\0\0").split(b"\0")
    version, bits, recording, *rest = numbers
    return Header(session, take, version, bits, bool(recording), *rest,
                  firmware=firmware.decode(errors="replace"), board=board.decode(errors="replace"))


@dataclass
class Take:
    """A take in memory: the last header before its end, ADC counts (int16), gaps, and its end (None: cut off)."""

    header: Header | None = None
    values: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int16))
    gaps: list[Gap] = field(default_factory=list)
    end: End | None = None

    @property
    def audio(self) -> np.ndarray:
        """int16 audio, as `to_audio` makes it."""
        header = self.header or Header()
        return adc.counts_to_audio(self.values, header.bias, header.bits)


def decode_takes(data: bytes, decoder: Decoder | None = None) -> tuple[list[Take], list[Error]]:
    """All takes in recorded bytes, and what could not be used. For short streams: everything stays in memory."""
    decoder = decoder or Decoder()
    takes: dict[tuple[int, int], Take] = {}
    errors: list[Error] = []
    blocks: dict[tuple[int, int], list] = {}
    for event in [*decoder.feed(data), *decoder.finish()]:
        if isinstance(event, Error):
            errors.append(event)
        elif not isinstance(event, Header) or event.recording:
            _add_to_take(takes.setdefault((event.session, event.take), Take()),
                         blocks.setdefault((event.session, event.take), []), event)
    for key, take in takes.items():
        take.values = np.concatenate(blocks[key]) if blocks[key] else take.values
    return list(takes.values()), errors


def _add_to_take(take: Take, blocks: list, event: Event) -> None:
    if isinstance(event, Header):
        take.header = take.header or event
    elif isinstance(event, Samples):
        blocks.append(event.values)
    elif isinstance(event, Gap):
        take.gaps.append(event)
    else:
        take.end = event
