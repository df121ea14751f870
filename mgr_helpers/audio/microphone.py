"""What music turns into on its way through a loudspeaker, a room, a MAX9814 microphone and the Pico's ADC.

We train on what the Pico will hear, and measure how much accuracy that costs. Clean int16 audio becomes ADC counts.
These go through `adc.adc_to_q15`, as on the Pico. Between the stages, sound is in counts. Each stage is a function::

    loudspeaker -> room -> + ambient -> agc (MAX9814) -> amplifier's limits -> ADC (RP2040)
    loudspeaker -> room -> + ambient -> a digital microphone's samples (INMP441, ICS-43434, SPH0645)

Not simulated: a loudspeaker's distortion, and aliasing (clips have no tones above half the sampling rate).

Sources, beside those of `adc`: [Adafruit] board 1713 with its default wiring. [INMP441] InvenSense's data sheet
DS-INMP441-00, rev. 1.1. [ICS-43434] DS-000069, rev. 1.2. [SPH0645] Knowles's data sheet, rev. C. Ranges without a
source are our choice.

Notebooks: 02, 05, 07.
"""

import functools
from dataclasses import dataclass

import joblib
import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
import soxr
from tqdm.auto import tqdm

from ..config import CONFIG, Config
from ..host.processes import in_parallel
from . import adc, other_sounds

AGC_RANGE_DB = 20.0  # [MAX9814] the variable amplifier gives 20 dB down to 0 dB
AGC_HOLD_SECONDS = 0.030  # [MAX9814] between the last peak above the threshold and the release
AGC_BLOCK = 16  # samples (0.7 ms) that share one peak
SOUND_SPEED = 343.0  # m/s, at 20 degrees Celsius
EARLY_SECONDS = 0.025  # reflections one by one up to here, noise after
DIGITAL_FULL_SPL = 120.0  # [INMP441, ICS-43434] full scale, in dB SPL: -26 dB at 94
DIGITAL_GAIN_DB = 20 * np.log10(2**3)  # I2S_GAIN of the sketches' config.h: 3 bits


