"""The microphone simulation: every effect, its bounds, and that a seed repeats."""

import dataclasses

import numpy as np
import pytest

from mgr_helpers.audio import adc, dataset, microphone, mini_set, other_sounds
from mgr_helpers.config import CONFIG
from mgr_helpers.features import mfcc_q15
from mgr_helpers.model import evaluate, training

RATE = CONFIG.sample_rate
STEPS = 2**CONFIG.adc_bits


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(hertz: float, amplitude: float, seconds: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def level_db(sound: np.ndarray) -> float:
    return 20 * np.log10(np.std(sound.astype(float)))


@pytest.fixture(scope="module")
def songs():
    """Two short songs a genre, each by another artist."""
    return [dataset.Song(f"{genre}/{i}.wav", genre, f"{genre}/{i}", f"{genre} artist {i}",
                         mini_set.song(genre, 2 * i)[: 4 * RATE]) for genre in CONFIG.genres for i in range(2)]


# --- ranges

def test_testing_is_wider_than_training_everywhere():
    for field in dataclasses.fields(microphone.Ranges):
        (low, high), (lower, higher) = (getattr(ranges, field.name)
                                        for ranges in (microphone.TRAINING, microphone.TESTING))
        assert lower <= low < high <= higher and higher - lower > high - low, field.name


@pytest.mark.parametrize("ranges", [microphone.TRAINING, microphone.TESTING])
def test_drawn_parameters_cover_their_ranges(ranges):
    draws = [microphone.draw(rng(seed), ranges) for seed in range(400)]
    for field in dataclasses.fields(ranges):
        low, high = getattr(ranges, field.name)
        values = np.array([drawn[field.name] for drawn in draws])
        assert low <= values.min() and values.max() <= high, field.name
        if field.name in microphone.LOGARITHMIC:
            low, high, values = np.log(low), np.log(high), np.log(values)
        assert np.mean(values < (low + high) / 2) == pytest.approx(0.5, abs=0.1), field.name


# --- loudspeaker and room

def test_the_loudspeaker_is_a_band_pass_with_a_peak():
    gains = {hertz: level_db(microphone.loudspeaker(tone(hertz, 1000), 200, 5000, 4, 1000)[RATE // 4 :])
             - level_db(tone(hertz, 1000)) for hertz in (50, 200, 1000, 5000, 10000)}
    assert gains[50] == pytest.approx(-24, abs=1)  # 12 dB an octave
    assert gains[200] == pytest.approx(-3, abs=0.7)
    assert gains[1000] == pytest.approx(4, abs=0.3)
    assert gains[5000] == pytest.approx(-3, abs=0.5)
    assert gains[10000] < -7


def test_a_room_response_decays_and_has_energy_one():
    for seed in range(5):
        response = microphone.room_response(rng(seed))
        assert np.sum(response**2) == pytest.approx(1)
        tail = [np.sum(response[len(response) * i // 4 : len(response) * (i + 1) // 4] ** 2) for i in range(4)]
        assert tail == sorted(tail, reverse=True)


def test_a_rooms_reverberation_time_and_early_reflections():
    """T60 from the slope of Schroeder's integral; the early echoes are single ones."""
    ranges = dataclasses.replace(microphone.TRAINING, room_seconds=(0.5, 0.5), treble_decay=(1.0, 1.0))
    for seed in range(5):
        response = microphone.room_response(rng(seed), ranges)
        left = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1])
        start, end = int(0.05 * RATE), int(0.3 * RATE)
        assert 60 / ((left[start] - left[end]) * RATE / (end - start)) == pytest.approx(0.5, rel=0.1)
        early = response[1 : int(microphone.EARLY_SECONDS * RATE)]
        assert 5 < np.count_nonzero(early) < 300
        assert np.count_nonzero(response[int(0.03 * RATE) : int(0.1 * RATE)]) > 1000


def test_treble_decays_first():
    ranges = dataclasses.replace(microphone.TRAINING, room_seconds=(0.6, 0.6), treble_decay=(0.5, 0.5))
    response = microphone.room_response(rng(), ranges)
    parts = [np.abs(np.fft.rfft(response[int(a * RATE) : int(b * RATE)])) ** 2 for a, b in ((0.03, 0.1), (0.33, 0.4))]
    treble = [part[len(part) // 2 :].sum() / part.sum() for part in parts]
    assert treble[1] < treble[0] / 4


# --- ambient noise

@pytest.mark.parametrize("slope", [0.0, 1.0, 1.7])
def test_ambient_noise_has_its_level_and_colour(slope):
    noise = microphone.ambient(10 * RATE, rng(), 3.0, slope)
    assert noise.std() == pytest.approx(3.0, rel=0.1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    low, high = power[1000:2000].mean(), power[10000:20000].mean()  # 100 to 200 Hz, 1 to 2 kHz
    assert np.log10(low / high) == pytest.approx(slope, abs=0.15)


def test_hum_is_at_the_mains_frequency():
    for seed in range(4):
        hum = microphone.ambient(10 * RATE, rng(seed), 1e-6, 0.0, 2.0)
        assert hum.std() == pytest.approx(np.sqrt((2**2 + 1**2 + 0.5**2) / 2), rel=0.02)
        power = np.abs(np.fft.rfft(hum)) ** 2
        mains = power.argmax() / 10
        assert min(abs(mains - 50), abs(mains - 60)) < 0.2
        assert power[round(9 * mains) : round(11 * mains)].sum() / power.sum() == pytest.approx(4 / 5.25, rel=0.05)


# --- the MAX9814

def burst() -> np.ndarray:
    """One second at half the threshold, one second 14 dB above it, three at half; threshold 1000."""
    return np.concatenate([tone(1000, 500, 1), tone(1000, 5000, 1), tone(1000, 500, 3)])


def test_agc_leaves_quiet_music_alone():
    quiet = tone(440, 999)
    assert np.array_equal(microphone.agc(quiet, 1000, 3e-4, 1.0), quiet)


@pytest.mark.parametrize("over_db, reduced_db", [(0, 0), (6, 6), (20, 20), (32, 20)])
def test_agc_gain_is_bounded(over_db, reduced_db):
    """What exceeds the threshold is taken off, up to 20 dB; beyond that the output rises again."""
    loud = tone(1000, 1000 * 10 ** (over_db / 20))
    reduced = microphone.agc_attenuation(loud, 1000, 3e-4, 1.0)[RATE // 2 :]
    assert reduced == pytest.approx(reduced_db, abs=0.2)
    assert microphone.agc_attenuation(loud, 1000, 3e-4, 1.0).min() >= 0


def test_agc_attack_hold_and_release():
    attack, release = 5e-3, 1.0
    reduced = microphone.agc_attenuation(burst(), 1000, attack, release)
    full = 20 * np.log10(5)
    assert np.all(reduced[: RATE - 16] < 1e-6)
    after = RATE + round(attack * RATE)
    assert reduced[after] == pytest.approx(full * (1 - np.exp(-1)), rel=0.1)
    assert reduced[2 * RATE + round(0.025 * RATE)] == pytest.approx(full, rel=0.02)  # held
    start, later = (reduced[2 * RATE + round(seconds * RATE)] for seconds in (0.2, 0.7))
    constant = release / np.log(20 / (-20 * np.log10(0.9)))
    assert later / start == pytest.approx(np.exp(-0.5 / constant), rel=0.02)
    assert 0 < reduced[2 * RATE + round(0.05 * RATE)] < full


def test_agc_release_time_is_the_data_sheets():
    """From 20 dB down to 90 % of the nominal gain in the release time, after the hold."""
    sound = np.concatenate([tone(1000, 20000), tone(1000, 100, 2)])
    reduced = microphone.agc_attenuation(sound, 1000, 2.4e-4, 0.96)[RATE:]
    recovered = np.flatnonzero(10 ** (-reduced / 20) >= 0.9)[0] / RATE
    assert recovered - microphone.AGC_HOLD_SECONDS == pytest.approx(0.96, rel=0.02)


def test_agc_evens_out_levels_through_the_whole_chain():
    """Above its threshold the AGC takes away most of 6 dB more; below it, 6 dB stay 6 dB."""
    music = tone(700, 30000).astype(np.int16)
    heard = {db: level_db(microphone.hear(music, rng(3), db)[4096:]) for db in (-14, -8, 2, 8)}
    assert heard[-8] - heard[-14] == pytest.approx(6, abs=0.6)
    assert heard[8] - heard[2] < 1


# --- the ADC

def test_the_wide_codes_show_in_a_ramps_histogram():
    ramp = np.linspace(0, STEPS, 100 * STEPS)
    counts = np.bincount(adc.digitise(ramp, rng(), noise_lsb=0.0), minlength=STEPS) / 100
    erratum = [512, 1536, 2560, 3584]
    widths = counts[erratum]
    assert widths == pytest.approx(1 + adc.DNL_LSB, abs=0.1)
    others = np.delete(counts, [0, STEPS - 1, *erratum])
    assert 0.95 < others.min() and others.max() < 1.05
    assert counts.sum() == pytest.approx(STEPS, rel=1e-6)


def effective_bits(**settings) -> float:
    """Effective bits from a full-scale sine, less the best-fitting sine (IEEE 1241)."""
    angle = 2 * np.pi * 997.0 * np.arange(4 * RATE) / RATE
    counts = adc.digitise((STEPS - 1) / 2 * (1 + 0.99 * np.sin(angle)), rng(), **settings).astype(float)
    basis = np.stack([np.sin(angle), np.cos(angle), np.ones_like(angle)], axis=1)
    left = counts - basis @ np.linalg.lstsq(basis, counts, rcond=None)[0]
    return float(CONFIG.adc_bits - np.log2(left.std() * np.sqrt(12)))


def test_the_adc_has_the_effective_bits_that_its_erratum_states():
    assert effective_bits() == pytest.approx(8.7, abs=0.15)
    assert effective_bits(noise_lsb=0.0, dnl_lsb=0.0) == pytest.approx(12, abs=0.05)


def test_the_adc_saturates():
    assert adc.digitise(np.array([-50.0, 5000.0]), rng()).tolist() == [0, STEPS - 1]


def test_the_amplifier_clips_before_the_adc():
    """A square wave 20 dB beyond the AGC's range ends at the amplifier's 2.45 V, and at ground."""
    loud = (32767 * np.sign(tone(100, 1))).astype(np.int16)
    counts = microphone.adc_counts(loud, rng(), 40.0)
    assert 2.45 / 3.3 * STEPS - 20 < counts.max() < 2.45 / 3.3 * STEPS + 20
    assert counts.min() < 10


def test_silence_rests_at_the_bias():
    silence = np.zeros(RATE, np.int16)
    volts = [microphone.adc_counts(silence, rng(seed)).mean() * 3.3 / STEPS for seed in range(20)]
    assert 1.17 < min(volts) < 1.21 and 1.25 < max(volts) < 1.29
    noise = [microphone.adc_counts(silence, rng(seed)).std() for seed in range(20)]
    assert 0.5 < min(noise) and max(noise) < 10


def test_a_fast_clock_lowers_the_pitch():
    music = tone(1000, 10000, 2.0)
    heard = microphone.at_rate(music, 0.01)
    assert len(heard) == len(music)
    assert np.abs(np.fft.rfft(heard)).argmax() / 2 == pytest.approx(1000 / 1.01, abs=0.6)
    assert microphone.at_rate(music, 1e-6) is music
    assert len(microphone.at_rate(music, -0.01)) == len(music)


# --- the whole way

def test_level_db_sets_the_level():
    music = tone(1000, 20000).astype(np.int16)
    loud, soft = (level_db(microphone.hear(music, rng(), db)[2048:]) for db in (-6, -26))
    assert loud - soft == pytest.approx(20, abs=1.5)


def test_a_digital_microphone_has_the_noise_of_its_data_sheet(monkeypatch):
    """In a room without noise: -91 to -87 dB of a full-scale sine, 18 dB of gain, and at most a step by rounding."""
    quiet = dataclasses.replace(microphone.DigitalRanges(), room_spl=(-40.0, -40.0))
    monkeypatch.setattr(microphone, "DigitalRanges", lambda: quiet)
    for seed in range(5):
        heard = microphone.digital_samples(np.zeros(4 * RATE, np.int16), np.random.default_rng(seed))
        level = 20 * np.log10(heard.std() * np.sqrt(2) / 32768)
        assert -91.0 < level - 18.06 < -86.8 + 0.5 and abs(heard.mean()) <= 601


def test_level_db_sets_the_level_of_digital_samples():
    sine = np.round(32000 * np.sin(2 * np.pi * 1000 * np.arange(4 * RATE) / RATE)).astype(np.int16)
    flat = dataclasses.replace(microphone.TRAINING, high_pass_hz=(1.0, 1.0), low_pass_hz=(11000.0, 11000.0),
                               peak_db=(0.0, 0.0))
    for level in (0.0, -12.0, -24.0):
        heard = microphone.hear(sine, np.random.default_rng(1), level, ranges=flat, digital=True)
        assert heard[RATE:].std() == pytest.approx(sine.std() * 10 ** (level / 20), rel=0.03)
        assert abs(heard[RATE:].mean()) < 20  # the offset is gone


def test_a_seed_repeats_bit_for_bit(songs):
    samples = songs[0].samples
    for room in (False, True):
        one, two, other = (microphone.adc_counts(samples, rng(seed), None, room) for seed in (1, 1, 2))
        assert one.dtype == np.uint16 and len(one) == len(samples)
        assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_hear_clips_gives_whole_frame_steps_and_repeats_with_its_seed(songs):
    clips = np.stack([song.samples[: CONFIG.clip_length] for song in songs])
    heard = microphone.hear_clips(clips, 1, room=0.5)
    assert heard.shape == (len(clips), CONFIG.window_length) and heard.dtype == np.int16
    assert np.array_equal(heard, microphone.hear_clips(clips, 1, room=0.5))
    assert np.array_equal(heard[:2], microphone.hear_clips(clips[:2], 1, room=0.5))  # each clip has its own draws
    assert not np.array_equal(heard, microphone.hear_clips(clips, 2, room=0.5))
    assert microphone.hear_clips(clips[:0], 1).shape == (0, CONFIG.window_length)


@pytest.fixture(scope="module")
def others():
    return [dataset.Song("", kind, f"{kind}/0", f"{kind}/0", mini_set.song(kind, 0)) for kind in ("waltz", "bells")]


def test_training_windows_have_the_shares_of_the_classes_and_repeat_with_their_seed(songs, others):
    one, two = (training.training_windows(songs, others, n, seed=4) for n in (300, 303))
    assert one["labels"].tolist() == [*CONFIG.genres, "bells", "waltz", "synthetic"]
    shares = training.class_shares(one["labels"].tolist())
    assert shares.sum() == pytest.approx(1) and shares[3:].tolist() == [0.17, 0.17, 0.08]
    assert np.abs(np.bincount(one["genre"]) / 300 - shares).max() < 0.09  # three standard deviations
    assert np.array_equal(one["raw"], two["raw"][:300])
    known = one["genre"] < 5
    assert all(song.startswith(one["labels"][genre]) for song, genre in zip(one["song"][known], one["genre"][known]))
    assert set(one["song"][~known]) <= set(other_sounds.TRAINED) and set(one["group"][~known]) == {""}
    assert not np.array_equal(one["raw"], training.training_windows(songs, others, 300, seed=5)["raw"])


def test_without_other_music_the_genres_share_the_rest():
    labels = training.labels_of([])
    assert labels == [*CONFIG.genres, "synthetic"]
    assert training.class_shares(labels) == pytest.approx([0.92 / 3] * 3 + [0.08])


def test_speech_has_a_share_of_its_own():
    labels = [*CONFIG.genres, "pop", "rock", "speech", "synthetic"]
    assert training.class_shares(labels) == pytest.approx([0.5 / 3] * 3 + [0.17, 0.17, 0.08, 0.08])


def test_a_window_at_full_speed_is_a_piece_of_its_song(songs):
    samples, rng = np.tile(songs[0].samples, 2), np.random.default_rng(0)  # a song under five seconds is repeated
    window = training._cut_window(songs[0].samples, 1.0, rng, CONFIG)
    pieces = np.lib.stride_tricks.sliding_window_view(samples, CONFIG.window_length)
    nearest = min(np.abs(part - window.astype(int)).max() for part in pieces[:: 1] if part[0] in range(
        window[0] - 2, window[0] + 3) and part[-1] in range(window[-1] - 2, window[-1] + 3))
    assert nearest <= 2  # rounding


def test_windows_of_a_short_song_wrap_around_its_end(songs):
    ramp = np.arange(CONFIG.clip_length, dtype=np.int16)
    cuts = [training._cut_window(ramp, 1.0, np.random.default_rng(seed), CONFIG) for seed in range(20)]
    assert any(np.diff(cut.astype(int)).min() < -1000 for cut in cuts)
    assert {len(cut) for cut in cuts} == {CONFIG.window_length}


def test_each_song_gets_its_own_microphone(songs):
    """The same song twice in a list has other features the second time; the same seed repeats the list."""
    twice = [songs[0], songs[0]]
    heard, again = (evaluate.windows_of(twice, -12.0, seed=1)["raw"] for _ in range(2))
    half = len(heard) // 2
    assert np.array_equal(heard, again) and not np.array_equal(heard[:half], heard[half:])


def test_only_an_open_pin_is_never_heard_in_a_room(monkeypatch):
    monkeypatch.setattr(training, "CLEAN", 0.0)
    monkeypatch.setattr(training, "ROOM", 1.0)
    for kind in set(other_sounds.TRAINED):
        heard, window = training._synthetic_window(kind, np.random.default_rng(1), CONFIG)
        assert heard == ("microphone" if kind == other_sounds.OPEN_PIN else "room")
        assert window.shape == (CONFIG.window_length,) and window.dtype == np.int16
