"""Extreme numbers: Python, the C on this computer, the C under sanitizers and the C on the emulated Pico must agree.

The frames are extreme ones that music does not contain (square waves at full scale, zeros, single steps, alternating
extremes) and random ones at every level. Features, scores and decisions must be the same, bit for bit.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from mgr_helpers.audio.adc import adc_to_q15
from mgr_helpers.config import CONFIG, FIRMWARE, build_dir
from mgr_helpers.features import mfcc_q15
from mgr_helpers.host import host_c, toolchain
from mgr_helpers.model import recognizer, runtimes
from mgr_helpers.model.tflite import Model, load_model
from mgr_helpers.pico import emulator, headers
from mgr_helpers.pico.image import build_image
from tests import host_decisions

from . import relative, result, times

N_WINDOWS = 5000  # of 20 frames: 100,000
N_STREAMS = 60
N = CONFIG.window_length
BATCH = 250
LOW, HIGH, MIDDLE = -32768, 32767, 2**CONFIG.adc_bits // 2
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wstrict-prototypes",
          "-Wundef", "-Wvla")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")


# --- frames ---------------------------------------------------------------------------------------------------------

def noise(rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise, its level anywhere from less than a step to far above full scale."""
    return rng.standard_normal(N) * 2 ** rng.uniform(-2, 18)


