"""Run the campaigns (`python -m tests.stress`), and write build/stress.json and docs/reliability.md.

The exit status is 1 when something broke.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from pathlib import Path

from tqdm.auto import tqdm

from mgr_helpers.config import ROOT, build_dir
from mgr_helpers.host.command_line import add_number, at_once, new_parser, run_command
from mgr_helpers.host.files import write_whole
from mgr_helpers.model import runtimes

from . import relative, report

MODULES = ("audio_files", "downloads", "numbers", "models", "pico", "notebooks", "supply_chain")


def run_campaign(name: str, campaign) -> dict:
    """The result of a campaign with its seconds. If the campaign itself crashes, that counts as broken."""
    start = time.monotonic()
    try:
        found = campaign()
    except Exception as error:  # noqa: BLE001 - it goes into the report, and the exit status is 1
        traceback.print_exc()
        found = {"tried": name, "times": 1, "held": 0, "figures": {},
                 "broke": [relative(f"the campaign itself stopped: {type(error).__name__}: {error}")]}
    return {**found, "seconds": round(time.monotonic() - start, 1)}


def run_module(module: str) -> dict[str, dict]:
    """Results of all campaigns of a module, by name. What broke is printed at once."""
    results = {}
    campaigns = importlib.import_module(f"{__package__}.{module}").campaigns()
    for name, campaign in tqdm(campaigns, desc=module, unit="campaign"):
        results[name] = run_campaign(name, campaign)
        for line in results[name]["broke"]:
            tqdm.write(f"BROKE  {module}: {name}: {line}")
    return results


def read_results(path: Path) -> dict:
    """The results of earlier runs, from build/stress.json."""
    return json.loads(path.read_text()) if path.is_file() else {}


def main(words: list[str] | None = None) -> int:
    """Parse the arguments, and run the parts that were asked for."""
    parser = new_parser(__doc__, "python -m tests.stress")
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES, metavar="PART",
                        help=f"of {', '.join(MODULES)} (default: all); the others keep the results of their last run")
    add_number(parser, "--scale", 0.001, 100.0, "fraction of the tries (default 1); below 1 the report is printed, and "
               "no file is written", default=1.0)
    return run_command(run, parser.parse_args(words))


def run(arguments: argparse.Namespace) -> int:
    """Run campaigns, and write the report; 1 when something broke."""
    runtimes.check_tflm()
    os.environ["MGR_STRESS_SCALE"] = str(arguments.scale)
    path = build_dir() / "stress.json"
    results = read_results(path)
    for module in arguments.only:
        run = {"date": time.strftime("%Y-%m-%d"), "machine": f"Python {platform.python_version()}, {platform.system()} "
               f"{platform.machine()}, {os.cpu_count()} cores", "campaigns": run_module(module)}
        results[module] = run
        if arguments.scale >= 1:
            write_whole(path, lambda file: file.write(json.dumps(results, indent=1).encode()))
    text = report.render({module: results[module] for module in MODULES if module in results})
    if arguments.scale >= 1:
        write_whole(ROOT / "docs" / "reliability.md", lambda file: file.write(text.encode()))
    else:
        print(text)
    return int(any(c["broke"] for module in arguments.only for c in results[module]["campaigns"].values()))


if __name__ == "__main__":
    sys.exit(at_once(main()))
