"""Do Python and the firmware's C have the same bits? On any audio: ``python -m tests.exactness --audio FOLDER``.

Python (cmsisdsp, TensorFlow Lite Micro) is compared with the firmware's C on this machine, over every window, and with
the same C on the emulated Cortex-M0+, over some windows of each genre, by every compiler that is there.
"""

from __future__ import annotations

from mgr_helpers.host import ctrl_c  # noqa: F401 - first: Ctrl-C then ends in one line while the rest is loaded

import argparse
import json
import shutil
import sys
from pathlib import Path

import joblib
import numpy as np
from tqdm.auto import tqdm

from mgr_helpers.audio import dataset
from mgr_helpers.config import FIRMWARE, Config
from mgr_helpers.features import mfcc_q15
from mgr_helpers.features.windows import stream_windows
from mgr_helpers.host import host_c
from mgr_helpers.host.command_line import add_number, as_path, main
from mgr_helpers.host.processes import in_parallel
from mgr_helpers.model import runtimes
from mgr_helpers.model.tflite import SHIPPED, load_model
from mgr_helpers.pico import emulator, headers
from mgr_helpers.pico.image import build_image

PART = 100  # windows of one job


def windows_of_songs(songs: list[dataset.Song], config: Config) -> tuple[np.ndarray, np.ndarray]:
    """All windows of all songs as the Pico hears them, int16 (n, window_length), and the genre or kind of each."""
    parts = [stream_windows(song.samples, config) for song in songs]
    genre = [song.genre for song in songs]
    return np.concatenate(parts), np.repeat(genre, [len(part) for part in parts])


def cmsisdsp_features(heard: np.ndarray, config: Config) -> np.ndarray:
    """`mfcc_q15.mfcc_windows` on all cores: the oracle, in which nothing of the firmware's C takes part."""
    starts = range(0, len(heard), PART)
    parts = in_parallel(
        joblib.delayed(mfcc_q15.mfcc_windows)(heard[start : start + PART], config) for start in starts)
    return np.concatenate(list(tqdm(parts, total=len(starts), desc="features by cmsisdsp", unit="part")))


def some_of_each(genre: np.ndarray, n: int) -> np.ndarray:
    """Indices of at least `n` windows, as many of each genre, spread evenly over its songs."""
    chosen = []
    for index in np.unique(genre):
        own = np.flatnonzero(genre == index)
        chosen.append(own[np.linspace(0, len(own) - 1, min(len(own), -(-n // len(np.unique(genre))))).astype(int)])
    return np.concatenate(chosen)


def mismatches(found: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> dict[str, int]:
    """How many windows were compared, and in how many values features and scores differ."""
    return {"windows": len(expected[0]), "features": int(np.count_nonzero(found[0] != expected[0])),
            "scores": int(np.count_nonzero(found[1] != expected[1]))}


def compare(audio: str | Path, n_emulated: int = 210, path: Path = SHIPPED, other: list | None = None) -> dict:
    """Compare Python with the C on this machine and on the emulated Pico.

    Parameters
    ----------
    audio : str or Path
        "mini", "gtzan" or a folder with one sub-folder per genre.
    n_emulated : int
        Windows for the emulated Pico; this machine gets all.
    path : Path
        The int8 .tflite file that ships, or another whose headers are in the sketch.
    other : list of Path, optional
        Folders of other music, see `dataset.load_songs`. The mini set has some.

    Returns
    -------
    dict
        By engine ("this machine", "emulated Pico, gcc", ...): windows, features and scores that differ.

    Raises
    ------
    FileNotFoundError, ValueError
        When the audio or the model cannot be used.
    """
    model = load_model(path)
    front_end = model.front_end
    found = dataset.load_songs(audio, front_end.config, other=other)
    heard, genre = windows_of_songs([*found.songs, *found.others], front_end.config)
    features = mfcc_q15.quantize_features(cmsisdsp_features(heard, front_end.config), front_end)
    expected = features, headers.run_reference(model, features)
    host = host_c.host_library()
    by_c = host.features(heard)
    results = {"this machine": mismatches((by_c, host.scores(by_c)), expected)}
    chosen = some_of_each(genre, n_emulated)
    for compiler in ["gcc"] * bool(shutil.which("arm-none-eabi-gcc")) + ["zig"]:
        image = build_image(FIRMWARE / "emulator" / "pico_batch.c", compiler)
        results[f"emulated Pico, {compiler}"] = mismatches(
            emulator.features_and_scores(heard[chosen], image), (expected[0][chosen], expected[1][chosen]))
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m tests.exactness``."""
    parser.add_argument("--audio", type=as_path, default="mini",
                        help="mini (default), gtzan, or a folder with one sub-folder per genre")
    parser.add_argument("--other", type=as_path, nargs="+", metavar="DIR", help="folders of other music and sounds")
    add_number(parser, "--windows", 1, 100_000, "windows for the emulated Pico (default 210)", default=210)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the comparison; 1 when anything differs."""
    if runtimes.NO_TFLM:
        print(f"{runtimes.NO_TFLM}: scores are compared with those of the C on this machine", file=sys.stderr)
    results = compare(args.audio, args.windows, other=args.other)
    if args.json:
        print(json.dumps(results))
    else:
        print(f"{'against Python':24s} {'windows':>8s} {'features that differ':>22s} {'scores that differ':>20s}")
        for engine, row in results.items():
            print(f"{engine:24s} {row['windows']:8d} {row['features']:22d} {row['scores']:20d}")
    return int(any(row["features"] or row["scores"] for row in results.values()))


if __name__ == "__main__":
    sys.exit(main("Compare Python with the C here and on the emulated Pico, bit by bit.", add_arguments, run))
