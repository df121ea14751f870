"""The recognizer's sketch around the recognizer: what the serial monitor shows, clocks, lost blocks."""

import re
import shutil

import numpy as np
import pytest

from mgr_helpers.audio import mini_set
from mgr_helpers.audio.adc import adc_to_q15, ideal_counts
from mgr_helpers.config import CONFIG
from mgr_helpers.features import mfcc_q15
from mgr_helpers.model import recognizer
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import emulator, headers, listen
from mgr_helpers.pico.image import build_image

MODEL = load_model()
WINDOWS = 12  # the result of the self-test is told again after ten


@pytest.fixture(scope="module")
def adc() -> np.ndarray:
    music = np.concatenate([mini_set.song(genre, 1)[: 5 * CONFIG.sample_rate] for genre in CONFIG.genres])
    return ideal_counts(music[: CONFIG.window_length + (WINDOWS - 1) * CONFIG.window_step], -6, 0.5)


@pytest.fixture(scope="module")
def expected(adc) -> list[dict]:
    return recognizer.decisions(adc, MODEL, headers.run_reference)


def heard(adc, *defines: str, compiler: str | None = None, **options) -> tuple[dict, list[str]]:
    result = listen.listen_to_counts(adc, build_image("genre_recognizer", compiler, defines=defines), **options)
    return result, result["uart"].decode().splitlines()


def without_time(rows: list[dict]) -> list[dict]:
    keys = "window", "vote", "confidence", "says", "scores"
    return [{key: row[key] for key in keys} for row in rows]


def test_first_lines_say_what_this_is_and_the_result_comes_again(adc, expected):
    result, lines = heard(adc)
    assert re.fullmatch(r"READY sketch=music-genre-pico version=[\d.]+ model=[0-9a-f]{8} genres=disco,jazz,metal "
                        r"clock_mhz=125 microphone=MAX9814 rate=22049\.99", lines[0])
    assert [at for at, line in enumerate(lines) if line == "TEST PASSED"] == [1, 2 + 10]
    assert without_time(result["decisions"]) == without_time(expected)


def test_a_monitor_opened_after_six_seconds_sees_the_result(adc, expected):
    result, lines = heard(adc, opens=6.0)
    assert lines[0].startswith("READY ") and lines[1] == "TEST PASSED"
    first = listen.parse_decisions(lines[2])[0]["window"]
    assert first == 6 and without_time(result["decisions"]) == without_time(expected[first:])


def test_a_port_that_nobody_opens_loses_nothing(adc):
    result, lines = heard(adc, opens=1e6)
    assert lines == [] and np.array_equal(result["adc"][: len(adc)], adc)
    late, lines = heard(adc, opens=11.5, typed=[[11.9, "s"]])
    statistics = re.fullmatch(r"STATS overruns=0 lost=0 awake_permille=(\d+) stack=(\d+) windows=(\d+)",
                              next(line for line in lines if line.startswith("STATS")))
    awake, stack, windows = map(int, statistics.groups())
    assert abs(awake / 1000 - late["awake_share"]) < 0.005
    assert late["stack_bytes"] - 200 < stack <= late["stack_bytes"] and windows == 12


def test_questions_of_the_user(adc):
    lines = heard(adc[: 3 * CONFIG.sample_rate], typed=[[1.5, "?"], [2.0, "x"]])[1]
    assert [line.split()[0] for line in lines].count("READY") == 2
    assert lines.count("TEST PASSED") == 2


def test_frames_have_the_mel_bands_of_python(adc):
    """`v` switches on a line for each frame, and off again."""
    _, lines = heard(adc[: 4 * CONFIG.sample_rate], typed=[[1.0, "v"], [2.5, "v"]])
    frames = {int(number): bytes.fromhex(mel) for number, mel in
              (re.fullmatch(r"FRAME n=(\d+) mel=([0-9a-f]{80})", line).groups() for line in lines if "FRAME" in line)}
    logs = mfcc_q15.q15_stages(adc_to_q15(adc), CONFIG)["log_mel"]
    assert min(frames) > 15 and max(frames) < 60 and len(frames) == max(frames) - min(frames) + 1 > 25
    for number, mel in frames.items():
        assert np.array_equal(np.frombuffer(mel, np.uint8), np.clip(logs[number - 1] >> 6, 0, 255)), number


@pytest.mark.parametrize("megahertz", [48, 12])
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_low_power_has_the_same_bits(adc, expected, megahertz, compiler):
    if compiler == "gcc":
        shutil.which("arm-none-eabi-gcc") or pytest.skip("arm-none-eabi-gcc is not installed")
    result, lines = heard(adc, f"LOW_POWER={megahertz}", compiler=compiler)
    assert result["clk_sys"] == megahertz * 1e6 and not result["overruns"]
    assert f"clock_mhz={megahertz} " in lines[0] and lines[1] == "TEST PASSED"
    assert without_time(result["decisions"]) == without_time(expected)
    usb = megahertz == 48
    assert result["plls_on"] == (["pllUsb"] if usb else []) and result["clk_adc"] == (48e6 if usb else 12e6)
    assert abs(result["adc_rate"] - CONFIG.sample_rate) < 0.05
    assert bool(result["clock_gates"][1] >> 10 & 1) == usb  # the USB controller's clock
    assert result["awake_share"] < 0.65


def test_lost_blocks_are_those_that_the_core_loses(tmp_path):
    """When the ring is full, the core keeps the block that has just been filled, and loses the next ones."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "late.ino").write_text("""
#include <AudioBufferManager.h>
#include <Arduino.h>
#include <hardware/adc.h>
static AudioBufferManager *ring;
static uint32_t blocks[12][8];
void setup() {
  Serial.begin(115200);
  adc_init(); adc_gpio_init(A0); adc_select_input(0); adc_fifo_setup(true, true, 1, false, false);
  adc_hw->div = 557279 - 256;
  ring = new AudioBufferManager(5, 8, 0, INPUT, DMA_SIZE_16);
  ring->begin(DREQ_ADC, &adc_hw->fifo);
  adc_run(true);
  delay(8);  // 11 blocks of 16 samples, of which five have room
  for (auto &block : blocks) ring->read(block, 8, true);
  for (auto &block : blocks) Serial.println((int)(block[0] & 0xfff) / 16);
}
void loop() { delay(1000); }
""")
    image = build_image(tmp_path / "late")
    counts = (np.arange(4000) % 4096).astype(np.uint16)
    sent = emulator.emulate(image, counts, seconds=0.05)["uart"].decode().split()
    blocks = [int(word) for word in sent]
    assert blocks[:3] == [0, 1, 2] and blocks == sorted(blocks)
    gaps = [at for at, (left, right) in enumerate(zip(blocks, blocks[1:])) if right != left + 1]
    assert gaps == [3], blocks  # the block after the first three was kept as well
