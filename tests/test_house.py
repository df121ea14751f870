"""The layout of the project: imports, lengths of files, names of files and notebooks in texts, and fast starts."""

import ast
import json
import re
import subprocess
import sys

import pytest

from mgr_helpers.__main__ import COMMANDS
from mgr_helpers.config import ROOT
from notebooks import run

PACKAGE = ROOT / "mgr_helpers"
FILES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = {path.name[:2]: path for path in run.find_notebooks()}
# modules of the wings, and plots.py; `config` and the start of the command line serve all notebooks or none
MODULES = [path for path in FILES if path.name != "__init__.py" and (path.parent != PACKAGE or path.stem == "plots")]
LONGEST_FILE, ALL_LINES = 450, 9400
FIELD = re.compile(r"^Notebooks: (none|\d\d(?:, \d\d)*)\.$")
A_FILE_OF_OURS = re.compile(r"\b(?:mgr_helpers|notebooks|tools|tests|firmware)/[\w./-]*\w\.(?:py|c|h|ino|js|ipynb)\b")
TEXTS = {".py", ".md", ".c", ".h", ".cpp", ".ino", ".js", ".ipynb"}
FOLDERS = ("mgr_helpers", "notebooks", "tools", "tests", "firmware", "docs", "data/gtzan_splits", "data/pretrained")
HEAVY = {"numpy", "scipy", "tensorflow", "tf_keras", "librosa", "matplotlib"}


def name_of(path):
    """The name under which a file is imported: "mgr_helpers.audio.adc"."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def notebooks_named(path):
    """Numbers of the notebooks in the last line of a module's docstring."""
    last = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[-1:]
    field = FIELD.match("".join(last))
    assert field, f"{path.relative_to(ROOT)}: the docstring must end with 'Notebooks: 02, 05.' or 'Notebooks: none.'"
    return set() if field[1] == "none" else set(field[1].split(", "))


def imported_names(notebook):
    """Every module that a notebook imports, and every name it imports from one, both in full."""
    names = set()
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        code = re.sub(r"^(\s*)[!%].*$", r"\1pass", "".join(cell["source"]), flags=re.MULTILINE)  # no Python
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


IMPORTED = {number: imported_names(path) for number, path in NOTEBOOKS.items()}


def heavy_modules_after(code):
    """Which large libraries a new Python process has loaded after running this code."""
    report = f"print('loaded', *sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"import sys\n{code}\n{report}"], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


def test_imports_follow_the_contracts():
    """The contracts are those of pyproject.toml: wings import downwards only, and there is no circle."""
    code = "from importlinter.cli import lint_imports_command as check; check()"
    done = subprocess.run([sys.executable, "-c", code, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0 and " 0 broken" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_is_not_too_long(path):
    assert lines_of(path) <= LONGEST_FILE


def test_package_is_not_too_long():
    assert sum(map(lines_of, FILES)) <= ALL_LINES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_docstring_names_the_notebooks_that_import_the_module(path):
    """It may name others, too: those that use the module only through another one."""
    named = notebooks_named(path)
    assert named <= set(NOTEBOOKS), "a notebook of this number does not exist"
    assert {number for number, names in IMPORTED.items() if name_of(path) in names} <= named


def test_files_that_comments_and_pages_name_exist():
    texts = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml")]
    for folder in FOLDERS:
        texts += [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in TEXTS]
    missing = {f"{path.relative_to(ROOT)} names {name}" for path in texts
               for name in A_FILE_OF_OURS.findall(path.read_text(encoding="utf-8")) if not (ROOT / name).exists()}
    assert not missing, "\n".join(sorted(missing))


def test_configuration_is_imported_without_large_libraries():
    assert heavy_modules_after("import mgr_helpers.config") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_shown_without_large_libraries(command):
    code = ("from mgr_helpers.__main__ import main\n"
            f"try:\n    main([{command!r}, '--help'])\nexcept SystemExit as end:\n    assert end.code == 0")
    assert heavy_modules_after(code) == []