@dataclass(frozen=True)
class Ranges:
    """The range of each parameter. It is drawn evenly; if named in LOGARITHMIC, its logarithm is drawn evenly.

    Attributes
    ----------
    level_db : of the music before the AGC acts. At 0 dB its full scale is the ADC's; -24 dB leaves a few dozen counts.
        The AGC acts above about -4 dB.
    high_pass_hz : resonance of a small closed loudspeaker, a second-order high-pass (Small, J. Audio Eng. Soc. 1972).
    low_pass_hz : corner of a first-order low-pass: loudspeaker off its axis, distance.
    peak_db, peak_hz : one broad peak or dip of loudspeaker and housing (Q = 1).
    room_seconds : T60, the time in which the room's echo decays by 60 dB: about 0.4 s in an average living room (IEC
        60268-13), 0.7 s at low tones as the mean of 50 British ones (Jackson and Leventhall, Applied Acoustics 1972).
    treble_decay : T60 above 1 kHz divided by T60 below: 0.4 s against 0.69 s in the same 50 rooms.
    direct_to_reverberant_db : direct sound over echoes; near 0 dB a metre or two from the loudspeaker.
    ambient_lsb : standard deviation of the noise of room and microphone, in counts at the AGC's full gain. The
        electret's own is about 0.8 at 40 dB gain, 8 at 60 dB (CMA-4544PF-W: -44 dB re 1 V/Pa, 60 dB SNR).
    ambient_slope : its power falls as frequency**-slope: 0 white (the electret), 1 pink, 1.7 as Hoth measured in rooms
        (ITU-T P.800: 5 dB an octave).
    hum_lsb : amplitude of mains hum (50 or 60 Hz, with its second and third harmonic), in counts at full gain.
    agc_threshold_volts : peak at which the AGC begins: about 1 V [Adafruit: at most 2 V peak to peak], 0.8 V with the
        divider of [MAX9814]'s typical circuit.
    attack_seconds : 2400 times the timing capacitor: 0.24 ms with 100 nF [Adafruit], 1.1 ms with 470 nF [MAX9814].
    release_seconds : from 20 dB of compression to nearly none: 0.96 s with 100 nF and A/R open [Adafruit]; with A/R
        wired 0.12 or 0.48 s, with 470 nF up to 4.4 s [MAX9814].
    bias_volts : resting level: 1.23 V [MAX9814], 1.25 V [Adafruit]; tolerance of parts and of the 3.3 V reference.
    drift_lsb : amplitude of the resting level's slow drift, at 0.05 to 0.5 Hz, in counts.
    adc_noise_lsb : the ADC's own noise: 0.97 to 1.36 counts [Omo].
    dnl_lsb : how much too wide the four codes of [E11] are: 8.9 counts [Omo]. With 1.2 counts of noise a full-scale
        sine then has 8.7 effective bits, as [E11] states.
    rate_error : of the sampling rate: 30 ppm is the Pico's crystal; 0.0078 the book's 45 us ticker (22222 Hz).
    """

    level_db: tuple[float, float] = (-27.0, 6.0)
    high_pass_hz: tuple[float, float] = (60.0, 250.0)
    low_pass_hz: tuple[float, float] = (5000.0, 10500.0)
    peak_db: tuple[float, float] = (-4.0, 4.0)
    peak_hz: tuple[float, float] = (300.0, 4000.0)
    room_seconds: tuple[float, float] = (0.2, 0.7)
    treble_decay: tuple[float, float] = (0.6, 1.0)
    direct_to_reverberant_db: tuple[float, float] = (-3.0, 12.0)
    ambient_lsb: tuple[float, float] = (0.3, 4.0)
    ambient_slope: tuple[float, float] = (0.0, 1.5)
    hum_lsb: tuple[float, float] = (0.05, 1.0)
    agc_threshold_volts: tuple[float, float] = (0.8, 1.05)
    attack_seconds: tuple[float, float] = (2.0e-4, 4.0e-4)
    release_seconds: tuple[float, float] = (0.4, 1.2)
    bias_volts: tuple[float, float] = (1.18, 1.28)
    drift_lsb: tuple[float, float] = (0.0, 2.0)
    adc_noise_lsb: tuple[float, float] = (0.95, 1.4)
    dnl_lsb: tuple[float, float] = (7.0, 10.0)
    rate_error: tuple[float, float] = (-3e-5, 3e-5)


LOGARITHMIC = {"high_pass_hz", "low_pass_hz", "peak_hz", "ambient_lsb", "hum_lsb", "attack_seconds", "release_seconds"}
TRAINING = Ranges()
# wider in everything: a test also has conditions that training never had
TESTING = Ranges(level_db=(-36.0, 10.0), high_pass_hz=(40.0, 300.0), low_pass_hz=(4000.0, 11000.0),
                 peak_db=(-6.0, 6.0), peak_hz=(200.0, 6000.0), room_seconds=(0.15, 0.9), treble_decay=(0.5, 1.1),
                 direct_to_reverberant_db=(-5.0, 13.0), ambient_lsb=(0.2, 5.0), ambient_slope=(-0.2, 1.8),
                 hum_lsb=(0.02, 2.0), agc_threshold_volts=(0.7, 1.2), attack_seconds=(1e-4, 1.1e-3),
                 release_seconds=(0.12, 4.4), bias_volts=(1.14, 1.32), drift_lsb=(0.0, 5.0), adc_noise_lsb=(0.8, 1.8),
                 dnl_lsb=(5.0, 12.0), rate_error=(-0.008, 0.008))


