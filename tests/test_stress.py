"""The runner of `make stress`: what it counts, what it writes, when it fails; and the code that campaigns start."""

import ast
import csv
import importlib
import json
import re
import subprocess
import types

import pytest

from mgr_helpers.config import ROOT
from tests.stress import __main__ as runner
from tests.stress import report, result


@pytest.fixture
def campaigns(monkeypatch, tmp_path):
    """The campaigns of an invented part, as a list to be filled; results go to a temporary folder."""
    monkeypatch.setenv("MGR_BUILD", str(tmp_path))
    monkeypatch.setenv("MGR_STRESS_SCALE", "1")  # the runner sets it
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setattr(runner.runtimes, "NO_TFLM", "")  # no campaign of these needs it
    found = []
    module = types.SimpleNamespace(campaigns=lambda: found)
    monkeypatch.setattr(runner.importlib, "import_module", lambda name: module)
    return found


def crash():
    raise OSError(f"no room in {ROOT}/data")


def test_results_of_a_run_are_written(campaigns, tmp_path):
    campaigns.append(("cuts", lambda: result("files cut in two", 3, [], used=2000)))
    assert runner.main(["--only", "models"]) == 0
    page = (tmp_path / "docs" / "reliability.md").read_text()
    assert "| cuts | files cut in two | 3 | 3 | 0 | used: 2,000 |" in page and "3 tries in 1 campaigns: 3 held" in page
    assert "Not in this run: Audio files" in page


def test_what_broke_is_named_and_the_exit_status_is_1(campaigns, tmp_path):
    campaigns += [("cuts", lambda: result("files cut in two", 3, ["a.wav hangs"])), ("crash", crash)]
    assert runner.main(["--only", "models"]) == 1
    page = (tmp_path / "docs" / "reliability.md").read_text()
    assert "- **cuts**: a.wav hangs" in page and "the campaign itself stopped: OSError" in page
    assert str(ROOT) not in page


def test_other_parts_keep_their_last_results(campaigns, tmp_path):
    campaigns.append(("cuts", lambda: result("files cut in two", 3, [])))
    runner.main(["--only", "models"])
    runner.main(["--only", "pico"])
    assert set(json.loads((tmp_path / "stress.json").read_text())) == {"models", "pico"}


def test_run_with_a_scale_below_1_writes_nothing(campaigns, tmp_path):
    campaigns.append(("cuts", lambda: result("files cut in two", 1, [])))
    assert runner.main(["--only", "models", "--scale", "0.1"]) == 0
    assert not list(tmp_path.rglob("*.json")) and not (tmp_path / "docs").exists()


def test_history_names_commits_that_exist():
    with open(report.HISTORY, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows and all(row["part"] in report.TITLES and row["broke"] and row["mended"] for row in rows)
    commits = {row["commit"] for row in rows} - {""}
    assert all(re.fullmatch("[0-9a-f]{7,40}", commit) for commit in commits)
    if (ROOT / ".git").exists():
        for commit in commits:
            found = subprocess.run(["git", "cat-file", "-t", commit], cwd=ROOT, capture_output=True, text=True)
            assert found.stdout == "commit\n", commit


@pytest.mark.slow
def test_models_of_the_campaigns_are_whole_and_get_a_verdict():
    from tests.stress import models

    assert models.verdict(models.shipped()) == "accepted"
    assert "can't run this model" in models.verdict(models.converted("pooling"))


def test_every_part_has_campaigns():
    for module in runner.MODULES:
        campaigns = __import__(f"tests.stress.{module}", fromlist=["campaigns"]).campaigns()
        names = [name for name, _ in campaigns]
        assert names and len(set(names)) == len(names) and all(callable(campaign) for _, campaign in campaigns)


def programs():
    """The programs that campaigns run in other processes. They are strings, so nothing else checks their names."""
    for path in sorted(report.HISTORY.parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and re.search(r"^(from \S+ )?import \w", str(node.value), re.MULTILINE):
                yield pytest.param(ast.parse(node.value), id=f"{path.name}:{node.lineno}")


def modules_of(program):
    """What a program imports, by its name there. Raises ImportError when it doesn't exist."""
    found = {}
    for node in ast.walk(program):
        if isinstance(node, ast.ImportFrom):
            parent = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(parent, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                found[alias.asname or alias.name] = getattr(parent, alias.name)
        elif isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: importlib.import_module(alias.name) for alias in node.names}
    return found


@pytest.mark.parametrize("program", list(programs()))
def test_programs_of_campaigns_use_names_that_exist(program):
    found, nodes = modules_of(program), list(ast.walk(program))
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id not in own:
            assert hasattr(found.get(node.value.id), node.attr), ast.unparse(node)
