"""The recorder's decoder in JavaScript: the events of protocol.py on damaged streams, and the files of takes.py."""

import base64
import io
import json
import zipfile

import numpy as np
import pytest

from mgr_helpers.record import protocol, takes
from mgr_helpers.record.protocol import Decoder, Header
from tests.record import test_protocol
from tests.web.modules import run_modules

STREAMS = 20_000


class Dice:
    """Takes the place of hypothesis's strategies: `draw` calls what these functions return."""

    def __init__(self, rng):
        self.rng = rng

    def integers(self, low, high):
        return lambda: int(self.rng.integers(low, high + 1))

    def booleans(self):
        return lambda: bool(self.rng.integers(2))

    def sampled_from(self, values):
        return lambda: values[self.rng.integers(len(values))]

    def lists(self, one, min_size=0, max_size=10):
        return lambda: [one() for _ in range(self.rng.integers(min_size, max_size + 1))]

    def binary(self, min_size=0, max_size=10):
        return lambda: self.rng.bytes(self.rng.integers(min_size, max_size + 1))


def run(task, streams):
    """What the page's modules make of streams of (bytes, sizes of pieces)."""
    rows = [{"stream": base64.b64encode(data).decode(), "pieces": pieces} for data, pieces in streams]
    return run_modules(task, rows)


def plain(event):
    """An event of protocol.py as the JavaScript decoder gives it."""
    values = {name: value for name, value in vars(event).items() if name != "advice"}  # only the terminal shows it
    if "values" in values:
        values["values"] = values["values"].tolist()
    return {"kind": type(event).__name__.lower(), **values}


def decode(data, pieces):
    decoder = Decoder()
    return test_protocol.feed_in_pieces(decoder, data, pieces) + decoder.finish()


def damaged_stream(draw, dice):
    """A damaged stream, sizes of pieces, and the samples that were sent."""
    sessions, sent = test_protocol.sent_stream(draw)
    frames = [piece for frames in sessions for piece in test_protocol.damage_frames(draw, frames)]
    data = test_protocol.damage_bytes(draw, b"".join(frames))
    return data, dice.lists(dice.integers(1, 200), max_size=8)(), sent


def test_both_decoders_give_the_same_events_on_damaged_streams(monkeypatch):
    """Python's are checked: no sample that was not sent, every number of a take a sample or in a gap."""
    dice = Dice(np.random.default_rng(17))
    monkeypatch.setattr(test_protocol, "st", dice)
    streams = [damaged_stream(lambda strategy: strategy(), dice) for _ in range(STREAMS)]
    found = run("events", [stream[:2] for stream in streams]).splitlines()
    kinds = dict.fromkeys(("header", "samples", "gap", "end", "error"), 0)
    assert len(found) == STREAMS
    for (data, pieces, sent), line in zip(streams, found):
        expected, events = decode(data, pieces), json.loads(line)
        assert events == [plain(event) for event in expected]
        test_protocol.check_events(expected, sent)
        for event in events:
            kinds[event["kind"]] += 1
    assert min(kinds.values()) > STREAMS / 10, kinds  # the streams were damaged, and not all of them to nothing


def test_both_decoders_on_garbage_and_on_frames_of_another_firmware():
    rng = np.random.default_rng(5)
    frame, ids = protocol.frame, (1, 1, 0)
    streams = [rng.bytes(5000), b"\1" * 9000, bytes([255]) * 254 + b"\0", frame(9, *ids, b"new"),
               frame(protocol.HEADER, *ids, b"\2" + bytes(40)), frame(protocol.HEADER, *ids, bytes(5)),
               frame(protocol.HEADER, *ids, b"\1" + bytes(30)), frame(protocol.SAMPLES, *ids, bytes(8)),
               frame(protocol.SAMPLES, *ids, b"\0\0\0\0\5\0abc"), frame(protocol.SAMPLES_16, *ids, b"\0\0\0\0\2\0abc"),
               frame(protocol.END, *ids, bytes(10)),
               frame(protocol.END, *ids, bytes(10) + b"\7"), frame(protocol.OVERRUN, *ids, bytes(9)),
               protocol.header_frame(Header(firmware="é\U0001f3b5", board="�", recording=True), 0)[:-1] + b"\0",
               b"".join(protocol.take_frames(np.arange(700), Header(session=2**32 - 1, take=65535)))]
    found = run("events", [(data, [7, 300]) for data in streams]).splitlines()
    assert [json.loads(line) for line in found] == [[plain(e) for e in decode(data, [7, 300])] for data in streams]


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("name", ["whole", "gap", "no header", "cut", "clipped"])
def test_takes_are_the_files_that_record_writes(name, bits, tmp_path):
    values = np.random.default_rng(1).integers(1400, 1700, 3001)
    values[:5] = (0, 2**bits - 1, 2**bits - 1, 3700, 0) if name == "clipped" else values[:5]
    header = Header(3, 1, bias=1551, bits=bits, firmware="recorder 1.0", board="Raspberry Pi Pico")
    frames = protocol.take_frames(values, header)
    frames = {"gap": frames[:4] + frames[6:], "no header": frames[1:], "cut": frames[:7]}.get(name, frames)
    data = b"".join(frames)
    (path,) = takes.save_takes(data, "jazz", tmp_path)
    archive = zipfile.ZipFile(io.BytesIO(run("takes", [(data, [])])))
    assert archive.testzip() is None
    wav, sidecar = sorted(archive.namelist(), reverse=True)
    assert wav.startswith("jazz/jazz_") and sidecar == wav.replace(".wav", ".json")
    assert archive.read(wav) == path.read_bytes()
    expected, found = takes.read_sidecar(path), json.loads(archive.read(sidecar))
    assert list(found) == list(expected) and found["file"] == wav.removeprefix("jazz/")
    assert {len(found[key]) == len(expected[key]) for key in ("file", "recorded_at")} == {True}
    assert {**found, "file": 0, "recorded_at": 0} == {**expected, "file": 0, "recorded_at": 0}
