"""Scores of a .tflite file by TensorFlow Lite Micro and by LiteRT.

Used by notebooks/06_quantize_model.ipynb.
"""

from __future__ import annotations

import numpy as np
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from ..host.quiet import import_tf, quiet
from .tflite import _operators, _parse, _tensor, check_int8, describe


# --- running --------------------------------------------------------------------------------------------------------

def run_tflm(tflite: bytes, features: np.ndarray, reset: bool = True) -> np.ndarray:
    """Scores by TensorFlow Lite Micro, the reference for the Pico.

    Parameters
    ----------
    tflite : bytes
        An int8 file of ours.
    features : int8 array (n, n_frames, n_mfcc)
    reset : bool
        Clear the LSTM's state before each window. False shows what a sketch that forgets it does.

    Returns
    -------
    int8 array (n, n_genres)

    Raises
    ------
    ValueError
        When file or features don't fit.
    """
    check_int8(tflite)
    shape = describe(tflite)["input"]["shape"][1:]
    if features.dtype != np.int8 or features.ndim != 3 or features.shape[1:] != shape:
        raise ValueError(f"features are {features.dtype} {features.shape}, need int8 (n, {shape[0]}, {shape[1]})")
    interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=200_000)
    scores = []
    for window in features:
        if reset:
            interpreter.reset()
        interpreter.set_input(window[None], 0)
        interpreter.invoke()
        scores.append(interpreter.get_output(0)[0].copy())
    return np.array(scores, np.int8).reshape(len(features), -1)


def run_litert(tflite: bytes, features: np.ndarray) -> np.ndarray:
    """Scores by LiteRT (TensorFlow Lite on the computer), state cleared before each window.

    Parameters
    ----------
    tflite : bytes
        An int8 or a float file.
    features : array (n, n_frames, n_mfcc)
        int8, or float32 (normalised) for a float file.

    Returns
    -------
    array (n, n_genres)
        int8 scores, or float32 probabilities.

    Raises
    ------
    ValueError
        When file or features don't fit.
    """
    tf = import_tf()
    ends = describe(tflite)["input"]
    if features.dtype != ends["dtype"] or features.shape[1:] != ends["shape"][1:]:
        raise ValueError(f"features are {features.dtype} {features.shape}, "
                         f"the model takes {ends['dtype']} {ends['shape']}")
    with quiet():
        interpreter = tf.lite.Interpreter(model_content=tflite)
        interpreter.allocate_tensors()
    at_input, at_output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    scores = []
    for window in features:
        interpreter.reset_all_variables()
        interpreter.set_tensor(at_input, window[None])
        interpreter.invoke()
        scores.append(interpreter.get_tensor(at_output)[0])
    return np.array(scores, ends["dtype"]).reshape(len(features), -1)


def activations(tflite: bytes, features: np.ndarray) -> dict[str, dict]:
    """What flows between the operators of a file, by LiteRT: to compare a float file with its int8 twin.

    Parameters
    ----------
    tflite : bytes
        An int8 or a float file.
    features : array (n, n_frames, n_mfcc)
        As for `run_litert`.

    Returns
    -------
    dict
        By what it is ("features", "lstm, hidden state", "lstm, last cell state", "mean", ...): values (array of the
        file's dtype, one row a window), scale (float; [] in a float file), zero_point.

    Raises
    ------
    ValueError
        When the file is none of ours.

    Explained in notebooks/06_quantize_model.ipynb.
    """
    tf = import_tf()
    parsed, found = _parse(tflite), {}
    with quiet():
        interpreter = tf.lite.Interpreter(
            model_content=tflite, experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        interpreter.allocate_tensors()
    places = _places(parsed)
    rows: dict[str, list] = {name: [] for name in places}
    for window in features:
        interpreter.reset_all_variables()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window[None])
        interpreter.invoke()
        for name, index in places.items():
            rows[name].append(interpreter.get_tensor(index)[0])
    for name, index in places.items():
        tensor = _tensor(parsed, index)
        found[name] = {"values": np.array(rows[name]), "scale": tensor["scale"], "zero_point": tensor["zero_point"]}
    return found


def _places(parsed: schema.ModelT) -> dict[str, int]:
    """Index of each tensor between the operators, by what it is."""
    short = {"UNIDIRECTIONAL_SEQUENCE_LSTM": "lstm", "MEAN": "mean", "STRIDED_SLICE": "last step",
             "FULLY_CONNECTED": "dense", "SOFTMAX": "probabilities"}
    places = {"features": int(parsed.subgraphs[0].inputs[0])}
    several = [op_name for op_name, _ in _operators(parsed)].count("UNIDIRECTIONAL_SEQUENCE_LSTM") > 1
    for i, (op_name, op) in enumerate(_operators(parsed)):
        name = short.get(op_name, op_name.lower())
        if name == "lstm":
            name = f"lstm {i + 1}" if several else name
            places[f"{name}, last cell state"] = int(op.inputs[19])
            name += ", hidden state"
        places[name] = int(op.outputs[0])
    return places
