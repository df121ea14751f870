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
from mgr_helpers.model.training import (
    CLEAN,
    N_WINDOWS,
    ROOM,
    SHIPPED,
    SPEECH,
    STRETCH,
    class_shares,
    train_on,
    training_windows,
)
from mgr_helpers.pico import headers
from mgr_helpers.pico.engines import engine_scores
from tools import experiments
from tools.experiments import COVERAGE, SEEDS, TEN

TEN_CONDITIONS = ("clean", "microphone -12 dB")


def curves_of(training: dict, clean: dict, seed: int) -> dict:
    """Training curves with other artists for validation: training.json."""
    music = clean["genre"] >= 0
    clean = {name: values[music] for name, values in clean.items()}
    part = splits.split_by_group(clean, seed)
    held_out = np.unique(clean["group"][part == "validation"])
    kept, valid = ~np.isin(training["group"], held_out), part == "validation"
    return train_on(training["raw"][kept], training["genre"][kept], seed,
                    validation=(clean["raw"][valid], clean["genre"][valid]))[3]


def unsure_figures(scores: dict[str, np.ndarray], test: dict) -> dict:
    """For metrics.json: the threshold for all folds together, and the curve that it was read from."""
    music = test["genre"] >= 0
    runs = [(f"{name} {seed} ", run[music]) for name, part in scores.items() if name != "clean"
            for seed, run in enumerate(part)]
    curve = evaluate.coverage_curve(
        np.concatenate([run for _, run in runs]), np.tile(test["genre"][music], len(runs)),
        np.concatenate([np.char.add(label, test["song"][music]) for label, _ in runs]))
    rounded = {name: [None if np.isnan(value) else round(float(value), 4) for value in values]
               for name, values in curve.items()}
    return {"threshold": evaluate.threshold_for(curve, COVERAGE), "curve": rounded}


def ten_genres(training: dict, tests: list[dict], folder: Path, seed: int) -> dict | None:
    """Train, measure and write a model of GTZAN's ten genres; None where a genre is missing.

    It learns from the same windows, in which the seven genres beside ours are rarer. It is measured with one seed.

    Returns
    -------
    dict
        labels, parameters, bytes; results and listener by condition, see `experiments.compare`; compared, differ :
        windows and scores in which the firmware's C and TFLM were compared, and how many scores differ.
    """
    if not set(TEN.genres) <= set(training["labels"]):
        return None
    named = {name: tests[0][name] for name in TEN_CONDITIONS}
    own, (test,) = experiments.as_ten(training, [named])
    scores = experiments.measure(own, [test], int8=True, config=TEN)["tflm"]
    network, mean, std, _ = train_on(own["raw"], own["genre"], seed, config=TEN)
    chosen = own["raw"][calibration_choice(own["genre"])]
    threshold = experiments.threshold_of(
        experiments.confidences(scores, test["clean"], TEN)[..., test["clean"]["genre"] >= 0])
    model = quantize.convert(network, mfcc_q15.normalise(chosen, mean, std),
                             front_end_dict(mean, std, own["labels"], TEN)).with_threshold(threshold)
    files.write_whole(folder / "ten_genres.tflite", lambda file: file.write(model.content))
    by_c, by_tflm = (engine_scores(engine, model, chosen) for engine in ("c", "tflm"))
    return {"labels": model.labels, "parameters": network.count_params(), "bytes": len(model.content),
            "threshold": threshold, "results": experiments.figures_of({"tflm": scores}, test["clean"], TEN)["tflm"],
            "listener": experiments.listened(scores, test["clean"], TEN),
            "compared": len(chosen), "differ": int(np.count_nonzero(by_c != by_tflm))}


def about_data(songs: dataset.SongSet, clean: dict) -> dict:
    """What the model learnt from, in numbers."""
    of_genre = {genre: [song for song in songs.songs if song.genre == genre] for genre in CONFIG.genres}
    return {"name": songs.source, "songs": {genre: len(some) for genre, some in of_genre.items()},
            "artists": {genre: len({song.group for song in some}) for genre, some in of_genre.items()},
            "minutes": round(sum(len(s.samples) for s in songs.songs) / CONFIG.sample_rate / 60, 1),
            "other": {kind: sum(song.genre == kind for song in songs.others) for kind in songs.kinds},
            "other_minutes": round(sum(len(s.samples) for s in songs.others) / CONFIG.sample_rate / 60, 1),
            "windows": int(np.sum(clean["genre"] >= 0)), "other_windows": int(np.sum(clean["genre"] < 0)),
            "skipped": songs.skipped}


