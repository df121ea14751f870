"""The classes of a .tflite file's content, from the schema that TensorFlow ships.

Its file is loaded by its path: importing it by its name would load all of TensorFlow, which takes seconds.

Notebooks: none.
"""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

_tensorflow = find_spec("tensorflow")
if _tensorflow is None or _tensorflow.origin is None:
    raise ImportError("no TensorFlow in this Python: `make` installs it, or `pip install -r requirements.txt`")
_spec = spec_from_file_location("schema_py_generated",
                                Path(_tensorflow.origin).parent / "lite" / "python" / "schema_py_generated.py")
schema = module_from_spec(_spec)
_spec.loader.exec_module(schema)