@dataclass(frozen=True)
class DigitalRanges:
    """As `Ranges`, for a digital microphone: no AGC, no bias of an ADC, flat from 60 Hz to beyond half the rate.

    Attributes
    ----------
    level_db : of the music, after DIGITAL_GAIN_DB. At 0 dB its full scale is that of the samples. Music with an RMS of
        -14 dB that is heard at 60 to 90 dB SPL has -28 to 2 dB.
    noise_db : of the microphone, before the gain, 0 dB being a sine of full scale: -87 [INMP441: SNR 61 dB]; -91
        [ICS-43434, SPH0645: SNR 65 dB].
    room_spl : noise of the room, in dB SPL.
    room_slope : its power falls as frequency**-slope.
    offset : mean of the samples in silence, after the gain.
    """

    level_db: tuple[float, float] = (-28.0, 2.0)
    noise_db: tuple[float, float] = (-91.0, -87.0)
    room_spl: tuple[float, float] = (25.0, 45.0)
    room_slope: tuple[float, float] = (0.0, 1.5)
    offset: tuple[float, float] = (-600.0, 600.0)


def draw(rng: np.random.Generator, ranges: Ranges | DigitalRanges = TRAINING) -> dict[str, float]:
    """One value of every parameter. The number of random draws is the same for all ranges."""
    values, pairs = {}, vars(ranges)
    for share, (name, (low, high)) in zip(rng.random(len(pairs)), pairs.items()):
        values[name] = float(low * (high / low) ** share if name in LOGARITHMIC else low + (high - low) * share)
    return values


def loudspeaker(sound: np.ndarray, high_pass_hz: float, low_pass_hz: float, peak_db: float, peak_hz: float,
                config: Config = CONFIG) -> np.ndarray:
    """A small loudspeaker's frequency response: second-order high-pass, one peak or dip, first-order low-pass."""
    rate = config.sample_rate
    sections = [scipy.signal.butter(2, high_pass_hz, "highpass", fs=rate, output="sos"),
                _peaking_filter(peak_db, peak_hz, rate),
                scipy.signal.butter(1, min(low_pass_hz, 0.4999 * rate), "lowpass", fs=rate, output="sos")]
    return scipy.signal.sosfilt(np.concatenate(sections), sound)


def _peaking_filter(gain_db: float, hertz: float, rate: float) -> np.ndarray:
    """Bristow-Johnson's peaking filter of Q = 1, as one second-order section (1, 6)."""
    angle, root = 2 * np.pi * hertz / rate, 10 ** (gain_db / 40)
    wide, cosine = np.sin(angle) / 2, -2 * np.cos(angle)
    top, bottom = (1 + wide * root, cosine, 1 - wide * root), (1 + wide / root, cosine, 1 - wide / root)
    return np.array([[*top, *bottom]]) / bottom[0]


def room_response(rng: np.random.Generator, ranges: Ranges = TRAINING, config: Config = CONFIG) -> np.ndarray:
    """A random room's impulse response (n,) until it has decayed by 60 dB; its energy is 1, so it keeps the level.

    After the direct sound come the early reflections of a shoebox room (Allen and Berkley, J. Acoust. Soc. Am. 1979),
    then noise that decays exponentially (Polack 1988), faster above 1 kHz.
    """
    drawn = draw(rng, ranges)
    seconds, rate = drawn["room_seconds"], config.sample_rate
    size = rng.uniform((3.0, 2.5, 2.3), (7.0, 5.0, 3.0))  # metres
    delays, gains = _early_reflections(rng, size, seconds)
    late = _late_noise(rng, int(seconds * rate), seconds, drawn["treble_decay"], config)
    late *= np.sqrt(4 * np.pi * SOUND_SPEED / (size.prod() * rate))  # diffuse field: energy 4 pi c / volume a second
    late[: int(EARLY_SECONDS * rate)] = 0
    np.add.at(late, np.rint(delays * rate).astype(int), gains)
    late[0] = 0
    late *= 10 ** (-drawn["direct_to_reverberant_db"] / 20) / np.sqrt(np.sum(late**2))
    late[0] = 1
    return late / np.sqrt(np.sum(late**2))  # np.linalg.norm would start BLAS threads


