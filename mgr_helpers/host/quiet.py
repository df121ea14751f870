"""TensorFlow without its start-up messages, which would fill a notebook with red text."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings


@contextlib.contextmanager
def _silent_stderr():
    """Send the process's stderr to nowhere: TensorFlow's C++ part writes before its own log level counts."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


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
    with _silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf
        tf.constant(0)  # the first tensor looks for a GPU, and says when it finds none
    tf.get_logger().setLevel("ERROR")
    return tf
