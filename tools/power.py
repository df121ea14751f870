"""How long the Pico is awake at each clock, and what that says about a battery: ``python -m tools.power``.

Writes docs/power.md. Times are measured on the emulated Pico, currents are other people's, with their source.
"""

import json
import sys
from pathlib import Path

from mgr_helpers.audio import dataset
from mgr_helpers.config import ROOT, build_dir
from mgr_helpers.host.command_line import add_number, as_path, main
from mgr_helpers.host.files import write_text
from tools import bench

FILE = ROOT / "docs" / "power.md"
CLOCKS = {12: ("LOW_POWER=12",), 48: ("LOW_POWER=48",), 125: ()}  # MHz: defines of the sketch
ONLY_COMPUTED = 200  # MHz, the default of arduino-pico's menu: the same cycles as at 125
BATTERY_MAH = 2000
BOARD_MA = 5.5  # a whole Pico board from 5 V, awake all the time at about 15 MHz [1]
MICROPHONE_MA = 3.1  # MAX9814, typical [2]
TEXT = """# Power

Written by `python -m tools.power`: do not edit it. The emulated Pico hears {minutes:g} minutes of music at 12 MHz, one
at the other clocks ({source}; {compiler}, -O2). Times and cycles are the emulator's, a lower bound: it does not wait
for flash.

| clock | awake | cycles per second | from the last sample to the decision | samples lost | decisions equal to Python's |
|---|---|---|---|---|---|
{rows}

At 12 MHz (`LOW_POWER 12` in the sketch's config.h) all clocks come from the crystal. Both PLLs and USB are off, and so
are the clocks of SPI, I2C, PIO, PWM, RTC, JTAG and UART 1. Decisions come by UART 0 and the LED. At 48 MHz USB stays.

## What a battery gives

This is an estimate, and not measured on our sketch. Published measurements of a Pico at these clocks are rare.

- A whole Pico board, awake all the time at about 15 MHz, drew {board} mA from 5 V, and 4.5 mA where the diode of the
  board was passed by [1]. Our sketch is awake {awake:.0%} of the time, and its clock is lower, so this is an upper bound
  for the board.
- A MAX9814 typically draws {microphone} mA [2], and it is always on.

Together at most {total:.1f} mA: a battery of {battery:,} mAh then lasts at least {days:.0f} days ({hours:,.0f} hours),
if it can be emptied fully. How much sleep saves, and what 48, 125 and 200 MHz draw, stays open: measure your board. The
core's voltage is left at 1.1 V: the RP2040's data sheet gives no lower one for a given clock.

[1] nhasbun, *pico_power_saving*, README (measured with an underclocked Pico; seen on 2026-11-26).
[2] Maxim, MAX9814 data sheet, electrical characteristics.
"""


def measure(songs: list, minutes: float, compiler: str | None) -> dict:
    """`bench.soak` at each clock; at 12 MHz for `minutes`, else for one."""
    return {clock: bench.soak(songs, minutes if clock == 12 else min(minutes, 1.0), compiler, defines=defines)
            for clock, defines in CLOCKS.items()}


def row(clock: float, found: dict, computed: bool = False) -> str:
    """A line of the table."""
    scale = found["clock_mhz"] / clock
    cells = [f"{clock:g} MHz{' (computed)' if computed else ''}", f"{scale * found['awake_share']:.1%}",
             f"{1e6 * found['clock_mhz'] * found['awake_share']:,.0f}", f"{scale * found['latency_ms']:.1f} ms"]
    lost = found["samples_delivered"] - found["samples_processed"]
    cells += ["", ""] if computed else [f"{lost:,} of {found['samples_delivered']:,}",
                                        f"{found['decisions']:,} of {found['expected']:,}" if found["equal"] else "no"]
    return f"| {' | '.join(cells)} |"


def page(found: dict, source: str, compiler: str) -> str:
    """Text of docs/power.md."""
    rows = [*(row(clock, part) for clock, part in found.items()), row(ONLY_COMPUTED, found[125], True)]
    total = BOARD_MA + MICROPHONE_MA
    return TEXT.format(minutes=found[12]["minutes"], source=source, compiler=compiler, rows="\n".join(rows),
                       board=BOARD_MA, microphone=MICROPHONE_MA, total=total, battery=BATTERY_MAH,
                       hours=BATTERY_MAH / total, days=BATTERY_MAH / total / 24, awake=found[12]["awake_share"])


def add_arguments(parser) -> None:
    """Arguments of ``python -m tools.power``."""
    parser.add_argument("--audio", type=as_path, default=Path("mini"), help="data set to hear (default: mini)")
    parser.add_argument("--compiler", choices=("gcc", "zig"), help="default: gcc if present, else zig")
    add_number(parser, "--minutes", 0.1, 1000.0, "emulated minutes at 12 MHz (default 10)", default=10.0)


def run(arguments) -> int:
    """Measure, write build/power.json and docs/power.md; 1 when a sample was lost or a decision differs."""
    songs = dataset.load_songs(arguments.audio)
    found = measure(songs.songs, arguments.minutes, arguments.compiler)
    write_text(build_dir() / "power.json", json.dumps(found, indent=1) + "\n")
    compiler = bench.build_image("genre_recognizer", arguments.compiler)["compiler"]
    write_text(FILE, page(found, songs.source, compiler))
    print(page(found, songs.source, compiler).split("## What")[0])
    return int(not all(part["equal"] and not part["overruns"] for part in found.values()))


if __name__ == "__main__":
    sys.exit(main("Measure the time awake at each clock, and write docs/power.md.", add_arguments, run))
