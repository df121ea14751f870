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
from mgr_helpers.host.files import write_whole

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
    """Run the parts that were asked for, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES, metavar="PART",
                        help=f"of {', '.join(MODULES)}; the others keep the results of their last run")
    parser.add_argument("--scale", type=float, default=1.0,
                        help="fraction of the tries; below 1 the report is printed, and no file is written")
    arguments = parser.parse_args(words)
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
    sys.exit(main())
