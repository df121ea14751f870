"""What readers do to notebooks: cells twice or out of order, no network, no permission to write, no work folder.

Everything runs in a copy of the project, in another process. A cell may stop only with a message that says what to do.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Callable

from tqdm.auto import tqdm

from mgr_helpers.audio import mini_set
from mgr_helpers.config import ROOT, build_dir

from . import last_line, python, relative, result, times

SECONDS = 1500  # for one cell; a notebook may take twice as long
ADVICE = re.compile(r"run (it|notebook|the notebook|again)|check the network|make room|MGR_WORK|MGR_BUILD|"
                    r"can't be reached|convert it|[Aa]dd (it|sound|songs)|install|Config\.", re.IGNORECASE)
RUN = """
import json, sys
from pathlib import Path
from tests.stress import notebooks
print("\\n" + json.dumps(notebooks.run_cells(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))))
"""
BLOCK = '''"""No network: only this computer can be reached."""
import socket

connect, look_up = socket.socket.connect, socket.getaddrinfo


def own(host):
    return str(host).startswith("127.") or host in ("localhost", "::1", "", None)


def checked_connect(self, address):
    if isinstance(address, tuple) and not own(address[0]):
        raise OSError(101, "Network is unreachable")
    return connect(self, address)


def checked_look_up(host, *words, **named):
    if not own(host):
        raise socket.gaierror(-3, "Temporary failure in name resolution")
    return look_up(host, *words, **named)


socket.socket.connect, socket.getaddrinfo = checked_connect, checked_look_up
'''
OTHER_CONFIG = {"genres": '("disco", "jazz", "metal", "polka")', "sample_rate": "16000", "clip_length": "16000",
                "upper_hz": "8000.0", "n_mfcc": "13", "n_frames": "14"}


# --- running cells (in another process) -----------------------------------------------------------------------------

def run_cells(project: Path, number: str, plan: list) -> dict:
    """Run a notebook's code cells in the order of `plan`.

    Parameters
    ----------
    project : Path
        Folder with a copy of the project.
    number : str
        Number of the notebook, for example "02".
    plan : list
        Indices of code cells. "kill" kills the kernel and starts another one; "delete" deletes the work folder.

    Returns
    -------
    dict
        ran: number of cells that ran; error: None, or where it stopped: "cell 3: ValueError: ...".
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    notebook = nbformat.read(next((project / "notebooks").glob(f"{number}_*.ipynb")), as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    ran, steps = 0, list(plan)
    while steps:
        client = NotebookClient(notebook, kernel_name="python3", timeout=SECONDS, store_widget_state=False,
                                resources={"metadata": {"path": str(project / "notebooks")}})
        client.widget_registry = {}
        with client.setup_kernel():
            while steps:
                step = steps.pop(0)
                if step == "kill":
                    os.kill(client.km.provisioner.pid, signal.SIGKILL)
                    break
                if step == "delete":
                    shutil.rmtree(os.environ["MGR_WORK"], ignore_errors=True)
                    continue
                try:
                    client.execute_cell(notebook.cells[step], step, store_history=False)
                except CellExecutionError as error:
                    return {"ran": ran, "error": f"cell {step + 1}: {error.ename}: {error.evalue}"}
                ran += 1
    return {"ran": ran, "error": None}


# --- one try --------------------------------------------------------------------------------------------------------

def copy_of_project(folder: Path) -> Path:
    """A copy of what a clone holds, and of the mini set, in a new folder `project`."""
    mini_set.folder()
    project = folder / "project"
    for name in ("mgr_helpers", "notebooks", "firmware", "tools"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    left_out = shutil.ignore_patterns("work", "gtzan", "cache", "recordings", ".*.lock")
    shutil.copytree(ROOT / "data", project / "data", ignore=left_out)
    for name in ("README.md", "LICENSE", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, project)
    return project


def n_cells(number: str) -> int:
    """Number of code cells of a notebook."""
    cells = json.loads(next((ROOT / "notebooks").glob(f"{number}_*.ipynb")).read_text())["cells"]
    return sum(cell["cell_type"] == "code" for cell in cells)


def attempt(project: Path, number: str, plan: list | None = None, dataset: str = "mini", **environment: object) -> dict:
    """`run_cells` in another process: {"ran", "error"}. Without a plan, all cells run once in order."""
    plan = list(range(n_cells(number))) if plan is None else plan
    paths = [str(project), environment.pop("PYTHONPATH", ""), str(ROOT)]
    rights = {"obey_permissions": environment.pop("obey_permissions", False)}
    variables = {"MGR_WORK": project / "data" / "work", "MGR_BUILD": build_dir(), "MGR_DATASET": dataset,
                 "MPLBACKEND": "module://matplotlib_inline.backend_inline", "IPYTHONDIR": project.parent / "ipython",
                 "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
    try:
        done = python(RUN, project, number, json.dumps(plan), seconds=2 * SECONDS, **rights, **variables)
    except subprocess.TimeoutExpired:
        return {"ran": 0, "error": f"hangs (over {2 * SECONDS} s)"}
    if done.returncode:
        return {"ran": 0, "error": f"the process stopped: {last_line(done.stderr)}"}
    return json.loads(done.stdout.splitlines()[-1])


def finding(number: str, what: str, found: dict, project: Path, may_refuse: bool = False) -> list[str]:
    """A list of one line when a try broke, else an empty list."""
    error = found["error"]
    if error is None or may_refuse and ADVICE.search(error) and "NameError" not in error:
        return []
    return [relative(f"notebook {number}, {what}: {error}", project, project.parent)[:400]]


# --- campaigns ------------------------------------------------------------------------------------------------------

def twice_and_out_of_order() -> dict:
    """Each cell twice, then ten random cells again."""
    broke, cells, numbers = [], 0, tuple(f"{n:02d}" for n in range(10))[: times(10)]
    for number in tqdm(numbers, desc="cells twice", leave=False):
        with tempfile.TemporaryDirectory() as folder:
            project, n = copy_of_project(Path(folder)), n_cells(number)
            plan = [cell for index in range(n) for cell in (index, index)]
            plan += random.Random(int(number)).sample(range(n), 10)
            found = attempt(project, number, plan)
            cells += found["ran"]
            broke += finding(number, f"{found['ran']} cells done", found, project)
    return result("each cell twice in order, then ten random cells once more: it works", len(numbers), broke,
                  cells_run=cells)


def killed_kernels() -> dict:
    """The kernel dies at a random place; the notebook is run again from its first cell."""
    broke, numbers = [], ("02", "06", "04")[: max(1, times(3))]
    for number in tqdm(numbers, desc="killed kernels", leave=False):
        with tempfile.TemporaryDirectory() as folder:
            project, n = copy_of_project(Path(folder)), n_cells(number)
            half = random.Random(int(number)).randrange(n // 2, n)
            found = attempt(project, number, [*range(half), "kill", *range(n)])
            broke += finding(number, f"killed after {half} cells", found, project)
    return result("the kernel is killed (kill -9) in the second half, then all cells run again: it works", len(numbers),
                  broke)


def no_network() -> dict:
    """Without network: only this computer answers."""
    broke, refused = [], 0
    cases = [("04", "mini", False, False), ("06", "mini", False, False), ("02", "gtzan", False, True),
             ("08", "mini", True, True)][: max(1, times(4))]
    for number, dataset, empty_build, may_refuse in tqdm(cases, desc="no network", leave=False):
        with tempfile.TemporaryDirectory() as folder:
            project, blocked = copy_of_project(Path(folder)), Path(folder) / "blocked"
            blocked.mkdir()
            (blocked / "sitecustomize.py").write_text(BLOCK)
            nowhere = {"PYTHONPATH": str(blocked), "PIP_NO_INDEX": 1, "PIP_INDEX_URL": "http://127.0.0.1:9/",
                       "npm_config_registry": "http://127.0.0.1:9/", "npm_config_cache": Path(folder) / "npm",
                       "npm_config_fetch_retries": 0}
            if empty_build:
                nowhere["MGR_BUILD"] = Path(folder) / "build"
            found = attempt(project, number, None, dataset, **nowhere)
            refused += found["error"] is not None
            broke += finding(number, f"no network, {dataset}", found, project, may_refuse)
    return result("no network: what is there works; a data set or tool that must be fetched is named, with what to do",
                  len(cases), broke, refused_with_advice=refused - len(broke))


def read_only() -> dict:
    """The data folder is read-only."""
    broke, refused, numbers = [], 0, ("02", "04", "06")[: max(1, times(3))]
    for number in tqdm(numbers, desc="read-only", leave=False):
        with tempfile.TemporaryDirectory() as folder:
            project = copy_of_project(Path(folder))
            places = [project / "data", *(path for path in (project / "data").rglob("*") if path.is_dir())]
            for place in places:
                place.chmod(0o555)
            elsewhere = {"MGR_WORK": Path(folder) / "work"} if number != "02" else {}
            found = attempt(project, number, obey_permissions=True, **elsewhere)
            refused += found["error"] is not None
            broke += finding(number, "read-only data folder", found, project, may_refuse=not elsewhere)
            for place in places:
                place.chmod(0o755)
    return result("a read-only data folder: the message says to set MGR_WORK, and with it the notebook works",
                  len(numbers), broke, refused_with_advice=refused - len(broke))


def work_deleted() -> dict:
    """The work folder is deleted between notebooks, and in the middle of each."""
    broke, numbers = [], ("02", "03", "04", "06")[: max(1, times(4))]
    with tempfile.TemporaryDirectory() as folder:
        project = copy_of_project(Path(folder))
        for number in tqdm(numbers, desc="work folder deleted", leave=False):
            n = n_cells(number)
            found = attempt(project, number, ["delete", *range(n // 2), "delete", *range(n // 2, n)])
            broke += finding(number, "work folder deleted", found, project, may_refuse=True)
    return result("the work folder is deleted before each notebook and in its middle: it works, or says what to do",
                  len(numbers), broke)


def other_configuration() -> dict:
    """Another configuration, from clips to the emulated Pico: 16 kHz, 13 MFCCs, 14 frames, four genres."""
    broke, numbers = [], tuple(f"{n:02d}" for n in range(2, 10))[: times(8)]
    with tempfile.TemporaryDirectory() as folder:
        project = copy_of_project(Path(folder))
        configured = project / "mgr_helpers" / "config.py"
        text = configured.read_text()
        for name, value in OTHER_CONFIG.items():
            text, n = re.subn(rf"^(    {name}: [^=]+= )\S.*$", lambda m, v=value: m[1] + v, text, flags=re.MULTILINE)
            assert n == 1, f"config.py has no field {name}"
        configured.write_text(text)
        songs = Path(folder) / "songs"
        shutil.copytree(project / "data" / "mini", songs, ignore=shutil.ignore_patterns("manifest.csv", ".*"))
        shutil.copytree(songs / "jazz", songs / "polka")
        for number in tqdm(numbers, desc="another configuration", leave=False):
            found = attempt(project, number, None, str(songs))
            broke += finding(number, "another configuration", found, project, may_refuse=True)
    return result("16 kHz, 13 MFCCs, 14 frames and four genres, from clips to the emulated Pico: it works, or says "
                  "what to do", len(numbers), broke)


def campaigns() -> list[tuple[str, Callable[[], dict]]]:
    """Name and callable of each campaign."""
    return [("twice and out of order", twice_and_out_of_order), ("killed kernels", killed_kernels),
            ("no network", no_network), ("read-only data", read_only), ("work folder deleted", work_deleted),
            ("another configuration", other_configuration)]
