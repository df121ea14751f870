"""TensorFlow Lite Micro as an oracle: what needs it, and its int16 activations, driven one by one."""

import numpy as np
import pytest

from mgr_helpers.model import runtimes
from mgr_helpers.model.schema import schema
from mgr_helpers.model.tflite import pack

NEEDS_TFLM = pytest.mark.skipif(bool(runtimes.NO_TFLM), reason=runtimes.NO_TFLM)


def _activation_model(op: str, n: int, input_scale: float) -> bytes:
    """A .tflite file whose only operator is an int16 LOGISTIC or TANH of `n` values."""
    model, graph, operator, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, op)
    code.version = 1
    graph.tensors = []
    for name, scale in (("x", input_scale), ("y", 2.0**-15)):
        tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, n], schema.TensorType.INT16, 0
        quantization.scale, quantization.zeroPoint = [scale], [0]
        tensor.quantization = quantization
        graph.tensors.append(tensor)
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    graph.inputs, graph.outputs, graph.operators, graph.name = [0], [1], [operator], "main"
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], [schema.BufferT()]
    return pack(model)


def run_activation(op: str, values: np.ndarray, input_scale: float) -> np.ndarray:
    """TFLM's int16 LOGISTIC or TANH of `values` (int16, any length), inputs of the given scale, outputs of 2**-15."""
    values = np.asarray(values, np.int16).reshape(1, -1)
    content = _activation_model(op, values.size, input_scale)
    interpreter = runtimes.runtime.Interpreter.from_bytes(content, arena_size=4 * values.nbytes + 20_000)
    interpreter.set_input(values, 0)
    interpreter.invoke()
    return interpreter.get_output(0)[0].copy()


def measured_sigmoid_table() -> np.ndarray:
    """TFLM's table T of the sigmoid, measured with the runtime itself: uint16 (256,).

    T[u] is nearly sigmoid(u / 24) * 2**16, but 44 entries are rounded differently. For inputs z of scale 2/12288, TANH
    interpolates in T at u = z / 128; where z is a multiple of 128 it gives T[u] - 32768. T[255] can't be reached so: it
    follows from a value between T[254] and T[255].
    """
    scale = float(np.nextafter(np.float32(2 / 12288), np.float32(1)))  # just above, as TFLM truncates scale * 12288
    z = 128 * np.arange(255)
    table = np.zeros(256, np.int64)
    table[:255] = run_activation("TANH", z, scale).astype(np.int64) + 32768
    between = int(run_activation("TANH", [254 * 128 + 127], scale)[0])
    fits = [t for t in range(int(table[254]), 65536)
            if ((int(table[254]) << 8) + 254 * (t - int(table[254])) - 2**23 + 128) >> 8 == between]
    table[255] = fits[len(fits) // 2]
    return table.astype(np.uint16)
