"""The recorder's serial stream: bytes to events, and events to bytes.

No port, no file, no thread in here. The Pico's side is firmware/recorder/src/framing.c; the constants below reach it
through a generated header: `pico.headers.recorder_constants_h`.

A frame is encoded with COBS (Cheshire and Baker 1999), so that the byte 0 occurs only at its end. Decoded:

    type u8 · session u32 · take u16 · sequence u32 · fields of the type · CRC-32 of all before      (little-endian)

    header   version u8 · bits u8 · recording u8 · clock_hz u32 · period u32 · bias u16 · peak u16
             · planned u32 · position u32 · lost u32 · firmware and board, each ended by a zero byte
    samples  first u32 · count u16 · two 12-bit samples in three bytes; or in a frame of another type, 16 bits each:
             those of a digital microphone plus 32768
    overrun  first u32 · count u32                                 (samples that the Pico took and had to drop)
    end      total u32 · lost u32 · bias u16 · reason u8

`session` is drawn at power-on, `take` counts recordings, `sequence` counts frames, `first` and `position` count samples
of the take. Sequence numbers show how many frames the cable lost, sample numbers how many samples.

Notebooks: 01.
"""

import struct
import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from cobs import cobs

from ..config import CONFIG

PROTOCOL_VERSION = 1
HEADER, SAMPLES, OVERRUN, END, SAMPLES_16 = 1, 2, 3, 4, 5  # types of frames
END_REASONS = {0: "button", 1: "host", 2: "length"}
SAMPLES_PER_FRAME = 256
LONGEST_FRAME = 2048  # bytes; anything longer has lost the zero byte at its end
ADC_CLOCK_HZ = 48_000_000
BAUD_RATE = 921600  # only opens the port: a USB port has no baud rate

_PREFIX = struct.Struct("<BIHI")
_HEADER = struct.Struct("<BBBIIHHIII")
_SAMPLES = struct.Struct("<IH")
_OVERRUN = struct.Struct("<II")
_END = struct.Struct("<IIHB")
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class Header:
    """State of the Pico: sent several times a second while idle, once a second during a take.

    - clock_hz, period: the sampling rate is clock_hz * 256 / period
    - bits: of a sample, 12 or 16
    - bias, peak: counts, 0 to 2**bits - 1; the peak is the largest distance from the bias since the last header
    - planned: length of the take in samples, 0 when a button or a command ends it
    - position, lost: samples of the take so far, and how many of them the Pico had to drop
    """

    session: int = 0
    take: int = 0
    version: int = PROTOCOL_VERSION
    bits: int = CONFIG.adc_bits
    recording: bool = False
    clock_hz: int = ADC_CLOCK_HZ
    period: int = round(ADC_CLOCK_HZ * 256 / CONFIG.sample_rate)
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
    """Consecutive samples of a take: the number of the first, and counts (int16 of 12 bits, uint16 of 16)."""

    session: int
    take: int
    first: int
    values: np.ndarray

    @property
    def bits(self) -> int:
        """Of a sample."""
        return 16 if self.values.dtype == np.uint16 else CONFIG.adc_bits


@dataclass(frozen=True)
class Gap:
    """`count` samples from number `first` on are missing: lost by the cable ("transport") or the Pico ("overrun")."""

    session: int
    take: int
    first: int
    count: int
    cause: str


