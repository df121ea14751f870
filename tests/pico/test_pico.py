"""The emulated Pico: what images print, measure and compute, by both compilers; and the same C on this machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mgr_helpers.__main__ import main
from mgr_helpers.audio import mini_set
from mgr_helpers.audio.adc import ideal_counts
from mgr_helpers.audio.dataset import Song
from mgr_helpers.config import CONFIG, PRETRAINED
from mgr_helpers.host import host_c, toolchain
from mgr_helpers.model import recognizer
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import clips, emulator, listen
from mgr_helpers.pico.clips import _clip_figures, choose_clips, hear_clip
from mgr_helpers.pico.image import build_image
from tests import host_decisions, serial_port

no_gcc = not shutil.which("arm-none-eabi-gcc")
gcc = pytest.param("gcc", marks=pytest.mark.skipif(no_gcc, reason="no arm-none-eabi-gcc"))
both_compilers = pytest.mark.parametrize("compiler", [gcc, "zig"])


def c_image(tmp_path, body, compiler=None, name="image"):
    """An image whose main() is `body`. Each test gives another name, so that no test overwrites another's image."""
    file = tmp_path / f"test_{name}.c"
    file.write_text(f'#include "emulator.h"\n#include <string.h>\n{body}\n')
    return build_image(file, compiler)


def sketch(tmp_path, body, compiler=None, name="sketch"):
    folder = tmp_path / f"test_{name}"
    folder.mkdir(exist_ok=True)
    (folder / f"{folder.name}.ino").write_text(f"#include <ADCInput.h>\n#include <Arduino.h>\n{body}\n")
    return build_image(folder, compiler)


MAILBOX = """
static int initialised = 41, zero;
static int __attribute__((section(".time_critical.twice"), noinline)) twice(int x) { return 2 * x; }
int main(void) {
    char text[16];
    uint32_t n;
    while ((n = emulator_read(text, sizeof text)) > 0) {
        emulator_mark(7);
        for (volatile int i = 0; i < 100; i++) { }
        emulator_mark(0);
        for (uint32_t i = 0; i < n; i++) text[i] += initialised + zero - twice(20);
        emulator_write(text, n);
    }
    emulator_exit(0);
    return 0;
}
"""


@both_compilers
def test_an_image_reads_writes_and_marks_stages(tmp_path, compiler):
    image = c_image(tmp_path, MAILBOX, compiler, "mailbox")
    assert image["warnings"] == "" and image["compiler"]
    result = emulator.emulate(image, data=bytes(range(40)), xip=True)
    assert result["output"] == bytes(range(1, 41)) and result["stopped"] == "exit"
    stage = result["stages"]["7"]
    assert stage["count"] == 3 and stage["most"] - stage["least"] < 10 and 500 < stage["most"] < 2000
    assert result["cycles"] == result["cycles_awake"] > 3 * stage["least"]
    assert 0 < result["xip"]["misses"] < result["xip"]["reads"]
    assert 0 < result["stack_bytes"] < 500


@pytest.mark.parametrize(("kilobytes", "least", "most"), [(4, 512, 700), (32, 16384, 16600)])
def test_misses_of_the_flash_cache(tmp_path, kilobytes, least, most):
    """Four passes over a table in flash: 4 KB miss only in the first pass, 32 KB always, as the cache holds 16 KB."""
    body = f"""const int table[{256 * kilobytes}] = {{1}};
    int main(void) {{
        for (int pass = 0; pass < 4; pass++)
            for (int i = 0; i < {256 * kilobytes}; i++) (void)*(const volatile int *)&table[i];
        emulator_exit(0);
        return 0;
    }}"""
    image = c_image(tmp_path, body, name=f"xip{kilobytes}")
    for plain in (False, True):
        assert least <= emulator.emulate(image, xip=True, plain=plain)["xip"]["misses"] <= most


def test_fast_core_equals_rp2040js():
    """On random instructions, one by one."""
    environment = {**os.environ, "NODE_PATH": str(toolchain.emulator_modules())}
    script = Path(__file__).with_name("check_fast_core.js")
    command = [toolchain.find_node()[0], script, toolchain.EMULATOR, "100000"]
    taken = toolchain.call(command, "comparing", "See what it printed.", env=environment)
    assert int(taken) > 50_000


@both_compilers
def test_fast_core_equals_rp2040js_on_the_sketch(compiler):
    """On the whole sketch with its interrupts: the same output at the same cycle."""
    image = build_image("genre_recognizer", compiler)
    adc = ideal_counts(mini_set.song("jazz", 0)[:4000])
    fast, plain = (emulator.emulate(image, adc, seconds=0.3, **options) for options in ({}, {"plain": True}))
    for key in ("uart", "lines", "cycles", "cycles_awake", "adc_samples", "stack_bytes", "pins"):
        assert fast[key] == plain[key], key
    assert b"TEST PASSED" in fast["uart"] and fast["adc_samples"] > 1000