CARD = """# Model card

Written by `python -m tools.pretrained`; every number comes from metrics.json.

## What it is

Hears one second of sound and says which of {genres} it is, or which of these that are none of them: {others}.
The Pico tells its listener only the former. Architecture `{architecture}`: {parameters:,} parameters,
{int8_bytes:,} bytes as int8 ({ops}). Input: {n_frames} frames of {n_mfcc} MFCCs, by the integer front end.

## What it learnt from

`{data[name]}`: {data[minutes]} minutes; songs {data[songs]}, artists {data[artists]}. What is none of the genres:
{data[other_minutes]} minutes; pieces {data[other]}; and synthetic noise, hum, speech, piano and pads, and an ADC pin
without a microphone. {training_windows:,} windows cut at random ({shares}), played up to {stretch:.0%} faster or
slower, {heard:.0%} of them through a simulated loudspeaker, microphone and 12-bit ADC, {room:.0%} of those in a
simulated room. Adam, {steps} steps of 64 windows, seed {seed}.

## How it was measured

{protocol}

Other music and speech are dealt into the folds by blocks of five neighbouring numbers of their files.
In brackets: 95 % intervals by resampling songs. The row *first round* learnt no other music, no mean is taken off,
and it was trained for 15 epochs. The row *book, leaking* deals windows at random, \
as the book does, so that
parts of one song are in training and test: it is there to show what that does. \
All rows but the book's share one recipe,
which was chosen for ours.

## Figures

| model | engine | condition | windows | songs (vote) | votes of ten windows |
|---|---|---|---|---|---|
{rows}

Recall of windows, clean: {recall}.

## What a listener meets

Every decision counts, from a song's first window on. Below {unsure[threshold]} % confidence of the vote the Pico says
*unsure*. Here the threshold of a fold comes from the other folds, so that a genre is said to {coverage:.0%} of music
through the microphone; clips of less than five seconds are repeated. *False genres*: how often the Pico begins to say a
genre, or changes it, while other music and speech play without a pause. *Right*: the vote's genre, whatever its confidence; *named*: decisions that say a genre. AUROC:
how well the confidence tells music of the genres from other music.

| model | condition | right | named | right when named | other music named | speech named | AUROC | false genres an hour |
|---|---|---|---|---|---|---|---|---|
{listener_rows}

Other music that is called a genre, by kind (ours): {kinds}.

How long a song plays until the Pico first says its genre (ours, all seeds; songs of at least {vote_windows} windows):

| condition | before it | half of the songs | nine of ten | never |
|---|---|---|---|---|
{time_rows}

Synthetic sounds that are none of the genres (through the simulated microphone, drawn from wider ranges than in
training; silence was not in training; *open pin* is an ADC to which no microphone is connected):

| sound | decisions | genre | unsure | silence |
|---|---|---|---|---|
{other_rows}

## Ten genres

{ten}
## Limits

- Three genres only: other music and other sounds are *unsure* at best, see above. Other music was measured on kinds
  that were in training, on other songs of them.
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


def spread(part: dict, scale: float = 100.0, digits: int = 1) -> str:
    """Mean and spread as text."""
    return f"{scale * part['mean']:.{digits}f} ± {scale * part['spread']:.{digits}f}"


def listener_row(row: str, condition: str, found: dict) -> str:
    """One line of the card's table of what a listener meets."""
    cells = [spread(found[key]) if key in found else "-" for key in
             ("accuracy", "coverage", "right", "named", SPEECH, "auroc")]
    cells.append(spread(found["false_genres_per_hour"], 1.0, 0) if "false_genres_per_hour" in found else "-")
    return f"| {' | '.join([row, condition, *cells])} |"


def time_row(condition: str, before: str, found: dict) -> str:
    """One line of the card's table of times."""
    cells = ["-" if found[key] is None else f"{found[key]:.1f} s" for key in ("median", "ninth_decile")]
    never = "-" if found["never"] is None else f"{found['never']:.0%}"
    return f"| {' | '.join([condition, before.replace('after_', ''), *cells, never])} |"


def kinds_named(conditions: dict[str, dict], labels: list[str]) -> str:
    """Share of other music that is called a genre, by kind: the mean over the conditions."""
    shares = {label: [part[label]["mean"] for part in conditions.values() if label in part] for label in labels}
    return ", ".join(f"{label} {np.mean(some):.0%}" for label, some in shares.items() if some) or "none was there"


def ten_text(ten: dict | None) -> str:
    """What the card says of ten genres."""
    if ten is None:
        return "Not measured: the data set lacks some of GTZAN's genres.\n"
    rows = [f"| {name} | {percent(part['windows'])} | {percent(part['votes'])} |" for name, part in ten["results"].items()]
    return (f"The same recipe, trained on the same windows for all of GTZAN's genres: `ten_genres.tflite`, "
            f"{ten['parameters']:,} parameters, {ten['bytes']:,} bytes, labels {', '.join(ten['labels'])}. Five folds, one "
            f"seed. The firmware's C and TFLM differ in {ten['differ']} scores of {ten['compared']} windows.\n\n"
            "| condition | windows | votes of ten windows |\n|---|---|---|\n" + "\n".join(rows) + "\n")


