"""Pictures: units on every axis, colours that differ, nothing drawn where it doesn't belong."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

from mgr_helpers import plots
from mgr_helpers.features import mfcc  # noqa: E402

SAID = [{"says": "unsure", "label": "jazz", "scores": [-128, 0, 127]}]
BLOCKS = [{"region": "RAM", "part": "model", "name": "W", "offset": 0, "bytes": 600}]
UNLABELLED = {"x": ("bar_with_interval", "decision_bands", "chain"),  # names stand there
              "y": ("bars", "decision_bands", "frame_timeline", "memory_map", "chain")}
DRAWN = {
    "chain": lambda: plots.chain(3),
    "waveform": lambda: plots.waveform(np.zeros(50, np.int16)),
    "spectrum": lambda: plots.spectrum(np.ones(1025)),
    "spectrogram": lambda: plots.spectrogram(np.ones((20, 1025))),
    "clips": lambda: plots.clips([("a", np.zeros(3000, np.int16), np.ones((2, 1025)), "red")])[0, 0],
    "mel_filter_bank": lambda: plots.mel_filter_bank(np.ones((1025, 4))),
    "mel_bands": lambda: plots.mel_bands(np.ones((1025, 4)), np.ones(1025))[1],
    "mfcc_images": lambda: plots.mfcc_images({"a": np.ones((20, 18)), "b": np.ones((20, 18))})[0],
    "mfcc_image": lambda: plots.mfcc_image(np.ones((20, 18))),
    "confusion_matrices": lambda: plots.confusion_matrices({"": [[3, 0], [1, 2]]}, ["a", "b"])[0],
    "bar_with_interval": lambda: plots.bar_with_interval(["a", "b"], [1, 2], [0, 1], [2, 3]),
    "bars": lambda: plots.bars(["a", "b"], [1, 2]),
    "decisions": lambda: plots.decisions(SAID)[1],
    "decision_bands": lambda: plots.decisions(SAID)[0],
    "frame_timeline": lambda: plots.frame_timeline({"window": 30_000, "lstm": 120_000})[1],
    "memory_map": lambda: plots.memory_map(BLOCKS, "RAM", 1000),
    "quantised_row": lambda: plots.quantised_row(np.array([0.1, -0.2]), np.array([0.125, -0.25]), 0.125),
    "before_and_after": lambda: plots.before_and_after(np.linspace(-1, 1, 9), np.arange(-4, 5), 0.25)[0],
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plots.plt.close("all")


@pytest.mark.parametrize("name", DRAWN)
def test_axes_are_labelled(name):
    ax = DRAWN[name]()
    assert ax.get_xlabel() or name in UNLABELLED["x"]
    assert ax.get_ylabel() or name in UNLABELLED["y"]
    ax.figure.canvas.draw()


def test_decibels():
    np.testing.assert_allclose(plots.decibels([1, 10, 0.1, 0]), [0, 20, -20, -120])


@pytest.mark.parametrize("name", plots.STAGE_AXES)
def test_every_stage_has_its_axis(name):
    stages = mfcc.numpy_stages(np.random.default_rng(0).normal(0, 0.1, 2048))
    values = {name: rows[0] for name, rows in stages.items()}
    values["fft"] = np.fft.rfft(values["windowed"])
    ax = plots.stage(name, values[name])
    assert (ax.get_xlabel(), ax.get_ylabel()) == plots.STAGE_AXES[name]
    if name in ("fft", "magnitude"):
        assert ax.lines[0].get_xdata()[-1] == 11025


def test_empty_mel_bands_are_counted():
    weights = np.zeros((1025, 3))
    weights[5, 0] = 1
    assert "2 of them" in plots.mel_bands(weights, np.ones(1025))[0].get_title()


def test_mfcc_images_leave_c0_blank_and_draw_zero_white():
    values = np.full((20, 3), -2.0)
    values[:, 0] = 500
    image = plots.mfcc_images({"a": values, "b": values / 2})[1].images[0]
    assert image.get_clim() == (-2, 2) and image.get_array()[0].max() == 0


@pytest.mark.parametrize("largest, used, color", [(200, 8, "#0072B2"), (32766, 15, "#0072B2"), (32767, 15, "#D55E00"),
                                                  (-32768, 15, "#D55E00")])
def test_word_lengths(largest, used, color):
    ax = plots.word_lengths({"frame": (np.array([0, largest]), 15, 15)})
    word, filled = ax.patches
    assert (word.get_x(), word.get_width(), filled.get_x(), filled.get_width()) == (-15, 15, -15, used)
    assert matplotlib.colors.to_hex(filled.get_facecolor()).upper() == color


@pytest.mark.parametrize("value, kind", [(4, int), (0.5, float)])
def test_sliders_update_when_released(value, kind):
    slider = plots.slider("Mel bands", value, 0, 8)
    assert type(slider.value) is kind and slider.description == "Mel bands" and not slider.continuous_update


def test_int16_is_drawn_as_full_scale():
    line = plots.waveform(np.array([-32768, 16384], np.int16)).lines[0]
    assert line.get_ydata().tolist() == [-1, 0.5]


def test_genres_have_colours_of_their_own():
    assert len({plots.genre_color(genre) for genre in ("disco", "jazz", "metal")}) == 3
    assert len(set(plots.GENRE_COLORS.values()) | set(plots.NO_GENRE_COLORS.values())) == 12
    own = {plots.genre_color(name) for name in ("polka", "waltz")}  # of other names: by their letters
    assert own <= {color for name, color in plots.GENRE_COLORS.items() if name not in ("disco", "jazz", "metal")}


def test_unsure_and_silence_are_grey():
    for word in plots.NO_GENRE_COLORS:
        assert len(set(matplotlib.colors.to_rgb(plots.genre_color(word)))) == 1


def test_a_frame_that_takes_too_long_has_no_sleep():
    whole, _ = plots.frame_timeline({"mel": 10_000_000})
    assert whole.patches[-1].get_width() == 0 and whole.get_xlim()[1] == pytest.approx(80)


def test_the_line_of_a_player_is_at_the_right_place(monkeypatch):
    """The cursor's places are those of the picture that is shown, which isn't cropped."""
    import io
    import re

    from IPython import display
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    ax = plots.waveform(np.zeros(22050, np.int16))
    ax.set_xlim(0, 2)
    left, width = ax.get_position().x0, ax.get_position().width
    ax.figure.set_layout_engine("none")
    plots.play_over(ax, np.arange(22050, dtype=np.int16))
    picture, player = shown
    wide, high = plots.plt.imread(io.BytesIO(picture.data)).shape[1::-1]
    assert (wide, high) == tuple(ax.figure.get_size_inches() * ax.figure.dpi)
    start, step = map(float, re.search(r", ([\d.]+), ([\d.]+)\)</script>", player.data).groups())
    assert start == pytest.approx(left) and step == pytest.approx(width / 2)
    assert re.search(r'<audio\s+id="(\w+)"', player.data)[1] in player.data.split("<script>")[1]


@pytest.mark.parametrize("number, lit", [(3, [3]), (None, list(range(1, 10)))])
def test_strip_of_the_chain_lights_the_notebooks_stage(number, lit):
    boxes = [text for text in plots.chain(number).texts if text.get_bbox_patch() is not None]
    assert len(boxes) == len(plots.CHAIN) == 9
    assert [place for place, box in enumerate(boxes, 1) if box.get_color() == "white"] == lit
