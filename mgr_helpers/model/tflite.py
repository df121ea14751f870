"""A .tflite file of ours, opened once: front end, threshold and tensors, and the checks that it is ours.

The file carries its front end in its own metadata: configuration, normalisation and labels, with a SHA-256 over the
whole file. LiteRT and TFLM skip metadata that they don't know.

Notebooks: 00, 06, 08, 09.
"""

import hashlib
import json
import re
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import flatbuffers
import numpy as np

from ..config import CONFIG, PRETRAINED, Config
from ..features.mfcc_q15 import FrontEnd
from ..host.files import shown
from .schema import schema
from .tensors import check_frames, firmware_numbers, operators, tensor_at

SHIPPED = PRETRAINED / "model_int8.tflite"
METADATA_NAME = "mgr_front_end"
MOST_LABELS = 24  # a decision's line has a score for each: LONGEST in the sketch's lines.cpp
_SEAL = re.compile(rb'"sha256": "([0-9a-f]{64})"')
_NO_SEAL = "0" * 64
_DAMAGE = (struct.error, IndexError, KeyError, TypeError, ValueError, AttributeError, AssertionError, OverflowError,
           MemoryError, RecursionError)  # what reading a damaged file may raise


@dataclass(frozen=True, eq=False)
class Model:
    """A .tflite file, parsed once. What follows from it is computed at first use and kept.

    Attributes
    ----------
    name : str
        The file's name, for messages.
    content : bytes
    parsed : schema.ModelT
        The content as plain Python objects.
    """

    name: str
    content: bytes = field(repr=False)
    parsed: schema.ModelT = field(repr=False)

    @cached_property
    def metadata(self) -> dict:
        """What `embed_front_end` wrote: config, mean, std, labels, and unsure_below where it has been set.

        ValueError when the file carries no front end.
        """
        index = _find_metadata(self.parsed)
        if index is None or self.parsed.buffers[index].data is None:
            raise ValueError(f"{self.name} carries no front end ({METADATA_NAME}): convert it with quantize.convert")
        values = json.loads(bytes(bytearray(self.parsed.buffers[index].data)))
        return {key: value for key, value in values.items() if key != "sha256"}

    @cached_property
    def description(self) -> dict:
        """What is inside the file; ValueError when it is damaged.

        bytes (of the file), weight_bytes, ops (names in order), tensors (a list of name, dtype, shape, scale,
        zero_point, bytes of constant data), input and output (two of these tensors).
        """
        try:
            return _description(self.parsed, len(self.content))
        except _DAMAGE as error:
            raise ValueError(f"{self.name} is damaged, or has no input and output ({error}): write it again with "
                             "notebook 06") from error

    @cached_property
    def front_end(self) -> FrontEnd:
        """The front end, with the quantisation of the model's input; ValueError when this is no int8 model of ours."""
        _check_int8(self)
        ends = self.description["input"]
        return FrontEnd(tuple(self.metadata["mean"]), tuple(self.metadata["std"]), float(ends["scale"]),
                        int(ends["zero_point"]), Config.from_dict(self.metadata["config"]))

    @property
    def config(self) -> Config:
        """The configuration that the model was trained with; raises as `front_end` does."""
        return self.front_end.config

    @property
    def labels(self) -> list[str]:
        """Names of the classes in the order of the scores: the genres, then what is none of them."""
        return list(self.metadata["labels"])

    @cached_property
    def unsure_below(self) -> int:
        """The confidence of a vote, in percent, below which the Pico says *unsure*: 1 to 100, else a ValueError.

        A file in which it was never set has 1: the Pico then says *unsure* only when it has heard nothing.
        """
        percent = self.metadata.get("unsure_below", 1)
        if type(percent) is not int or not 1 <= percent <= 100:
            raise ValueError(f"{self.name} says unsure below {percent!r}, need a whole percentage from 1 to 100: "
                             "set it with Model.with_threshold")
        return percent

    def with_threshold(self, percent: int) -> "Model":
        """The same model with another threshold; `evaluate.threshold_for` finds it on validation songs."""
        content = embed_front_end(self.content, {**self.metadata, "unsure_below": int(percent)})
        changed = open_model(content, self.name)
        changed.unsure_below  # checks the range
        return changed

    @cached_property
    def tensors(self) -> dict:
        """Everything that the firmware's LSTM needs; ValueError when the firmware can't run the model.

        pooling : "last" (STRIDED_SLICE: the last step) or "mean" (MEAN over the steps).
        n_frames, n_mfcc : int.
        input_scale, input_zero_point : float (a float32's exact value), int. Of the model's int8 features.
        lstm : list of dicts, one for each layer in order, with
            units, inputs : int.
            gates : dict "input", "forget", "cell", "output" -> {"W": int8 (units, inputs), "W_scale": float,
                "R": int8 (units, units), "R_scale": float, "b": int32 (units,)}. W and R have zero point 0; b has
                scale x_scale * W_scale.
            x_scale, x_zero_point : of the layer's input.
            h_scale, h_zero_point : of the hidden state.
            output_scale, output_zero_point : of the layer's output, the same.
            c_scale, c_scale_log2 : of the int16 cell state, a power of two (zero point 0).
            cell_clip : float, in real units (10.0).
        mean : None, or {"n": steps, "x_scale", "x_zero_point", "output_scale", "output_zero_point"}.
        dense : {"W": int8 (n_genres, units), "W_scale": float64 (n_genres,), "b": int32 (n_genres,), "x_scale",
            "x_zero_point", "output_scale", "output_zero_point"}. W has zero point 0, its scale is per output row.
        softmax : {"beta": float, "x_scale", "x_zero_point", "output_scale", "output_zero_point"}.
        output_scale, output_zero_point : of the scores (1/256 and -128).
        """
        config = self.config
        try:
            check_frames(config)
            return firmware_numbers(self.parsed)
        except _DAMAGE as error:
            raise ValueError(f"{self.name}: the firmware can't run this model: {error}") from error


