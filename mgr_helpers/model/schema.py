"""The classes of a .tflite file's content, from the schema that TensorFlow ships, without loading TensorFlow.

Importing `tensorflow.lite.python.schema_py_generated` loads all of TensorFlow, which takes seconds. Its file needs none
of it. It is Python on every platform.

Notebooks: none.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path


def _load():
    found = importlib.util.find_spec("tensorflow")
    if found is None or found.origin is None:
        raise ImportError("no TensorFlow in this Python: `make` installs it, or `pip install -r requirements.txt`")
    file = Path(found.origin).parent / "lite" / "python" / "schema_py_generated.py"
    spec = importlib.util.spec_from_file_location("schema_py_generated", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


schema = _load()
