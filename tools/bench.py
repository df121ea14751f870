"""Cycles, bytes and milliseconds of our way beside the book's: on the Pico, and on this machine.

Everything about the Pico is counted on the emulated one: a Cortex-M0+ without waits for flash. So cycles are a lower
bound. Misses of the flash cache are counted separately. The figures go into build/bench.json, which the README reads.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

from mgr_helpers import plots
from mgr_helpers.audio import dataset
from mgr_helpers.audio.adc import ideal_counts
from mgr_helpers.config import CONFIG, Config, build_dir
from mgr_helpers.features import mfcc_book, mfcc_q15
from mgr_helpers.features.windows import FEATURE_BATCH, features_of, stream_windows
from mgr_helpers.host import host_c, toolchain
from mgr_helpers.host.command_line import add_number, as_path, main, refuse_unused
from mgr_helpers.host.files import shown, write_text, write_whole
from mgr_helpers.host.quiet import import_tf
from mgr_helpers.model import recognizer, training
from mgr_helpers.model.network import build_model, fit_normalisation, train
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import costs, headers, listen
from mgr_helpers.pico.image import CLOCK_HZ, build_image
from mgr_helpers.record import protocol
from tools import compact_tables

IN_FLASH_KEYS = ("flash", "ram_static", "stack", "latency_ms_125mhz", "awake_share", "with_misses")
WINDOWS = 6  # of audio for the cycles of stages
# A miss reads 8 bytes over four lines. Clocks of the flash chip: 6 for 24 address bits, 2 for mode bits, 4 dummy, 16
# for data. It runs at half the system clock (default of the SDK's boot2 for a W25Q080 in continuous read mode).
MISS_CYCLES = 2 * (6 + 2 + 4 + 16)
# Not measured here. From the book's sketch: its buffer of a clip (22050 int16) and its TFLM arena. The cycles of its
# model in TFLM were measured once, on the emulated RP2040 with TFLM's reference kernels at -Os.
BOOK_CLIP_BYTES, BOOK_ARENA_BYTES = 2 * CONFIG.clip_length, 16384
BOOK_TFLM_CYCLES = 9_300_000


# --- bytes, latency, time awake ---------------------------------------------------------------------------------------

def table_bytes(image: dict, header: Path = headers.GENERATED / "tables.h") -> dict[str, int]:
    """Bytes in an image of each table that a generated header defines."""
    names = re.findall(r"(\w+)\[\d+\] = \{", header.read_text())
    return {name: image["symbols"][name] for name in names if name in image["symbols"]}


def image_id(image: dict) -> str:
    """Twelve hex digits that identify a build. Figures with the same digits are of the same firmware."""
    return toolchain.content_hash(image["bin"])[:12]


def decision_times(heard: dict, config: Config = CONFIG) -> dict:
    """Time from a window's last sample to its decision, and the time awake between the first and the last decision.

    Parameters
    ----------
    heard : dict
        From `listen.listen_to_counts`, with two decisions at least.

    Returns
    -------
    dict
        latency_ms (one for each decision: from the last sample to the first byte of its line), seconds (from the
        first to the last decision), awake_share (of that time, 0 to 1: start and self-test do not count).
    """
    texts = heard["uart"].decode(errors="replace").split("\n")
    starts = np.array([line[2:4] for text, line in zip(texts, heard["lines"]) if text.startswith("DECISION")])
    last_sample = config.window_length - 1 + config.window_step * np.arange(len(starts))
    latency = starts[:, 0] - (heard["adc_start"] + last_sample / heard["adc_rate"])
    seconds, asleep = starts[-1] - starts[0]
    return {"latency_ms": (1000 * latency).tolist(), "awake_share": 1 - asleep / seconds, "seconds": seconds}


def measure_sketch(samples: np.ndarray, compiler: str | None = None, config: Config = CONFIG,
                   defines: tuple[str, ...] = ()) -> dict:
    """Bytes of the shipped sketch, its latency and its time awake while it hears int16 audio of some ten seconds.

    Returns
    -------
    dict
        compiler, image (`image_id`), flash, flash_sections, tables and tables_by_name (of the features; not
        CMSIS-DSP's), ram_static (with the ADC's buffers), stack, latency_ms_125mhz (the longest), awake_share,
        listened_seconds, overruns.
    """
    image = build_image("genre_recognizer", compiler, defines=defines)
    heard = listen.listen_to_counts(ideal_counts(samples, config=config), image, config)
    times, tables = decision_times(heard, config), table_bytes(image)
    return {"compiler": image["compiler"], "image": image_id(image), "flash": image["flash_bytes"],
            "flash_sections": image["sections"], "tables": sum(tables.values()), "tables_by_name": tables,
            "ram_static": image["ram_static"] + heard["heap_bytes"], "adc_buffers": heard["heap_bytes"],
            "stack": heard["stack_bytes"], "latency_ms_125mhz": round(max(times["latency_ms"]), 3),
            "awake_share": round(times["awake_share"], 4), "listened_seconds": round(times["seconds"], 1),
            "overruns": len(heard["overruns"])}


def book_memory(image: dict, config: Config = mfcc_book.BOOK) -> dict:
    """The book's bytes: the clip's buffer and TFLM's arena are those of its sketch, the rest is from our image."""
    symbols = image["symbols"]
    parts = {"clip": BOOK_CLIP_BYTES, "work": symbols["windowed"] + symbols["fft"],
             "features": 4 * config.n_frames * config.n_mfcc, "tflm_arena": BOOK_ARENA_BYTES}
    tables = table_bytes(image, build_dir() / "book" / "book_tables.h")
    return {"tables": sum(tables.values()), "tables_by_name": tables, "ram": sum(parts.values()), "ram_parts": parts}


