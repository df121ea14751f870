"""Tensors of a parsed .tflite file, and the numbers in them that the firmware's LSTM needs.

The firmware's `lstm.c` equals TFLM for these operators, options and ranges only, so a file with others is refused here.

Notebooks: 06.
"""

import numpy as np

from ..config import Config
from .schema import schema

_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
_GATES = ("input", "forget", "cell", "output")  # the order in the .tflite file; Keras has the same
_ABSENT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # inputs for peepholes, projection and layer normalisation
_OPTIONS = {  # what the converter writes and lstm.c computes; STRIDED_SLICE is `x[:, -1]`
    _LSTM: {"fusedActivationFunction": schema.ActivationFunctionType.TANH, "projClip": 0, "timeMajor": False,
            "diagonalRecurrentTensors": False},
    "MEAN": {"keepDims": False},
    "STRIDED_SLICE": {"beginMask": 5, "endMask": 5, "ellipsisMask": 0, "newAxisMask": 0, "shrinkAxisMask": 2,
                      "offset": False},
    "FULLY_CONNECTED": {"fusedActivationFunction": schema.ActivationFunctionType.NONE, "weightsFormat": 0,
                        "keepNumDims": False},
    "SOFTMAX": {},
}
_OP_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_DTYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8, schema.TensorType.INT16: np.int16,
           schema.TensorType.INT32: np.int32}


def operators(parsed: schema.ModelT) -> list[tuple[str, schema.OperatorT]]:
    """Name and operator, in order."""
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in parsed.operatorCodes]
    return [(_OP_NAMES[codes[op.opcodeIndex]], op) for op in parsed.subgraphs[0].operators]


def tensor_at(parsed: schema.ModelT, index: int) -> dict:
    """One tensor: name, dtype, shape, scale (float or list), zero_point, zero_points, data (array or None)."""
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


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def check_frames(config: Config) -> None:
    """Raise ValueError where recognizer.c, which shifts instead of dividing, or CMSIS-DSP's FFT can't do this."""
    def power_of_two(n: int, low: int, high: int) -> bool:
        return low <= n <= high and n & (n - 1) == 0

    _need(power_of_two(config.frame_step, 16, 8192) and config.frame_length % config.frame_step == 0,
          f"frame_step {config.frame_step} isn't a power of two from 16 to 8192 that divides frame_length "
          f"{config.frame_length}")
    _need(power_of_two(config.fft_length, 32, 8192) and config.frame_length % 2 == 0,
          f"fft_length {config.fft_length} isn't a power of two from 32 to 8192")
    _need(8 <= config.adc_bits <= 16 and 0 <= config.bias_shift <= 15 and 1 <= config.vote_windows <= 255
          and 0 <= config.silence_bits <= 14, "adc_bits, bias_shift, vote_windows or silence_bits is out of range")


def firmware_numbers(parsed: schema.ModelT) -> dict:
    """See `Model.tensors`."""
    ops = operators(parsed)
    names = [op_name for op_name, _ in ops]
    n_lstm = names.count(_LSTM)
    if n_lstm == 0 or names[n_lstm:] not in ([p, "FULLY_CONNECTED", "SOFTMAX"] for p in ("STRIDED_SLICE", "MEAN")):
        raise ValueError(f"it holds {names}: the firmware runs LSTM layers, then the last step or the mean, "
                         "a dense layer and softmax (architectures lstm2, lstm_mean, lstm_mean2)")
    _check_graph(parsed, ops)
    pooling, dense, softmax = (op for _, op in ops[n_lstm:])
    graph, mean = parsed.subgraphs[0], _pooling(parsed, names[n_lstm], pooling)
    x, y = tensor_at(parsed, graph.inputs[0]), tensor_at(parsed, graph.outputs[0])
    return {"pooling": "mean" if mean else "last", "n_frames": x["shape"][1], "n_mfcc": x["shape"][2],
            "input_scale": x["scale"], "input_zero_point": x["zero_point"],
            "lstm": [_lstm_layer(parsed, op) for _, op in ops[:n_lstm]], "mean": mean,
            "dense": _dense_layer(parsed, dense), "softmax": _softmax(parsed, softmax),
            "output_scale": y["scale"], "output_zero_point": y["zero_point"]}


def _check_graph(parsed: schema.ModelT, ops: list[tuple[str, schema.OperatorT]]) -> None:
    """Each operator has the known options, and its input is the output of the one before: int8 with one scale."""
    at = parsed.subgraphs[0].inputs[0]
    for name, op in ops:
        wrong = {key: getattr(op.builtinOptions, key) for key, value in _OPTIONS[name].items()
                 if getattr(op.builtinOptions, key) != value}
        _need(not wrong, f"{name} has other options: {wrong}")
        _need(op.inputs[0] == at and len(op.outputs) == 1, f"{name} doesn't take what comes before it")
        _expect(parsed, at, "int8")
        at = op.outputs[0]
    _need(at == parsed.subgraphs[0].outputs[0], "its last operator isn't its output")


