"""Notebooks in the kernels of others: the set-up cell names the remedy, and `make kernel` is one."""

import json
import os
import subprocess
import sys
import tomllib
import venv
from importlib import metadata

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mgr_helpers.config import REPO_URL, ROOT
from mgr_helpers.host import colab
from notebooks import run

pytest.importorskip("ipykernel", reason="ipykernel is an extra: pip install ipykernel")
from nbclient import NotebookClient  # noqa: E402
from nbclient.exceptions import CellExecutionError  # noqa: E402

KERNEL = "music-genre-pico"
SET_UP = next(cell.source for cell in nbformat.read(run.find_notebooks(["01"])[0], as_version=4).cells
              if cell.cell_type == "code")


def make(*words, **environment):
    """Run make on this Python, as if `.venv` were made already."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", "-o", ".venv/.run", "-o", ".venv/.lab", f"RUN={sys.executable}", *words], cwd=ROOT,
                          env={**inherited, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_set_up(kernel, folder):
    """Run the set-up cell in a folder without the package."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SET_UP),
                                               nbformat.v4.new_code_cell("print(plots.__name__)")])
    client = NotebookClient(notebook, timeout=120, kernel_name=kernel, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return notebook.cells[1].outputs[0].text


@pytest.fixture
def other_kernel(tmp_path, monkeypatch):
    """A kernel of a Python that lacks this package: its own virtual environment borrows ipykernel and its like."""
    venv.create(tmp_path / "other", with_pip=False)
    borrowed = os.pathsep.join(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    folder = tmp_path / "kernels" / "other"
    folder.mkdir(parents=True)
    python = next((tmp_path / "other").glob("bin/python"))
    (folder / "kernel.json").write_text(json.dumps({
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Python 3",
        "language": "python", "env": {"PYTHONPATH": borrowed}}))  # a .pth file in there has no effect
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return "other"


def test_set_up_cell_names_the_remedy_in_another_kernel(other_kernel, tmp_path):
    with pytest.raises(CellExecutionError) as caught:
        run_set_up(other_kernel, tmp_path)
    assert caught.value.ename == "SetUpError"
    for words in ("named 'mgr_helpers'", "`make kernel`", "'Music genre (Pico)'", "%pip install -e", REPO_URL):
        assert words in caught.value.evalue


@pytest.mark.parametrize("package", ["cmsisdsp", "tensorflow"])
def test_set_up_cell_names_the_remedy_without_a_package(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Exception, match=f"^No module named '{package}'. This kernel .*`make kernel`"):
        exec(SET_UP, {})


def test_set_up_cell_looks_for_every_package():
    """By name, or as one that librosa or TensorFlow can't be without."""
    named = {canonicalize_name(metadata.packages_distributions()[module][0]) for module in colab.PACKAGES}
    theirs = {canonicalize_name(Requirement(line).name) for name in named for line in metadata.requires(name) or ()}
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ours = {canonicalize_name(needed.name) for needed in map(Requirement, lines) if not needed.marker}
    assert ours - named - theirs <= {"matplotlib", "tqdm"}  # the cell itself imports them


def test_make_kernel_registers_a_kernel_that_has_the_package(tmp_path, monkeypatch):
    make("kernel", JUPYTER_DATA_DIR=str(tmp_path))
    about = json.loads((tmp_path / "kernels" / KERNEL / "kernel.json").read_text())
    assert about["display_name"] == "Music genre (Pico)" and about["argv"][0] == sys.executable
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert run_set_up(KERNEL, tmp_path) == "mgr_helpers.plots\n"


def test_make_lab_opens_the_notebooks():
    assert f"{sys.executable} -m jupyterlab" in make("-n", "lab")
    readme = (ROOT / "README.md").read_text()
    assert "`make lab`" in readme and "`make kernel`" in readme
