"""Build the firmware, run it on an emulated Pico, and run the same C on this machine.

The emulated Pico is rp2040js: a Cortex-M0+ with the RP2040's ADC, DMA, UART and timers. The sketch that runs is the
very `.ino`, over small stand-ins for the Arduino core (firmware/emulator/). What it doesn't cover: the real core, USB,
the second-stage boot loader, waits for flash (cache misses are counted, not timed), and the 15 cycles of an
interrupt's entry.

Explained in notebooks/08_deploy_to_pico.ipynb.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import hashlib
import json
import os
import re
import struct
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from . import toolchain
from .config import CONFIG, PRETRAINED, Config, build_dir
from .files import build_whole, shown, write_whole
from .toolchain import EMULATOR

CLOCK_HZ = 125_000_000
EXTRA_SECONDS = 0.5  # for the sketch's self-test before it listens, and its work after the last sample
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
        linked with the portable C of `genre_recognizer` (for example firmware/emulator/exactness.c).
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


# ---- running

def adc_counts(samples: np.ndarray, gain_db: float = -6.0, noise_lsb: float = 1.0, bias: float | None = None,
               seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """What the Pico's ADC reads when int16 audio comes from the microphone: gain, bias, noise, 12 bits. Nothing else.

    `microphone.adc_counts` also has the room and the loudspeaker. At 0 dB full scale is the ADC's; the MAX9814 gives
    at most 2 V peak to peak, which is -4 dB.

    Parameters
    ----------
    samples : int16 array (n,)
    gain_db : float
    noise_lsb : float
        Standard deviation of Gaussian noise, in steps of the ADC.
    bias : float, optional
        Resting level in steps; the MAX9814's 1.23 V of 3.3 V when not given.

    Returns
    -------
    uint16 array (n,)

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    from .microphone import BIAS_VOLTS, SUPPLY_VOLTS
    steps = 2**config.adc_bits
    bias = BIAS_VOLTS / SUPPLY_VOLTS * steps if bias is None else bias
    noise = noise_lsb * np.random.default_rng(seed).standard_normal(len(samples)) if noise_lsb else 0.0
    counts = bias + samples * (steps / 65536) * 10 ** (gain_db / 20) + noise
    return np.clip(np.rint(counts), 0, steps - 1).astype(np.uint16)


def _job(image: dict, folder: Path, adc: np.ndarray | None, **options) -> dict:
    job = {"image": str(image["bin"]), "result": str(folder / "result.json"), **options}
    if adc is not None:
        np.asarray(adc, "<u2").tofile(folder / "adc.bin")
        job["adc"] = str(folder / "adc.bin")
    (folder / "job.json").write_text(json.dumps(job))
    return job


def _node(folder: Path) -> tuple[list[str], dict]:
    """Command and environment that run the job in a folder."""
    node, _ = toolchain.find_node()
    environment = {**os.environ, "NODE_PATH": str(toolchain.emulator_modules())}
    return [node, str(EMULATOR / "runner.js"), str(folder / "job.json")], environment


def _result(folder: Path, said: str = "") -> dict:
    file = folder / "result.json"
    if not file.exists():
        raise RuntimeError(f"the emulated Pico ended without a result:\n{said.strip()[-2000:]}")
    return json.loads(file.read_text())


def _follow(folder: Path, seconds: float | None) -> str:
    """Run the job in a folder, with a progress bar when it takes long; returns what the emulator complained of."""
    command, environment = _node(folder)
    said = []
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **pipes) as process, \
            tqdm(total=seconds, desc="emulated Pico", unit="s", delay=2, leave=False, disable=seconds is None,
                 bar_format="{desc}: {percentage:3.0f}% {bar} {n:.1f} of {total:.1f} s") as bar:
        for line in process.stderr:
            if line.startswith("progress "):
                bar.update(min(float(line.split()[1]), seconds or 0) - bar.n)
            else:
                said.append(line)
    return "".join(said)


