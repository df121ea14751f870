"""Cycles of each stage and bytes of each symbol, ours beside the book's.

Everything is counted on the emulated Pico: a Cortex-M0+ without waits for flash, so cycles are a lower bound; misses
of the flash cache are counted beside them.

Used by notebooks/08_deploy_to_pico.ipynb.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..config import CONFIG, PRETRAINED, Config, build_dir
from ..features import mfcc, mfcc_book, mfcc_q15
from ..host import toolchain
from ..host.files import write_whole
from ..model.tflite import front_end_of
from . import emulator, headers
from .image import FLASH_START, RAM_BYTES, RAM_START, build_image, symbols_of

# marks of firmware/emulator/stages.c and book_way.c; 5 holds 6
OUR_STAGES = {"bias": 1, "window": 2, "rfft": 3, "magnitude": 4, "mel": 5, "log": 6, "dct": 7, "to_int8": 8}
BOOK_STAGES = {"window": 1, "rfft": 2, "magnitude": 3, "mel": 4, "log": 5, "dct": 6, "to_float": 7}
LSTM_MARK, HEAD_MARK = 9, 10
SUMS = ("features", "total")


# --- cycles of the stages ---------------------------------------------------------------------------------------------

def book_tables_h(config: Config = mfcc_book.BOOK) -> str:
    """Header of book_way.c: the numbers of the pipeline and the book's four tables (150 KB, so it is never kept)."""
    tables = dict(zip(("HANN_TABLE", "MEL_TABLE", "LOG_TABLE", "DCT_TABLE"), mfcc_book.book_tables(config).values()))
    # the book keeps fewer MFCCs than ours
    return headers.c_header("BOOK_TABLES_H", '#include "generated/constants.h"\n',
                              headers.c_defines({"BOOK_N_MFCC": config.n_mfcc}),
                              *(headers.c_array(name, table) for name, table in tables.items()))


def book_image(compiler: str | None = None, config: Config = mfcc_book.BOOK) -> dict:
    """Image of the book's features, by the compiler and flags of ours; its tables are written into build/."""
    folder = build_dir() / "book"
    write_whole(folder / "book_tables.h", lambda file: file.write(book_tables_h(config).encode()))
    return build_image(toolchain.EMULATOR / "book_way.c", compiler, include=(folder,))


def book_features(frames: np.ndarray, image: dict, config: Config = mfcc_book.BOOK,
                  **options) -> tuple[np.ndarray, dict]:
    """The book's MFCCs of frames (int16 (n, frame_length)) on the emulated Pico: float32 (n, n_mfcc), and the run."""
    result = emulator.emulate(image, data=np.ascontiguousarray(frames, "<i2").tobytes(), **options)
    return np.frombuffer(result["output"], "<f4").reshape(-1, config.n_mfcc), result


def stage_features(windows: np.ndarray, image: dict, config: Config = CONFIG, **options) -> tuple[np.ndarray, dict]:
    """Our int8 features (n, n_frames, n_mfcc) of windows, stage by stage on the emulated Pico, and the run."""
    cut = np.ascontiguousarray(windows[:, : config.window_length], "<i2")
    result = emulator.emulate(image, data=cut.tobytes(), **options)
    return np.frombuffer(result["output"], np.int8).reshape(-1, config.n_frames, config.n_mfcc), result


def per_frame(stages: dict, marks: dict[str, int], frames: int, key: str = "cycles") -> dict[str, int]:
    """Mean cycles (or misses) a frame of each stage."""
    return {name: round(stages[str(mark)][key] / frames) for name, mark in marks.items()}


def our_frame(stages: dict, frames: int, key: str = "cycles") -> dict[str, int]:
    """Our stages: Mel without the log that it holds, and for a frame its part of a window's dense and softmax."""
    spent = per_frame(stages, OUR_STAGES, frames, key)
    spent["mel"] -= spent["log"]
    features = sum(spent.values())
    model = per_frame(stages, {"lstm": LSTM_MARK, "dense_softmax": HEAD_MARK}, frames, key)
    return {**spent, **model, "features": features, "total": features + sum(model.values())}


def book_frame(stages: dict, frames: int, key: str = "cycles") -> dict[str, int]:
    """The book's stages; its model in TFLM isn't part of the image, so the total is that of the features."""
    spent = per_frame(stages, BOOK_STAGES, frames, key)
    return {**spent, "features": sum(spent.values()), "total": sum(spent.values())}