def test_sizes_of_an_image_and_its_flash_contents(tmp_path):
    body = """const char table[5000] = {1};
    static char work[3000];
    int main(void) { emulator_write(work, *(const volatile char *)table); emulator_exit(0); return 0; }"""
    image = c_image(tmp_path, body, name="sizes")
    assert image["symbols"]["table"] == 5000 and image["symbols"]["work"] == 3000
    assert image["flash_bytes"] > 5000 and 3000 <= image["ram_static"] < 3100
    contents = image["bin"].read_bytes()
    assert len(contents) <= 0x100 + image["flash_bytes"] + 16 and contents[:0x100] == b"\xff" * 0x100
    assert contents[0x100:0x104] == (0x20042000).to_bytes(4, "little")  # the vector table begins with the stack's top


@pytest.mark.parametrize(("body", "words"), [
    ("int main(void) { emulator_exit(3); return 0; }", "exit status 3"),
    ("int main(void) { volatile int *volatile p = (int *)0x20000001; return *p; }", "unaligned access to 0x20000001"),
    ("int main(void) { __asm volatile(\"wfi\"); return 0; }", "nothing will wake it"),
    ("int main(void) { volatile char big[9000]; for (int i = 9000; i--;) big[i] = 1; emulator_exit(0); return 0; }",
     "stack of 8192 bytes has overflowed"),
    ("int main(void) { return *(volatile int *)0x60000000; }", "invalid memory address"),
])
def test_faults_of_an_image_are_reported(tmp_path, body, words):
    with pytest.raises(RuntimeError, match=words):
        emulator.emulate(c_image(tmp_path, body, name="wrong"))


def test_errors_of_the_compiler_are_shown(tmp_path):
    with pytest.raises(RuntimeError, match="(?s)compiling test_mistake.c.*undeclared"):
        c_image(tmp_path, "int main(void) { return nonsense; }", name="mistake")


BOARD = r"""
void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  pinMode(15, INPUT_PULLUP);
  pinMode(14, INPUT_PULLDOWN);
  Serial.printf("%05d|%4u|%s|%x|%c|%d%%\n", -42, 7u, "text", 0xbeefu, 'c', 0);
  Serial.print(-123); Serial.print(' '); Serial.println(255, HEX);
  unsigned long start = micros();
  delay(100);
  delayMicroseconds(5);
  Serial.println(micros() - start);
}
void loop() {
  static int last = -1;
  delay(1);
  if (digitalRead(15) == last) return;
  last = digitalRead(15);
  digitalWrite(LED_BUILTIN, !last);
  Serial.printf("%lu button %d other %d\n", millis(), last, digitalRead(14));
}
"""


@both_compilers
def test_arduino_stand_ins(tmp_path, compiler):
    image = sketch(tmp_path, BOARD, compiler, "board")
    assert image["warnings"] == ""
    result = emulator.emulate(image, seconds=1.0, events=[[0.3, 15, 0], [0.6, 15, 1]])
    lines = result["uart"].decode().split("\n")
    assert lines[0] == "-0042|   7|text|beef|c|0%" and lines[1] == "-123 ff\r"
    assert 100_005 <= int(lines[2]) < 100_100
    assert [line.split(" ", 1)[1] for line in lines[3:6]] == [f"button {i} other 0" for i in (1, 0, 1)]
    assert 300 <= int(lines[4].split()[0]) <= 302
    assert [(pin, level) for _, pin, level in result["pins"]] == [(25, 0), (25, 1), (25, 0)]
    assert result["awake_share"] < 0.01 and result["seconds"] == pytest.approx(1.0, abs=1e-6)


# Sends every sample. With a long PAUSE it cannot keep up.
SAMPLER = r"""
ADCInput mic(A0);
static volatile uint32_t blocks;
void setup() {
  Serial.begin(115200);
  mic.setBuffers(8, 64);
  mic.onReceive([] { blocks = blocks + 1; });
  if (!mic.begin(22050)) Serial.print("no begin");
}
void loop() {
  static uint32_t n, lost;
  uint16_t sample = mic.read();
  Serial.write((const uint8_t *)&sample, 2);
  if (++n % 4096 == 0) delay(PAUSE);
  noInterrupts();
  uint32_t now = blocks * 128 - n - 2 * mic.available() - n % 2;
  interrupts();
  if (now != lost) digitalWrite(LED_BUILTIN, HIGH);
  lost = now;
}
"""


