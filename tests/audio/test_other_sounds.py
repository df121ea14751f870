"""Sounds that are not music: their spectra, rhythm and level are those that they claim."""

import dataclasses

import numpy as np
import pytest
import scipy.signal

from mgr_helpers.audio import other_sounds
from mgr_helpers.config import CONFIG

RATE = CONFIG.sample_rate


def made(kind, seconds=4.0, seed=0, ranges=other_sounds.TRAINING_SOUNDS):
    return other_sounds.make(kind, seconds, np.random.default_rng(seed), ranges=ranges).astype(float)


def power(samples, low, high):
    frequency, density = scipy.signal.welch(samples, RATE, nperseg=8192)
    return density[(frequency >= low) & (frequency < high)].mean()


@pytest.mark.parametrize("kind", [kind for kind in other_sounds.KINDS if kind != other_sounds.OPEN_PIN])
@pytest.mark.parametrize("ranges", [other_sounds.TRAINING_SOUNDS, other_sounds.TESTING_SOUNDS])
def test_type_length_level_and_seed(kind, ranges):
    one, same, other = (other_sounds.make(kind, 2.5, np.random.default_rng(s), ranges=ranges) for s in (3, 3, 4))
    assert one.dtype == np.int16 and one.shape == (int(2.5 * RATE),)
    assert np.array_equal(one, same)
    if kind == "silence":
        assert not one.any()
    else:
        assert not np.array_equal(one, other)
        assert np.std(one.astype(float)) == pytest.approx(0.2 * 32768, rel=0.1)


@pytest.mark.parametrize("kind, octaves_db", [("white noise", 0.0), ("pink noise", -3.01)])
def test_slope_of_noise(kind, octaves_db):
    samples = made(kind, 20)
    levels = [10 * np.log10(power(samples, f, 2 * f)) for f in (125, 250, 500, 1000, 2000, 4000)]
    assert np.diff(levels).mean() == pytest.approx(octaves_db, abs=0.2)


def test_slopes_of_coloured_noise_spread_over_their_range():
    def slope(seed):
        samples = made("coloured noise", 5, seed)
        return np.mean(np.diff([10 * np.log10(power(samples, f, 2 * f)) for f in (250, 500, 1000, 2000, 4000)]))

    slopes = [slope(seed) for seed in range(12)]
    low, high = other_sounds.TRAINING_SOUNDS.noise_slope_db
    assert -high - 0.5 < min(slopes) < -5 and -4 < max(slopes) < -low + 0.5


@pytest.mark.parametrize("ranges", [other_sounds.TRAINING_SOUNDS, other_sounds.TESTING_SOUNDS])
def test_an_open_pin_wanders_and_hums(ranges):
    runs = [other_sounds.open_pin(2 * RATE, np.random.default_rng(s), ranges=ranges) for s in (3, 3, 4)]
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])
    assert all(run.dtype == np.uint16 and run.max() < 4096 and len(run) == 2 * RATE for run in runs)
    strong = dataclasses.replace(ranges, pin_hum=(500.0, 501.0), hum_hz=(50.0,), pin_level=(0.5, 0.51))
    hum = other_sounds.open_pin(RATE, np.random.default_rng(0), ranges=strong)
    assert np.abs(np.fft.rfft(hum - hum.mean())).argmax() == 50


def test_hum_has_harmonics_of_the_mains_and_little_between():
    samples = made("hum", 10)
    for harmonic in (50, 100, 150, 200):
        assert power(samples, harmonic - 3, harmonic + 3) > 100 * power(samples, harmonic + 15, harmonic + 35)
    peaks = set()
    for seed in range(8):
        spectrum = np.abs(np.fft.rfft(made("hum", 1, seed, other_sounds.TESTING_SOUNDS)))
        peaks.add(60 if spectrum[120] > spectrum[100] else 50)
    assert peaks == {50, 60}


def test_speech_has_syllables_pauses_and_pitch():
    samples = made("speech", 30)
    envelope = np.sqrt(scipy.signal.decimate(np.convolve(samples**2, np.ones(441) / 441, "same"), 10).clip(0))
    frequency, density = scipy.signal.welch(envelope - envelope.mean(), RATE / 10, nperseg=8192)
    beats = (frequency > 2) & (frequency < 20)  # slower than that is the rhythm of phrases
    assert 2.5 < frequency[beats][density[beats].argmax()] < 6
    assert 0.05 < np.mean(envelope < 0.02 * envelope.max()) < 0.5  # pauses
    frames = samples[: len(samples) // 1024 * 1024].reshape(-1, 1024)
    loud = frames[np.std(frames, axis=1) > np.std(samples)]
    likeness = [np.max(scipy.signal.correlate(x, x)[1023:][RATE // 250 : RATE // 75]) / (x @ x) for x in loud]
    assert np.median(likeness) > 0.4  # a vowel repeats itself at the voice's pitch; of noise it is 0.1
    assert power(samples, 100, 3500) > 20 * power(samples, 5000, 11000)


@pytest.mark.parametrize("name", other_sounds.VOWELS)
def test_vowels_have_their_formants(name):
    pulses = np.zeros(8192)
    pulses[0] = 1
    response = np.abs(np.fft.rfft(other_sounds._vowel(pulses, name, 1.0, RATE)))
    hertz = np.fft.rfftfreq(8192, 1 / RATE)
    peaks = hertz[scipy.signal.find_peaks(response)[0]]
    for formant in other_sounds.VOWELS[name][:2]:
        assert np.abs(peaks - formant).min() < 0.1 * formant


@pytest.mark.parametrize("kind", ["piano", "pad"])
def test_other_music_is_tonal(kind):
    """A few thin lines: the loudest 2 % of the bins hold nearly all the energy; of noise they hold little."""
    def share(samples):
        energy = np.sort(scipy.signal.welch(samples, RATE, nperseg=8192)[1])[::-1]
        return energy[: len(energy) // 50].sum() / energy.sum()

    assert share(made(kind)) > 0.8 > 0.1 > share(made("white noise"))


def test_testing_is_wider_than_training():
    for name, pair in vars(other_sounds.TRAINING_SOUNDS).items():
        wide = getattr(other_sounds.TESTING_SOUNDS, name)
        assert min(wide) <= min(pair) and max(wide) > max(pair)


def test_an_unknown_sound_is_refused():
    for kind in ("opera", other_sounds.OPEN_PIN):
        with pytest.raises(ValueError, match=f"unknown sound {kind!r}"):
            made(kind)