def with_misses(ours: dict, config: Config = CONFIG) -> dict:
    """Cycles of a frame, latency and time awake, if each miss of the flash cache took MISS_CYCLES."""
    waits = MISS_CYCLES * ours["misses"]["total"]
    step_cycles = CLOCK_HZ * config.frame_step / config.sample_rate
    return {"frame": ours["frame"]["total"] + waits, "awake_share": round(ours["awake_share"] + waits / step_cycles, 4),
            "latency_ms_125mhz": round(ours["latency_ms_125mhz"] + 1000 * waits / CLOCK_HZ, 3)}


def ratios(ours: dict, book: dict) -> dict:
    """How many times more the book's way takes."""
    return {"features": round(book["frame"]["features"] / ours["frame"]["features"], 2),
            "ram": round(book["ram"] / (ours["ram_static"] + ours["stack"]), 2),
            "tables": round(book["tables"] / ours["tables"], 1)}


def measure_pico(songs: list, compiler: str | None = None, config: Config = CONFIG) -> dict:
    """Everything about the Pico: compiler, ours, book, ratio, miss_cycles.

    Parameters
    ----------
    songs : list of dataset.Song
        The stages get one window of each of six songs. The sketch hears the beginning of one song of each genre.
    """
    starts = [song.samples[len(song.samples) // 2 :][: config.window_length] for song in _some(songs, WINDOWS, config)]
    windows = np.stack(starts)
    beginnings = [song.samples[: 5 * config.sample_rate] for song in _some(songs, len(config.genres), config)]
    heard = np.concatenate(beginnings)
    ours, stages = _our_way(windows, heard, compiler, config)
    in_flash = _our_way(windows, heard, compiler, config, ("HOT_IN_FLASH",))[0]
    ours["hot_in_flash"] = {key: in_flash[key] for key in IN_FLASH_KEYS} | {"misses": in_flash["misses"]["total"]}
    portable = costs.measure_stages(windows, compiler, costs.PORTABLE)["ours"]
    book = {**stages["book"], **book_memory(costs.book_image(compiler)), "tflm_window": BOOK_TFLM_CYCLES}
    return {"compiler": f"{ours.pop('compiler')}, -O2", "ours": ours, "portable": portable, "book": book,
            "ratio": ratios(ours, book), "miss_cycles": MISS_CYCLES, "fft": fft_cycles(ours, portable, book),
            "low_power": measure_low_power(heard, compiler, config)}


def measure_low_power(samples: np.ndarray, compiler: str | None = None, config: Config = CONFIG) -> dict:
    """The sketch at 12 MHz while it hears int16 audio, and `at_48`, the same at 48 MHz.

    Each has awake_share (0 to 1), overruns, latency_ms (the longest) and cycles_per_second (awake).
    """
    found = {}
    for megahertz in (48, 12):
        image = build_image("genre_recognizer", compiler, defines=(f"LOW_POWER={megahertz}",))
        heard = listen.listen_to_counts(ideal_counts(samples, config=config), image, config)
        times = decision_times(heard, config)
        found = {"awake_share": round(times["awake_share"], 4), "overruns": len(heard["overruns"]),
                 "latency_ms": round(max(times["latency_ms"]), 1),
                 "cycles_per_second": round(1e6 * megahertz * times["awake_share"]),
                 **({"at_48": found} if found else {})}
    return found


def fft_cycles(ours: dict, portable: dict, book: dict) -> dict:
    """Cycles of a real FFT of 2048 points in q15, its window included, ours, by portable C and by CMSIS-DSP alone.

    Ours cannot be told from window and powers: the first pass applies the window (and a shift), and the split of the
    real FFT leaves each bin's power instead of its parts. So the window is part of all three, powers only of ours.
    """
    windowed = {name: part["frame"]["window"] + part["frame"]["rfft"] for name, part in
                (("portable", portable), ("cmsis_dsp", book))}
    return {"points": CONFIG.fft_length, "ours": ours["frame"]["window+fft"] + ours["frame"]["split+power"], **windowed,
            "cmsis_dsp_rfft": book["frame"]["rfft"]}


def fft_table(figures: dict) -> list[str]:
    """Lines of Markdown: `fft_cycles` for others to quote."""
    fft = figures["fft"]
    rows = {"this project's assembly: window, FFT and the power of each bin": fft["ours"],
            "CMSIS-DSP's C: `arm_mult_q15`, `arm_rfft_q15`": fft["cmsis_dsp"],
            "of this `arm_rfft_q15` alone": fft["cmsis_dsp_rfft"],
            "CMSIS-DSP's `arm_cfft_q15` with this project's portable window and split": fft["portable"]}
    return [f"| window and real FFT of {fft['points']} points, q15, on a Cortex-M0+ | cycles |", "|---|---|",
            *(f"| {name} | {cycles:,} |" for name, cycles in rows.items())]


def _our_way(windows: np.ndarray, heard: np.ndarray, compiler: str | None, config: Config,
             defines: tuple[str, ...] = ()) -> tuple[dict, dict]:
    """Stages and sketch of one build of ours, and the stages of both ways."""
    stages = costs.measure_stages(windows, compiler, defines)
    ours = {**stages["ours"], **measure_sketch(heard, compiler, config, defines)}
    ours["with_misses"] = with_misses(ours, config)
    return ours, stages


def _some(songs: list, n: int, config: Config) -> list:
    """n songs that are long enough, as many of each genre."""
    needed = 2 * config.window_length
    of_genre = [[song for song in songs if song.genre == genre and len(song.samples) > needed]
                for genre in config.genres]
    return [of_genre[i % len(of_genre)][i // len(of_genre)] for i in range(n)]


# --- a long stream ----------------------------------------------------------------------------------------------------

def soak(songs: list, minutes: float, compiler: str | None = None, config: Config = CONFIG,
         defines: tuple[str, ...] = ()) -> dict:
    """Play minutes of music to the sketch without a break, and compare each decision with Python's.

    Parameters
    ----------
    songs : list of dataset.Song
        Played one after another, repeated if they are too short.
    minutes : float

    Returns
    -------
    dict
        minutes, music_seconds (without repetition), samples_delivered, samples_processed (that went into decisions),
        overruns, decisions, expected, equal (every decision in all its fields), clock_mhz, awake_share and latency_ms
        (of `decision_times`; the longest), wall_seconds, image (`image_id`).
    """
    music = np.concatenate([song.samples for song in songs])
    windows = -(-int(minutes * 60 * config.sample_rate) // config.window_step)
    image = build_image("genre_recognizer", compiler, defines=defines)
    samples = np.resize(music, config.window_length + (windows - 1) * config.window_step)
    heard = listen.listen_to_counts(ideal_counts(samples, config=config), image, config)
    expected = recognizer.decisions(heard["adc"][: len(samples)], load_model(), headers.run_reference)
    processed = config.window_length + (len(heard["decisions"]) - 1) * config.window_step
    times = decision_times(heard, config)
    return {"minutes": round(len(samples) / config.sample_rate / 60, 3),
            "music_seconds": round(min(len(music), len(samples)) / config.sample_rate, 1),
            "samples_delivered": len(samples), "samples_processed": processed, "overruns": len(heard["overruns"]),
            "decisions": len(heard["decisions"]), "expected": len(expected),
            "equal": [_fields(row) for row in heard["decisions"]] == [_fields(row) for row in expected],
            "clock_mhz": heard["clk_sys"] / 1e6, "awake_share": round(times["awake_share"], 4),
            "latency_ms": round(max(times["latency_ms"]), 1),
            "wall_seconds": round(heard["wall_seconds"], 1), "image": image_id(image)}


def _fields(row: dict) -> tuple:
    label = "silence" if row.get("silent") else row["label"]
    return row["window"], label, row["vote"], row["confidence"], tuple(row["scores"])


# --- this machine -----------------------------------------------------------------------------------------------------

def book_loop(windows: np.ndarray, config: Config = mfcc_book.BOOK) -> np.ndarray:
    """MFCCs as the book's notebook computes them: a frame at a time by cmsisdsp, the log by a loop over its table.

    Parameters
    ----------
    windows : int16 (n, window_length)

    Returns
    -------
    float32 (n, n_frames, n_mfcc)
    """
    import cmsisdsp
    book, out = mfcc_book, np.empty((len(windows), config.n_frames, config.n_mfcc), np.float32)
    hann, _, logs, dct = book.book_tables(config).values()
    for w, window in enumerate(windows):
        for i in range(config.n_frames):
            frame = window[i * config.frame_step :][: config.frame_length]
            windowed = cmsisdsp.arm_mult_q15(frame, hann)
            mel = book.mel_dense(book.book_magnitude(book.rfft_q15(windowed)), config)
            log_mel = np.array([logs[value] for value in mel], np.int16)
            out[w, i] = cmsisdsp.arm_mat_vec_mult_q15(dct, log_mel) / book.LOG_STEPS
    return out


def measure_features(songs: list, n: int = 10_000, config: Config = CONFIG) -> dict:
    """Windows a second of `windows.features_of` and of the book's loop, and the memory of n windows.

    Returns
    -------
    dict
        windows, cores, windows_per_second and book_windows_per_second, their ratio, cpu_ratio (of processor times:
        the number of cores does not matter), frame_by_frame and side_by_side (windows a second of one core by the
        firmware's own C, and by the C that takes several frames at once), peak_mb (what this process allocates
        meanwhile), audio_mb (of n windows, if copied).
    """
    windows = _many_windows(songs, n, config)
    some = windows[:: -(-n // 40)]
    features_of(windows[: 4 * FEATURE_BATCH], config=config)  # compiles and loads the C
    book_loop(some[:1])  # makes its tables
    before = _seconds(book_loop, some)
    ours = [seconds / n for seconds in _seconds(features_of, windows)]
    after = _seconds(book_loop, some)  # the machine may be busy
    book = [(first + second) / 2 / len(some) for first, second in zip(before, after)]
    by_c, part = host_c.host_library(), windows[:1000].copy()
    alone = {name: round(len(part) / _seconds(way, part)[1])
             for name, way in (("frame_by_frame", by_c.features), ("side_by_side", by_c.mfcc))}
    tracemalloc.start()
    features_of(windows, config=config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"windows": n, "cores": os.cpu_count(), "windows_per_second": round(1 / ours[0]),
            "book_windows_per_second": round(1 / book[0]), "ratio": round(book[0] / ours[0], 1),
            "cpu_ratio": round(book[1] / ours[1], 1), **alone, "peak_mb": round(peak / 1e6, 1),
            "audio_mb": round(windows.nbytes / 1e6)}


def _many_windows(songs: list, n: int, config: Config) -> np.ndarray:
    """n overlapping windows of the songs, joined: int16 (n, window_length), a view without copies."""
    music = np.concatenate([song.samples for song in songs])
    if len(music) < config.window_length + n:
        raise ValueError(f"{len(music)} samples are too few for {n} windows: give a larger data set")
    views = np.lib.stride_tricks.sliding_window_view(music, config.window_length)
    return views[:: len(views) // n][:n]


def _seconds(function, *values) -> tuple[float, float]:
    """Seconds by the clock, and of processor time in all threads."""
    start, start_cpu = time.perf_counter(), time.process_time()
    function(*values)
    return time.perf_counter() - start, time.process_time() - start_cpu


def seconds_per_epoch(songs: list, config: Config = CONFIG) -> float:
    """Training time of an epoch of the shipped architecture (60 steps of 64 windows), without the first epoch."""
    import_tf()
    import keras
    parts = [stream_windows(song.samples, config)[:4] for song in songs]
    raw = features_of(np.concatenate(parts), config=config)
    genre = np.repeat([config.genres.index(song.genre) for song in songs], [len(part) for part in parts])
    recipe = training.SHIPPED
    network = build_model(recipe.architecture, recurrent_dropout=recipe.recurrent_dropout, config=config)
    times: list[float] = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: times.append(time.perf_counter()))
    x = mfcc_q15.normalise(raw, *fit_normalisation(raw))
    train(network, x, genre, epochs=3, callbacks=[note])
    return round((times[-1] - times[0]) / (len(times) - 1), 2)


def measure_host(songs: list, config: Config = CONFIG) -> dict:
    """Speed of this machine: features, serial decoder (times real time), training (seconds an epoch)."""
    return {"features": measure_features(songs, config=config), "seconds_per_epoch": seconds_per_epoch(songs, config),
            "decoder_times_real_time": round(decoding_speed(30.0))}


# --- the book's tables, and the serial decoder ------------------------------------------------------------------------

def compare_tables(config: Config = mfcc_book.BOOK, frames: int = 200, seed: int = 0) -> dict:
    """Check that the small tables give the same values as the book's, and count bytes.

    Parameters
    ----------
    frames : int
        Spectra of random level to compare the Mel products on; the log tables are compared over all their indices.

    Returns
    -------
    dict
        mel_frames, mel_mismatches, log_indices, log_mismatches, log_values, book and compact (bytes by table).
    """
    random = np.random.default_rng(seed)
    tops = 2 ** random.uniform(2, 15, frames)
    spectra = [random.integers(0, int(top), config.n_bins).astype(np.int16) for top in tops]
    tables = mfcc_book.book_tables(config)
    indices = np.arange(len(tables["log"]))
    return {
        "mel_frames": frames,
        "mel_mismatches": sum(int(np.sum(mfcc_book.mel_dense(x, config) != compact_tables.mel_sparse(x, config)))
                              for x in spectra),
        "log_indices": len(indices),
        "log_mismatches": int(np.sum(mfcc_book.look_up_log(indices) != compact_tables.compact_log(indices))),
        "log_values": len(compact_tables.log_thresholds()[1]),
        "weights": int(compact_tables.mel_spans(config)[1].sum()),
        "book": {name: table.nbytes for name, table in tables.items()},
        "compact": compact_tables.compact_sizes(config),
    }


def print_tables(frames: int = 200) -> int:
    """Print the comparison of `compare_tables`; 0 when every value is equal."""
    found = compare_tables(frames=frames)
    print(f"Mel: dense and sparse product ({found['weights']} weights) on {found['mel_frames']} random spectra: "
          f"{found['mel_mismatches']} values differ")
    print(f"log: table and {found['log_values']} thresholds on {found['log_indices']} indices: "
          f"{found['log_mismatches']} values differ")
    print(f"{'bytes':<12}{'book':>10}{'compact':>10}")
    for name, size in found["book"].items():
        print(f"{name:<12}{size:>10,}{found['compact'][name]:>10,}")
    print(f"{'together':<12}{sum(found['book'].values()):>10,}{sum(found['compact'].values()):>10,}")
    return 0 if not found["mel_mismatches"] + found["log_mismatches"] else 1


def decoding_speed(seconds: float = 120.0, piece: int = 4096) -> float:
    """How many times faster than real time the decoder is, on a stream of noise fed in pieces of `piece` bytes."""
    values = np.random.default_rng(0).integers(0, 4096, round(seconds * CONFIG.sample_rate))
    stream = b"".join(protocol.take_frames(values))
    decoder, decoded = protocol.Decoder(), 0
    start = time.perf_counter()
    for at in range(0, len(stream), piece):
        events = decoder.feed(stream[at:at + piece])
        decoded += sum(len(event.values) for event in events if isinstance(event, protocol.Samples))
    elapsed = time.perf_counter() - start
    if decoded != len(values):
        raise RuntimeError(f"the decoder gave {decoded} samples of {len(values)}")
    return seconds / elapsed


# --- python -m tools.bench --------------------------------------------------------------------------------------

def load() -> dict:
    """The figures of the last `make bench`.

    Raises
    ------
    FileNotFoundError
        When there was none.
    """
    path = build_dir() / "bench.json"
    if not path.is_file():
        raise FileNotFoundError(f"{shown(path)} is missing: run `make bench`")
    return json.loads(path.read_text())


def save(figures: dict) -> Path:
    """Write build/bench.json. Figures that only an earlier run measured are kept."""
    path = build_dir() / "bench.json"
    kept = load() if path.is_file() else {}
    text = json.dumps({**kept, **figures}, indent=1) + "\n"
    return write_text(path, text)


def table(figures: dict) -> str:
    """The figures in words and columns."""
    ours, book, ratio = figures["ours"], figures["book"], figures["ratio"]
    portable = figures["portable"]["frame"]
    lines = [f"cycles of a frame by {figures['compiler']}, and misses of the flash cache",
             f"{'':14}{'ours':>10}{'misses':>8}{'book':>12}{'misses':>8}"]
    for name in [name for name in {**ours["frame"], **book["frame"]} if name not in costs.SUMS] + list(costs.SUMS):
        cells = [f"{part[name]:>{width},}" if name in part else " " * width for part, width in
                 ((ours["frame"], 10), (ours["misses"], 8), (book["frame"], 12), (book["misses"], 8))]
        lines.append(f"{name:14}{''.join(cells)}".rstrip())
    rows = [("RAM", ours["ram_static"] + ours["stack"], book["ram"]), ("tables", ours["tables"], book["tables"])]
    lines += ["", f"{'bytes':14}{'ours':>10}{'book':>20}", f"{'flash':14}{ours['flash']:10,}"]
    lines += [f"{name:14}{mine:10,}{theirs:20,}" for name, mine, theirs in rows]
    modelled = ours["with_misses"]
    return "\n".join([*lines, "", f"the book's way takes {ratio['features']} times the cycles of the features, "
                      f"{ratio['ram']} times the RAM, {ratio['tables']} times the tables",
                      f"from a window's last sample to its decision: {ours['latency_ms_125mhz']:.1f} ms at 125 MHz; "
                      f"awake {ours['awake_share']:.1%} of the time",
                      f"with {figures['miss_cycles']} cycles for each miss: {modelled['frame']:,} cycles a frame, "
                      f"{modelled['latency_ms_125mhz']:.1f} ms, {modelled['awake_share']:.1%}",
                      in_flash_line(ours["hot_in_flash"]),
                      f"portable C: features {portable['features']:,} cycles, LSTM {portable['lstm']:,}", "",
                      *fft_table(figures)])


def in_flash_line(figures: dict) -> str:
    """A line about the build whose hot constants stay in flash."""
    modelled = figures["with_misses"]
    ram = figures["ram_static"] + figures["stack"]
    return (f"hot constants in flash: RAM {ram:,} bytes, {figures['misses']:,} misses, modelled"
            f" {modelled['frame']:,} cycles a frame, {modelled['latency_ms_125mhz']:.1f} ms")


def draw(figures: dict) -> Path:
    """Write build/bench.png: cycles of the stages."""
    import matplotlib.pyplot as plt

    plots.use_style()
    ax = plots.stage_cycles(figures["ours"]["frame"], figures["book"]["frame"])
    path = write_whole(build_dir() / "bench.png", lambda file: ax.figure.savefig(file, format="png"))
    plt.close(ax.figure)
    return path


def add_arguments(parser) -> None:
    """Arguments of `python -m tools.bench`."""
    parser.add_argument("--audio", type=as_path,
                        help='data set to hear: a folder, "gtzan" or "mini" (default)')
    parser.add_argument("--compiler", choices=("gcc", "zig"), help="default: gcc if present, else zig")
    only = parser.add_mutually_exclusive_group()
    add_number(only, "--soak", 0.05, 10_000.0, "only play this many minutes to the Pico", metavar="MINUTES")
    only.add_argument("--tables", action="store_true", help="only compare the book's tables with the smaller ones")
    only.add_argument("--decoder", action="store_true", help="only measure the decoder of the serial stream")


def check(parser, arguments) -> None:
    """Tables and decoder need no audio and no Pico."""
    if arguments.tables or arguments.decoder:
        refuse_unused(parser, arguments, "bench with --tables or --decoder", "audio", "compiler")
    arguments.audio = arguments.audio or "mini"


def run(arguments) -> int:
    """Measure, write build/bench.json and build/bench.png, print a table; 1 when a long stream went wrong."""
    if arguments.tables:
        return print_tables()
    if arguments.decoder:
        print(f"serial decoder: {decoding_speed():,.0f} times real time")
        return 0
    found = dataset.load_songs(arguments.audio)
    if arguments.soak:
        result = {**soak(found.songs, arguments.soak, arguments.compiler), "audio": found.source}
        print(f"{shown(save({'soak': result}))}: {json.dumps(result)}")
        complete = result["samples_delivered"] == result["samples_processed"]
        return 0 if complete and result["equal"] and not result["overruns"] else 1
    figures = {**measure_pico(found.songs, arguments.compiler), "host": measure_host(found.songs),
               "audio": found.source}
    path = save(figures)
    print(table(figures))
    print(f"this machine: {json.dumps(figures['host'])}")
    print(f"{shown(path)}, {shown(draw(figures))}")
    return 0


if __name__ == "__main__":
    sys.exit(main("Cycles, bytes and latency on the emulated Pico; speed of this machine.", add_arguments, run, check))