def model_card(metrics: dict) -> str:
    """MODEL_CARD.md from metrics.json."""
    results, labels = metrics["results"], metrics["labels"]
    rows = [card_row(row, engine, name, figures) for row, engines in results.items()
            for engine, conditions in engines.items() for name, figures in conditions.items()]
    recall = results[metrics["architecture"]]["tflm"]["clean"]["recall"]
    listener_rows = [listener_row(row, name, found) for row, conditions in metrics["listener"].items()
                     for name, found in conditions.items()]
    time_rows = [time_row(name, before, found) for name, parts in metrics["time_to_decide"].items()
                 for before, found in parts.items()]
    other_rows = [f"| {name} | {part['windows']} | " + " | ".join(f"{part[word]:.0%}" for word in
                  ("genre", "unsure", "silence")) + " |" for name, part in metrics["other_sounds"].items()]
    shares = ", ".join(f"{label} {share:.1%}" for label, share in zip(labels, class_shares(labels)))
    return CARD.format(**{**metrics, "protocol": PROTOCOL, "ops": ", ".join(metrics["ops"])}, rows="\n".join(rows),
                       genres=", ".join(CONFIG.genres), others=", ".join(labels[len(CONFIG.genres) :]), shares=shares,
                       n_frames=CONFIG.n_frames, n_mfcc=CONFIG.n_mfcc, vote_windows=CONFIG.vote_windows,
                       int8_bytes=metrics["bytes"]["model_int8.tflite"], stretch=STRETCH,
                       heard=1 - CLEAN, room=ROOM, coverage=COVERAGE, listener_rows="\n".join(listener_rows),
                       kinds=kinds_named(metrics["listener"][metrics["architecture"]], labels),
                       time_rows="\n".join(time_rows), other_rows="\n".join(other_rows),
                       ten=ten_text(metrics["ten_genres"]),
                       recall=", ".join(f"{genre} {value:.0%}" for genre, value in recall.items()))


def build(data: str | Path, folder: Path = PRETRAINED, seed: int = 0, other: list | None = None) -> dict:
    """Train, measure and write everything that ships.

    Parameters
    ----------
    data : str or Path
        A folder with one sub-folder per genre, or "mini" or "gtzan".
    folder : Path
        Where the files go; each is written whole or not at all.
    seed : int
        Of the shipped model and its training windows (figures come from `experiments.SEEDS`).
    other : list of Path, optional
        Folders of other music and sounds, see `dataset.load_songs`.

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
    songs = dataset.load_songs(data, other=other)
    training = training_windows(songs.songs, songs.others, seed=seed)
    tests = [experiments.test_windows([*songs.songs, *songs.others], number) for number in SEEDS]
    clean = tests[0]["clean"]
    results, listener, scores = experiments.compare(songs.songs, training, tests)
    unsure = unsure_figures(scores["tflm"], clean)
    network, mean, std, _ = train_on(training["raw"], training["genre"], seed)
    models = write_models(folder, network, mean, std, training, unsure["threshold"])
    int8 = models["model_int8.tflite"]
    metrics = {"architecture": SHIPPED.architecture, "parameters": network.count_params(), "seed": seed,
               "labels": int8.labels, "training_windows": N_WINDOWS, "steps": SHIPPED.epochs * EPOCH_STEPS,
               "ops": int8.description["ops"],
               "bytes": {name: len(model.content) for name, model in models.items()},
               "data": about_data(songs, clean), "results": results, "listener": listener, "unsure": unsure,
               "time_to_decide": experiments.times(scores["tflm"], clean, unsure["threshold"]),
               "other_sounds": evaluate.of_other_sounds(int8),
               "ten_genres": ten_genres(training, tests, folder, seed)}
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
    parser.add_argument("--other", type=as_path, nargs="+", metavar="DIR",
                        help="folders of music and sounds of no genre, in sub-folders by kind or flat")
    parser.add_argument("--output", type=as_path, default=PRETRAINED, help="folder to write (default: data/pretrained)")
    add_number(parser, "--seed", 0, 999_999, "of weights and draws (default 0)", default=0)


def run(args: argparse.Namespace) -> int:
    """Build the pretrained model. If it goes to data/pretrained/, also write the sketch's headers."""
    runtimes.check_tflm()  # before hours of training
    metrics = build(args.data, args.output, args.seed, args.other)
    if args.output.resolve() == PRETRAINED:
        write_checked_headers(PRETRAINED)
        headers.write_recorder_constants()
    print(model_card(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main("Train on a data set and rebuild data/pretrained/ and the sketch's headers.", add_arguments, run))
