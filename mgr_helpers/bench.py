"""How many cycles, bytes and milliseconds: the project's way beside the book's, and the host beside the book's loop.

Everything about the Pico is counted on the emulated one: a Cortex-M0+ without waits for flash, so cycles are a lower
bound; the misses of the flash cache are counted beside them. The figures go into build/bench.json, which notebook 08
and the README read. Explained in notebooks/08_deploy_to_pico.ipynb.
"""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from pathlib import Path

import numpy as np

from . import c_headers, dataset, mfcc, mfcc_q15, mfcc_q15_book, mini_set, pico, toolchain
from .config import CONFIG, PRETRAINED, Config, build_dir
from .files import shown, write_whole

# marks of firmware/emulator/stages.c and book_way.c; 5 holds 6
OUR_STAGES = {"bias": 1, "window": 2, "rfft": 3, "magnitude": 4, "mel": 5, "log": 6, "dct": 7, "to_int8": 8}
BOOK_STAGES = {"window": 1, "rfft": 2, "magnitude": 3, "mel": 4, "log": 5, "dct": 6, "to_float": 7}
LSTM_MARK, HEAD_MARK = 9, 10
WINDOWS = 6  # of audio for the cycles of stages
LISTEN_SECONDS = 14  # for latency and time awake
# A miss reads 8 bytes: 8 clocks of address, mode bits and waiting with 24 address bits on four lines (6 + 2), 4 dummy
# ones and 16 of data, at half the system clock (the default of the SDK's boot2 for a W25Q080 in continuous read mode).
MISS_CYCLES = 2 * (6 + 2 + 4 + 16)
# Not measured here: the book's buffer of a clip (22050 int16) and its TFLM arena, both of its sketch; cycles of its
# model in TFLM, measured once on the emulated RP2040 with TFLM's reference kernels at -Os.
BOOK_CLIP_BYTES, BOOK_ARENA_BYTES = 2 * CONFIG.clip_length, 16384
BOOK_TFLM_CYCLES = 9_300_000


# --- cycles of the stages ---------------------------------------------------------------------------------------------

def book_tables_h(config: Config = CONFIG) -> str:
    """Header of book_way.c: the numbers of the pipeline and the book's four tables (150 KB, so it is never kept)."""
    tables = {"HANN_TABLE": mfcc_q15_book.hann_table(config), "MEL_TABLE": mfcc_q15_book.mel_table(config),
              "LOG_TABLE": mfcc_q15_book.log_table(), "DCT_TABLE": mfcc_q15_book.dct_table(config)}
    return c_headers.c_header("BOOK_TABLES_H", '#include "generated/constants.h"\n',
                              *(c_headers.c_array(name, table) for name, table in tables.items()))


def book_image(compiler: str | None = None, config: Config = CONFIG) -> dict:
    """Image of the book's features, by the compiler and flags of ours; its tables are written into build/."""
    folder = build_dir() / "book"
    write_whole(folder / "book_tables.h", lambda file: file.write(book_tables_h(config).encode()))
    return pico.build_image(toolchain.EMULATOR / "book_way.c", compiler, include=(folder,))


def book_features(frames: np.ndarray, image: dict, config: Config = CONFIG, **options) -> tuple[np.ndarray, dict]:
    """The book's MFCCs of frames (int16 (n, frame_length)) on the emulated Pico: float32 (n, n_mfcc), and the run."""
    result = pico.emulate(image, data=np.ascontiguousarray(frames, "<i2").tobytes(), **options)
    return np.frombuffer(result["output"], "<f4").reshape(-1, config.n_mfcc), result


def stage_features(windows: np.ndarray, image: dict, config: Config = CONFIG, **options) -> tuple[np.ndarray, dict]:
    """Our int8 features (n, n_frames, n_mfcc) of windows, stage by stage on the emulated Pico, and the run."""
    cut = np.ascontiguousarray(windows[:, : config.window_length], "<i2")
    result = pico.emulate(image, data=cut.tobytes(), **options)
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
    return {**spent, "total": sum(spent.values())}


