"""Scores of one model by four engines: float, LiteRT, TensorFlow Lite Micro, and the Pico's own C.

Used by notebooks/07_evaluate_model.ipynb.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..audio import dataset
from ..config import PRETRAINED, build_dir
from ..features import mfcc_q15
from ..host import host_c
from ..model import runtimes
from ..model.evaluate import figures, windows_of
from ..model.tflite import describe, front_end_of, load_tflite
from . import headers

ENGINES = ("float", "litert", "tflm", "c")


# --- engines ----------------------------------------------------------------------------------------------------------

def engine_scores(engine: str, tflite: bytes, raw: np.ndarray, float_tflite: bytes | None = None) -> np.ndarray:
    """Scores of raw features by one engine.

    Parameters
    ----------
    engine : str
        "float" (the float .tflite, by LiteRT), "litert", "tflm" (TensorFlow Lite Micro, the reference), or "c" (the
        firmware's own C, compiled for this computer).
    tflite : bytes
        The int8 file.
    raw : int32 array (n, n_frames, n_mfcc)
    float_tflite : bytes, optional
        The float file, for the engine "float".

    Returns
    -------
    array (n, n_genres)
        float32 probabilities, or int8 scores.

    Raises
    ------
    ValueError
        For an unknown engine, or "float" without a float file.

    Explained in notebooks/07_evaluate_model.ipynb.
    """
    front_end = front_end_of(tflite)
    if engine == "float":
        if float_tflite is None:
            raise ValueError("engine float needs model_float.tflite beside the int8 file: notebook 06 writes both")
        return runtimes.run_litert(float_tflite, mfcc_q15.normalise(raw, front_end.mean, front_end.std))
    features = mfcc_q15.quantize_features(raw, front_end)
    runners: dict[str, Callable] = {"litert": runtimes.run_litert, "tflm": runtimes.run_tflm, "c": _run_c}
    if engine not in runners:
        raise ValueError(f"unknown engine {engine!r}: choose one of {', '.join(ENGINES)}")
    return runners[engine](tflite, features)


def _run_c(tflite: bytes, features: np.ndarray) -> np.ndarray:
    """The firmware's C with headers of this very model, compiled for this computer."""
    folder = build_dir() / "generated" / hashlib.sha256(tflite).hexdigest()[:16]
    headers.write_headers(tflite, folder)
    return host_c.host_library(folder).scores(features)


# --- command line ---------------------------------------------------------------------------------------------------

def evaluate(audio: str | Path, model: str | Path = PRETRAINED / "model_int8.tflite", engine: str = "tflm",
             level_db: float | None = None, room: bool = False, seed: int = 0) -> dict:
    """Judge a model on a folder of songs.

    Parameters
    ----------
    audio : str or Path
        A folder with one sub-folder per genre, or "mini" or "gtzan".
    model : str or Path
        An int8 .tflite file of ours.
    engine : str
        One of `ENGINES`.
    level_db : float, optional
        Through the microphone simulation at this level.
    room : bool
        In a random room too (at 0 dB when no level is given).

    Returns
    -------
    dict
        As `figures`, with `skipped` (list of {"file", "reason"}) and `model` {"file", "bytes", "ops", "engine",
        "source", "microphone_db", "room"}.

    Raises
    ------
    FileNotFoundError, ValueError
        Naming the file or folder and the remedy.

    Explained in notebooks/07_evaluate_model.ipynb.
    """
    model = Path(model)
    tflite = load_tflite(model)
    config = front_end_of(tflite).config
    beside = model.with_name("model_float.tflite")
    songs = dataset.load_songs(audio, config)
    level_db = 0.0 if room and level_db is None else level_db
    windows = windows_of(songs.songs, level_db, room, seed, config=config)
    scores = engine_scores(engine, tflite, windows["raw"], beside.read_bytes() if beside.is_file() else None)
    about = {"file": model.name, "bytes": len(tflite), "ops": describe(tflite)["ops"], "engine": engine,
             "source": songs.source, "microphone_db": level_db, "room": room}
    return {**figures(scores, windows["genre"], windows["song"], config), "skipped": songs.skipped, "model": about}


def table(result: dict) -> str:
    """The figures of `evaluate` as text."""
    rows = [f"{part:8s} {result[part]['accuracy']:6.1%}  (95 % interval {result[part]['interval'][0]:.1%} to "
            f"{result[part]['interval'][1]:.1%}, n = {result[part]['n']})" for part in ("windows", "songs")]
    rows += [f"recall of {genre}: {value:.1%}" for genre, value in result["recall"].items()]
    rows += [f"skipped {row['file']}: {row['reason']}" for row in result["skipped"]]
    return "\n".join(rows)


def run(args: argparse.Namespace) -> int:
    """Print the figures."""
    result = evaluate(args.audio, args.model, args.engine, args.mic, args.room)
    print(json.dumps(result, indent=1) if args.json else table(result))
    return 0
