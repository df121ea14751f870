"""Pictures: units on every axis, colours that differ, nothing drawn where it doesn't belong."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

from mgr_helpers import plots  # noqa: E402

DRAWN = {
    "waveform": lambda: plots.waveform(np.zeros(50, np.int16)),
    "spectrum": lambda: plots.spectrum(np.ones(1025)),
    "spectrogram": lambda: plots.spectrogram(np.ones((20, 1025))),
    "mel_filter_bank": lambda: plots.mel_filter_bank(np.ones((1025, 4))),
    "mfcc_image": lambda: plots.mfcc_image(np.ones((20, 18))),
    "confusion_matrix": lambda: plots.confusion_matrix([[3, 0], [1, 2]], ["a", "b"]),
    "training_curves": lambda: plots.training_curves({"loss": [2, 1], "val_loss": [3, 2]}),
    "bar_with_interval": lambda: plots.bar_with_interval(["a", "b"], [1, 2], [0, 1], [2, 3]),
    "bars": lambda: plots.bars(["a", "b"], [1, 2]),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plots.plt.close("all")


@pytest.mark.parametrize("name", DRAWN)
def test_axes_are_labelled(name):
    ax = DRAWN[name]()
    assert ax.get_xlabel() or name in ("bar_with_interval",)
    assert ax.get_ylabel() or name in ("bars",)
    ax.figure.canvas.draw()


def test_decibels():
    np.testing.assert_allclose(plots.decibels([1, 10, 0.1, 0]), [0, 20, -20, -120])


def test_int16_is_drawn_as_full_scale():
    line = plots.waveform(np.array([-32768, 16384], np.int16)).lines[0]
    assert line.get_ydata().tolist() == [-1, 0.5]


def test_genres_have_colours_of_their_own():
    assert len({plots.genre_color(genre) for genre in ("disco", "jazz", "metal")}) == 3
    assert plots.genre_color("blues") == plots.genre_color("blues") not in plots.GENRE_COLORS.values()
