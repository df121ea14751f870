"""Scores of one model by four engines: float, LiteRT, TensorFlow Lite Micro, and the Pico's own C.

Notebooks: 07.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from ..audio import dataset
from ..config import Config
from ..features import mfcc_q15
from ..model import runtimes
from ..model.evaluate import auroc, decisions, figures, other_decisions, time_to_decide, windows_of
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


def evaluate(audio: str, path: Path, engine: str, level_db: float | None, room: bool, other: list = ()) -> dict:
    """`figures` of an int8 model on a folder of songs (or "mini", or "gtzan"), by one of `ENGINES`.

    With `level_db` through the microphone simulation at this level; with `room` in a random room, too (at 0 dB when no
    level is given). The result also holds decisions, other and auroc (see `model.evaluate`; None without other music),
    time_to_decide {after_silence, after_song}, skipped (list of {"file", "reason"}) and model {"file", "bytes", "ops",
    "engine", "source", "microphone_db", "room", "unsure_below"}.
    """
    model, float_model = load_models(path)
    config = model.config
    found = dataset.load_songs(audio, config, other=other)
    level_db = 0.0 if room and level_db is None else level_db
    about = {"file": model.name, "bytes": len(model.content), "ops": model.description["ops"], "engine": engine,
             "source": found.source, "microphone_db": level_db, "room": room, "unsure_below": model.unsure_below}

    def scored(songs: list) -> tuple[np.ndarray, dict]:
        windows = windows_of(songs, level_db, room, config=config)
        return engine_scores(engine, model, windows["raw"], float_model), windows

    scores, windows = scored(found.songs)
    genre, song = windows["genre"], windows["song"]
    result = {**figures(scores, genre, song, config), **listener_figures(scores, windows, model.unsure_below, config),
              "other": None, "auroc": None, "skipped": found.skipped, "model": about}
    if found.others:
        other_scores, heard = scored(found.others)
        result["other"] = other_decisions(other_scores, heard["kind"], heard["song"], model.unsure_below, config)
        result["auroc"] = auroc(scores, song, other_scores, heard["song"], config)
    return result


def listener_figures(scores: np.ndarray, windows: dict, unsure_below: int, config: Config) -> dict:
    """decisions, and time_to_decide after silence and after another song, for `evaluate`."""
    given = scores, windows["genre"], windows["song"], unsure_below
    times = {name: time_to_decide(*given, after, config) for name, after in
             (("after_silence", False), ("after_song", True))}
    return {"decisions": decisions(*given, config), "time_to_decide": times}


def table(result: dict) -> str:
    """The figures of `evaluate` as text."""
    rows = [f"{part:9s} {result[part]['accuracy']:6.1%}  (95 % interval {result[part]['interval'][0]:.1%} to "
            f"{result[part]['interval'][1]:.1%}, n = {result[part]['n']})" for part in ("windows", "songs", "decisions")]
    said = result["decisions"]
    rows += [f"recall of {genre}: {value:.1%}" for genre, value in result["recall"].items()]
    rows += [f"a genre is said in {said['coverage']:.1%} of decisions"
             + ("" if said["right"] is None else f", and is right in {said['right']:.1%} of these")]
    for name, row in result["time_to_decide"].items():
        if row["median"] is not None:
            rows.append(f"half of {row['n']} songs get their genre within {row['median']:.1f} s {name.replace('_', ' ')}")
    if result["other"]:
        other = result["other"]
        rows += [f"other sound is called a genre in {other['named']:.1%} of {other['n']} decisions, "
                 f"{other['false_genres_per_hour']:.0f} times an hour; AUROC {result['auroc']:.2f}"]
        rows += [f"  {kind}: {share:.1%}" for kind, share in other["by_kind"].items()]
    return "\n".join(rows + [f"skipped {row['file']}: {row['reason']}" for row in result["skipped"]])


def run(arguments: argparse.Namespace) -> int:
    """`python -m mgr_helpers evaluate`: print the figures."""
    engine = arguments.engine or REFERENCE
    result = evaluate(arguments.audio, arguments.model, engine, arguments.mic, arguments.room, arguments.other or ())
    print(json.dumps(result, indent=1) if arguments.json else table(result))
    return 0
