"""TensorFlow without its messages, which would fill a notebook with red text.

Notebooks: 03, 04, 05, 06.
"""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide warnings and all that is written to stdout and stderr. When the block fails, the hidden text is printed.

    It redirects the file descriptors, because TensorFlow's C++ part writes to them directly.
    """
    with tempfile.TemporaryFile() as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdout.flush(), sys.stderr.flush()
        saved = os.dup(1), os.dup(2)
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
    """`tensorflow`, with its logging turned down to errors. Import it only through here.

    TensorFlow's C++ part reads its log level only when it is loaded. Errors still arrive as Python exceptions.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet():
        import tensorflow as tf
        tf.constant(0)  # the first tensor looks for a GPU, and says when it finds none
    tf.get_logger().setLevel("ERROR")
    return tf
