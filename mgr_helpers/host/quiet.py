"""TensorFlow without its start-up messages, which would fill a notebook with red text.

Notebooks: 03.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what TensorFlow's C++ writes to the file descriptors of stdout and stderr, and Python's warnings.

    When the block fails, what was hidden is printed after all.
    """
    with tempfile.TemporaryFile() as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = [os.dup(fd) for fd in (1, 2)]
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            for fd, copy in zip((1, 2), saved):
                os.dup2(copy, fd), os.close(copy)
            if failed:
                log.seek(0)
                sys.stderr.write(log.read().decode(errors="replace"))


def import_tf():
    """Import TensorFlow with its C++ and Python logging turned down to errors.

    Returns
    -------
    module
        `tensorflow`. Import it only through here: the C++ log level counts when the library is loaded. Errors still
        arrive as Python exceptions.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet():
        import tensorflow as tf
        tf.constant(0)  # the first tensor looks for a GPU, and says when it finds none
    tf.get_logger().setLevel("ERROR")
    return tf
