"""Damaged and foreign model files: each is refused with a clear message, or its C gives the same bits as TFLM."""

from __future__ import annotations

import collections
import json
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Callable

import numpy as np
from tqdm.auto import tqdm

from mgr_helpers.config import CONFIG, Config
from mgr_helpers.model import quantize
from mgr_helpers.model.network import build_model
from mgr_helpers.model.tflite import _find_metadata, _parse, embed_front_end, front_end_dict, load_model, open_model, pack
from mgr_helpers.pico import headers

from tests import tflm

from . import last_line, python, relative, result, times

N_WINDOWS = 200  # on which an accepted model's C is compared with TFLM
REMEDIES = ("notebook 06", "quantize.convert", "architectures lstm2", "can't run", "need")


def shipped() -> bytes:
    """The shipped model with its seal. Embedding the front end again seals an older file, too."""
    model = load_model()
    return embed_front_end(model.content, model.metadata)


def verdict(content: bytes) -> str:
    """What reading a model and writing its headers says: "accepted", the refusal, or "crashed: ...".

    A refused model must not leave headers.
    """
    said = []
    with tempfile.TemporaryDirectory() as temporary:
        path, generated = Path(temporary) / "mine.tflite", Path(temporary) / "generated"
        path.write_bytes(content)
        for use in (lambda: load_model(path), lambda: headers.write_headers(open_model(content), generated)):
            try:
                use()
                said.append("accepted")
            except ValueError as error:
                said.append(f"{error}")
            except Exception as error:  # noqa: BLE001 - anything but ValueError is the finding
                said.append(f"crashed: {error!r}")
        if said[1] != "accepted" and generated.exists():
            return f"crashed: headers of a refused model were written ({said[1]})"
    return said[1] if not said[0].startswith("crashed") else said[0]


def problem(said: str) -> str | None:
    """What is wrong with a refusal, or None: it must be a ValueError that says what to do."""
    if said.startswith("crashed") or not any(remedy in said for remedy in REMEDIES):
        return f"no clear message: {relative(said)[:300]}"
    return None


# --- damage -------------------------------------------------------------------------------------------------------

def flips() -> dict:
    """The shipped model with one flipped bit."""
    whole, broke, n = shipped(), [], times(1000)
    for seed in tqdm(range(n), desc="flipped bits", leave=False):
        rng, damaged = random.Random(seed), bytearray(whole)
        place = rng.randrange(len(whole))
        damaged[place] ^= 1 << rng.randrange(8)
        said = verdict(bytes(damaged))
        if said == "accepted" or problem(said):
            broke.append(f"byte {place}: {said[:200]}")
    return result("the shipped model with one bit flipped at a random place: it is refused, and no header is written",
                  n, broke, bytes=len(whole))


def truncations() -> dict:
    """The shipped model cut off, or with bytes added at its end."""
    whole, broke, n = shipped(), [], times(200)
    for seed in tqdm(range(n), desc="truncated models", leave=False):
        rng = random.Random(seed)
        content = whole + rng.randbytes(rng.randrange(1, 50)) if seed % 10 == 0 else whole[: rng.randrange(len(whole))]
        said = verdict(content)
        if said == "accepted" or problem(said):
            broke.append(f"{len(content)} of {len(whole)} bytes: {said[:200]}")
    return result("the shipped model cut off at a random byte, or lengthened: it is refused, and no header is written",
                  n, broke)


FUZZ = """
import random, sys
from mgr_helpers.model import tflite
whole = open(sys.argv[1], "rb").read()
fates = {}
for seed in range(int(sys.argv[2]), int(sys.argv[3])):
    rng, damaged = random.Random(seed), bytearray(whole)
    for _ in range(rng.choice([1, 1, 3, 10])):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    for name, use in (("description", lambda content: tflite.open_model(content).description),
                      ("tensors", lambda content: tflite.open_model(content).tensors)):
        try:
            use(bytes(damaged))
        except ValueError as error:
            pass
        except Exception as error:
            print("FOUND", seed, name, repr(error)[:200].replace("\\n", " "), flush=True)
print("done")
"""


