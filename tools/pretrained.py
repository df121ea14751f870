"""Train the model that ships, and measure it: ``python -m tools.pretrained --data FOLDER``.

Writes `data/pretrained/` (model, int8 and float .tflite, curves, figures, calibration windows, model card) and the
sketch's generated headers. The figures come from five folds by artist. The shipped model then learns from all songs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from mgr_helpers.audio import dataset, splits
from mgr_helpers.config import CONFIG, PRETRAINED
from mgr_helpers.features import mfcc_q15
from mgr_helpers.host.command_line import add_number, as_path, main
from mgr_helpers.host import files
from mgr_helpers.host.quiet import import_tf
from mgr_helpers.model import evaluate, quantize, runtimes
from mgr_helpers.model.network import EPOCH_STEPS, calibration_choice, save
from mgr_helpers.model.tflite import Model, front_end_dict, load_model
from mgr_helpers.model.training import CLEAN, N_WINDOWS, ROOM, SHIPPED, STRETCH, train_on, training_windows
from mgr_helpers.pico import headers
from mgr_helpers.pico.engines import engine_scores
from tools import experiments
from tools.experiments import SEEDS

COVERAGE = 0.8  # share of music to which the Pico says a genre; below that confidence it says unsure


def curves_of(training: dict, clean: dict, seed: int) -> dict:
    """Training curves with other artists for validation: training.json."""
    part = splits.split_by_group(clean, seed)
    held_out = np.unique(clean["group"][part == "validation"])
    kept, valid = ~np.isin(training["group"], held_out), part == "validation"
    return train_on(training["raw"][kept], training["genre"][kept], seed,
                    validation=(clean["raw"][valid], clean["genre"][valid]))[3]


# --- unsure -----------------------------------------------------------------------------------------------------------

def all_conditions(scores: dict[str, np.ndarray], test: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of all conditions and seeds, one after another: scores, genre, song. Each run has songs of its own."""
    runs = [(f"{name} {seed} ", run) for name, part in scores.items() for seed, run in enumerate(part)]
    return (np.concatenate([run for _, run in runs]), np.tile(test["genre"], len(runs)),
            np.concatenate([np.char.add(label, test["song"]) for label, _ in runs]))


def held_out_coverage(scores: dict[str, np.ndarray], test: dict) -> dict[str, dict]:
    """Coverage and accuracy of decided votes by condition. The threshold of a fold comes from the other folds.

    Parameters
    ----------
    scores : dict of arrays (n_seeds, n, n_genres)
        By condition, from `experiments.measure`.
    """
    decided, right, total = (dict.fromkeys(scores, 0) for _ in range(3))
    for seed in range(len(SEEDS)):
        fold = experiments.folds_by_group(test, seed=SEEDS[seed])
        for k in range(fold.max() + 1):
            others, own = ({name: values[part] for name, values in test.items()} for part in (fold != k, fold == k))
            known = {name: part[seed : seed + 1, fold != k] for name, part in scores.items()}
            threshold = evaluate.threshold_for(evaluate.coverage_curve(*all_conditions(known, others)), COVERAGE)
            for name, part in scores.items():
                winner, confidence = evaluate.running_votes(part[seed, fold == k], own["song"])
                sure = confidence >= threshold
                decided[name] += int(sure.sum())
                right[name] += int((sure & (winner == own["genre"])).sum())
                total[name] += len(sure)
    return {name: {"coverage": decided[name] / total[name], "accuracy": right[name] / max(decided[name], 1)}
            for name in scores}


def unsure_figures(scores: dict[str, np.ndarray], test: dict) -> dict:
    """For metrics.json: the threshold, the curve it was read from, and `held_out_coverage`."""
    curve = evaluate.coverage_curve(*all_conditions(scores, test))
    rounded = {name: [None if np.isnan(value) else round(float(value), 4) for value in values]
               for name, values in curve.items()}
    return {"threshold": evaluate.threshold_for(curve, COVERAGE), "curve": rounded,
            "held_out": held_out_coverage(scores, test)}


def about_data(songs: dataset.SongSet, clean: dict) -> dict:
    """What the model learnt from, in numbers."""
    of_genre = {genre: [song for song in songs.songs if song.genre == genre] for genre in CONFIG.genres}
    return {"name": songs.source, "songs": {genre: len(some) for genre, some in of_genre.items()},
            "artists": {genre: len({song.group for song in some}) for genre, some in of_genre.items()},
            "minutes": round(sum(len(s.samples) for s in songs.songs) / CONFIG.sample_rate / 60, 1),
            "windows": len(clean["genre"]), "skipped": songs.skipped}


