"""Scores of one model by four engines: float, LiteRT, TensorFlow Lite Micro, and the Pico's own C.

Notebooks: 07.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..audio import dataset
from ..features import mfcc_q15
from ..host import host_c
from ..model import runtimes
from ..model.evaluate import figures, windows_of
from ..model.tflite import SHIPPED, Model, load_model, open_model
from . import headers

ENGINES = ("float", "litert", "tflm", "c")


def engine_scores(engine: str, model: Model, raw: np.ndarray, float_model: Model | None = None) -> np.ndarray:
    """Scores of raw features by one engine.

    Parameters
    ----------
    engine : str
        "float" (the float model, by LiteRT), "litert", "tflm" (TensorFlow Lite Micro, the reference), or "c" (the
        firmware's own C, compiled for this computer).
    model : Model
        The int8 model.
    raw : int32 array (n, n_frames, n_mfcc)
    float_model : Model, optional
        For the engine "float".

    Returns
    -------
    array (n, n_genres)
        float32 probabilities, or int8 scores.

    Raises
    ------
    ValueError
        For an unknown engine, or "float" without a float model.
    """
    if engine == "float":
        if float_model is None:
            raise ValueError("engine float needs model_float.tflite beside the int8 file: notebook 06 writes both")
        normalised = mfcc_q15.normalise(raw, model.front_end.mean, model.front_end.std)
        return runtimes.run_litert(float_model, normalised)
    runners: dict[str, Callable] = {"litert": runtimes.run_litert, "tflm": runtimes.run_tflm, "c": _run_c}
    if engine not in runners:
        raise ValueError(f"unknown engine {engine!r}: choose one of {', '.join(ENGINES)}")
    return runners[engine](model, mfcc_q15.quantize_features(raw, model.front_end))


def _run_c(model: Model, features: np.ndarray) -> np.ndarray:
    return host_c.host_library(headers.headers_of(model)).scores(features)


def evaluate(audio: str | Path, path: str | Path = SHIPPED, engine: str = "tflm",
             level_db: float | None = None, room: bool = False, seed: int = 0) -> dict:
    """Judge a model on a folder of songs.

    Parameters
    ----------
    audio : str or Path
        A folder with one sub-folder per genre, or "mini" or "gtzan".
    path : str or Path
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
    """
    model, beside = load_model(path), Path(path).with_name("model_float.tflite")
    float_model = open_model(beside.read_bytes(), beside.name) if beside.is_file() else None
    songs = dataset.load_songs(audio, model.config)
    level_db = 0.0 if room and level_db is None else level_db
    windows = windows_of(songs.songs, level_db, room, seed, config=model.config)
    scores = engine_scores(engine, model, windows["raw"], float_model)
    about = {"file": model.name, "bytes": len(model.content), "ops": model.description["ops"], "engine": engine,
             "source": songs.source, "microphone_db": level_db, "room": room}
    result = figures(scores, windows["genre"], windows["song"], model.config)
    return {**result, "skipped": songs.skipped, "model": about}


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
