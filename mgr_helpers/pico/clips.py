"""The `pico` command: recordings on the emulated Pico, and clips of a folder, each decision compared with Python's.

Notebooks: none.
"""

import argparse
import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..audio import dataset, microphone
from ..config import CONFIG, Config
from ..model import recognizer
from ..model.tflite import SHIPPED, Model, load_model
from . import headers, listen
from .image import build_image

SEED = 0  # of the microphone simulation; each clip draws its own parameters
COMPARED = ("window", "vote", "confidence", "says", "scores")  # fields of a decision that must equal Python's


def choose_clips(songs: list, n: int, config: Config = CONFIG) -> list:
    """The middle parts of `n` songs (dataset.Song), as many of each genre. Each part is at most one vote long.

    Kinds of other music count as genres here. The songs are spread evenly over the data set. A genre has fewer if too
    few of its songs are as long as a window.
    """
    length, chosen = config.window_length + (config.vote_windows - 1) * config.window_step, []
    kinds = list(dict.fromkeys([*config.genres, *(song.genre for song in songs)]))
    for code, genre in enumerate(kinds):
        own = [song for song in songs if song.genre == genre and len(song.samples) >= config.window_length]
        wanted = min(n // len(kinds) + (code < n % len(kinds)), len(own))
        for index in np.linspace(0, len(own) - 1, wanted).round().astype(int):
            start = max(0, len(own[index].samples) - length) // 2
            chosen.append(dataclasses.replace(own[index], samples=own[index].samples[start:][:length]))
    return chosen


def hear_clip(adc: np.ndarray, model: Model, image: dict, bar: bool = False) -> dict:
    """One clip of ADC counts: what the emulated Pico says, and whether Python says the same to the same counts.

    Returns
    -------
    dict
        decisions : the sketch's; equal : how many of them equal `recognizer.decisions` in all fields of `COMPARED`;
        missed : how many were due and never came; overruns (how many), self_test, genre : as from `listen.listen`;
        stack_bytes, awake_share : as from `emulator.emulate`.
    """
    config = model.config
    due = max(0, len(adc) - config.window_length) // config.window_step + 1
    result = listen.listen_to_counts(adc, image, config, bar=bar)
    heard, expected = result["decisions"], recognizer.decisions(result["adc"], model, headers.run_reference)
    equal = sum(all(ours[key] == theirs[key] for key in COMPARED) for ours, theirs in zip(expected, heard))
    return {"decisions": heard, "equal": equal, "missed": due - len(heard), "overruns": len(result["overruns"]),
            **{key: result[key] for key in ("self_test", "stack_bytes", "awake_share")},
            "genre": listen.overall(heard, config)}


def compare_clips(audio: str, n: int, level_db: float, room: bool, path: Path | None, compiler: str | None,
                  other: list | None = None) -> dict:
    """Play clips of a folder (or "mini", "gtzan") through the microphone simulation to the emulated Pico and Python.

    `path` is an int8 .tflite file of ours, None for the one that ships. `other` are folders of other music, of which
    clips are played, too.

    Returns
    -------
    dict
        decisions {"n", "equal", "missed"}, overruns, self_tests (passed); {"n", "accuracy"} of windows (each alone),
        votes (the genre of each whole clip) and decided (decisions that say a genre); said (see `recognizer.said`) of
        these clips of the genres, and other {"n", "named"}: decisions on other music, and how many say a genre;
        clips (a list: song, genre, said, windows, equal); skipped, source, microphone_db, room, seed, image.
    """
    model, image = _model_and_image(path, compiler)
    config = model.config
    found = dataset.load_songs(audio, config, other=other)
    clips = choose_clips([*found.songs, *(found.others if other else ())], n, config)

    def hear_one(index: int) -> dict:
        rng = np.random.default_rng([SEED, index])
        adc = microphone.adc_counts(clips[index].samples, rng, level_db, room, microphone.TESTING, config)
        return hear_clip(adc, model, image)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a thread mostly waits for its emulator
        heard = list(tqdm(pool.map(hear_one, range(len(clips))), total=len(clips), desc="emulated Pico", unit="clip"))
    return {**_clip_figures(clips, heard, config), "skipped": found.skipped, "source": found.source,
            "microphone_db": level_db, "room": room, "seed": SEED, "image": image_size(image)}


def _model_and_image(path: Path | None, compiler: str | None) -> tuple[Model, dict]:
    """A model, None for the one that ships, and the image of the sketch with its headers."""
    model = load_model(path or SHIPPED)
    return model, build_image("genre_recognizer", compiler, generated=headers.headers_of(model) if path else None)


def image_size(image: dict) -> dict:
    """Of an image: compiler, flash_bytes, ram_static."""
    return {key: image[key] for key in ("compiler", "flash_bytes", "ram_static")}


def _clip_figures(clips: list, heard: list[dict], config: Config) -> dict:
    """What `compare_clips` counts."""
    every = [(row, clip.genre) for clip, result in zip(clips, heard) for row in result["decisions"]]
    rows = [(row, genre) for row, genre in every if genre in config.genres]
    other = [row["says"] in config.genres for row, genre in every if genre not in config.genres]
    loud = [row["label"] == genre for row, genre in rows if row["label"] != "silence"]
    decided = [row["says"] == genre for row, genre in rows if row["says"] not in ("unsure", "silence")]
    votes = [result["genre"] == clip.genre for clip, result in zip(clips, heard) if clip.genre in config.genres]
    return {"decisions": {"n": len(every), **{key: sum(r[key] for r in heard) for key in ("equal", "missed")}},
            "overruns": sum(r["overruns"] for r in heard), "self_tests": sum(r["self_test"] for r in heard),
            **{name: {"n": len(right), "accuracy": float(np.mean(right)) if right else None}
               for name, right in (("windows", loud), ("votes", votes), ("decided", decided))},
            "said": recognizer.said([row for row, _ in rows]), "other": {"n": len(other), "named": sum(other)},
            "clips": [{"song": clip.song, "genre": clip.genre, "said": result["genre"],
                       "windows": len(result["decisions"]), "equal": result["equal"]}
                      for clip, result in zip(clips, heard)]}


def run(arguments: argparse.Namespace) -> int:
    """`python -m mgr_helpers pico`: what the emulated Pico says to a recording, or to the clips of a folder."""
    if arguments.clips:
        return _run_clips(arguments)
    model, image = _model_and_image(arguments.model, arguments.compiler)
    options = {"gain_db": arguments.gain, "noise_lsb": arguments.noise, "seconds": arguments.seconds}
    given = {name: value for name, value in options.items() if value is not None}
    result = listen.listen(arguments.audio, image=image, config=model.config, **given)
    if arguments.json:
        left_out = ("uart", "output", "adc", "lines", "pins", "stages", "xip")
        kept = {key: value for key, value in result.items() if key not in left_out}
        print(json.dumps({**kept, "image": image_size(image)}))
        return 0
    wide = 1 + max(map(len, (*model.config.genres, "silence")))
    print(f"{'time':>8}  {'window':{wide}}{'vote':{wide}}{'confidence':>10}   {'says':{wide}}{'scores'}")
    for decision in result["decisions"]:
        print(f"{decision['time_ms'] / 1000:6.2f} s  {decision['label']:{wide}}{decision['vote']:{wide}}"
              f"{decision['confidence']:8d} %   {decision['says']:{wide}}"
              f"{' '.join(f'{score:4d}' for score in decision['scores'])}")
    for line in result["overruns"]:
        print(line)
    print(f"self-test {'passed' if result['self_test'] else 'FAILED'}; "
          f"{100 * result['awake_share']:.1f} % of the time awake; flash {image['flash_bytes']}, "
          f"RAM {image['ram_static']} and stack {result['stack_bytes']} bytes")
    print(result["genre"])
    return 0


def _run_clips(arguments: argparse.Namespace) -> int:
    """Print what `compare_clips` finds. Returns 1 when a decision is missing or differs from Python's."""
    found = compare_clips(arguments.audio, arguments.clips, arguments.mic or 0.0, arguments.room, arguments.model,
                          arguments.compiler, arguments.other)
    decisions = found["decisions"]
    failed = decisions["missed"] or decisions["equal"] != decisions["n"] or found["overruns"] or not decisions["n"]
    if arguments.json:
        print(json.dumps(found, indent=1))
        return int(bool(failed))
    for clip in found["clips"]:
        print(f"{clip['song']:40} {clip['genre']:8} said {clip['said']:8} "
              f"{clip['equal']} of {clip['windows']} decisions equal")
    print(f"{decisions['equal']} of {decisions['n']} decisions equal to Python's, {decisions['missed']} missed, "
          f"{found['overruns']} overruns")
    for name in ("windows", "votes", "decided"):
        share = found[name]["accuracy"]
        print(f"{name:8} {'-' if share is None else f'{share:.1%}'} of {found[name]['n']}")
    print(f"said: genre {found['said']['genre']:.1%}, unsure {found['said']['unsure']:.1%}, "
          f"silence {found['said']['silence']:.1%}")
    if found["other"]["n"]:
        print(f"other music: {found['other']['named']} of {found['other']['n']} decisions say a genre")
    return int(bool(failed))
