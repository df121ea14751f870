"""The float MFCCs: numpy's tables equal TensorFlow's, librosa's arguments do what is said of them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgr_helpers.config import CONFIG
from mgr_helpers.features import mfcc, mfcc_q15
from mgr_helpers.host.quiet import import_tf
from tests.notebook_code import functions_of

NOTEBOOK = "03_mfcc_tensorflow_vs_librosa"
# librosa's defaults, which the book keeps
BOOK_LIBROSA = {"htk": False, "norm": "slaney", "power": 2.0, "decibels": True, "scale_c0": False}
OTHER = dataclasses.replace(CONFIG, sample_rate=16000, clip_length=16000, frame_length=1024, frame_step=512,
                            fft_length=1024, lower_hz=80.0, upper_hz=7600.0, n_mels=24, n_mfcc=13)


def tensorflow_stages(samples) -> dict[str, np.ndarray]:
    """Every stage by `tf.signal`, the book's recipe (TinyML Cookbook 2e, chapter 5): float32 arrays by mfcc.STAGES."""
    tf = import_tf()
    frame = tf.signal.frame(mfcc.to_float(samples).astype(np.float32), CONFIG.frame_length, CONFIG.frame_step)
    windowed = frame * tf.signal.hann_window(CONFIG.frame_length)
    magnitude = tf.abs(tf.signal.rfft(windowed, [CONFIG.fft_length]))
    weights = tf.signal.linear_to_mel_weight_matrix(CONFIG.n_mels, CONFIG.n_bins, CONFIG.sample_rate,
                                                    CONFIG.lower_hz, CONFIG.upper_hz)
    mel = tf.matmul(magnitude, weights)
    log_mel = tf.math.log(mel + mfcc.LOG_FLOOR)
    mfccs = tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[:, :CONFIG.n_mfcc]
    return dict(zip(mfcc.STAGES, map(np.asarray, (frame, windowed, magnitude, mel, log_mel, mfccs))))


def tensorflow_mfcc(samples) -> np.ndarray:
    return tensorflow_stages(samples)["mfcc"]


def mean_difference(one, other) -> float:
    return float(np.mean(np.abs(one - other)))


def from_notebook(*wanted: str) -> dict:
    """Functions that notebook 03 shows."""
    import librosa
    names = {**vars(mfcc), "tf": import_tf(), "librosa": librosa, "BOOK": BOOK_LIBROSA}
    return functions_of(NOTEBOOK, names, *wanted)


@pytest.fixture(scope="module")
def music():
    """A second of decaying harmonics with noise, int16: something in every Mel band."""
    seconds = np.arange(CONFIG.clip_length) / CONFIG.sample_rate
    notes = sum(np.sin(2 * np.pi * hertz * seconds) * np.exp(-3 * (seconds % 0.25)) for hertz in (110, 277, 660, 2500))
    noise = np.random.default_rng(1).normal(0, 0.05, len(seconds))
    return np.round(6000 * (notes + noise)).clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize("config", [CONFIG, OTHER], ids=["default", "other"])
def test_tables_equal_tensorflows(config):
    tf = import_tf()
    mel = tf.signal.linear_to_mel_weight_matrix(config.n_mels, config.n_bins, config.sample_rate, config.lower_hz,
                                                config.upper_hz, dtype=tf.float64)
    identity = tf.eye(config.n_mels, dtype=tf.float64)
    dct = tf.signal.mfccs_from_log_mel_spectrograms(identity).numpy().T[:config.n_mfcc]
    np.testing.assert_allclose(mfcc.mel_matrix(config), mel, atol=1e-12)
    np.testing.assert_allclose(mfcc.dct_matrix(config), dct, atol=1e-12)
    np.testing.assert_allclose(mfcc.hann_window(config), tf.signal.hann_window(config.frame_length), atol=1e-6)


def test_every_stage_equals_tensorflows(music):
    ours, theirs = mfcc.numpy_stages(music), tensorflow_stages(music)
    for name in mfcc.STAGES:
        assert ours[name].shape == theirs[name].shape, name
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-2 if name == "log_mel" else 1e-3, err_msg=name)
    assert ours["mfcc"].shape == (CONFIG.n_frames, CONFIG.n_mfcc)


def test_librosa_equals_tensorflow_with_the_right_arguments_only(music):
    found = from_notebook("librosa_mfcc", "librosa_ladder", "tensorflow_mfcc", "mean_difference")
    assert mean_difference(tensorflow_mfcc(music), found["librosa_mfcc"](music)) < 0.02
    ladder = found["librosa_ladder"](mfcc.to_float(music))
    assert ladder[0][1] > 1 > ladder[-1][1] * 50
    assert ladder[-1][1] == min(difference for _, difference in ladder)


@pytest.mark.parametrize("name", BOOK_LIBROSA)
def test_each_of_the_books_librosa_arguments_makes_a_difference(music, name):
    librosa_mfcc = from_notebook("librosa_mfcc")["librosa_mfcc"]
    assert mean_difference(librosa_mfcc(music), librosa_mfcc(music, **{name: BOOK_LIBROSA[name]})) > 0.1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5000), st.sampled_from([CONFIG, OTHER]))
def test_frames_are_where_they_should_be(extra, config):
    samples = np.arange(config.frame_length + extra)
    frames = mfcc.split_frames(samples, config)
    assert len(frames) == 1 + extra // config.frame_step
    np.testing.assert_array_equal(frames[:, 0], np.arange(len(frames)) * config.frame_step)
    assert frames.shape[1] == config.frame_length


@pytest.mark.parametrize("samples", [np.zeros(100), np.zeros((2, 4096)), np.zeros(0)])
def test_too_little_audio_or_two_channels_are_errors(samples):
    with pytest.raises(ValueError, match="one channel of at least 2048"):
        mfcc.numpy_mfcc(samples)


def test_silence_has_the_log_floor():
    silence = mfcc.numpy_mfcc(np.zeros(CONFIG.frame_length, np.int16))
    floor = np.log(mfcc.LOG_FLOOR) * mfcc.dct_matrix().sum(axis=1)
    np.testing.assert_allclose(silence[0], floor, atol=1e-9)


def test_mel_scale_round_trip_and_one_kilohertz():
    def mel_to_hertz(mel):
        return 700.0 * np.expm1(mel / 1127.0)

    hertz = np.linspace(0, 11025, 50)
    np.testing.assert_allclose(mel_to_hertz(mfcc.hertz_to_mel(hertz)), hertz, atol=1e-8)
    assert mfcc.hertz_to_mel(1000) == pytest.approx(1000, abs=0.1)  # by definition of the scale


def test_a_frame_alone_has_the_same_stages_as_among_others(music):
    start, all_frames = 7 * CONFIG.frame_step, mfcc.numpy_stages(music)
    alone = mfcc.numpy_stages(music[start:start + CONFIG.frame_length])
    one = {name: values[0] for name, values in alone.items()}
    for name in mfcc.STAGES:
        np.testing.assert_allclose(one[name], all_frames[name][7], rtol=1e-9, atol=1e-9)


def test_from_q15_gives_the_unit_of_numpy_mfcc(music):
    assert mean_difference(mfcc_q15.from_q15(mfcc_q15.q15_mfcc(music)), mfcc.numpy_mfcc(music)) < 0.7


def test_tensorflow_in_the_notebook_is_this_files(music):
    shown = from_notebook("tensorflow_mfcc")["tensorflow_mfcc"]
    np.testing.assert_allclose(shown(mfcc.to_float(music)), tensorflow_mfcc(music), atol=1e-4)