CARD = """# Model card

Written by `python -m tools.pretrained`; every number comes from metrics.json.

## What it is

Hears one second of music and says which of {genres} it is. Architecture `{architecture}`: {parameters:,} parameters,
{int8_bytes:,} bytes as int8 ({ops}). Input: {n_frames} frames of {n_mfcc} MFCCs, by the integer front end.

## What it learnt from

`{data[name]}`: {data[minutes]} minutes; songs {data[songs]}, artists {data[artists]}.
{training_windows:,} windows cut at random, played up to {stretch:.0%} faster or slower, {heard:.0%} of them through a
simulated loudspeaker, microphone and 12-bit ADC, {room:.0%} of those in a simulated room; {other_windows:,} windows of
synthetic noise, hum, speech, piano and pads, and of an ADC pin without a microphone, of which it shall say each genre
with the same probability. Adam, {steps} steps of 64 windows, seed {seed}.

## How it was measured

{protocol}

In brackets: 95 % intervals by resampling songs. The row *book, leaking* deals windows at random, \
as the book does, so that
parts of one song are in training and test: it is there to show what that does. \
All rows but the book's share one recipe,
which was chosen for ours.

## Figures

| model | engine | condition | windows | songs (vote) | votes of ten windows |
|---|---|---|---|---|---|
{rows}

Recall of windows, clean: {recall}.

## Unsure

Below {unsure[threshold]} % confidence of the running vote the Pico says *unsure*. \
With a threshold set on the other folds
so that it says a genre to {coverage:.0%} of the music:

| condition | says a genre | and is right |
|---|---|---|
{unsure_rows}

Sounds that are none of the genres (synthetic, through the simulated microphone, drawn from wider ranges than in
training; silence was not in training; *open pin* is an ADC to which no microphone is connected):

| sound | decisions | genre | unsure | silence |
|---|---|---|---|---|
{other_rows}

## Limits

- Three genres only: other music and other sounds are *unsure* at best, see above.
- A small set from one collection, made around 2000; few artists, those of jazz fewest.
- The microphone is simulated: no figure here comes from a real board in a real room.
- The five folds measure models that learnt from four fifths of the artists. The one that ships learnt from all of them,
  so it can't be measured on the same songs.
"""
PROTOCOL = """Five folds by artist: every window is scored by a model that never heard its artist. Windows follow one
another as the Pico hears them; a song's genre is the vote of all its windows. Mean of three seeds (folds, weights, and
draws of the microphone simulation), ± their standard deviation. The test's microphone simulation has wider ranges than
the training's, and other seeds."""


def percent(part: dict) -> str:
    """Accuracy with spread and interval, as text."""
    if not part["n"]:
        return "-"
    spread = f" ± {100 * part['spread']:.1f}" if "spread" in part else ""
    return f"{100 * part['accuracy']:.1f}{spread} % ({part['interval'][0]:.0%} to {part['interval'][1]:.0%})"


def card_row(row: str, engine: str, condition: str, figures: dict) -> str:
    """One line of the card's table."""
    cells = [percent(figures[part]) for part in ("windows", "songs", "votes")]
    return f"| {' | '.join([row, engine, condition, *cells])} |"


def model_card(metrics: dict) -> str:
    """MODEL_CARD.md from metrics.json."""
    results = metrics["results"]
    rows = [card_row(row, engine, name, figures) for row, engines in results.items()
            for engine, conditions in engines.items() for name, figures in conditions.items()]
    recall = results[metrics["architecture"]]["tflm"]["clean"]["recall"]
    unsure_rows = [f"| {name} | {part['coverage']:.1%} | {part['accuracy']:.1%} |"
                   for name, part in metrics["unsure"]["held_out"].items()]
    other_rows = [f"| {name} | {part['windows']} | " + " | ".join(f"{part[word]:.0%}" for word in
                  ("genre", "unsure", "silence")) + " |" for name, part in metrics["other_sounds"].items()]
    return CARD.format(**{**metrics, "protocol": PROTOCOL, "ops": ", ".join(metrics["ops"])}, rows="\n".join(rows),
                       genres=", ".join(CONFIG.genres), n_frames=CONFIG.n_frames, n_mfcc=CONFIG.n_mfcc,
                       int8_bytes=metrics["bytes"]["model_int8.tflite"], stretch=STRETCH,
                       heard=1 - CLEAN, room=ROOM, coverage=COVERAGE,
                       unsure_rows="\n".join(unsure_rows), other_rows="\n".join(other_rows),
                       recall=", ".join(f"{genre} {value:.0%}" for genre, value in recall.items()))


