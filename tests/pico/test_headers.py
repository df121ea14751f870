"""Generated headers: those committed are those that the generator writes, and its parts are right."""

import re

import numpy as np
import pytest

from mgr_helpers.features import mfcc_q15
from mgr_helpers.model.tflite import load_model, open_model
from mgr_helpers.pico import headers

MODEL = load_model()


@pytest.mark.parametrize("name", ["constants.h", "tables.h", "model.h", "labels.h", "test_vector.h", "model_tflite.h"])
def test_committed_headers_are_those_of_the_pretrained_model(name):
    committed = (headers.GENERATED / name).read_text()
    assert committed == headers.headers(MODEL)[name], "run `make pretrained`, or headers.write_headers"


def test_no_other_file_is_committed_there():
    assert {path.name for path in headers.GENERATED.iterdir()} == set(headers.headers(MODEL))


@pytest.mark.parametrize("real", [2**-15, 1.0, 0.9999999999, 3.7, 1e-9, 0.5 - 2**-40])
def test_a_factor_is_multiplier_times_a_power_of_two(real):
    multiplier, shift = headers.multiplier_of(real)
    assert 2**30 <= multiplier < 2**31
    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(real, rel=2**-30)


@pytest.mark.parametrize("real", [0.0, -1.0, float("nan")])
def test_a_factor_that_is_not_positive_is_an_error(real):
    with pytest.raises(ValueError, match="damaged"):
        headers.multiplier_of(real)


def test_exp_table_is_close_to_exp():
    softmax = MODEL.tensors["softmax"]
    table = headers.exp_table(softmax) / 2**31
    real = np.exp(-np.arange(256) * softmax["beta"] * softmax["x_scale"])
    assert np.abs(table - real).max() < 1e-6


def test_folded_bias_replaces_the_zero_point():
    rng = np.random.default_rng(0)
    weights, x, bias = rng.integers(-127, 128, (7, 20)), rng.integers(-128, 128, 20), rng.integers(-999, 999, 7)
    assert np.array_equal(weights @ (x - 13) + bias, weights @ x + headers.folded_bias(weights, bias, 13))


@pytest.mark.parametrize("damage", [b"", b"not a model", MODEL.content[:1000]], ids=["empty", "text", "cut"])
def test_a_damaged_file_writes_no_header(damage, tmp_path):
    with pytest.raises(ValueError, match="model"):
        headers.write_headers(open_model(damage), tmp_path / "generated")
    assert not (tmp_path / "generated").exists()


def test_a_c_array_is_wrapped_at_120_columns():
    text = headers.c_array("A", np.arange(-40, 40, dtype=np.int16), "note")
    assert "static const int16_t A[80]" in text and text.count(",") == 80
    assert max(map(len, text.splitlines())) <= 120


def test_table_sizes_are_those_of_the_header():
    arrays = re.findall(r"(u?)int(\d+)_t \w+\[(\d+)\] = ", (headers.GENERATED / "tables.h").read_text())
    for_the_m0plus = sum(part.nbytes for part in mfcc_q15.mel_segments())  # instead of weights and spans
    found = sum(int(bits) // 8 * int(n) for _, bits, n in arrays) - for_the_m0plus
    assert found == sum(mfcc_q15.table_sizes().values())


def test_the_threshold_of_the_model_is_a_constant_in_c():
    assert f"#define UNSURE_BELOW {MODEL.unsure_below}\n" in headers.headers(MODEL)["labels.h"]
    assert "#define UNSURE_BELOW 63\n" in headers.headers(MODEL.with_threshold(63))["labels.h"]