def open_model(content: bytes, name: str = "model") -> Model:
    """Parse the bytes of a .tflite file and check its checksum; ValueError when it is no such file, or damaged."""
    _check_seal(content, name)
    return Model(name, content, _parse(content, name))


def load_model(path: str | Path = SHIPPED) -> Model:
    """Open an int8 model of ours; FileNotFoundError or ValueError when it is missing or no such model."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {shown(path)}: run notebook 06, or `make pretrained DATA=<folder>`")
    model = open_model(path.read_bytes(), path.name)
    _check_int8(model)
    return model


def _parse(content: bytes, name: str = "model") -> schema.ModelT:
    """The file as plain Python objects; ValueError where it is no whole .tflite file."""
    if len(content) < 8 or content[4:8] != b"TFL3":
        raise ValueError(f"{name} is not a .tflite file (no TFL3 mark): give a file that notebook 06 wrote")
    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    except _DAMAGE as error:
        raise ValueError(f"{name} is truncated or damaged ({error}): write it again with notebook 06") from error


def _check_seal(content: bytes, name: str) -> None:
    """Raise ValueError when a file with our metadata has changed since `embed_front_end` wrote it."""
    if METADATA_NAME.encode() not in content:
        return
    seals = _SEAL.findall(content)
    if len(seals) != 1:
        raise ValueError(f"{name} carries no checksum (made by an older version, or damaged): convert it again in "
                         "notebook 06")
    if hashlib.sha256(content.replace(seals[0], _NO_SEAL.encode())).hexdigest().encode() != seals[0]:
        raise ValueError(f"{name} is truncated or damaged (its checksum is wrong): write it again with notebook 06")


def front_end_dict(mean: np.ndarray, std: np.ndarray, labels, config: Config = CONFIG) -> dict:
    """What `embed_front_end` writes: configuration, labels (genres first), and normalisation (see `network.fit_normalisation`)."""
    return {"config": config.to_dict(), "mean": [float(value) for value in mean],
            "std": [float(value) for value in std], "labels": [str(label) for label in labels]}


def embed_front_end(content: bytes, front_end: dict) -> bytes:
    """Write a front end (of `front_end_dict`) into a .tflite file's own metadata, in place of an older one.

    The new file's metadata also hold its SHA-256, taken with zeros in the digest's place: any changed byte is noticed.
    """
    parsed = open_model(content, "the file").parsed
    index = _find_metadata(parsed)
    if index is None:
        item, buffer = schema.MetadataT(), schema.BufferT()
        item.name, item.buffer = METADATA_NAME, len(parsed.buffers)
        parsed.metadata = (parsed.metadata or []) + [item]
        parsed.buffers.append(buffer)
        index = item.buffer
    text = json.dumps({**front_end, "sha256": _NO_SEAL}, sort_keys=True)
    parsed.buffers[index].data = np.frombuffer(text.encode(), np.uint8)
    unsealed = pack(parsed)
    seal = f'"sha256": "{hashlib.sha256(unsealed).hexdigest()}"'
    return unsealed.replace(f'"sha256": "{_NO_SEAL}"'.encode(), seal.encode())


def pack(parsed: schema.ModelT) -> bytes:
    """Bytes of the .tflite file; each buffer starts at a multiple of four bytes, as a Cortex-M0+ needs."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(parsed.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _find_metadata(parsed: schema.ModelT) -> int | None:
    """Index of the buffer that holds our JSON, or None."""
    for item in parsed.metadata or []:
        if item.name in (METADATA_NAME, METADATA_NAME.encode()):
            return item.buffer
    return None


