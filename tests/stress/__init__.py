"""Long campaigns of faults, bad input and limits: `make stress`. Their results are in docs/reliability.md.

Each module has a function `campaigns()`. It returns a list of (name, callable). A callable runs one campaign and
returns what was tried, how often, how often it held, what broke, and figures (see `result`).
"""

from __future__ import annotations

from mgr_helpers.host import ctrl_c  # noqa: F401 - first: Ctrl-C then ends in one line while the rest is loaded

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from mgr_helpers.config import ROOT


def times(n: int) -> int:
    """How many tries a campaign makes: `n` in a full run, fewer with `--scale`."""
    return max(1, round(n * float(os.environ.get("MGR_STRESS_SCALE", "1"))))


def result(tried: str, times: int, broke: list[str], **figures) -> dict:
    """The result of a campaign.

    Parameters
    ----------
    tried : str
        One line: what was done, and what had to hold.
    times : int
        Number of tries.
    broke : list of str
        One line for each try that did not hold.
    figures : numbers or short strings
        What else the page should say.
    """
    return {"tried": tried, "times": times, "held": times - len(broke), "broke": broke, "figures": figures}


def python(code: str, *arguments: object, seconds: float, obey_permissions: bool = False,
           **environment: object) -> subprocess.CompletedProcess:
    """Run Python code in another process, in the project's folder, with a time limit.

    Parameters
    ----------
    code : str
        What it prints is in the result's `stdout`.
    obey_permissions : bool
        Run without root's right to read and write everything.
    environment
        Environment variables to add.

    Raises
    ------
    subprocess.TimeoutExpired
        When it takes longer than `seconds`.
    """
    command = [*(without_rights() if obey_permissions else []), sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=ROOT, errors="replace",
                          env={**os.environ, **{name: str(value) for name, value in environment.items()}})


def without_rights() -> list[str]:
    """What to write before a command so that file permissions hold for it, too: [] for everyone but root.

    Raises
    ------
    RuntimeError
        For root on a machine without setpriv.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise RuntimeError("root reads everything: run `make stress` as another user, or install setpriv (util-linux)")
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]


def peak_memory() -> int:
    """Largest resident memory of this process until now, in bytes. `getrusage` would count its parent's, too."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def last_line(text: str) -> str:
    """The last line that is not empty, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "nothing was printed")[:300]


def relative(text: str, *folders: Path) -> str:
    """A message without the folders of this computer."""
    for folder in (*folders, ROOT):
        text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    return text.replace(str(Path.home()), "~")
