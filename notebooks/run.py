"""Run the notebook series from the command line, clean its outputs, and print the summary of `make`.

``python -m notebooks.run --data mini --output build/notebooks`` runs the notebooks in order and writes them to another
folder. Without ``--output`` they are run in place, so that their outputs are kept.
"""

from __future__ import annotations

from mgr_helpers.host import ctrl_c  # noqa: F401 - first: Ctrl-C then ends in one line while the rest is loaded

import argparse
import contextlib
import json
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mgr_helpers.config import ROOT, artifact, build_dir, work_dir
from mgr_helpers.host import files
from mgr_helpers.host.command_line import advised, as_path, as_text, main, refuse_unused

NOTEBOOKS = ROOT / "notebooks"
AUDIO_NOTE = "(audio player: run the notebook to listen)"
WIDGET_NOTE = "(interactive: run the notebook to use it)"
CELL_SECONDS = 1800
PLOTTING = re.compile(r"\b(?:plt|ax|axes|fig|figure)\.\w+\(")


def find_notebooks(only: list[str] | None = None) -> list[Path]:
    """The notebooks in order, or those whose number is in `only` (for example "03"; "solutions" is one of these, too).

    Raises
    ------
    FileNotFoundError
        When no notebook has one of these numbers.
    """
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    paths += [NOTEBOOKS / "solutions.ipynb"] if "solutions" in (only or []) else []
    for prefix in only or []:
        if not any(path.name.startswith(prefix) for path in paths):
            raise FileNotFoundError(f"no notebook starts with {prefix!r}; there are {[path.stem for path in paths]}")
    return [path for path in paths if not only or path.name.startswith(tuple(only))]


# --- how long the cells are -----------------------------------------------------------------------------------------

def count_lines(path: Path) -> dict[str, int]:
    """Count the cells of a notebook and the lines of its code cells.

    Returns
    -------
    dict
        cells; code: number of code cells; median, longest: lines of code cells; longest_plot: lines of the longest
        code cell that calls matplotlib (``plt.…(`` or ``ax.…(``).
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    lines = sorted(len(source.splitlines()) for source in sources)
    plots = [len(source.splitlines()) for source in sources if PLOTTING.search(source)]
    return {"cells": len(cells), "code": len(sources), "median": lines[len(lines) // 2], "longest": lines[-1],
            "longest_plot": max(plots, default=0)}


def line_table(paths: list[Path]) -> str:
    """A table of `count_lines` as text, with one line for each notebook."""
    counted = {path.stem: count_lines(path) for path in paths}
    head = " ".join(f"{name:>12}" for name in next(iter(counted.values())))
    rows = [f"{stem:30}" + " ".join(f"{value:12}" for value in values.values()) for stem, values in counted.items()]
    return "\n".join([" " * 30 + head, *rows])


# --- cleaning -------------------------------------------------------------------------------------------------------

def _note(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text + "\n"}


def clean_output(output: dict) -> dict | None:
    """An output as it may be committed, or None.

    Audio players (they contain audio), whole pages, widgets and stderr are removed.
    """
    if output.get("name") == "stderr":
        return None
    data = output.get("data", {})
    if "<audio" in "".join(data.get("text/html", "")) or any(kind.startswith("audio/") for kind in data):
        return _note(AUDIO_NOTE)
    if any(tag in "".join(data.get("text/html", "")) for tag in ("<iframe", "<script")):  # a whole page
        return _note(WIDGET_NOTE)
    if "application/vnd.jupyter.widget-view+json" in data:
        interactive = "".join(data.get("text/plain", "")).startswith("interactive(")  # other widgets are progress bars
        return _note(WIDGET_NOTE) if interactive else None
    return output


def clean(notebook: dict) -> dict:
    """Remove audio players, widgets, their state, and stderr from a notebook, in place; returns the notebook.

    Raises
    ------
    ValueError
        When an output names a folder of this computer.
    """
    notebook["metadata"] = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                            "language_info": {"name": "python"}}
    for cell in notebook["cells"]:
        cell["metadata"].pop("execution", None)  # when it ran
        if cell["cell_type"] == "code":
            still = [output for output in cell["outputs"] if "positions" in output.get("metadata", {})]
            cell["outputs"] = still or cell["outputs"]  # of `plots.explore`: instead of the slider and its first picture
            cell["outputs"] = [kept for kept in map(clean_output, cell["outputs"]) if kept is not None]
    check_no_paths(notebook)
    return notebook


def check_no_paths(notebook: dict) -> None:
    """Raise ValueError when an output names the project's folder or the home folder of this computer."""
    text = json.dumps([cell.get("outputs") for cell in notebook["cells"]])
    for folder in {str(ROOT), str(ROOT.parent), str(Path.home())} - {"/"}:
        found = re.search(rf"(?:(?<![\w.])|(?<=\\n)){re.escape(folder)}/.{{0,60}}", text)  # a \n of JSON ends in a letter
        if found:
            raise ValueError(f"an output holds a path of this machine: {found[0]!r}: print it relative to the project")


# --- running --------------------------------------------------------------------------------------------------------

