"""Pictures to play with: what a reader sees who runs nothing, and where a click plays which sound."""

import io
import json
import re

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython import display

from mgr_helpers import interactive, plots


@pytest.fixture
def shown(monkeypatch):
    """What is given to `display`, and with which metadata."""
    kept = []
    plt.close("all")  # another test's
    monkeypatch.setattr(display, "display", lambda what, metadata=None: kept.append((what, metadata)))
    yield kept
    plt.close("all")


@pytest.mark.parametrize("size, shape", [((4, 3), (3, 12)), ((10, 3), (9, 10))])
def test_positions_stand_side_by_side_or_below_one_another(shown, monkeypatch, size, shape):
    calls = []

    def show(level, room):
        calls.append((level, room))
        plt.figure(figsize=size, dpi=80)

    monkeypatch.setattr("ipywidgets.interact", lambda show, **controls: calls.append(sorted(controls)))
    interactive.explore(show, {"level": (0, 5, 9)}, level=plots.slider("level", 2, 0, 9), room=[True, False])
    assert calls == [(0, True), (5, True), (9, True), ["level", "room"]]
    (picture, metadata), = shown
    assert metadata == {"positions": "(0, 5, 9)"} and not plt.get_fignums()
    assert plt.imread(io.BytesIO(picture.data)).shape[:2] == (80 * shape[0], 80 * shape[1])


@pytest.mark.parametrize("control, first", [(plots.slider("a", 4, 0, 8), 4), (["x", "y"], "x"), ({"a": 7}, 7),
                                            (True, True)])
def test_other_arguments_have_the_first_value_of_their_control(control, first):
    assert interactive._first(control) == first


def test_a_click_plays_the_nearest_point(shown):
    ax = plots.axes()
    ax.set(xlim=(0, 10), ylim=(0, 10))
    points = np.array([[0, 0], [10, 10]])
    interactive.play_points(ax, points, [np.zeros(4000, np.int16), np.ones(4000, np.int16)])
    (picture, _), (player, _) = shown
    high, wide = plt.imread(io.BytesIO(picture.data)).shape[:2]
    name, places, sounds = json.loads(re.search(r"\)\(\.\.\.(\[.+\])\)</script>", player.data)[1])
    assert f'id="{name}"' in player.data and len(sounds) == 2 and all(sounds)
    (left, bottom), (right, top) = places  # from the picture's upper left corner
    assert 0 < left < right < 1 and 0 < top < bottom < 1 and wide > high
