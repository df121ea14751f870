"""Pictures to play with: sliders that also serve those who only read, points that sound, a sound of one's own.

Notebooks: 00, 01, 02, 03, 04, 05, 06, 07, 08, 09.
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
# a button that records some seconds; they reach Python as a data URL, through a hidden text field
RECORD = """<button id="NAME">record SECONDS seconds</button><script>(() => {
  const button = document.getElementById("NAME");
  button.onclick = async () => {
    const stream = await navigator.mediaDevices.getUserMedia({audio: true}).catch(error => button.textContent = error);
    if (!stream.getTracks) return;
    const recorder = new MediaRecorder(stream), reader = new FileReader();
    recorder.ondataavailable = event => reader.readAsDataURL(event.data);
    reader.onload = () => {
      const field = document.querySelector('textarea[placeholder="NAME"]');
      field.value = reader.result;
      ["input", "change"].forEach(kind => field.dispatchEvent(new Event(kind, {bubbles: true})));
      button.textContent = "record again";
    };
    button.textContent = "listening ...";
    recorder.start();
    setTimeout(() => { recorder.stop(); stream.getTracks().forEach(track => track.stop()); }, 1000 * SECONDS);
  };
})()</script>"""


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
    PIL.Image.fromarray(joined).quantize(256).save(png, "png", optimize=True)  # a palette: a third of the bytes
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


def own_sound(use, seconds: float = 10) -> None:
    """Show two buttons: one takes a sound file, one records from the browser's microphone.

    Parameters
    ----------
    use : function (name, content)
        Gets a file's name and bytes. What it prints and draws stands below the buttons.
    seconds : float
        Length of a recording.
    """
    import ipywidgets
    from IPython.display import HTML, display
    below, name = ipywidgets.Output(), f"record{uuid.uuid4().hex}"
    upload = ipywidgets.FileUpload(accept="audio/*,video/*", multiple=False, description="a sound file")
    hidden = ipywidgets.Textarea(placeholder=name, layout={"display": "none"})

    def give(file: str, content: bytes) -> None:
        below.clear_output()
        with below:
            use(file, content)

    upload.observe(lambda change: give(*_uploaded(change["new"])), "value")
    hidden.observe(lambda change: give("recording.webm", base64.b64decode(change["new"].partition(",")[2])), "value")
    display(upload, HTML(RECORD.replace("NAME", name).replace("SECONDS", str(seconds))), hidden, below)


def _uploaded(value) -> tuple[str, bytes]:
    """Name and content of the file in a FileUpload's value: of ipywidgets 7 (Colab) a dictionary, of 8 a tuple."""
    if isinstance(value, dict):
        (name, file), = value.items()
        return name, bytes(file["content"])
    return value[-1]["name"], bytes(value[-1]["content"])
