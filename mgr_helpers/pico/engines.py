"""Scores of one model by four engines: float, LiteRT, TensorFlow Lite Micro, and the Pico's own C.

Notebooks: 07.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from ..audio import dataset
from ..features import mfcc_q15
from ..model import runtimes
from ..model.evaluate import figures, windows_of
from ..model.tflite import SHIPPED, Model, load_model, open_model
from . import headers

ENGINES = ("float", "litert", "tflm", "c")
REFERENCE = "c" if runtimes.NO_TFLM else "tflm"  # the engine whose scores are the Pico's; tests prove the two equal
ENGINES_HERE = tuple(engine for engine in ENGINES if engine != "tflm" or not runtimes.NO_TFLM)


def load_models(path: str | Path = SHIPPED) -> tuple[Model, Model | None]:
    """An int8 model of ours, and the model_float.tflite beside it; None where there is none."""
    beside = Path(path).with_name("model_float.tflite")
    return load_model(path), open_model(beside.read_bytes(), beside.name) if beside.is_file() else None


def engine_scores(engine: str, model: Model, raw: np.ndarray, float_model: Model | None = None) -> np.ndarray:
    """Scores of raw features by one engine: float32 probabilities or int8 scores (n, n_genres).

    Parameters
    ----------
    engine : str
        "float" (the float model, by LiteRT), "litert", "tflm" (TensorFlow Lite Micro, the reference), or "c" (the
        firmware's own C, compiled for this computer). Another one, or "float" without a float model: a ValueError;
        "tflm" where it is not installed: a RuntimeError.
    model : Model
        The int8 model.
    raw : int32 array (n, n_frames, n_mfcc)
    float_model : Model, optional
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if engine == "float":
        if float_model is None:
            raise ValueError("engine float needs model_float.tflite beside the int8 file: notebook 06 writes both")
        return runtimes.run_litert(float_model, mfcc_q15.normalise(raw, model.front_end.mean, model.front_end.std))
    features = mfcc_q15.quantize_features(raw, model.front_end)
    return {"litert": runtimes.run_litert, "tflm": runtimes.run_tflm, "c": headers.run_c}[engine](model, features)


def evaluate(audio: str, path: Path, engine: str, level_db: float | None, room: bool) -> dict:
    """`figures` of an int8 model on a folder of songs (or "mini", or "gtzan"), by one of `ENGINES`.

    With `level_db` through the microphone simulation at this level; with `room` in a random room, too (at 0 dB when no
    level is given). The result also holds skipped (list of {"file", "reason"}) and model {"file", "bytes", "ops",
    "engine", "source", "microphone_db", "room"}.
    """
    model, float_model = load_models(path)
    songs = dataset.load_songs(audio, model.config)
    level_db = 0.0 if room and level_db is None else level_db
    windows = windows_of(songs.songs, level_db, room, config=model.config)
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
    return "\n".join(rows + [f"skipped {row['file']}: {row['reason']}" for row in result["skipped"]])


def run(arguments: argparse.Namespace) -> int:
    """`python -m mgr_helpers evaluate`: print the figures."""
    engine = arguments.engine or REFERENCE
    result = evaluate(arguments.audio, arguments.model, engine, arguments.mic, arguments.room)
    print(json.dumps(result, indent=1) if arguments.json else table(result))
    return 0
