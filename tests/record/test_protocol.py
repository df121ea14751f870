"""Decoding the serial stream and the book's text format, undamaged and damaged."""

import os
import struct
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st

from mgr_helpers.audio import adc
from mgr_helpers.record import book_text, protocol
from mgr_helpers.record.protocol import Decoder, End, Error, Gap, Header, Samples
from tools import bench

EXAMPLES = 100_000 if os.environ.get("MGR_LONG") else 400
FUZZ = settings(max_examples=EXAMPLES, deadline=None, database=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
TAIL = 6  # undamaged frames at the end of every stream


def sent_stream(draw):
    """Frames of one to three takes (a list per session), and their samples: {(session, take): {number: value}}."""
    sessions, sent, sequence = [[]], {}, 0
    for take in range(1, draw(st.integers(1, 3)) + 1):
        if sessions[-1] and draw(st.integers(0, 3)) == 0:
            sessions, sequence = [*sessions, []], 0  # the Pico was reset
        header = Header(session=len(sessions), take=take, bias=1551, bits=draw(st.sampled_from([12, 16])))
        new, values = one_take(draw, header, sequence)
        sent[len(sessions), take] = values
        sessions[-1] += new
        sequence += len(new)
    return sessions, sent


def overrun_frame(session, take, sequence, first, count):
    return protocol.frame(protocol.OVERRUN, session, take, sequence, struct.pack("<II", first, count))


def one_take(draw, header, sequence):
    """Frames of a take with small blocks and, at times, an overrun."""
    ids, frames, values, position = (header.session, header.take), [], {}, 0
    frames.append(protocol.header_frame(replace(header, recording=True), sequence))
    for seed in draw(st.lists(st.integers(0, 2**16), min_size=3, max_size=14)):
        if seed % 11 == 0:
            frames.append(overrun_frame(*ids, sequence + len(frames), position, seed % 50 + 1))
            position += seed % 50 + 1
        block = np.random.default_rng(seed).integers(0, 2**header.bits, seed % 23 + 1)
        frames.append(protocol.samples_frame(*ids, sequence + len(frames), position, block, header.bits))
        values.update(enumerate(block.tolist(), position))
        position += len(block)
    lost = position - len(values)
    if draw(st.booleans()):
        told = replace(header, recording=True, position=position)
        frames.append(protocol.header_frame(told, sequence + len(frames)))
    frames.append(protocol.end_frame(End(*ids, position, lost, header.bias, "host"), sequence + len(frames)))
    frames.append(protocol.header_frame(replace(header, position=position), sequence + len(frames)))
    return frames, values


def damage_frames(draw, frames):
    """Cut frames of one session short, leave some out, repeat some at once or later, swap neighbours."""
    frames = list(frames)
    for _ in range(draw(st.integers(0, 4))):
        if not frames:
            break
        at = draw(st.integers(0, len(frames) - 1))
        kind = draw(st.sampled_from(["cut", "drop", "double", "swap", "late"]))
        if kind == "cut":
            frames[at] = frames[at][:draw(st.integers(0, len(frames[at])))]
        elif kind == "drop":
            del frames[at]
        elif kind == "double":
            frames.insert(at, frames[at])
        elif kind == "late":
            frames.insert(draw(st.integers(at, len(frames))), frames[at])
        elif at + 1 < len(frames):
            frames[at], frames[at + 1] = frames[at + 1], frames[at]
    return frames


def damage_bytes(draw, data):
    """Flip bits; drop, repeat and insert bytes."""
    data = bytearray(data)
    for _ in range(draw(st.integers(0, 6))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["flip", "drop", "double", "insert"]))
        if kind == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "drop":
            del data[at:at + draw(st.integers(1, 40))]
        elif kind == "double":
            data[at:at] = data[at:at + draw(st.integers(1, 40))]
        else:
            data[at:at] = draw(st.binary(min_size=1, max_size=40))
    return bytes(data)


def feed_in_pieces(decoder, data, sizes):
    """All events of `data`, fed in pieces of these sizes; the rest in one piece."""
    events, at = [], 0
    for size in sizes:
        events += decoder.feed(data[at:at + size])
        at += size
    return events + decoder.feed(data[at:])