@both_compilers
def test_every_sample_of_the_adc_reaches_the_sketch(tmp_path, compiler):
    adc = np.random.default_rng(1).integers(0, 4096, 30000, np.uint16)
    image = sketch(tmp_path, SAMPLER.replace("PAUSE", "30"), compiler, "sampler")
    result = emulator.emulate(image, adc, seconds=1.2)
    received = np.frombuffer(result["uart"], "<u2")
    assert np.array_equal(result["adc"], adc[: len(result["adc"])])
    assert np.array_equal(received, adc[: len(received)]) and 0 <= result["adc_samples"] - len(received) < 1024
    assert result["adc_rate"] == pytest.approx(22050, rel=1e-5)
    assert 0 <= result["heap_bytes"] - 9 * 64 * 4 < 1000  # as in the core: a buffer of silence, and the ring itself
    assert result["awake_share"] < 0.3


def test_a_slow_sketch_loses_whole_blocks_and_can_count_them(tmp_path):
    adc = (np.arange(30000) % 4096).astype(np.uint16)
    body = SAMPLER.replace("PAUSE", "200").replace("digitalWrite(LED_BUILTIN, HIGH)", 'Serial.printf("%4u", now / 2)')
    image = sketch(tmp_path, body.replace("Serial.write((const uint8_t *)&sample, 2);", ""), name="slow")
    counts = emulator.emulate(image, adc, seconds=1.0)["uart"].decode()
    lost = [2 * int(counts[i:i + 4]) for i in range(0, len(counts), 4)]
    # 200 ms are 34 blocks of 128; 6 of the 8 buffers can wait, 2 belong to the DMA
    assert lost and lost[-1] % 128 == 0 and (34 - 7) * 128 <= lost[-1] / round(lost[-1] / (28 * 128)) <= 29 * 128


def test_adc_rate_delivers_counts_by_time(tmp_path):
    """Counts taken at half the sketch's rate: a ramp stays a ramp, at half the slope."""
    image = sketch(tmp_path, SAMPLER.replace("PAUSE", "1"), name="by_time")
    ramp = np.arange(4000, dtype=np.uint16)
    delivered = emulator.emulate(image, ramp, seconds=0.3, adc_rate=11025)["adc"].astype(float)
    assert np.abs(delivered - np.arange(len(delivered)) * 11025 / 22049.9965).max() < 1


@both_compilers
def test_emulated_pico_equals_host(compiler):
    windows = np.stack([mini_set.song(genre, 0)[9000:9000 + CONFIG.window_length] for genre in CONFIG.genres])
    windows[1] //= 64  # a quiet one
    image = build_image(toolchain.EMULATOR / "pico_batch.c", compiler)
    features, scores = emulator.features_and_scores(windows, image)
    host = host_c.host_library()
    assert np.array_equal(features, host.features(windows))
    assert np.array_equal(scores, host.scores(features))
    assert len(np.unique(features)) > 50


def test_host_library_refuses_wrong_shapes():
    host = host_c.host_library()
    assert host_decisions.self_test(host)
    with pytest.raises(ValueError, match="windows must be"):
        host.features(np.zeros((2, 1000), np.int16))
    with pytest.raises(ValueError, match="features must be"):
        host.scores(np.zeros((2, 3, 4), np.int8))


@both_compilers
def test_the_sketch_decides_what_the_host_computes(compiler):
    samples = mini_set.song("disco", 1)[:70000]
    image = build_image("genre_recognizer", compiler)
    assert image["warnings"] == ""
    result = listen.listen(samples, gain_db=-12, image=image)
    assert result["self_test"] and not result["overruns"]
    expected = host_decisions.decisions(host_c.host_library(), result["adc"])
    n = (len(samples) - CONFIG.frame_step) // CONFIG.window_step
    assert len(result["decisions"]) == n == 3
    for i, decision in enumerate(result["decisions"]):
        assert decision["window"] == i and decision["scores"] == expected["scores"][i].tolist()
        assert decision["vote"] == CONFIG.genres[expected["vote"][i]]
        assert decision["confidence"] == expected["confidence"][i]
        assert (decision["says"] == "unsure") == expected["unsure"][i]
    assert result["genre"] in (*CONFIG.genres, "unsure")  # it is a synthetic song
    assert result["stack_bytes"] < 8000


