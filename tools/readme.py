"""Write the measured results into the README: ``python -m tools.readme``. Nobody edits them by hand.

Accuracies come from ``data/pretrained/metrics.json``, which `make pretrained` writes. Bytes and cycles come from
``data/pretrained/firmware.json``, which this command writes after measuring on the emulated Pico; bytes for each board
from ``data/pretrained/boards.json`` (``python -m tools.boards``).
"""

from __future__ import annotations

import json
import sys

import numpy as np

from mgr_helpers.audio import dataset
from mgr_helpers.config import DATA, PRETRAINED, ROOT
from mgr_helpers.host import files
from mgr_helpers.host.command_line import main
from mgr_helpers.model.training import SPEECH
from mgr_helpers.pico import costs
from mgr_helpers.record import wiring
from tools import bench, boards, pretrained
from tools.experiments import COVERAGE

BEGIN, END = "<!-- results: python -m tools.readme -->", "<!-- end of results -->"


ROWS = {"lstm_mean": "**ours, int8**", "lstm_mean, published split": "ours, int8, by GTZAN's fault-filtered split",
        "first round": "a first recipe: no other music, no mean taken off, 15 epochs; float",
        "pooling": "no recurrence: mean and maximum over time, float",
        "book": "the book's recipe, by artist, float",
        "book, leaking": "the book's recipe, windows dealt at random, float",
        "majority": "always the most frequent genre"}


def _percent(figures: dict) -> str:
    spread = f" ± {100 * figures['spread']:.1f}" if "spread" in figures else ""
    return f"{100 * figures['accuracy']:.1f}{spread}"


def accuracy_table(metrics: dict, part: str) -> list[str]:
    """Markdown table of accuracies in percent: a row for each model, a column for each condition.

    `part` is "windows" or "songs".
    """
    ours = metrics["results"][metrics["architecture"]]["tflm"]
    lines = [f"| {part} | {' | '.join(ours)} |", f"|---|{'---|' * len(ours)}"]
    for name, engines in metrics["results"].items():
        found = engines.get("tflm", engines["float"])
        cells = [_percent(found.get(condition, found.get("any", {})).get(part) or {"accuracy": np.nan}) for condition
                 in ours]
        lines.append(f"| {ROWS[name]} | {' | '.join(cells)} |".replace("nan", "-"))
    return lines


def unsure_lines(metrics: dict) -> list[str]:
    """How often music and other sounds get a genre rather than *unsure*."""
    lines = [f"What a listener meets: every decision from a song's first window on, with a threshold set on other folds so "
             f"that {COVERAGE:.0%} of the music through the microphone gets a genre. *Right*: the vote's genre, whatever its "
             "confidence. *Named*: decisions that say a genre, not *unsure*. *AUROC*: how well the confidence tells music "
             "of the genres from other music (50: not at all, 100: perfectly). In percent:", "",
             "| model | heard | right | named | right when named | other music named | speech named | AUROC |",
             "|---|---|---|---|---|---|---|---|"]
    for row, conditions in metrics["listener"].items():
        for condition, found in conditions.items():
            cells = [pretrained.spread(found[key]) if key in found else "-" for key in
                     ("accuracy", "coverage", "right", "named", SPEECH, "auroc")]
            lines.append(f"| {ROWS[row]} | {' | '.join([condition, *cells])} |")
    other = ", ".join(f"{name} {part['genre']:.0%}" for name, part in metrics["other_sounds"].items())
    parts = metrics["data"]["other"]
    lines += ["", f"Other music: {metrics['data']['other_minutes']} minutes ({', '.join(f'{n} {k}' for k, n in parts.items())}). "
              f"Share of decisions in which synthetic sounds get a genre: {other}.", "", *time_lines(metrics)]
    ten = metrics["ten_genres"]
    if ten:
        clean, loud = (part["windows"]["accuracy"] for part in ten["results"].values())
        lines += ["", f"The same recipe for GTZAN's ten genres ({ten['parameters']:,} parameters): {clean:.1%} of windows, "
                  f"{loud:.1%} through the microphone at -12 dB."]
    return lines


def time_lines(metrics: dict) -> list[str]:
    """How long a song plays until the Pico first says its genre, at -12 dB."""
    def within(found: dict) -> str:
        return "-" if found["median"] is None else f"{found['median']:.1f} s"

    found = metrics["time_to_decide"]["microphone -12 dB"]
    silence, song = found["after_silence"], found["after_song"]
    if not silence["n"]:
        return []
    return [f"Half of the songs get their genre within {within(silence)} after silence and within {within(song)} after a song "
            f"of another genre (at -12 dB; {silence['never']:.0%} and {song['never']:.0%} of the songs never get it)."]


