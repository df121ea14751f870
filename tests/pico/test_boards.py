"""The sketches compile for every board and microphone, against stand-ins of the Arduino cores."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_m0plus import both_compilers

from mgr_helpers.config import FIRMWARE, PRETRAINED
from mgr_helpers.host import toolchain
from mgr_helpers.host.boards import BOARDS
from tools import boards

needs_gcc = pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc")
TFLM = Path(__file__).parent / "tflm"
SKETCHES = [(sketch, *choice) for sketch in boards.SKETCHES for choice in boards.combinations()]


@both_compilers
@pytest.mark.parametrize("sketch, board, microphone", SKETCHES)
def test_sketches_compile(compiler, sketch, board, microphone):
    """A warning about one of our files is an error."""
    assert len(boards.compile_sketch(sketch, board, microphone, compiler)) > 4


@both_compilers
@pytest.mark.parametrize("board", BOARDS)
def test_with_tflm(compiler, board):
    """lstm_tflm.cpp instead of lstm.c."""
    microphone = boards.BUILDS[board].microphones[0]
    objects = boards.compile_sketch("genre_recognizer", board, microphone, compiler, ("LSTM_TFLM=1",), (TFLM,))
    if compiler == "gcc":
        ours, plain = (boards.sizes(part, board)["ram"] for part in (objects, boards.compile_sketch(
            "genre_recognizer", board, microphone, compiler)))
        assert ours > 16 * 1024 and ours != plain  # the arena


def test_no_board_or_microphone_is_left_out():
    built = {microphone for build in boards.BUILDS.values() for microphone in build.microphones}
    text = (FIRMWARE / "microphone" / "choices.h").read_text()
    assert set(re.findall(r"#define MICROPHONE_(\w+) \d", text)) == built
    assert list(boards.BUILDS) == list(BOARDS)


@pytest.mark.parametrize("board", BOARDS)
def test_builds_are_those_of_arduino_cli(board):
    """Clock and optimisation of `python -m mgr_helpers flash`."""
    build, menus = boards.BUILDS[board], BOARDS[board].fqbn
    for megahertz in re.findall(r"freq=(\d+)", menus):
        assert f"F_CPU={megahertz}000000L" in build.defines
    assert ("-O2" in build.flags) == ("opt=Optimize2" in menus)
    assert ("PICO_RP2350=1" in build.defines) == (BOARDS[board].chip == "RP2350")


@needs_gcc
def test_sizes(tmp_path):
    """Constants, variables, what the pico-sdk copies to RAM, and what nothing reaches."""
    (tmp_path / "a.c").write_text("""
        static const char kept[100] = {1}; char zeros[200]; char values[40] = {1}; const char lost[5000] = {2};
        __attribute__((section(".time_critical.constants"))) const char hot[300] = {3};
        int sum(int i) { return kept[i] + zeros[i] + values[i] + hot[i]; }
        int setup(int i) { return sum(i); }""")
    for board, ram in (("pico", 540), ("artemis", 240)):
        tools = toolchain.find_compiler("gcc", boards.BUILDS[board].core)
        toolchain.call([*tools.command, "-Os", "-ffunction-sections", "-fdata-sections", "-c", tmp_path / "a.c", "-o",
                        tmp_path / "a.o"], "compiling", "")
        found = boards.sizes([tmp_path / "a.o"], board)
        assert found["ram"] == ram and 440 < found["flash"] < 640


@needs_gcc
def test_the_table_is_up_to_date():
    """Of boards.json: another version of GCC may give other sizes, so they are compared only with the same one."""
    stored = json.loads((PRETRAINED / "boards.json").read_text())
    assert [(row["board"], row["microphone"]) for row in stored["rows"]] == boards.combinations()
    if stored["compiler"].split()[1] not in toolchain.find_compiler("gcc").version:
        pytest.skip(f"the sizes are by {stored['compiler']}")
    assert boards.measure() == stored, "run `python -m tools.boards`, then `python -m tools.readme`"


@both_compilers
@pytest.mark.parametrize("file", ["genre_recognizer/genre_recognizer.ino", "genre_recognizer/src/mfcc_q15.c",
                                  "recorder/recorder.ino"])
def test_a_folder_that_is_not_complete_says_so(compiler, file):
    """firmware/<sketch> opened in the IDE: it lacks what `make firmware` adds."""
    language = "c" if file.endswith(".c") else "c++"
    command = [*toolchain.find_compiler(compiler).command, "-x", language, "-I", toolchain.EMULATOR / "include", "-c",
               FIRMWARE / file, "-o", "-"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    first = next(line for line in done.stderr.splitlines() if "error:" in line)
    assert f"Run `make firmware`, and open build/sketches/{file.split('/')[0]} instead" in first