def _expect(parsed: schema.ModelT, index: int, dtype: str, shape: tuple | None = None,
            zero_point: int | None = None) -> dict:
    """A tensor; ValueError unless it has this type and shape, one finite scale, and this zero point (any of int8)."""
    tensor = tensor_at(parsed, int(index))
    low, high = (-128, 127) if zero_point is None else (zero_point, zero_point)
    scale, zeros = tensor["scale"], tensor["zero_points"]
    _need(tensor["dtype"] == dtype and shape in (None, tensor["shape"]),
          f"{tensor['name']} is {tensor['dtype']} {tensor['shape']}, need {dtype} {shape or ''}")
    _need(isinstance(scale, float) and 0 < scale < np.inf and len(zeros) == 1 and low <= zeros[0] <= high,
          f"{tensor['name']} has scale {scale} and zero point {zeros}")
    return tensor


def _constants(parsed: schema.ModelT, index: int, shape: tuple) -> np.ndarray:
    """Constant int32 values."""
    tensor = tensor_at(parsed, int(index))
    _need(tensor["dtype"] == "int32" and tensor["shape"] == shape and tensor["data"] is not None,
          f"{tensor['name']} is {tensor['dtype']} {tensor['shape']}, need int32 {shape}")
    return tensor["data"]


def _check_range(weights: np.ndarray, bias: np.ndarray | int, scale: float | np.ndarray, what: str) -> None:
    """Raise ValueError unless sums of weights * (x - zero point) + bias, times `scale`, stay within 32 bits."""
    largest = 255 * np.abs(weights.astype(np.int64)).sum(axis=-1) + np.abs(np.asarray(bias, np.int64))
    shift = np.frexp(np.broadcast_to(scale, largest.shape))[1]
    _need(bool((shift >= -30).all() and (largest < 2.0 ** (31 - np.maximum(shift, 0))).all()),
          f"the sums of {what} leave 32 bits")


def _ends(x: dict, output: dict) -> dict:
    """Scale and zero point on both sides of an operator."""
    return {"x_scale": x["scale"], "x_zero_point": x["zero_point"],
            "output_scale": output["scale"], "output_zero_point": output["zero_point"]}


def _lstm_layer(parsed: schema.ModelT, op: schema.OperatorT) -> dict:
    """One fused LSTM; see `Model.tensors`."""
    at = [int(index) for index in op.inputs]
    _need(len(at) == 24 and all((at[i] < 0) == (i in _ABSENT) for i in range(24)),
          "an LSTM with peepholes, projection, layer normalisation or coupled gates isn't supported")
    x, output = tensor_at(parsed, at[0]), tensor_at(parsed, int(op.outputs[0]))
    steps, inputs, units = x["shape"][1], x["shape"][-1], output["shape"][-1]
    _need(1 <= units <= 255 and 1 <= inputs <= 255, f"an LSTM has {inputs} inputs and {units} units, the most is 255")
    x, output = _expect(parsed, at[0], "int8", (1, steps, inputs)), _expect(parsed, op.outputs[0], "int8",
                                                                            (1, steps, units))
    hidden, cell = _states(parsed, op, at, output, units)
    gates = {name: _gate(parsed, at, i, x, hidden) for i, name in enumerate(_GATES)}
    cell_clip = float(op.builtinOptions.cellClip)
    _need(0 <= cell_clip < np.inf, f"an LSTM clips its cell state at {cell_clip}")
    return {"units": units, "inputs": inputs, "gates": gates, **_ends(x, output),
            "h_scale": hidden["scale"], "h_zero_point": hidden["zero_point"],
            "c_scale": cell["scale"], "c_scale_log2": int(round(np.log2(cell["scale"]))), "cell_clip": cell_clip}


def _states(parsed: schema.ModelT, op: schema.OperatorT, at: list[int], output: dict, units: int) -> tuple[dict, dict]:
    """Hidden and cell state; ValueError unless both start at zero and the hidden state has its output's scale."""
    hidden = _expect(parsed, at[18], "int8", (1, units), output["zero_point"])
    cell = _expect(parsed, at[19], "int16", (1, units), 0)
    mantissa, power = np.frexp(cell["scale"])
    _need(mantissa == 0.5 and -15 <= power - 1 <= -9, f"a cell state has scale {cell['scale']}, need 2^-15 to 2^-9")
    _need(hidden["scale"] == output["scale"] and 2.0**-15 < hidden["scale"] < 1,
          f"an LSTM's hidden state has scale {hidden['scale']}, its output {output['scale']}")
    _need(hidden["data"] is None and cell["data"] is None, "an LSTM starts from a state other than zero")
    if op.intermediates is not None and len(op.intermediates) > 4:
        effective = tensor_at(parsed, int(op.intermediates[4]))
        _need(effective["scale"] == hidden["scale"] and effective["zero_points"] == hidden["zero_points"],
              "an LSTM's effective hidden scale isn't its hidden state's")
    return hidden, cell


