"""Cycles of each stage and bytes of each symbol, ours beside the book's.

Everything is counted on the emulated Pico: a Cortex-M0+ without waits for flash. So cycles are a lower bound. Misses of
the flash cache are counted separately.

Notebooks: 08.
"""

import re
from pathlib import Path

import numpy as np

from ..config import build_dir
from ..features import mfcc, mfcc_q15
from ..features.mfcc_book import BOOK, book_mfcc, book_tables
from ..host.files import write_text
from ..host.toolchain import EMULATOR
from ..model.tflite import Model, load_model
from . import emulator, headers
from .image import FLASH_START, RAM_BYTES, RAM_START, build_image, symbols_of

# marks of firmware/emulator/stages.c and book_way.c; mark 5 includes what mark 6 measures alone. Our assembly cuts the
# stages elsewhere: window and butterflies are one, bins become powers, roots go straight into Mel sums
OUR_STAGES = {"bias": 1, "window+fft": 2, "split+power": 4, "root+mel": 5, "log": 6, "dct": 7, "to_int8": 8}
PORTABLE_STAGES = {"bias": 1, "window": 2, "rfft": 3, "magnitude": 4, "mel": 5, "log": 6, "dct": 7, "to_int8": 8}
PORTABLE = ("MGR_M0PLUS=0",)  # macros of a build of the portable C
MODEL_STAGES = {"lstm": 9, "dense_softmax": 10}
BOOK_STAGES = {"window": 1, "rfft": 2, "magnitude": 3, "mel": 4, "log": 5, "dct": 6, "to_float": 7}
SUMS = ("features", "total")


def book_image(compiler: str | None = None) -> dict:
    """Image of the book's features, by the compiler and flags of ours. Its tables (150 KB) are written into build/."""
    tables = dict(zip(("HANN_TABLE", "MEL_TABLE", "LOG_TABLE", "DCT_TABLE"), book_tables(BOOK).values()))
    text = headers.c_header("BOOK_TABLES_H", '#include "generated/constants.h"\n',
                            headers.c_defines({"BOOK_N_MFCC": BOOK.n_mfcc}),
                            *(headers.c_array(name, table) for name, table in tables.items()))
    header = write_text(build_dir() / "book" / "book_tables.h", text)
    return build_image(EMULATOR / "book_way.c", compiler, include=(header.parent,))


def book_features(frames: np.ndarray, image: dict, **options) -> tuple[np.ndarray, dict]:
    """The book's MFCCs of frames (int16 (n, frame_length)) on the emulated Pico: float32 (n, n_mfcc), and the run."""
    result = emulator.emulate(image, data=np.ascontiguousarray(frames, "<i2").tobytes(), **options)
    return np.frombuffer(result["output"], "<f4").reshape(-1, BOOK.n_mfcc), result


def _per_frame(stages: dict, marks: dict[str, int], frames: int, key: str) -> dict[str, int]:
    """Mean cycles or misses of each stage per frame."""
    return {name: round(stages[str(mark)][key] / frames) for name, mark in marks.items()}


def _our_frame(stages: dict, frames: int, key: str) -> dict[str, int]:
    """Our stages and sums. Dense and softmax run once a window: a frame gets its share."""
    features = _per_frame(stages, PORTABLE_STAGES if "3" in stages else OUR_STAGES, frames, key)
    features["mel" if "mel" in features else "root+mel"] -= features["log"]
    model = _per_frame(stages, MODEL_STAGES, frames, key)
    total = sum(features.values())
    return {**features, **model, "features": total, "total": total + sum(model.values())}


def _book_frame(stages: dict, frames: int, key: str) -> dict[str, int]:
    """The book's stages and sums. Its model in TFLM is not part of the image, so the total is that of the features."""
    features = _per_frame(stages, BOOK_STAGES, frames, key)
    return {**features, "features": sum(features.values()), "total": sum(features.values())}