def emulate(image: dict, adc: np.ndarray | None = None, seconds: float | None = None, data: bytes = b"",
            bar: bool = True, **options) -> dict:
    """Run an image on the emulated Pico.

    Parameters
    ----------
    image : dict
        From `build_image`.
    adc : uint16 array (n,), optional
        Counts that the ADC delivers, one after another; the last one is then held.
    seconds : float, optional
        Emulated time to run; when not given, the image ends the run itself (`emulator_exit`).
    data : bytes
        What the image's `emulator_read` reads.
    bar : bool
        Show a progress bar when a run of `seconds` takes long.
    **options
        Further fields of the job, see firmware/emulator/runner.js: adc_rate, events, xip.

    Returns
    -------
    dict
        stopped ("time", "exit" or what went wrong), exit_status, seconds, wall_seconds, cycles, cycles_awake,
        cycles_asleep, awake_share, adc_start (s), adc_samples, adc_rate (Hz), stack_bytes, heap_bytes, uart (bytes
        sent), lines (of each: seconds and samples delivered at its end, seconds and seconds asleep at its start), pins
        (output changes), stages (cycles between marks), xip, output (bytes that the image wrote), adc (uint16: the
        counts that were delivered).

    Raises
    ------
    RuntimeError
        When the image faults, gets stuck, or overflows its stack: with what it had sent until then.

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "input.bin").write_bytes(data)
        _job(image, folder, adc, seconds=seconds, input=str(folder / "input.bin"), output=str(folder / "output.bin"),
             uart=str(folder / "uart.bin"), adc_log=str(folder / "delivered.bin"), progress=True, **options)
        result = _result(folder, _follow(folder, seconds if bar else None))
        result["uart"] = (folder / "uart.bin").read_bytes()
        result["output"] = (folder / "output.bin").read_bytes()
        result["adc"] = np.fromfile(folder / "delivered.bin", "<u2")
    if result["stopped"] not in ("time", "exit") or result["exit_status"]:
        sent = result["uart"][-500:].decode(errors="replace")
        raise RuntimeError(f"the emulated Pico stopped: {result['stopped']} (exit status {result['exit_status']}) "
                           f"after {result['seconds']:.6f} s; it had sent: {sent!r}")
    return result


@contextlib.contextmanager
def serial_port(image: dict, adc: np.ndarray | None = None, seconds: float | None = None, pace: float = 0.0, **options):
    """An emulated Pico behind a pseudo-terminal, for any program that opens a serial port (Linux, macOS).

    Parameters
    ----------
    image, adc, seconds
        As in `emulate`; without `seconds` it runs until the block is left.
    pace : float
        Emulated seconds a second at most: 1 is real time, 0 as fast as it goes.

    Yields
    ------
    dict
        port (str: the path to open), unplug (a function: stops the Pico and closes the port), result (a function: waits
        for the end and returns what `emulate` returns, without uart and output).

    Explained in notebooks/01_record_audio.ipynb.
    """
    import pty  # not on Windows
    import tty

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _job(image, folder, adc, seconds=seconds, interactive=True, pace=pace, adc_log=str(folder / "delivered.bin"),
             **options)
        command, environment = _node(folder)
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        bridge = _Bridge(process, ours, theirs)

        def result() -> dict:
            process.wait()
            return {**_result(folder), "adc": np.fromfile(folder / "delivered.bin", "<u2")}

        try:
            yield {"port": os.ttyname(theirs), "unplug": bridge.close, "result": result}
        finally:
            bridge.close()


class _Bridge:
    """Two threads between a process's pipes and a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen, ours: int, theirs: int) -> None:
        self.process, self.ours, self.theirs = process, ours, theirs
        self.wake, self.stop = os.pipe()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._to_pico, self._from_pico)]
        for thread in self.threads:
            thread.start()

    def _to_pico(self) -> None:
        import select
        while True:
            ready, _, _ = select.select([self.ours, self.wake], [], [])
            if self.wake in ready:
                return
            try:
                self.process.stdin.write(os.read(self.ours, 4096))
                self.process.stdin.flush()
            except (OSError, ValueError):  # the other end has gone
                return

    def _from_pico(self) -> None:
        while sent := self.process.stdout.read1(65536):
            while sent:
                try:
                    sent = sent[os.write(self.ours, sent):]
                except OSError:  # unplugged: what the Pico still sends is lost, as on a board
                    return

    def close(self) -> None:
        """Unplug: end the Pico, then close the terminal."""
        if self.ours < 0:
            return
        os.write(self.stop, b"x")
        self.threads[0].join()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
        ours, self.ours = self.ours, -1
        for handle in (self.theirs, ours, self.wake, self.stop):
            os.close(handle)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.threads[1].join(2)


