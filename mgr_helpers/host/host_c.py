"""The firmware's C, compiled for this computer.

Notebooks: 08.
"""

import ctypes
import re
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from ..config import FIRMWARE, build_dir
from . import toolchain
from .files import write_whole
from .toolchain import EMULATOR


class HostLibrary:
    """The firmware's portable C, compiled for this computer. Several threads may call it at once."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        shape = (ctypes.c_int32 * 5).in_dll(library, "batch_shape")
        self.window_length, self.frame_step, self.n_frames, self.n_mfcc, self.n_classes = shape
        address, int32, int64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
        for batch in (library.batch_features, library.batch_mfcc):
            batch.argtypes = (address, int32, int64, address)
        library.batch_scores.argtypes = (address, int32, address)
        library.batch_decisions.argtypes = (address, int64, int32, address, int32)

    def features(self, windows: np.ndarray) -> np.ndarray:
        """int16 (n, >= window_length) to int8 features (n, n_frames, n_mfcc)."""
        return self._of_windows(self.library.batch_features, windows, np.int8)

    def mfcc(self, windows: np.ndarray) -> np.ndarray:
        """int16 (n, >= window_length) to MFCCs, the level still in c0: int32 Q9.22 (n, n_frames, n_mfcc)."""
        return self._of_windows(self.library.batch_mfcc, windows, np.int32)

    def _of_windows(self, batch, windows: np.ndarray, dtype) -> np.ndarray:
        windows = np.ascontiguousarray(windows, np.int16)
        if windows.ndim != 2 or windows.shape[1] < self.window_length:
            raise ValueError(f"windows must be (n, >= {self.window_length}), got {windows.shape}")
        out = np.empty((len(windows), self.n_frames, self.n_mfcc), dtype)
        batch(windows.ctypes.data, len(windows), windows.shape[1], out.ctypes.data)
        return out

    def scores(self, features: np.ndarray) -> np.ndarray:
        """int8 features (n, n_frames, n_mfcc) to int8 scores (n, classes)."""
        features = np.ascontiguousarray(features, np.int8)
        if features.shape[1:] != (self.n_frames, self.n_mfcc):
            raise ValueError(f"features must be (n, {self.n_frames}, {self.n_mfcc}), got {features.shape}")
        scores = np.empty((len(features), self.n_classes), np.int8)
        self.library.batch_scores(features.ctypes.data, len(features), scores.ctypes.data)
        return scores


def host_library(generated: Path | None = None) -> HostLibrary:
    """Compile the firmware's C for this computer, once, and load it.

    `generated` is a folder with headers of your own model, instead of those that ship. A RuntimeError says why it does
    not compile.
    """
    sketch, batch = FIRMWARE / "genre_recognizer", sorted(EMULATOR.glob("host_*.[ch]"))
    compiler = toolchain.find_host_compiler(prefer_zig=True)
    parts = toolchain.sketch_hash(sketch, generated)[:16], toolchain.content_hash(*batch)[:16]
    library = build_dir() / "host" / f"firmware-O3-{'-'.join(parts)}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory() as temporary:
            source, target = Path(temporary) / "sketch" / "src", Path(temporary) / "library.so"
            toolchain.copy_sketch(sketch, source.parent, generated)
            toolchain.call([*compiler, "-O3", "-fno-tree-slp-vectorize", "-fno-math-errno", "-w", "-shared", "-fPIC",
                            "-I", source, *sorted(source.rglob("*.c")), *(path for path in batch if path.suffix == ".c"),
                            "-o", target.name, "-lm"],
                           "compiling the firmware's C for this machine", "The message says where it stopped.",
                           cwd=temporary)
            write_whole(library, lambda file: file.write(target.read_bytes()))
    return _load(library)


@cache
def _load(library: Path) -> HostLibrary:
    return HostLibrary(ctypes.CDLL(str(library)))


def c_source(file: str, *names: str) -> str:
    """Functions of the recognizer's portable C, as they stand in `src/<file>`; KeyError when one is missing.

    Left out are hints to the compiler, and what is compiled only where MGR_M0PLUS has assembly take over.
    """
    kept, conditions = [], []
    for line in (FIRMWARE / "genre_recognizer" / "src" / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("#if"):
            conditions.append("assembly" if "MGR_M0PLUS" in line else "any")
        elif line == "#else" and conditions[-1] == "assembly":
            conditions[-1] = "portable"
        elif line == "#endif":
            conditions.pop()
        elif "assembly" not in conditions and not line.startswith("#"):
            kept.append(re.sub(r"inline |__attribute__\(\(\w+\)\) ", "", line))
    found = re.finditer(r"(?ms)^\w[^\n;={]*\b(\w+)\([^;{}]*\)\s*\{([^\n]*\}$|.*?^\})", "\n".join(kept))
    functions = {match[1]: match[0] for match in found}
    return "\n\n".join(functions[name] for name in names)
