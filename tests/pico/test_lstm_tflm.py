"""firmware/genre_recognizer/src/lstm_tflm.cpp, compiled for this computer against stand-in headers (tests/pico/tflm/).

A call of the stand-ins is a call of TFLM in Python.
"""

import ctypes
from pathlib import Path

import numpy as np
import pytest

from mgr_helpers.config import CONFIG
from mgr_helpers.host import toolchain
from mgr_helpers.model import runtimes
from mgr_helpers.model.tflite import load_model

STAND_INS = Path(__file__).parent / "tflm"
MODEL = load_model()
INPUT, OUTPUT = (CONFIG.n_frames, CONFIG.n_mfcc), len(MODEL.labels)
START = ["GetModel", "MicroInterpreter", "AllocateTensors"]
MAIN = f"""
#include "lstm.h"
#include <tensorflow/lite/micro/micro_interpreter.h>
extern "C" {{
int (*tflm_call)(const char *, const void *, int);
int8_t tflm_input[{INPUT[0] * INPUT[1]}], tflm_output[{OUTPUT}];
int size = sizeof(lstm_t);
}}
namespace tflite {{
struct Model {{}};
const Model *GetModel(const void *content)
{{
    tflm_call("GetModel", content, 0);
    return static_cast<const Model *>(content);
}}
}}
"""
CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)


def complete_source() -> Path:
    """In a complete sketch: the folder of the repository lacks the files that both sketches share."""
    return toolchain.deploy_sketch() / "src" / "lstm_tflm.cpp"


class Variant:
    """The compiled variant: `calls` has the names of what it called; `fails` is the name of a call that fails."""

    def __init__(self, folder: Path, fails: str = "") -> None:
        main, library, source = folder / "main.cpp", folder / "variant.so", complete_source()
        main.write_text(MAIN)
        toolchain.call([*toolchain.find_host_compiler(), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
                        "-std=c++14", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-DLSTM_TFLM=1", "-I",
                        source.parent, "-I", STAND_INS, source, main, "-o", library],
                       "compiling the variant", "")
        self.library, self.calls, self.fails = ctypes.CDLL(str(library)), [], fails
        self.library.tflm_output = (ctypes.c_int8 * OUTPUT).in_dll(self.library, "tflm_output")
        self._callback = CALL(self._called)
        ctypes.c_void_p.in_dll(self.library, "tflm_call").value = ctypes.cast(self._callback, ctypes.c_void_p).value

    def _called(self, name: bytes, content: int, count: int) -> int:
        name = name.decode()
        self.calls.append(name)
        if name == "GetModel":
            assert ctypes.string_at(content, len(MODEL.content)) == MODEL.content and content % 16 == 0
        elif name == "MicroInterpreter":  # TFLM needs more on this computer: its pointers are twice as long
            self.tflm = runtimes.runtime.Interpreter.from_bytes(MODEL.content, arena_size=count)
        elif name == "Reset":
            self.tflm.reset()
        elif name == "Invoke":
            values = np.ctypeslib.as_array((ctypes.c_int8 * (INPUT[0] * INPUT[1])).in_dll(self.library, "tflm_input"))
            self.tflm.set_input(values.reshape(1, *INPUT).copy(), 0)
            self.tflm.invoke()
            self.library.tflm_output[:] = self.tflm.get_output(0)[0].tolist()
        return int(name == self.fails or count < 0)

    def scores(self, features: np.ndarray) -> np.ndarray:
        state = ctypes.create_string_buffer(ctypes.c_int.in_dll(self.library, "size").value)
        scores = np.full((len(features), OUTPUT), 99, np.int8)
        for window, row in zip(np.ascontiguousarray(features), scores):
            self.library.lstm_reset(state)
            for frame in window:
                self.library.lstm_step(state, ctypes.c_void_p(frame.ctypes.data))
            self.library.lstm_scores(state, ctypes.c_void_p(row.ctypes.data))
        return scores


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(4).integers(-128, 128, (6, *INPUT)).astype(np.int8)


needs_tflm = pytest.mark.skipif(bool(runtimes.NO_TFLM), reason=runtimes.NO_TFLM)


@needs_tflm
def test_scores_and_calls(tmp_path, features):
    """The scores of TFLM, by the calls of the book's sketch, and a reset of the state before each window."""
    variant = Variant(tmp_path)
    assert np.array_equal(variant.scores(features), runtimes.run_tflm(MODEL, features))
    assert not np.array_equal(runtimes.run_tflm(MODEL, features), runtimes.run_tflm(MODEL, features, reset=False))
    operators = [name for name in variant.calls if name.startswith("Add")]
    assert len(operators) == 5 and "AddUnidirectionalSequenceLSTM" in operators
    assert sorted([name for name in variant.calls if not name.startswith("Add")][:3]) == sorted(START)
    assert variant.calls[len(operators) + 3 :] == len(features) * ["Reset", "Invoke"]


@needs_tflm
@pytest.mark.parametrize("fails", ["AllocateTensors", "Reset", "Invoke"])
def test_when_tflm_fails_all_scores_are_0(tmp_path, features, fails):
    """So the self-test fails, whose scores are others."""
    assert not Variant(tmp_path, fails).scores(features).any()


def test_without_the_define_the_file_is_empty(tmp_path):
    """And needs no TFLM."""
    object_file = tmp_path / "empty.o"
    toolchain.call([*toolchain.find_host_compiler(), "-c", "-Wall", "-Wextra", "-Werror", complete_source(), "-o",
                    object_file],
                   "compiling without LSTM_TFLM", "")
    for name in (b"lstm_step", b"arena"):
        assert name not in object_file.read_bytes()
