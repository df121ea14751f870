"""The sketches with digital microphones: what the stand-ins of the libraries deliver arrives bit for bit."""

import shutil

import numpy as np
import pytest

from mgr_helpers.audio import mini_set
from mgr_helpers.audio.adc import adc_to_q15
from mgr_helpers.config import CONFIG, FIRMWARE
from mgr_helpers.host.host_c import host_library
from mgr_helpers.model import recognizer
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import emulator, headers, listen
from mgr_helpers.pico.image import build_image
from mgr_helpers.record import protocol
from tests import host_decisions

I2S, PDM = "MICROPHONE=2", "MICROPHONE=3"
NO_GAIN = "I2S_GAIN=0"
MINUTE = 60 * CONFIG.sample_rate
LAYER = """
#include <emulator.h>
#include "src/microphone/microphone.h"
static sample_t values[256];
static uint32_t total, lost;
static bool stalled;
void setup() {
  microphoneBegin(22050, 256, 8);
  const microphone_clock_t clock = microphoneClock();
  emulator_write(&clock, sizeof clock);
}
void loop() {
  for (size_t n; (n = microphoneRead(values, 256)) > 0; total += n) {
    lost = microphoneLost();
    emulator_write(values, 2 * n);
  }
  if (STALL_MS && !stalled && total >= 20000) {
    stalled = true;
    delay(STALL_MS);
  }
  if (microphoneProblem()) emulator_exit(1);
  if (total >= SAMPLES) {
    emulator_write(&lost, sizeof lost);
    emulator_exit(0);
  }
  microphoneWait(2);
}
"""


def through_the_layer(tmp_path, data: np.ndarray, samples: int, *defines: str, stall_ms: int = 0, compiler=None):
    """Clock (hertz, period), at least so many samples that the layer read, and how many it says it lost."""
    sketch = tmp_path / "layer"
    sketch.mkdir(exist_ok=True)
    shutil.copy(FIRMWARE / "recorder" / "config.h", sketch)
    (sketch / "layer.ino").write_text(LAYER)
    image = build_image(sketch, compiler, defines=(*defines, f"SAMPLES={samples}", f"STALL_MS={stall_ms}"))
    assert image["warnings"] == ""
    output = emulator.emulate(image, data=data.tobytes())["output"]
    clock, (lost,) = np.frombuffer(output[:8], "<u4").tolist(), np.frombuffer(output[-4:], "<u4").tolist()
    return clock, np.frombuffer(output[8:-4], "<i2"), lost


def words_of(samples: np.ndarray, channel: int, rng, late: int = 0) -> np.ndarray:
    """Left and right words: samples of 24 bits on one channel, noise on the other, as they lie in the core's ring."""
    low = rng.integers(0, 256, len(samples))
    words = np.zeros((len(samples), 2), np.int64)
    words[:, channel] = (samples.astype(np.int64) << 16 | low << 8) & 0xFFFFFFFF
    words[:, 1 - channel] = rng.integers(0, 2**24, len(samples)) << 8
    stream = words.reshape(-1)
    if late > 0:
        stream = stream >> late
    elif late < 0:  # the first bit of a word is the last one of the word before
        stream = (stream << 1 & 0xFFFFFFFF) | np.append(stream[1:] >> 31, 0)
    return stream.astype("<u4")


@pytest.mark.parametrize("channel", [0, 1])
def test_a_minute_of_i2s(tmp_path, channel):
    rng = np.random.default_rng(channel)
    samples = rng.integers(-32768, 32768, MINUTE).astype(np.int16)
    clock, heard, lost = through_the_layer(tmp_path, words_of(samples, channel, rng), MINUTE - 256, I2S,
                                           NO_GAIN, f"I2S_CHANNEL={channel}")
    assert len(heard) >= MINUTE - 256 and np.array_equal(heard, samples[: len(heard)]) and lost == 0
    assert abs(clock[0] * 256 / clock[1] - CONFIG.sample_rate) < 1.0


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("late", [-1, 1])
def test_words_that_come_a_bit_early_or_late(tmp_path, late, channel):
    rng = np.random.default_rng(7)
    samples = rng.integers(-32768, 32768, 10000).astype(np.int16)
    heard = through_the_layer(tmp_path, words_of(samples, channel, rng, late), 9000, I2S, NO_GAIN,
                              f"I2S_LATE={late}", f"I2S_CHANNEL={channel}")[1]
    first = int(late < 0 and channel == 0)  # the bit before the very first word is unknown
    assert np.array_equal(heard[first:], samples[first : len(heard)])


def test_gain_uses_the_bits_below_and_saturates(tmp_path):
    rng = np.random.default_rng(8)
    words = rng.integers(-(2**23), 2**23, (10000, 2)) >> rng.integers(0, 12, (10000, 1)) << 8
    heard = through_the_layer(tmp_path, (words & 0xFFFFFFFF).astype("<u4"), 9000, I2S)[1]
    expected = np.clip(words[:, 0] >> 16 - 3, -32768, 32767)[: len(heard)]
    assert np.array_equal(heard, expected) and {32767, -32768} < set(heard.tolist())


def test_a_minute_of_pdm(tmp_path):
    samples = np.random.default_rng(3).integers(-32768, 32768, MINUTE).astype("<i2")
    clock, heard, lost = through_the_layer(tmp_path, samples, MINUTE - 4096, PDM)
    assert len(heard) >= MINUTE - 4096 and np.array_equal(heard, samples[: len(heard)]) and lost == 0
    assert clock[0] * 256 / clock[1] == pytest.approx(22058.82, abs=0.01)


def gaps_of(heard: np.ndarray) -> int:
    """How many samples are missing where each one should be one more than the last, modulo 2**16."""
    steps = np.diff(heard.astype(np.int64)) % 2**16
    assert (steps > 0).all()
    return int((steps - 1).sum())


