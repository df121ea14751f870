"""A function that a notebook shows is the function that is used: the code on the page is that of the helper."""

import pytest

from mgr_helpers.features import mfcc, mfcc_book, mfcc_q15
from mgr_helpers.host import host_c
from mgr_helpers.model import evaluate, network, quantize
from mgr_helpers.pico import headers
from tests.notebook_code import bare, functions_in, functions_shown

# modules whose name may stand before a function in the helper or on the page
MODULES = {"mfcc", "mfcc_q15", "mfcc_book", "networks", "cmsisdsp", "dsp", "evaluate", "recognizer", "headers"}
HELPERS = {name: code for module in (headers, evaluate, network, quantize, mfcc_book, mfcc_q15, mfcc)
           for name, code in functions_in(module, MODULES).items()}
SHOWN = {
    "03_mfcc_tensorflow_vs_librosa": {"hann_window", "hertz_to_mel", "mel_matrix", "dct_matrix", "numpy_stages",
                                      "numpy_mfcc"},
    "04_mfcc_fixed_point": {"truncate_to_q15", "log_value", "hann_q15", "headroom", "block_scale", "magnitude_q15",
                            "mel_weights", "mel_sums", "log2_table", "log2_q9", "log_mel", "dct_weights", "dct",
                            "remove_level", "mean_multiplier", "remove_mean"},
    "05_train_lstm": {"class_weights", "fit_normalisation", "many_to_one", "many_to_many", "pooled", "mean_of_steps",
                      "adam", "batches_of", "train"},
    "06_quantize_model": {"twin", "make_int8", "to_tflite"},
    "07_evaluate_model": {"song_votes", "bootstrap_interval"},
    "08_deploy_to_pico": {"folded_bias", "multiplier_of"},
}


@pytest.mark.parametrize("notebook", SHOWN)
def test_functions_on_the_page_are_those_of_the_helpers(notebook):
    shown = functions_shown(notebook, MODULES)
    of_helpers = {name for name in shown if name in HELPERS}
    assert SHOWN[notebook] <= of_helpers, "the page lacks a function of the recipe"
    assert [name for name in sorted(of_helpers) if shown[name] != HELPERS[name]] == []


def test_the_comparison_sees_a_changed_number():
    import ast
    one, same, other = (ast.parse(source).body[0] for source in (
        'def f(x: int = 3) -> int:\n    """Words."""\n    return mfcc.g(x) + 1', "def f(x=3):\n    return g(x) + 1",
        "def f(x=3):\n    return g(x) + 2"))
    assert bare(one, MODULES) == bare(same, MODULES) != bare(other, MODULES)


@pytest.mark.parametrize("file, name, first, last", [
    ("mfcc_q15.c", "mfcc_frame_shift", "int mfcc_frame_shift(", "FRAME_LENGTH)); }"),  # in one line
    ("mfcc_q15.c", "mfcc_magnitudes", "int mfcc_magnitudes(", "return shift;\n}"),  # one of two: the other is for assembly
    ("lstm.c", "sigmoid", "static int32_t sigmoid(", ">> 10);\n}"),  # without the compiler's hints
    ("lstm.c", "step_layer", "static void step_layer(", "\n    }\n}")])
def test_functions_of_the_c_are_shown_whole(file, name, first, last):
    """With braces that match, and without what only assembly needs."""
    text = host_c.c_source(file, name)
    assert text.startswith(first) and text.endswith(last) and text.count("{") == text.count("}")
    assert "m0plus" not in text and "#" not in text and "\n}\n" not in text


def test_a_function_that_the_c_lacks_is_an_error():
    with pytest.raises(KeyError, match="no_such"):
        host_c.c_source("lstm.c", "rescale", "no_such")
