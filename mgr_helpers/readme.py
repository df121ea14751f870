"""Measured results in the README: written from files by ``python -m mgr_helpers readme``, never by hand.

Accuracies come from ``data/pretrained/metrics.json`` (`make pretrained`), bytes and cycles from
``data/pretrained/firmware.json``, which this command measures on the emulated Pico.
"""

from __future__ import annotations

import json

from . import files, mfcc_q15, mini_set, pico, wiring
from .config import DATA, FIRMWARE, PRETRAINED, ROOT

BEGIN, END = "<!-- results: python -m mgr_helpers readme -->", "<!-- end of results -->"
STAGES = {"1": "features_cycles", "2": "lstm_cycles", "3": "scores_cycles"}
MEASURED_SECONDS = 10


def measure_firmware() -> dict:
    """Bytes, cycles and share of time awake of the shipped sketch on the emulated Pico.

    Returns
    -------
    dict
        compiler, flash_bytes, ram_static, stack_bytes, awake_share (over ten seconds of a mini-set song), and mean cycles
        of features_cycles and lstm_cycles (each frame), scores_cycles (each window).
    """
    image = pico.build_image("genre_recognizer")
    heard = pico.listen(mini_set.song("jazz", 0), seconds=MEASURED_SECONDS, image=image)
    windows = mfcc_q15.stream_windows(mini_set.song("metal", 0))[:2]
    exactness = pico.build_image(FIRMWARE / "emulator" / "exactness.c")
    stages = pico.emulate(exactness, data=windows.astype("<i2").tobytes())["stages"]
    cycles = {name: round(stages[mark]["cycles"] / stages[mark]["count"]) for mark, name in STAGES.items()}
    return {"compiler": image["compiler"], "flash_bytes": image["flash_bytes"], "ram_static": image["ram_static"],
            "stack_bytes": heard["stack_bytes"], "awake_share": round(heard["awake_share"], 4), **cycles}


def _percent(figures: dict) -> str:
    low, high = figures["interval"]
    return f"{figures['accuracy']:.0%} ({low:.0%} to {high:.0%})"


def accuracy_table(metrics: dict) -> list[str]:
    """Markdown table of the shipped architecture (int8 by TFLM) in every condition, baselines beside it."""
    lines = ["| model | heard | windows | songs |", "|---|---|---|---|"]
    for architecture, engines in metrics["results"].items():
        shipped = architecture == metrics["architecture"]
        name = f"**`{architecture}`, shipped**" if shipped else f"`{architecture}`"
        engine = "tflm" if "tflm" in engines else "float"
        for condition, figures in engines[engine].items():
            cells = [_percent(figures[part]) for part in ("windows", "songs")]
            lines.append(f"| {name} ({'int8' if engine == 'tflm' else engine}) | {condition} | {' | '.join(cells)} |")
    return lines


def firmware_table(firmware: dict) -> list[str]:
    """Markdown table of bytes and cycles."""
    rows = [("flash", f"{firmware['flash_bytes']:,} bytes, self-test included"),
            ("RAM, static and stack", f"{firmware['ram_static']:,} + {firmware['stack_bytes']:,} bytes"),
            ("features of a frame", f"{firmware['features_cycles']:,} cycles"),
            ("LSTM step of a frame", f"{firmware['lstm_cycles']:,} cycles"),
            ("left to do when a window has ended", f"{firmware['scores_cycles']:,} cycles"),
            ("awake at 125 MHz", f"{firmware['awake_share']:.0%} of the time")]
    return ["| on the emulated Pico | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def results(metrics: dict, firmware: dict) -> str:
    """The README's block between its two marks."""
    data = metrics["data"]
    songs = ", ".join(f"{n} {genre}" for genre, n in data["songs"].items())
    artists = ", ".join(f"{n} {genre}" for genre, n in data["artists"].items())
    lines = [BEGIN, "",
             f"Data set `{data['name']}` ({data['minutes']} minutes; songs: {songs}; artists: {artists}). "
             f"{metrics['protocol']}", "", *accuracy_table(metrics), "",
             f"Built by {firmware['compiler']}; cycles are the emulator's, a lower bound (no waits for flash).", "",
             *firmware_table(firmware), "", END]
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
    """Arguments of ``python -m mgr_helpers readme``."""
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