@dataclass(frozen=True)
class End:
    """A take is over after `total` samples, of which the Pico dropped `lost`.

    `reason` is "button", "host" or "length". Without an end frame it says why none came, and `complete` is False:
    nobody knows whether samples are missing after the last one that arrived.
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
    """`size` bytes were not used, and why; with `advice` the user should know. Lost samples are reported as a `Gap`."""

    reason: str
    size: int
    advice: bool = False


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
    """One frame as it is sent, with the zero byte at its end."""
    body = _PREFIX.pack(kind, session, take, sequence) + fields
    return cobs.encode(body + _CRC.pack(zlib.crc32(body))) + b"\0"


def header_frame(header: Header, sequence: int) -> bytes:
    """Frame of a `Header`."""
    numbers = _HEADER.pack(header.version, header.bits, header.recording, header.clock_hz, header.period, header.bias,
                           header.peak, header.planned, header.position, header.lost)
    texts = header.firmware.encode() + b"\0" + header.board.encode() + b"\0"
    return frame(HEADER, header.session, header.take, sequence, numbers + texts)


def samples_frame(session: int, take: int, sequence: int, first: int, values, bits: int = CONFIG.adc_bits) -> bytes:
    """Frame of consecutive samples (counts from 0 to 2**bits - 1) whose first is number `first` of the take."""
    kind, packed = (SAMPLES_16, np.asarray(values, "<u2").tobytes()) if bits == 16 else (SAMPLES, pack_12_bit(values))
    return frame(kind, session, take, sequence, _SAMPLES.pack(first, len(values)) + packed)


def end_frame(end: End, sequence: int) -> bytes:
    """Frame of an `End`."""
    reason = {text: code for code, text in END_REASONS.items()}[end.reason]
    return frame(END, end.session, end.take, sequence, _END.pack(end.total, end.lost, end.bias, reason))


def take_frames(values, header: Header = Header(), sequence: int = 0) -> list[bytes]:
    """Frames of a whole take as the Pico would send it, from frame number `sequence` on; `values` are counts."""
    ids = header.session, header.take
    frames = [header_frame(replace(header, recording=True), sequence)]
    for first in range(0, len(values), SAMPLES_PER_FRAME):
        block = values[first:first + SAMPLES_PER_FRAME]
        frames.append(samples_frame(*ids, sequence + len(frames), first, block, header.bits))
    end = End(*ids, total=len(values), lost=0, bias=header.bias, reason="host")
    return [*frames, end_frame(end, sequence + len(frames))]


class Decoder:
    """Decoder of the recorder's stream, which takes bytes in pieces of any size.

    - Samples come in order, none twice, and only from frames whose CRC is right.
    - Samples missing between two that arrived are reported as a `Gap`.
    - Frames that are damaged, come late or come twice are not used. Each one gives an `Error`.
    - After garbage, decoding goes on after the next zero byte.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._session: int | None = None
        self._old_sessions: set[int | None] = set()
        self._expected = 0  # sequence number of the next frame
        self._take = 0
        self._open = False  # a take has begun and not ended
        self._position = 0  # number of the next sample
        self._frames_missing = False  # since the last sample

    def feed(self, data: bytes) -> list[Event]:
        """Events of the frames that end within `data`, oldest first."""
        events: list[Event] = []
        pieces = data.split(b"\0")
        for piece in pieces[:-1]:
            encoded = bytes(self._buffer) + piece if self._buffer else piece
            self._buffer.clear()
            if encoded:
                self._frame(encoded, events)
        self._buffer += pieces[-1]
        if len(self._buffer) > LONGEST_FRAME:
            events.append(Error(f"no end of a frame within {LONGEST_FRAME} bytes", len(self._buffer)))
            self._buffer.clear()
        return events

    def finish(self, reason: str = "the stream ended") -> list[Event]:
        """Events of a stream that stops here: an open take ends incomplete, half a frame is an error."""
        events: list[Event] = [Error("half a frame at the end", len(self._buffer))] if self._buffer else []
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
                events.append(Error("frame from before the Pico restarted", size))
                return False
            self._close(events, "the Pico started again")
            self._old_sessions |= {self._session}
            self._session, self._expected, self._take, self._position = session, sequence, take, 0
        if sequence < self._expected:
            events.append(Error("frame came late or twice", size))
            return False
        if sequence > self._expected:
            events.append(Error(f"{sequence - self._expected} frames are missing", 0))
            self._frames_missing = True
        self._expected = sequence + 1
        return True

    def _use(self, event: Event, events: list[Event]) -> None:
        if event.take != self._take:
            self._close(events, "its end was lost")
            self._take, self._position = event.take, 0
            # an idle header with a position: every frame of that take was lost
            self._open = isinstance(event, Header) and event.position > 0
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
            self._position += event.count if isinstance(event, Gap) else len(event.values)
            events.append(event)

    def _use_header(self, header: Header, events: list[Event]) -> None:
        self._open = self._open or header.recording
        if self._open:
            self._skip_to(header.position, events)
        events.append(header)
        if not header.recording:
            self._close(events, "its end was lost")

    def _skip_to(self, position: int, events: list[Event]) -> None:
        """Report a gap if samples before number `position` have not come."""
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
    """A frame without COBS and CRC; None when either is wrong."""
    try:
        body = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    body, crc = body[:-_CRC.size], body[-_CRC.size:]
    return body if len(body) >= _PREFIX.size and crc == _CRC.pack(zlib.crc32(body)) else None


def _parse(kind: int, session: int, take: int, fields: bytes) -> Event:
    """Event of a frame whose CRC is right; an `Error` for frames of a newer firmware."""
    try:
        if kind in (SAMPLES, SAMPLES_16):
            return _parse_samples(kind, session, take, fields)
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


def _parse_samples(kind: int, session: int, take: int, fields: bytes) -> Samples | Error:
    (first, count), packed = _SAMPLES.unpack_from(fields), fields[_SAMPLES.size:]
    if len(packed) != (2 * count if kind == SAMPLES_16 else (count + 1) // 2 * 3):
        return Error("samples frame of the wrong length", len(fields))
    values = np.frombuffer(packed, "<u2") if kind == SAMPLES_16 else unpack_12_bit(packed, count)
    return Samples(session, take, first, values)


def _parse_header(session: int, take: int, fields: bytes) -> Header | Error:
    version, bits, recording, clock_hz, period, *rest = _HEADER.unpack_from(fields)
    if version != PROTOCOL_VERSION:
        return Error(f"the Pico speaks protocol {version}, this helper {PROTOCOL_VERSION}: update the older one",
                     len(fields), advice=True)
    if period == 0:
        return Error("header with a sampling period of zero", len(fields))
    firmware, board, *_ = (fields[_HEADER.size:] + b"\0\0").split(b"\0")
    return Header(session, take, version, bits, bool(recording), clock_hz, period, *rest,
                  firmware=firmware.decode(errors="replace"), board=board.decode(errors="replace"))


@dataclass
class Take:
    """A take in memory: its first header, blocks of ADC counts, gaps, and its end (each None when it never came)."""

    header: Header | None = None
    blocks: list[np.ndarray] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    end: End | None = None

    @property
    def values(self) -> np.ndarray:
        """All counts that arrived: int16 (n,), or uint16 of 16 bits."""
        return np.concatenate(self.blocks) if self.blocks else np.empty(0, np.int16)


def decode_takes(data: bytes, decoder=None) -> tuple[list[Take], list[Error]]:
    """All takes of a short stream, and the errors. `book_text.TextDecoder` as decoder reads the book's format."""
    decoder = decoder or Decoder()
    takes: dict[tuple[int, int], Take] = {}
    errors: list[Error] = []
    for event in [*decoder.feed(data), *decoder.finish()]:
        if isinstance(event, Error):
            errors.append(event)
        elif not isinstance(event, Header) or event.recording:
            take = takes.setdefault((event.session, event.take), Take())
            if isinstance(event, Header):
                take.header = take.header or event
            elif isinstance(event, Samples):
                take.blocks.append(event.values)
            elif isinstance(event, Gap):
                take.gaps.append(event)
            else:
                take.end = event
    return list(takes.values()), errors
