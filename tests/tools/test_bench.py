"""The benchmark: what it measures is the right code, its figures hang together, and features of many windows."""

import json

import joblib
import numpy as np
import pytest

from mgr_helpers import plots
from mgr_helpers.audio import dataset, mini_set
from mgr_helpers.config import CONFIG
from mgr_helpers.features import mfcc, mfcc_book, mfcc_q15
from mgr_helpers.features import windows as features_windows
from mgr_helpers.features.windows import FEATURE_BATCH, _same_bits, features_of
from mgr_helpers.host import host_c, toolchain
from mgr_helpers.model import recognizer
from mgr_helpers.pico import costs
from mgr_helpers.pico.image import CLOCK_HZ, build_image
from tools import bench


@pytest.fixture(scope="module")
def songs() -> list[dataset.Song]:
    return [dataset.Song("", genre, f"{genre}/{i}", genre, mini_set.song(genre, i)[:100_000])
            for genre in CONFIG.genres for i in range(2)]


@pytest.fixture(scope="module")
def windows(songs) -> np.ndarray:
    return np.stack([song.samples[20_000 : 20_000 + CONFIG.window_length] for song in songs])


@pytest.fixture(scope="module")
def measured(songs) -> dict:
    return bench.measure_pico(songs)


@pytest.mark.slow
def test_the_books_way_in_c_equals_python_bit_for_bit(windows):
    """At several levels, by both compilers where there are both; a frame of zeros takes the log of nothing."""
    levels = np.concatenate([windows[:1] // 2**k for k in (0, 3, 6)] + [windows[:1] * 0])
    frames = np.concatenate([mfcc.split_frames(window, CONFIG)[:2] for window in levels])
    expected = np.stack([mfcc_book.frame_stages(frame, mfcc_book.BOOK)["mfcc"] for frame in frames])
    expected = expected / np.float32(8)
    for compiler in ("gcc", "zig") if toolchain.find_compiler().name == "gcc" else ("zig",):
        found, run = costs.book_features(frames, costs.book_image(compiler))
        assert found.dtype == np.float32 and np.array_equal(found, expected)
        assert {stage["count"] for stage in run["stages"].values()} == {len(frames)}


def test_cmsis_files_of_the_books_way_are_in_no_sketch():
    names = {path.name for path in (toolchain.deploy_sketch() / "src" / "cmsis").iterdir()}
    assert "arm_cfft_q15.c" in names and not {"arm_mult_q15.c", "arm_mat_vec_mult_q15.c"} & names
    assert "arm_mat_vec_mult_q15" not in build_image()["symbols"]


def test_stages_add_up_to_their_totals(measured):
    ours, book = measured["ours"], measured["book"]
    parts = {name: cycles for name, cycles in ours["frame"].items() if name not in costs.SUMS}
    assert sum(parts.values()) == ours["frame"]["total"] and min(parts.values()) > 0
    assert ours["frame"]["features"] == sum(parts[name] for name in costs.OUR_STAGES)
    assert sum(book["frame"].values()) == 3 * book["frame"]["total"]
    assert set(ours["misses"]) == set(ours["frame"]) and book["misses"]["mel"] > 5000


def test_the_assembly_is_as_fast_as_promised(measured):
    ours, portable, fft = measured["ours"]["frame"], measured["portable"]["frame"], measured["fft"]
    assert ours["features"] <= 240_000 and ours["lstm"] <= 85_000
    assert portable["features"] > 2 * ours["features"] and portable["lstm"] > 1.4 * ours["lstm"]
    assert portable["features"] == sum(portable[name] for name in costs.PORTABLE_STAGES)
    assert 2 * fft["ours"] < fft["portable"] < fft["cmsis_dsp"] and f"{fft['ours']:,}" in bench.table(measured)


def test_memory_parts_fill_the_image_without_overlap():
    """Blocks don't overlap, fill the image, and have a colour; the model's arrays are the model."""
    image = build_image()
    parts = costs.memory_parts(image, {"heap_bytes": 4096, "stack_bytes": 700})
    used = {"flash": image["bin"].stat().st_size - 0x100, "RAM": image["ram_static"] + 4096 + 700}
    for region, size in used.items():
        mine = sorted((part["offset"], part["bytes"]) for part in parts if part["region"] == region)
        assert all(start + length <= after for (start, length), (after, _) in zip(mine, mine[1:]))
        assert 0.97 * size < sum(length for _, length in mine) <= size
    assert {part["part"] for part in parts} == set(plots.MEMORY_COLORS)
    assert {part["name"]: part["part"] for part in parts}["LSTM0_WEIGHTS"] == "model"


def test_ours_needs_less_than_the_books_way(measured):
    """Claims that hold for any song; clang (zig) helps the book's dense Mel most, so its bounds are wider."""
    ours, ratio = measured["ours"], measured["ratio"]
    features, awake, flash = (8, 0.08, 100) if "gcc" in measured["compiler"] else (6, 0.08, 100)
    assert ratio["features"] >= features and ratio["ram"] > 1.4 and ratio["tables"] > 12
    assert ours["tables"] <= 12 * 1024 and ours["flash"] <= flash * 1024
    assert ours["overruns"] == 0 and 0.01 < ours["awake_share"] <= awake
    assert ours["with_misses"]["awake_share"] > ours["awake_share"]
    assert 0 < ours["latency_ms_125mhz"] < 1000 * CONFIG.frame_step / CONFIG.sample_rate


def test_time_awake_of_the_sketch_is_that_of_its_stages(measured):
    """Time awake, measured on the sketch, against cycles of the stages, measured apart: ring and report are small."""
    step = CLOCK_HZ * CONFIG.frame_step / CONFIG.sample_rate
    awake = measured["ours"]["awake_share"] * step
    assert 0 <= awake - measured["ours"]["frame"]["total"] < 80 * CONFIG.frame_step


def test_latency_and_time_awake_of_two_decisions():
    """Two decisions, sent 4 and 5 ms after their last samples; asleep for 0.8 of the 0.93 s between."""
    first = 0.1 + (CONFIG.window_length - 1) / 22050 + 0.004
    second = 0.1 + (CONFIG.window_length - 1 + CONFIG.window_step) / 22050 + 0.005
    lines = [[0.01, 0, 0.009, 0.0], [first + 0.001, 0, first, 0.5], [second + 0.001, 0, second, 1.3]]
    sent = b"TEST PASSED\r\nDECISION a\r\nDECISION b\r\n"
    heard = {"uart": sent, "lines": lines, "adc_start": 0.1, "adc_rate": 22050}
    times = bench.decision_times(heard)
    assert times["latency_ms"] == pytest.approx([4, 5])
    assert times["awake_share"] == pytest.approx(1 - 0.8 / times["seconds"])
    assert times["seconds"] == pytest.approx(CONFIG.window_step / 22050 + 0.001)


def test_a_stream_of_four_seconds_is_decided_as_in_python(songs):
    result = bench.soak(songs, 4 / 60)
    assert result["decisions"] == result["expected"] == 5 and result["equal"] and result["overruns"] == 0
    assert result["samples_delivered"] == result["samples_processed"] == CONFIG.window_length + 4 * CONFIG.window_step


def test_a_wrong_decision_is_noticed(songs, monkeypatch):
    right = recognizer.decisions
    monkeypatch.setattr(recognizer, "decisions", lambda *of: [{**row, "confidence": 0} for row in right(*of)])
    assert not bench.soak(songs[:1], 2 / 60)["equal"]


def test_command_writes_figures_keeps_old_ones_and_draws(songs, measured, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MGR_BUILD", str(tmp_path))
    monkeypatch.setattr(bench, "measure_pico", lambda *of: measured)
    monkeypatch.setattr(bench, "measure_host", lambda *of: {"features": {"ratio": 12.5}})
    monkeypatch.setattr(dataset, "load_songs", lambda source: dataset.SongSet(songs, [], [], source))
    with pytest.raises(FileNotFoundError, match="make bench"):
        bench.load()
    bench.save({"soak": {"minutes": 10}})
    arguments = type("Arguments", (), {"audio": "mini", "compiler": None, "soak": None, "tables": False,
                                         "decoder": False})
    assert bench.run(arguments) == 0
    figures = bench.load()
    assert figures["soak"] == {"minutes": 10} and figures["ours"] == json.loads(json.dumps(measured["ours"]))
    assert "magnitude" in capsys.readouterr().out and (tmp_path / "bench.png").read_bytes()[:4] == b"\x89PNG"
    ax = plots.stage_cycles(figures["ours"]["frame"], figures["book"]["frame"])
    assert [tick.get_text() for tick in ax.get_yticklabels()][:2] == ["bias", "window+fft"]


# --- features of many windows -----------------------------------------------------------------------------------------

def test_book_loop_equals_book_mfcc(windows):
    expected = np.stack([mfcc_book.book_mfcc(window, mfcc_book.BOOK) for window in windows[:2]])
    assert np.array_equal(bench.book_loop(windows[:2]), expected)


@pytest.mark.parametrize("by_c", [True, False])
def test_features_of_equals_cmsisdsp_bit_for_bit(windows, monkeypatch, by_c):
    many = np.concatenate([windows, windows // 16, np.zeros_like(windows[:1])])
    many = np.pad(many, ((0, 0), (0, 500)))  # clips may be longer than a window
    monkeypatch.setattr(features_windows, "FEATURE_BATCH", 4)
    if not by_c:
        monkeypatch.setattr(features_windows, "_library", lambda: toolchain.call(["false"], "compiling", "no compiler"))
    expected = mfcc_q15.mfcc_windows(many)
    _same_bits.cache_clear()
    assert _same_bits(CONFIG) == by_c
    for jobs in (1, 2):
        found = features_of(many, jobs)
        assert found.dtype == np.int32 and np.array_equal(found, expected)
    _same_bits.cache_clear()
    assert features_of(many[:0]).shape == (0, CONFIG.n_frames, CONFIG.n_mfcc)


def test_threads_do_not_disturb_each_other(windows):
    many = np.tile(windows, (40, 1))
    expected = np.tile(features_of(windows, 1), (40, 1, 1))
    library = host_c.host_library()
    parts = np.array_split(many, 16)
    found = joblib.Parallel(4, prefer="threads")(joblib.delayed(library.mfcc)(part) for part in parts)
    assert np.array_equal(mfcc_q15.window_features(np.concatenate(found)), expected)


def test_features_of_another_configuration_come_from_cmsisdsp(windows):
    import dataclasses
    config = dataclasses.replace(CONFIG, n_mels=30, n_mfcc=20)
    assert np.array_equal(features_of(windows[:2], 1, config), mfcc_q15.mfcc_windows(windows[:2], config))
    shorter = dataclasses.replace(CONFIG, n_frames=10)
    assert features_of(windows[:2], 1, shorter).shape == (2, 10, CONFIG.n_mfcc)


def test_dask_can_compute_the_batches(windows, monkeypatch):
    """The backend of joblib is the reader's choice: a Dask cluster inside this process."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(features_windows, "FEATURE_BATCH", 2)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
                                  ) as cluster, distributed.Client(cluster) as client:
        seen = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        with joblib.parallel_config(backend="dask"):
            found = features_of(windows)
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter) > seen
    assert np.array_equal(found, mfcc_q15.mfcc_windows(windows))


def test_memory_does_not_grow_with_the_windows(songs):
    """Only the batches at work are copied; `make bench` measures it on 10,000 windows."""
    import tracemalloc
    view = bench._many_windows(songs, 2000, CONFIG)
    assert view.shape == (2000, CONFIG.window_length) and view.base is not None
    features_of(view[:1])
    tracemalloc.start()
    features = features_of(view, n_jobs=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    batch = FEATURE_BATCH * view[0].nbytes
    assert peak < 8 * batch + 3 * features.nbytes < view.nbytes
    assert np.array_equal(features[[0, 1000, -1]], mfcc_q15.mfcc_windows(view[[0, 1000, -1]]))
