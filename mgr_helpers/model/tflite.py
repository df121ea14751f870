"""A .tflite file of ours: its front end, its tensors, and the checks that it is one.

Used by notebooks/06_quantize_model.ipynb.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from ..config import CONFIG, Config
from ..features import mfcc_q15


def front_end_of(tflite: bytes) -> mfcc_q15.FrontEnd:
    """The front end that a .tflite file of ours carries, with the quantisation of its input."""
    values, tensors = read_front_end(tflite), describe(tflite)["input"]
    return mfcc_q15.FrontEnd(tuple(values["mean"]), tuple(values["std"]), float(tensors["scale"]),
                             int(tensors["zero_point"]), Config.from_dict(values["config"]))

METADATA_NAME = "mgr_front_end"
_SEAL = re.compile(rb'"sha256": "([0-9a-f]{64})"')
_NO_SEAL = "0" * 64
_DAMAGE = (struct.error, IndexError, KeyError, TypeError, ValueError, AttributeError, AssertionError, OverflowError,
           MemoryError, RecursionError)  # what reading a damaged file may raise
_GATES = ("input", "forget", "cell", "output")  # the order in the .tflite file; Keras has the same
_OP_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_DTYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8, schema.TensorType.INT16: np.int16,
           schema.TensorType.INT32: np.int32}


# --- reading a file -------------------------------------------------------------------------------------------------

def _parse(tflite: bytes, name: str = "model") -> schema.ModelT:
    """The file as plain Python objects; ValueError where it is no whole .tflite file."""
    if len(tflite) < 8 or tflite[4:8] != b"TFL3":
        raise ValueError(f"{name} is not a .tflite file (no TFL3 mark): give a file that notebook 06 wrote")
    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(tflite, 0))
    except _DAMAGE as error:
        raise ValueError(f"{name} is truncated or damaged ({error}): write it again with notebook 06") from error


def _check_seal(tflite: bytes, name: str) -> None:
    """Raise ValueError unless a file with our metadata is, byte for byte, the one that `embed_front_end` wrote."""
    if METADATA_NAME.encode() not in tflite:
        return
    seals = _SEAL.findall(tflite)
    if len(seals) != 1:
        raise ValueError(f"{name} carries no checksum (made by an older version, or damaged): convert it again in "
                         "notebook 06")
    if hashlib.sha256(tflite.replace(seals[0], _NO_SEAL.encode())).hexdigest().encode() != seals[0]:
        raise ValueError(f"{name} is truncated or damaged (its checksum is wrong): write it again with notebook 06")


def _pack(model: schema.ModelT) -> bytes:
    """Bytes of the .tflite file (each buffer on a four-byte boundary, as a Cortex-M0+ needs)."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _find_metadata(parsed: schema.ModelT) -> int | None:
    """Index of the buffer that holds our JSON, or None."""
    for item in parsed.metadata or []:
        if item.name in (METADATA_NAME, METADATA_NAME.encode()):
            return item.buffer
    return None


def front_end_dict(mean: np.ndarray, std: np.ndarray, config: Config = CONFIG) -> dict:
    """What `convert` embeds in the file: configuration, normalisation (see `network.fit_normalisation`) and labels."""
    return {"config": config.to_dict(), "mean": [float(value) for value in mean],
            "std": [float(value) for value in std], "labels": list(config.genres)}


def embed_front_end(tflite: bytes, front_end: dict) -> bytes:
    """Write the front end's numbers into the .tflite file's own metadata, replacing older ones.

    Parameters
    ----------
    tflite : bytes
    front_end : dict
        From `front_end_dict`.

    Returns
    -------
    bytes
        The new file, sealed: its SHA-256 (taken with zeros in the place of the digest) is part of the metadata, so that
        any changed byte is noticed. LiteRT and TFLM skip what they don't know.
    """
    parsed = _parse(tflite)
    _check_seal(tflite, "the file")
    index = _find_metadata(parsed)
    if index is None:
        item, buffer = schema.MetadataT(), schema.BufferT()
        item.name, item.buffer = METADATA_NAME, len(parsed.buffers)
        parsed.metadata = (parsed.metadata or []) + [item]
        parsed.buffers.append(buffer)
        index = item.buffer
    text = json.dumps({**front_end, "sha256": _NO_SEAL}, sort_keys=True)
    parsed.buffers[index].data = np.frombuffer(text.encode(), np.uint8)
    unsealed = _pack(parsed)
    seal = f'"sha256": "{hashlib.sha256(unsealed).hexdigest()}"'
    return unsealed.replace(f'"sha256": "{_NO_SEAL}"'.encode(), seal.encode())


