"""Train the model that ships, and measure it: ``python -m mgr_helpers pretrained --data FOLDER``.

Writes `data/pretrained/` (model, int8 and float .tflite, curves, figures, calibration windows, model card) and the
sketch's generated headers. The figures come from five folds by artist; the shipped model then learns from all songs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from . import c_headers, dataset, evaluate, files, mfcc_q15, microphone, model, quantize
from .config import CONFIG, PRETRAINED, Config
from .tf_quiet import import_tf

SHIPPED = "lstm_mean"
BASELINES = ("lstm2", "pooling")
N_WINDOWS = 9000
EPOCHS = 15
RECURRENT_DROPOUT = 0.2  # of the shipped architecture; training takes 2.5 times longer with it
CONDITIONS = {"clean": (None, False), "microphone 0 dB": (0.0, False), "microphone -12 dB": (-12.0, False),
              "microphone -24 dB": (-24.0, False), "microphone 0 dB, room": (0.0, True)}


def train_on(raw: np.ndarray, genre: np.ndarray, architecture: str = SHIPPED, seed: int = 0, epochs: int = EPOCHS,
             validation: tuple[np.ndarray, np.ndarray] | None = None, config: Config = CONFIG) -> tuple:
    """Train one model on raw features.

    Returns
    -------
    network (keras.Model), mean, std, curves
    """
    mean, std = model.fit_normalisation(raw)
    dropout = RECURRENT_DROPOUT if architecture == SHIPPED else 0.0
    network = model.build_model(architecture, recurrent_dropout=dropout, seed=seed, config=config)
    if validation is not None:
        validation = (mfcc_q15.normalise(validation[0], mean, std), validation[1])
    curves = model.train(network, mfcc_q15.normalise(raw, mean, std), genre, validation, epochs)
    return network, mean, std, curves


def fit_engines(raw: np.ndarray, genre: np.ndarray, seed: int, architecture: str = SHIPPED, int8: bool = True) -> dict:
    """For `evaluate.cross_validate`: train, and return the float network and its int8 twin in TFLM as functions."""
    network, mean, std, _ = train_on(raw, genre, architecture, seed)
    engines = {"float": lambda test: model.predict(network, mfcc_q15.normalise(test, mean, std))}
    if int8:
        calibration = mfcc_q15.normalise(raw[model.calibration_choice(len(raw))], mean, std)
        tflite = quantize.convert(network, calibration, quantize.front_end_dict(mean, std))
        engines["tflm"] = lambda test: evaluate.engine_scores("tflm", tflite, test)
    return engines


def measure(training: dict, tests: dict, seed: int = 0) -> dict:
    """Five folds by artist: figures[architecture][engine][condition], see `evaluate.figures`."""
    results: dict[str, dict] = {}
    for architecture in (SHIPPED, *BASELINES):
        int8 = architecture == SHIPPED
        scores = evaluate.cross_validate(training, tests, lambda raw, genre, fold_seed: fit_engines(
            raw, genre, fold_seed, architecture, int8), seed=seed)
        results[architecture] = {engine: {name: evaluate.figures(part, tests[name]["genre"], tests[name]["song"])
                                          for name, part in parts.items()} for engine, parts in scores.items()}
    return results


def curves_of(training: dict, clean: dict, seed: int) -> dict:
    """Training curves with other artists for validation: training.json, for those who don't train themselves."""
    part = dataset.split_by_group(clean, seed)
    held_out = np.unique(clean["group"][part == "validation"])
    kept, valid = ~np.isin(training["group"], held_out), part == "validation"
    return train_on(training["raw"][kept], training["genre"][kept], seed=seed,
                    validation=(clean["raw"][valid], clean["genre"][valid]))[3]


def about_data(songs: dataset.SongSet, tests: dict) -> dict:
    """What the model learnt from, in numbers."""
    of_genre = {genre: [song for song in songs.songs if song.genre == genre] for genre in CONFIG.genres}
    return {"name": songs.source, "songs": {genre: len(some) for genre, some in of_genre.items()},
            "artists": {genre: len({song.group for song in some}) for genre, some in of_genre.items()},
            "minutes": round(sum(len(s.samples) for s in songs.songs) / CONFIG.sample_rate / 60, 1),
            "windows": len(next(iter(tests.values()))["genre"]), "skipped": songs.skipped}


CARD = """# Model card

Written by `python -m mgr_helpers pretrained`; every number comes from metrics.json.

## What it is

Hears one second of music and says which of {genres} it is. Architecture `{architecture}`: {parameters:,} parameters,
{int8_bytes:,} bytes as int8 ({ops}). Input: {n_frames} frames of {n_mfcc} MFCCs, by the integer front end.

## What it learnt from

`{data[name]}`: {data[minutes]} minutes; songs {data[songs]}, artists {data[artists]}.
{training_windows:,} windows cut at random, played up to {stretch:.0%} faster or slower, {heard:.0%} of them through a
simulated loudspeaker, microphone and 12-bit ADC, {room:.0%} of those in a simulated room. Adam, {steps} steps of 64 windows, seed {seed}.

## How it was measured

{protocol}

## Figures

| model | engine | condition | windows | songs (vote) |
|---|---|---|---|---|
{rows}

Recall of windows, clean: {recall}.

## Limits

- Three genres only: to any other sound it also gives one of the three.
- A small set from one collection, made around 2000; few artists, those of jazz fewest.
- The microphone is simulated: no figure here comes from a real board in a real room.
- The five folds measure models that learnt from four fifths of the artists. The one that ships learnt from all of them,
  so it can't be measured on the same songs.
"""
PROTOCOL = """Five folds by artist: every window is scored by a model that never heard its artist. Windows follow one
another as the Pico hears them; a song's genre is the vote of all its windows. 95 % intervals by resampling songs. The
test's microphone simulation has wider ranges than the training's, and other seeds."""