def measure_stages(windows: np.ndarray, compiler: str | None = None, config: Config = CONFIG) -> dict:
    """Cycles and misses of the flash cache for each stage, ours and the book's, over the same windows.

    Parameters
    ----------
    windows : int16 (n, window_length)

    Returns
    -------
    dict
        ours and book, each with frame (cycles a frame by stage) and misses (of the flash cache, likewise); the book's
        features are checked against mfcc_q15_book, ours against mfcc_q15.

    Raises
    ------
    RuntimeError
        When an image computes other features than Python.
    """
    frames = np.concatenate([mfcc.split_frames(window[: config.window_length], config) for window in windows])
    image = pico.build_image(toolchain.EMULATOR / "stages.c", compiler)
    ours, our_run = stage_features(windows, image, config, xip=True)
    theirs, book_run = book_features(frames, book_image(compiler, config), config, xip=True)
    raw = mfcc_q15.mfcc_windows(windows, config)
    _check_equal("our features", ours, mfcc_q15.quantize_features(raw, c_headers.front_end_of(_shipped_model())))
    _check_equal("the book's features", theirs, np.concatenate([mfcc_q15_book.mfcc(w, config) for w in windows]))
    return {name: {"frame": frame(run["stages"], len(frames)), "misses": frame(run["stages"], len(frames), "misses")}
            for name, frame, run in (("ours", our_frame, our_run), ("book", book_frame, book_run))}


def _shipped_model() -> bytes:
    return (PRETRAINED / "model_int8.tflite").read_bytes()


def _check_equal(what: str, on_pico: np.ndarray, in_python: np.ndarray) -> None:
    if not np.array_equal(on_pico, in_python):
        raise RuntimeError(f"{what} on the emulated Pico are not those of Python: cycles of wrong code say nothing; "
                           "are the headers those of the shipped model (make pretrained)?")


# --- bytes, latency, time awake -----------------------------------------------------------------------------------------

def table_bytes(image: dict, header: Path = c_headers.GENERATED / "tables.h") -> dict[str, int]:
    """Bytes in an image of each table that a generated header defines."""
    names = re.findall(r"(\w+)\[\d+\] = \{", header.read_text())
    return {name: image["symbols"][name] for name in names if name in image["symbols"]}


def decision_times(result: dict, config: Config = CONFIG) -> dict:
    """Time from a window's last sample to its decision, and the time awake between the first and the last decision.

    Parameters
    ----------
    result : dict
        From `pico.listen`, with two decisions at least.

    Returns
    -------
    dict
        latency_ms (one for each decision: from the last sample to the first byte of its line), awake_share (0 to 1;
        start and self-test are over by then), seconds (what that is over).
    """
    texts = result["uart"].decode(errors="replace").split("\n")
    starts = np.array([line[2:4] for text, line in zip(texts, result["lines"]) if text.startswith("DECISION")])
    last_sample = config.window_length - 1 + config.window_step * np.arange(len(starts))
    latency = starts[:, 0] - (result["adc_start"] + last_sample / result["adc_rate"])
    seconds, asleep = starts[-1] - starts[0]
    return {"latency_ms": (1000 * latency).tolist(), "awake_share": 1 - asleep / seconds, "seconds": seconds}


def measure_sketch(samples: np.ndarray, compiler: str | None = None, config: Config = CONFIG) -> dict:
    """Bytes of the sketch itself, its latency and time awake, and its flash reads, on the emulated Pico."""
    image = pico.build_image("genre_recognizer", compiler)
    heard = pico.listen(samples, image=image, config=config)
    cached = pico.listen(samples[: 4 * config.sample_rate], image=image, config=config)
    times, tables = decision_times(heard, config), table_bytes(image)
    return {"flash": image["flash_bytes"], "flash_sections": image["sections"], "tables": sum(tables.values()),
            "tables_by_name": tables, "ram_static": image["ram_static"] + heard["heap_bytes"],
            "ram_buffers_of_adc": heard["heap_bytes"], "stack": heard["stack_bytes"],
            "latency_ms_125mhz": round(max(times["latency_ms"]), 3), "awake_share": round(times["awake_share"], 4),
            "listened_seconds": round(times["seconds"], 1), "overruns": len(heard["overruns"])}


def book_memory(image: dict) -> dict:
    """The book's RAM: buffers of the clip and TFLM's arena by its sketch, the rest as in our image of its way."""
    symbols = image["symbols"]
    parts = {"clip": BOOK_CLIP_BYTES, "work": symbols["windowed"] + symbols["fft"],
             "features": 4 * CONFIG.n_frames * CONFIG.n_mfcc, "tflm_arena": BOOK_ARENA_BYTES}
    return {"tables": sum(table_bytes(image, build_dir() / "book" / "book_tables.h").values()),
            "ram": sum(parts.values()), "ram_parts": parts}
