"""Measured results in the README: written from files by ``python -m tools.readme``, never by hand.

Accuracies come from ``data/pretrained/metrics.json`` (`make pretrained`), bytes and cycles from
``data/pretrained/firmware.json``, which this command measures on the emulated Pico.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from mgr_helpers.audio import dataset
from mgr_helpers.config import DATA, PRETRAINED, ROOT
from mgr_helpers.host.command_line import main
from mgr_helpers.host import files
from mgr_helpers.pico import costs
from mgr_helpers.record import wiring
from tools import bench, pretrained

BEGIN, END = "<!-- results: python -m tools.readme -->", "<!-- end of results -->"


def measure_firmware() -> dict:
    """Bytes, cycles and latency of the shipped sketch on the emulated Pico, the book's way beside it.

    Returns
    -------
    dict
        As `bench.measure_pico` gives it, over songs of the mini set: cycles hardly depend on the music.
    """
    return bench.measure_pico(dataset.load_songs("mini").songs)


ROWS = {"lstm_mean": "**ours, int8**", "lstm_mean, published split": "ours, int8, by GTZAN's fault-filtered split",
        "log-Mel": "log Mel bands instead of MFCCs, float", "pooling": "no recurrence: mean and maximum over time, float",
        "book": "the book's recipe, by artist, float", "book, leaking": "the book's recipe, windows dealt at random, float",
        "majority": "always the most frequent genre"}


def _percent(figures: dict) -> str:
    spread = f" ± {100 * figures['spread']:.1f}" if "spread" in figures else ""
    return f"{100 * figures['accuracy']:.1f}{spread}"


def accuracy_table(metrics: dict, part: str) -> list[str]:
    """Markdown table of windows or songs in percent: a row for each model, a column for each way of hearing."""
    ours = metrics["results"][metrics["architecture"]]["tflm"]
    lines = [f"| {part} | {' | '.join(ours)} |", f"|---|{'---|' * len(ours)}"]
    for name, engines in metrics["results"].items():
        found = engines.get("tflm", engines["float"])
        cells = [_percent(found.get(condition, found.get("any", {})).get(part) or {"accuracy": np.nan}) for condition
                 in ours]
        lines.append(f"| {ROWS[name]} | {' | '.join(cells)} |".replace("nan", "-"))
    return lines


def unsure_lines(metrics: dict) -> list[str]:
    """What *unsure* does to music and to other sounds."""
    heard = metrics["unsure"]["held_out"]["microphone -12 dB"]
    other = ", ".join(f"{name} {part['genre']:.0%}" for name, part in metrics["other_sounds"].items())
    return [f"With a threshold set on other folds, the running vote names a genre {heard['coverage']:.0%} of the time at "
            f"-12 dB, and then {heard['accuracy']:.1%} of the names are right. Share of decisions in which other sounds "
            f"(synthetic) get a genre: {other}."]


def cycles_table(ours: dict, book: dict) -> list[str]:
    """Markdown table of cycles per frame, stage by stage."""
    lines = ["| cycles per frame | here | the book's way |", "|---|---|---|"]
    names = [name for name in {**ours, **book} if name not in costs.SUMS]
    for name in [*names, "features"]:
        cells = [f"{part[name]:,}" if name in part else "" for part in (ours, book)]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return lines


def memory_table(ours: dict, book: dict) -> list[str]:
    """Markdown table of bytes, latency and time awake, in both builds."""
    flash = ours["hot_in_flash"]
    rows = [("flash, self-test included", *(f"{part['flash']:,} bytes" for part in (ours, flash))),
            ("RAM, stack included", *(f"{part['ram_static'] + part['stack']:,} bytes" for part in (ours, flash))),
            ("from a window's last sample to its decision", *(f"{part['latency_ms_125mhz']:.1f} ms" for part in (ours, flash))),
            ("the same with modelled misses of the flash cache",
             *(f"{part['with_misses']['latency_ms_125mhz']:.1f} ms" for part in (ours, flash))),
            ("awake at 125 MHz", *(f"{part['awake_share']:.0%}" for part in (ours, flash)))]
    lines = ["| | hot constants in RAM (default) | in flash |", "|---|---|---|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows] + [
        "", f"The book's way needs {book['tables']:,} bytes of tables (here {ours['tables']:,}) and {book['ram']:,} bytes "
        "of RAM without its stack, and computes when the clip has ended, while nothing is recorded."]


def results(metrics: dict, firmware: dict) -> str:
    """The README's block between its two marks."""
    data = metrics["data"]
    songs = ", ".join(f"{n} {genre}" for genre, n in data["songs"].items())
    artists = ", ".join(f"{n} {genre}" for genre, n in data["artists"].items())
    lines = [BEGIN, "",
             f"Data set `{data['name']}` ({data['minutes']} minutes; songs: {songs}; artists: {artists}). "
             f"{pretrained.PROTOCOL} All rows but the book's share one recipe, which was chosen for ours. Right, in percent:",
             "", *accuracy_table(metrics, "windows"), "", *accuracy_table(metrics, "songs"), "",
             *unsure_lines(metrics), "",
             f"Built by {firmware['compiler']}; cycles are the emulator's, a lower bound (no waits for flash).", "",
             *cycles_table(firmware["ours"]["frame"], firmware["book"]["frame"]), "",
             *memory_table(firmware["ours"], firmware["book"]), "", END]
    return "\n".join(lines)


def filled(text: str, block: str) -> str:
    """The README's text with the block between its marks replaced.

    Raises
    ------
    ValueError
        When the marks are not there, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"README.md needs the lines {BEGIN!r} and {END!r}, once each and in this order")
    return text[: text.index(BEGIN)] + block + text[text.index(END) + len(END) :]


def _load(name: str) -> dict:
    return json.loads((PRETRAINED / name).read_text())


def add_arguments(parser) -> None:
    """Arguments of ``python -m tools.readme``."""
    parser.add_argument("--measure", action="store_true", help="measure the firmware again first (a minute)")


def run(args) -> int:
    """Fill the README from the files, and draw the wiring."""
    if args.measure or not (PRETRAINED / "firmware.json").exists():
        text = json.dumps(measure_firmware(), indent=1) + "\n"
        files.write_whole(PRETRAINED / "firmware.json", lambda file: file.write(text.encode()))
    readme = ROOT / "README.md"
    text = filled(readme.read_text(), results(_load("metrics.json"), _load("firmware.json")))
    files.write_whole(readme, lambda file: file.write(text.encode()))
    wiring.draw_wiring().save(str(DATA / "wiring.svg"))
    print("README.md and data/wiring.svg are written")
    return 0


if __name__ == "__main__":
    sys.exit(main("Write the measured results into README.md.", add_arguments, run))