def read_front_end(tflite: bytes, name: str = "model") -> dict:
    """What `embed_front_end` wrote.

    Returns
    -------
    dict
        `config` (for `Config.from_dict`), `mean` and `std` (lists, in units of raw MFCC / 2**22), `labels`, and
        `unsure_below` where it has been set.

    Raises
    ------
    ValueError
        When the file is damaged (see `embed_front_end` for its checksum), or carries no front end.
    """
    _check_seal(tflite, name)
    parsed = _parse(tflite, name)
    index = _find_metadata(parsed)
    if index is None or parsed.buffers[index].data is None:
        raise ValueError(f"{name} carries no front end ({METADATA_NAME}): convert it with quantize.convert")
    values = json.loads(bytes(bytearray(parsed.buffers[index].data)))
    return {key: value for key, value in values.items() if key != "sha256"}


def unsure_below(tflite: bytes, name: str = "model") -> int:
    """The confidence of a vote, in percent, below which the Pico says *unsure*: 1 to 100.

    A file without one (`set_unsure_below` was never called) has 1: unsure only where nothing has been heard.

    Raises
    ------
    ValueError
        When the file is damaged, or holds another number.
    """
    percent = read_front_end(tflite, name).get("unsure_below", 1)
    if type(percent) is not int or not 1 <= percent <= 100:
        raise ValueError(f"{name} says unsure below {percent!r}, need a whole percentage from 1 to 100: "
                         "set it with quantize.set_unsure_below")
    return percent


def set_unsure_below(tflite: bytes, percent: int) -> bytes:
    """The file with another threshold (see `unsure_below`); `evaluate.threshold_for` finds it on validation songs."""
    changed = embed_front_end(tflite, {**read_front_end(tflite), "unsure_below": int(percent)})
    unsure_below(changed)
    return changed


