"""Build an image for the emulated Pico, and read its sections and symbols.

Used by notebooks/08_deploy_to_pico.ipynb.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..config import build_dir
from ..host import toolchain
from ..host.files import build_whole
from ..host.toolchain import EMULATOR

CLOCK_HZ = 125_000_000
FLASH_START, RAM_START = 0x10000000, 0x20000000
FLASH_BYTES, RAM_BYTES = 2 * 1024**2, 264 * 1024
_COMMON = ("-g", "-ffreestanding", "-fbuiltin", "-ffunction-sections", "-fdata-sections")
_C = ("-std=gnu11",)
_CPP = ("-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")


# ---- building

def build_image(source: str | Path = "genre_recognizer", compiler: str | None = None, optimize: str = "-O2",
                generated: Path | None = None, defines: tuple[str, ...] = (), include: tuple[Path, ...] = ()) -> dict:
    """Build an image for the emulated Pico; what has not changed is not built again.

    Parameters
    ----------
    source : str or Path
        Name of a sketch in `firmware/`; Path of another sketch's folder; or Path of a C file with `main()`, which is
        linked with the portable C of `genre_recognizer` (for example firmware/emulator/pico_batch.c).
    compiler : "gcc", "zig" or None
        See `toolchain.find_compiler`.
    optimize : str
        For example "-O2" or "-Os".
    generated : Path, optional
        Folder with headers of your own model instead of those that ship.
    defines : tuple of str
        Macros, for example ("STAGES=1",).
    include : tuple of Path
        Folders with further headers of `source`.

    Returns
    -------
    dict
        elf, bin (Path), compiler, flags, flash_bytes, ram_static (.data and .bss), sections (name: bytes),
        symbols (name: bytes, of data and functions), warnings (str: about this project's files).

    Raises
    ------
    RuntimeError
        No compiler, or it refuses the source: with its messages.

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    tools = toolchain.find_compiler(compiler)
    is_c = isinstance(source, Path) and source.suffix == ".c"
    sketch = toolchain.deploy_sketch("genre_recognizer" if is_c else source, generated)
    main = source if is_c else next(sketch.glob("*.ino"))
    name = "-".join((main.stem, tools.name, *optimize.split(), *defines, *(["own"] if generated else [])))
    flags = (*_COMMON, optimize, *(f"-D{define}" for define in defines))
    folders = (EMULATOR / "include", sketch / "src", *include)
    build = _Build(tools, flags, re.sub(r"[^\w-]", "", name), tuple(f"-I{folder}" for folder in folders))
    cmsis, portable = [], []
    for file in sorted((sketch / "src").rglob("*.c")):
        (cmsis if file.parent.name == "cmsis" else portable).append(file)
    board = [EMULATOR / part for part in ("startup.c", "runtime.c", *([] if is_c else ["arduino.cpp"]))]
    objects = build.objects("arduino" if not is_c else "board", board, shared=True)
    objects += build.objects("cmsis", cmsis, shared=True)
    if is_c:  # what of it isn't called isn't linked
        book = [toolchain.cmsis_sources() / Path(name).name for name in toolchain.BOOK_SOURCES]
        objects += build.objects("book", book, shared=True)
    objects += build.objects("portable", portable, sketch) + build.objects("main", [main], sketch, *include)
    folder = build.link(objects)
    return {"elf": folder / "image.elf", "bin": folder / "image.bin", **json.loads((folder / "build.json").read_text())}


class _Build:
    """Compiles groups of files and links them; a group whose content hasn't changed is taken as it is."""

    def __init__(self, tools: toolchain.Compiler, flags: tuple, name: str, include: tuple) -> None:
        self.tools, self.flags, self.name, self.include = tools, flags, name, include

    def objects(self, group: str, files: list[Path], *reads: Path, shared: bool = False) -> list[Path]:
        """Object files of a group; `reads`: folders that its sources include, beside the emulator's headers.

        A shared group reads only its own folder, and is the same in every image of a compiler and its flags."""
        if not files:
            return []
        headers = sorted(files[0].parent.glob("*.h")) if shared else []
        content = toolchain.content_hash(*files, *headers, EMULATOR / "include", *reads)
        stamp = " ".join((self.tools.version, *self.flags, content))
        flags = hashlib.sha256(" ".join(self.flags).encode()).hexdigest()[:8]
        name = f"{self.tools.name}-{flags}" if shared else self.name

        def fill(folder: Path) -> None:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                said = pool.map(lambda file: self.compile(file, folder / f"{file.stem}.o"), files)
                (folder / "warnings.txt").write_text("".join(said))

        return sorted(build_whole(build_dir() / "objects" / f"{group}-{name}", fill, stamp).glob("*.o"))

    def compile(self, file: Path, target: Path) -> str:
        """Compile one file; returns the warnings, if it's one of ours."""
        tools = self.tools
        ours = file.parent.name != "cmsis"
        language = (*tools.c, *_C) if file.suffix == ".c" else (*tools.cpp, *_CPP, "-x", "c++", "-include", "Arduino.h")
        special = ("-fno-builtin",) if file.stem == "runtime" else ()  # or memset() becomes a call of memset()
        said = toolchain.call([*language, *self.flags, *special, *(("-Wall", "-Wextra") if ours else ("-w",)),
                               *self.include, "-c", file, "-o", target], f"compiling {file.name}",
                              "Its messages follow.")
        return said if ours else ""

    def link(self, objects: list[Path]) -> Path:
        """Folder with image.elf, image.bin and build.json."""
        script = EMULATOR / "pico.ld"
        stamp = " ".join((self.tools.version, toolchain.content_hash(script, *objects), *map(str, objects)))

        def fill(folder: Path) -> None:
            elf = folder / "image.elf"
            toolchain.call([*self.tools.c, *self.flags, "-T", script, "-Wl,--gc-sections", *objects, "-o", elf,
                            *self.tools.link], f"linking {self.name}", "Does it fit into flash and RAM?")
            (folder / "image.bin").write_bytes(flash_contents(elf))
            warnings = "".join((group / "warnings.txt").read_text() for group in {file.parent for file in objects})
            facts = {"compiler": self.tools.version, "flags": self.flags, "warnings": warnings, **elf_sizes(elf)}
            (folder / "build.json").write_text(json.dumps(facts))

        return build_whole(build_dir() / "images" / self.name, fill, stamp)


def _elf_sections(elf: bytes) -> list[dict]:
    """Section headers of a 32-bit little-endian ELF file (System V ABI)."""
    offset, = struct.unpack_from("<I", elf, 32)
    size, count, names = struct.unpack_from("<HHH", elf, 46)
    keys = ("name", "type", "flags", "address", "offset", "size", "link")
    sections = [dict(zip(keys, struct.unpack_from("<7I", elf, offset + i * size))) for i in range(count)]
    for section in sections:
        section["name"] = _text(elf, sections[names]["offset"] + section["name"])
    return sections


def _text(data: bytes, start: int) -> str:
    return data[start:data.index(b"\0", start)].decode()


def flash_contents(elf: Path) -> bytes:
    """What an image puts into flash, from 0x10000000 on: its loaded segments, at their load addresses."""
    data, image = elf.read_bytes(), bytearray()
    start, = struct.unpack_from("<I", data, 28)
    size, count = struct.unpack_from("<HH", data, 42)
    for i in range(count):
        kind, offset, _, address, length = struct.unpack_from("<5I", data, start + i * size)
        if kind == 1 and length:
            place = address - FLASH_START
            image.extend(b"\xff" * (place + length - len(image)))
            image[place:place + length] = data[offset:offset + length]
    image[:0x100] = b"\xff" * 0x100  # where a board has its boot2; some linkers put the ELF header there
    return bytes(image)


def _symbols(data: bytes, sections: list[dict]) -> list[dict]:
    """Functions and variables of an ELF file that take bytes: name, address, bytes, section, function (bool)."""
    table, found = next(s for s in sections if s["type"] == 2), []
    for at in range(table["offset"], table["offset"] + table["size"], 16):
        name, address, size, info, _, section = struct.unpack_from("<IIIBBH", data, at)
        if size and info & 15 in (1, 2):
            function = info & 15 == 2  # whose address has bit 0 set: Thumb code
            found.append({"name": _text(data, sections[table["link"]]["offset"] + name),
                          "address": address & ~1 if function else address, "bytes": size,
                          "section": sections[section]["name"], "function": function})
    return found


def symbols_of(elf: Path) -> list[dict]:
    """Functions and variables of an image: name, address, bytes, section (".data"), function (bool)."""
    data = elf.read_bytes()
    return _symbols(data, _elf_sections(data))


def elf_sizes(elf: Path) -> dict:
    """flash_bytes, ram_static, sections and symbols of an image, in bytes."""
    data = elf.read_bytes()
    sections = _elf_sections(data)
    in_memory = {s["name"]: s["size"] for s in sections if s["flags"] & 2 and s["size"]}
    symbols = {symbol["name"]: symbol["bytes"] for symbol in _symbols(data, sections)}
    ram = in_memory.get(".data", 0) + in_memory.get(".bss", 0)
    return {"flash_bytes": sum(in_memory.values()) - in_memory.get(".bss", 0), "ram_static": ram,
            "sections": in_memory, "symbols": symbols}
