"""The recorder's portable C, compiled for this machine, and read by the Python decoder."""

import ctypes
import shutil
import subprocess
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given, settings, strategies as st

from mgr_helpers.config import FIRMWARE
from mgr_helpers.host import arduino
from mgr_helpers.pico import headers
from mgr_helpers.record import protocol

SOURCES = FIRMWARE / "recorder" / "src"
CLOCK, PERIOD = protocol.ADC_CLOCK_HZ, 557279  # 22049.9965 Hz
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]
STUB = """
#include "recorder.h"
#include "button.h"
size_t recorder_size(void) { return sizeof(recorder_t); }
int recorder_recording(recorder_t *r) { return r->recording; }
int press(button_t *b, int contact, uint32_t now) { return button_pressed(b, contact != 0, now); }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler (cc) on the path")
    folder = tmp_path_factory.mktemp("recorder")
    (folder / "stub.c").write_text(STUB)
    files = [folder / "stub.c", *sorted(SOURCES.glob("*.c"))]
    subprocess.run([compiler, *WARNINGS, "-O1", "-shared", "-fPIC", f"-I{SOURCES}", *files, "-o", folder / "r.so"],
                   check=True)
    loaded = ctypes.CDLL(str(folder / "r.so"))
    for name in ("recorder_size", "recorder_waiting", "framing_cobs"):
        getattr(loaded, name).restype = ctypes.c_size_t
    loaded.framing_crc32.restype = ctypes.c_uint32
    return loaded


def test_committed_header_is_what_python_generates():
    committed = (headers.RECORDER_GENERATED / "constants.h").read_text()
    assert committed == headers.recorder_constants_h(), "run pico.headers.write_recorder_constants()"


def test_headers_of_a_model_do_not_replace_the_recorders(capsys):
    arduino.run(SimpleNamespace(generated=headers.GENERATED, board=None))
    printed = capsys.readouterr().out
    assert "own_model/genre_recognizer" in printed and "own_model/recorder" not in printed


class Pico:
    """The C recorder; the test takes the place of its board. `wire` is what the host has received."""

    def __init__(self, library, settled=True, bits=12):
        self.library = library
        self.state = ctypes.create_string_buffer(library.recorder_size())
        library.recorder_init(self.state, bits, CLOCK, PERIOD, b"recorder 1.0", b"Raspberry Pi Pico")
        self.wire = bytearray()
        if settled:
            self.samples(np.random.default_rng(1).integers(1549, 1554, 256 * 20))

    def samples(self, values):
        values = np.ascontiguousarray(values, dtype=np.uint16)
        self.library.recorder_samples(self.state, values.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(values)))

    def command(self, text):
        for character in text.encode():
            self.library.recorder_command(self.state, ctypes.c_char(character))

    def read(self, most=10**9):
        """Let the host take up to `most` bytes."""
        data = ctypes.POINTER(ctypes.c_uint8)()
        while most and (count := self.library.recorder_waiting(self.state, ctypes.byref(data))):
            count = min(count, most)
            self.wire += ctypes.string_at(data, count)
            self.library.recorder_sent(self.state, ctypes.c_size_t(count))
            most -= count
        return bytes(self.wire)


@settings(max_examples=200, deadline=None, database=None)
@given(st.binary(max_size=1200))
def test_cobs_and_crc_equal_the_libraries(library, data):
    encoded = ctypes.create_string_buffer(2 * len(data) + 2)
    count = library.framing_cobs(data, ctypes.c_size_t(len(data)), encoded)
    assert encoded.raw[:count] == cobs.encode(data)
    assert library.framing_crc32(data, ctypes.c_size_t(len(data))) == zlib.crc32(data)


def test_cobs_of_long_runs_without_a_zero(library):
    for length in (253, 254, 255, 256, 508, 509):
        data = bytes([7]) * length
        encoded = ctypes.create_string_buffer(2 * length)
        count = library.framing_cobs(data, ctypes.c_size_t(length), encoded)
        assert cobs.decode(encoded.raw[:count]) == data


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_take_arrives_whole(library, sizes, seed):
    pico = Pico(library)
    pico.command("R\n")
    values = np.random.default_rng(seed).integers(0, 4096, sum(sizes))
    at = 0
    for size in sizes:
        pico.samples(values[at:at + size])
        pico.read()
        at += size
    pico.command("S\r\n")
    (take,), errors = protocol.decode_takes(pico.read())
    assert take.values.tolist() == values.tolist() and not take.gaps and not errors
    assert take.end == protocol.End(take.header.session, 1, len(values), 0, take.end.bias, "host")
    assert abs(take.header.bias - 1551) <= 1 and take.header.rate == CLOCK * 256 / PERIOD
    assert (take.header.firmware, take.header.board) == ("recorder 1.0", "Raspberry Pi Pico")


def test_python_and_c_frames_are_the_same_bytes(library):
    pico = Pico(library)
    pico.read()
    start = pico.wire.count(b"\0")  # frames so far
    pico.wire.clear()
    pico.command("R\n")
    values = np.arange(700)
    pico.samples(values)
    pico.command("S\n")
    takes, _ = protocol.decode_takes(pico.read())
    header = takes[0].header
    expected = protocol.take_frames(values, header, start)
    expected[-1] = protocol.end_frame(takes[0].end, start + len(expected) - 1)
    assert b"".join(expected) == pico.wire[:sum(map(len, expected))]


@settings(max_examples=30, deadline=None, database=None)
@given(st.lists(st.integers(0, 60_000), min_size=5, max_size=40), st.integers(0, 2**32 - 1))
def test_slow_host_gets_every_sample_or_a_gap(library, reads, seed):
    pico = Pico(library)
    pico.command("R\n")
    values = np.random.default_rng(seed).integers(0, 4096, 7000 * len(reads))
    for index, most in enumerate(reads):
        pico.samples(values[7000 * index:7000 * (index + 1)])
        pico.read(most)
    pico.command("S\n")
    (take,), errors = protocol.decode_takes(pico.read())
    missing = np.zeros(len(values), dtype=bool)
    for gap in take.gaps:
        assert gap.cause == "overrun"
        missing[gap.first:gap.first + gap.count] = True
    assert take.values.tolist() == values[~missing].tolist() and not errors
    assert take.end.complete and (take.end.total, take.end.lost) == (len(values), missing.sum())


def test_fixed_length_and_many_takes(library):
    pico = Pico(library)
    pico.command("L1000\n")
    for _ in range(3):
        pico.command("R\n")
        pico.samples(np.arange(1500) % 4096)
        pico.read()
    takes, errors = protocol.decode_takes(bytes(pico.wire))
    assert [len(take.values) for take in takes] == [1000] * 3 and not errors
    assert [take.end.reason for take in takes] == ["length"] * 3 and takes[0].header.planned == 1000


def test_start_before_the_bias_is_known_waits(library):
    pico = Pico(library, settled=False)
    pico.command("R\n")
    assert not library.recorder_recording(pico.state)
    pico.samples(np.full(256 * 16 + 100, 1700))
    pico.command("S\n")
    (take,), _ = protocol.decode_takes(pico.read())
    assert take.header.bias == 1700 and take.values.tolist() == [1700] * 100


def test_noise_on_the_line_is_no_command(library):
    pico = Pico(library)
    pico.command("\n\nX\n" + "R" * 100 + "\nRRRRRRRRRRRRRRRRRRRRRRRR\nS\n")
    assert not library.recorder_recording(pico.state)
    pico.command("R\n")
    assert library.recorder_recording(pico.state)


def test_idle_headers_tell_the_level(library):
    pico = Pico(library)
    pico.samples(1551 + 300 * np.resize([1, -1], 256 * 16))
    headers = [event for event in protocol.Decoder().feed(pico.read()) if isinstance(event, protocol.Header)]
    assert len(headers) >= 3 and 295 <= headers[-1].peak <= 305 and not headers[-1].recording


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_samples_of_16_bits_arrive_whole(library, sizes, seed):
    """Python's frames are the same bytes; the bias is the mean of the first blocks."""
    pico = Pico(library, settled=False, bits=16)
    pico.samples(np.full(256 * 16, 32768 - 700))
    pico.read()
    start = pico.wire.count(b"\0")
    pico.wire.clear()
    pico.command("R\n")
    values = np.random.default_rng(seed).integers(0, 2**16, sum(sizes))
    for piece in np.split(values, np.cumsum(sizes)[:-1]):
        pico.samples(piece)
    pico.command("S\n")
    (take,), errors = protocol.decode_takes(pico.read())
    assert take.values.tolist() == values.tolist() and not take.gaps and not errors
    assert (take.header.bits, take.header.bias) == (16, 32768 - 700)
    expected = b"".join(protocol.take_frames(values, take.header, start)[:-1])
    assert expected == pico.wire[: len(expected)]


def test_samples_that_the_microphone_lost_are_a_gap(library):
    pico = Pico(library)
    pico.command("R\n")
    for index in range(4):
        pico.samples(np.arange(300))
        pico.library.recorder_lost(pico.state, ctypes.c_uint32(512 * (index == 1)))
    pico.command("S\n")
    (take,), _ = protocol.decode_takes(pico.read())
    assert [(gap.first, gap.count, gap.cause) for gap in take.gaps] == [(600, 512, "overrun")]
    assert take.end.lost == 512 and take.end.complete and take.end.total == 1200 + 512


def test_button_is_debounced(library):
    button = ctypes.create_string_buffer(16)
    bounce = [(0, 0), (10, 1), (12, 0), (14, 1), (15, 0), (16, 1), (30, 1), (45, 1), (60, 1), (200, 0), (203, 1),
              (205, 0), (260, 0), (300, 1), (340, 1)]
    assert [time for time, contact in bounce if library.press(button, contact, time)] == [45, 340]
