"""Takes functions out of a notebook's cells, so that tests can compare them with the helpers'."""

import ast
import json

from mgr_helpers.config import ROOT


def functions_of(notebook: str, names: dict, *wanted: str) -> dict:
    """The functions `wanted` as `notebooks/<notebook>.ipynb` defines them, run with the given global `names`.

    Raises
    ------
    KeyError
        When the notebook doesn't define one of them (any more).
    """
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    found = dict(names)
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and any(f"def {name}(" in source for name in wanted):
            functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
            exec(compile(ast.Module(functions, []), notebook, "exec"), found)
    return {name: found[name] for name in wanted}
