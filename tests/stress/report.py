"""Make docs/reliability.md from the results of a run, and from history.csv (what broke earlier and was mended)."""

from __future__ import annotations

import csv
from pathlib import Path

HISTORY = Path(__file__).with_name("history.csv")
TITLES = {"audio_files": "Audio files", "downloads": "Archives and downloads", "numbers": "Numbers", "models": "Models",
          "pico": "The Pico", "notebooks": "Notebooks", "supply_chain": "Supply chain and secrets"}
INTRODUCTION = """# Reliability

`make stress` writes this page: do not edit it. A try *holds* when the project does what it should, or refuses with a
message that says what to do. It *breaks* when the project crashes, hangs, gives a wrong result, or loses something
without saying so.
"""


def read_history() -> list[dict]:
    """Rows of history.csv: part, broke, mended, commit. Without a commit it is still open."""
    with open(HISTORY, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cell(text: object) -> str:
    """A text made fit for a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ").strip()


def table(columns: list[str], rows: list[list]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell(value) for value in line) + " |" for line in lines) + "\n"


def figure(name: str, value: object) -> str:
    """A figure with its name, and commas between thousands."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:,d}"
    elif isinstance(value, float):
        value = f"{value:.4g}"
    return f"{name.replace('_', ' ')}: {value}"


def part(module: str, run: dict) -> str:
    """The section of a module: its table, and what broke in this run."""
    rows = [[name, found["tried"], f"{found['times']:,d}", f"{found['held']:,d}", len(found["broke"]),
             "; ".join(figure(*item) for item in found["figures"].items())] for name, found in run["campaigns"].items()]
    seconds = sum(found.get("seconds", 0) for found in run["campaigns"].values())
    text = (f"\n## {TITLES[module]}\n\n{run['date']}, {run['machine']}, {seconds / 60:.1f} minutes.\n\n"
            + table(["campaign", "what was tried", "times", "held", "broke", "figures"], rows))
    broke = [f"- **{name}**: {cell(line)}" for name, found in run["campaigns"].items() for line in found["broke"][:10]]
    return text + ("\nBroke in this run:\n\n" + "\n".join(broke) + "\n" if broke else "")


def render(results: dict[str, dict]) -> str:
    """The whole page.

    Parameters
    ----------
    results : dict
        By module: date, machine, and campaigns (by name, each a `tests.stress.result` with its seconds).
    """
    found = [campaign for run in results.values() for campaign in run["campaigns"].values()]
    total, held = sum(c["times"] for c in found), sum(c["held"] for c in found)
    summary = f"\n**{total:,d} tries in {len(found)} campaigns: {held:,d} held, {total - held:,d} broke.**\n"
    missing = [title for module, title in TITLES.items() if module not in results]
    if missing:
        summary += f"\nNot in this run: {', '.join(missing)}.\n"
    history = read_history()
    mended = [[TITLES[row["part"]], row["broke"], row["mended"], f"`{row['commit']}`"]
              for row in history if row["commit"]]
    still = [f"- {TITLES[row['part']]}: {row['broke']}. {row['mended']}" for row in history if not row["commit"]]
    return (INTRODUCTION + summary + "".join(part(module, run) for module, run in results.items())
            + "\n## What broke and was mended\n\n"
            + table(["part", "what broke", "how it was mended", "commit"], mended)
            + "\n## Still open\n\n" + ("\n".join(still) if still else "Nothing that is known.") + "\n")
