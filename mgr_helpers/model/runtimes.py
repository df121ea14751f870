"""Scores of a model by TensorFlow Lite Micro (TFLM) and by LiteRT; both clear the LSTM's state before each window.

Notebooks: 06, 07, 08.
"""

import numpy as np

from ..host.quiet import import_tf, quiet
from .tensors import operators, tensor_at
from .tflite import Model

try:
    from tflite_micro import runtime
    NO_TFLM = ""
except ImportError:
    NO_TFLM = "TensorFlow Lite Micro (tflite-micro) is not installed: its wheels are for x86-64 Linux only"
ARENA_BYTES = 200_000  # TFLM's working memory on this computer


def check_tflm() -> None:
    """Raise RuntimeError where TFLM is not installed."""
    if NO_TFLM:
        raise RuntimeError(f"{NO_TFLM}. The firmware's own C gives the same scores: --engine c, or "
                           "pico.headers.run_reference")


def run_tflm(model: Model, features: np.ndarray, reset: bool = True) -> np.ndarray:
    """int8 scores (n, n_genres) by TFLM, the reference for the Pico; a RuntimeError where TFLM is not installed.

    Parameters
    ----------
    model : Model
        An int8 model of ours.
    features : int8 array (n, n_frames, n_mfcc)
        Of another type or shape: a ValueError.
    reset : bool
        Clear the LSTM's state before each window. False shows what a sketch does that forgets to.
    """
    shape = (model.config.n_frames, model.config.n_mfcc)
    if features.dtype != np.int8 or features.ndim != 3 or features.shape[1:] != shape:
        raise ValueError(f"features are {features.dtype} {features.shape}, need int8 (n, {shape[0]}, {shape[1]})")
    check_tflm()
    interpreter = runtime.Interpreter.from_bytes(model.content, arena_size=ARENA_BYTES)
    scores = []
    for window in features:
        if reset:
            interpreter.reset()
        interpreter.set_input(window[None], 0)
        interpreter.invoke()
        scores.append(interpreter.get_output(0)[0].copy())
    return np.array(scores, np.int8).reshape(len(features), -1)


def run_litert(model: Model, features: np.ndarray, reset: bool = True) -> np.ndarray:
    """Scores (n, n_genres) by LiteRT, TensorFlow Lite for computers: int8, or float32 probabilities of a float model.

    Parameters
    ----------
    model : Model
    features : array (n, n_frames, n_mfcc)
        int8, or float32 (normalised) for a float model. Of another type or shape: a ValueError.
    reset : bool
        As for `run_tflm`.
    """
    ends = model.description["input"]
    if features.dtype != ends["dtype"] or features.shape[1:] != ends["shape"][1:]:
        raise ValueError(f"features are {features.dtype} {features.shape}, "
                         f"the model takes {ends['dtype']} {ends['shape']}")
    interpreter = _litert(model)
    at_output = interpreter.get_output_details()[0]["index"]
    scores = [interpreter.get_tensor(at_output)[0] for _ in _each_window(interpreter, features, reset)]
    return np.array(scores, ends["dtype"]).reshape(len(features), -1)


def activations(model: Model, features: np.ndarray) -> dict[str, dict]:
    """What flows between the operators of a model, by LiteRT; `model` and `features` as for `run_litert`.

    Returns
    -------
    dict of dict
        By what it is ("features", "lstm, hidden state", "lstm, last cell state", "mean", ...): values (array of the
        model's dtype, one row a window), scale (float; [] in a float model), zero_point.
    """
    tf = import_tf()
    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = _litert(model, experimental_preserve_all_tensors=True, experimental_op_resolver_type=plain)
    places = _places(model)
    rows: dict[str, list] = {name: [] for name in places}
    for _ in _each_window(interpreter, features):
        for name, index in places.items():
            rows[name].append(interpreter.get_tensor(index)[0])
    tensors = {name: tensor_at(model.parsed, index) for name, index in places.items()}
    return {name: {"values": np.array(rows[name]), "scale": tensor["scale"], "zero_point": tensor["zero_point"]}
            for name, tensor in tensors.items()}


def _litert(model: Model, **options):
    with quiet():
        interpreter = import_tf().lite.Interpreter(model_content=model.content, **options)
        interpreter.allocate_tensors()
    return interpreter


def _each_window(interpreter, features: np.ndarray, reset: bool = True):
    """Run LiteRT on one window after another; yields after each."""
    at_input = interpreter.get_input_details()[0]["index"]
    for window in features:
        if reset:
            interpreter.reset_all_variables()
        interpreter.set_tensor(at_input, window[None])
        interpreter.invoke()
        yield


def _places(model: Model) -> dict[str, int]:
    """Index of each tensor between the operators, by what it is."""
    short = {"UNIDIRECTIONAL_SEQUENCE_LSTM": "lstm", "MEAN": "mean", "STRIDED_SLICE": "last step",
             "FULLY_CONNECTED": "dense", "SOFTMAX": "probabilities"}
    places = {"features": int(model.parsed.subgraphs[0].inputs[0])}
    ops = operators(model.parsed)
    several = [op_name for op_name, _ in ops].count("UNIDIRECTIONAL_SEQUENCE_LSTM") > 1
    for i, (op_name, op) in enumerate(ops):
        name = short.get(op_name, op_name.lower())
        if name == "lstm":
            name = f"lstm {i + 1}" if several else name
            places[f"{name}, last cell state"] = int(op.inputs[19])
            name += ", hidden state"
        places[name] = int(op.outputs[0])
    return places