def load_tflite(path: str | Path) -> bytes:
    """Read a .tflite file of ours and check that it is one (see `check_int8`).

    Raises
    ------
    FileNotFoundError, ValueError
        Naming the file, and the remedy.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path.name}: run notebook 06, or `make pretrained DATA=<folder>`")
    tflite = path.read_bytes()
    check_int8(tflite, path.name)
    return tflite


def check_int8(tflite: bytes, name: str = "model") -> None:
    """Raise ValueError unless the file is an int8 genre model of ours: types, shapes, operators, front end."""
    _check_seal(tflite, name)
    parsed = _parse(tflite, name)
    if len(parsed.subgraphs or []) != 1 or not parsed.subgraphs[0].operators:
        raise ValueError(f"{name} has {len(parsed.subgraphs or [])} subgraphs, need one with operators")
    ends = _graph_ends(parsed, name)
    if any(tensor.type != schema.TensorType.INT8 for tensor in ends):
        raise ValueError(f"{name} is not quantised to int8 at its input and output: convert it in notebook 06")
    front_end = read_front_end(tflite, name)
    _check_front_end(front_end, name)
    shapes = [[] if tensor.shape is None else [int(n) for n in tensor.shape] for tensor in ends]
    needed = [[1, front_end["config"]["n_frames"], front_end["config"]["n_mfcc"]], [1, len(front_end["labels"])]]
    if shapes != needed:
        raise ValueError(f"{name} takes and gives {shapes}, need {needed}: convert it in notebook 06")


def _graph_ends(parsed: schema.ModelT, name: str) -> list[schema.TensorT]:
    """The one tensor that goes in, and the one that comes out."""
    graph = parsed.subgraphs[0]
    inputs, outputs = ([] if ends is None else list(ends) for ends in (graph.inputs, graph.outputs))
    n = len(graph.tensors or [])
    if len(inputs) != 1 or len(outputs) != 1 or not all(0 <= at < n for at in inputs + outputs):
        raise ValueError(f"{name} has {len(inputs)} inputs and {len(outputs)} outputs, need one of each")
    return [graph.tensors[inputs[0]], graph.tensors[outputs[0]]]


def _check_front_end(values: dict, name: str) -> None:
    """Raise ValueError unless configuration, normalisation and labels fit each other, and can stand in C headers."""
    try:
        config, labels = Config.from_dict(values["config"]), values["labels"]
        mean, std = (np.array(values[key], np.float64) for key in ("mean", "std"))
        fits = min(config.n_mfcc, config.n_frames, config.frame_step, config.frame_length, config.sample_rate) > 0
        fits = fits and mean.shape == std.shape == (config.n_mfcc,) and np.isfinite(mean).all() and (std > 0).all()
        fits = fits and np.isfinite(std).all() and list(labels) == list(config.genres) and len(labels) >= 2
        fits = fits and all(re.fullmatch(r"[^\W_][\w .&'-]{0,30}", label) for label in labels)
    except _DAMAGE as error:
        raise ValueError(f"{name} carries a damaged front end ({error}): convert it in notebook 06") from error
    if not fits:
        raise ValueError(f"{name} carries a front end whose mean, std, labels and configuration don't fit each other, "
                         "or labels that can't be printed: convert it in notebook 06")


def _operators(parsed: schema.ModelT) -> list[tuple[str, schema.OperatorT]]:
    """Name and operator, in order."""
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in parsed.operatorCodes]
    return [(_OP_NAMES[codes[op.opcodeIndex]], op) for op in parsed.subgraphs[0].operators]


def _tensor(parsed: schema.ModelT, index: int) -> dict:
    """One tensor: name, dtype, shape, scale (float or array), zero_point, data (array or None)."""
    tensor = parsed.subgraphs[0].tensors[index]
    dtype = _DTYPES.get(tensor.type)
    shape = tuple(int(n) for n in (tensor.shape if tensor.shape is not None else ()))
    quantization, data = tensor.quantization, parsed.buffers[tensor.buffer].data
    scales = [] if quantization is None or quantization.scale is None else [float(s) for s in quantization.scale]
    zeros = [] if quantization is None or quantization.zeroPoint is None else [int(z) for z in quantization.zeroPoint]
    if data is not None and dtype is not None:
        data = np.frombuffer(bytes(bytearray(data)), dtype).reshape(shape)
    return {"name": tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name, "shape": shape,
            "dtype": np.dtype(dtype).name if dtype else "none", "scale": scales[0] if len(scales) == 1 else scales,
            "zero_point": zeros[0] if zeros else 0, "zero_points": zeros, "data": data}


def describe(tflite: bytes, name: str = "model") -> dict:
    """What is inside a .tflite file.

    Returns
    -------
    dict
        `bytes` (of the file), `weight_bytes`, `ops` (names in order), `tensors` (list of dicts: name, dtype, shape,
        scale, zero_point, bytes of constant data), `input` and `output` (the two of them at the ends).

    Raises
    ------
    ValueError
        When it is no .tflite file, or truncated.

    Explained in notebooks/06_quantize_model.ipynb.
    """
    parsed = _parse(tflite, name)
    try:
        return _description(parsed, len(tflite))
    except _DAMAGE as error:
        raise ValueError(f"{name} is damaged, or has no input and output ({error}): write it again with notebook 06"
                         ) from error


def _description(parsed: schema.ModelT, n_bytes: int) -> dict:
    graph = parsed.subgraphs[0]
    tensors = [_tensor(parsed, index) for index in range(len(graph.tensors))]
    rows = [{**{key: t[key] for key in ("name", "dtype", "shape", "scale", "zero_point")},
             "bytes": 0 if t["data"] is None else len(t["data"].tobytes())} for t in tensors]
    return {"bytes": n_bytes, "weight_bytes": sum(row["bytes"] for row in rows),
            "ops": [op_name for op_name, _ in _operators(parsed)], "tensors": rows,
            "input": rows[graph.inputs[0]], "output": rows[graph.outputs[0]]}


def _lstm_layer(parsed: schema.ModelT, op: schema.OperatorT) -> dict:
    """One fused LSTM; see `lstm_tensors`."""
    at = [int(index) for index in op.inputs]
    options = op.builtinOptions
    _check_lstm(parsed, op)
    get = {i: _tensor(parsed, at[i]) for i in (*range(9), *range(12, 16), 18, 19)}
    hidden, cell, x = get[18], get[19], get[0]
    gates = {name: {"W": get[1 + i]["data"], "W_scale": get[1 + i]["scale"],
                    "R": get[5 + i]["data"], "R_scale": get[5 + i]["scale"], "b": get[12 + i]["data"]}
             for i, name in enumerate(_GATES)}
    output = _tensor(parsed, int(op.outputs[0]))
    return {"units": len(gates["input"]["b"]), "inputs": x["shape"][-1], "gates": gates,
            "x_scale": x["scale"], "x_zero_point": x["zero_point"],
            "h_scale": hidden["scale"], "h_zero_point": hidden["zero_point"],
            "output_scale": output["scale"], "output_zero_point": output["zero_point"],
            "c_scale": cell["scale"], "c_scale_log2": int(round(np.log2(cell["scale"]))),
            "cell_clip": float(options.cellClip)}


def _dense_layer(parsed: schema.ModelT, op: schema.OperatorT) -> dict:
    """One FULLY_CONNECTED; see `lstm_tensors`."""
    _check_dense(parsed, op)
    x, weights, output = (_tensor(parsed, int(i)) for i in (op.inputs[0], op.inputs[1], op.outputs[0]))
    n = weights["shape"][0]
    bias = _tensor(parsed, int(op.inputs[2]))["data"] if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
    return {"W": weights["data"], "W_scale": np.broadcast_to(np.asarray(weights["scale"], np.float64), n).copy(),
            "b": np.zeros(n, np.int32) if bias is None else bias,
            "x_scale": x["scale"], "x_zero_point": x["zero_point"],
            "output_scale": output["scale"], "output_zero_point": output["zero_point"]}


def _ends(parsed: schema.ModelT, op: schema.OperatorT) -> dict:
    """Scale and zero point on both sides of an operator."""
    x, output = _tensor(parsed, int(op.inputs[0])), _tensor(parsed, int(op.outputs[0]))
    return {"x_scale": x["scale"], "x_zero_point": x["zero_point"], "n": x["shape"][1],
            "output_scale": output["scale"], "output_zero_point": output["zero_point"]}


def lstm_tensors(tflite: bytes, name: str = "model") -> dict:
    """Everything that the firmware's LSTM needs, as plain numbers and arrays.

    Parameters
    ----------
    tflite : bytes
        An int8 file of the architectures `lstm2`, `lstm_mean` or `lstm_mean2`.

    Returns
    -------
    dict
        pooling : "last" (STRIDED_SLICE: the last step) or "mean" (MEAN over the steps).
        n_frames, n_mfcc : int.
        input_scale, input_zero_point : float (a float32's exact value), int. Of the model's int8 features.
        lstm : list of dicts, one for each layer in order, with
            units, inputs : int.
            gates : dict "input", "forget", "cell", "output" -> {"W": int8 (units, inputs), "W_scale": float,
                "R": int8 (units, units), "R_scale": float, "b": int32 (units,)}. W and R have zero point 0; b has
                scale x_scale * W_scale.
            x_scale, x_zero_point : of the layer's input.
            h_scale, h_zero_point : of the hidden state, and output_scale, output_zero_point of the sequence that it
                hands on (equal to the hidden state's).
            c_scale, c_scale_log2 : of the int16 cell state, a power of two (zero point 0).
            cell_clip : float, in real units (10.0).
        mean : None, or {"n": steps, "x_scale", "x_zero_point", "output_scale", "output_zero_point"}.
        dense : {"W": int8 (3, units), "W_scale": float64 (3,), "b": int32 (3,), "x_scale", "x_zero_point",
            "output_scale", "output_zero_point"}. W has zero point 0, its scale is per output row.
        softmax : {"beta": float, "x_scale", "x_zero_point", "output_scale", "output_zero_point"}.
        output_scale, output_zero_point : of the scores (1/256 and -128).

    Raises
    ------
    ValueError
        When the file isn't ours (see `check_int8`), or holds other operators.

    Explained in notebooks/06_quantize_model.ipynb and 08_deploy_to_pico.ipynb.
    """
    check_int8(tflite, name)
    try:
        _check_frames(Config.from_dict(read_front_end(tflite, name)["config"]))
        return _firmware_numbers(_parse(tflite, name))
    except _DAMAGE as error:
        raise ValueError(f"{name}: the firmware can't run this model: {error}") from error


def _firmware_numbers(parsed: schema.ModelT) -> dict:
    operators = _operators(parsed)
    ops = [op_name for op_name, _ in operators]
    n_lstm = ops.count("UNIDIRECTIONAL_SEQUENCE_LSTM")
    if n_lstm == 0 or ops[n_lstm:] not in ([p, "FULLY_CONNECTED", "SOFTMAX"] for p in ("STRIDED_SLICE", "MEAN")):
        raise ValueError(f"it holds {ops}: the firmware runs LSTM layers, then the last step or the mean, "
                         "a dense layer and softmax (architectures lstm2, lstm_mean, lstm_mean2)")
    _check_wiring(parsed, operators)
    pooling, dense, softmax = (op for _, op in operators[n_lstm:])
    lstm = [_lstm_layer(parsed, op) for _, op in operators[:n_lstm]]
    _check_pooling(parsed, ops[n_lstm], pooling)
    _check_softmax(parsed, softmax)
    graph = parsed.subgraphs[0]
    x, y = _tensor(parsed, graph.inputs[0]), _tensor(parsed, graph.outputs[0])
    mean = _ends(parsed, pooling) if ops[n_lstm] == "MEAN" else None
    return {"pooling": "mean" if mean else "last", "n_frames": x["shape"][1], "n_mfcc": x["shape"][2],
            "input_scale": x["scale"], "input_zero_point": x["zero_point"],
            "lstm": lstm, "mean": mean, "dense": _dense_layer(parsed, dense),
            "softmax": {"beta": float(softmax.builtinOptions.beta), **_ends(parsed, softmax)},
            "output_scale": y["scale"], "output_zero_point": y["zero_point"]}


# What lstm.c does is TFLM's arithmetic for these operators with these options and in these ranges, and for no others.

def _need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _check_frames(config: Config) -> None:
    """What recognizer.c, which shifts instead of dividing, and CMSIS-DSP's FFT take for granted."""
    def power_of_two(n: int, low: int, high: int) -> bool:
        return low <= n <= high and n & (n - 1) == 0

    _need(power_of_two(config.frame_step, 16, 8192) and config.frame_length % config.frame_step == 0,
          f"frame_step {config.frame_step} isn't a power of two from 16 to 8192 that divides frame_length "
          f"{config.frame_length}")
    _need(power_of_two(config.fft_length, 32, 8192) and config.frame_length % 2 == 0,
          f"fft_length {config.fft_length} isn't a power of two from 32 to 8192")
    _need(8 <= config.adc_bits <= 16 and 0 <= config.bias_shift <= 15 and 1 <= config.vote_windows <= 255
          and 0 <= config.silence_bits <= 14, "adc_bits, bias_shift, vote_windows or silence_bits is out of range")


def _check_wiring(parsed: schema.ModelT, operators: list[tuple[str, schema.OperatorT]]) -> None:
    """Each operator takes what the one before it gives, all of it int8 with one scale."""
    graph = parsed.subgraphs[0]
    at = graph.inputs[0]
    for op_name, op in operators:
        _need(op.inputs[0] == at and len(op.outputs) == 1, f"{op_name} doesn't take what comes before it")
        _check_tensor(_tensor(parsed, at), "int8", None)
        at = op.outputs[0]
    _need(at == graph.outputs[0], "its last operator isn't its output")


def _check_tensor(tensor: dict, dtype: str, shape: tuple | None, zero_point: int | None = None) -> None:
    """Type, shape, one finite scale, and a zero point that an int8 can hold (or the given one)."""
    low, high = (-128, 127) if zero_point is None else (zero_point, zero_point)
    scale, zeros = tensor["scale"], tensor["zero_points"]
    _need(tensor["dtype"] == dtype and shape in (None, tensor["shape"]),
          f"{tensor['name']} is {tensor['dtype']} {tensor['shape']}, need {dtype} {shape or ''}")
    _need(isinstance(scale, float) and 0 < scale < np.inf and len(zeros) == 1 and low <= zeros[0] <= high,
          f"{tensor['name']} has scale {scale} and zero point {zeros}")


def _check_range(weights: np.ndarray, bias: np.ndarray | int, scale: float | np.ndarray, what: str) -> None:
    """Sums of weights * (x - zero point) + bias, times their factor, stay within 32 bits."""
    largest = 255 * np.abs(weights.astype(np.int64)).sum(axis=-1) + np.abs(np.asarray(bias, np.int64))
    shift = np.frexp(np.broadcast_to(scale, largest.shape))[1]
    _need(bool((shift >= -30).all() and (largest < 2.0 ** (31 - np.maximum(shift, 0))).all()),
          f"the sums of {what} leave 32 bits")


def _check_lstm(parsed: schema.ModelT, op: schema.OperatorT) -> None:
    options, at = op.builtinOptions, [int(index) for index in op.inputs]
    absent = (9, 10, 11, 16, 17, 20, 21, 22, 23)
    _need(len(at) == 24 and all((at[i] < 0) == (i in absent) for i in range(24)) and not options.timeMajor,
          "an LSTM with peepholes, projection, layer normalisation, coupled gates or time-major order isn't supported")
    _need(options.fusedActivationFunction == schema.ActivationFunctionType.TANH and options.projClip == 0
          and not options.diagonalRecurrentTensors and 0 <= options.cellClip < np.inf,
          "an LSTM has other options than tanh")
    x, hidden, cell, output = (_tensor(parsed, int(i)) for i in (at[0], at[18], at[19], op.outputs[0]))
    units, inputs = output["shape"][-1], x["shape"][-1]
    _need(1 <= units <= 255 and 1 <= inputs <= 255, f"an LSTM has {inputs} inputs and {units} units, the most is 255")
    _check_tensor(x, "int8", (1, x["shape"][1], inputs))
    _check_tensor(output, "int8", (1, x["shape"][1], units))
    _check_tensor(hidden, "int8", (1, units), output["zero_point"])
    _check_tensor(cell, "int16", (1, units), 0)
    mantissa, power = np.frexp(cell["scale"])
    _need(mantissa == 0.5 and -15 <= power - 1 <= -9, f"a cell state has scale {cell['scale']}, need 2^-15 to 2^-9")
    _need(hidden["scale"] == output["scale"] and 2.0**-15 < hidden["scale"] < 1,
          f"an LSTM's hidden state has scale {hidden['scale']}, its output {output['scale']}")
    _need(hidden["data"] is None and cell["data"] is None, "an LSTM starts from a state other than zero")
    if op.intermediates is not None and len(op.intermediates) > 4:
        effective = _tensor(parsed, int(op.intermediates[4]))
        _need(effective["scale"] == hidden["scale"] and effective["zero_points"] == hidden["zero_points"],
              "an LSTM's effective hidden scale isn't its hidden state's")
    for gate in range(4):
        _check_gate(*(_tensor(parsed, at[first + gate]) for first in (1, 5, 12)), x, hidden, units, inputs)


def _check_gate(weights: dict, recurrent: dict, bias: dict, x: dict, hidden: dict, units: int, inputs: int) -> None:
    _check_tensor(weights, "int8", (units, inputs), 0)
    _check_tensor(recurrent, "int8", (units, units), 0)
    _need(bias["dtype"] == "int32" and bias["shape"] == (units,), f"{bias['name']} is no int32 ({units},)")
    _need(all(tensor["data"] is not None for tensor in (weights, recurrent, bias)), "an LSTM lacks its weights")
    _check_range(weights["data"], bias["data"], x["scale"] * weights["scale"] / 2**-12, "an LSTM's gate")
    _check_range(recurrent["data"], 0, hidden["scale"] * recurrent["scale"] / 2**-12, "an LSTM's gate")


def _check_pooling(parsed: schema.ModelT, kind: str, op: schema.OperatorT) -> None:
    """The last step, or the mean over the steps."""
    options, x, output = op.builtinOptions, _tensor(parsed, int(op.inputs[0])), _tensor(parsed, int(op.outputs[0]))
    _check_tensor(output, "int8", (1, x["shape"][2]))
    if kind == "MEAN":
        _need(np.array_equal(np.ravel(_tensor(parsed, int(op.inputs[1]))["data"]), [1]) and not options.keepDims,
              "MEAN isn't over the steps")
        _need(2.0**-15 < x["scale"] / output["scale"] < 2.0**8 and x["shape"][1] < 2**12,
              "MEAN's scales are far apart")
        return
    begin, end, strides = (_tensor(parsed, int(i))["data"] for i in op.inputs[1:4])
    steps = np.arange(x["shape"][1] * x["shape"][2]).reshape(x["shape"])
    index = []
    for axis in range(3):
        first, last = (None if mask >> axis & 1 else int(places[axis])
                       for mask, places in ((options.beginMask, begin), (options.endMask, end)))
        shrinks = options.shrinkAxisMask >> axis & 1
        index.append(int(begin[axis]) if shrinks else slice(first, last, int(strides[axis])))
    _need(not (options.ellipsisMask or options.newAxisMask or options.offset) and np.array_equal(
        steps[tuple(index)], steps[:, -1]), "STRIDED_SLICE doesn't take the last step")
    _need((x["scale"], x["zero_points"]) == (output["scale"], output["zero_points"]), "STRIDED_SLICE changes the scale")


def _check_dense(parsed: schema.ModelT, op: schema.OperatorT) -> None:
    options, at = op.builtinOptions, [int(index) for index in op.inputs]
    x, weights, output = (_tensor(parsed, i) for i in (at[0], at[1], int(op.outputs[0])))
    n, units = output["shape"][-1], x["shape"][-1]
    _need(len(at) in (2, 3) and at[1] >= 0 and options.fusedActivationFunction == schema.ActivationFunctionType.NONE
          and options.weightsFormat == 0 and not options.keepNumDims, "the dense layer has other options")
    _check_tensor(output, "int8", (1, n))
    scales = np.atleast_1d(np.asarray(weights["scale"], np.float64))
    _need(weights["dtype"] == "int8" and weights["shape"] == (n, units) and weights["data"] is not None
          and not any(weights["zero_points"]) and len(scales) in (1, n) and 0 < scales.min() <= scales.max() < np.inf,
          f"the dense layer's weights are {weights['dtype']} {weights['shape']}, scales {scales}")
    bias = _tensor(parsed, at[2]) if len(at) > 2 and at[2] >= 0 else {"dtype": "int32", "shape": (n,), "data": 0}
    _need(bias["dtype"] == "int32" and bias["shape"] == (n,) and bias["data"] is not None,
          "the dense layer's bias isn't int32")
    quantization = parsed.subgraphs[0].tensors[at[1]].quantization
    _need(len(scales) == 1 or quantization.quantizedDimension == 0, "the dense layer's scales aren't by genre")
    _check_range(weights["data"], bias["data"], x["scale"] * scales / output["scale"], "the dense layer")


def _check_softmax(parsed: schema.ModelT, op: schema.OperatorT) -> None:
    x, output, beta = _tensor(parsed, int(op.inputs[0])), _tensor(parsed, int(op.outputs[0])), op.builtinOptions.beta
    _check_tensor(output, "int8", x["shape"], -128)
    _need(output["scale"] == 2.0**-8 and 2.0**-26 < beta * x["scale"] < 2.0**5, "softmax has other scales than 1/256")
