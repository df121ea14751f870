"""ADC counts to sound and back: the one place where the two are converted.

Used by notebooks/01_record_audio.ipynb and 08_deploy_to_pico.ipynb.
"""

from __future__ import annotations

import numpy as np

from ..config import CONFIG, Config

BIAS_VOLTS, SUPPLY_VOLTS = 1.23, 3.3  # [MAX9814] output's resting level; the ADC's reference is the Pico's 3.3 V
DNL_CODES = (512, 1536, 2560, 3584)  # [E11]
DNL_LSB, ADC_NOISE_LSB = 8.9, 1.2  # [Omo] largest DNL; noise at the input: 0.97 and 1.36 in the regulator's two modes


# --- the RP2040's ADC -------------------------------------------------------------------------------------------------

def digitise(levels: np.ndarray, rng: np.random.Generator, noise_lsb: float = ADC_NOISE_LSB, dnl_lsb: float = DNL_LSB,
        config: Config = CONFIG) -> np.ndarray:
    """Sample an input voltage with the RP2040's ADC: noise, four codes that are too wide, 12 bits.

    Parameters
    ----------
    levels : array (n,)
        Input in steps of an ideal ADC: 0 is ground, 4096 the reference.
    noise_lsb : float
        Standard deviation of Gaussian noise.
    dnl_lsb : float
        By how much codes 512, 1536, 2560 and 3584 are wider than one step; all others are narrower by as much as these
        take.

    Returns
    -------
    uint16 array (n,)
        0 to 4095.
    """
    steps = 2**config.adc_bits
    noisy = levels + noise_lsb * rng.standard_normal(len(levels))
    codes = np.interp(noisy, *_transfer(dnl_lsb, steps))
    return np.clip(np.rint(codes), 0, steps - 1).astype(np.uint16)


def _transfer(dnl_lsb: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the line from ideal to actual codes: flat where a code is too wide."""
    codes = [code * steps // 4096 for code in DNL_CODES]
    edges = np.array([-0.5, *(code + half for code in codes for half in (-0.5, 0.5)), steps - 0.5])
    narrow = (steps - len(DNL_CODES) * (1 + dnl_lsb)) / (steps - len(DNL_CODES))
    widths = np.diff(edges) * narrow
    widths[1::2] = 1 + dnl_lsb
    return np.concatenate([[-0.5], -0.5 + np.cumsum(widths)]), edges


# --- from the microphone ----------------------------------------------------------------------------------------------

def adc_to_q15(adc: np.ndarray, config: Config = CONFIG) -> np.ndarray:
    """ADC counts to int16 Q0.15, the microphone's bias measured and removed, as the Pico does it.

    The bias is tracked: it starts as the mean of the first frame_step samples and moves by 1/16 of its error at each
    further step. Counts are shifted by 16 - adc_bits so that the full range of the ADC is the full range of int16.

    Parameters
    ----------
    adc : unsigned integers, shape (n,)
        Counts, 0 to 2**adc_bits - 1.

    Returns
    -------
    int16, shape (n // frame_step * frame_step,)
    """
    step_bits = config.frame_step.bit_length() - 1
    if 1 << step_bits != config.frame_step:
        raise ValueError(f"frame_step {config.frame_step} must be a power of two: the bias is a mean by shifting")
    steps = np.asarray(adc, np.int64)[: len(adc) // config.frame_step * config.frame_step]
    steps = steps.reshape(-1, config.frame_step)
    sums = steps.sum(axis=1)  # the mean with step_bits fraction bits
    biases = np.empty_like(sums)
    bias = sums[0] if len(sums) else 0
    for i, mean in enumerate(sums):
        bias += (mean - bias) >> config.bias_shift
        biases[i] = bias
    down = step_bits - (16 - config.adc_bits)
    centred = ((steps << step_bits) - biases[:, None] + (1 << (down - 1))) >> down
    return np.clip(centred, -32768, 32767).astype(np.int16).reshape(-1)


# ---- running

def ideal_counts(samples: np.ndarray, gain_db: float = -6.0, noise_lsb: float = 1.0, bias: float | None = None,
               seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """What the Pico's ADC reads when int16 audio comes from the microphone: gain, bias, noise, 12 bits. Nothing else.

    `microphone.adc_counts` also has the room and the loudspeaker. At 0 dB full scale is the ADC's; the MAX9814 gives
    at most 2 V peak to peak, which is -4 dB.

    Parameters
    ----------
    samples : int16 array (n,)
    gain_db : float
    noise_lsb : float
        Standard deviation of Gaussian noise, in steps of the ADC.
    bias : float, optional
        Resting level in steps; the MAX9814's 1.23 V of 3.3 V when not given.

    Returns
    -------
    uint16 array (n,)

    Explained in notebooks/08_deploy_to_pico.ipynb.
    """
    steps = 2**config.adc_bits
    bias = BIAS_VOLTS / SUPPLY_VOLTS * steps if bias is None else bias
    noise = noise_lsb * np.random.default_rng(seed).standard_normal(len(samples)) if noise_lsb else 0.0
    counts = bias + samples * (steps / 65536) * 10 ** (gain_db / 20) + noise
    return np.clip(np.rint(counts), 0, steps - 1).astype(np.uint16)


def counts_to_audio(values, bias: int, bits: int = CONFIG.adc_bits) -> np.ndarray:
    """ADC counts as int16 audio: the bias taken off, shifted up to 16 bits, saturated.

    The microphone rests at 1.25 V of 3.3 V, so that only a signal beyond 2.9 V can saturate.
    """
    centred = (np.asarray(values, dtype=np.int32) - bias) << (16 - bits)
    return np.clip(centred, -32768, 32767).astype(np.int16)


def audio_to_counts(audio, bias: int, bits: int = CONFIG.adc_bits) -> np.ndarray:
    """ADC counts (int16) from `to_audio`'s audio, exactly where it was not saturated."""
    return ((np.asarray(audio, dtype=np.int32) >> (16 - bits)) + bias).astype(np.int16)
