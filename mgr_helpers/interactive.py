"""Pictures to play with: sliders that also serve those who only read, and a picture in which points sound.

Notebooks: 01, 02, 03, 04.
"""

import base64
import io
import json
import uuid

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image

from .config import CONFIG, Config

# a click into the picture before the player: the sound of the nearest point (x, y from 0 to 1)
PLAY_NEAREST = """(name, points, sounds) => {
  const audio = document.getElementById(name);
  let box = audio;
  while (box && !box.querySelector("img")) box = box.parentElement;
  if (!box) return;
  const image = [...box.querySelectorAll("img")].filter(one => one.compareDocumentPosition(audio) & 4).pop();
  image.addEventListener("click", event => {
    const far = ([x, y]) => Math.hypot(x * image.clientWidth - event.offsetX, y * image.clientHeight - event.offsetY);
    const best = points.reduce((one, point, index) => far(point) < far(points[one]) ? index : one, 0);
    audio.src = "data:audio/ogg;base64," + sounds[best];
    audio.play();
  });
}"""
MOST_SOUNDS = 300


def explore(show, positions: dict, **controls) -> None:
    """`show` at some positions of a slider, for those who only read; above them the slider to play with.

    Pictures of matplotlib's default size become smaller and stand side by side; larger ones stand one below another.

    Parameters
    ----------
    show : function that draws a figure
    positions : dict
        Name of an argument: the values to draw. The others have the first value of their control.
    controls : as in `ipywidgets.interact`
    """
    import ipywidgets
    from IPython.display import Image, display
    (name, values), = positions.items()
    fixed = {key: _first(control) for key, control in controls.items()}
    pictures = [_drawn(show, {**fixed, name: value}) for value in values]
    height, width = np.max([picture.shape[:2] for picture in pictures], axis=0)
    pictures = [np.pad(one, ((0, height - one.shape[0]), (0, width - one.shape[1]), (0, 0)), constant_values=255)
                for one in pictures]
    png = io.BytesIO()
    joined = np.hstack(pictures) if width * len(pictures) < 1100 else np.vstack(pictures)
    PIL.Image.fromarray(joined).quantize(64).save(png, "png", optimize=True)  # a palette: a third of the bytes
    ipywidgets.interact(show, **controls)  # it clears what was shown before
    display(Image(png.getvalue()), metadata={"positions": str(values)})


def _first(control):
    """The value that `ipywidgets.interact` begins with."""
    choices = list(control.values()) if isinstance(control, dict) else control
    return control.value if hasattr(control, "value") else choices[0] if isinstance(choices, (list, tuple)) else control


def _drawn(show, arguments: dict) -> np.ndarray:
    """The figure that `show` draws, as RGB pixels (height, width, 3), with its other outputs left out."""
    from IPython.utils.capture import capture_output
    before = set(plt.get_fignums())
    with capture_output(), plt.ioff(), plt.rc_context({"figure.figsize": (4.2, 3)}):
        show(**arguments)
        (number,) = set(plt.get_fignums()) - before
        figure = plt.figure(number)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3].copy()
        plt.close(figure)
    return pixels


def play_points(ax, points: np.ndarray, sounds: list, config: Config = CONFIG) -> None:
    """Show the figure of `ax`, and a player: a click into the picture plays the sound of the nearest point.

    `points` (n, 2) are in the units of the axes, `sounds` int16 samples; of more than MOST_SOUNDS, some are left out.
    """
    import soundfile
    from IPython.display import HTML, Image, display
    figure, png, name, packed = ax.figure, io.BytesIO(), f"player{uuid.uuid4().hex}", []
    figure.savefig(png, format="png")  # not by the inline backend: it crops, and the points would be misplaced
    chosen = np.linspace(0, len(points) - 1, min(len(points), MOST_SOUNDS)).astype(int)
    places = ax.transData.transform(points[chosen]) / figure.bbox.size
    for index in chosen:
        file = io.BytesIO()
        soundfile.write(file, sounds[index], config.sample_rate, format="OGG")
        packed.append(base64.b64encode(file.getvalue()).decode())
    plt.close(figure)
    display(Image(png.getvalue()))
    arguments = json.dumps([name, [[round(x, 4), round(1 - y, 4)] for x, y in places], packed])
    display(HTML(f'<audio id="{name}" controls></audio><script>({PLAY_NEAREST})(...{arguments})</script>'))
