"""The sketches for every board that they are for."""

import subprocess

import pytest
from test_m0plus import both_compilers

from mgr_helpers.config import FIRMWARE
from mgr_helpers.host import toolchain


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
