"""Build the firmware, run it on an emulated Pico, and run the same C on this machine.

The emulated Pico is rp2040js: a Cortex-M0+ with the RP2040's ADC, DMA, UART and timers. The sketch that runs is the
very `.ino`, over small stand-ins for the Arduino core (firmware/emulator/). What it doesn't cover: the real core, USB,
the second-stage boot loader, waits for flash (cache misses are counted, not timed), and the 15 cycles of an
interrupt's entry.

Explained in notebooks/08_deploy_to_pico.ipynb.
"""

from __future__ import annotations

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


def write_job(image: dict, folder: Path, adc: np.ndarray | None, **options) -> None:
    """Write what runner.js reads: the job (its fields are described there) and the ADC counts."""
    job = {"image": str(image["bin"]), "result": str(folder / "result.json"), **options}
    if adc is not None:
        np.asarray(adc, "<u2").tofile(folder / "adc.bin")
        job["adc"] = str(folder / "adc.bin")
    (folder / "job.json").write_text(json.dumps(job))


def node_command(folder: Path) -> tuple[list[str], dict]:
    """Command and environment that run the job in a folder."""
    node, _ = toolchain.find_node()
    environment = {**os.environ, "NODE_PATH": str(toolchain.emulator_modules())}
    return [node, str(EMULATOR / "runner.js"), str(folder / "job.json")], environment


def read_result(folder: Path, said: str = "") -> dict:
    """What runner.js found; a RuntimeError with the words it `said` when it ended without a result."""
    file = folder / "result.json"
    if not file.exists():
        raise RuntimeError(f"the emulated Pico ended without a result:\n{said.strip()[-2000:]}")
    return json.loads(file.read_text())


def _follow(folder: Path, seconds: float | None) -> str:
    """Run the job in a folder, with a progress bar when it takes long; returns what the emulator complained of."""
    command, environment = node_command(folder)
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
        write_job(image, folder, adc, seconds=seconds, input=str(folder / "input.bin"),
                  output=str(folder / "output.bin"), uart=str(folder / "uart.bin"),
                  adc_log=str(folder / "delivered.bin"), progress=True, **options)
        result = read_result(folder, _follow(folder, seconds if bar else None))
        result["uart"] = (folder / "uart.bin").read_bytes()
        result["output"] = (folder / "output.bin").read_bytes()
        result["adc"] = np.fromfile(folder / "delivered.bin", "<u2")
    if result["stopped"] not in ("time", "exit") or result["exit_status"]:
        sent = result["uart"][-500:].decode(errors="replace")
        raise RuntimeError(f"the emulated Pico stopped: {result['stopped']} (exit status {result['exit_status']}) "
                           f"after {result['seconds']:.6f} s; it had sent: {sent!r}")
    return result


def features_and_scores(windows: np.ndarray, image: dict, config: Config = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """Features and scores that the emulated Pico computes from windows of audio.

    Parameters
    ----------
    windows : int16 array (n, >= config.window_length)
        Audio; the first `window_length` samples of each row count.
    image : dict
        From `image.build_image(EMULATOR / "pico_batch.c", ...)`.

    Returns
    -------
    (int8 array (n, n_frames, n_mfcc), int8 array (n, genres))

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    cut = np.ascontiguousarray(np.asarray(windows)[:, : config.window_length], "<i2")
    parts = np.array_split(cut, -(-len(cut) // 16))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a thread only waits for its emulator
        outputs = pool.map(lambda part: emulate(image, data=part.tobytes())["output"], parts)
        outputs = list(tqdm(outputs, total=len(parts), desc="emulated Pico", unit="x16 windows", delay=2, leave=False))
    n_features = config.n_frames * config.n_mfcc
    rows = np.frombuffer(b"".join(outputs), np.int8).reshape(len(cut), n_features + len(config.genres))
    return rows[:, :n_features].reshape(-1, config.n_frames, config.n_mfcc), rows[:, n_features:]
