"""The integer front end against float, and its numeric edges."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgr_helpers.audio import adc
from mgr_helpers.config import CONFIG, Config
from mgr_helpers.features import mfcc, mfcc_q15
from mgr_helpers.features.windows import stream_windows

RNG = np.random.default_rng(0)


def noise(rms: float, n: int = CONFIG.window_length) -> np.ndarray:
    return np.clip(RNG.normal(size=n) * rms, -32768, 32767).astype(np.int16)


def music(n: int = CONFIG.window_length) -> np.ndarray:
    """A falling spectrum with a few tones, as music has one."""
    t = np.arange(n) / CONFIG.sample_rate
    tones = sum(4000 / (i + 1) * np.sin(2 * np.pi * 220 * 1.5**i * t) for i in range(8))
    return np.round(tones + 300 * np.random.default_rng(1).normal(size=n)).astype(np.int16)


def test_mfccs_follow_the_float_ones():
    audio, no_floor = music(), dataclasses.replace(CONFIG, log_floor_bits=0)
    fixed = mfcc_q15.q15_mfcc(audio, no_floor) / mfcc_q15.RAW_ONE
    real = mfcc.numpy_mfcc(audio) / np.log(2)  # natural log to log2
    difference = np.abs(fixed[:, 1:] - real[:, 1:])
    assert difference.mean() < 0.1 and difference.max() < 0.6  # rounding changes bands 40 dB below the loudest one
    level = fixed[:, 0] - real[:, 0]
    assert level.std() < 0.1  # c0 differs by a constant only: the number format's


def test_the_floor_hides_soft_noise_at_any_volume():
    """Beside a loud tone, soft noise hardly changes the MFCCs; without the floor it does. At any volume."""
    tone = np.round(12000 * np.sin(2 * np.pi * 440 / CONFIG.sample_rate * np.arange(CONFIG.window_length)))
    hiss = np.random.default_rng(2).normal(size=CONFIG.window_length)
    moved = []
    for config in (CONFIG, dataclasses.replace(CONFIG, log_floor_bits=0)):
        clean, noisy = (mfcc_q15.q15_mfcc((tone + rms * hiss).astype(np.int16), config)[:, 1:] for rms in (0, 20))
        moved.append(np.abs(clean - noisy).mean())
    assert moved[0] < moved[1] / 4
    soft, softer = (mfcc_q15.q15_mfcc(((tone + 200 * hiss) // 32 * factor).astype(np.int16))[:, 1:]
                    for factor in (32, 1))
    assert np.array_equal(soft, softer)


@pytest.mark.parametrize("halvings", [1, 3, 5])
def test_the_volume_does_not_change_raw_mfccs(halvings):
    loud = noise(8000) // 32 * 32
    quiet = loud // 2**halvings
    assert np.array_equal(mfcc_q15.mfcc_windows(loud[None]), mfcc_q15.mfcc_windows(quiet[None]))


@given(st.integers(1, 2**32 - 1))
def test_log2_is_within_a_step(value):
    assert abs(mfcc_q15.log2_q9(np.array([value]))[0] - 512 * np.log2(value)) <= 1


def test_log2_is_monotonic():
    values = np.unique(np.geomspace(1, 2**32 - 1, 300_000).astype(np.int64))
    assert np.all(np.diff(mfcc_q15.log2_q9(values)) >= 0)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=50))
def test_block_scaling_never_saturates(values):
    frame = np.resize(np.array(values, np.int16), CONFIG.frame_length)
    scaled, shift = mfcc_q15.block_scale(frame)
    assert np.array_equal(scaled.astype(int), frame.astype(int) << shift)
    if frame.any() and shift < 15:
        assert np.abs(scaled.astype(int)).max() >= 2**14 or (frame == -1).any()


@pytest.mark.parametrize("frame", [np.zeros, np.ones], ids=["silence", "dc"])
def test_constant_audio_has_no_change_of_level(frame):
    audio = (frame(CONFIG.window_length) * 32767).astype(np.int16)
    raw = mfcc_q15.mfcc_windows(audio[None])
    assert np.isfinite(raw).all() and np.all(raw[0, :, 0] == 0)


def test_mel_sums_stay_below_their_bound():
    square = np.where(np.arange(CONFIG.frame_length) // 16 % 2, -32768, 32767).astype(np.int16)
    tone = np.round(32767 * np.sin(np.arange(CONFIG.frame_length) * 2.6)).astype(np.int16)
    for frame in (square, tone, noise(30000, CONFIG.frame_length)):
        magnitudes, shift = mfcc_q15.magnitude_q15(mfcc_q15.spectrum_q15(mfcc_q15.block_scale(frame)[0]))
        assert mfcc_q15.mel_sums(magnitudes[None]).max() < mfcc_q15.mel_sum_bound() * 2**shift < 2**32


@settings(max_examples=50)
@given(st.floats(1e-2, 0.2), st.integers(-128, 127), st.floats(-20, 20), st.floats(0.05, 10), st.integers(0, 2**32))
def test_int8_features_are_the_rounded_real_values(scale, zero_point, mean, std, seed):
    front_end = mfcc_q15.FrontEnd((mean,) * 3, (std,) * 3, scale, zero_point)
    raw = np.random.default_rng(seed).integers(-2**28, 2**28, (5, 3)).astype(np.int32)
    real = np.clip((raw / mfcc_q15.RAW_ONE - mean) / std / scale + zero_point, -128, 127)
    assert np.abs(mfcc_q15.quantize_features(raw, front_end) - real).max() < 0.51


def test_adc_to_q15_removes_the_bias_and_keeps_the_scale():
    samples = music(CONFIG.sample_rate * 3)
    counts = np.clip(np.round(1990.5 + samples / 16), 0, 4095).astype(np.uint16)
    heard = adc.adc_to_q15(counts)
    offset = heard.astype(int) - samples[: len(heard)]
    assert np.abs(offset).max() < 250  # half a count is 8, and music moves the tracked mean a little
    assert len(heard) % CONFIG.frame_step == 0


def test_windows_of_a_stream_leave_no_gap():
    windows = stream_windows(np.arange(100_000).astype(np.int16))
    assert np.all(np.diff(windows[:, 0].astype(np.uint16)) == CONFIG.window_step)


@pytest.mark.parametrize("call, error", [
    (lambda: mfcc_q15.q15_mfcc(np.zeros(5000, np.float32)), "int16"),
    (lambda: mfcc_q15.q15_mfcc(np.zeros(100, np.int16)), "100|2048"),
    (lambda: mfcc_q15.mfcc_windows(np.zeros((1, 2048), np.int16)), "21504"),
    (lambda: mfcc_q15.mel_spans(Config(n_mels=900)), "no bin"),
    (lambda: mfcc_q15.feature_step(mfcc_q15.FrontEnd((0,), (1e-9,), 0.1, 0)), "deviation"),
])
def test_errors_say_what_is_wrong(call, error):
    with pytest.raises((TypeError, ValueError), match=error):
        call()


def test_another_configuration_gives_its_own_shape():
    config = Config(sample_rate=16000, clip_length=16000, frame_length=512, frame_step=256, fft_length=512,
                    upper_hz=8000.0, n_mels=32, n_mfcc=13, n_frames=30)
    raw = mfcc_q15.mfcc_windows(noise(3000, 16000)[None], config)
    assert raw.shape == (1, 30, 13)


def test_a_share_of_the_mean_is_taken_off_all_but_the_level():
    rng = np.random.default_rng(3)
    mfccs = (rng.normal(0.3, 1, (5, CONFIG.n_frames, CONFIG.n_mfcc)) * 2**24).astype(np.int32)
    left = mfcc_q15.remove_mean(mfccs)
    mean = mfccs.mean(axis=1, keepdims=True)
    mean[..., 0] = 0
    assert np.abs(left - (mfccs - CONFIG.mean_share * mean)).max() <= 2**24 * 3e-5  # the share has 20 fraction bits
    assert np.array_equal(left[..., 0], mfccs[..., 0])


def test_the_mean_of_the_largest_mfccs_does_not_overflow():
    for value in (2**30 - 1, -2**30):
        mfccs = np.full((CONFIG.n_frames, CONFIG.n_mfcc), value, np.int32)
        assert np.abs(mfcc_q15.remove_mean(mfccs)[:, 1:] - value * (1 - CONFIG.mean_share)).max() < 2**30 * 3e-5
