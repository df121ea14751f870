"""Build an image for the emulated Pico, and read its sections and symbols.

Notebooks: 00, 01, 08, 09.
"""

import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from ..config import build_dir
from ..host import toolchain
from ..host.files import build_whole
from ..host.toolchain import EMULATOR

CLOCK_HZ = 125_000_000
FLASH_START, RAM_START = 0x10000000, 0x20000000
FLASH_BYTES, RAM_BYTES = 2 * 1024**2, 264 * 1024
_COMMON = ("-g", "-ffreestanding", "-fbuiltin", "-ffunction-sections", "-fdata-sections")
_SOURCES_OF_C = (".c", ".S")
_C = ("-std=gnu11",)
_CPP = ("-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-x", "c++", "-include", "Arduino.h")


def build_image(source: str | Path = "genre_recognizer", compiler: str | None = None, optimize: str = "-O2",
                generated: Path | None = None, defines: tuple[str, ...] = (), include: tuple[Path, ...] = (),
                core: str = "cortex-m0plus") -> dict:
    """Build an image for the emulated Pico; what has not changed is not built again.

    Parameters
    ----------
    source : str or Path
        Name of a sketch in `firmware/`; Path of another sketch's folder; or Path of a C file with `main()`, which is
        linked with the portable C of `genre_recognizer` (for example firmware/emulator/pico_batch.c).
    compiler : "gcc", "zig" or None
        See `toolchain.find_compiler`.
    optimize, defines : str and tuple of str
        Flag and macros, for example "-Os" and ("HOT_IN_FLASH",).
    generated : Path, optional
        Folder with headers of your own model instead of those that ship.
    include : tuple of Path
        Folders with further headers of `source`.
    core : str
        See `toolchain.CORES`. The emulated Pico runs only the default.

    Returns
    -------
    dict
        elf, bin (Path), compiler, flags, flash_bytes, ram_static (.data and .bss), sections (name: bytes),
        symbols (name: bytes, of data and functions), warnings (str: about this project's files).

    Raises
    ------
    RuntimeError
        When there is no compiler, or it refuses the source. Its messages are quoted.
    """
    tools = toolchain.find_compiler(compiler, core)
    is_c = isinstance(source, Path) and source.suffix == ".c"
    sketch = toolchain.deploy_sketch("genre_recognizer" if is_c else source, generated)
    main = source.resolve() if is_c else next(sketch.glob("*.ino"))
    name = "-".join((main.stem, tools.name, core, *optimize.split(), *defines, *(["own"] if generated else [])))
    flags = (*_COMMON, optimize, *(f"-D{define}" for define in defines))
    folders = (EMULATOR / "include", sketch / "src", *(folder.resolve() for folder in include))

    board = [EMULATOR / part for part in ([] if is_c else ["arduino.cpp", "audio.cpp", "digital.cpp", "clocks.c"]) +
             ["runtime.c", "startup.c"]]
    cmsis = sorted((sketch / "src" / "cmsis").glob("*.c"))
    if is_c:  # functions that are not called are not linked
        cmsis += sorted(toolchain.cmsis_sources() / Path(file).name for file in toolchain.BOOK_SOURCES)
    portable = [file for file in sorted((sketch / "src").rglob("*.*")) if file.parent.name != "cmsis" and
                file.suffix in (_SOURCES_OF_C if is_c else (*_SOURCES_OF_C, ".cpp"))]
    objects = []
    for files, reads in ((board, [EMULATOR / "include"]), (cmsis, sorted((sketch / "src" / "cmsis").glob("*.h"))),
                         ([*portable, main], [EMULATOR / "include", sketch, *include])):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            headers = toolchain.content_hash(*reads)
            objects += pool.map(lambda file: compile_object(file, tools, flags, folders, headers), files)
    folder = _link(objects, tools, flags, re.sub(r"[^\w-]", "", name))
    return {"elf": folder / "image.elf", "bin": folder / "image.bin", **json.loads((folder / "build.json").read_text())}