def test_the_sketch_keeps_listening_while_the_host_does_not_read():
    """Lines wait or are left out whole. No sample is lost, so later decisions are the same as without the stall."""
    adc = ideal_counts(mini_set.song("jazz", 1)[: 10 * CONFIG.sample_rate], -6)
    result = emulator.emulate(build_image("genre_recognizer"), adc, seconds=9, stalls=[[1.5, 7.0]])
    lines = result["uart"].decode().splitlines()
    heard = listen.parse_decisions("\n".join(lines))
    assert lines[0].startswith("READY") and lines[1] == "TEST PASSED"
    assert len(heard) == len(lines) - 2  # no OVERRUN, no half line
    windows = [row["window"] for row in heard]
    assert windows[0] == 0 and windows[-2:] == [7, 8] and len(windows) < 9
    expected = host_decisions.decisions(host_c.host_library(), result["adc"])
    assert [row["scores"] for row in heard] == expected["scores"][windows].tolist()


def test_serial_waits_a_second_for_the_host_as_the_core_does(tmp_path):
    body = """void setup() { Serial.begin(115200); }
void loop() {
  static bool done;
  if (done) return;
  done = true;
  delay(10);
  int room = Serial.availableForWrite();
  unsigned long start = millis();
  for (int i = 0; i < 400; i++) Serial.write((uint8_t)'x');
  unsigned long took = millis() - start;
  delay(2000);
  Serial.printf("%d %lu %d", room, took, Serial.availableForWrite());
}"""
    sent = emulator.emulate(sketch(tmp_path, body, name="stall"), seconds=3.5, stalls=[[0.001, 2.0]])["uart"].decode()
    assert sent.startswith(256 * "x") and sent[256:].split() == ["256", "1000", "256"]


def test_zeros_are_said_to_be_silence(tmp_path):
    result = listen.listen(np.zeros(30000, np.int16), noise_lsb=0.3)
    assert [decision["label"] for decision in result["decisions"]] == ["silence"] and result["genre"] == "silence"


def test_ideal_counts_have_gain_bias_and_noise():
    samples = np.array([0, 32767, -32768, 16384], np.int16)
    assert ideal_counts(samples, 0, 0, bias=2048).tolist() == [2048, 4095, 0, 3072]
    assert ideal_counts(samples, -20, 0).tolist() == [1527, 1731, 1322, 1629]
    noisy = ideal_counts(np.zeros(20000, np.int16), 0, 3, bias=2000)
    assert noisy.std() == pytest.approx(3, rel=0.03)
    assert np.array_equal(noisy, ideal_counts(np.zeros(20000), 0, 3, bias=2000))


def test_overall_leaves_silence_out():
    text = ("DECISION window=0 time_ms=9 label=silence vote=disco confidence=0 says=silence scores=127,-128,-128\r\n"
            "noise DECISION\n"
            "DECISION window=1 time_ms=938 label=metal vote=metal confidence=61 says=metal scores=-100,-50,20\r\n"
            "DECISION window=2 time_ms=1866 label=jazz vote=metal confidence=41 says=unsure scores=-80,60,-108\r\n")
    decisions = listen.parse_decisions(text)
    assert len(decisions) == 3 and decisions[1]["scores"] == [-100, -50, 20] and decisions[1]["confidence"] == 61
    assert [decision["says"] for decision in decisions] == ["silence", "metal", "unsure"]
    assert listen.overall(decisions[:2]) == "metal"
    assert listen.overall(decisions) == "jazz"  # the largest sum of scores
    assert listen.overall(decisions[:1]) == "silence"
    assert listen.overall(decisions[::2]) == "unsure"