def uniform(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(LOW, HIGH + 1, N)


def square(rng: np.random.Generator) -> np.ndarray:
    """A square wave at full scale with a period of two samples or more."""
    period = 2 ** rng.uniform(1, 12)
    return np.where((np.arange(N) + rng.integers(N)) % period < period / 2, HIGH, LOW)


def alternating(rng: np.random.Generator) -> np.ndarray:
    """Both extremes in turn, the lower one -32768 or -32767: all energy is at half the sampling rate."""
    return np.where((np.arange(N) + rng.integers(2)) % 2, HIGH, rng.choice([LOW, -HIGH]))


def telegraph(rng: np.random.Generator) -> np.ndarray:
    """Random jumps between the extremes."""
    return np.where(np.cumsum(rng.random(N) < 2 ** -rng.uniform(1, 11)) % 2, HIGH, LOW)


def constant(rng: np.random.Generator) -> np.ndarray:
    """One value: zero, an extreme, or any other."""
    return np.full(N, rng.choice([0, 0, 1, -1, HIGH, LOW, -HIGH, rng.integers(LOW, HIGH)]))


def one_step(rng: np.random.Generator) -> np.ndarray:
    """Zeros and a few, or many, samples of 1 or -1."""
    share = rng.choice([1 / N, 0.01, 0.5])
    return (rng.random(N) < share) * rng.choice([-1, 1], N)


def every_shift(rng: np.random.Generator) -> np.ndarray:
    """The largest sample is a power of two, or one less or more: each shift of the block scaling, at its limits."""
    peak = 2 ** rng.integers(0, 16) + rng.integers(-1, 2)
    samples = np.round(rng.uniform(-1, 1, N) * peak)
    samples[rng.integers(0, N, 20)] = rng.choice([-peak, peak])
    return samples


def impulses(rng: np.random.Generator) -> np.ndarray:
    """Zeros with a few extreme or small samples."""
    samples = np.zeros(N)
    samples[rng.integers(0, N, rng.integers(1, 40))] = rng.choice([LOW, HIGH, 1, -1, 2**14])
    return samples


def tone(rng: np.random.Generator) -> np.ndarray:
    """A sine, often exactly on a bin, where the spectrum has its largest numbers; some are so loud that they clip."""
    hertz = rng.choice([rng.integers(1, 1024), rng.uniform(1, 1024)]) * CONFIG.sample_rate / CONFIG.fft_length
    return rng.choice([1.0, 1.2, 50.0, 0.01]) * HIGH * np.sin(2 * np.pi * hertz * np.arange(N) / CONFIG.sample_rate
                                                             + rng.choice([0, np.pi / 2, rng.uniform(0, 6)]))


def chirp(rng: np.random.Generator) -> np.ndarray:
    phase = np.pi * np.arange(N) ** 2 / N * rng.uniform(0.1, 1)
    return HIGH * np.sign(np.sin(phase)) if rng.random() < 0.5 else HIGH * np.sin(phase)


SIMPLE = (noise, uniform, square, alternating, telegraph, constant, one_step, every_shift, impulses, tone, chirp)


def jump(rng: np.random.Generator) -> np.ndarray:
    """From one kind to another at a random sample: the largest changes of level from frame to frame."""
    first, second = (SIMPLE[rng.integers(len(SIMPLE))](rng) for _ in range(2))
    return np.where(np.arange(N) < rng.integers(N), first, second)


KINDS = (*SIMPLE, jump)


def frames(n: int, seed: int = 0) -> np.ndarray:
    """`n` windows of all kinds in turn, int16 (n, window_length)."""
    rng = np.random.default_rng(seed)
    windows = np.empty((n, N), np.int16)
    for i in range(n):
        windows[i] = np.clip(np.round(KINDS[i % len(KINDS)](rng)), LOW, HIGH)
    return windows


def batches(n: int, what: str):
    """Yield (index of the first window, windows) in batches, so that only one batch is in memory."""
    with tqdm(total=n * CONFIG.n_frames, desc=what, unit="frame", leave=False) as bar:
        for start in range(0, n, BATCH):
            windows = frames(min(BATCH, n - start), start)
            yield start, windows
            bar.update(len(windows) * CONFIG.n_frames)


def in_python(windows: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raw MFCCs (their level not removed), int8 features and scores, by cmsisdsp and TensorFlow Lite Micro."""
    raw = np.stack([mfcc_q15.q15_mfcc(window) for window in windows])
    features = mfcc_q15.quantize_features(mfcc_q15.window_features(raw, model.config), model.front_end)
    return raw, features, runtimes.run_tflm(model, features)


def unequal(start: int, what: str, found: np.ndarray, expected: np.ndarray) -> list[str]:
    """A line for each window that differs."""
    rows = np.flatnonzero((found != expected).reshape(len(found), -1).any(axis=1))
    return [f"{what} of window {start + row} ({KINDS[row % len(KINDS)].__name__}) differ" for row in rows]


# --- campaigns ------------------------------------------------------------------------------------------------------

def on_this_machine(n: int = N_WINDOWS) -> dict:
    """Python against the C on this computer. Also counts how often numbers reached their limits."""
    model, host, broke, at_limit = load_model(), host_c.host_library(), [], {}
    n = times(n)

    def count(name: str, hits) -> None:
        at_limit[name] = at_limit.get(name, 0) + int(np.sum(hits))

    for start, windows in batches(n, "frames, this machine"):
        raw, features, scores = in_python(windows, model)
        for what, found, expected in (("raw MFCCs", host.mfcc(windows), raw),
                                      ("features", host.features(windows), features),
                                      ("scores", host.scores(features), scores)):
            broke += unequal(start, what, found, expected)
        shifts = np.array([[mfcc_q15.headroom(frame) for frame in mfcc_q15.mfcc.split_frames(window, CONFIG)]
                           for window in windows])
        for shift in range(16):
            count(f"frames_shifted_by_{shift}", shifts == shift)
        for name, values in (("features", features), ("scores", scores)):
            count(f"{name}_at_-128", values == -128)
            count(f"{name}_at_127", values == 127)
    at_limit["shift_amounts_met"] = sum(at_limit.pop(f"frames_shifted_by_{shift}") > 0 for shift in range(16))
    return result(f"{n * CONFIG.n_frames:,d} random and adversarial frames in windows of {CONFIG.n_frames}: raw MFCCs, "
                  "features and scores of the C equal those of cmsisdsp and TensorFlow Lite Micro", n, broke,
                  frames=n * CONFIG.n_frames, **at_limit)


def adversarial_features(n: int, seed: int) -> np.ndarray:
    """int8 features that no sound gives: extremes at random, the same at every step, one value, small, or any."""
    rng = np.random.default_rng(seed)
    shape = (n, CONFIG.n_frames, CONFIG.n_mfcc)
    features = rng.integers(-128, 128, shape)
    features[0::5] = np.where(rng.random(shape)[0::5] < 0.5, -128, 127)
    features[1::5] = np.where(rng.random((n, 1, CONFIG.n_mfcc))[1::5] < 0.5, -128, 127)  # the same at every step
    features[2::5] = rng.choice([-128, 0, 127], (n, 1, 1))[2::5]
    features[3::5] = features[3::5] // rng.integers(1, 100, (n, 1, 1))[3::5]
    return features.astype(np.int8)


def of_the_model(n: int = N_WINDOWS) -> dict:
    """The LSTM alone, with features that saturate it."""
    model, host, broke = load_model(), host_c.host_library(), []
    n = times(n)
    for start in tqdm(range(0, n, BATCH), desc="features, this machine", unit="batch", leave=False):
        features = adversarial_features(min(BATCH, n - start), start)
        rows = np.flatnonzero((host.scores(features) != runtimes.run_tflm(model, features)).any(axis=1))
        broke += [f"scores of features {start + row} differ" for row in rows]
    return result("int8 features at their limits and random ones: scores of the C equal those of TensorFlow Lite "
                  "Micro", n, broke)


def stream(kind: int, rng: np.random.Generator, n_windows: int = 3) -> np.ndarray:
    """Extreme ADC counts (uint16): lowest, highest, jumps between them, drifts, single steps, noise, clipped tones."""
    n, most = n_windows * CONFIG.window_step + N, 2**CONFIG.adc_bits - 1
    time = np.arange(n)
    counts = (
        lambda: np.full(n, rng.choice([0, most])),
        lambda: np.where(np.cumsum(rng.random(n) < 2 ** -rng.uniform(1, 15)) % 2, most, 0),
        lambda: time / n * most,
        lambda: most - time / n * most + rng.normal(0, 3, n),
        lambda: rng.integers(0, most + 1) + (rng.random(n) < 0.001),
        lambda: rng.integers(0, most + 1, n),
        lambda: rng.integers(0, most + 1) + rng.standard_normal(n) * 2 ** rng.uniform(0, 13),
        lambda: MIDDLE + 5000 * np.sin(time * rng.uniform(0.001, 3)),
        lambda: np.where(time < rng.integers(n), rng.choice([0, most]), rng.integers(0, most + 1)),
        lambda: np.where(time % 2, most, 0) * (time > rng.integers(n)),
    )[kind]()
    return np.clip(np.round(counts), 0, most).astype(np.uint16)


def of_streams(n: int = N_STREAMS) -> dict:
    """From ADC counts to decisions: tracked bias, saturation, vote, unsure and silence."""
    model, host, broke = load_model(), host_c.host_library(), []
    n, clipped, said = times(n), 0, []
    for i in tqdm(range(n), desc="ADC streams", unit="stream", leave=False):
        adc = stream(i % 10, np.random.default_rng([1, i]))
        ours, theirs = recognizer.decisions(adc, model, headers.run_reference), host_decisions.decisions(host, adc)
        clipped += int(np.isin(adc_to_q15(adc), (LOW, HIGH)).sum())
        said += [row["says"] for row in ours]
        same = len(ours) == len(theirs["window"]) and all(
            [row[key] for row in ours] == theirs[key].tolist() for key in ("scores", "confidence", "silent", "unsure")
        ) and [CONFIG.genres.index(row["vote"]) for row in ours] == theirs["vote"].tolist()
        broke += [] if same else [f"decisions of stream {i} (kind {i % 10}) differ"]
    return result("streams of ADC counts at both limits, with jumps, drifts and single steps: decisions of the C "
                  "equal Python's", n, broke, decisions=len(said), silence=said.count("silence"),
                  saturated_samples=clipped)


def on_the_pico(n: int = N_WINDOWS) -> dict:
    """The same frames on the emulated Cortex-M0+, by both compilers: what its assembly computes."""
    model, broke, n = load_model(), [], times(n)
    compilers = ["gcc"] * bool(shutil.which("arm-none-eabi-gcc")) + ["zig"]
    images = {name: build_image(toolchain.EMULATOR / "pico_batch.c", name) for name in compilers}
    for start, windows in batches(n, "frames, emulated Pico"):
        _, features, scores = in_python(windows, model)
        for name, image in images.items():
            on_pico_features, on_pico_scores = emulator.features_and_scores(windows, image)
            broke += unequal(start, f"{name}'s features", on_pico_features, features)
            broke += unequal(start, f"{name}'s scores", on_pico_scores, scores)
    return result(f"the same frames on the emulated Pico, by {' and '.join(images)}: features and scores equal "
                  "Python's", n, broke, frames=n * CONFIG.n_frames)


# --- sanitizers and analysis ----------------------------------------------------------------------------------------

def sanitized_program(folder: Path) -> Path | None:
    """Compile the portable C and `windows.c` with AddressSanitizer and UndefinedBehaviorSanitizer.

    CMSIS-DSP, which is not ours, gets AddressSanitizer only. Returns None when the compiler has no sanitizers.
    """
    compiler = toolchain.find_host_compiler()
    probe, program = folder / "probe.c", folder / "windows"
    probe.write_text("int main(void) { return 0; }\n")
    if subprocess.run([*compiler, *SANITIZERS, probe, "-o", folder / "probe"], capture_output=True).returncode:
        return None
    source = toolchain.deploy_sketch("genre_recognizer") / "src"
    for file in sorted((source / "cmsis").glob("*.c")):
        toolchain.call([*compiler, "-fsanitize=address", "-g", "-O1", "-w", "-c", file, "-o",
                        folder / f"{file.stem}.o"], f"compiling {file.name}", "Its messages follow.")
    toolchain.call([*compiler, *SANITIZERS, "-w", "-I", source, *sorted(source.glob("*.c")),
                    toolchain.EMULATOR / "host_batch.c", Path(__file__).with_name("windows.c"),
                    *sorted(folder.glob("*.o")), "-o", program, "-lm"], "compiling with sanitizers",
                   "Its messages follow.")
    return program


def _sanitized(program: Path, what: str, data: bytes) -> tuple[bytes, str]:
    """The output of the program, and what a sanitizer reported ("" for nothing)."""
    done = subprocess.run([program, what], input=data, capture_output=True)
    said = relative(done.stderr.decode(errors="replace").strip(), toolchain.deploy_sketch("genre_recognizer"))
    return done.stdout, said or (f"exit status {done.returncode}" if done.returncode else "")


def under_sanitizers(n: int = N_WINDOWS, n_streams: int = N_STREAMS) -> dict:
    """The same frames and streams through the C under AddressSanitizer and UndefinedBehaviorSanitizer."""
    tried = ("the same frames and streams through the C under AddressSanitizer and UndefinedBehaviorSanitizer: they "
             "report nothing, and the bits are the same as without them")
    host, broke, n = host_c.host_library(), [], times(n)
    with tempfile.TemporaryDirectory() as temporary:
        program = sanitized_program(Path(temporary))
        if program is None:
            return result(tried, 0, [], not_run="the C compiler of this machine has no sanitizers")
        for start, windows in batches(n, "frames, sanitizers"):
            data, said = _sanitized(program, "windows", windows.tobytes())
            raw, features = host.mfcc(windows), host.features(windows)
            rows = [*map(bytes, np.concatenate([raw.reshape(len(raw), -1).view(np.int8),
                                                features.reshape(len(raw), -1), host.scores(features)], axis=1))]
            broke += [f"windows from {start} on: {said[:300]}"] if said else []
            broke += [f"windows from {start} on: other bits"] if data != b"".join(rows) and not said else []
        for i in range(times(n_streams)):
            adc = stream(i % 10, np.random.default_rng([1, i]))
            said = _sanitized(program, "adc", adc.tobytes())[1]
            broke += [f"stream {i}: {said[:300]}"] if said else []
    return result(tried, n + times(n_streams), broke, frames=n * CONFIG.n_frames)


def sources() -> list[Path]:
    """Our C files: those of both sketches, and those that run them on this computer."""
    return [*sorted(FIRMWARE.glob("*/src/*.c")), Path(__file__).with_name("windows.c"),
            toolchain.EMULATOR / "host_batch.c"]


def static_analysis() -> dict:
    """Strict warnings and gcc's analyser over every C file of ours, and cppcheck if it is installed."""
    source = toolchain.deploy_sketch("genre_recognizer") / "src"
    analysers = {"host": [*toolchain.find_host_compiler()]}
    analysers |= {"Cortex-M0+": [shutil.which("arm-none-eabi-gcc"), "-mcpu=cortex-m0plus", "-mthumb"]
                  } if shutil.which("arm-none-eabi-gcc") else {}
    broke, runs = [], 0
    for name, compiler in analysers.items():
        deep = ("-fanalyzer",) if "gcc" in subprocess.run([*compiler, "--version"], capture_output=True,
                                                          text=True).stdout.lower() else ()
        for file in tqdm(sources(), desc=f"analysis, {name}", unit="file", leave=False):
            copied = source / file.name if (FIRMWARE / "genre_recognizer" / "src") == file.parent else file
            command = [*compiler, "-std=gnu11", "-O2", *STRICT, *deep, "-isystem", source / "cmsis", "-I", source, "-c",
                       copied, "-o", "/dev/null"]
            done = subprocess.run(command, capture_output=True, text=True)
            runs += 1
            words = [line for line in done.stderr.splitlines() if "warning:" in line or "error:" in line]
            words = [line for line in words if "/cmsis/" not in line.split(":")[0]]  # not ours
            said = relative(" and ".join(words), source, build_dir())[:600]
            broke += [f"{name}: {file.name}: {said}"] if said else []
    cppcheck = shutil.which("cppcheck")
    if cppcheck:
        done = subprocess.run([cppcheck, "--quiet", "--enable=warning,performance,portability", "--error-exitcode=1",
                               "--suppress=*:*/cmsis/*", "-UARDUINO_ARCH_APOLLO3",  # it changes nothing in these files
                               "-I", source, *sources()], capture_output=True, text=True)
        runs += 1
        broke += [f"cppcheck: {relative(done.stderr, source)[:600]}"] if done.returncode else []
    return result(f"{' '.join(STRICT)} -fanalyzer over each C file of ours: no warning", runs, broke,
                  files=len(sources()), compilers=", ".join(analysers), cppcheck="run" if cppcheck else "not installed")


def campaigns() -> list:
    """See tests/stress/__init__.py."""
    return [("frames, C on this machine", on_this_machine), ("the model alone", of_the_model),
            ("ADC streams", of_streams), ("frames, emulated Pico", on_the_pico), ("sanitizers", under_sanitizers),
            ("static analysis", static_analysis)]
