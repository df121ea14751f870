"""The book's q15 recipe: its number formats, its tables, and the smaller tables that give the same values."""

import dataclasses

import cmsisdsp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgr_helpers.config import CONFIG
from mgr_helpers.features import mfcc, mfcc_book, mfcc_q15
from tests.notebook_code import functions_of
from tools import bench, compact_tables

LOG_TABLE = mfcc_book.book_tables()["log"]


def from_notebook(*wanted: str) -> dict:
    """Functions that notebook 04 shows, with plain CMSIS-DSP calls and the helper's tables."""
    tables = dict(zip(("hann", "mel_table", "logs", "dct_table"), mfcc_book.book_tables().values()))
    names = {**vars(mfcc), **tables, "dsp": cmsisdsp, "fft": mfcc_book.fft_instance(CONFIG.fft_length), "LOG_STEPS": 8}
    return functions_of("04_mfcc_fixed_point", names, *wanted)


@pytest.fixture(scope="module")
def music():
    """A second of loud notes with noise, int16."""
    seconds = np.arange(CONFIG.clip_length) / CONFIG.sample_rate
    notes = sum(np.sin(2 * np.pi * hertz * seconds) * np.exp(-3 * (seconds % 0.25)) for hertz in (110, 277, 660, 2500))
    noise = np.random.default_rng(1).normal(0, 0.2, len(seconds))
    return np.round(6000 * (notes + noise)).clip(-32768, 32767).astype(np.int16)


def test_number_formats_against_float(music):
    fixed = mfcc_book.frame_stages(music[:CONFIG.frame_length])
    real = {name: values[0] for name, values in mfcc.numpy_stages(music).items()}
    spectrum = np.fft.rfft(real["windowed"])
    pairs = np.stack([spectrum.real, spectrum.imag], axis=1).ravel()
    for name, values in {**real, "fft": pairs}.items():
        assert fixed[name].dtype == np.int16
        # the ends of the magnitudes are the book's own affair: no Mel band looks at them
        inner = slice(1, -1) if name == "magnitude" else slice(None)
        difference = np.abs(fixed[name] / 2.0**mfcc_book.FRACTION_BITS[name] - values)[inner]
        assert difference.max() < {"fft": 1, "magnitude": 2, "mel": 8, "log_mel": 0.5, "mfcc": 2}.get(name, 1e-3), name


def test_the_ends_of_the_spectrum_have_no_weight():
    assert not mfcc_book.book_tables()["Mel weights"][:, [0, -1]].any()


def test_sizes_of_the_books_and_the_compact_tables():
    sizes = {name: table.nbytes for name, table in mfcc_book.book_tables(mfcc_book.BOOK).items()}
    assert sizes == {"Hann window": 2 * 2048, "Mel weights": 2 * 40 * 1025, "log": 2 * 32767, "DCT": 2 * 18 * 40}
    assert sum(compact_tables.compact_sizes().values()) < sum(sizes.values()) / 15
    weights = mfcc_book.book_tables()["Mel weights"]
    assert compact_tables.mel_spans()[1].sum() == np.count_nonzero(weights) == 1968


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 7, 300, 32767]), st.booleans())
def test_sparse_mel_equals_dense(seed, top, negative_ends):
    random = np.random.default_rng(seed)
    magnitude = random.integers(0, top + 1, CONFIG.n_bins).astype(np.int16)
    if negative_ends:
        magnitude[[0, -1]] = -1 - magnitude[[0, -1]]
    np.testing.assert_array_equal(compact_tables.mel_sparse(magnitude), mfcc_book.mel_dense(magnitude))


def test_sparse_and_dense_mel_saturate_alike():
    loud = np.full(CONFIG.n_bins, 32767, np.int16)
    np.testing.assert_array_equal(compact_tables.mel_sparse(loud), mfcc_book.mel_dense(loud))
    assert mfcc_book.mel_dense(loud).max() == 32767
    with pytest.raises(ValueError, match="saturated"):
        mfcc_book.look_up_log(mfcc_book.mel_dense(loud))


def test_compact_log_equals_the_table_everywhere():
    indices = np.arange(32768)
    np.testing.assert_array_equal(compact_tables.compact_log(indices[:-1]), mfcc_book.look_up_log(indices[:-1]))
    np.testing.assert_array_equal(compact_tables.compact_log(indices), mfcc_book.log_value(indices))
    assert len(LOG_TABLE) == 32767 and len(np.unique(LOG_TABLE)) == len(compact_tables.log_thresholds()[0])


def test_the_log_table_is_within_a_step_of_the_log():
    indices = np.arange(32767)
    exact = np.log(indices / 8 + 1e-6)
    error = exact - LOG_TABLE / 8
    assert np.abs(error).max() < 1 / 8


def test_mel_sums_outside_of_the_log_table_are_refused():
    for index in (-1, 32767):
        with pytest.raises(ValueError, match="no entry"):
            mfcc_book.look_up_log(np.array([5, index], np.int16))


def test_the_books_error_grows_when_audio_gets_softer_and_ours_stays_small(music):
    level_errors = from_notebook("level_errors", "at_level")["level_errors"]
    no_floor = dataclasses.replace(CONFIG, log_floor_bits=0)  # float has none; ours adds one on purpose
    errors, ours = (np.mean([level_errors([music], method, level) for level in (0, -36)], axis=1) for method in (
        mfcc_book.book_mfcc, lambda clip: mfcc_q15.from_q15(mfcc_q15.q15_mfcc(clip, no_floor))))
    assert errors[1] > 1.5 * errors[0]
    assert ours.max() < 0.5 * errors.min()


def test_at_level_of_the_notebook_rounds_and_saturates():
    at_level = from_notebook("at_level")["at_level"]
    samples = np.array([1000, -2000, 32767, -32768], np.int16)
    assert at_level(samples, -20).tolist() == [100, -200, 3277, -3277]
    assert at_level(samples, 20).tolist() == [10000, -20000, 32767, -32768]
    assert at_level(samples, 0).dtype == np.int16


def test_wrong_input_is_named():
    with pytest.raises(TypeError, match="int16"):
        mfcc_book.frame_stages(np.zeros(2048))
    with pytest.raises(ValueError, match="2048 and 2048"):
        mfcc_book.frame_stages(np.zeros(1000, np.int16))
    short = dataclasses.replace(CONFIG, frame_length=1024)
    with pytest.raises(ValueError, match="1024 and 2048"):
        mfcc_book.frame_stages(np.zeros(1024, np.int16), short)


def test_command_prints_the_comparison(capsys):
    assert bench.print_tables(frames=5) == 0
    printed = capsys.readouterr().out
    assert "0 values differ" in printed and "153,070" in printed


def test_functions_shown_in_the_notebook_equal_the_helpers(music):
    """Notebook 04 shows the recipe with plain CMSIS-DSP calls; they must be what the helper computes."""
    shown = from_notebook("mfcc_of_book", "mel_sparse")
    np.testing.assert_array_equal(shown["mfcc_of_book"](music), mfcc_book.book_mfcc(music))
    magnitude = mfcc_book.frame_stages(music[:CONFIG.frame_length])["magnitude"]
    np.testing.assert_array_equal(shown["mel_sparse"](magnitude), mfcc_book.mel_dense(magnitude))
