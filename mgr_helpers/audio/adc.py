"""ADC counts to sound and back. No other module converts them.

An ADC of b bits gives counts from 0 to 2**b - 1. In silence they stay at the bias, somewhere in the middle. int16 audio
at 0 dB fills the ADC's range: ``count = bias + sample * 2**b / 65536``.

[MAX9814] Maxim's data sheet 19-0764, rev. 3. [E11] RP2040 data sheet, erratum RP2040-E11. [Omo] M. Omo, Characterizing
the Raspberry Pi Pico ADC, 2021 (pico-adc.markomo.me).

Notebooks: 00, 01, 08, 09.
"""

import numpy as np

from ..config import CONFIG, Config

BIAS_VOLTS, SUPPLY_VOLTS = 1.23, 3.3  # [MAX9814] its output in silence; the ADC's reference is the Pico's 3.3 V
OUTPUT_VOLTS = (0.0, 2.45)  # where the MAX9814's output ends: as far above its bias as below it, a choice
DNL_CODES = (512, 1536, 2560, 3584)  # [E11]
DNL_LSB, ADC_NOISE_LSB = 8.9, 1.2  # [Omo] largest DNL; noise at the input: 0.97 and 1.36 in the regulator's two modes


def volts_to_counts(volts, config: Config = CONFIG):
    """Volts at the ADC's input as counts, not rounded: SUPPLY_VOLTS is 2**adc_bits."""
    return np.divide(volts, SUPPLY_VOLTS) * 2**config.adc_bits


def scale_to_counts(samples: np.ndarray, gain_db: float = 0.0, config: Config = CONFIG) -> np.ndarray:
    """int16 audio as counts around 0, not rounded. At 0 dB, the audio's full scale is the ADC's full scale."""
    return samples * (10 ** (gain_db / 20) * 2**config.adc_bits / 65536)


def round_to_counts(levels: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """Levels in counts to the ADC's output: rounded, clipped to 0..2**adc_bits - 1, uint16."""
    return np.clip(np.rint(levels), 0, 2**config.adc_bits - 1).astype(np.uint16)


def ideal_counts(samples: np.ndarray, gain_db: float = -6.0, noise_lsb: float = 1.0, bias: float | None = None,
                 seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """int16 audio as an ideal microphone and ADC would read it: gain, bias, noise, rounding; uint16 array (n,).

    `microphone.adc_counts` also simulates the loudspeaker, the room and the faults of microphone and ADC.

    Parameters
    ----------
    gain_db : float
        At 0 dB, the audio's full scale is the ADC's. The MAX9814 gives at most 2 V peak to peak, which is -4 dB.
    noise_lsb : float
        Standard deviation of Gaussian noise, in counts.
    bias : float, optional
        Level of silence in counts. Default: that of BIAS_VOLTS.
    """
    bias = volts_to_counts(BIAS_VOLTS, config) if bias is None else bias
    noise = noise_lsb * np.random.default_rng(seed).standard_normal(len(samples)) if noise_lsb else 0.0
    return round_to_counts(bias + scale_to_counts(samples, gain_db, config) + noise, config)


def digitise(levels: np.ndarray, rng: np.random.Generator, noise_lsb: float = ADC_NOISE_LSB, dnl_lsb: float = DNL_LSB,
             config: Config = CONFIG) -> np.ndarray:
    """Levels in counts as the RP2040's ADC reads them, with its faults: uint16 array (n,).

    Parameters
    ----------
    noise_lsb : float
        Standard deviation of Gaussian noise, in counts.
    dnl_lsb : float
        By how much the four codes of [E11] are wider than one step. All others are narrower, to keep the sum.
    """
    noisy = levels + noise_lsb * rng.standard_normal(len(levels))
    return round_to_counts(np.interp(noisy, *_transfer(dnl_lsb, 2**config.adc_bits)), config)


def _transfer(dnl_lsb: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Corner points of the line from input to code, each in counts. The line is less steep where a code is too wide."""
    codes = [code * steps // 4096 for code in DNL_CODES]
    edges = np.array([-0.5, *(code + half for code in codes for half in (-0.5, 0.5)), steps - 0.5])
    narrow = (steps - len(DNL_CODES) * (1 + dnl_lsb)) / (steps - len(DNL_CODES))
    widths = np.diff(edges) * narrow
    widths[1::2] = 1 + dnl_lsb
    return np.concatenate([[-0.5], -0.5 + np.cumsum(widths)]), edges


def counts_to_audio(counts, bias: int, bits: int = CONFIG.adc_bits) -> np.ndarray:
    """Counts as int16 audio: ``(count - bias) << (16 - bits)``, saturated.

    The microphone rests at 1.25 V of 3.3 V, so only a signal beyond 2.9 V can saturate.
    """
    return _saturated((np.asarray(counts, dtype=np.int32) - bias) << (16 - bits))


def adc_to_q15(adc: np.ndarray, config: Config = CONFIG, bits: int | None = None) -> np.ndarray:
    """Counts to int16 audio as the Pico does it while it listens. It measures the bias, with fraction bits.

    The bias starts as the mean of the first frame_step samples. Each further step moves it by 2**-bias_shift of its
    error.

    Parameters
    ----------
    adc : integers, shape (n,)
        Counts, 0 to 2**bits - 1, or the int16 samples of a digital microphone, which also have a small bias.
    bits : int, optional
        Those of a value; 16 for samples. Default: config.adc_bits.

    Returns
    -------
    int16, shape (n // frame_step * frame_step,)

    Raises
    ------
    ValueError
        When frame_step is not a power of two.
    """
    step_bits = config.frame_step.bit_length() - 1
    if 1 << step_bits != config.frame_step:
        raise ValueError(f"frame_step {config.frame_step} must be a power of two: a shift divides the sum of a step")
    steps = np.asarray(adc, np.int64)[: len(adc) // config.frame_step * config.frame_step]
    steps = steps.reshape(-1, config.frame_step)
    sums = steps.sum(axis=1)  # the mean with step_bits fraction bits
    biases = np.empty_like(sums)
    bias = sums[0] if len(sums) else 0
    for i, mean in enumerate(sums):
        bias += (mean - bias) >> config.bias_shift
        biases[i] = bias
    down = step_bits - (16 - (bits or config.adc_bits))
    return _saturated(((steps << step_bits) - biases[:, None] + (1 << (down - 1))) >> down).reshape(-1)


def _saturated(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -32768, 32767).astype(np.int16)