def measure_stages(windows: np.ndarray, compiler: str | None = None, defines: tuple[str, ...] = (),
                   tflite: bytes | None = None, generated: Path | None = None) -> dict:
    """Cycles and misses of the flash cache for each stage, ours and the book's, over the same windows.

    Parameters
    ----------
    windows : int16 (n, window_length)
    compiler : "gcc", "zig" or None
    defines : tuple of str
        Macros of our image.
    tflite, generated : bytes and Path, optional
        A model of your own, and the folder of its headers (`headers.write_headers`), instead of what ships.

    Returns
    -------
    dict
        ours and book, each with frame (cycles a frame by stage) and misses (of the flash cache, likewise); the book's
        features are checked against mfcc_book, ours against mfcc_q15.

    Raises
    ------
    RuntimeError
        When an image computes other features than Python.
    """
    front_end = front_end_of(tflite or _shipped_model())
    config = front_end.config
    frames = np.concatenate([mfcc.split_frames(window[: config.window_length], config) for window in windows])
    image = build_image(toolchain.EMULATOR / "stages.c", compiler, generated=generated, defines=defines)
    ours, our_run = stage_features(windows, image, config, xip=True)
    theirs, book_run = book_features(frames, book_image(compiler), xip=True)
    raw = mfcc_q15.mfcc_windows(windows, config)
    _check_equal("our features", ours, mfcc_q15.quantize_features(raw, front_end))
    expected = np.concatenate([mfcc_book.book_mfcc(window, mfcc_book.BOOK) for window in windows])
    _check_equal("the book's features", theirs, expected)
    return {name: {"frame": frame(run["stages"], len(frames)), "misses": frame(run["stages"], len(frames), "misses")}
            for name, frame, run in (("ours", our_frame, our_run), ("book", book_frame, book_run))}


def _shipped_model() -> bytes:
    return (PRETRAINED / "model_int8.tflite").read_bytes()


def _check_equal(what: str, on_pico: np.ndarray, in_python: np.ndarray) -> None:
    if not np.array_equal(on_pico, in_python):
        raise RuntimeError(f"{what} on the emulated Pico are not those of Python: cycles of wrong code say nothing; "
                           "were the headers made from this model? (the shipped one's: make pretrained)")


def memory_parts(image: dict, heard: dict, generated: Path = headers.GENERATED) -> list[dict]:
    """What lies where in flash and RAM, symbol by symbol, from the ELF file.

    Parameters
    ----------
    image : dict
        From `image.build_image`.
    heard : dict
        From `emulator.emulate` or `listen.listen`: how much heap and stack a run used.
    generated : Path
        The headers it was built with: they tell the model's arrays from the front end's tables.

    Returns
    -------
    list of dict
        region ("flash" or "RAM"), part (a key of `plots.MEMORY_COLORS`), name, offset (from the start of the region) and
        bytes. The initial values of RAM lie in flash, too; an array of constants in RAM counts as what it is for.
    """
    arrays = {name: part for file, part in (("model", "model"), ("tables", "front end"), ("test_vector", "self-test"))
              for name in re.findall(r"(\w+)\[\d+\] = \{", (generated / f"{file}.h").read_text())}
    copied, heap, stack = image["sections"][".data"], heard["heap_bytes"], heard["stack_bytes"]
    rows = [("flash", "initial values", "initial values of RAM", image["bin"].stat().st_size - copied, copied),
            ("RAM", "working memory", "heap", image["ram_static"], heap),
            ("RAM", "stack", "stack", RAM_BYTES - stack, stack)]
    by_address = {symbol["address"]: symbol for symbol in symbols_of(image["elf"])}  # some have two names
    for symbol in by_address.values():
        region = "RAM" if symbol["address"] >= RAM_START else "flash"
        offset = symbol["address"] - (RAM_START if region == "RAM" else FLASH_START)
        rows.append((region, arrays.get(symbol["name"]) or _part(symbol, region), symbol["name"], offset,
                     symbol["bytes"]))
    return [dict(zip(("region", "part", "name", "offset", "bytes"), row)) for row in rows]


def _part(symbol: dict, region: str) -> str:
    """What a function or variable is for that no generated header defines."""
    if re.match("arm|twiddle|sqrt_initial", symbol["name"]):
        return "CMSIS-DSP"
    return "working memory" if region == "RAM" and not symbol["function"] else "code"
