"""Runs modules of the page (firmware/emulator/web/) in Node.js."""

import json
import tempfile
from pathlib import Path

from mgr_helpers.config import ROOT
from mgr_helpers.host import toolchain
from tools import web


def run_modules(task: str, rows: list[dict]) -> bytes:
    """What tests/web/run_modules.js writes for a task and its rows."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        web.bundle([ROOT / "tests" / "web" / "run_modules.js"], folder, "--platform=node")
        source, target = folder / "rows.txt", folder / "result"
        source.write_text("\n".join(map(json.dumps, rows)))
        toolchain.call([toolchain.find_node()[0], folder / "run_modules.js", task, source, target], "running modules",
                       "See the message.")
        return target.read_bytes()