def _early_reflections(rng: np.random.Generator, size: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Delays after the direct sound (s) and gains of the image sources of a shoebox room, up to EARLY_SECONDS."""
    source, ear = rng.uniform(0.2, 0.8, (2, 3)) * size
    turn, side, bounces = _images()
    paths = np.sqrt(np.sum(((1 - 2 * side) * source + 2 * turn * size - ear) ** 2, axis=1))
    walls = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    log_wall = -0.0805 * size.prod() / (walls * seconds)  # log of the gain of one reflection (Eyring's formula)
    gains = np.exp(log_wall * bounces) / paths
    delays = (paths - np.sqrt(np.sum((source - ear) ** 2))) / SOUND_SPEED
    near = (delays > 0) & (delays < EARLY_SECONDS)
    return delays[near], gains[near]


@functools.cache
def _images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest image sources: repeats (-2 to 2) and mirrorings (0, 1) along each axis; number of reflections."""
    grid = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, *[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 6)
    turn, side = grid[:, :3], grid[:, 3:]
    return turn, side, (np.abs(turn - side) + np.abs(turn)).sum(axis=1)


def _late_noise(rng: np.random.Generator, n: int, seconds: float, treble_decay: float, config: Config) -> np.ndarray:
    noise, rate = rng.standard_normal(n), np.log(1000) / (seconds * config.sample_rate)
    pole = np.exp(-2 * np.pi * 1000 / config.sample_rate)
    low = scipy.signal.lfilter([1 - pole], [1, -pole], noise)
    time = np.arange(n) * -rate
    return low * np.exp(time) + (noise - low) * np.exp(time / treble_decay)


def ambient(n: int, rng: np.random.Generator, rms: float, slope: float, hum: float = 0.0,
            config: Config = CONFIG) -> np.ndarray:
    """Coloured noise and mains hum: float64 array (n,).

    Parameters
    ----------
    rms : float
        Standard deviation of the noise, in any unit.
    slope : float
        Power falls as frequency**-slope, from 20 Hz on.
    hum : float
        Amplitude at 50 or 60 Hz. The second harmonic has half of it, the third a quarter.
    """
    length = scipy.fft.next_fast_len(n, real=True)
    hertz = np.arange(length // 2 + 1) * (config.sample_rate / length)
    shape = np.where(hertz >= 20, np.maximum(hertz, 20.0) ** (-slope / 2), 0.0)
    shape *= rms * length / 2 / np.sqrt(np.sum(shape**2))
    spectrum = shape * rng.standard_normal(2 * len(hertz)).view(np.complex128)
    mains, phases = rng.choice([50.0, 60.0]), rng.uniform(0, 2 * np.pi, 3)
    bins = np.rint(mains * np.arange(1, 4) / hertz[1]).astype(int)
    spectrum[bins] += hum * length / 2 / np.array([1, 2, 4]) * np.exp(1j * phases)
    return scipy.fft.irfft(spectrum, length)[:n]


def agc_attenuation(sound: np.ndarray, threshold: float, attack_seconds: float, release_seconds: float,
                    config: Config = CONFIG) -> np.ndarray:
    """By how many dB the MAX9814 turns itself down: as much as peaks exceed the threshold, at most 20 dB.

    The gain falls with the attack's time constant and holds for 30 ms. Then the attenuation in dB decays exponentially.
    In the release time it falls from 20 dB to 0.92 dB, a gain of 0.9. `sound` is the output at full gain, around 0.
    `threshold`, in the same unit, is the peak at which the AGC begins.
    """
    padded = np.pad(np.abs(sound), (0, -len(sound) % AGC_BLOCK))
    peaks = padded.reshape(-1, AGC_BLOCK).max(axis=1)
    needed = np.clip(20 * np.log10(np.maximum(peaks / threshold, 1e-9)), 0, AGC_RANGE_DB)
    if not needed.any():
        return np.zeros(len(sound))
    block = AGC_BLOCK / config.sample_rate
    hold = 2 * round(AGC_HOLD_SECONDS / block / 2) + 1
    held = scipy.ndimage.maximum_filter1d(needed, hold, mode="constant", origin=hold // 2)
    # each block needs an attenuation, which then decays; the largest counts: a running maximum of the logarithm
    decay = np.arange(len(held)) * block * np.log(AGC_RANGE_DB / (-20 * np.log10(0.9))) / release_seconds
    target = np.exp(np.maximum.accumulate(np.log(np.maximum(held, 1e-9)) + decay) - decay)
    slow = np.exp(-1 / (attack_seconds * config.sample_rate))
    return scipy.signal.lfilter([1 - slow], [1, -slow], np.repeat(target, AGC_BLOCK)[: len(sound)])


def agc(sound: np.ndarray, threshold: float, attack_seconds: float, release_seconds: float,
        config: Config = CONFIG) -> np.ndarray:
    """The MAX9814's automatic gain control: `sound` less `agc_attenuation`."""
    return sound * np.exp(-np.log(10) / 20 * agc_attenuation(sound, threshold, attack_seconds, release_seconds, config))


def at_rate(sound: np.ndarray, rate_error: float, config: Config = CONFIG) -> np.ndarray:
    """Resample as an ADC whose clock is fast by `rate_error` would; same length. Under one sample, nothing changes."""
    if abs(rate_error) * len(sound) < 1:
        return sound
    heard = soxr.resample(sound, config.sample_rate, config.sample_rate * (1 + rate_error), quality="MQ")
    return np.pad(heard, (0, max(0, len(sound) - len(heard))), mode="reflect")[: len(sound)]


def adc_counts(samples: np.ndarray, rng: np.random.Generator, level_db: float | None = None, room: bool = False,
               ranges: Ranges = TRAINING, config: Config = CONFIG) -> np.ndarray:
    """What the Pico's ADC reads when clean int16 audio is played to the microphone: uint16 counts (n,).

    Parameters
    ----------
    rng : numpy Generator
        Draws the parameters and the noise.
    level_db : float, optional
        Level of the music before the AGC acts. Default: drawn from `ranges`.
    room : bool
        Put a random room before the microphone.
    """
    drawn = draw(rng, ranges)
    sound = adc.scale_to_counts(samples, drawn["level_db"] if level_db is None else level_db, config)
    sound = _played(sound, rng, drawn, room, ranges, config)
    sound += ambient(len(sound), rng, *(drawn[name] for name in ("ambient_lsb", "ambient_slope", "hum_lsb")), config)
    threshold, bias, limits = (adc.volts_to_counts(volts, config) for volts in (
        drawn["agc_threshold_volts"], drawn["bias_volts"], adc.OUTPUT_VOLTS))
    sound = agc(sound, threshold, drawn["attack_seconds"], drawn["release_seconds"], config)
    sound = at_rate(sound, drawn["rate_error"], config) + bias
    sound += drawn["drift_lsb"] * _slow_wave(len(sound), rng, config)
    return adc.digitise(np.clip(sound, *limits), rng, drawn["adc_noise_lsb"], drawn["dnl_lsb"], config)


def _played(sound: np.ndarray, rng: np.random.Generator, drawn: dict, room: bool, ranges: Ranges,
            config: Config) -> np.ndarray:
    """What reaches the microphone: through the loudspeaker, and a room."""
    sound = loudspeaker(sound, *(drawn[name] for name in ("high_pass_hz", "low_pass_hz", "peak_db", "peak_hz")), config)
    return scipy.signal.oaconvolve(sound, room_response(rng, ranges, config))[: len(sound)] if room else sound


def digital_samples(samples: np.ndarray, rng: np.random.Generator, level_db: float | None = None, room: bool = False,
                    ranges: Ranges = TRAINING, config: Config = CONFIG) -> np.ndarray:
    """What a sketch reads from a digital microphone when clean int16 audio is played to it: int16 (n,).

    Parameters are those of `adc_counts`; of `ranges`, loudspeaker, room and rate are used. See `DigitalRanges`.
    """
    drawn, own = draw(rng, ranges), draw(rng, DigitalRanges())
    sound = samples * 10 ** ((own["level_db"] if level_db is None else level_db) / 20)
    sound = _played(sound, rng, drawn, room, ranges, config)
    noise, heard = (32768 / np.sqrt(2) * 10 ** ((level + DIGITAL_GAIN_DB) / 20)
                    for level in (own["noise_db"], own["room_spl"] - DIGITAL_FULL_SPL))
    sound += ambient(len(sound), rng, heard, own["room_slope"], config=config)
    sound = at_rate(sound, drawn["rate_error"], config) + noise * rng.standard_normal(len(sound)) + own["offset"]
    return np.clip(np.floor(sound), -32768, 32767).astype(np.int16)


def _slow_wave(n: int, rng: np.random.Generator, config: Config) -> np.ndarray:
    hertz, phase = rng.uniform(0.05, 0.5), rng.uniform(0, 2 * np.pi)
    knots = np.arange(0, n + 1024, 1024)  # straight lines between them are near enough
    return np.interp(np.arange(n), knots, np.sin(2 * np.pi * hertz / config.sample_rate * knots + phase))


def hear(samples: np.ndarray, rng: np.random.Generator, level_db: float | None = None, room: bool = False,
         ranges: Ranges = TRAINING, config: Config = CONFIG, digital: bool = False) -> np.ndarray:
    """`adc_counts` or `digital_samples`, then `adc.adc_to_q15`. The length is a whole number of frame steps."""
    if digital:
        return adc.adc_to_q15(digital_samples(samples, rng, level_db, room, ranges, config), config, bits=16)
    return adc.adc_to_q15(adc_counts(samples, rng, level_db, room, ranges, config), config)


def hear_clips(clips: np.ndarray, seed: int, level_db: float | None = None, room: float = 0.0,
               ranges: Ranges = TRAINING, config: Config = CONFIG, digital: bool = False) -> np.ndarray:
    """`hear` for each clip, with parameters of its own.

    Parameters
    ----------
    clips : int16 array (n, n_samples)
    room : float
        Share of clips that are heard in a room.
    digital : bool
        By a digital microphone.

    Returns
    -------
    int16 array (n, n_samples rounded down to whole frame steps)
    """
    def one(index: int) -> np.ndarray:
        rng = np.random.default_rng([seed, index])
        return hear(clips[index], rng, level_db, bool(rng.random() < room), ranges, config, digital)

    work = in_parallel((joblib.delayed(one)(index) for index in range(len(clips))), prefer="threads")
    heard = list(tqdm(work, total=len(clips), desc="microphone", unit="clip", delay=2, leave=False))
    return np.stack(heard) if heard else clips[:, : clips.shape[1] // config.frame_step * config.frame_step]


def other_counts(kind: str, seconds: float, rng: np.random.Generator, level_db: float | None = None, room: bool = False,
                 sounds: other_sounds.SoundRanges = other_sounds.TRAINING_SOUNDS, ranges: Ranges = TRAINING,
                 config: Config = CONFIG) -> np.ndarray:
    """`adc_counts` of a sound of no genre (one of `other_sounds.KINDS`). An open pin has no microphone before it."""
    if kind == other_sounds.OPEN_PIN:
        return other_sounds.open_pin(int(seconds * config.sample_rate), rng, config, sounds)
    samples = other_sounds.make(kind, seconds, rng, config, sounds)
    return adc_counts(samples, rng, level_db, room, ranges, config)