def card_row(architecture: str, engine: str, condition: str, figures: dict) -> str:
    """One line of the card's table."""
    cells = [f"{part['accuracy']:.1%} ({part['interval'][0]:.0%} to {part['interval'][1]:.0%})"
             for part in (figures["windows"], figures["songs"])]
    return f"| {' | '.join([architecture, engine, condition, *cells])} |"


def model_card(metrics: dict) -> str:
    """MODEL_CARD.md from metrics.json."""
    results = metrics["results"]
    rows = [card_row(architecture, engine, name, figures) for architecture, engines in results.items()
            for engine, conditions in engines.items() for name, figures in conditions.items()]
    recall = results[metrics["architecture"]]["tflm"]["clean"]["recall"]
    return CARD.format(**{**metrics, "ops": ", ".join(metrics["ops"])}, rows="\n".join(rows),
                       genres=", ".join(CONFIG.genres), n_frames=CONFIG.n_frames, n_mfcc=CONFIG.n_mfcc,
                       int8_bytes=metrics["bytes"]["model_int8.tflite"], stretch=microphone.STRETCH,
                       heard=1 - microphone.CLEAN, room=microphone.ROOM,
                       recall=", ".join(f"{genre} {value:.0%}" for genre, value in recall.items()))


def build(data: str | Path, folder: Path = PRETRAINED, seed: int = 0, n_windows: int = N_WINDOWS) -> dict:
    """Train, measure and write everything that ships.

    Parameters
    ----------
    data : str or Path
        A folder with one sub-folder per genre, or "mini" or "gtzan".
    folder : Path
        Where the files go; each is written whole or not at all.
    seed : int
    n_windows : int
        Random training windows.

    Returns
    -------
    dict
        metrics.json.

    Raises
    ------
    FileNotFoundError, ValueError
        When the data set won't do.
    """
    import_tf().config.experimental.enable_op_determinism()
    songs = dataset.load_songs(data)
    tests = {name: evaluate.windows_of(songs.songs, level, room, seed=1000 + index)
             for index, (name, (level, room)) in enumerate(CONDITIONS.items())}
    training = microphone.random_windows(songs.songs, n_windows, seed)
    curves = curves_of(training, tests["clean"], seed)
    network, mean, std, _ = train_on(training["raw"], training["genre"], seed=seed)
    tflites = write_models(folder, network, mean, std, training)
    metrics = {"architecture": SHIPPED, "parameters": network.count_params(), "seed": seed,
               "training_windows": n_windows, "steps": EPOCHS * model.EPOCH_STEPS,
               "ops": quantize.describe(tflites["model_int8.tflite"])["ops"],
               "bytes": {name: len(tflite) for name, tflite in tflites.items()},
               "data": about_data(songs, tests), "protocol": PROTOCOL, "results": measure(training, tests, seed)}
    write_text(folder / "training.json", json.dumps(curves, indent=1))
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1))
    write_text(folder / "MODEL_CARD.md", model_card(metrics))
    return metrics


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, ending in a newline."""
    files.write_whole(path, lambda file: file.write((text.rstrip("\n") + "\n").encode()))


def write_models(folder: Path, network, mean: np.ndarray, std: np.ndarray, training: dict) -> dict[str, bytes]:
    """model.keras, calibration.npz, model_int8.tflite and model_float.tflite: what notebooks 05 and 06 write, too."""
    chosen = model.calibration_choice(len(training["raw"]))
    raw, front_end = training["raw"][chosen], quantize.front_end_dict(mean, std)
    tflites = {"model_int8.tflite": quantize.convert(network, mfcc_q15.normalise(raw, mean, std), front_end),
               "model_float.tflite": quantize.convert(network, None, front_end)}
    model.save(folder, network, mean, std, training["raw"], training["genre"])
    for name, tflite in tflites.items():
        files.write_whole(Path(folder) / name, lambda file, tflite=tflite: file.write(tflite))
    return tflites


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m mgr_helpers pretrained``."""
    parser.add_argument("--data", required=True, help="folder with one sub-folder per genre, or mini, or gtzan")
    parser.add_argument("--output", type=Path, default=PRETRAINED, help="folder to write (default: data/pretrained)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--windows", type=int, default=N_WINDOWS, help="random training windows")


def run(args: argparse.Namespace) -> int:
    """Build the pretrained model, and the sketch's headers when it goes to its usual place."""
    metrics = build(args.data, args.output, args.seed, args.windows)
    if args.output.resolve() == PRETRAINED:
        c_headers.write_headers((PRETRAINED / "model_int8.tflite").read_bytes())
    print(model_card(metrics))
    return 0