def _check_int8(model: Model) -> None:
    """Raise ValueError unless it is an int8 model of ours: one graph, int8 ends, a front end, shapes that fit it."""
    name, graphs = model.name, model.parsed.subgraphs or []
    if len(graphs) != 1 or not graphs[0].operators:
        raise ValueError(f"{name} has {len(graphs)} subgraphs, need one with operators")
    inputs, outputs = ([] if ends is None else list(ends) for ends in (graphs[0].inputs, graphs[0].outputs))
    n = len(graphs[0].tensors or [])
    if len(inputs) != 1 or len(outputs) != 1 or not all(0 <= at < n for at in inputs + outputs):
        raise ValueError(f"{name} has {len(inputs)} inputs and {len(outputs)} outputs, need one of each")
    ends = [graphs[0].tensors[at] for at in inputs + outputs]
    if any(tensor.type != schema.TensorType.INT8 for tensor in ends):
        raise ValueError(f"{name} is not quantised to int8 at its input and output: convert it in notebook 06")
    config = _checked_config(model)
    shapes = [[] if tensor.shape is None else [int(n) for n in tensor.shape] for tensor in ends]
    needed = [[1, config.n_frames, config.n_mfcc], [1, len(model.labels)]]
    if shapes != needed:
        raise ValueError(f"{name} takes and gives {shapes}, need {needed}: convert it in notebook 06")


def _checked_config(model: Model) -> Config:
    """The configuration; ValueError unless normalisation and labels fit it, and can be written into C headers."""
    values, remedy = model.metadata, "convert it in notebook 06"
    try:
        config, labels = Config.from_dict(values["config"]), values["labels"]
        mean, std = (np.array(values[key], np.float64) for key in ("mean", "std"))
        fits = min(config.n_mfcc, config.n_frames, config.frame_step, config.frame_length, config.sample_rate) > 0
        fits = fits and mean.shape == std.shape == (config.n_mfcc,) and np.isfinite(mean).all() and (std > 0).all()
        fits = fits and np.isfinite(std).all() and list(labels[: len(config.genres)]) == list(config.genres)
        fits = fits and 2 <= len(set(labels)) == len(labels) <= MOST_LABELS
        fits = fits and all(re.fullmatch(r"[^\W_][\w .&'-]{0,30}", label) for label in labels)
    except _DAMAGE as error:
        raise ValueError(f"{model.name} carries a damaged front end ({error}): {remedy}") from error
    if not fits:
        raise ValueError(f"{model.name} carries a front end whose mean, std, labels and configuration don't fit each "
                         f"other, or labels that can't be printed: {remedy}")
    return config


def _description(parsed: schema.ModelT, n_bytes: int) -> dict:
    graph = parsed.subgraphs[0]
    tensors = [tensor_at(parsed, index) for index in range(len(graph.tensors))]
    rows = [{**{key: t[key] for key in ("name", "dtype", "shape", "scale", "zero_point")},
             "bytes": 0 if t["data"] is None else len(t["data"].tobytes())} for t in tensors]
    return {"bytes": n_bytes, "weight_bytes": sum(row["bytes"] for row in rows),
            "ops": [op_name for op_name, _ in operators(parsed)], "tensors": rows,
            "input": rows[graph.inputs[0]], "output": rows[graph.outputs[0]]}
