"""Long runs and unusual sounds on the emulated Pico: nothing may be lost, and every decision must be right.

Every decision is compared with Python's decision on the same ADC counts. Music comes from the folder in the environment
variable MGR_DATA (one sub-folder per genre), or else from the synthetic mini set.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm.auto import tqdm

from mgr_helpers.audio import dataset, microphone, other_sounds
from mgr_helpers.audio.adc import ideal_counts
from mgr_helpers.config import CONFIG
from mgr_helpers.model import recognizer
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import clips, headers, listen
from mgr_helpers.pico.image import build_image

from . import result, times

MINUTES, SOUND_SECONDS, STALLED_SECONDS, LEVEL_DB = 10.0, 10.0, 30.0, -12.0
STACK_BYTES = 8192
NO_GENRE = ("unplugged, at ground", "unplugged, at the supply", "silence")  # these never get a genre
# these get a genre in at most half of the decisions; "unplugged, floating" differs from the "open pin" of the training
HARDLY = ("unplugged, floating", "open pin", "white noise", "pink noise", "coloured noise", "hum", "speech")


def music(seconds: float, seed: int = 0) -> np.ndarray:
    """Songs in random order, cut or repeated to a length: int16."""
    songs = dataset.load_songs(os.environ.get("MGR_DATA", "mini")).songs
    order = np.random.default_rng(seed).permutation(len(songs))
    parts, n = [], 0
    for index in order:
        parts.append(songs[index].samples)
        n += len(parts[-1])
        if n > seconds * CONFIG.sample_rate:
            break
    return np.resize(np.concatenate(parts), int(seconds * CONFIG.sample_rate))


def hear_all(streams: list[np.ndarray], what: str) -> list[dict]:
    """`clips.hear_clip` of each stream of ADC counts, on all cores."""
    image, model = build_image("genre_recognizer"), load_model()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        heard = pool.map(lambda adc: clips.hear_clip(adc, model, image), streams)
        return list(tqdm(heard, total=len(streams), desc=what, unit="stream", leave=False))


def faults(heard: dict, name: str) -> list[str]:
    """What is wrong with a run: a list of one line, or of none."""
    n = len(heard["decisions"])
    said = ([f"{heard['missed']} decisions missing"] if heard["missed"] else [])
    said += [f"{n - heard['equal']} of {n} decisions are not Python's"] if heard["equal"] != n else []
    said += [f"{heard['overruns']} overruns"] if heard["overruns"] else []
    said += [] if heard["self_test"] else ["self-test failed"]
    said += [f"stack of {heard['stack_bytes']} bytes"] if heard["stack_bytes"] >= STACK_BYTES else []
    return [f"{name}: {', '.join(said)}"] if said else []


# --- campaigns ------------------------------------------------------------------------------------------------------

def ten_minutes() -> dict:
    """Ten minutes of music without a break."""
    seconds = 60 * MINUTES * times(100) / 100
    adc = ideal_counts(music(seconds))
    heard = clips.hear_clip(adc, load_model(), build_image("genre_recognizer"), bar=True)
    processed = CONFIG.window_length + (len(heard["decisions"]) - 1) * CONFIG.window_step
    return result(f"{seconds / 60:.1f} minutes of music on the emulated Pico without a break: no sample is lost, no "
                  "decision is missing, and each decision equals Python's", 1, faults(heard, "music"),
                  decisions=len(heard["decisions"]), samples=processed, overruns=heard["overruns"],
                  stack_high_water_bytes=heard["stack_bytes"], stack_bytes=STACK_BYTES,
                  awake=f"{heard['awake_share']:.1%}")


def sound(name: str, rng: np.random.Generator) -> np.ndarray:
    """ADC counts (uint16) of a sound that is not music of the genres, or of a missing microphone."""
    n, most = int(SOUND_SECONDS * CONFIG.sample_rate), 2**CONFIG.adc_bits - 1
    if name.startswith("unplugged"):
        t = np.arange(n) / CONFIG.sample_rate
        hum = 2 ** rng.uniform(3, 10) * np.sin(2 * np.pi * rng.choice([50, 60]) * t)
        level = {"unplugged, at ground": 0.0, "unplugged, at the supply": most}.get(
            name, rng.uniform(1000, 3000) + np.cumsum(rng.standard_normal(n)) * 0.5 + hum)
        return np.clip(np.round(level + rng.normal(0, 1.5, n)), 0, most).astype(np.uint16)
    if name == "clipping":
        return ideal_counts(music(SOUND_SECONDS, int(rng.integers(1000))), gain_db=30)
    return microphone.other_counts(name, SOUND_SECONDS, rng, LEVEL_DB, False, other_sounds.TESTING_SOUNDS,
                                   microphone.TESTING)


def quoted(names: tuple[str, ...]) -> str:
    """Names in quotation marks, with commas between them."""
    return ", ".join(f'"{name}"' for name in names)


def no_music(n: int = 3) -> dict:
    """A missing microphone, silence, noise, speech and clipped music: how often they get a genre.

    A short run makes all `n` runs of each sound, too: the share of a single run says little.
    """
    names = ("unplugged, at ground", "unplugged, at the supply", "unplugged, floating", "clipping", *other_sounds.KINDS)
    broke, shares = [], {}
    streams = [sound(name, np.random.default_rng([2, code, i])) for code, name in enumerate(names) for i in range(n)]
    heard = hear_all(streams, "no music")
    for code, name in enumerate(names):
        runs = heard[code * n : (code + 1) * n]
        said = recognizer.said([row for run in runs for row in run["decisions"]])
        most = 0.0 if name in NO_GENRE else 0.5 if name in HARDLY else 1.0
        lines = [line for run in runs for line in faults(run, name)]
        broke += lines + ([f"{name}: {said['genre']:.0%} of the decisions said a genre, at most {most:.0%} may"]
                          if said["genre"] > most else [])
        shares[name] = f"{said['genre']:.0%} a genre, {said['unsure']:.0%} unsure, {said['silence']:.0%} silence"
    return result(f"{SOUND_SECONDS:.0f} s each of sounds that are not music of the genres, {LEVEL_DB:.0f} dB at the "
                  f"microphone: {quoted(NO_GENRE)} never get a genre; {quoted(HARDLY)} get one in at most half of the "
                  "decisions", max(len(streams), len(broke)), broke, **shares)


def stalls(rng: np.random.Generator, seconds: float) -> list[list[float]]:
    """Random pauses in which the host reads nothing: [from, to] in seconds, each 10 ms to 15 s long."""
    at, found = 0.7, []
    while at < seconds - 3:
        until = min(at + float(np.exp(rng.uniform(np.log(0.01), np.log(15)))), seconds - 2)
        found.append([at, until])
        at = until + float(rng.uniform(0.1, 3))
    return found


def host_stops_reading(n: int = 4) -> dict:
    """The host stops reading the serial line again and again; the Pico must go on listening."""
    n, image, model, broke, missing = times(n), build_image("genre_recognizer"), load_model(), [], 0

    def hear(i: int) -> tuple[list, list, int]:
        rng = np.random.default_rng([3, i])
        adc = ideal_counts(music(STALLED_SECONDS, i))
        run = listen.listen_to_counts(adc, image, stalls=stalls(rng, STALLED_SECONDS), bar=False)
        lines = run["uart"].decode(errors="replace").splitlines()
        due = (len(adc) - CONFIG.window_length) // CONFIG.window_step + 1
        return lines, recognizer.decisions(run["adc"], model, headers.run_reference), due

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = list(tqdm(pool.map(hear, range(n)), total=n, desc="host stops reading", unit="run", leave=False))
    for i, (lines, expected, due) in enumerate(runs):
        rows = listen.parse_decisions("\n".join(lines))
        whole = all(map(re.compile("READY |TEST PASSED$|DECISION ").match, lines)) and lines[1] == "TEST PASSED"
        whole = whole and len(rows) == sum(line.startswith("DECISION") for line in lines)
        said = [] if whole else ["an OVERRUN, or half a line"]
        said += [] if rows and rows[-1]["window"] >= due - 1 else ["the last decision is missing"]
        said += ["other decisions than Python's"] if any(
            row[key] != expected[row["window"]][key] for row in rows for key in ("vote", "confidence", "says", "scores")
        ) else []
        missing += due - len([row for row in rows if row["window"] < due])
        broke += [f"run {i}: {', '.join(said)}"] if said else []
    return result(f"{STALLED_SECONDS:.0f} s of music while the host reads nothing for 10 ms to 15 s at a time: no "
                  "sample is lost, only whole lines are sent, and each of them equals Python's decision", n, broke,
                  lines_left_out=missing, decisions=sum(due for *_, due in runs))


def bias_drift(n: int = 6) -> dict:
    """Quiet music on a bias that is anywhere in the range of the ADC, and moves."""
    seconds, n = 12.0, times(n)
    samples, most = music(seconds), 2**CONFIG.adc_bits - 1
    usual = ideal_counts(samples, -24)
    levels = np.linspace(200, most - 200, n)
    centred = usual.astype(float) - 1.23 / 3.3 * (most + 1)
    sweep = np.linspace(200, most - 200, len(usual))
    steps = np.repeat(levels, -(-len(usual) // n))[: len(usual)]
    streams = [usual] + [np.clip(np.round(level + centred), 0, most).astype(np.uint16)
                         for level in (*levels, sweep, sweep[::-1], steps)]
    heard = hear_all(streams, "bias")
    names = ["usual", *(f"at {level:.0f}" for level in levels), "rising", "falling", "in steps"]
    broke = [line for run, name in zip(heard, names) for line in faults(run, name)]
    labels = [np.array([row["label"] for row in run["decisions"]]) for run in heard]
    same = {name: np.mean(found == labels[0]) for name, found in zip(names, labels)}
    said = {name: recognizer.said(run["decisions"])["genre"] for name, run in zip(names, heard)}
    still = np.mean([same[name] for name in names[1 : n + 1]])
    moving = {f"while_{name}": f"{same[name]:.0%}, a genre said {said[name]:.0%}" for name in names[n + 1 :]}
    return result("quiet music on a bias over the ADC's whole range: constant, drifting from end to end in "
                  f"{seconds:.0f} s, and in steps; nothing is lost, and decisions equal Python's", len(streams), broke,
                  labels_as_at_the_usual_level=f"{still:.0%}", **moving)


def campaigns() -> list:
    """See tests/stress/__init__.py."""
    return [("ten minutes of music", ten_minutes), ("no music", no_music), ("host stops reading", host_stops_reading),
            ("bias over the ADC's range", bias_drift)]