def exactness(windows: np.ndarray, image: dict | None = None, config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """Features and scores that the emulated Pico computes from windows of audio.

    Parameters
    ----------
    windows : int16 array (n, >= config.window_length)
        Audio; the first `window_length` samples of each row count.
    image : dict, optional
        From `build_image(EMULATOR / "exactness.c", ...)`; built with the first compiler found when not given.

    Returns
    -------
    (int8 array (n, n_frames, n_mfcc), int8 array (n, genres))

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    image = image or build_image(EMULATOR / "exactness.c")
    cut = np.ascontiguousarray(np.asarray(windows)[:, : config.window_length], "<i2")
    parts = np.array_split(cut, -(-len(cut) // 16))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a thread only waits for its emulator
        outputs = pool.map(lambda part: emulate(image, data=part.tobytes())["output"], parts)
        outputs = list(tqdm(outputs, total=len(parts), desc="emulated Pico", unit="x16 windows", delay=2, leave=False))
    n_features = config.n_frames * config.n_mfcc
    rows = np.frombuffer(b"".join(outputs), np.int8).reshape(len(cut), n_features + len(config.genres))
    return rows[:, :n_features].reshape(-1, config.n_frames, config.n_mfcc), rows[:, n_features:]


# ---- listening

_DECISION = re.compile(r"DECISION window=(\d+) time_ms=(\d+) label=(\S+) vote=(\S+) confidence=(\d+) says=(\S+) "
                       r"scores=([-\d,]+)")


def parse_decisions(text: str) -> list[dict]:
    """The sketch's DECISION lines as dictionaries: window, time_ms, label, vote, confidence, says, scores."""
    decisions = []
    for window, time, label, vote, confidence, says, scores in _DECISION.findall(text):
        decisions.append({"window": int(window), "time_ms": int(time), "label": label, "vote": vote,
                          "confidence": int(confidence), "says": says,
                          "scores": [int(score) for score in scores.split(",")]})
    return decisions


def overall(decisions: list[dict], config: Config = CONFIG) -> str:
    """A whole recording: its genre is the largest sum of scores over the windows that are not silence.

    "unsure" where the sketch never said a genre, "silence" where all is silence."""
    heard = [decision for decision in decisions if decision["label"] != "silence"]
    if all(decision["says"] in ("silence", "unsure") for decision in heard):
        return "unsure" if heard else "silence"
    return config.genres[int(np.argmax(np.sum([decision["scores"] for decision in heard], axis=0)))]


def load_audio(file: str | Path, config: Config = CONFIG) -> np.ndarray:
    """`dataset.read_audio` of one file, whose name an error gives.

    Raises
    ------
    ValueError
        When there is no such file, it is not audio, or it is silent or shorter than a clip.
    """
    from . import dataset
    try:
        return dataset.read_audio(Path(file), config)
    except dataset.UnusableFile as error:
        raise ValueError(f"{file}: {error}") from error


def listen(audio: str | Path | np.ndarray, gain_db: float = -6.0, noise_lsb: float = 1.0, seconds: float | None = None,
           image: dict | None = None, config: Config = CONFIG) -> dict:
    """Let the emulated Pico hear a recording through its ADC.

    Parameters
    ----------
    audio : file name, or int16 array (n,) at config.sample_rate
    gain_db, noise_lsb
        See `adc_counts`.
    seconds : float, optional
        Listen to the first seconds only.
    image : dict, optional
        From `build_image`; the shipped sketch, built with the first compiler found, when not given.

    Returns
    -------
    dict
        genre (of the whole recording), decisions (list of dicts, one a window), self_test (bool), overruns (lines of
        the sketch), and what `emulate` returns.

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    samples = audio if isinstance(audio, np.ndarray) else load_audio(audio, config)
    samples = samples if seconds is None else samples[: int(seconds * config.sample_rate)]
    if len(samples) < config.window_length:
        raise ValueError(f"the recording has {len(samples)} samples: a window needs {config.window_length}")
    return hear(adc_counts(samples, gain_db, noise_lsb, config=config), image, config)


def hear(adc: np.ndarray, image: dict | None = None, config: Config = CONFIG, **options) -> dict:
    """Let the sketch on the emulated Pico hear ADC counts (uint16); see `listen`. `options` are those of `emulate`."""
    seconds = len(adc) / config.sample_rate + EXTRA_SECONDS
    result = emulate(image or build_image("genre_recognizer"), adc, seconds, **options)
    text = result["uart"].decode(errors="replace")
    decisions = parse_decisions(text)
    return {"genre": overall(decisions, config), "decisions": decisions, "self_test": "TEST PASSED" in text,
            "overruns": [line for line in text.splitlines() if "OVERRUN" in line], **result}


# ---- the clips of a folder

def choose_clips(songs: list, n: int, config: Config = CONFIG) -> list:
    """`n` clips, as many of each genre, spread evenly over its songs: the middle of each, of at most a whole vote.

    Parameters
    ----------
    songs : list of dataset.Song
    n : int
        A genre with too few songs that hold a window gives fewer.

    Returns
    -------
    list of dataset.Song
        Their samples cut.
    """
    length, chosen = config.window_length + (config.vote_windows - 1) * config.window_step, []
    for code, genre in enumerate(config.genres):
        own = [song for song in songs if song.genre == genre and len(song.samples) >= config.window_length]
        wanted = min(n // len(config.genres) + (code < n % len(config.genres)), len(own))
        for index in np.linspace(0, len(own) - 1, wanted).round().astype(int):
            start = max(0, len(own[index].samples) - length) // 2
            chosen.append(dataclasses.replace(own[index], samples=own[index].samples[start:][:length]))
    return chosen


def hear_clip(adc: np.ndarray, tflite: bytes, image: dict, config: Config = CONFIG, bar: bool = False) -> dict:
    """One clip of ADC counts: what the emulated Pico says, and whether Python says the same to the same counts.

    Returns
    -------
    dict
        decisions : those of the sketch; equal : how many of them are `recognizer.decisions`, in window, vote,
        confidence, what is said and scores; missed : how many were due and never came; overruns, self_test, genre : as
        of `listen`; stack_bytes, awake_share : as of `emulate`.
    """
    from . import recognizer
    due = max(0, len(adc) - config.window_length) // config.window_step + 1
    result = hear(adc, image, config, bar=bar)
    heard, expected = result["decisions"][:due], recognizer.decisions(result["adc"], tflite)
    equal = sum(all(ours[key] == theirs[key] for key in ("window", "vote", "confidence", "says", "scores"))
                for ours, theirs in zip(expected, heard))
    return {"decisions": heard, "equal": equal, "missed": due - len(heard), "overruns": len(result["overruns"]),
            **{key: result[key] for key in ("self_test", "stack_bytes", "awake_share")},
            "genre": overall(heard, config)}


def compare_clips(audio: str | Path, n: int = 30, level_db: float = 0.0, room: bool = False, seed: int = 0,
                  model: Path | None = None, compiler: str | None = None) -> dict:
    """Clips of a folder through the microphone simulation and the ADC of the emulated Pico, and Python beside it.

    Parameters
    ----------
    audio : str or Path
        "mini", "gtzan" or a folder with one sub-folder per genre.
    n : int
        See `choose_clips`.
    level_db : float
        Level at the microphone.
    room : bool
        In a random room.
    seed : int
        Of the simulation; each clip draws its own parameters.
    model : Path, optional
        An int8 .tflite file of ours; the one that ships when not given.
    compiler : "gcc", "zig" or None
        See `toolchain.find_compiler`.

    Returns
    -------
    dict
        decisions {"n", "equal", "missed"}, overruns, self_tests (passed); windows and votes {"n", "accuracy"}: each
        window alone, and the genre of each whole clip; said (shares of genre, unsure, silence, see `evaluate.said`) and
        decided {"n", "accuracy"}: the decisions that say a genre; clips (a list: song, genre, said, windows, equal);
        skipped, source, microphone_db, room, seed, image.

    Raises
    ------
    FileNotFoundError, ValueError, RuntimeError
        Naming the file and the remedy.

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    from . import c_headers, dataset, microphone, quantize
    tflite = quantize.load_tflite(model or PRETRAINED / "model_int8.tflite")
    config = c_headers.front_end_of(tflite).config
    image = build_image("genre_recognizer", compiler, generated=headers_of(tflite) if model else None)
    found = dataset.load_songs(audio, config)
    clips = choose_clips(found.songs, n, config)

    def hear_one(index: int) -> dict:
        rng = np.random.default_rng([seed, index])
        adc = microphone.adc_counts(clips[index].samples, rng, level_db, room, microphone.TESTING, config)
        return hear_clip(adc, tflite, image, config)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a thread mostly waits for its emulator
        heard = list(tqdm(pool.map(hear_one, range(len(clips))), total=len(clips), desc="emulated Pico", unit="clip"))
    size = {key: image[key] for key in ("compiler", "flash_bytes", "ram_static")}
    return {**_clip_figures(clips, heard), "skipped": found.skipped, "source": found.source, "microphone_db": level_db,
            "room": room, "seed": seed, "image": size}


def headers_of(tflite: bytes) -> Path:
    """Folder with the generated headers of a model, made once."""
    from . import c_headers
    folder = build_dir() / "generated" / hashlib.sha256(tflite).hexdigest()[:16]
    c_headers.write_headers(tflite, folder)
    return folder


def _clip_figures(clips: list, heard: list[dict]) -> dict:
    """What `compare_clips` counts."""
    from . import evaluate
    rows = [(row, clip.genre) for clip, result in zip(clips, heard) for row in result["decisions"]]
    loud = [row["label"] == genre for row, genre in rows if row["label"] != "silence"]
    decided = [row["says"] == genre for row, genre in rows if row["says"] not in ("unsure", "silence")]
    votes = [result["genre"] == clip.genre for clip, result in zip(clips, heard)]
    return {"decisions": {"n": len(rows), **{key: sum(r[key] for r in heard) for key in ("equal", "missed")}},
            "overruns": sum(r["overruns"] for r in heard), "self_tests": sum(r["self_test"] for r in heard),
            **{name: {"n": len(right), "accuracy": float(np.mean(right)) if right else None}
               for name, right in (("windows", loud), ("votes", votes), ("decided", decided))},
            "said": evaluate.said([row for row, _ in rows]),
            "clips": [{"song": clip.song, "genre": clip.genre, "said": result["genre"],
                       "windows": len(result["decisions"]), "equal": result["equal"]}
                      for clip, result in zip(clips, heard)]}


# ---- the same C on this machine

class HostLibrary:
    """The firmware's portable C, compiled for this machine; of its methods only `raw` is for several threads at once.

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        shape = (ctypes.c_int32 * 5).in_dll(library, "batch_shape")
        self.window_length, self.frame_step, self.n_frames, self.n_mfcc, self.n_genres = shape
        for batch in (library.batch_features, library.batch_raw):
            batch.argtypes = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p)
        self.raw(np.zeros((1, self.window_length), np.int16))  # sets up the FFT, before threads could do so together
        library.batch_scores.argtypes = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p)
        library.batch_decisions.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int32)

    def features(self, windows: np.ndarray) -> np.ndarray:
        """int16 (n, >= window_length) to int8 features (n, n_frames, n_mfcc)."""
        return self._of_windows(self.library.batch_features, windows, np.int8)

    def raw(self, windows: np.ndarray) -> np.ndarray:
        """int16 (n, >= window_length) to raw MFCCs, their level not removed: int32 (n, n_frames, n_mfcc)."""
        return self._of_windows(self.library.batch_raw, windows, np.int32)

    def _of_windows(self, batch, windows: np.ndarray, dtype) -> np.ndarray:
        windows = np.ascontiguousarray(windows, np.int16)
        if windows.ndim != 2 or windows.shape[1] < self.window_length:
            raise ValueError(f"windows must be (n, >= {self.window_length}), got {windows.shape}")
        out = np.empty((len(windows), self.n_frames, self.n_mfcc), dtype)
        batch(windows.ctypes.data, len(windows), windows.shape[1], out.ctypes.data)
        return out

    def scores(self, features: np.ndarray) -> np.ndarray:
        """int8 features (n, n_frames, n_mfcc) to int8 scores (n, genres)."""
        features = np.ascontiguousarray(features, np.int8)
        if features.shape[1:] != (self.n_frames, self.n_mfcc):
            raise ValueError(f"features must be (n, {self.n_frames}, {self.n_mfcc}), got {features.shape}")
        scores = np.empty((len(features), self.n_genres), np.int8)
        self.library.batch_scores(features.ctypes.data, len(features), scores.ctypes.data)
        return scores

    def decisions(self, adc: np.ndarray) -> dict[str, np.ndarray]:
        """A stream of ADC counts (uint16) to decisions: window, label, vote, confidence, silent, unsure, scores."""
        adc = np.ascontiguousarray(adc, np.uint16)
        rows = np.empty((len(adc) // (self.n_frames * self.frame_step) + 1, 6 + self.n_genres), np.int32)
        n = self.library.batch_decisions(adc.ctypes.data, len(adc), rows.ctypes.data, len(rows))
        names = ("window", "label", "vote", "confidence", "silent", "unsure")
        return {**{name: rows[:n, i] for i, name in enumerate(names)}, "scores": rows[:n, 6:].astype(np.int8)}

    def self_test(self) -> bool:
        """The sketch's self-test, on this machine."""
        return bool(self.library.host_self_test())


def host_library(generated: Path | None = None) -> HostLibrary:
    """Compile the firmware's C for this machine and load it.

    Parameters
    ----------
    generated : Path, optional
        Folder with headers of your own model instead of those that ship.

    Raises
    ------
    RuntimeError
        When there is no C compiler, or it refuses the source.

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    sketch = toolchain.deploy_sketch("genre_recognizer", generated)
    batch = EMULATOR / "host_batch.c"
    key = toolchain.content_hash(sketch / "src", batch)[:16]
    library = build_dir() / "host" / f"firmware-O3-{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory() as temporary:
            target = Path(temporary) / "library.so"
            toolchain.call([*toolchain.find_host_compiler(), "-O3", "-fno-tree-slp-vectorize", "-w", "-shared",
                            "-fPIC", "-I", sketch / "src", *sorted((sketch / "src").rglob("*.c")), batch, "-o",
                            target, "-lm"],
                           "compiling the firmware's C for this machine", "The message says where it stopped.")
            write_whole(library, lambda file: file.write(target.read_bytes()))
    return _load(library)


@cache
def _load(library: Path) -> HostLibrary:
    return HostLibrary(ctypes.CDLL(str(library)))


# ---- command line

def add_arguments(parser) -> None:
    """Arguments of `python -m mgr_helpers pico`."""
    parser.add_argument("--audio", required=True, help="recording to play to the emulated microphone; with --clips a "
                        "folder with one sub-folder per genre, or mini, or gtzan")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--gain", type=float, default=-6.0, metavar="DB", help="level at the ADC (default -6 dB)")
    parser.add_argument("--noise", type=float, default=1.0, metavar="LSB", help="noise in ADC steps (default 1)")
    parser.add_argument("--compiler", choices=("gcc", "zig"), help="default: gcc if present, else zig")
    parser.add_argument("--seconds", type=float, help="listen to the first seconds only")
    parser.add_argument("--clips", type=int, metavar="N", help="play so many clips of the folder, and compare every "
                        "decision with Python's")
    parser.add_argument("--mic", type=float, default=0.0, metavar="DB", help="with --clips: level in the microphone "
                        "simulation (default 0 dB)")
    parser.add_argument("--room", action="store_true", help="with --clips: in a random room")
    parser.add_argument("--model", type=Path, help="with --clips: int8 .tflite file (default: the one that ships)")


def run(arguments) -> int:
    """`python -m mgr_helpers pico`: what the emulated Pico says about a recording, or to the clips of a folder."""
    if arguments.clips:
        return _run_clips(arguments)
    image = build_image("genre_recognizer", arguments.compiler)
    result = listen(arguments.audio, arguments.gain, arguments.noise, arguments.seconds, image)
    if arguments.json:
        left_out = ("uart", "output", "adc", "lines", "pins", "stages", "xip")
        size = {key: image[key] for key in ("compiler", "flash_bytes", "ram_static")}
        print(json.dumps({**{key: value for key, value in result.items() if key not in left_out}, "image": size}))
        return 0
    print(f"{'time':>8}  {'window':8}{'vote':8}{'confidence':>10}   {'says':8}{'scores'}")
    for decision in result["decisions"]:
        print(f"{decision['time_ms'] / 1000:6.2f} s  {decision['label']:8}{decision['vote']:8}"
              f"{decision['confidence']:8d} %   {decision['says']:8}"
              f"{' '.join(f'{score:4d}' for score in decision['scores'])}")
    for line in result["overruns"]:
        print(line)
    print(f"self-test {'passed' if result['self_test'] else 'FAILED'}; "
          f"{100 * result['awake_share']:.1f} % of the time awake; flash {image['flash_bytes']}, "
          f"RAM {image['ram_static']} and stack {result['stack_bytes']} bytes")
    print(result["genre"])
    return 0


def _run_clips(arguments) -> int:
    """Print what `compare_clips` finds; 1 when a decision is missing or differs from Python's."""
    found = compare_clips(arguments.audio, arguments.clips, arguments.mic, arguments.room, model=arguments.model,
                          compiler=arguments.compiler)
    decisions = found["decisions"]
    failed = decisions["missed"] or decisions["equal"] != decisions["n"] or found["overruns"] or not decisions["n"]
    if arguments.json:
        print(json.dumps(found, indent=1))
        return int(bool(failed))
    for clip in found["clips"]:
        print(f"{clip['song']:40} {clip['genre']:8} said {clip['said']:8} "
              f"{clip['equal']} of {clip['windows']} decisions equal")
    print(f"{decisions['equal']} of {decisions['n']} decisions equal to Python's, {decisions['missed']} missed, "
          f"{found['overruns']} overruns")
    for name in ("windows", "votes", "decided"):
        share = found[name]["accuracy"]
        print(f"{name:8} {'-' if share is None else f'{share:.1%}'} of {found[name]['n']}")
    print(f"said: genre {found['said']['genre']:.1%}, unsure {found['said']['unsure']:.1%}, "
          f"silence {found['said']['silence']:.1%}")
    return int(bool(failed))