def check_events(events, sent):
    """Check that every sample was sent, none comes twice, and each number of a take is a sample or in a gap."""
    position, ended = {}, set()
    for event in events:
        if isinstance(event, (Error, Header)):
            continue
        key = event.session, event.take
        assert key not in ended, "samples after the end"
        if isinstance(event, End):
            ended.add(key)
            assert event.total == position.get(key, 0)
            if event.complete:
                assert event.total == max(sent[key]) + 1
            continue
        assert event.first == position.get(key, 0), "neither sample nor gap, or twice"
        if isinstance(event, Samples):
            assert event.values.tolist() == [sent[key][event.first + i] for i in range(len(event.values))]
        position[key] = event.first + (event.count if isinstance(event, Gap) else len(event.values))
    assert set(position) <= ended, "a take was left open"
    return position, ended


@FUZZ
@given(st.data())
def test_damaged_streams_lose_no_sample_unnoticed(data):
    sessions, sent = sent_stream(data.draw)
    sessions[-1], tail = sessions[-1][:-TAIL], sessions[-1][-TAIL:]
    frames = [piece for frames in sessions for piece in damage_frames(data.draw, frames)]
    damaged = damage_bytes(data.draw, b"".join(frames))
    stream = damaged + b"".join(tail)
    decoder = Decoder()
    pieces = data.draw(st.lists(st.integers(1, 200), max_size=12))
    events = feed_in_pieces(decoder, stream, pieces) + decoder.finish()
    position, ended = check_events(events, sent)
    # the decoder recovers within the undamaged tail: only its first two frames may be missing
    last = max(sent)
    assert last in ended
    intact = [event for piece in tail[2:] for event in Decoder().feed(piece) if isinstance(event, Samples)]
    got = {event.first for event in events if isinstance(event, Samples) and (event.session, event.take) == last}
    assert all(event.first in got for event in intact if (event.session, event.take) == last)
    for key, values in sent.items():  # a lost sample never goes unnoticed
        mine = [event for event in events if not isinstance(event, Error) and (event.session, event.take) == key]
        received = sum(len(event.values) for event in mine if isinstance(event, Samples))
        told = any(isinstance(event, Gap) or isinstance(event, End) and not event.complete for event in mine)
        never_came = key not in position and any(isinstance(event, Error) for event in events)
        assert received == len(values) or told or never_came


@FUZZ
@given(st.binary(max_size=5000), st.lists(st.integers(1, 300), max_size=20))
def test_garbage_gives_no_sample(garbage, pieces):
    decoder = Decoder()
    events = feed_in_pieces(decoder, garbage, pieces) + decoder.finish()
    assert all(isinstance(event, Error) for event in events)
    good = b"".join(protocol.take_frames(np.arange(600)))
    takes, _ = protocol.decode_takes(garbage + b"\0" + good)
    assert takes[0].values.tolist() == list(range(600)) and not takes[0].gaps


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.integers(0, 4095), max_size=1500), st.lists(st.integers(1, 700), max_size=30))
def test_undamaged_take_in_any_pieces(values, pieces):
    header = Header(session=2**32 - 1, take=65535, bias=1551, firmware="recorder 1.0", board="Raspberry Pi Pico")
    decoder = Decoder()
    events = feed_in_pieces(decoder, b"".join(protocol.take_frames(values, header)), pieces)
    assert events[0] == replace(header, recording=True)
    assert [v for e in events if isinstance(e, Samples) for v in e.values.tolist()] == values
    assert events[-1] == End(header.session, header.take, len(values), 0, 1551, "host")
    assert not [e for e in events if isinstance(e, (Error, Gap))] and decoder.finish() == []


def test_gap_says_whether_the_cable_or_the_pico_lost_samples():
    frames = protocol.take_frames(np.zeros(256 * 4))
    del frames[2]
    (take,), errors = protocol.decode_takes(b"".join(frames))
    assert take.gaps == [Gap(0, 0, 256, 256, "transport")] and len(take.values) == 768
    assert [error.reason for error in errors] == ["1 frames are missing"]
    events = Decoder().feed(protocol.samples_frame(0, 0, 0, 0, [1, 2]) + overrun_frame(0, 0, 1, 2, 5)
                               + protocol.samples_frame(0, 0, 2, 7, [3]))
    assert events[1] == Gap(0, 0, 2, 5, "overrun") and events[2].first == 7