def cycles_table(ours: dict, portable: dict, book: dict) -> list[str]:
    """Markdown table of cycles per frame, a row for each stage."""
    lines = ["| cycles per frame | here | by portable C | the book's way |", "|---|---|---|---|"]
    names = [name for name in {**ours, **portable, **book} if name not in costs.SUMS]
    for name in [*names, "features"]:
        cells = [f"{part[name]:,}" if name in part else "" for part in (ours, portable, book)]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return lines


def memory_table(ours: dict, book: dict) -> list[str]:
    """Markdown table of bytes, latency and time awake of both builds."""
    flash = ours["hot_in_flash"]
    rows = {"flash, self-test included": lambda part: f"{part['flash']:,} bytes",
            "RAM, stack included": lambda part: f"{part['ram_static'] + part['stack']:,} bytes",
            "from a window's last sample to its decision": lambda part: f"{part['latency_ms_125mhz']:.1f} ms",
            "the same with modelled misses of the flash cache":
                lambda part: f"{part['with_misses']['latency_ms_125mhz']:.1f} ms",
            "awake at 125 MHz": lambda part: f"{part['awake_share']:.0%}"}
    lines = ["| | hot constants in RAM (default) | in flash |", "|---|---|---|"]
    return lines + [f"| {name} | {cell(ours)} | {cell(flash)} |" for name, cell in rows.items()] + [
        "", f"The book's way needs {book['tables']:,} bytes of tables (here {ours['tables']:,}) and {book['ram']:,} "
        "bytes of RAM without its stack. It computes after the clip has ended, and meanwhile nothing is recorded."]


def results(metrics: dict, firmware: dict, built: dict) -> str:
    """The block of the README from `BEGIN` to `END`."""
    data = metrics["data"]
    songs = ", ".join(f"{n} {genre}" for genre, n in data["songs"].items())
    artists = ", ".join(f"{n} {genre}" for genre, n in data["artists"].items())
    lines = [BEGIN, "",
             f"Data set `{data['name']}` ({data['minutes']} minutes; songs: {songs}; artists: {artists}). "
             f"{pretrained.PROTOCOL} All rows but the book's share one recipe, which was chosen for ours. "
             "*Clean* is the file itself. In the other columns it passes through the simulated microphone; at 0 dB the "
             "file's full scale is the converter's. Right, in percent:",
             "", *accuracy_table(metrics, "windows"), "", *accuracy_table(metrics, "songs"), "",
             *unsure_lines(metrics), "",
             f"Built by {firmware['compiler']}; cycles are the emulator's, a lower bound (no waits for flash).", "",
             *cycles_table(*(firmware[way]["frame"] for way in ("ours", "portable", "book"))), "",
             *bench.fft_table(firmware), "",
             *memory_table(firmware["ours"], firmware["book"]), "", *boards.table(built), "", END]
    return "\n".join(lines)


def filled(text: str, block: str) -> str:
    """The text of the README with the block from `BEGIN` to `END` replaced.

    Raises
    ------
    ValueError
        When `BEGIN` or `END` is missing or occurs twice, or when they are in the wrong order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"README.md needs the lines {BEGIN!r} and {END!r}, once each and in this order")
    return text[: text.index(BEGIN)] + block + text[text.index(END) + len(END) :]


def _load(name: str) -> dict:
    return json.loads((PRETRAINED / name).read_text())


def add_arguments(parser) -> None:
    """Arguments of ``python -m tools.readme``."""
    parser.add_argument("--measure", action="store_true", help="first measure the firmware again (takes a minute)")


def run(args) -> int:
    """Write the results into the README, and draw the wiring."""
    if args.measure or not (PRETRAINED / "firmware.json").exists():
        measured = bench.measure_pico(dataset.load_songs("mini").songs)  # cycles hardly depend on the music
        text = json.dumps(measured, indent=1) + "\n"
        files.write_text(PRETRAINED / "firmware.json", text)
    readme = ROOT / "README.md"
    text = filled(readme.read_text(), results(*map(_load, ("metrics.json", "firmware.json", "boards.json"))))
    files.write_text(readme, text)
    wiring.draw_wiring().save(str(DATA / "wiring.svg"))
    print("README.md and data/wiring.svg are written")
    return 0


if __name__ == "__main__":
    sys.exit(main("Write the measured results into README.md.", add_arguments, run))
