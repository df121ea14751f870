"""Build both sketches for every board against the stand-ins of the Arduino cores, and measure our code: ``python -m
tools.boards`` writes ``data/pretrained/boards.json``, from which ``tools.readme`` writes the table of the README.

Without arduino-cli and the real cores, which have flags, sizes and start-up code of their own.
"""

import json
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from tqdm.auto import tqdm

from mgr_helpers.config import PRETRAINED, build_dir
from mgr_helpers.host import files, toolchain
from mgr_helpers.host.boards import BOARDS
from mgr_helpers.host.command_line import main
from mgr_helpers.host.toolchain import EMULATOR
from mgr_helpers.pico import image

SKETCHES = "genre_recognizer", "recorder"
COMMON = ("-ffreestanding", "-fbuiltin", "-ffunction-sections", "-fdata-sections", "-Werror")
APOLLO3_HEADERS = "PDM.h", "math.h", "stdio.h", "stdlib.h", "string.h"  # what an Artemis shares with the emulated Pico
ROOTS = "setup", "loop", "_Z5setupv", "_Z4loopv"  # as the two cores name them


@dataclass(frozen=True)
class Build:
    """How a board's Arduino core builds."""

    core: str  # of toolchain.CORES
    microphones: tuple[str, ...]  # of the sketches' config.h, which chooses the first
    defines: tuple[str, ...]
    flags: tuple[str, ...] = ("-O2",)
    cpp_flags: tuple[str, ...] = ()
    ran: str = "the C, emulated"


PICO, PICO2 = ("ARDUINO_ARCH_RP2040", "F_CPU=125000000L"), ("ARDUINO_ARCH_RP2040", "F_CPU=150000000L", "PICO_RP2350=1")
BUILDS = {
    "pico": Build("cortex-m0plus", ("ADC", "I2S"), PICO, ran="the sketches, emulated"),
    "picow": Build("cortex-m0plus", ("ADC", "I2S"), (*PICO, "PICO_CYW43_SUPPORTED=1")),
    "pico2": Build("cortex-m33", ("ADC", "I2S"), PICO2),
    "pico2w": Build("cortex-m33", ("ADC", "I2S"), (*PICO2, "PICO_CYW43_SUPPORTED=1")),
    "artemis": Build("cortex-m4", ("PDM",), ("ARDUINO_ARCH_APOLLO3", "ARDUINO_ARCH_MBED"), ("-Os", "-funsigned-char"),
                     ("-std=gnu++14",)),
}


def compile_sketch(sketch: str, board: str, microphone: str, compiler: str, defines: tuple[str, ...] = (),
                   include: tuple[Path, ...] = ()) -> list[Path]:
    """Objects of a sketch for a board; every warning about our files is an error (RuntimeError)."""
    build, folder = BUILDS[board], toolchain.deploy_sketch(sketch)
    defines = (*build.defines, *defines)
    if microphone != build.microphones[0]:
        defines += (f"MICROPHONE=MICROPHONE_{microphone}",)
    flags = (*COMMON, *build.flags, *(f"-D{define}" for define in defines))
    folders = (*include, stand_ins(board), folder / "src")
    headers = toolchain.content_hash(folder, *folders[:-1])

    def one(file: Path) -> Path:
        c = file.suffix in (".c", ".S")
        tools = toolchain.find_compiler(compiler, build.core)
        made = image.compile_object(file, tools, flags if c else (*flags, *build.cpp_flags), folders, headers)
        return next(made.glob("*.o"))

    sources = sorted(file for file in (folder / "src").rglob("*.*") if file.suffix in (".c", ".S", ".cpp"))
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, [folder / f"{folder.name}.ino", *sources]))


def stand_ins(board: str) -> Path:
    """Folder with the headers that stand in for those of the board's Arduino core."""
    if board != "artemis":
        return EMULATOR / "include"
    parts = [EMULATOR / "artemis" / "Arduino.h", *(EMULATOR / "include" / name for name in APOLLO3_HEADERS)]
    return files.build_whole(build_dir() / "artemis", lambda folder: [shutil.copy(part, folder) for part in parts],
                             toolchain.content_hash(*parts))


def sizes(objects: list[Path], board: str) -> dict:
    """Bytes of flash and RAM of what setup() and loop() reach, without the core, the C library and the heap."""
    tools = toolchain.find_compiler("gcc", BUILDS[board].core)
    flash = ram = 0
    with tempfile.TemporaryDirectory() as temporary:
        words = ("-nostdlib", "-r", "-Wl,--gc-sections", *(f"-Wl,-u,{name}" for name in ROOTS))
        toolchain.call([*tools.command, *words, *objects, "-o", "ours.o"], "linking", "", cwd=temporary)
        with open(Path(temporary) / "ours.o", "rb") as file:
            for section in ELFFile(file).iter_sections():
                bits, size = section["sh_flags"], section["sh_size"]
                if bits & SH_FLAGS.SHF_ALLOC:
                    stored = section["sh_type"] != "SHT_NOBITS"
                    copied = section.name.startswith(".time_critical") and board != "artemis"  # by the pico-sdk
                    flash += size * stored
                    ram += size * bool(copied or bits & SH_FLAGS.SHF_WRITE)
    return {"flash": flash, "ram": ram}


def combinations() -> list[tuple[str, str]]:
    """Every board with every microphone that it can have."""
    return [(board, microphone) for board, build in BUILDS.items() for microphone in build.microphones]


def measure() -> dict:
    """The content of boards.json."""
    rows = []
    for board, microphone in tqdm(combinations(), desc="boards", delay=2, leave=False):
        row = {"board": board, "microphone": microphone}
        for sketch in SKETCHES:
            row[sketch] = sizes(compile_sketch(sketch, board, microphone, "gcc"), board)
        rows.append(row)
    version = re.search(r"\d+\.\d+\.\d+", toolchain.find_compiler("gcc").version)[0]
    return {"compiler": f"arm-none-eabi-gcc {version}", "rows": rows}


def table(found: dict) -> list[str]:
    """Markdown lines of the README."""
    lines = ["| board | processor | microphone | recognizer: flash | RAM | recorder: flash | RAM | what ran |",
             "|---|---|---|---|---|---|---|---|"]
    for row in found["rows"]:
        cells = [f"{row[sketch][kind]:,}" for sketch in SKETCHES for kind in ("flash", "ram")]
        build = BUILDS[row["board"]]
        cells = [BOARDS[row["board"]].name, build.core, row["microphone"], *cells, build.ran]
        lines.append(f"| {' | '.join(cells)} |")
    return ["The sketches compile for these boards, by GCC and Clang, without a warning, against stand-ins of the "
            f"Arduino cores. Bytes of our code by {found['compiler']}; the core, the C library and the heap come on "
            "top. Nobody has run them on a board yet.", "", *lines]


def add_arguments(_) -> None:
    """``python -m tools.boards`` has none."""


def run(_) -> int:
    """Measure, and write boards.json."""
    files.write_text(PRETRAINED / "boards.json", json.dumps(measure(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main("Build both sketches for every board and measure them.", add_arguments, run))