@pytest.mark.parametrize("stall_ms", [150, 400, 1700])
def test_i2s_tells_what_an_overrun_lost(tmp_path, stall_ms):
    count = np.arange(4 * CONFIG.sample_rate).astype(np.uint16).astype(np.int16)
    _, heard, lost = through_the_layer(tmp_path, words_of(count, 0, np.random.default_rng(1)), 40000, I2S,
                                       NO_GAIN, stall_ms=stall_ms)
    assert lost == gaps_of(heard) > 0 and lost % 256 == 0


@pytest.mark.parametrize("stall_ms", [100, 300, 600, 1000, 1500, 2300])
def test_pdm_tells_what_an_overrun_lost(tmp_path, stall_ms):
    count = np.arange(5 * CONFIG.sample_rate).astype("<u2")
    _, heard, lost = through_the_layer(tmp_path, count, 40000, PDM, stall_ms=stall_ms)
    assert lost == gaps_of(heard) and lost % (3 * 4096) == 0 and bool(lost) == (stall_ms > 500)


def digital_music() -> np.ndarray:
    """Music as a digital microphone may give it: quiet and loud, with an offset, clipped in places: int16."""
    music = np.concatenate([mini_set.song(genre, 1)[: 4 * CONFIG.sample_rate] for genre in CONFIG.genres]) * 1.0
    level = np.repeat([0.002, 1.0, 1.8], 4 * CONFIG.sample_rate)[: len(music)]
    return np.clip(np.rint(music * level) - 1300, -32768, 32767).astype(np.int16)


def test_samples_lose_their_offset():
    """The tracked mean is taken off; what is left is the sample itself, saturated."""
    rng = np.random.default_rng(5)
    sound = np.rint(rng.normal(0, 3000, 40 * CONFIG.frame_step)).astype(np.int64)
    heard = adc_to_q15((sound - 1300).astype(np.int16), bits=16).astype(np.int64)
    offsets = (heard - sound).reshape(-1, CONFIG.frame_step)
    assert (offsets == offsets[:, :1]).all() and np.abs(offsets).max() < 300
    assert (adc_to_q15(np.full(4096, -32768, np.int16), bits=16) == 0).all()
    rails = np.where(np.arange(8 * CONFIG.frame_step) % 4 == 0, 32767, -32768).astype(np.int16)
    assert set(adc_to_q15(rails, bits=16)[-CONFIG.frame_step :]) == {32767, -32768 + 16384}


def test_decisions_on_samples_are_those_of_python():
    model, music = load_model(), digital_music()
    rows = recognizer.decisions(music, model, headers.run_reference, bits=16)
    found = host_decisions.decisions(host_library(), music, bits=16)
    assert len(rows) == len(found["window"]) >= 10 and found["scores"].tolist() == [row["scores"] for row in rows]
    for name in ("window", "confidence", "silent", "unsure"):
        assert found[name].tolist() == [row[name] for row in rows]
    assert {row["silent"] for row in rows} == {True, False}


@pytest.mark.parametrize("define", [I2S, PDM])
def test_the_sketch_with_a_digital_microphone(define):
    """On the emulated Pico, so with the assembly for its core: the decisions of Python, nothing lost."""
    music = digital_music()
    data = words_of(music, 0, np.random.default_rng(2)) if define == I2S else music.astype("<i2")
    image = build_image("genre_recognizer", defines=(define, *[NO_GAIN] * (define == I2S)))
    result = emulator.emulate(image, data=data.tobytes(), seconds=len(music) / CONFIG.sample_rate + 0.5)
    lines = result["uart"].decode().splitlines()
    name, rate = ("I2S", 22049.74) if define == I2S else ("PDM", 22058.82)
    assert image["warnings"] == "" and f" microphone={name} rate={rate}" in lines[0] and lines[1] == "TEST PASSED"
    assert not any(line.startswith("OVERRUN") for line in lines)
    heard = [row for line in lines for row in listen.parse_decisions(line)]
    expected = recognizer.decisions(music, load_model(), headers.run_reference, bits=16)
    keys = "window", "vote", "confidence", "says", "scores"
    assert len(heard) >= len(expected) >= 10
    shown = [[[row[key] for key in keys] for row in rows] for rows in (heard[: len(expected)], expected)]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("stall_ms", [0, 900])
@pytest.mark.parametrize("define", [I2S, PDM])
def test_the_recorder_with_a_digital_microphone(define, stall_ms):
    """Each sample plus 32768 is the next number modulo 2**16: what is missing is in a gap, at its place."""
    count = np.arange(6 * CONFIG.sample_rate).astype(np.uint16)
    samples = (count ^ 0x8000).astype(np.uint16).view(np.int16)
    data = words_of(samples, 0, np.random.default_rng(4)) if define == I2S else samples
    typed = [[2.0, "R\n"], [2.5, f"W{stall_ms}\n"], [4.5, "S\n"]]
    image = build_image("recorder", defines=(define, *[NO_GAIN] * (define == I2S)))
    result = emulator.emulate(image, data=data.tobytes(), seconds=5.0, typed=typed)
    (take,), errors = protocol.decode_takes(result["uart"])
    missing = sum(gap.count for gap in take.gaps)
    assert take.header.bits == 16 and take.end.complete and not errors
    assert len(take.values) + missing == take.end.total >= 2 * CONFIG.sample_rate
    gone = [number for gap in take.gaps for number in range(gap.first, gap.first + gap.count)]
    expected = int(take.values[0]) + np.delete(np.arange(take.end.total), gone)
    assert np.array_equal(take.values, expected % 2**16) and missing == take.end.lost and bool(missing) == bool(stall_ms)
