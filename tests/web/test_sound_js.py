"""What the page does with sound and lines of text, in Node.js: against soxr, NumPy and the sketch's formats."""

import json

import numpy as np
import pytest
import soxr

from mgr_helpers.audio import mini_set
from mgr_helpers.audio.adc import ideal_counts
from mgr_helpers.pico import listen
from tests.web.modules import run_modules

LINE = "DECISION window=3 time_ms=3815 label=jazz vote=disco confidence=73 says=unsure scores=127,-128,-5"


@pytest.mark.parametrize("rate", [44100, 48000, 22050, 16000])
def test_resampler_is_near_soxr(rate):
    """For sound up to 8 kHz: what differs is 60 dB below it."""
    song = mini_set.song("jazz", 0)[: 2 * 22050].astype(float) / 32768
    low = soxr.resample(soxr.resample(song, 22050, min(16000, rate), "VHQ"), min(16000, rate), rate, "VHQ")
    found = np.array(json.loads(run_modules("resample", [{"from": rate, "to": 22050, "samples": low.tolist()}])))
    wanted = soxr.resample(low, rate, 22050, "VHQ")
    best = min(np.std(found[2000:40000] - np.roll(wanted, shift)[2000:40000]) for shift in range(40))
    assert best < 1e-3 * np.std(wanted)


def test_spectrogram_is_that_of_numpy():
    counts = ideal_counts(mini_set.song("metal", 0)[:8192])
    (columns,) = [json.loads(line) for line in run_modules("columns", [{"counts": counts.tolist()}]).splitlines()]
    assert len(columns) == 8
    last = counts[-2048:] - counts[-2048:].mean()
    magnitude = np.abs(np.fft.rfft(last * np.hanning(2049)[:-1]))[:1024].reshape(128, 8).max(axis=1)
    db = 20 * np.log10(np.maximum(magnitude, 1e-6) / (512 * 2048))
    assert np.allclose(columns[-1]["levels"], np.clip(255 * (db + 90) / 80, 0, 255), atol=0.6)
    assert columns[-1]["peak"] == pytest.approx(np.abs(last[-1024:]).max() / 2048)
    clipped = json.loads(run_modules("columns", [{"counts": [0, 4095, 7, *1021 * [2048]]}]))
    assert clipped[0]["clipped"] == 2


def test_lines_of_the_sketch():
    """As listen.py reads them; FRAME lines carry bytes in hexadecimal."""
    mel, mfcc = bytes(range(100, 140)), bytes(range(236, 256)) + bytes(range(20))
    rows = [LINE, f"FRAME n=7 mel={mel.hex()} mfcc={mfcc.hex()}", f"FRAME n=8 mel={mel.hex()}", "OVERRUN lost=256",
            "TEST PASSED", "DECISION", "DECISION window=1 scores", "", LINE.replace("disco", "hip hop"),
            "READY sketch=music-genre-pico model=bdb031ab genres=disco,hip hop clock_mhz=125"]
    found = [json.loads(line) for line in run_modules("lines", [{"line": row} for row in rows]).splitlines()]
    (expected,) = listen.parse_decisions(LINE)
    assert {key: found[0][key] for key in expected} == expected and found[0]["kind"] == "decision"
    assert found[1]["mel"] == [value << 6 for value in mel]
    assert found[1]["mfcc"] == np.frombuffer(mfcc, np.int8).tolist() and found[2]["mfcc"] is None
    assert found[3] == {"kind": "overrun", "lost": 256}
    assert [row["kind"] for row in found[4:8]] == 4 * ["text"] and found[8]["vote"] == "hip hop"
    assert found[9] == {"kind": "ready", "genres": ["disco", "hip hop"]}