def compile_object(file: Path, tools: toolchain.Compiler, flags: tuple, folders: tuple[Path, ...],
                   headers: str) -> Path:
    """Folder with the object of a source file, and with warnings.txt: what the compiler said, if the file is ours.

    `headers` is a hash of all that it may include: an object is compiled again only when something has changed.
    """
    ours = file.parent.name != "cmsis"
    words = (*(_C if file.suffix in _SOURCES_OF_C else _CPP), *flags, *(("-Wall", "-Wextra") if ours else ("-w",)))
    words += ("-fno-builtin",) if file.stem == "runtime" else ()  # else memset() becomes a call of memset()
    stamp = " ".join((tools.version, *tools.command[1:], *words, toolchain.content_hash(file), headers))

    def fill(folder: Path) -> None:
        said = toolchain.call([*tools.command, *words, *(f"-I{include}" for include in folders), "-c", file, "-o",
                               f"{file.stem}.o"], f"compiling {file.name}", "Its messages follow.", cwd=folder)
        (folder / "warnings.txt").write_text(said if ours else "")

    name = f"{file.stem}-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}"
    return build_whole(build_dir() / "objects" / name, fill, stamp)


def _link(objects: list[Path], tools: toolchain.Compiler, flags: tuple, name: str) -> Path:
    """Folder with image.elf, image.bin and build.json."""
    script = EMULATOR / "pico.ld"

    def fill(folder: Path) -> None:
        elf = folder / "image.elf"  # zig can't write to a path with %, so the linker gets the name alone
        toolchain.call([*tools.command, *flags, "-T", script, "-Wl,--gc-sections",
                        *(next(part.glob("*.o")) for part in objects), "-o", elf.name, *tools.link],
                       f"linking {name}", "Does it fit into flash and RAM?", cwd=folder)
        (folder / "image.bin").write_bytes(flash_contents(elf))
        warnings = "".join((part / "warnings.txt").read_text() for part in objects)
        facts = {"compiler": tools.version, "flags": flags, "warnings": warnings, **elf_sizes(elf)}
        (folder / "build.json").write_text(json.dumps(facts))

    stamp = " ".join((toolchain.content_hash(script), *(part.name for part in objects)))
    return build_whole(build_dir() / "images" / name, fill, stamp)


def flash_contents(elf: Path) -> bytes:
    """What an image puts into flash, from 0x10000000 on: its loaded segments, at their load addresses."""
    image = bytearray()
    with open(elf, "rb") as file:
        for segment in ELFFile(file).iter_segments("PT_LOAD"):
            place, data = segment["p_paddr"] - FLASH_START, segment.data()
            if data:
                image.extend(b"\xff" * (place + len(data) - len(image)))
                image[place:place + len(data)] = data
    image[:0x100] = b"\xff" * 0x100  # a board's boot2 is here; some linkers leave their ELF header here
    return bytes(image)


def symbols_of(elf: Path) -> list[dict]:
    """Functions and variables of an image: name, address, bytes, section (".data"), function (bool)."""
    with open(elf, "rb") as file:
        image, found = ELFFile(file), []
        for symbol in image.get_section_by_name(".symtab").iter_symbols():
            kind = symbol["st_info"]["type"]
            if symbol["st_size"] and kind in ("STT_OBJECT", "STT_FUNC"):
                function = kind == "STT_FUNC"  # bit 0 of its address is set: Thumb code
                name = re.sub(r"^_ZL\d+", "", symbol.name)  # a static variable of the sketch, whose C++ adds a prefix
                found.append({"name": name, "address": symbol["st_value"] & (~1 if function else ~0),
                              "bytes": symbol["st_size"], "section": image.get_section(symbol["st_shndx"]).name,
                              "function": function})
    return found


def elf_sizes(elf: Path) -> dict:
    """flash_bytes, ram_static, sections and symbols of an image, in bytes."""
    with open(elf, "rb") as file:
        sections = {section.name: section["sh_size"] for section in ELFFile(file).iter_sections()
                    if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section["sh_size"]}
    bss = sections.get(".bss", 0)
    return {"flash_bytes": sum(sections.values()) - bss, "ram_static": sections.get(".data", 0) + bss,
            "sections": sections, "symbols": {symbol["name"]: symbol["bytes"] for symbol in symbols_of(elf)}}