def run_notebook(path: Path, output: Path, keep_players: bool) -> float:
    """Execute a notebook and write it to `output`.

    Parameters
    ----------
    keep_players : bool
        Keep audio players and widgets; else the notebook is cleaned (`clean`).

    Returns
    -------
    float
        Seconds it took.

    Raises
    ------
    RuntimeError
        When a cell fails. The outputs until then are written to `build/failed/`, and nothing to `output`.
    KeyboardInterrupt
        After Ctrl-C.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, kernel_name="python3", timeout=CELL_SECONDS, store_widget_state=keep_players,
                            extra_arguments=["--log-level=ERROR"], resources={"metadata": {"path": str(NOTEBOOKS)}})
    # nbclient's own Output widget sends on a socket that it also polls. Sometimes it then waits until the timeout.
    # Without that widget, the first picture of an interactive cell becomes an ordinary output.
    client.widget_registry = {}
    start = time.monotonic()
    try:
        _execute(client)
    except CellExecutionError as error:
        failed = build_dir() / "failed" / path.name
        files.write_text(failed, nbformat.writes(notebook))
        raise RuntimeError(f"{path.name} stopped: {error.ename}: {advised(error.evalue)}\n"
                           f"see its outputs in {files.shown(failed)}") from error
    if not keep_players:
        notebook = nbformat.from_dict(clean(notebook))
    files.write_text(output, nbformat.writes(notebook))
    return time.monotonic() - start


def _execute(client) -> None:
    """`client.execute()` in a thread: in the main thread nbclient handles Ctrl-C, and ends in tracebacks."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(client.execute)
        try:
            done.result()
        except KeyboardInterrupt:
            while not done.done():  # the kernel may just be starting
                with contextlib.suppress(AttributeError, TypeError, ProcessLookupError):
                    os.kill(client.km.provisioner.pid, signal.SIGKILL)
                time.sleep(0.1)
            raise


def run_series(data: str, output: Path | None, only: list[str] | None = None,
               other: list[Path] | None = None) -> dict[str, float]:
    """Run the notebooks in order on a data set; arguments as on the command line.

    Parameters
    ----------
    data : str
        "mini", "gtzan" or a folder.
    output : Path or None
        Folder for the executed notebooks; None runs them in place, cleaned so that they can be committed.
    only : list of str, optional
        Numbers of the notebooks to run.
    other : list of Path, optional
        Folders of other music and sounds, for notebook 02.

    Returns
    -------
    dict
        Seconds by notebook.
    """
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # other backends leave no pictures
    os.environ["MGR_DATASET"] = data if data in ("mini", "gtzan") else str(Path(data).resolve())
    if other:
        os.environ["MGR_OTHER"] = os.pathsep.join(str(folder.resolve()) for folder in other)
    seconds = {}
    for path in find_notebooks(only):
        print(f"{path.stem} …", end=" ", flush=True)
        seconds[path.stem] = run_notebook(path, (output or NOTEBOOKS) / path.name, keep_players=output is not None)
        print(f"{seconds[path.stem]:.0f} s", flush=True)
    return seconds


# --- the summary of `make` ------------------------------------------------------------------------------------------

def summary_lines(evaluation: dict, pico: dict) -> list[str]:
    """The lines of a short table: accuracies, bytes, and what the emulated Pico said."""
    lines = ["", "engine        windows  songs"]
    for engine, figures in evaluation["engines"].items():
        lines.append(f"{engine:12s} {figures['windows']['accuracy']:8.1%} {figures['songs']['accuracy']:6.1%}")
    firmware = pico["firmware"]
    lines += [f"data set: {evaluation['source']}" + (" (synthetic: says nothing about real music)"
                                                     if evaluation["source"] == "mini" else ""), "",
              f"model    {evaluation['model_bytes']:8,d} bytes of .tflite",
              f"firmware {firmware['flash_bytes']:8,d} bytes of flash, {firmware['ram_static']:,d} of static RAM, "
              f"{firmware['stack']:,d} of stack", "", "the emulated Pico heard and said"]
    lines += [f"{clip['song']:16s} {clip['genre']:6s} {clip['said']}" for clip in pico["clips"]]
    return lines


def print_summary() -> None:
    """Print the summary of what notebooks 07 and 08 wrote to the work folder."""
    evaluation, pico = (json.loads(artifact(name).read_text()) for name in ("evaluation.json", "pico.json"))
    print("\n".join(summary_lines(evaluation, pico)))


# --- command line ---------------------------------------------------------------------------------------------------

def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m notebooks.run``."""
    parser.add_argument("--data", type=as_path,
                        help="mini (default), gtzan, or a folder with one sub-folder per genre")
    parser.add_argument("--other", type=as_path, nargs="+", metavar="DIR",
                        help="folders of music and sounds of no genre, in sub-folders by kind or flat")
    parser.add_argument("--output", type=as_path, help="folder for the executed notebooks (default: in place)")
    parser.add_argument("--only", type=as_text, nargs="+", metavar="NN", help="run only these, for example 03 04 (default: all)")
    parser.add_argument("--table", action="store_true", help="print the number of cells and lines; run nothing")
    parser.add_argument("--summary", action="store_true", help="end with the table of accuracies and decisions")


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """The table runs nothing."""
    if args.table:
        refuse_unused(parser, args, "notebooks.run with --table", "data", "other", "output", "summary")
    if args.only and not any("02_prepare_dataset.ipynb".startswith(number) for number in args.only):
        refuse_unused(parser, args, "notebooks.run without notebook 02", "data", "other")
    for folder in [*filter(None, [args.data]), *(args.other or [])]:
        if str(folder) not in ("mini", "gtzan") and not folder.is_dir():
            parser.error(f"there is no folder {folder}")
    args.data = str(args.data or "mini")
    try:
        (args.output or NOTEBOOKS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{args.output} can't be a folder ({error.strerror}): name another one by --output")


def run(args: argparse.Namespace) -> int:
    """Run the series, or print its table of lines; returns 1 when a notebook stopped."""
    if args.table:
        print(line_table(find_notebooks(args.only)))
        return 0
    try:
        seconds = run_series(args.data, args.output, args.only, args.other)
    except (RuntimeError, FileNotFoundError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    files.write_text(work_dir() / "series.json", json.dumps(seconds, indent=1))
    if args.summary:
        print_summary()
    return 0


if __name__ == "__main__":
    sys.exit(main("Run the notebook series on a data set.", add_arguments, run, check))