def measure_stages(windows: np.ndarray, compiler: str | None = None, defines: tuple[str, ...] = (),
                   model: Model | None = None, generated: Path | None = None) -> dict:
    """Cycles and misses of the flash cache for each stage, ours and the book's, over the same windows.

    Parameters
    ----------
    windows : int16 (n, window_length)
    compiler : "gcc", "zig" or None
    defines : tuple of str
        Macros of our image.
    model, generated : Model and Path, optional
        A model of your own, and the folder of its headers (`headers.write_headers`), instead of what ships.

    Returns
    -------
    dict
        ours and book, each with frame (cycles per frame by stage) and misses (of the flash cache, likewise).

    Raises
    ------
    RuntimeError
        When an image computes other features than `mfcc_q15` or `mfcc_book`.
    """
    front_end = (model or load_model()).front_end
    config = front_end.config
    cut = np.ascontiguousarray(windows[:, : config.window_length], "<i2")
    frames = np.concatenate([mfcc.split_frames(window, config) for window in cut])
    image = build_image(EMULATOR / "stages.c", compiler, generated=generated, defines=defines)
    our_run = emulator.emulate(image, data=cut.tobytes(), xip=True)
    theirs, book_run = book_features(frames, book_image(compiler), xip=True)
    expected = mfcc_q15.quantize_features(mfcc_q15.mfcc_windows(windows, config), front_end)
    _check_equal("our features", np.frombuffer(our_run["output"], np.int8).reshape(-1, *expected.shape[1:]), expected)
    _check_equal("the book's features", theirs, np.concatenate([book_mfcc(window, BOOK) for window in windows]))
    return {name: {key: frame(run["stages"], len(frames), counted) for key, counted in
                   (("frame", "cycles"), ("misses", "misses"))}
            for name, frame, run in (("ours", _our_frame, our_run), ("book", _book_frame, book_run))}


def _check_equal(what: str, on_pico: np.ndarray, in_python: np.ndarray) -> None:
    if not np.array_equal(on_pico, in_python):
        raise RuntimeError(f"{what} on the emulated Pico are not those of Python, so their cycles mean nothing: "
                           "make the headers from this model (for the shipped one: make pretrained)")


def memory_parts(image: dict, heard: dict, generated: Path = headers.GENERATED) -> list[dict]:
    """What lies where in flash and RAM, symbol by symbol.

    Parameters
    ----------
    image : dict
        From `image.build_image`.
    heard : dict
        From `emulator.emulate` or `listen.listen`: how much heap and stack a run used.
    generated : Path
        The headers it was built with: they show which arrays belong to the model, and which to the front end.

    Returns
    -------
    list of dict
        region ("flash" or "RAM"), part (a key of `plots.MEMORY_COLORS`), name, offset (from the start of the region)
        and bytes. RAM's initial values also take room in flash.
    """
    arrays = {name: part for file, part in (("model", "model"), ("tables", "front end"), ("test_vector", "self-test"))
              for name in re.findall(r"(\w+)\[\d+\] = \{", (generated / f"{file}.h").read_text())}
    copied, heap, stack = image["sections"][".data"], heard["heap_bytes"], heard["stack_bytes"]
    by_address = {symbol["address"]: symbol for symbol in symbols_of(image["elf"])}  # some have two names
    end = max(symbol["address"] + symbol["bytes"] - RAM_START for symbol in by_address.values()
              if symbol["address"] >= RAM_START)
    rows = [("flash", "initial values", "initial values of RAM", image["bin"].stat().st_size - copied, copied),
            ("RAM", "working memory", "heap", -(-end // 4) * 4, heap),
            ("RAM", "stack", "stack", RAM_BYTES - stack, stack)]
    for symbol in by_address.values():
        region = "RAM" if symbol["address"] >= RAM_START else "flash"
        offset = symbol["address"] - (RAM_START if region == "RAM" else FLASH_START)
        rows.append((region, arrays.get(symbol["name"]) or _part(symbol, region), symbol["name"], offset,
                     symbol["bytes"]))
    return [dict(zip(("region", "part", "name", "offset", "bytes"), row)) for row in rows]


def _part(symbol: dict, region: str) -> str:
    """Part of a function, or of a variable that is in no generated header."""
    if re.match("arm|twiddle|sqrt_initial", symbol["name"]):
        return "CMSIS-DSP"
    return "working memory" if region == "RAM" and not symbol["function"] else "code"
