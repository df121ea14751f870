"""Run an image on the emulated Pico.

The emulated Pico is rp2040js: a Cortex-M0+ with the RP2040's ADC, DMA, UART and timers. A sketch is the same `.ino` as
on a board, over small stand-ins for the Arduino core (firmware/emulator/). Not covered: the real core, USB, the
second-stage boot loader, waits for flash (cache misses are counted, not timed), the 15 cycles of entering an interrupt.

Notebooks: 01, 08.
"""

import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..config import CONFIG, Config
from ..host import toolchain
from ..host.toolchain import EMULATOR


def write_job(image: dict, folder: Path, adc: np.ndarray | None, data: bytes = b"", **options) -> None:
    """Write the job for firmware/emulator/runner.js into a folder. All files of the job lie there."""
    np.asarray([] if adc is None else adc, "<u2").tofile(folder / "adc.bin")
    (folder / "input.bin").write_bytes(data)
    files = {name: str(folder / f"{name}.bin") for name in ("adc", "adc_log", "input", "output", "uart")}
    job = {"image": str(image["bin"]), "result": str(folder / "result.json"), **files, **options}
    (folder / "job.json").write_text(json.dumps(job))


def node_command(folder: Path) -> tuple[list[str], dict]:
    """Command and environment that run the job in a folder."""
    node, _ = toolchain.find_node()
    environment = {**os.environ, "NODE_PATH": str(toolchain.emulator_modules())}
    return [node, str(EMULATOR / "runner.js"), str(folder / "job.json")], environment


def read_result(folder: Path, said: str = "") -> dict:
    """The result of the job in a folder, as `emulate` returns it; `said` is what the emulator printed."""
    if not (folder / "result.json").exists():
        raise RuntimeError(f"the emulated Pico ended without a result:\n{said.strip()[-2000:]}")
    return {**json.loads((folder / "result.json").read_text()), "uart": (folder / "uart.bin").read_bytes(),
            "output": (folder / "output.bin").read_bytes(), "adc": np.fromfile(folder / "adc_log.bin", "<u2")}


def _follow(folder: Path, seconds: float | None) -> str:
    """Run the job in a folder, with a progress bar when it takes long; returns what the emulator printed."""
    (command, environment), said = node_command(folder), []
    with (subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           env=environment) as process,
          tqdm(total=seconds, desc="emulated Pico", delay=2, leave=False, disable=seconds is None,
               bar_format="{desc}: {percentage:3.0f}% {bar} {n:.1f} of {total:.1f} s") as bar):
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
        Counts that the ADC delivers, one after another. At the end, the last one is repeated.
    seconds : float, optional
        Emulated time to run; when not given, the image ends the run itself (`emulator_exit`).
    data : bytes
        What the image's `emulator_read` reads.
    bar : bool
        Show a progress bar when a run of `seconds` takes long.
    **options
        Further fields of the job, see firmware/emulator/runner.js: adc_rate, events, stalls, xip, plain.

    Returns
    -------
    dict
        stopped ("time", "exit" or what went wrong), exit_status, seconds, wall_seconds, cycles, cycles_awake,
        cycles_asleep, awake_share, adc_start (s), adc_samples, adc_rate (Hz), stack_bytes, heap_bytes, uart (bytes
        sent), lines (for each line sent: at its end, seconds and samples delivered; at its start, seconds and seconds
        asleep), pins (changes of outputs), stages (cycles between marks), xip (reads and misses), output
        (bytes that the image wrote), adc (uint16: the counts that were delivered).

    Raises
    ------
    RuntimeError
        When the image faults, gets stuck, or overflows its stack. The message quotes what it had sent until then.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_job(image, folder, adc, data, seconds=seconds, progress=True, **options)
        result = read_result(folder, _follow(folder, seconds if bar else None))
    if result["stopped"] not in ("time", "exit") or result["exit_status"]:
        sent = result["uart"][-500:].decode(errors="replace")
        raise RuntimeError(f"the emulated Pico stopped: {result['stopped']} (exit status {result['exit_status']}) "
                           f"after {result['seconds']:.6f} s; it had sent: {sent!r}")
    return result


def features_and_scores(windows: np.ndarray, image: dict, config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """int8 features (n, n_frames, n_mfcc) and scores (n, classes) of int16 windows (n, >= window_length) by the Pico.

    `image` is from `build_image(EMULATOR / "pico_batch.c", ...)`.
    """
    cut = np.ascontiguousarray(np.asarray(windows)[:, : config.window_length], "<i2")
    parts = np.array_split(cut, -(-len(cut) // 16))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a thread only waits for its emulator
        outputs = pool.map(lambda part: emulate(image, data=part.tobytes())["output"], parts)
        outputs = list(tqdm(outputs, total=len(parts), desc="emulated Pico", unit="x16 windows", delay=2, leave=False))
    n_features = config.n_frames * config.n_mfcc
    rows = np.frombuffer(b"".join(outputs), np.int8).reshape(len(cut), -1)
    return rows[:, :n_features].reshape(-1, config.n_frames, config.n_mfcc), rows[:, n_features:]
