"""Takes functions out of a notebook's cells, so that tests can compare them with the helpers'."""

import ast
import inspect
import json
import re

from mgr_helpers.config import ROOT


def code_of(notebook: str) -> list[str]:
    """Sources of the code cells of `notebooks/<notebook>.ipynb`, as Python: lines for the shell become `pass`."""
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [re.sub(r"^(\s*)[!%].*$", r"\1pass", "".join(cell["source"]), flags=re.MULTILINE)
            for cell in cells if cell["cell_type"] == "code"]


def functions_of(notebook: str, names: dict, *wanted: str) -> dict:
    """The functions `wanted` as `notebooks/<notebook>.ipynb` defines them, run with the given global `names`.

    Raises
    ------
    KeyError
        When the notebook doesn't define one of them (any more).
    """
    found = dict(names)
    for source in code_of(notebook):
        if any(f"def {name}(" in source for name in wanted):
            functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
            exec(compile(ast.Module(functions, []), notebook, "exec"), found)
    return {name: found[name] for name in wanted}


class _Bare(ast.NodeTransformer):
    """Leaves out what may differ: annotations, imports, and the name of the module that a name comes from."""

    def __init__(self, modules: set[str]):
        self.modules = modules

    def visit_arg(self, node):
        return ast.arg(node.arg)

    def visit_Import(self, node):
        return None

    def visit_Attribute(self, node):
        self.generic_visit(node)
        ours = isinstance(node.value, ast.Name) and node.value.id in self.modules
        return ast.Name(node.attr, node.ctx) if ours else node


def bare(function: ast.FunctionDef, modules: set[str]) -> str:
    """A function's code without docstring, annotations, decorators, imports and the names of `modules`."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    function = ast.FunctionDef(function.name, function.args, body, [])
    return ast.dump(_Bare(modules).visit(function))


def functions_shown(notebook: str, modules: set[str]) -> dict[str, str]:
    """Name and bare code of every function that a notebook defines."""
    return {node.name: bare(node, modules) for source in code_of(notebook) for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef)}


def functions_in(module, modules: set[str]) -> dict[str, str]:
    """Name and bare code of every function of a module."""
    return {node.name: bare(node, modules) for node in ast.parse(inspect.getsource(module)).body
            if isinstance(node, ast.FunctionDef)}