ECHO = """
void setup() { Serial.begin(115200); }
void loop() { delay(1); while (Serial.available()) Serial.write((uint8_t)Serial.read()); }
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_emulated_serial_port_echoes_and_can_be_unplugged(tmp_path):
    serial = pytest.importorskip("serial")
    with serial_port.serial_port(sketch(tmp_path, ECHO, name="echo"), pace=1.0) as emulated:
        port = serial.Serial(emulated["port"], 115200, timeout=5)
        data = bytes(range(256)) * 2
        port.write(data)
        assert port.read(len(data)) == data
        emulated["unplug"]()
        with pytest.raises(serial.SerialException):
            port.read(1)
        assert emulated["result"]()["stopped"] == "closed"


def command(*words):
    words = [sys.executable, "-m", "mgr_helpers", "pico", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True)


def test_pico_command_plays_a_file(tmp_path):
    file = tmp_path / "stereo.wav"
    song = mini_set.song("metal", 2)[:44100]
    soundfile.write(file, np.repeat(np.repeat(song, 2)[:, None], 2, axis=1), 44100)  # twice the rate, two channels
    done = command("--audio", file, "--json", "--seconds", "1.5")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["self_test"] and len(answer["decisions"]) == 1
    assert answer["genre"] == answer["decisions"][0]["says"]
    assert answer["image"]["flash_bytes"] > 50_000
    plain = command("--audio", file, "--seconds", "1.5").stdout.strip().splitlines()
    assert plain[-1] == answer["genre"]


@pytest.mark.parametrize(("name", "content", "words"), [
    ("missing.wav", None, "missing"), ("broken.wav", b"RIFF nothing", "not audio"),
])
def test_pico_command_names_a_bad_file(tmp_path, name, content, words):
    if content:
        (tmp_path / name).write_bytes(content)
    done = command("--audio", tmp_path / name)
    assert done.returncode == 1 and name in done.stderr and words in done.stderr and "Traceback" not in done.stderr


def test_clips_are_spread_over_genres_and_songs():
    whole = CONFIG.window_length + (CONFIG.vote_windows - 1) * CONFIG.window_step
    lengths = {"disco": [2 * whole] * 9, "jazz": [whole // 2] * 2 + [CONFIG.window_length - 1], "metal": [whole] * 9}
    songs = [Song(f"{genre}/{i}", genre, f"{genre}/{i}", str(i), np.arange(n) % 1000)
             for genre, some in lengths.items() for i, n in enumerate(some)]
    clips = choose_clips(songs, 10)
    assert [clip.song for clip in clips] == ["disco/0", "disco/3", "disco/5", "disco/8", "jazz/0", "jazz/1",
                                             "metal/0", "metal/4", "metal/8"]
    assert {len(clip.samples) for clip in clips} == {whole, whole // 2}
    assert clips[0].samples[0] == whole // 2 % 1000  # the middle


def test_clips_through_the_emulated_pico_equal_python(tmp_path):
    done = command("--audio", "mini", "--clips", 3, "--mic", -12, "--room", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [clip["genre"] for clip in found["clips"]] == list(CONFIG.genres)
    assert found["decisions"] == {"n": 30, "equal": 30, "missed": 0} and found["overruns"] == 0
    assert found["self_tests"] == 3 and found["votes"]["n"] == 3 and 0 <= found["windows"]["accuracy"] <= 1
    assert found["decided"]["n"] == round(30 * found["said"]["genre"]) and found["microphone_db"] == -12


def test_long_names_of_genres_have_a_space_behind_them(monkeypatch, capsys):
    decision = {"time_ms": 990, "confidence": 99, "scores": [1]}
    decision |= dict.fromkeys(("label", "vote", "says"), "classical")
    monkeypatch.setattr(clips, "build_image", lambda *_, **__: {"flash_bytes": 1, "ram_static": 1})
    monkeypatch.setattr(listen, "listen", lambda *_, **__: {
        "decisions": [decision], "overruns": [], "self_test": True, "awake_share": 1, "stack_bytes": 1, "genre": ""})
    assert main(["pico", "--audio", "a.wav", "--model", str(PRETRAINED / "ten_genres.tflite")]) == 0
    head, row, *_ = capsys.readouterr().out.splitlines()
    assert row.split() == ["0.99", "s", *["classical"] * 2, "99", "%", "classical", "1"]
    assert head.index("vote") == row.index("classical", 15) and head.index("says") == row.rindex("classical")


def test_other_music_has_no_part_in_the_accuracy():
    """It has no right answer: how many decisions say a genre is counted beside it."""
    def heard(*says):
        return {"decisions": [{"label": word, "says": word} for word in says], "equal": len(says), "missed": 0,
                "overruns": 0, "self_test": True, "genre": says[-1]}

    clips = [Song(genre, genre, genre, "", np.zeros(1, np.int16)) for genre in ("jazz", "blues")]
    found = _clip_figures(clips, [heard("jazz", "unsure", "jazz"), heard("unsure", "metal")], CONFIG)
    assert found["votes"] == {"n": 1, "accuracy": 1.0} and found["decided"] == {"n": 2, "accuracy": 1.0}
    assert found["decisions"]["n"] == 5 and found["other"] == {"n": 2, "named": 1}


def test_a_difference_from_python_is_counted(monkeypatch):
    adc = ideal_counts(mini_set.song("jazz", 1)[:70000], -6)
    right = recognizer.decisions
    def wrong(*arguments):
        rows = right(*arguments)
        return [rows[0], {**rows[1], "says": "opera"}, *rows[2:]]
    monkeypatch.setattr(recognizer, "decisions", wrong)
    found = hear_clip(adc, load_model(), build_image("genre_recognizer"))
    assert len(found["decisions"]) == 3 and found["equal"] == 2 and found["missed"] == 0