def build(data: str | Path, folder: Path = PRETRAINED, seed: int = 0) -> dict:
    """Train, measure and write everything that ships.

    Parameters
    ----------
    data : str or Path
        A folder with one sub-folder per genre, or "mini" or "gtzan".
    folder : Path
        Where the files go; each is written whole or not at all.
    seed : int
        Of the shipped model and its training windows (figures come from `experiments.SEEDS`).

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
    training = training_windows(songs.songs, seed=seed)
    tests = [experiments.test_windows(songs.songs, number) for number in SEEDS]
    clean = tests[0]["clean"]
    results, scores = experiments.compare(songs.songs, training, tests)
    unsure = unsure_figures(scores["tflm"], clean)
    network, mean, std, _ = train_on(training["raw"], training["genre"], seed)
    models = write_models(folder, network, mean, std, training, unsure["threshold"])
    int8 = models["model_int8.tflite"]
    metrics = {"architecture": SHIPPED.architecture, "parameters": network.count_params(), "seed": seed,
               "training_windows": N_WINDOWS, "other_windows": N_OTHER,
               "steps": SHIPPED.epochs * EPOCH_STEPS,
               "ops": int8.description["ops"],
               "bytes": {name: len(model.content) for name, model in models.items()},
               "data": about_data(songs, clean), "results": results, "unsure": unsure,
               "other_sounds": evaluate.of_other_sounds(int8)}
    files.write_text(folder / "training.json", json.dumps(curves_of(training, clean, seed), indent=1) + "\n")
    files.write_text(folder / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    files.write_text(folder / "MODEL_CARD.md", model_card(metrics))
    return metrics


def write_models(folder: Path, network, mean: np.ndarray, std: np.ndarray, training: dict,
                 unsure_below: int = 1) -> dict[str, Model]:
    """Write model.keras, calibration.npz, model_int8.tflite and model_float.tflite, as notebooks 05 and 06 do."""
    raw, genre, labels = training["raw"], training["genre"], training["labels"].tolist()
    front_end = front_end_dict(mean, std, labels)
    calibration = mfcc_q15.normalise(raw[calibration_choice(genre)], mean, std)
    models = {"model_int8.tflite": quantize.convert(network, calibration, front_end),
              "model_float.tflite": quantize.convert(network, None, front_end)}
    models = {name: model.with_threshold(unsure_below) for name, model in models.items()}
    save(folder, network, mean, std, raw, genre, labels)
    for name, model in models.items():
        files.write_whole(Path(folder) / name, lambda file, model=model: file.write(model.content))
    return models


def write_checked_headers(folder: Path) -> None:
    """Write the sketch's headers. RuntimeError if their C and TFLM differ in a score of the calibration windows."""
    model = load_model(folder / "model_int8.tflite")
    with np.load(folder / "calibration.npz") as file:
        raw = file["raw"]
    if not np.array_equal(engine_scores("c", model, raw), engine_scores("tflm", model, raw)):
        raise RuntimeError("the firmware's C gives other scores than TFLM: no headers were written")
    headers.write_headers(model)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m tools.pretrained``."""
    parser.add_argument("--data", type=as_path, required=True,
                        help="folder with one sub-folder per genre, or mini, or gtzan")
    parser.add_argument("--output", type=as_path, default=PRETRAINED, help="folder to write (default: data/pretrained)")
    add_number(parser, "--seed", 0, 999_999, "of weights and draws (default 0)", default=0)


def run(args: argparse.Namespace) -> int:
    """Build the pretrained model. If it goes to data/pretrained/, also write the sketch's headers."""
    runtimes.check_tflm()  # before hours of training
    metrics = build(args.data, args.output, args.seed)
    if args.output.resolve() == PRETRAINED:
        write_checked_headers(PRETRAINED)
        headers.write_recorder_constants()
    print(model_card(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main("Train on a data set and rebuild data/pretrained/ and the sketch's headers.", add_arguments, run))