def _gate(parsed: schema.ModelT, at: list[int], index: int, x: dict, hidden: dict) -> dict:
    units, inputs = hidden["shape"][1], x["shape"][2]
    weights = _expect(parsed, at[1 + index], "int8", (units, inputs), 0)
    recurrent = _expect(parsed, at[5 + index], "int8", (units, units), 0)
    bias = _constants(parsed, at[12 + index], (units,))
    _need(weights["data"] is not None and recurrent["data"] is not None, "an LSTM lacks its weights")
    _check_range(weights["data"], bias, x["scale"] * weights["scale"] / 2**-12, "an LSTM's gate")
    _check_range(recurrent["data"], 0, hidden["scale"] * recurrent["scale"] / 2**-12, "an LSTM's gate")
    return {"W": weights["data"], "W_scale": weights["scale"], "R": recurrent["data"], "R_scale": recurrent["scale"],
            "b": bias}


def _pooling(parsed: schema.ModelT, kind: str, op: schema.OperatorT) -> dict | None:
    """Numbers of the mean over the steps; None where the last step is taken."""
    x = tensor_at(parsed, int(op.inputs[0]))
    output = _expect(parsed, op.outputs[0], "int8", (1, x["shape"][2]))
    if kind == "MEAN":
        axis = np.ravel(tensor_at(parsed, int(op.inputs[1]))["data"])
        _need(np.array_equal(axis, [1]), "MEAN isn't over the steps")
        _need(2.0**-15 < x["scale"] / output["scale"] < 2.0**8 and x["shape"][1] < 2**12, "MEAN's scales are far apart")
        return {"n": x["shape"][1], **_ends(x, output)}
    begin, _, strides = (_constants(parsed, i, (3,)) for i in op.inputs[1:4])
    _need(begin[1] in (-1, x["shape"][1] - 1) and np.array_equal(strides, [1, 1, 1]),
          "STRIDED_SLICE doesn't take the last step")
    _need((x["scale"], x["zero_points"]) == (output["scale"], output["zero_points"]), "STRIDED_SLICE changes the scale")
    return None


def _dense_layer(parsed: schema.ModelT, op: schema.OperatorT) -> dict:
    """One FULLY_CONNECTED; see `Model.tensors`."""
    at = [int(index) for index in op.inputs]
    _need(len(at) in (2, 3) and at[1] >= 0, "the dense layer has other inputs")
    x, weights = tensor_at(parsed, at[0]), tensor_at(parsed, at[1])
    n, units = tensor_at(parsed, int(op.outputs[0]))["shape"][-1], x["shape"][-1]
    output = _expect(parsed, op.outputs[0], "int8", (1, n))
    scales = np.atleast_1d(np.asarray(weights["scale"], np.float64))
    _need(weights["dtype"] == "int8" and weights["shape"] == (n, units) and weights["data"] is not None
          and not any(weights["zero_points"]) and len(scales) in (1, n) and 0 < scales.min() <= scales.max() < np.inf,
          f"the dense layer's weights are {weights['dtype']} {weights['shape']}, scales {scales}")
    quantization = parsed.subgraphs[0].tensors[at[1]].quantization
    _need(len(scales) == 1 or quantization.quantizedDimension == 0, "the dense layer's scales aren't by genre")
    bias = _constants(parsed, at[2], (n,)) if len(at) > 2 and at[2] >= 0 else np.zeros(n, np.int32)
    _check_range(weights["data"], bias, x["scale"] * scales / output["scale"], "the dense layer")
    return {"W": weights["data"], "W_scale": np.broadcast_to(scales, n).copy(), "b": bias, **_ends(x, output)}


def _softmax(parsed: schema.ModelT, op: schema.OperatorT) -> dict:
    x, beta = tensor_at(parsed, int(op.inputs[0])), float(op.builtinOptions.beta)
    output = _expect(parsed, op.outputs[0], "int8", x["shape"], -128)
    _need(output["scale"] == 2.0**-8 and 2.0**-26 < beta * x["scale"] < 2.0**5, "softmax has other scales than 1/256")
    return {"beta": beta, **_ends(x, output)}
