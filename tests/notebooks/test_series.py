"""The runner of the series: what it removes from notebooks. And the notebooks and pages that are committed."""

import argparse
import json
import os
import re

import pytest

from mgr_helpers.config import PRETRAINED, ROOT
from notebooks import run
from tools import readme

NOTEBOOKS = run.find_notebooks()


def cell(*outputs):
    return {"cell_type": "code", "metadata": {}, "outputs": list(outputs), "source": ""}


def shown(**data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


def test_players_widgets_and_stderr_are_removed():
    outputs = [shown(**{"text/html": '<audio controls src="data:audio/wav;base64,AAAA">'}),
               shown(**{"text/html": '<iframe srcdoc="&lt;html&gt;base64">'}),
               shown(**{"application/vnd.jupyter.widget-view+json": {}, "text/plain": "interactive(children=())"}),
               shown(**{"application/vnd.jupyter.widget-view+json": {}, "text/plain": "songs:  9% 8   1.0 of 11.5 s"}),
               {"output_type": "stream", "name": "stderr", "text": "warning"},
               shown(**{"image/png": "AAAA"})]
    notebook = run.clean({"cells": [cell(*outputs)], "metadata": {"widgets": {"state": "AAAA"}}})
    kept = notebook["cells"][0]["outputs"]
    assert [output.get("text") for output in kept] == [run.AUDIO_NOTE + "\n", *2 * [run.WIDGET_NOTE + "\n"], None]
    assert "widgets" not in notebook["metadata"] and "base64" not in json.dumps(notebook)


@pytest.mark.parametrize("before", ["read ", "\n", "'", ""])
def test_output_with_a_path_of_this_computer_is_refused(before):
    output = {"output_type": "stream", "name": "stdout", "text": f"{before}{ROOT}/data/x.wav"}
    with pytest.raises(ValueError, match="path of this machine"):
        run.clean({"cells": [cell(output)], "metadata": {}})


def test_folder_of_the_same_name_within_the_project_is_no_such_path():
    output = {"output_type": "stream", "name": "stdout", "text": f"--generated data{ROOT.parent}/generated"}
    run.clean({"cells": [cell(output)], "metadata": {}})


def test_failed_notebook_is_named_and_its_outputs_are_kept(tmp_path, monkeypatch):
    import nbformat
    monkeypatch.setattr(run, "NOTEBOOKS", tmp_path)
    monkeypatch.setenv("MGR_BUILD", str(tmp_path / "build"))
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(bad, tmp_path / "02_bad.ipynb")
    with pytest.raises(RuntimeError, match="02_bad.ipynb stopped: ZeroDivisionError"):
        run.run_notebook(tmp_path / "02_bad.ipynb", tmp_path / "out.ipynb", keep_players=True)
    assert not (tmp_path / "out.ipynb").exists()
    assert (tmp_path / "build" / "failed" / "02_bad.ipynb").exists()


def test_unknown_number_of_a_notebook_is_refused():
    with pytest.raises(FileNotFoundError, match="99"):
        run.find_notebooks(["99"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebook_is_clean(path):
    text = path.read_text()
    notebook = json.loads(text)
    assert path.stat().st_size < 1_500_000
    assert "<audio" not in text and '"name": "stderr"' not in text and '"output_type": "error"' not in text
    assert not re.search(r'(?<![\w.])/(home|root|tmp|Users|work)/\w', text)
    run.check_no_paths(notebook)
    assert '"image/png"' in text, "no picture: run `make notebooks`"
    first = "".join(notebook["cells"][0]["source"])
    assert first.startswith("# ") and f"blob/main/notebooks/{path.name})" in first
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_cells_are_short(path):
    counted = run.count_lines(path)
    assert counted["median"] <= 7 and counted["longest"] <= 25 and counted["longest_plot"] <= 12, counted
    assert (10 if path.name.startswith("00") else 20) <= counted["code"] <= 60, counted


def test_cells_and_their_lines_are_counted(tmp_path):
    import nbformat
    sources = ["x = 1", "fig, ax = plt.subplots()\nax.plot(x)\n\nax.set(xlabel='s')", "a\nb\nc\nd\ne\nf"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources] + [nbformat.v4.new_markdown_cell("words")]
    path = tmp_path / "09_a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert run.count_lines(path) == {"cells": 4, "code": 3, "median": 4, "longest": 6, "longest_plot": 4}
    assert run.line_table([path]).splitlines()[-1].split() == ["09_a", "4", "3", "4", "6", "4"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_first_and_last_cells_tell_the_reader_what_to_expect(path):
    """First: what one learns, needs, how long it takes. Last: what was made, three exercises, the next notebook."""
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
    for words in ("**You will learn** ", "**You need** ", "**It takes** "):
        assert words in cells[0], f"first cell lacks {words}"
    end = "\n".join(cells[-2:])
    assert "## What you made" in end
    numbered = re.findall(r"^(\d)\. ", end[end.index("## What you made"):], re.MULTILINE)
    assert numbered == ["1", "2", "3"], "three exercises"
    following = [*NOTEBOOKS, NOTEBOOKS[1]][NOTEBOOKS.index(path) + 1]  # after the last: record your own music
    assert f"({following.name})" in cells[-1].splitlines()[-1], f"the last line leads to {following.name}"


def prose(path):
    """The text of a Markdown file, or of the Markdown cells of a notebook."""
    if path.suffix == ".md":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_relative_links_exist():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *NOTEBOOKS]:
        for target in re.findall(r"\]\((?!http|attachment)([^)#]+)\)", prose(path)):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_table_of_recipes_names_sections_that_exist():
    table = (ROOT / "docs" / "recipes.md").read_text()
    rows = re.findall(r"\[\d\d\]\(\.\./(notebooks/.+?\.ipynb)\) ((?:\*.+?\*(?:, )?)+)", table)
    assert {path for path, _ in rows} == {f"notebooks/{path.name}" for path in NOTEBOOKS[1:]}
    for path, sections in rows:
        for section in re.findall(r"\*(.+?)\*", sections):
            assert f"\n## {section}\n" in prose(ROOT / path) + "\n", f"{path}: {section}"


def test_the_series_gets_the_folders_of_the_command_line(tmp_path, monkeypatch, capsys):
    for name in ("MPLBACKEND", "MGR_DATASET", "MGR_OTHER", "MGR_WORK"):
        monkeypatch.setenv(name, str(tmp_path))  # the runner changes the first three
    monkeypatch.setattr(run, "run_notebook", lambda path, output, keep_players: 1.0)
    folders = [tmp_path / "gtzan_other", tmp_path / "speech"]
    assert run.run(argparse.Namespace(table=False, data="gtzan", other=folders, output=tmp_path, only=["02"],
                                      summary=False)) == 0
    assert os.environ["MGR_DATASET"] == "gtzan" and os.environ["MGR_OTHER"] == os.pathsep.join(map(str, folders))
    assert "02_prepare_dataset … 1 s" in capsys.readouterr().out


def test_readme_lists_every_notebook_with_its_badge():
    text = (ROOT / "README.md").read_text()
    for path in NOTEBOOKS:
        assert f"(notebooks/{path.name})" in text and f"blob/main/notebooks/{path.name})" in text


def test_readme_holds_the_measured_results():
    files = [json.loads((PRETRAINED / f"{name}.json").read_text()) for name in ("metrics", "firmware", "boards")]
    assert readme.results(*files) in (ROOT / "README.md").read_text(), "run `python -m tools.readme`"


def test_readme_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="once each"):
        readme.filled("nothing", "block")


def test_every_exercise_has_a_solution():
    solved = prose(ROOT / "notebooks" / "solutions.ipynb")
    for path in NOTEBOOKS:
        section = re.search(rf"^## {int(path.name[:2])}\. .+?(?=^## |\Z)", solved, re.MULTILINE | re.DOTALL)
        assert section and [f"**{number}.**" in section[0] for number in (1, 2, 3)] == [True] * 3, path.name


@pytest.mark.slow
def test_solutions_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    text = (ROOT / "notebooks" / "solutions.ipynb").read_text()
    for long, short in (("epochs=8", "epochs=2"), ("3000, config=config", "600, config=config")):
        assert long in text, "the test would train for long"
        text = text.replace(long, short)
    (tmp_path / "short.ipynb").write_text(text)
    run.run_notebook(tmp_path / "short.ipynb", tmp_path / "solutions.ipynb", keep_players=False)