def test_idle_header_closes_a_take_whose_end_was_lost():
    frames = protocol.take_frames(np.zeros(512))[:-1]
    idle = protocol.header_frame(Header(position=512), len(frames) + 1)
    (take,), _ = protocol.decode_takes(b"".join(frames) + idle)
    assert not take.end.complete and take.end.total == 512 and not take.gaps


def test_a_take_that_never_arrived_is_reported():
    decoder = Decoder()
    decoder.feed(protocol.header_frame(Header(take=0), 0))
    events = decoder.feed(protocol.header_frame(Header(take=1, position=900), 9))
    assert [type(event) for event in events] == [Error, Gap, Header, End] and events[1].count == 900


def test_newer_protocol_and_unknown_frames_are_errors():
    decoder = Decoder()
    (error,) = decoder.feed(protocol.header_frame(Header(version=9), 0))
    assert "protocol 9" in error.reason and "update" in error.reason
    (error,) = decoder.feed(protocol.frame(77, 0, 0, 1, b""))
    assert "unknown frame type 77" in error.reason


def test_garbage_without_zero_bytes_does_not_fill_memory():
    decoder = Decoder()
    for _ in range(100):
        decoder.feed(b"\x55" * 1000)
    assert len(decoder._buffer) <= protocol.LONGEST_FRAME


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.integers(0, 4095), max_size=400))
def test_12_bit_packing_round_trip(values):
    assert protocol.unpack_12_bit(protocol.pack_12_bit(values), len(values)).tolist() == values


def test_audio_round_trip_and_saturation():
    counts = np.arange(4096)
    audio = adc.counts_to_audio(counts, 1551)
    saturated = counts - 1551 > 2047
    assert (((audio >> 4) + 1551)[~saturated] == counts[~saturated]).all()
    assert (audio[saturated] == 32767).all()
    assert audio.dtype == np.int16 and audio[1551] == 0


def test_text_format_in_any_pieces():
    lines = "22050\r\n5\r\n1\r\n-2\r\n300\r\n4\r\n-1551\r\n"
    for cut in range(len(lines)):
        decoder = book_text.TextDecoder()
        events = decoder.feed(lines[:cut].encode()) + decoder.feed(lines[cut:].encode())
        values = [v for e in events if isinstance(e, Samples) for v in e.values.tolist()]
        assert values == [1, -2, 300, 4, -1551] and events[0].rate == 22050 and events[-1].complete


def test_damaged_lines_of_the_text_format_become_gaps():
    (take,), errors = protocol.decode_takes(b"22050\n4\n1\nx7\n3\n4\n", book_text.TextDecoder())
    assert take.values.tolist() == [1, 3, 4] and take.gaps == [Gap(0, 1, 1, 1, "transport")] and len(errors) == 1
    takes, _ = protocol.decode_takes(b"22050\n4\n1\n22050\n1\n5\n", book_text.TextDecoder())  # three lines lost
    assert [take.end.complete for take in takes] == [False, True] and takes[0].gaps[0].count == 3


def test_text_format_with_two_signs():
    (take,), errors = protocol.decode_takes(b"22050\n2\n--5\n7\n", book_text.TextDecoder())
    assert take.values.tolist() == [7] and len(errors) == 1


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.one_of(st.integers(-10**13, 10**13).map(str), st.text(max_size=5)), max_size=40))
def test_no_text_makes_the_text_decoder_fail(lines):
    decoder = book_text.TextDecoder()
    events = decoder.feed("\n".join(lines).encode()) + decoder.finish()
    assert all(abs(int(v)) < 4096 for e in events if isinstance(e, Samples) for v in e.values)


def test_decoding_is_fast_enough():
    # times real time; the best of three, as other programs may be running
    assert max(bench.decoding_speed(10.0) for _ in range(3)) > 50
