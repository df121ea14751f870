"""What the set-up cell of the notebooks does once the project is there: in Colab packages, and a work folder in Drive.

Notebooks: 00, 01, 02, 03, 04, 05, 06, 07, 08, 09.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tqdm.auto import tqdm

from ..config import ROOT, work_dir

DRIVE = ROOT.parent / "drive"  # /content/drive: the set-up cell clones to /content
FOLDER = "MyDrive/music-genre-pico"  # in Drive: the work folder, and the wheel of cmsisdsp
MADE = {"clips.npz": "clips (notebook 02)", "model.keras": "network (05)", "model_int8.tflite": "int8 model (06)"}
# with what these need, and with tqdm and matplotlib, they are all of requirements.txt
PACKAGES = "av cmsisdsp cobs elftools filelock ipywidgets librosa pandas serial tensorflow tf_keras".split()


def set_up(keep_on_drive: bool) -> None:
    """In Colab mount Drive when asked, install the packages, and tell which work the notebook goes on with.

    Elsewhere an ImportError names a package that is missing. A RuntimeError says what failed in Colab, and the remedy.
    """
    if "google.colab" not in sys.modules:
        if missing := [name for name in PACKAGES if not find_spec(name)]:
            raise ImportError(f"No module named {missing[0]!r}")
        return
    _install(_use_drive() if keep_on_drive else None)
    made = [name for file, name in MADE.items() if (work_dir() / file).is_file()]
    print(f"From earlier notebooks: {', '.join(made)}." if made else
          "Nothing from earlier notebooks: this one takes what ships, and a small synthetic set of songs.")
    if not keep_on_drive:
        print("KEEP_ON_DRIVE is off: what you make here is gone when Colab ends this machine.")


def _use_drive() -> Path:
    """Mount Drive, put the work folder there, and return the folder for wheels."""
    from google.colab import drive
    try:
        drive.mount(str(DRIVE))
    except Exception as error:  # noqa: BLE001 - Colab raises several kinds, when consent is refused or Drive is slow
        raise RuntimeError(f"Google Drive can't be mounted ({error}): run this cell again and give your consent, or "
                           "switch KEEP_ON_DRIVE off.") from error
    home = DRIVE / FOLDER
    os.environ["MGR_WORK"] = str(home / "work")
    (home / "wheels").mkdir(parents=True, exist_ok=True)
    return home / "wheels"


def _install(wheels: Path | None) -> None:
    """Install requirements.txt. cmsisdsp has no wheel for Colab's Python: what pip builds is kept in `wheels`."""
    found = ["--find-links", str(wheels)] if wheels else []
    if wheels:
        requirements = (ROOT / "requirements.txt").read_text().splitlines()
        (cmsisdsp,) = [line for line in requirements if line.startswith("cmsisdsp")]
        _pip("a wheel of cmsisdsp, kept in Drive", "wheel", "--no-deps", "--prefer-binary", "--wheel-dir", str(wheels),
             *found, cmsisdsp)
    _pip("packages (without KEEP_ON_DRIVE up to three minutes: cmsisdsp is built)", "install", *found, "-r",
         str(ROOT / "requirements.txt"))


def _pip(what: str, *arguments: str) -> None:
    process = subprocess.Popen([sys.executable, "-m", "pip", "--no-color", *arguments], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = [line.strip() for line in tqdm(process.stdout, desc=what, unit=" lines of pip", leave=False)]
    if process.wait() != 0:
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        raise RuntimeError(f"pip failed ({errors[0] if errors else 'it said nothing'}): run this cell again; if that "
                           "doesn't help, choose Runtime, Disconnect and delete runtime, and start anew.")