def foreign_damage() -> dict:
    """A damaged file of another maker, which has no seal: reading it may only end in ValueError."""
    whole, broke, n = shipped(), [], times(1000)
    parsed = _parse(whole)
    parsed.buffers[_find_metadata(parsed)].data, parsed.metadata = None, []
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "foreign.tflite"
        path.write_bytes(pack(parsed))
        for first in tqdm(range(0, n, 100), desc="foreign models", leave=False):
            try:
                done = python(FUZZ, path, first, min(first + 100, n), seconds=300)
                broke += [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
                if last_line(done.stdout) != "done":
                    broke.append(f"seeds {first} to {first + 99}: {done.returncode} {relative(last_line(done.stderr))}")
            except subprocess.TimeoutExpired:
                broke.append(f"seeds {first} to {first + 99}: hangs")
    return result("a file without our metadata, with 1 to 10 bytes replaced: reading it works or ends in ValueError, "
                  "no crash, no hang", n, broke)


# --- intact files of other makers -----------------------------------------------------------------------------------

def converted(architecture: str, config: Config = CONFIG, calibrated: bool = True, units: int | None = None) -> bytes:
    """An untrained network as a .tflite file."""
    rng = np.random.default_rng(1)
    windows = rng.normal(size=(30, config.n_frames, config.n_mfcc)).astype(np.float32)
    front_end = front_end_dict(np.zeros(config.n_mfcc), np.ones(config.n_mfcc), config.genres, config)
    network = build_model(architecture, units, config=config)
    return quantize.convert(network, windows if calibrated else None, front_end).content


def other_files() -> dict[str, bytes]:
    """Files that the firmware can't run, by what they are."""
    other = Config(n_mfcc=13, n_frames=10)
    front_end = load_model().metadata
    return {"a float model": converted("lstm2", calibrated=False), "pooling": converted("pooling"),
            "many-to-many": converted("lstm_many"), "300 units": converted("lstm2", units=300),
            "another shape than its configuration": embed_front_end(converted("lstm2", other), front_end),
            "one operator": tflm._activation_model("TANH", 18, 2.0**-12), "empty": b"", "text": b"hello " * 100,
            "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(500), "no graph": b"\0\0\0\0TFL3" + bytes(500)}


def other_models() -> dict:
    """.tflite files with other types, operators and shapes, and files that are no .tflite files."""
    broke = []
    cases = other_files()
    for name, tflite in tqdm(cases.items(), desc="other models", leave=False):
        said = verdict(tflite)
        if said == "accepted" or problem(said):
            broke.append(f"{name}: {said[:200]}")
    return result("models that are float, pooling, many-to-many, too large, of other shapes than their configuration, "
                  "or of one operator; text, an image: each is refused with a clear message, and no header is written",
                  len(cases), broke)


def changed(rng: random.Random, tflite: bytes) -> tuple[str, bytes]:
    """Change a sealed file at one random place, and seal it again; returns the kind of place, and the file."""
    front_end, parsed = open_model(tflite).metadata, _parse(tflite)
    parsed.buffers[_find_metadata(parsed)].data, parsed.metadata = None, []
    graph = parsed.subgraphs[0]
    place = rng.choice(["option", "scale", "zero point", "shape", "input", "data", "type"])
    tensor = rng.choice([t for t in graph.tensors if t.quantization is not None and t.quantization.scale is not None])
    if place == "option":
        options = rng.choice(graph.operators).builtinOptions
        name = rng.choice(sorted(name for name, value in vars(options).items() if isinstance(value, (int, float))))
        setattr(options, name, rng.choice([0, 1, 2, 5]) if not isinstance(getattr(options, name), bool) else True)
        place = f"option {name}"
    elif place == "scale":
        factor = rng.choice([0.5, 0.9, 1.1, 2, 100, 1e-9, 1e9, -1, 0])
        tensor.quantization.scale = [float(value) * factor for value in tensor.quantization.scale]
    elif place == "zero point":
        more = rng.choice([-3, 1, 200])
        tensor.quantization.zeroPoint = [int(value) + more for value in tensor.quantization.zeroPoint]
    elif place == "shape":
        tensor.shape = list(tensor.shape)[::-1] if rng.random() < 0.5 else [int(n) + 1 for n in tensor.shape]
    elif place == "input":
        operator = rng.choice(graph.operators)
        wires = [int(at) for at in operator.inputs]
        wires[rng.randrange(len(wires))] = rng.randrange(-1, len(graph.tensors))
        operator.inputs = wires
    elif place == "data":
        buffer = rng.choice([buffer for buffer in parsed.buffers if buffer.data is not None and len(buffer.data) > 8])
        buffer.data = np.frombuffer(rng.randbytes(len(buffer.data)), np.uint8)
    else:
        tensor.type = rng.choice([0, 2, 7, 9])
    return place, embed_front_end(pack(parsed), front_end)


COMPARE = """
import sys
from pathlib import Path
import numpy as np
from mgr_helpers.host import host_c
from mgr_helpers.model import runtimes, tflite
from mgr_helpers.pico import headers
model = tflite.open_model(Path(sys.argv[1]).read_bytes())
headers.write_headers(model, Path(sys.argv[2]))
shape = model.description["input"]["shape"][1:]
features = np.random.default_rng(0).integers(-128, 128, (int(sys.argv[3]), *shape)).astype(np.int8)
features[: len(features) // 2] //= 4
wrong = (host_c.host_library(Path(sys.argv[2])).scores(features) != runtimes.run_tflm(model, features)).any(1).sum()
print("\\nwrong", wrong)
"""


def compare_with_tflm(tflite: bytes) -> str | None:
    """Build the C of an accepted model, and compare its scores with TFLM's. Returns what differs, or None."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "mine.tflite"
        path.write_bytes(tflite)
        try:
            done = python(COMPARE, path, Path(temporary) / "generated", N_WINDOWS, seconds=300)
        except subprocess.TimeoutExpired:
            return "its C hangs"
    if done.returncode:
        return f"its C does not build or run ({done.returncode}): {relative(last_line(done.stderr), Path(temporary))}"
    said = last_line(done.stdout)
    return None if said == "wrong 0" else f"{said} of {N_WINDOWS} windows"


def other_makers() -> dict:
    """Intact files with one thing changed: each is refused, or its C equals TFLM bit for bit."""
    broke, n, fates, kinds = [], times(60), collections.Counter(), [shipped(), converted("lstm2")]
    for seed in tqdm(range(n), desc="changed models", leave=False):
        place, tflite = changed(random.Random(seed), kinds[seed % 2])
        said = verdict(tflite)
        fates["accepted" if said == "accepted" else "refused"] += 1
        wrong = compare_with_tflm(tflite) if said == "accepted" else problem(said)
        if wrong:
            broke.append(f"{seed} {place}: {wrong}")
    return result("an intact, sealed model with one option, scale, zero point, shape, connection, type or block of "
                  "weights changed: it is refused, or its C equals TFLM on every window", n, broke, **fates,
                  windows_compared=N_WINDOWS * fates["accepted"])


# --- front ends -----------------------------------------------------------------------------------------------------

def front_ends() -> dict:
    """Metadata that does not fit the model, or that would break the C headers."""
    whole = shipped()
    good = open_model(whole).metadata
    n = len(good["mean"])
    edits = [{"mean": [0.0] * (n - 1)}, {"std": [0.0] * n}, {"std": [-1.0] * n}, {"mean": [float("nan")] * n},
             {"std": [float("inf")] * n}, {"mean": "none"}, {"labels": ["a", "b", "c"]}, {"config": {}}, {"config": 3},
             {"labels": []}, {"mean": [[0.0]] * n}]
    for name in ('"; int x; //', "a\\", "a\nb", "", "😀", "x" * 100, "%s"):
        genres = [name, *good["labels"][1:]]
        edits.append({"labels": genres, "config": {**good["config"], "genres": genres}})
    for key, value in (("n_mfcc", n - 1), ("n_frames", 5), ("sample_rate", -1), ("sample_rate", "fast"), ("n_mels", 0),
                       ("frame_length", 0), ("fft_length", 1000), ("frame_step", 1000), ("upper_hz", 1e9), ("new", 1)):
        edits.append({"config": {**good["config"], key: value}})
    broke = []
    for edit in tqdm(edits, desc="front ends", leave=False):
        said = verdict(embed_front_end(whole, {**good, **edit}))
        if said == "accepted" or problem(said):
            broke.append(f"{json.dumps(edit)[:100]}: {said[:200]}")
    return result("a front end with wrong lengths, NaN, zero deviations, labels that would break C, or impossible "
                  "configurations: it is refused with a clear message", len(edits), broke)


def campaigns() -> list[tuple[str, Callable[[], dict]]]:
    """Name and callable of each campaign."""
    return [("flipped bits", flips), ("truncated models", truncations), ("damaged foreign files", foreign_damage),
            ("other models", other_models), ("other makers", other_makers), ("front ends", front_ends)]
